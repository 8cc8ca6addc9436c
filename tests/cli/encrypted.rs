//! Bundles with a passphrase: what it encrypts, where it comes from, and that nothing keeps it.
//! That others read them is proven in `tests/peers`; what is said is in `golden/encrypted.txt`.

use std::{fs, io::Read, os::unix::fs::PermissionsExt};

use vpnpki::{
    pki::{read_leaf, read_pkcs12, IssuerCertificate, KeyError, Pkcs12, Pkcs12Error, PrivateKey},
    secret::Secret,
};

use crate::{common::Outcome, keyholders::contains, site::Site};

const PASSPHRASE: &str = "correct horse";

/// An authority with `client1` and no bundle of it; the passphrase for one lies in `word`.
fn site() -> Site {
    let site = Site::new();
    fs::remove_file(site.path("client1.ovpn")).expect("a bundle");
    site.write("word", &format!("{PASSPHRASE}\n"));
    fs::set_permissions(site.path("word"), fs::Permissions::from_mode(0o600)).expect("a file of ours");
    site
}

fn secret(text: &str) -> Secret {
    Secret::from(text.to_owned())
}

fn entries(bytes: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes)).expect("an archive");
    let mut found = Vec::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).expect("an entry");
        let mut text = Vec::new();
        entry.read_to_end(&mut text).expect("its bytes");
        found.push((entry.name().expect("a name").into_owned(), entry.unix_mode().expect("a mode") & 0o777, text));
    }
    found
}

fn spki_of_certificate(pem: &[u8]) -> Vec<u8> {
    read_leaf(pem::parse(pem).expect("PEM").contents()).expect("a certificate").spki
}

/// The one private key in a text, which is encrypted.
#[track_caller]
fn opened(text: &[u8], passphrase: &str) -> PrivateKey {
    let shown = String::from_utf8_lossy(text);
    assert_eq!(shown.matches("-----BEGIN ENCRYPTED PRIVATE KEY-----").count(), 1, "{shown}");
    assert_eq!(shown.matches("PRIVATE KEY-----").count(), 2, "{shown}");
    let refused = PrivateKey::from_encrypted_pem(text, &secret("incorrect horse")).err();
    assert!(matches!(refused, Some(KeyError::Locked(_))), "{refused:?}");
    PrivateKey::from_encrypted_pem(text, &secret(passphrase)).expect("the key")
}

#[track_caller]
fn opened_pkcs12(bytes: &[u8], passphrase: &str, certificate: &[u8]) -> Pkcs12 {
    let refused = read_pkcs12(bytes, &secret("incorrect horse")).err();
    assert!(matches!(refused, Some(Pkcs12Error::Locked(_))), "{refused:?}");
    let opened = read_pkcs12(bytes, &secret(passphrase)).expect("a PKCS#12");
    let [own, ca] = &opened.certificates[..] else { panic!("{} certificates", opened.certificates.len()) };
    assert_eq!(own, pem::parse(certificate).expect("PEM").contents());
    assert_eq!(read_leaf(own).expect("a certificate").spki, opened.key.spki());
    assert!(IssuerCertificate::parse(ca).is_ok());
    opened
}

/// The certificate of `client1`, by itself.
fn certificate(site: &Site) -> Vec<u8> {
    site.run("export client1 --format dir -o clear").succeeds();
    site.read("clear/client1.crt")
}

#[test]
fn a_passphrase_encrypts_the_key_in_every_form() {
    let site = site();
    let certificate = certificate(&site);
    for format in ["ovpn", "zip", "dir"] {
        site.run(&format!("export client1 --format {format} --key-passphrase-file word")).succeeds();
    }
    let zipped = entries(&site.read("client1.zip"));
    let zipped = &zipped.iter().find(|(name, ..)| name == "client1.key").expect("a key").2;
    for text in [&site.read("client1.ovpn"), zipped, &site.read("client1/client1.key")] {
        assert_eq!(opened(text, PASSPHRASE).spki(), spki_of_certificate(&certificate));
    }
    assert_eq!(site.read("client1/client1.crt"), certificate);
    assert_ne!(&site.read("client1/client1.key"), zipped, "each has a salt of its own");
}

#[test]
fn a_pkcs12_holds_key_certificate_and_ca() {
    let site = site();
    let certificate = certificate(&site);
    site.run("export client1 --format p12 --key-passphrase-file word").succeeds();
    opened_pkcs12(&site.read("client1.p12"), PASSPHRASE, &certificate);
    assert_eq!(fs::metadata(site.path("client1.p12")).expect("a file").permissions().mode() & 0o777, 0o600);
    site.run("export client1 --format p12 --key-passphrase-file word --p12-legacy --force").succeeds();
    opened_pkcs12(&site.read("client1.p12"), PASSPHRASE, &certificate);
}

#[test]
fn for_ios_the_profile_is_without_certificate_and_key() {
    let site = site();
    let certificate = certificate(&site);
    site.set("#file-name", "file-name = \"{name}-{vpn}\"");
    site.run("export client1 --format ovpn12 --key-passphrase-file word").succeeds();
    let entries = entries(&site.read("client1-vpn.example.com.ovpn12.zip"));
    let names: Vec<(&str, u32)> = entries.iter().map(|(name, mode, _)| (name.as_str(), *mode)).collect();
    assert_eq!(names, [("client1-vpn.example.com.ovpn", 0o600), ("client1-vpn.example.com.ovpn12", 0o600)]);
    let profile = String::from_utf8(entries[0].2.clone()).expect("text");
    for tag in ["<ca>", "</ca>", "<tls-crypt>", "</tls-crypt>"] {
        assert_eq!(profile.matches(&format!("\n{tag}\n")).count(), 1, "{profile}");
    }
    for absent in ["PRIVATE KEY", "<cert>", "<key>", "\ncert ", "\nkey "] {
        assert!(!profile.contains(absent), "{profile}");
    }
    opened_pkcs12(&entries[1].2, PASSPHRASE, &certificate);
}

#[test]
fn issue_and_renew_take_the_same_options() {
    let site = site();
    site.run("issue client2 --key-passphrase-file word").succeeds();
    let key = opened(&site.read("client2.ovpn"), PASSPHRASE);
    site.run("renew client2 --force --key-passphrase-file word").succeeds();
    assert_ne!(opened(&site.read("client2.ovpn"), PASSPHRASE).spki(), key.spki());
    let renewed = site.json("renew client2 --format p12 --generate-passphrase");
    let passphrase = renewed["passphrases"][0]["passphrase"].as_str().expect("a passphrase");
    read_pkcs12(&site.read("client2.p12"), &secret(passphrase)).expect("a PKCS#12");
    site.run("log verify").succeeds();
}

/// Six groups of four.
#[track_caller]
fn is_generated(text: &str) {
    let groups: Vec<&str> = text.split('-').collect();
    assert_eq!(groups.len(), 6, "{text}");
    let plain = |c: char| matches!(c, 'a'..='z' | '2'..='9') && c != 'l' && c != 'o';
    assert!(groups.iter().all(|group| group.len() == 4 && group.chars().all(plain)), "{text}");
}

#[test]
fn a_generated_one_is_each_bundles_own_and_is_shown_once() {
    let site = site();
    let issued = site.run("issue anna ben --generate-passphrase").succeeds();
    let after = issued.stdout.split_once("kept nowhere:\n").expect("passphrases").1;
    let shown: Vec<(&str, &str)> = after.lines().filter_map(|line| line.trim().split_once(' ')).collect();
    let [("anna", anna), ("ben", ben)] = shown[..] else { panic!("{issued}") };
    let (anna, ben) = (anna.trim(), ben.trim());
    assert_ne!(anna, ben);
    for (name, passphrase) in [("anna", anna), ("ben", ben)] {
        is_generated(passphrase);
        opened(&site.read(&format!("{name}.ovpn")), passphrase);
        assert_eq!(issued.stdout.matches(passphrase).count(), 1, "{issued}");
        assert!(!issued.stderr.contains(passphrase), "{issued}");
        for (file, (_, bytes)) in site.state() {
            assert!(!contains(&bytes, passphrase.as_bytes()), "{} keeps it", file.display());
        }
    }
    for line in ["log", "log --json", "show anna", "show anna --json"] {
        assert!(!site.run(line).succeeds().stdout.contains(anna), "{line}");
    }
}

#[test]
fn a_generated_one_reaches_scripts_and_pipes() {
    let site = site();
    let exported = site.json("export client1 --format p12 --generate-passphrase");
    assert_eq!(exported["passphrases"][0]["name"], "client1");
    let passphrase = exported["passphrases"][0]["passphrase"].as_str().expect("a passphrase");
    read_pkcs12(&site.read("client1.p12"), &secret(passphrase)).expect("a PKCS#12");
    assert!(site.json("export client1").get("passphrases").is_none());

    let quiet = site.run("export client1 --format p12 --force --generate-passphrase --quiet").succeeds();
    let (name, passphrase) = quiet.stdout.trim_end().split_once(' ').expect("a name and a passphrase");
    assert_eq!((name, quiet.stdout.lines().count(), quiet.stderr.as_str()), ("client1", 1, ""));
    read_pkcs12(&site.read("client1.p12"), &secret(passphrase)).expect("a PKCS#12");

    let piped = Outcome::of(&mut site.vpnpki("export client1 --generate-passphrase -o -")).succeeds();
    let line = piped.stderr.lines().find(|line| line.contains("the passphrase of `client1`")).expect("a line");
    let passphrase = line.rsplit(' ').next().expect("a word");
    is_generated(passphrase);
    opened(piped.stdout.as_bytes(), passphrase);
}

#[test]
fn nothing_is_made_and_nothing_shown_by_a_rehearsal() {
    let site = site();
    for line in ["issue client2", "export client1 --format p12", "renew client1 --format ovpn12"] {
        let before = site.state();
        let outcome = site.run(&format!("{line} --generate-passphrase --dry-run")).succeeds();
        assert!(!outcome.stdout.contains("passphrases"), "{outcome}");
        assert_eq!(site.state(), before, "{line}");
    }
}

#[test]
fn what_is_no_passphrase_of_a_bundle_makes_none() {
    let site = site();
    let ascii = "is of ASCII letters, digits, signs and spaces";
    for (text, why) in [
        ("\n", "begins with an empty line"),
        ("K\u{f6}ln\n", ascii),
        ("a\tb\n", ascii),
        (&"a".repeat(128), "at most 127 characters"),
    ] {
        site.write("word", text);
        for line in ["export client1", "export client1 --format p12", "issue client2", "renew client1 --format ovpn12"]
        {
            site.refuses(&format!("{line} --key-passphrase-file word"), 2, why);
        }
    }
    site.refuses("issue client2 --key-passphrase-file nowhere", 1, "nowhere");
}

#[test]
fn what_makes_no_sense_with_a_passphrase_is_refused() {
    let site = site();
    for (line, why) in [
        ("export client1 --format p12 --batch", "the format `p12` needs a passphrase, and nobody is there to ask"),
        ("issue client2 --format ovpn12 --batch", "the format `ovpn12` needs a passphrase, and nobody is there to ask"),
        ("export client1 --key-passphrase-file word --generate-passphrase", "cannot be used with"),
        ("issue client2 --no-export --generate-passphrase", "cannot be used with"),
        ("renew client1 --no-export --key-passphrase-file word", "cannot be used with"),
        ("export client1 --p12-legacy", "there is none in this bundle"),
        ("export client1 --format zip --p12-legacy --generate-passphrase", "there is none in this bundle"),
        ("export server --force --generate-passphrase", "`server` is a server"),
        ("issue server-b --role server --key-passphrase-file word", "`server-b` is a server"),
        ("export server --format p12 --generate-passphrase", "a server's bundle is a `dir` or a `zip`, not `p12`"),
    ] {
        site.refuses(line, 2, why);
    }
}

#[test]
fn the_vaults_passphrase_is_never_a_bundles() {
    let site = Site::empty();
    site.write("secret", "of the vault\n");
    site.write("word", PASSPHRASE);
    site.run("init --remote vpn.example.com --passphrase-file secret --issue client1").succeeds();
    let why = "a bundle's owner must not know the vault's passphrase";
    site.refuses("export client1 --force --passphrase-file secret --key-passphrase-file secret", 2, why);
    let mut by_environment = site.vpnpki("export client1 --force --key-passphrase-file secret");
    site.leaves(by_environment.env("VPNPKI_PASSPHRASE_FILE", "secret"), 2, why);
    // the bundle's does not open the vault
    site.refuses("export client1 --force --key-passphrase-file secret --batch", 4, "the vault is locked");
    site.run("export client1 --force --passphrase-file secret --key-passphrase-file word").succeeds();
    opened(&site.read("client1.ovpn"), PASSPHRASE);
}
