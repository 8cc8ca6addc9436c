//! Keys that stay with their owner: `issue --csr`, `renew --csr`, and `enroll` on the owner's side.
//! Requests of OpenSSL, and a tunnel with such a key, are in `tests/peers/requests.rs`.

use std::{fs, os::unix::fs::PermissionsExt};

use vpnpki::{
    pki::{belongs_to, certificates_from_pem, read_leaf, PrivateKey},
    secret::Secret,
};

use crate::{common::tree, site::Site};

/// An authority in `pki`, and a user in `user` with a key and a request for `client1`.
fn site() -> Site {
    let site = Site::made("--issue other");
    fs::create_dir(site.path("user")).expect("a directory");
    site.sh("cd user && vpnpki enroll client1").succeeds();
    site
}

/// No file of the administrator holds the user's key, nor does anything sealed.
#[track_caller]
fn admin_never_had_it(site: &Site) {
    let key = site.text("user/client1.key");
    let body = key.lines().nth(1).expect("a line of the key");
    for (path, (_, bytes)) in site.state().into_iter().filter(|(path, _)| !path.starts_with("user")) {
        assert!(!String::from_utf8_lossy(&bytes).contains(body), "{} holds the key", path.display());
    }
    let shown = site.json("show client1");
    for certificate in shown["certificates"].as_array().expect("certificates") {
        assert_eq!(
            (&certificate["key_kept"], &certificate["key_with_owner"]),
            (&false.into(), &true.into()),
            "{shown}"
        );
    }
}

#[test]
fn a_key_that_never_travels_gets_a_profile() {
    let site = site();
    site.run("issue client1 --csr user/client1.csr").succeeds().says("issued client1");
    let answer = site.text("client1.ovpn");
    assert!(!answer.contains("PRIVATE KEY") && answer.contains("\nkey client1.key\n"), "{answer}");
    site.run("show client1").succeeds().says("key p256 held by its owner");
    assert_eq!(site.json("list")["certificates"][0]["key_with_owner"], true);
    admin_never_had_it(&site);
    let finished = site.sh("cp client1.ovpn user/ && cd user && vpnpki enroll --finish client1.ovpn").succeeds();
    assert!(finished.stdout.contains("client1.ovpn is whole"), "{finished}");
    let profile = site.text("user/client1.ovpn");
    assert!(profile.contains(&site.text("user/client1.key")) && !profile.contains("\nkey client1.key\n"), "{profile}");
    assert!(!profile.contains("not in here"), "{profile}");
    let key = PrivateKey::from_pem(profile.as_bytes()).expect("a key");
    let certificates = certificates_from_pem(profile.split("<cert>").nth(1).expect("a block").as_bytes()).expect("one");
    assert!(belongs_to(&key, &read_leaf(&certificates[0]).expect("a certificate").spki));
    site.run("log verify").succeeds();
    site.run("doctor").says("client1");
}

#[test]
fn zip_and_encrypted_answers_are_finished_and_all_are_alike() {
    let site = site();
    site.write("id", crate::keyholders::IDENTITY);
    site.run("issue client1 --csr user/client1.csr --no-export").succeeds();
    site.run("export client1 -o user/").succeeds();
    site.run("export client1 --format zip -o user/").succeeds();
    let to = crate::keyholders::AGE;
    site.run(&format!("export client1 --encrypt-to {to} --armor -o user/sealed")).succeeds();
    site.run(&format!("export client1 --format zip --encrypt-to {to} -o user/")).succeeds();
    let locked = "cd user && vpnpki enroll --finish sealed -o x";
    site.leaves(&mut site.shell(locked), 4, "is encrypted, and no identity was given");
    site.write("other", crate::keyholders::OTHER_IDENTITY);
    site.leaves(&mut site.shell(&format!("{locked} --identity ../other")), 4, "encrypted to somebody else");
    for (bundle, out) in [("client1.zip", "a"), ("sealed", "b"), ("client1.zip.age", "c"), ("client1.ovpn", "d")] {
        let more = format!("--key-file client1.key -o {out} --identity ../id");
        site.sh(&format!("cd user && vpnpki enroll --finish {bundle} {more}")).succeeds();
    }
    let words = |name: &str| {
        let mut lines: Vec<String> = site.text(&format!("user/{name}")).lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    for other in ["b", "c", "d"] {
        assert_eq!(words("a"), words(other), "{other}");
    }
}

#[test]
fn what_does_not_fit_is_not_finished() {
    let site = site();
    site.run("issue client1 --csr user/client1.csr -o user/").succeeds();
    site.sh("cd user && vpnpki enroll client2 --key p384 && cp client1.ovpn kept").succeeds();
    let refuses = |line: &str, code: i32, why: &str| {
        site.leaves(&mut site.shell(&format!("cd user && vpnpki enroll {line}")), code, why);
    };
    refuses("--finish client1.ovpn --key-file client2.key", 1, "is for another key than the one in `client2.key`");
    refuses("--finish client1.ovpn --key-file nothing.key", 1, "nothing.key");
    refuses("--finish ../other.ovpn", 1, "holds a private key already: there is nothing to finish");
    refuses("--finish client1.csr", 1, "nothing was written: `client1.csr`");
    refuses("--finish kept -o client2.csr", 1, "exists and was not overwritten");
    refuses("--finish client1.ovpn --key p256", 2, "cannot be used with");
    refuses("client1", 1, "exists and was not overwritten");
    refuses("client3 --key-file client1.csr", 1, "it holds no private key");
    refuses("", 2, "required");
    // a file in the way of the second keeps back the first
    site.write("user/client4.csr", "");
    refuses("client4", 1, "exists and was not overwritten");
    site.sh("cd user && grep -v '^remote ' client1.ovpn > less").succeeds();
    refuses("--finish less -o x", 1, "its `remote` is missing");
}

#[test]
fn an_answer_that_would_not_work_is_not_finished() {
    let (site, other) = (site(), site());
    site.run("issue client1 --csr user/client1.csr -o user/").succeeds();
    let text = site.text("user/client1.ovpn");
    let theirs = other.text("server/ca.crt");
    let block = |name: &str| {
        let begin = text.find(&format!("<{name}>\n")).expect("the block") + name.len() + 3;
        &text[begin..text.find(&format!("</{name}>")).expect("its end")]
    };
    let key = block("tls-crypt");
    let middle = key.lines().nth(9).expect("a line");
    for (from, to, why) in [
        (block("ca"), theirs.as_str(), "the CA in it did not sign the certificate"),
        (middle, "", "`tls-crypt`: "),
        ("client\n", "", "there is no `client`, so it is none"),
        ("nobind\n", "no-such-thing\n", "`no-such-thing` is no directive of OpenVPN, which stops there"),
    ] {
        site.write("user/answer.ovpn", &text.replacen(from, to, 1));
        let line = "cd user && vpnpki enroll --finish answer.ovpn -o whole.ovpn";
        let why = format!("nothing was written: `answer.ovpn` would make no profile that works: {why}");
        site.leaves(&mut site.shell(line), 1, &why);
    }
    site.sh("cd user && vpnpki enroll --finish client1.ovpn -o whole.ovpn").succeeds();
}

#[test]
fn a_request_for_a_key_that_is_there_is_made_again() {
    let site = site();
    let before = site.read("user/client1.key");
    site.sh("cd user && rm client1.csr && vpnpki enroll client1 --key-file client1.key").succeeds();
    assert_eq!(site.read("user/client1.key"), before);
    site.run("issue client1 --csr user/client1.csr").succeeds();
    site.sh("cd user && vpnpki enroll client1 --key ed25519 --force").succeeds().says("made client1.key (ed25519)");
    assert_ne!(site.read("user/client1.key"), before);
    site.run("renew client1 --csr user/client1.csr --force").succeeds();
    assert_eq!(site.json("show client1")["certificates"][0]["algorithm"], "ed25519");
    admin_never_had_it(&site);
}

#[test]
fn whoever_keeps_the_key_sends_a_new_request() {
    let site = site();
    site.run("issue client1 --csr user/client1.csr --days 5 --no-export").succeeds();
    site.refuses("renew client1", 1, "its owner keeps the private key, and no new request is here");
    site.run("issue client2 --days 5 --no-export").succeeds();
    let due = site.json("renew --due --within 60 --no-export");
    assert_eq!(due["renewed"].as_array().map(Vec::len), Some(1), "{due}");
    assert_eq!(due["left"][0], "client1", "{due}");
    assert!(due["warnings"].to_string().contains("`client1` was not renewed"), "{due}");
    site.refuses("renew client1 client2 --csr user/client1.csr", 2, "`--csr` is one key");
    site.refuses("renew server --csr user/client1.csr", 2, "a server's private key is made here");
    site.run("export client1").succeeds();
    site.run("backup -o kept.backup").succeeds();
    site.run("--pki again restore kept.backup --identity pki/vault.key --no-publish").succeeds();
    site.run("--pki again show client1").succeeds().says("key p256 held by its owner");
    site.run("--pki again export client1 --force").succeeds();
    site.run("--pki again log verify").succeeds();
}

#[test]
fn a_request_is_standard_input_too_and_der() {
    let site = site();
    site.sh("vpnpki issue client1 --csr - < user/client1.csr").succeeds();
    let der = pem::parse(site.read("user/client1.csr")).expect("PEM").into_contents();
    fs::write(site.path("der"), der).expect("a file");
    site.run("issue client2 --csr der").succeeds().says("the same key is certified for `client1`");
}

#[test]
fn only_the_key_is_taken_from_a_request() {
    let site = Site::made("");
    let mut wishes = rcgen::CertificateParams::new(["vpn.example.com".to_owned()]).expect("a name");
    wishes.distinguished_name.push(rcgen::DnType::CommonName, "server\u{1b}[31m");
    wishes.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).expect("a key");
    site.write("csr", &wishes.serialize_request(&key).expect("a request").pem().expect("PEM"));
    let said = site.run("issue client1 --csr csr").succeeds().says("the certificate says `client1`");
    assert!(!said.stderr.contains('\u{1b}'), "{said}");
    let shown = site.json("show client1");
    let pem = shown["certificates"][0]["pem"].as_str().expect("a certificate").to_owned();
    let leaf = read_leaf(&certificates_from_pem(pem.as_bytes()).expect("one")[0]).expect("a leaf");
    assert_eq!((leaf.common_name.as_str(), leaf.addresses.len()), ("client1", 0));
    assert_eq!(leaf.role, Some(vpnpki::inventory::Role::Client));
}

#[test]
fn what_is_no_request_of_its_sender_is_refused() {
    let site = site();
    let whole = site.text("user/client1.csr");
    let changed = whole.replacen("MI", "MJ", 1);
    assert_ne!(whole, changed);
    site.write("changed", &changed);
    site.write("key", &site.text("user/client1.key"));
    site.write("empty", "");
    let kind = &rcgen::PKCS_ECDSA_P521_SHA512;
    let key = rcgen::KeyPair::generate_for(kind).expect("a key");
    let request = rcgen::CertificateParams::default().serialize_request(&key).expect("a request");
    site.write("p521", &request.pem().expect("PEM"));
    for (file, why) in [
        ("changed", "`changed` is refused"),
        ("key", "it holds a private key, which belongs with its owner"),
        ("empty", "it is no certificate request"),
        ("p521", "its key is not certified: the public key is none of p256"),
        ("nowhere", "nowhere"),
    ] {
        site.refuses(&format!("issue client1 --csr {file}"), 1, why);
    }
    site.refuses("issue client1 client2 --csr user/client1.csr", 2, "`--csr` is one key");
    site.refuses("issue client1 --csr user/client1.csr --key p384", 2, "cannot be used with");
    site.refuses("issue server2 --role server --csr user/client1.csr", 2, "a server's private key is made here");
}

#[test]
fn a_key_of_the_server_or_a_lost_one_is_refused() {
    let site = Site::published("");
    site.sh("vpnpki enroll thief --key-file server/server.key").succeeds();
    site.refuses("issue thief --csr thief.csr", 1, "the key of the request is that of the server `server`");
    site.sh("vpnpki enroll client1").succeeds();
    site.run("issue client1 --csr client1.csr --no-export").succeeds();
    site.run("revoke client1 --reason keyCompromise").succeeds();
    site.refuses("issue client1 --csr client1.csr", 1, "the key of the request is that of serial:");
    site.run("issue client2 -o two").succeeds();
    site.sh("sed -n '/BEGIN PRIVATE/,/END PRIVATE/p' two > two.key && vpnpki enroll client3 --key-file two.key")
        .succeeds();
    site.run("issue client3 --csr client3.csr").succeeds().says("was made here for `client2`");
}

#[test]
fn who_has_the_key_cannot_be_changed_in_the_store() {
    let site = site();
    site.run("issue client1 --csr user/client1.csr --no-export").succeeds();
    let serial = site.serial("client1");
    crate::database::Database::of(&site)
        .change("UPDATE certificate SET key_with_owner = 0 WHERE key_with_owner = 1", []);
    site.refuses("log verify", 1, &format!("`certificate/{serial}` is not what the ledger says it is"));
}

#[test]
fn a_dry_run_writes_nothing() {
    let site = site();
    site.run("issue client1 --csr user/client1.csr").succeeds();
    site.refuses("enroll client2 --dry-run", 0, "would make client2.csr");
    site.refuses("issue client2 --csr user/client1.csr --dry-run", 0, "would issue client2");
    let finish = "enroll --finish client1.ovpn --key-file user/client1.key --dry-run";
    site.refuses(finish, 0, "client1.ovpn would be whole; nothing was written");
    let recipient = crate::keyholders::AGE;
    site.refuses(&format!("recipients client1 --set {recipient} --dry-run"), 0, "would be encrypted to");
}

/// A passphrase in a file of its owner's.
fn word(site: &Site, file: &str, passphrase: &str) {
    site.write(file, &format!("{passphrase}\n"));
    fs::set_permissions(site.path(file), fs::Permissions::from_mode(0o600)).expect("a file of ours");
}

/// The private key in a text, which is there encrypted only.
#[track_caller]
fn locked_key(text: &str, passphrase: &str) -> PrivateKey {
    assert!(!text.contains("BEGIN PRIVATE KEY"), "{text}");
    PrivateKey::from_encrypted_pem(text.as_bytes(), &Secret::from(passphrase.to_owned())).expect("the key")
}

#[test]
fn a_key_with_a_passphrase_stays_encrypted_to_the_end() {
    let site = Site::made("");
    word(&site, "word", "correct horse");
    site.run("enroll client1 --key-passphrase-file word").succeeds().says("made client1.key (p256, encrypted)");
    let key = site.text("client1.key");
    let spki = locked_key(&key, "correct horse").spki().to_vec();
    site.run("issue client1 --csr client1.csr").succeeds();
    let finished = site.run("enroll --finish client1.ovpn --key-passphrase-file word --json").succeeds();
    assert!(finished.stdout.contains("\"encrypted\":true") && !finished.stdout.contains("horse"), "{finished}");
    let profile = site.text("client1.ovpn");
    assert!(profile.contains(&format!("<key>\n{key}</key>\n")), "{profile}");
    assert_eq!(locked_key(&profile, "correct horse").spki(), spki);
    assert_eq!(site.text("client1.key"), key);
    site.run("verify client1.ovpn --key-passphrase-file word").succeeds().says("works");
    site.sh("vpnpki enroll client2 --key-file client1.key --key-passphrase-file word").succeeds();
    let request = pem::parse(site.read("client2.csr")).expect("PEM").into_contents();
    assert!(request.windows(spki.len()).any(|window| window == spki), "the same key");
}

#[test]
fn a_passphrase_that_was_made_is_shown_once_and_kept_nowhere() {
    let site = Site::empty();
    let made = site.json("enroll client1 --generate-passphrase");
    let passphrase = made["passphrases"][0]["passphrase"].as_str().expect("a passphrase").to_owned();
    locked_key(&site.text("client1.key"), &passphrase);
    for (path, (_, bytes)) in site.state() {
        assert!(!String::from_utf8_lossy(&bytes).contains(&passphrase), "{} holds it", path.display());
    }
    let quiet = site.run("enroll client2 --generate-passphrase -q").succeeds();
    let shown = quiet.stdout.trim_end().strip_prefix("client2 ").expect("a name and a passphrase").to_owned();
    locked_key(&site.text("client2.key"), &shown);
    assert_ne!(shown, passphrase);
    let dry = site.refuses("enroll client3 --generate-passphrase --dry-run", 0, "nothing was written");
    assert!(!dry.stdout.contains("passphrase"), "{dry}");
}

#[test]
fn a_key_is_opened_by_its_own_passphrase_only() {
    let site = Site::made("");
    word(&site, "word", "correct horse");
    word(&site, "wrong", "incorrect horse");
    word(&site, "empty", "");
    word(&site, "foreign", "K\u{f6}ln");
    site.run("enroll client1 --key-passphrase-file word").succeeds();
    site.run("enroll client2").succeeds();
    site.run("issue client1 --csr client1.csr").succeeds();
    for (line, code, why) in [
        ("--finish client1.ovpn", 4, "`client1.key` is encrypted, and no passphrase was given"),
        ("--finish client1.ovpn --key-passphrase-file wrong", 4, "the private key is encrypted, and was not decrypted"),
        ("client3 --key-file client1.key", 4, "`client1.key` is encrypted, and no passphrase was given"),
        ("client3 --key-file client1.key --key-passphrase-file wrong", 4, "was not decrypted"),
        ("client3 --key-file client2.key --key-passphrase-file word", 1, "`client2.key` is not encrypted"),
        ("client3 --key-file client1.key --generate-passphrase", 2, "cannot be used with"),
        ("--finish client1.ovpn --generate-passphrase", 2, "cannot be used with"),
        ("client3 --key-passphrase-file word --generate-passphrase", 2, "cannot be used with"),
        ("client3 --key-passphrase-file empty", 2, "an empty passphrase protects nothing"),
        ("client3 --key-passphrase-file foreign", 2, "a bundle's passphrase is of ASCII letters"),
    ] {
        let refused = site.refuses(&format!("enroll {line}"), code, why);
        assert!(!refused.stderr.contains("horse"), "{refused}");
    }
}

#[test]
fn json_tells_what_was_made() {
    let site = Site::empty();
    let made = site.json("enroll client1");
    assert_eq!(
        (&made["command"], &made["changed"], &made["algorithm"]),
        (&"enroll".into(), &true.into(), &"p256".into())
    );
    assert_eq!((&made["key"], &made["request"]), (&"client1.key".into(), &"client1.csr".into()));
    assert_eq!(tree(site.dir()).into_values().collect::<Vec<_>>(), [0o644, 0o600]);
}
