//! Bundles as age files: for whom, in which form, and that nothing of them lies in clear beside.
//! That `age` itself opens them is proven in `tests/peers/age.rs`.

use std::process::Command;

use vpnpki::vault::{open_envelope, IdentityFile, Key};

use crate::{
    common::Outcome,
    keyholders::{AGE, IDENTITY, OTHER_IDENTITY},
    site::Site,
};

const SSH: [&str; 2] =
    [include_str!("../../src/vault/fixtures/ed25519.pub"), include_str!("../../src/vault/fixtures/ed25519")];
const RSA: [&str; 2] = [include_str!("../../src/vault/fixtures/rsa.pub"), include_str!("../../src/vault/fixtures/rsa")];

/// `client1` has access; no bundle is written yet.
fn site() -> Site {
    Site::made("--issue client1 --no-export")
}

#[track_caller]
fn opened(bytes: &[u8], identity: &str) -> String {
    let identity = IdentityFile::parse(identity.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    let opened = open_envelope(bytes, &Key::Identities(&identity)).unwrap_or_else(|error| panic!("{error}"));
    opened.expose_text().expect("a profile").to_owned()
}

#[track_caller]
fn stays_closed(bytes: &[u8], identity: &str) {
    let identity = IdentityFile::parse(identity.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    assert!(open_envelope(bytes, &Key::Identities(&identity)).is_err(), "it opened");
}

/// No file but those of the authority and these holds a private key or a control channel key in clear.
#[track_caller]
fn nothing_in_clear(site: &Site) {
    for (path, (_, bytes)) in site.state() {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let clear = ["BEGIN PRIVATE KEY", "BEGIN OpenVPN Static key"].iter().any(|mark| text.contains(mark));
        assert!(!clear, "{} holds a key in clear", path.display());
    }
}

#[test]
fn every_recipient_of_a_call_opens_the_bundle_and_nobody_else() {
    let site = site();
    site.write("people", &format!("# two of them\n{AGE}\n\nrestrict {}", SSH[0]));
    site.write("rsa.pub", RSA[0]);
    let said = site.run("export client1 --encrypt-to people --encrypt-to rsa.pub").succeeds();
    assert!(said.stdout.contains("./client1.ovpn.age (encrypted to age1t7rxyev2...vpy7pa"), "{said}");
    let sealed = site.read("client1.ovpn.age");
    nothing_in_clear(&site);
    site.run("export client1 -o clear.ovpn").succeeds();
    for identity in [IDENTITY, SSH[1], RSA[1]] {
        assert_eq!(opened(&sealed, identity), site.text("clear.ovpn"));
    }
    stays_closed(&sealed, OTHER_IDENTITY);
    assert_eq!(site.state()[std::path::Path::new("client1.ovpn.age")].0, 0o600);
}

#[test]
fn issue_renew_and_a_zip_are_encrypted_too() {
    let site = site();
    site.run(&format!("issue client2 --encrypt-to {AGE}")).succeeds();
    site.run(&format!("renew client2 --force --encrypt-to {AGE}")).succeeds();
    site.run(&format!("export client2 --format zip --encrypt-to {AGE}")).succeeds();
    site.run(&format!("export server --format zip --encrypt-to {AGE}")).succeeds();
    nothing_in_clear(&site);
    assert!(opened(&site.read("client2.ovpn.age"), IDENTITY).contains("PRIVATE KEY"));
    for zip in ["client2.zip.age", "server.zip.age"] {
        let identity = IdentityFile::parse(IDENTITY.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
        let opened = open_envelope(&site.read(zip), &Key::Identities(&identity));
        assert!(opened.unwrap_or_else(|error| panic!("{error}")).expose().starts_with(b"PK"), "{zip}");
    }
}

#[test]
fn text_is_asked_for_and_a_pipe_gets_bytes() {
    let site = site();
    site.run(&format!("export client1 --encrypt-to {AGE} --armor")).succeeds();
    let armored = site.text("client1.ovpn.age");
    assert!(armored.starts_with("-----BEGIN AGE ENCRYPTED FILE-----\n") && armored.is_ascii());
    assert!(opened(armored.as_bytes(), IDENTITY).contains("<key>"));
    let output = site.vpnpki(&format!("export client1 --encrypt-to {AGE} -o -")).output().expect("an end");
    assert!(output.stdout.starts_with(b"age-encryption.org/v1\n"));
    assert!(opened(&output.stdout, IDENTITY).contains("<key>"));
}

#[test]
fn who_is_on_record_gets_every_later_bundle_encrypted() {
    let site = Site::made("");
    site.write("people", &format!("{AGE}\n{}", SSH[0]));
    site.run("issue client1 --recipient people").succeeds().says("./client1.ovpn.age (encrypted to");
    let shown = site.json("show client1");
    assert_eq!(shown["peer"]["recipients"].as_array().map(Vec::len), Some(2), "{shown}");
    let listed = site.json("list");
    assert_eq!(listed["certificates"][0]["recipients"][0], AGE, "{listed}");
    assert!(listed["certificates"][1].get("recipients").is_none(), "the server has none: {listed}");
    site.run("export client1 --force").succeeds();
    site.run("renew client1 --overlap 0 --force --no-publish").exits(0);
    site.run("export --all --force -o .").succeeds();
    let sealed = site.read("client1.ovpn.age");
    assert!(opened(&sealed, IDENTITY).contains("<key>") && opened(&sealed, SSH[1]).contains("<key>"));
    assert!(!site.path("client1.ovpn").exists(), "nothing was written in clear");
    site.refuses("export client1 --format dir", 2, "the bundle of `client1` is encrypted, and a directory cannot be");
    site.run("log verify").succeeds();

    site.run("export client1 --clear").succeeds();
    assert!(site.text("client1.ovpn").contains("<key>"));
    site.write("other", RSA[0]);
    site.run("export client1 --encrypt-to other -o other.age").succeeds();
    stays_closed(&site.read("other.age"), IDENTITY);
    assert!(opened(&site.read("other.age"), RSA[1]).contains("<key>"));
}

#[test]
fn who_is_on_record_is_changed_by_an_act_of_its_own() {
    let site = site();
    site.refuses("recipients nobody", 1, "there is no `nobody`");
    site.run("recipients client1").succeeds().says("bundles of client1 are written in clear");
    site.run(&format!("recipients client1 --set {AGE} {AGE}")).succeeds().says(AGE);
    assert_eq!(site.json(&format!("recipients client1 --set {AGE}"))["changed"], false, "there already");
    site.run("export client1").succeeds();
    assert!(opened(&site.read("client1.ovpn.age"), IDENTITY).contains("<key>"));
    site.run("log").succeeds().says("recipients: bundles of client1 are encrypted to 1 recipients");
    site.run("recipients client1 --none").succeeds();
    site.run("export client1").succeeds();
    assert!(site.path("client1.ovpn").exists());
    site.refuses(&format!("recipients server --set {AGE}"), 2, "`server` is a server");
    site.refuses(&format!("issue server2 --role server --recipient {AGE}"), 2, "`server2` is a server");
    site.run("log verify").succeeds();
}

#[test]
fn they_come_back_with_the_name_and_go_with_forget() {
    let site = Site::published("");
    site.run(&format!("issue client1 --recipient {AGE}")).succeeds();
    site.run("revoke client1").succeeds();
    site.run("issue client1 --force").succeeds().says("client1.ovpn.age");
    site.run("revoke client1").succeeds();
    site.run("forget client1 --yes").succeeds().says("the recipients");
    assert!(site.json("show client1")["peer"].get("recipients").is_none());
}

#[test]
fn what_is_no_recipient_makes_nothing() {
    let site = site();
    site.write("ecdsa.pub", &format!("{AGE}\necdsa-sha2-nistp256 AAAA jo\n"));
    site.write("empty.pub", "# nobody\n");
    site.write("secret", IDENTITY);
    site.write("word", "correct horse\n");
    let unsupported = "`ecdsa.pub`: line 2: SSH keys of type `ecdsa-sha2-nistp256`";
    for how in ["export client1 --encrypt-to", "issue client2 --recipient", "recipients client1 --set"] {
        site.refuses(&format!("{how} ecdsa.pub"), 1, unsupported);
        site.refuses(&format!("{how} empty.pub"), 1, "`empty.pub`: it holds no public key");
        site.refuses(&format!("{how} nowhere.pub"), 1, "nowhere.pub");
        site.refuses(&format!("{how} age1qqqq"), 2, "is no whole public key");
        for private in ["secret", IDENTITY.trim()] {
            let outcome = Outcome::of(&mut site.vpnpki(&format!("{how} {private}")));
            assert!(!outcome.status.success() && outcome.stderr.contains("a private key was given"), "{outcome}");
            assert!(!outcome.stderr.contains("GQ9778"), "{outcome}");
        }
    }
    site.refuses(&format!("export client1 --format dir --encrypt-to {AGE}"), 2, "a directory cannot be");
    site.refuses(&format!("export server --encrypt-to {AGE}"), 2, "a directory cannot be");
    for both in [&format!("--encrypt-to {AGE} --encrypt-passphrase-file word"), &format!("--clear --encrypt-to {AGE}")]
    {
        site.refuses(&format!("export client1 {both}"), 2, "cannot be used with");
    }
    site.refuses(&format!("issue client2 --no-export --encrypt-to {AGE}"), 2, "cannot be used with");
}

#[test]
fn a_recipient_changed_in_the_store_is_found() {
    let site = Site::made("");
    site.run(&format!("issue client1 --recipient {AGE} --no-export")).succeeds();
    let mine = OTHER_RECIPIENT;
    crate::database::Database::of(&site).change("UPDATE peer SET recipients = ?1 WHERE name = 'client1'", [mine]);
    site.refuses("log verify", 1, "`peer/client1` is not what the ledger says it is");
    site.refuses("export client1", 1, "the store is not what was written");
}

/// One test for all that a passphrase does: scrypt costs most of a second.
#[test]
fn a_passphrase_from_a_file_encrypts() {
    let site = site();
    site.write("word", "correct horse\n");
    site.write("empty", "\n");
    site.refuses("export client1 --encrypt-passphrase-file empty", 2, "an empty passphrase protects nothing");
    let said = site.run("export client1 --encrypt-passphrase-file word").succeeds();
    assert!(said.stdout.contains("(encrypted to a passphrase)") && !said.stdout.contains("horse"), "{said}");
    let word = "correct horse".to_owned().into();
    let opened = open_envelope(&site.read("client1.ovpn.age"), &Key::Passphrase(&word));
    assert!(opened.unwrap_or_else(|error| panic!("{error}")).expose_text().is_some_and(|text| text.contains("<key>")));
}

#[test]
fn a_plugin_encrypts_for_its_key() {
    let site = site();
    let plugins = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/plugin");
    let with_plugin = |line: &str| -> Command {
        let mut command = site.vpnpki(line);
        command.env("PATH", format!("{plugins}:{}", std::env::var("PATH").unwrap_or_default()));
        command.env("HOME", site.dir()).env("SECRET", "nothing");
        command
    };
    Outcome::of(&mut with_plugin("export client1 --encrypt-to age1paper1pzry9x8ghwf25c")).succeeds();
    assert!(site.text_lossy("client1.ovpn.age").contains("-> paper"));
    assert!(!site.text("paper").contains("SECRET"), "it gets PATH, HOME and LANG only");
    Outcome::of(&mut with_plugin("issue client2 --recipient age1paper1pzry9x8ghwf25c")).succeeds();
    Outcome::of(&mut with_plugin("export client2 --force")).succeeds();
    site.write("refuse", "");
    site.leaves(&mut with_plugin("renew client2 --force"), 4, "the paper is wet");
    site.refuses(
        "export client1 --encrypt-to age1absent1pzry9x8g6yscrs -o x",
        1,
        "`age-plugin-absent` is not on the PATH",
    );
}

/// Another public key of nobody here.
const OTHER_RECIPIENT: &str = "age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg";
