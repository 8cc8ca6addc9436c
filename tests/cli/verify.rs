//! `verify`: each kind of fault with its exact line, every form that a bundle comes in, and that what would not work is
//! not handed over.
//! That the reader agrees with OpenVPN is proven in `tests/peers`.

use std::{fs, time::Instant};

use serde_json::Value;
use vpnpki::{
    pki::{certificates_from_pem, write_pkcs12, KeyEncryption, Pkcs12Contents, Pkcs12Encryption, PrivateKey},
    secret::Secret,
};

use crate::{common::Outcome, site::Site};

/// The text of a block of a profile, with its tags.
fn block<'p>(profile: &'p str, name: &str) -> &'p str {
    let begin = profile.find(&format!("<{name}>\n")).expect("the block");
    let close = format!("</{name}>\n");
    let end = profile[begin..].find(&close).expect("its end") + close.len();
    &profile[begin..begin + end]
}

/// The number of the line that begins so.
fn line(profile: &str, begin: &str) -> usize {
    profile.lines().position(|line| line.starts_with(begin)).expect("the line") + 1
}

/// `client1.ovpn` with something in it replaced, as `changed.ovpn`.
fn changed(site: &Site, from: &str, to: &str) -> String {
    let profile = site.text("client1.ovpn");
    assert!(profile.contains(from), "{from} is not in it");
    let text = profile.replacen(from, to, 1);
    site.write("changed.ovpn", &text);
    text
}

/// What `verify` says of a file that fails with this one line, and of nothing else.
#[track_caller]
fn fails(site: &Site, line: &str, fault: &str) {
    let said = site.refuses(line, 1, "");
    let lines: Vec<&str> = said.stdout.lines().collect();
    let file = line.split(' ').nth(1).expect("a file");
    assert_eq!(lines, [format!("{file}{fault}"), format!("{file}: does not work: 1 fault")], "{said}");
}

#[track_caller]
fn works(site: &Site, line: &str) -> Outcome {
    site.run(line).succeeds().says(": works\n")
}

#[test]
fn our_own_bundles_work_in_every_form() {
    for options in ["--issue client1", "--issue client1 --key rsa2048", "--issue client1 --key p384 --dh none"] {
        let site = Site::made(options);
        site.run("export client1 --format zip").succeeds();
        site.run("export client1 --format dir").succeeds();
        let said = site.run("verify client1.ovpn client1.zip client1").succeeds();
        assert_eq!(said.stdout, "client1.ovpn: works\nclient1.zip: works\nclient1: works\n", "{said}");
        assert_eq!(said.stderr, "", "{said}");
        works(&site, "verify client1.ovpn --server server");
    }
}

#[test]
fn a_bundle_of_the_other_control_channel_works_too() {
    let site = Site::new();
    site.set("mode", "mode = \"tls-auth\"");
    site.run("export client1 --force").succeeds();
    works(&site, "verify client1.ovpn");
    let text = site.text("client1.ovpn");
    site.write("changed.ovpn", &text.replace("key-direction 1", "key-direction 0"));
    let at = line(&text, "<tls-auth>");
    fails(
        &site,
        "verify changed.ovpn",
        &format!(":{at}: fails: the directions of `tls-auth` do not fit: 0 here, 0 at the authority"),
    );
    fails(
        &site,
        "verify client1.ovpn --server server",
        &format!(":{at}: fails: has a `tls-auth` key, and the server in `server` wants `tls-crypt`"),
    );
}

#[test]
fn a_client_key_of_another_server_a_damaged_one_and_a_twofold_one_are_told_apart() {
    let site = Site::made("--control-channel tls-crypt-v2 --issue client1");
    let own = site.text("client1.ovpn");
    let at = line(&own, "<tls-crypt-v2>");
    works(&site, "verify client1.ovpn --for openvpn");
    works(&site, "verify client1.ovpn --for openvpn --server server");
    let key = block(&own, "tls-crypt-v2");
    let made = Site::made("--control-channel tls-crypt-v2 --issue client1");
    let foreign = made.text("client1.ovpn");
    // its last line of base64 ends in the length of what is wrapped: the first holds the client's own half of the key
    let body: Vec<&str> = key.lines().collect();
    let other = |letter: char| if letter == 'A' { "B" } else { "A" };
    let with = |place: usize| {
        let mut lines: Vec<String> = body.iter().map(|line| (*line).to_owned()).collect();
        let first = lines[place].chars().next().expect("a letter");
        lines[place].replace_range(..1, other(first));
        lines.join("\n") + "\n"
    };
    let dropped = "which drops every packet of this client without a word";
    let unwrapped = "was wrapped for another server, or is damaged: it does not open with the key of";
    for (changed_key, why) in [
        (block(&foreign, "tls-crypt-v2").to_owned(), unwrapped),
        (with(body.len() - 4), unwrapped),
        (with(2), "holds one key for the client and another for"),
    ] {
        changed(&site, key, &changed_key);
        for (side, whose) in [("", "the authority"), (" --server server", "the server in `server`")] {
            fails(
                &site,
                &format!("verify changed.ovpn --for openvpn{side}"),
                &format!(":{at}: fails: `tls-crypt-v2` {why} {whose}, {dropped}"),
            );
        }
    }
    changed(&site, body[body.len() - 4], "");
    fails(&site, "verify changed.ovpn --for openvpn", &format!(":{at}: fails: `tls-crypt-v2` holds no client's key: a block `OpenVPN tls-crypt-v2 client key` has 546 to 1280 bytes, this one has 507"));
    changed(&site, body[3], "?");
    fails(&site, "verify changed.ovpn --for openvpn", &format!(":{at}: fails: `tls-crypt-v2` holds no client's key: its `OpenVPN tls-crypt-v2 client key` block is damaged"));
}

#[test]
fn a_server_of_both_kinds_takes_either() {
    let site = Site::made("--control-channel tls-crypt-v2 --issue client1");
    let other = Site::new();
    let (own, theirs) = (site.text("client1.ovpn"), other.text("client1.ovpn"));
    let text = changed(&site, block(&own, "tls-crypt-v2"), block(&theirs, "tls-crypt"));
    let at = line(&text, "<tls-crypt>");
    let why = format!(":{at}: fails: has a `tls-crypt` key, and the server in `server` wants `tls-crypt-v2`");
    fails(&site, "verify changed.ovpn --for openvpn --server server", &why);
    fs::copy(other.path("server/ta.key"), site.path("server/old.key")).expect("a copy");
    site.write("server/server.conf", &(site.text("server/server.conf") + "tls-crypt old.key\n"));
    works(&site, "verify changed.ovpn --for openvpn --server server");
    works(&site, "verify client1.ovpn --for openvpn --server server");
    fs::copy(site.path("server/ta.key"), site.path("server/old.key")).expect("a copy");
    let said = works(&site, "verify changed.ovpn --for openvpn --server server");
    assert!(
        said.stderr.contains("`tls-crypt` of the server in `server` holds no key of its kind: not compared"),
        "{said}"
    );
}

#[test]
fn a_swapped_key_is_named_with_both_lines() {
    let site = Site::made("--issue client1 --issue client2");
    let other = site.text("client2.ovpn");
    let own = site.text("client1.ovpn");
    let text = changed(&site, block(&own, "key"), block(&other, "key"));
    let (key, cert) = (line(&text, "<key>"), line(&text, "<cert>"));
    fails(
        &site,
        "verify changed.ovpn",
        &format!(":{key}: fails: the private key is not that of the certificate in line {cert}"),
    );
}

#[test]
fn who_is_revoked_suspended_or_renewed_is_told() {
    let site = Site::made("--issue client1 --issue client2 --issue client3");
    let cert = line(&site.text("client1.ovpn"), "<cert>");
    let today = site.json("show client1")["certificates"][0]["issued"].as_str().expect("a date")[..10].to_owned();
    site.run("revoke client1 --no-publish").exits(0);
    site.run("suspend client2 --no-publish").exits(0);
    fs::copy(site.path("client3.ovpn"), site.path("old.ovpn")).expect("a copy");
    site.run("renew client3 --force").succeeds();
    fails(
        &site,
        "verify client1.ovpn",
        &format!(":{cert}: fails: the certificate is revoked since {today} (unspecified)"),
    );
    fails(
        &site,
        "verify client2.ovpn",
        &format!(":{cert}: fails: the certificate is suspended since {today} (certificateHold)"),
    );
    works(&site, "verify client3.ovpn");
    let old = site.run("verify old.ovpn");
    assert!(
        old.stdout.contains("the certificate was renewed; this one is accepted until")
            || old.stdout.contains("superseded"),
        "{old}"
    );
}

#[test]
fn dates_are_those_of_the_day_that_is_asked_for() {
    let site = Site::new();
    let (ca, cert) = (line(&site.text("client1.ovpn"), "<ca>"), line(&site.text("client1.ovpn"), "<cert>"));
    let ends = site.json("show client1")["certificates"][0]["not_after"].as_str().expect("a date")[..10].to_owned();
    fails(&site, "verify client1.ovpn --at 2030-06-01", &format!(":{cert}: fails: the certificate ended on {ends}"));
    let early = site.refuses("verify client1.ovpn --at 2020-01-01", 1, "");
    assert!(early.stdout.contains(&format!("client1.ovpn:{ca}: fails: the CA `CN=openvpn vpn.example.com")), "{early}");
    assert!(early.stdout.contains("only: it is not valid yet, or the clock is behind"), "{early}");
}

#[test]
fn another_authority_answers_nobody_of_this_one() {
    let (site, other) = (Site::new(), Site::new());
    fs::copy(other.path("client1.ovpn"), site.path("other.ovpn")).expect("a copy");
    let text = site.text("other.ovpn");
    let (ca, cert, key) = (line(&text, "<ca>"), line(&text, "<cert>"), line(&text, "<tls-crypt>"));
    let said = site.refuses("verify other.ovpn", 1, "");
    let lines: Vec<&str> = said.stdout.lines().collect();
    assert_eq!(lines.len(), 4, "{said}");
    assert_eq!(
        lines[0],
        format!("other.ovpn:{ca}: fails: no CA in `ca` signed the certificate of the server `server`")
    );
    assert_eq!(
        lines[1],
        format!("other.ovpn:{cert}: fails: no CA by which the authority knows clients signed the certificate")
    );
    assert_eq!(
        lines[2],
        format!("other.ovpn:{key}: fails: `tls-crypt` is not the key of the authority, which drops every packet of this client without a word")
    );
    assert_eq!(lines[3], "other.ovpn: does not work: 3 faults");
}

#[test]
fn what_does_not_fit_the_servers_settings_is_told_with_its_line() {
    let site = Site::new();
    let at = line(&site.text("client1.ovpn"), "nobind");
    for (added, why) in [
        ("comp-lzo no", "`comp-lzo`, and the authority has no compression: the tunnel carries nothing"),
        (
            "data-ciphers BF-CBC",
            "none of its ciphers is one of the authority (AES-256-GCM:AES-128-GCM:CHACHA20-POLY1305)",
        ),
        ("tls-version-max 1.1", "`tls-version-max` leaves no TLS version that the authority has"),
        ("verify-x509-name vpn name", "`verify-x509-name vpn name` fits no server: `CN=server`"),
        ("a \\x", "a backslash stands before `x`: OpenVPN knows only `\\\\`, `\\\"` and `\\ `"),
        ("no-such-thing 1", "`no-such-thing` is no directive of OpenVPN, which stops there"),
        ("verb \"3", "a quote (\") is not closed"),
    ] {
        let before = if added.starts_with("verify-x509-name") { "auth-nocache\n" } else { "nobind\n" };
        let text = changed(&site, before, &format!("{added}\n{before}"));
        let at = if before == "nobind\n" { at } else { line(&text, added) };
        let said = site.refuses("verify changed.ovpn", 1, "");
        assert!(said.stdout.contains(&format!("changed.ovpn:{at}: fails: {why}\n")), "{added}\n{said}");
    }
    changed(&site, "remote vpn.example.com 1194", "remote vpn.example.com 443 tcp");
    let at = line(&site.text("changed.ovpn"), "remote");
    let said = site.run("verify changed.ovpn").succeeds();
    let why = "warning: asks for tcp port 443, the authority listens on udp port 1194: it works only where something in between translates";
    assert_eq!(said.stdout, format!("changed.ovpn:{at}: {why}\nchanged.ovpn: works, 1 warning\n"));
}

#[test]
fn what_a_profile_lacks_is_told() {
    let site = Site::new();
    let own = site.text("client1.ovpn");
    for (missing, why) in [
        ("client\n", ": fails: there is no `client`, so it is none"),
        ("remote vpn.example.com 1194\n", ": fails: there is no `remote`: nobody knows where the server is"),
        ("dev tun\n", ": fails: there is no `dev`, without which OpenVPN does not start"),
        (block(&own, "ca"), ": fails: there is no `ca`: a client does not start without"),
        (block(&own, "tls-crypt"), ": fails: has no `tls-crypt` key, without which the authority does not answer"),
    ] {
        changed(&site, missing, "");
        fails(&site, "verify changed.ovpn", why);
    }
    changed(&site, "</ca>\n", "");
    let at = line(&own, "<ca>");
    let said =
        site.refuses("verify changed.ovpn", 1, &format!("changed.ovpn:{at}: fails: `<ca>` is never closed by `</ca>`"));
    assert!(said.stdout.contains("does not work"), "{said}");
    let text = changed(&site, block(&own, "key"), "");
    let at = line(&text, "<cert>");
    fails(&site, "verify changed.ovpn", &format!(":{at}: fails: there is a certificate and no private key"));
    changed(&site, "remote-cert-tls server\n", "");
    works(&site, "verify changed.ovpn");
    site.write("changed.ovpn", &site.text("changed.ovpn").replace("verify-x509-name \"server\" name-prefix\n", ""));
    let said = site.run("verify changed.ovpn").succeeds();
    assert!(said.stdout.contains("changed.ovpn: warning: there is no `remote-cert-tls server`: whoever has a client's certificate can pose as the server\n"), "{said}");
}

#[test]
fn the_programs_that_a_cause_concerns_stand_in_one_line() {
    let site = Site::new();
    let text = changed(&site, "nobind\n", "nobind\ndns server 1 address 10.0.0.1\n");
    let at = line(&text, "dns");
    let said = site.run("verify changed.ovpn").succeeds();
    let begin = format!("changed.ovpn:{at}: warning: fails on OpenVPN 2.4, OpenVPN 2.5: `dns`: ");
    assert!(said.stdout.starts_with(&begin) && said.stdout.ends_with("changed.ovpn: works, 1 warning\n"), "{said}");
    let said = site.refuses("verify changed.ovpn --for openvpn24", 1, "");
    assert!(said.stdout.starts_with(&format!("changed.ovpn:{at}: fails on OpenVPN 2.4: `dns`: ")), "{said}");
    works(&site, "verify changed.ovpn --for openvpn");
    site.refuses("verify changed.ovpn --for nothing", 2, "`nothing` is no program");
}

#[test]
fn files_beside_a_profile_are_read_and_missed() {
    let site = Site::new();
    site.run("export client1 --format dir").succeeds();
    works(&site, "verify client1/config.ovpn");
    fs::rename(site.path("client1/ca.crt"), site.path("client1/other.crt")).expect("a file");
    let at = line(&site.text("client1/config.ovpn"), "ca ca.crt");
    let said = site.refuses("verify client1", 1, "");
    let why = format!(
        "client1/config.ovpn:{at}: fails: `ca` names `ca.crt`, which is not there\nclient1: does not work: 1 fault\n"
    );
    assert_eq!(said.stdout, why);
    fails(&site, "verify nothing.ovpn", ": fails: there is no such file");
    fails(&site, "verify server", ": fails: it is a server's; `--server DIR` holds clients' bundles against it");
    fs::create_dir(site.path("empty")).expect("a directory");
    fails(&site, "verify empty", ": fails: there is no profile in it: no file whose name ends in .ovpn or .conf");
}

#[test]
fn a_damaged_archive_and_one_that_leads_out_are_refused() {
    let site = Site::new();
    site.run("export client1 --format zip").succeeds();
    let bytes = site.read("client1.zip");
    fs::write(site.path("half.zip"), &bytes[..bytes.len() / 2]).expect("a file");
    let said = site.refuses("verify half.zip", 1, "");
    assert!(said.stdout.starts_with("half.zip: fails: it is no zip that can be read: "), "{said}");
    // the same length, so that no offset changes
    let evil = replaced(&bytes, b"config.ovpn", b"../fig.ovpn");
    fs::write(site.path("evil.zip"), evil).expect("a file");
    fails(&site, "verify evil.zip", ": fails: `../fig.ovpn` in it leads out of the directory in which it is unpacked");
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut found = bytes.to_vec();
    let mut place = 0;
    while place + from.len() <= found.len() {
        if found[place..].starts_with(from) {
            found[place..place + to.len()].copy_from_slice(to);
        }
        place += 1;
    }
    found
}

#[test]
fn encrypted_keys_and_pkcs12_files_are_opened_by_their_passphrase() {
    let site = Site::new();
    let own = site.text("client1.ovpn");
    let key = PrivateKey::from_pem(block(&own, "key").as_bytes()).expect("a key");
    let passphrase = Secret::from("correct horse".to_owned());
    let locked = key.to_encrypted_pem(&passphrase, KeyEncryption::Aes256).expect("a key");
    let text = changed(&site, block(&own, "key"), &format!("<key>\n{}</key>\n", locked.expose_text().expect("text")));
    let at = line(&text, "<key>");
    site.write("right.txt", "correct horse\n");
    site.write("wrong.txt", "battery staple\n");
    let said = site.run("verify changed.ovpn").succeeds();
    let note = format!(
        "changed.ovpn:{at}: note: the private key is encrypted and was not opened; `--key-passphrase-file` opens it\n"
    );
    assert_eq!(
        said.stdout.lines().skip(1).collect::<Vec<_>>().join("\n"),
        format!("{note}changed.ovpn: works, 1 warning")
    );
    works(&site, "verify changed.ovpn --for openvpn --key-passphrase-file right.txt");
    site.refuses(
        "verify changed.ovpn --key-passphrase-file wrong.txt",
        1,
        "the passphrase is wrong, or what it opens is damaged",
    );

    let ders = |name: &str| certificates_from_pem(block(&own, name).as_bytes()).expect("certificates").remove(0);
    let name = "client1".parse().expect("a name");
    let contents = Pkcs12Contents { name: &name, key: &key, certificate: &ders("cert"), ca: &ders("ca") };
    let file = write_pkcs12(&contents, &passphrase, Pkcs12Encryption::Modern).expect("a file");
    fs::write(site.path("client1.p12"), file.expose()).expect("a file");
    let said = site.run("verify client1.p12").succeeds();
    assert_eq!(
        said.stdout,
        "client1.p12: note: the PKCS#12 was not opened; `--key-passphrase-file` opens it\nclient1.p12: works\n"
    );
    works(&site, "verify client1.p12 --key-passphrase-file right.txt");
    site.refuses(
        "verify client1.p12 --key-passphrase-file wrong.txt",
        1,
        "client1.p12: fails: the PKCS#12 cannot be used",
    );
    site.run("revoke client1 --no-publish").exits(0);
    site.refuses(
        "verify client1.p12 --key-passphrase-file right.txt",
        1,
        "client1.p12: fails: the certificate is revoked since",
    );
}

#[test]
fn what_export_makes_in_any_form_works() {
    let site = Site::made("--control-channel tls-auth --issue client1");
    site.write("word", "correct horse\n");
    for (options, file) in [
        ("--format ovpn", "client1.ovpn"),
        ("--format zip", "client1.zip"),
        ("--format dir", "client1"),
        ("--format tblk", "client1.tblk.zip"),
        ("--format nm", "client1.nm.zip"),
        ("--format uci", "client1.uci.zip"),
        ("--format onc", "client1.onc"),
        ("--format p12 --key-passphrase-file word", "client1.p12"),
        ("--format ovpn12 --key-passphrase-file word", "client1.ovpn12.zip"),
    ] {
        site.run(&format!("export client1 {options} --force")).succeeds();
        for side in ["", " --server server"] {
            let said = site.run(&format!("verify {file} --key-passphrase-file word{side}")).succeeds();
            assert_eq!(said.stdout, format!("{file}: works\n"), "{said}");
        }
        let said = site.run(&format!("verify {file} --key-passphrase-file word --handshake")).succeeds();
        assert!(said.stdout.starts_with(&format!("{file}: shook hands with `server`: TLS 1.2, ")), "{said}");
        assert_eq!(said.stdout.lines().count(), 3, "{said}");
    }
    // behind the name, in the middle of what is encrypted
    let text = site.text("client1.onc");
    let at = text.find("\"PKCS12\": \"").expect("a PKCS#12") + 1000;
    let other = if &text[at..=at] == "A" { "B" } else { "A" };
    site.write("damaged.onc", &format!("{}{other}{}", &text[..at], &text[at + 1..]));
    let why = "/client.p12: fails: the PKCS#12 cannot be used: the passphrase is wrong, or what it opens is damaged";
    fails(&site, "verify damaged.onc", why);
    site.write("no.onc", "{}");
    fails(&site, "verify no.onc", ": fails: there is no profile in it: no file whose name ends in .ovpn or .conf");
}

#[test]
fn a_keyfile_alone_names_files_of_this_host() {
    let site = Site::new();
    site.run("export client1 --format dir").succeeds();
    site.run("export client1 --format nm").succeeds();
    let archive = fs::File::open(site.path("client1.nm.zip")).expect("an archive");
    let mut archive = zip::ZipArchive::new(archive).expect("an archive");
    let mut keyfile = String::new();
    std::io::Read::read_to_string(&mut archive.by_index(0).expect("a keyfile"), &mut keyfile).expect("a text");
    let here = site.path("client1").display().to_string();
    site.write("a.nmconnection", &keyfile.replace("/etc/openvpn/client/client1", &here));
    works(&site, "verify a.nmconnection");
    fs::copy(site.path("pki/vpnpki.toml"), site.path("client1/client1.key")).expect("a copy");
    let said = site.refuses("verify a.nmconnection", 1, "client1.key: fails: the private key cannot be used: ");
    assert!(said.stdout.ends_with("a.nmconnection: does not work: 1 fault\n"), "{said}");
}

#[test]
fn an_encrypted_bundle_is_to_be_decrypted_first() {
    let site = Site::new();
    site.write("word", "correct horse\n");
    site.run("export client1 --encrypt-passphrase-file word").succeeds();
    let why = ": fails: it is encrypted, so nothing in it was looked at; `age -d -o client1.ovpn client1.ovpn.age` decrypts it";
    fails(&site, "verify client1.ovpn.age", why);
}

#[test]
fn a_router_does_not_read_a_key_that_is_encrypted_by_aes() {
    let site = Site::new();
    site.write("word", "correct horse\n");
    site.run("export client1 --key-passphrase-file word --force").succeeds();
    let cause = "the client's key (encrypted by AES): mbed TLS before 3.6 knows only DES and 3DES there, and OpenVPN does not start; `export --for openwrt` encrypts it by 3DES";
    let said = site.run("verify client1.ovpn --key-passphrase-file word").succeeds();
    assert_eq!(
        said.stdout,
        format!("client1.ovpn: warning: fails on OpenWrt: {cause}\nclient1.ovpn: works, 1 warning\n")
    );
    fails(
        &site,
        "verify client1.ovpn --for openwrt --key-passphrase-file word",
        &format!(": fails on OpenWrt: {cause}"),
    );
    works(&site, "verify client1.ovpn --for openvpn --key-passphrase-file word");
    site.run("export client1 --for openwrt --key-passphrase-file word").succeeds();
    works(&site, "verify client1.uci.zip --for openwrt --key-passphrase-file word");
    works(&site, "verify client1.uci.zip --key-passphrase-file word");
}

#[test]
fn a_handshake_says_who_refuses_whom() {
    let (site, other) = (Site::made("--issue client1 --issue client2"), Site::new());
    fs::copy(other.path("client1.ovpn"), site.path("other.ovpn")).expect("a copy");
    let shook =
        |version: &str, suite: &str| format!("client1.ovpn: shook hands with `server`: {version}, {suite}, X25519\n");
    let both =
        shook("TLS 1.2", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384") + &shook("TLS 1.3", "TLS13_AES_256_GCM_SHA384");
    for side in ["", " --server server"] {
        let said = site.run(&format!("verify client1.ovpn --handshake{side}")).succeeds();
        assert_eq!(said.stdout, format!("{both}client1.ovpn: works\n"));
    }
    site.refuses(
        "verify other.ovpn --handshake",
        1,
        "other.ovpn: fails: handshakes of TLS 1.2 and 1.3 with `server`: the client refuses the server: ",
    );
    site.run("revoke client2 --no-publish").exits(0);
    let refused = "handshakes of TLS 1.2 and 1.3 with `server`: the server refuses the client: ";
    site.refuses("verify client2.ovpn --handshake", 1, &format!("{refused}its certificate is revoked"));
    site.refuses("verify client1.ovpn --handshake --at 2030-06-01", 1, &format!("{refused}its certificate has ended"));
    let (own, another) = (site.text("client1.ovpn"), site.text("client2.ovpn"));
    changed(&site, block(&own, "key"), block(&another, "key"));
    site.refuses("verify changed.ovpn --handshake", 1, &format!("{refused}a signature does not fit its certificate"));
    changed(&site, "name-prefix", "name");
    works(&site, "verify changed.ovpn --handshake");
    changed(&site, "\"server\" name-prefix", "\"other\" name-prefix");
    site.refuses(
        "verify changed.ovpn --handshake",
        1,
        "the client refuses the server: `CN=server` is not the name that `verify-x509-name` asks for",
    );
}

#[test]
fn the_vault_is_opened_only_with_what_was_given() {
    let site = Site::empty();
    site.write("pass.txt", "correct horse\n");
    site.run("init --remote vpn.example.com --issue client1 --passphrase-file pass.txt").succeeds();
    let said = site.run("verify client1.ovpn").succeeds();
    assert_eq!(said.stdout, "client1.ovpn: works\n");
    assert!(said.stderr.contains("the vault was not opened, so the control channel key was not compared"), "{said}");
    let said = site.run("verify client1.ovpn --passphrase-file pass.txt").succeeds();
    assert!(!said.stderr.contains("the vault was not opened"), "{said}");
    site.refuses("verify client1.ovpn --handshake", 4, "");
    site.run("verify client1.ovpn --handshake --passphrase-file pass.txt").succeeds().says("shook hands");
}

#[test]
fn without_an_authority_only_the_bundle_is_looked_at() {
    let (site, nobody) = (Site::new(), Site::empty());
    fs::copy(site.path("client1.ovpn"), nobody.path("client1.ovpn")).expect("a copy");
    let said = nobody.run("verify client1.ovpn").succeeds();
    assert_eq!(said.stdout, "client1.ovpn: works\n");
    assert!(said.stderr.contains("there is no authority here and no `--server`"), "{said}");
    let said = nobody.run("verify client1.ovpn --quiet").succeeds();
    assert_eq!((said.stdout.as_str(), said.stderr.as_str()), ("", ""));
    nobody.refuses("verify client1.ovpn --pki gone", 1, "there is no authority in `gone`");
    nobody.refuses("verify", 2, "FILE");
}

#[test]
fn scripts_get_each_fault_with_its_place() {
    let site = Site::new();
    changed(&site, "nobind\n", "nobind\ncomp-lzo\n");
    let json: Value = site.json("verify changed.ovpn client1.ovpn");
    assert_eq!((&json["command"], &json["changed"]), (&Value::from("verify"), &Value::from(false)));
    let file = &json["files"][0];
    assert_eq!((&file["file"], &file["works"]), (&Value::from("changed.ovpn"), &Value::from(false)));
    let fault = file["faults"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|fault| fault["severity"] == "fails")
        .expect("a failure");
    assert_eq!(fault["line"], line(&site.text("changed.ovpn"), "comp-lzo"));
    assert_eq!(json["files"][1]["works"], true);
}

#[test]
fn two_hundred_bundles_in_one_call() {
    let site = Site::new();
    let names: Vec<String> = (2..=200).map(|number| format!("client{number}")).collect();
    site.run(&format!("issue {}", names.join(" "))).succeeds();
    site.run("revoke client77 --no-publish").exits(0);
    let files: Vec<String> = (1..=200).map(|number| format!("client{number}.ovpn")).collect();
    let begun = Instant::now();
    let said = site.run(&format!("verify {}", files.join(" "))).exits(1);
    // a figure for whoever runs it with --show-output; no promise of any machine
    eprintln!("200 bundles in {:?}", begun.elapsed());
    assert_eq!(said.stdout.lines().filter(|line| line.ends_with(": works")).count(), 199, "{said}");
    assert!(said.stdout.contains("client77.ovpn: does not work: 1 fault"), "{said}");
}

/// A template that opens a block which swallows the credentials passes every look at its own lines.
#[test]
fn a_bundle_that_would_not_work_is_not_handed_over() {
    let site = Site::new();
    fs::create_dir(site.path("pki/templates")).expect("a directory");
    let template =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/templates/client.conf")).expect("the template");
    let whole = |text: &str| site.write("pki/templates/client.conf", text);
    for (text, why) in [
        (
            template.replace("{{ credentials }}", "{{ credentials }}\ncert other.crt"),
            "names `other.crt` for `cert`, which is not in it",
        ),
        (template.replace("client\ndev tun", "dev tun"), "its profile has no `client`"),
        (
            template.replace("{{ credentials }}", "{{ credentials }}\n<tls-auth>\nx\n</tls-auth>"),
            "it has no control channel key, or several",
        ),
    ] {
        whole(&text);
        let said = site.refuses("export client1 -o again.ovpn", 1, "the bundle of `client1` was not handed over: ");
        assert!(said.stderr.contains(why), "{said}");
        site.refuses("issue client2", 1, "the bundle of `client2` was not handed over: ");
        site.refuses("renew client1 --force", 1, "the bundle of `client1` was not handed over: ");
    }
    fs::remove_dir_all(site.path("pki/templates")).expect("a directory");
    site.run("issue client2").succeeds();
}
