//! What is in a bundle, and what never is.
//! That clients connect with it is proven in `tests/peers`.

use std::{fs, io::Read};

use vpnpki::{
    openvpn::tls_crypt_v2::{ClientKey, Metadata, ServerKey},
    pki::{read_leaf, IssuerCertificate, PrivateKey},
};

use crate::{
    common::{tree, Outcome},
    site::Site,
};

fn names_in(site: &Site, dir: &str) -> Vec<String> {
    tree(&site.path(dir)).into_keys().map(|path| path.display().to_string()).collect()
}

/// Names and texts of an archive's entries, in their order.
fn entries(site: &Site, name: &str) -> Vec<(String, Vec<u8>)> {
    let mut archive = zip::ZipArchive::new(fs::File::open(site.path(name)).expect("an archive")).expect("an archive");
    let mut found = Vec::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).expect("an entry");
        let mut text = Vec::new();
        entry.read_to_end(&mut text).expect("a text");
        found.push((entry.name().expect("a name").into_owned(), text));
    }
    found
}

fn der(pem: &[u8]) -> Vec<u8> {
    pem::parse(pem).expect("PEM").contents().to_vec()
}

#[test]
fn a_client_directory_holds_five_files() {
    let site = Site::new();
    site.run("export client1 --format dir").succeeds();
    assert_eq!(names_in(&site, "client1"), ["ca.crt", "client1.crt", "client1.key", "config.ovpn", "ta.key"]);
}

#[test]
fn a_client_archive_holds_the_same_five_and_the_same_bytes() {
    let site = Site::new();
    site.run("export client1 --format dir").succeeds();
    site.run("export client1 --format zip").succeeds();
    let entries = entries(&site, "client1.zip");
    let names: Vec<&str> = entries.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["config.ovpn", "ca.crt", "client1.crt", "client1.key", "ta.key"]);
    for (name, text) in &entries {
        assert_eq!(&site.read(&format!("client1/{name}")), text, "{name}");
    }
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let site = Site::new();
    for (line, out) in [
        ("export client1 --format zip", "one"),
        ("export client1 --format ovpn", "two"),
        ("export server --format zip", "three"),
    ] {
        site.run(&format!("{line} -o {out}")).succeeds();
        std::thread::sleep(std::time::Duration::from_millis(2100));
        site.run(&format!("{line} -o again")).succeeds();
        assert_eq!(site.read(out), site.read("again"), "{line}");
        fs::remove_file(site.path("again")).expect("a file");
    }
}

#[test]
fn certificates_and_keys_are_plain_pem() {
    let site = Site::new();
    site.run("export client1 --format dir").succeeds();
    let files = ["client1/ca.crt", "client1/client1.crt", "client1/client1.key", "server/ca.crt"];
    for name in files.into_iter().chain(["server/server.crt", "server/server.key", "server/crl.pem", "server/dh.pem"]) {
        let text = site.text(name);
        assert!(text.starts_with("-----BEGIN ") && text.ends_with("-----\n"), "{name}: {text}");
        assert!(!text.contains('\r') && text.matches("-----BEGIN ").count() == 1, "{name}: {text}");
    }
}

#[test]
fn a_profile_has_everything_inside() {
    let site = Site::new();
    let profile = site.text("client1.ovpn");
    for tag in ["ca", "cert", "key", "tls-crypt"] {
        assert_eq!(profile.matches(&format!("\n<{tag}>\n")).count(), 1, "{profile}");
        assert_eq!(profile.matches(&format!("\n</{tag}>\n")).count(), 1, "{profile}");
    }
    for word in ["\nca ", "\ncert ", "\nkey ", "/", "\\"] {
        let outside = profile.split("\n<ca>").next().expect("what comes first");
        assert!(!outside.contains(word), "{outside}");
    }
}

#[test]
fn a_server_directory_holds_seven_files_and_six_without_parameters() {
    let site = Site::new();
    let seven = ["ca.crt", "crl.pem", "dh.pem", "server.conf", "server.crt", "server.key", "ta.key"];
    assert_eq!(names_in(&site, "server"), seven);
    assert!(site.text("server/server.conf").contains("\ndh dh.pem\n"));
    site.run("export server --format zip").succeeds();
    let mut zipped: Vec<String> = entries(&site, "server.zip").into_iter().map(|(name, _)| name).collect();
    zipped.sort();
    assert_eq!(zipped, seven);

    let site = Site::made("--dh none");
    assert_eq!(names_in(&site, "server"), seven.into_iter().filter(|name| *name != "dh.pem").collect::<Vec<_>>());
    assert!(site.text("server/server.conf").contains("\ndh none\n"));
}

#[test]
fn a_server_configuration_names_its_files_by_relative_path() {
    let site = Site::new();
    for line in site.text("server/server.conf").lines() {
        for word in ["ca ", "cert ", "key ", "dh ", "tls-crypt ", "crl-verify "] {
            assert!(!line.starts_with(word) || !line.contains('/'), "{line}");
        }
    }
}

#[test]
fn no_bundle_holds_the_key_of_the_ca() {
    let site = Site::new();
    site.run("export client1 --format dir").succeeds();
    let issuer = IssuerCertificate::parse(&der(&site.read("server/ca.crt"))).expect("a CA");
    for (dir, stem) in [("server", "server"), ("client1", "client1")] {
        let keys: Vec<String> = names_in(&site, dir)
            .into_iter()
            .filter(|name| site.text(&format!("{dir}/{name}")).contains("PRIVATE KEY"))
            .collect();
        assert_eq!(keys, [format!("{stem}.key")], "{dir}");
        let text = site.text(&format!("{dir}/{stem}.key"));
        assert_eq!(text.matches("PRIVATE KEY").count(), 2, "one block: {text}");
        let key = PrivateKey::from_pem(text.as_bytes()).expect("a key");
        assert!(!issuer.matches(&key), "{dir} holds the key of the CA");
        let leaf = read_leaf(&der(&site.read(&format!("{dir}/{stem}.crt")))).expect("a certificate");
        assert_eq!(key.spki(), leaf.spki, "{dir}");
    }
    assert_eq!(site.text("client1.ovpn").matches("PRIVATE KEY").count(), 2);
}

#[test]
fn bundles_are_named_as_the_settings_say() {
    let site = Site::new();
    site.set("#file-name", "file-name = \"{name}-{vpn}\"");
    site.set("#name", "name = \"office\"");
    site.run("issue client2").succeeds();
    site.run("export client2 --format zip").succeeds();
    assert!(site.path("client2-office.ovpn").exists() && site.path("client2-office.zip").exists());
    let inside: Vec<String> = entries(&site, "client2-office.zip").into_iter().map(|(name, _)| name).collect();
    assert_eq!(inside, ["config.ovpn", "ca.crt", "client2.crt", "client2.key", "ta.key"]);
    assert!(site.text("client2-office.ovpn").contains("setenv FRIENDLY_NAME office"));
}

#[test]
fn every_command_and_format_names_bundles_as_the_settings_say() {
    let site = Site::empty();
    fs::create_dir(site.path("pki")).expect("a directory");
    let settings =
        "[client]\nremotes = [\"vpn.example.com\"]\nfile-name = \"{vpn}-{name}\"\n[vpn]\nname = \"Our VPN\"\n";
    site.write("pki/vpnpki.toml", settings);
    site.run("init --no-passphrase --issue client1").succeeds();
    site.run("issue client2").succeeds();
    site.run("export client1 --format zip").succeeds();
    site.run("export client1 --format dir").succeeds();
    fs::create_dir(site.path("new")).expect("a directory");
    site.run("renew client1 -o new").succeeds();
    fs::create_dir(site.path("all")).expect("a directory");
    site.run("export --all --format zip -o all").succeeds();
    for made in ["client1.ovpn", "client2.ovpn", "client1.zip", "client1/config.ovpn"] {
        assert!(site.path(&format!("Our-VPN-{made}")).exists(), "{made}");
    }
    assert_eq!(names_in(&site, "new"), ["Our-VPN-client1.ovpn"]);
    assert_eq!(names_in(&site, "all"), ["Our-VPN-client1.zip", "Our-VPN-client2.zip", "server.zip"]);
}

#[test]
fn bundles_that_would_be_one_file_are_refused_before_anything_is_written() {
    let site = Site::made("--issue Edge --server-name server-edge");
    site.set("#file-name", "file-name = \"server-{name}\"");
    let why = "the bundles of `Edge` and `server-edge` would both be";
    site.refuses("export --all --format zip --force", 1, why).says("hint: `vpnpki export Edge -o PATH`");
    site.refuses("renew Edge server-edge --format dir -o .", 1, why);
    site.refuses("export Edge Edge --force", 2, "`Edge` is named twice");
    site.run("export Edge --format zip").succeeds();
}

#[test]
fn an_authority_whose_first_bundles_would_be_one_file_is_not_made() {
    let site = Site::empty();
    fs::create_dir(site.path("pki")).expect("a directory");
    site.write("pki/vpnpki.toml", "[client]\nremotes = [\"a\"]\nfile-name = \"server-{name}\"\n");
    let line = "init --no-passphrase --server-name server-1.ovpn --issue 1";
    site.refuses(line, 1, "the bundles of `1` and `server-1.ovpn` would both be");
}

#[test]
fn with_tls_crypt_v2_every_bundle_has_a_key_of_its_own() {
    let site = Site::made("--control-channel tls-crypt-v2 --issue client1 --issue client2");
    let server = ServerKey::parse(&site.read("server/ta.key")).expect("a server key");
    site.run("export client1 --format dir").succeeds();
    site.run("export client1 --format zip").succeeds();
    let zipped = entries(&site, "client1.zip").pop().expect("an entry");
    assert_eq!(zipped.0, "ta.key");
    let files = [site.read("client1.ovpn"), site.read("client2.ovpn"), site.read("client1/ta.key"), zipped.1];
    let mut seen = std::collections::HashSet::new();
    for file in files {
        let key = ClientKey::parse(&file).expect("a client key");
        assert!(matches!(key.unwrap(&server), Ok(Metadata::Made(_))));
        assert!(seen.insert(key.to_pem().expose().to_vec()), "one key in two bundles");
    }
    assert!(site.text("client1/config.ovpn").contains("\ntls-crypt-v2 ta.key\n"));
    assert!(site.text("server/server.conf").contains("\ntls-crypt-v2 ta.key\n"));
    site.run("export server -o again").succeeds();
    assert_eq!(site.read("again/ta.key"), site.read("server/ta.key"));
}

#[test]
fn a_control_channel_of_another_kind_makes_no_bundle() {
    for (made, asked) in [("tls-crypt", "tls-crypt-v2"), ("tls-crypt-v2", "tls-auth")] {
        let site = Site::made(&format!("--control-channel {made} --issue client1"));
        site.set("mode", &format!("mode = \"{asked}\""));
        let why = format!("`control-channel.mode` says `{asked}`, and the authority's ta.key is of another kind");
        for line in ["export client1 --force", "export server --format zip", "export --all --force -o ."] {
            site.refuses(line, 1, &why).says("hint: write `mode = \"tls-crypt");
        }
        // SQLite's own files may come and go; what counts is that nobody was issued
        site.run("issue client2").exits(1).says(&why);
        site.run("show client2").exits(1);
        site.set("mode", &format!("mode = \"{made}\""));
        site.run("issue client2").succeeds();
    }
    // the same key serves both
    let site = Site::made("--control-channel tls-crypt --issue client1");
    site.set("mode", "mode = \"tls-auth\"");
    site.run("export client1 --force").succeeds();
    assert!(site.text("client1.ovpn").contains("\nkey-direction 1\n"));
}

#[test]
fn a_note_is_in_no_bundle() {
    let site = Site::new();
    for (number, note) in ["\"; up /bin/sh #", "<ca>", "setenv opt up /bin/sh", "a\\"].iter().enumerate() {
        let name = format!("noted{number}");
        let mut issue = site.vpnpki(&format!("issue {name} --note"));
        Outcome::of(issue.arg(note)).succeeds();
        site.run(&format!("export {name} --format dir")).succeeds();
        // but for the name it is the configuration of somebody without a note
        let config = site.text(&format!("{name}/config.ovpn")).replace(&name, "client1");
        if number == 0 {
            site.run("export client1 --format dir").succeeds();
        }
        assert_eq!(config, site.text("client1/config.ovpn"), "{note}");
    }
    let mut issue = site.vpnpki("issue broken --note");
    site.leaves(issue.arg("a\nup /bin/sh"), 2, "a note is one line");
}

#[test]
fn every_algorithm_gives_a_key_of_its_kind() {
    for (algorithm, words) in [("p384", "p384"), ("rsa2048", "rsa2048"), ("ed25519", "ed25519")] {
        let site = Site::made(&format!("--key {algorithm} --issue client1"));
        assert_eq!(site.json("show client1")["certificates"][0]["algorithm"], words);
        site.run("issue client2 --key p256").succeeds();
        assert_eq!(site.json("show client2")["certificates"][0]["algorithm"], "p256");
        site.run("log verify").succeeds();
    }
}
