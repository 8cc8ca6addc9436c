//! Peers of every kind in one authority: recipients on record, keys with their owners, keys that are not kept, servers;
//! and what becomes of them when bundles of all are asked for at once.
//! What is in a bundle is in `bundles`, `programs`, `encrypted` and `encryption`.

use std::{fs, os::unix::fs::PermissionsExt};

use serde_json::Value;
use vpnpki::{
    pki::PrivateKey,
    secret::Secret,
    vault::{open_envelope, IdentityFile, Key},
};

use crate::{
    common::tree,
    keyholders::{AGE, IDENTITY},
    site::Site,
};

/// `keeper` has a recipient on record, `owner` the private key, `plain` nothing of either; bundles go to `out`.
fn site(options: &str) -> Site {
    let site = Site::made(options);
    fs::create_dir(site.path("out")).expect("a directory");
    site.run("enroll owner").succeeds();
    site.run("issue owner --csr owner.csr --no-export").succeeds();
    site.run(&format!("issue keeper --recipient {AGE} --no-export")).succeeds();
    site.run("issue plain --no-export").succeeds();
    site.write("word", "correct horse\n");
    fs::set_permissions(site.path("word"), fs::Permissions::from_mode(0o600)).expect("a file of ours");
    site
}

/// The bundles that were made, by their names.
fn made(site: &Site) -> Vec<String> {
    let tree = tree(&site.path("out"));
    tree.keys().map(|path| path.display().to_string()).filter(|path| !path.contains('/')).collect()
}

fn opened(site: &Site, name: &str) -> String {
    let identity = IdentityFile::parse(IDENTITY.as_bytes()).expect("an identity");
    let opened = open_envelope(&site.read(name), &Key::Identities(&identity)).expect("a bundle");
    opened.expose_text().expect("a profile").to_owned()
}

#[track_caller]
fn is_locked_with(profile: &str, passphrase: &str) {
    assert!(!profile.contains("BEGIN PRIVATE KEY"), "{profile}");
    PrivateKey::from_encrypted_pem(profile.as_bytes(), &Secret::from(passphrase.to_owned())).expect("the key");
}

#[test]
fn all_get_what_each_has_agreed_on() {
    let site = site("");
    site.run("export --all -o out").succeeds();
    assert_eq!(made(&site), ["keeper.ovpn.age", "owner.ovpn", "plain.ovpn", "server"]);
    assert!(opened(&site, "out/keeper.ovpn.age").contains("<key>"));
    let owners = site.text("out/owner.ovpn");
    assert!(owners.contains("\nkey owner.key\n") && !owners.contains("PRIVATE KEY"), "{owners}");
    site.run("export --all -o out --force --clear").succeeds();
    assert_eq!(made(&site), ["keeper.ovpn", "keeper.ovpn.age", "owner.ovpn", "plain.ovpn", "server"]);
}

#[test]
fn a_passphrase_for_all_is_for_the_clients_whose_keys_are_here() {
    let site = site("");
    let exported = site.json("export --all --generate-passphrase -o out");
    assert_eq!(made(&site), ["keeper.ovpn.age", "owner.ovpn", "plain.ovpn"]);
    let passphrases: Vec<(&str, &str)> = exported["passphrases"]
        .as_array()
        .expect("passphrases")
        .iter()
        .map(|new| (new["name"].as_str().expect("a name"), new["passphrase"].as_str().expect("a text")))
        .collect();
    let [("keeper", keepers), ("plain", plains)] = passphrases[..] else { panic!("{exported}") };
    is_locked_with(&opened(&site, "out/keeper.ovpn.age"), keepers);
    is_locked_with(&site.text("out/plain.ovpn"), plains);
    assert!(!site.text("out/owner.ovpn").contains("PRIVATE KEY"));
    let given = site.run("export --all --key-passphrase-file word -o out --force").succeeds();
    given.says("2 bundles have the same passphrase");
    is_locked_with(&site.text("out/plain.ovpn"), "correct horse");
    site.run("doctor --json").says("\"findings\"");
}

#[test]
fn what_is_said_of_recipients_is_said_for_all() {
    let site = site("");
    site.refuses(&format!("export --all --encrypt-to {AGE} -o out"), 2, "the bundle of `server` is encrypted, and a");
    site.run(&format!("export --all --for openvpn --encrypt-to {AGE} --generate-passphrase -o out")).succeeds();
    assert_eq!(made(&site), ["keeper.ovpn.age", "owner.ovpn.age", "plain.ovpn.age"]);
    assert!(opened(&site, "out/owner.ovpn.age").contains("\nkey owner.key\n"));
    site.run(&format!("export --all --format zip --encrypt-to {AGE} -o out")).succeeds();
    assert!(made(&site).contains(&"server.zip.age".to_owned()), "{:?}", made(&site));
}

#[test]
fn what_one_of_all_cannot_have_nobody_gets() {
    let site = site("--control-channel tls-auth");
    for (line, code, why) in [
        ("--all --format p12 --generate-passphrase", 1, "`owner`: no bundle was made: a `p12` holds the private key"),
        ("--all --for ios --format ovpn12 --key-passphrase-file word", 1, "a `ovpn12` holds the private key"),
        ("--all --for networkmanager --format nm", 1, "`owner`: no bundle was made: a `nm` holds the private key"),
        ("--all --for openwrt", 1, "`owner`: no bundle was made: a `uci` holds the private key"),
        ("--all --for tunnelblick", 1, "`owner`: no bundle was made: a `tblk` holds the private key"),
        ("--all --for chromeos", 1, "`owner`: no bundle was made: a `onc` holds the private key"),
        ("--all --for chromeos --generate-passphrase", 2, "ChromeOS imports a key without a passphrase only"),
        ("--all --for aws-client-vpn", 1, "the client of AWS"),
        ("plain server --format tblk", 2, "a server's bundle is a `dir` or a `zip`, not `tblk`"),
        ("--all --format dir", 2, "the bundle of `keeper` is encrypted, and a directory cannot be"),
        ("--all --for openvpn --format dir", 2, "the bundle of `keeper` is encrypted, and a directory cannot be"),
        ("plain owner --generate-passphrase", 1, "`owner`: no bundle was made: a passphrase protects the private key"),
        ("plain owner --key-passphrase-file word", 1, "its owner keeps this one"),
        ("plain server --generate-passphrase", 2, "`server` is a server"),
    ] {
        for dry in ["", " --dry-run"] {
            site.refuses(&format!("export {line} -o out{dry}"), code, why);
        }
    }
    site.run("enroll new").succeeds();
    let elsewhere = "`new`: no bundle was made: a passphrase protects the private key";
    site.refuses("issue new --csr new.csr --generate-passphrase", 1, elsewhere);
    site.refuses("issue new --csr new.csr --format uci", 1, "a `uci` holds the private key");
    site.refuses("renew owner --csr new.csr --key-passphrase-file word", 1, "a passphrase protects the private key");
}

#[test]
fn one_who_cannot_have_it_keeps_back_more_than_fit_into_one_batch() {
    let site = Site::made("");
    fs::create_dir(site.path("out")).expect("a directory");
    let many: Vec<String> = (0..260).map(|number| format!("a{number}")).collect();
    site.run(&format!("issue {} --no-export", many.join(" "))).succeeds();
    site.run("enroll owner").succeeds();
    site.run("issue owner --csr owner.csr --no-export").succeeds();
    site.refuses("export --all --for tunnelblick -o out", 1, "`owner`: no bundle was made");
    site.set("#keep", "keep = \"never\"");
    site.run("issue unkept --no-export").succeeds();
    site.refuses("export --all -o out", 1, "`unkept`");
}

#[test]
fn what_is_in_place_is_told_when_a_later_batch_fails() {
    let site = Site::made("");
    fs::create_dir_all(site.path("out/b.ovpn")).expect("a directory in the way");
    let many: Vec<String> = (0..256).map(|number| format!("a{number}")).collect();
    site.run(&format!("issue {} b c --no-export", many.join(" "))).succeeds();
    let line = "export --all --for openvpn --force -o out";
    let before = site.state();
    let failed = site.run(line).exits(1).says("`b` is exported, but `out/b.ovpn` could not be put in place");
    assert!(failed.stdout.contains("out/a255.ovpn") && !failed.stdout.contains("out/c.ovpn"), "{failed}");
    assert!(failed.stderr.contains("`out/c.ovpn` could not be put in place"), "{failed}");
    assert_eq!(site.state().keys().filter(|path| !before.contains_key(*path)).count(), 256);
    fs::remove_dir(site.path("out/b.ovpn")).expect("the directory");
    site.run(line).succeeds();
    assert_eq!(made(&site).len(), 258);
}

#[test]
fn a_key_that_is_not_kept_makes_no_bundle_of_any_form_again() {
    let site = Site::made("--control-channel tls-auth");
    site.set("#keep", "keep = \"never\"");
    for (format, more) in [
        ("ovpn", ""),
        ("zip", ""),
        ("dir", ""),
        ("tblk", ""),
        ("nm", ""),
        ("uci", ""),
        ("onc", ""),
        ("p12", "--generate-passphrase"),
        ("ovpn12", "--generate-passphrase"),
    ] {
        let name = format!("by-{format}");
        // the one bundle is made where the key is
        site.run(&format!("issue {name} --format {format} {more}")).succeeds();
        let again = format!("export {name} --format {format} {more} -o again");
        let refused = site.refuses(&again, 1, &format!("`{name}`")).says("its private key is not kept");
        assert!(refused.stderr.contains(&format!("hint: `vpnpki issue {name}`")), "{refused}");
    }
}

#[test]
fn every_kind_of_peer_comes_back_from_a_backup_and_is_forgotten() {
    let site = site("--publish server");
    site.run("backup -o kept.backup").succeeds();
    site.run("--pki again restore kept.backup --identity pki/vault.key --no-publish").succeeds();
    let peers = |dir: &str| {
        let listed = site.json(&format!("--pki {dir} list"))["certificates"].clone();
        let one = |one: &Value| (one["name"].clone(), one["key_with_owner"].clone(), one["recipients"].clone());
        listed.as_array().expect("certificates").iter().map(one).collect::<Vec<_>>()
    };
    assert_eq!(peers("again"), peers("pki"));
    assert_eq!(peers("pki").iter().filter(|(_, _, recipients)| recipients[0] == AGE).count(), 1);
    site.run("--pki again export --all -o out").succeeds();
    assert_eq!(made(&site), ["keeper.ovpn.age", "owner.ovpn", "plain.ovpn", "server"]);
    site.run("--pki again log verify").succeeds();

    site.run("revoke owner keeper").succeeds();
    // nothing of the owner is here but what the certificate says
    site.run("forget owner --yes").succeeds();
    site.run("forget keeper --yes").succeeds().says("the recipients");
    let shown = site.json("show owner");
    assert_eq!(shown["certificates"][0]["key_with_owner"], true, "{shown}");
    site.run("log verify").succeeds();
    let found = site.run("doctor").succeeds().says("LOCKED OUT owner").says("nothing is due or wrong");
    // `enroll` made it, and nobody here could make it again
    assert!(found.says("owner.key: holds a private key alone").stdout.contains("nothing makes one of `vpnpki enroll`"));
}

#[test]
fn a_client_key_of_its_own_is_refused_to_a_program_that_knows_none() {
    let site = Site::made("--control-channel tls-crypt-v2 --issue anna");
    assert!(site.text("anna.ovpn").contains("<tls-crypt-v2>"));
    let why = "no bundle was made for `openvpn24`: `tls-crypt-v2`: OpenVPN knows it from 2.5 on";
    site.refuses("export anna --for openvpn24 -o new", 1, why);
    site.refuses("export --all --for openvpn24 --force", 1, why);
    site.refuses("issue ben --for openvpn24", 1, why);
    site.run("export anna --for openvpn25 -o new").succeeds();
}
