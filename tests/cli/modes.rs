//! Who may read what: modes whatever the umask, links that are not followed, files that are not overwritten.
//! What belongs to whom inside the PKI directory is in `golden/ownership.txt`.

use std::{collections::BTreeMap, fs, os::unix::fs::symlink, path::PathBuf};

use crate::{
    common::{tree, Outcome},
    site::Site,
};

/// What one `init`, one `issue` and three exports make.
const EXPECTED: &[(&str, u32)] = &[
    ("client1", 0o755),
    ("client1.ovpn", 0o600),
    ("client1.zip", 0o600),
    ("client1/ca.crt", 0o644),
    ("client1/client1.crt", 0o644),
    ("client1/client1.key", 0o600),
    ("client1/config.ovpn", 0o644),
    ("client1/ta.key", 0o600),
    ("client2.ovpn", 0o600),
    ("crl.pem", 0o644),
    ("pki", 0o700),
    ("pki/pki.db", 0o600),
    ("pki/vault.key", 0o600),
    ("pki/vpnpki.toml", 0o644),
    ("server", 0o755),
    ("server/ca.crt", 0o644),
    ("server/crl.pem", 0o644),
    ("server/dh.pem", 0o644),
    ("server/server.conf", 0o644),
    ("server/server.crt", 0o644),
    ("server/server.key", 0o600),
    ("server/ta.key", 0o600),
];

#[track_caller]
fn under(umask: &str) {
    let site = Site::empty();
    for line in [
        "init --remote vpn.example.com --issue client1 --publish server --no-passphrase",
        "issue client2",
        "export client1 --format zip",
        "export client1 --format dir",
        "crl publish -o crl.pem",
        "revoke client2",
        "export client1 --force",
        "export server --force",
        "crl refresh",
        "log verify",
    ] {
        Outcome::of(&mut site.shell(&format!("umask {umask}; exec vpnpki {line}"))).succeeds();
    }
    let expected: BTreeMap<PathBuf, u32> = EXPECTED.iter().map(|(name, mode)| (PathBuf::from(name), *mode)).collect();
    assert_eq!(tree(site.dir()), expected, "umask {umask}");
    let file = fs::File::open(site.path("client1.zip")).expect("an archive");
    let mut archive = zip::ZipArchive::new(file).expect("an archive");
    for index in 0..archive.len() {
        let entry = archive.by_index(index).expect("an entry");
        let name = entry.name().expect("a name");
        let mode = if name.ends_with(".key") { 0o100_600 } else { 0o100_644 };
        assert_eq!(entry.unix_mode(), Some(mode), "umask {umask}: {name}");
    }
}

#[test]
fn an_open_umask_opens_nothing() {
    under("000");
}

#[test]
fn a_strict_umask_closes_nothing_that_servers_read() {
    under("077");
}

#[test]
fn a_umask_that_takes_everything_changes_nothing() {
    under("777");
}

#[test]
fn a_recovery_identity_is_private_under_an_open_umask() {
    let site = Site::empty();
    let line = format!(
        "umask 000; exec vpnpki init --remote vpn.example.com --no-export --recipient {} --recovery key",
        crate::keyholders::AGE
    );
    Outcome::of(&mut site.shell(&line)).succeeds();
    assert_eq!(tree(site.dir())[&PathBuf::from("key")], 0o600);
}

/// Lines that write to `out`, as it is typed.
const WRITERS: &[&str] = &[
    "issue client2 -o out --force",
    "issue client2 -o out",
    "export client1 -o out --force",
    "export client1 -o out --format zip --force",
    "export client1 -o out --format dir --force",
    "export server -o out --force",
    "export server -o out --publish --force",
    "crl publish -o out",
    "generate man -o out",
];

#[test]
fn a_link_to_a_file_is_not_followed() {
    linked("file");
}

#[test]
fn a_link_to_a_directory_is_not_followed() {
    linked("folder");
}

#[test]
fn a_link_to_nothing_is_not_followed() {
    linked("nothing");
}

#[track_caller]
fn linked(to: &str) {
    let site = Site::new();
    site.write("file", "precious");
    fs::create_dir(site.path("folder")).expect("a directory");
    symlink(to, site.path("out")).expect("a link");
    for line in WRITERS {
        // man pages are public and go into whatever directory is named
        if !line.starts_with("generate") || to != "folder" {
            site.refuses(line, 1, "out");
        }
    }
    fs::create_dir(site.path("bundles")).expect("a directory");
    symlink(format!("../{to}"), site.path("bundles/client1.ovpn")).expect("a link");
    site.refuses("export client1 -o bundles --force", 1, "symbolic link");
    site.refuses("export --all -o bundles --force", 1, "symbolic link");
}

#[test]
fn the_authority_is_not_made_through_a_link() {
    for to in ["nothing", "folder"] {
        let site = Site::empty();
        fs::create_dir(site.path("folder")).expect("a directory");
        symlink(to, site.path("pki")).expect("a link");
        site.refuses("init --remote vpn.example.com --no-passphrase --no-export", 1, "pki");
    }
}

#[test]
fn what_exists_is_kept_without_force_and_replaced_with_it() {
    let site = Site::new();
    site.run("export client1 --format zip").succeeds();
    site.run("export client1 --format dir").succeeds();
    let names = ["client1.ovpn", "client1.zip", "client1/config.ovpn", "client1/client1.key", "server/server.key"];
    for name in names {
        site.write(name, "somebody's own");
    }
    let lines = ["export client1", "export client1 --format zip", "export client1 --format dir", "export server"];
    for line in lines {
        site.refuses(line, 1, "exists and was not overwritten");
    }
    site.refuses("export --all", 1, "exists and was not overwritten");
    for line in lines {
        site.run(&format!("{line} --force")).succeeds();
    }
    for name in names {
        assert_ne!(site.read(name), b"somebody's own", "{name}");
        let private = !name.ends_with("config.ovpn");
        assert_eq!(tree(site.dir())[&PathBuf::from(name)], if private { 0o600 } else { 0o644 }, "{name}");
    }
}

#[test]
fn what_exists_stops_an_issue_before_anything_is_recorded() {
    let site = Site::new();
    site.write("client2.ovpn", "somebody's own");
    site.refuses("issue client2", 1, "exists and was not overwritten");
    site.refuses("issue client3 client2", 1, "exists and was not overwritten");
    site.write("server.zip", "somebody's own");
    site.refuses("issue server2 --role server -o server.zip --format zip", 1, "exists and was not overwritten");
    site.run("issue client2 --force").succeeds();
    assert!(site.text("client2.ovpn").contains("BEGIN CERTIFICATE"));
}

#[test]
fn what_exists_stops_an_init_before_anything_is_made() {
    for name in ["client1.ovpn", "server"] {
        let site = Site::empty();
        site.write(name, "somebody's own");
        site.refuses("init --remote vpn.example.com --issue client1 --no-passphrase", 1, name);
    }
}
