//! What opens the vault: listed, added, removed, and kept while the vault gets a new identity.
//! Passphrases cost most of a second each, so keys are used where they do as well.

use std::{fs, process::Command};

use vpnpki::{
    inventory::SecretKind,
    store::{self, Access},
    vault::{self, Binding, IdentityFile, Key},
};

use crate::{
    common::Outcome,
    keyholders::{contains, locked, AGE, IDENTITY, OTHER_IDENTITY},
    site::Site,
};

const ED25519: [&str; 2] =
    [include_str!("../../src/vault/fixtures/ed25519.pub"), include_str!("../../src/vault/fixtures/ed25519")];

fn with_recipient(site: &Site, line: &str, recipient: &str) -> Command {
    let mut command = site.vpnpki(line);
    command.args(["--recipient", recipient]);
    command
}

/// An authority that opens by `key` and by the SSH key in `ssh`.
fn with_two() -> Site {
    let site = locked();
    site.write("ssh", ED25519[1]);
    Outcome::of(&mut with_recipient(&site, "unlocker add --label laptop --identity key", ED25519[0])).succeeds();
    site
}

fn labels(site: &Site) -> Vec<String> {
    let listing = site.json("unlocker list");
    let rows = listing["unlockers"].as_array().expect("rows");
    rows.iter().map(|row| row["label"].as_str().expect("a label").to_owned()).collect()
}

#[test]
fn they_are_listed_without_a_key() {
    let site = with_two();
    site.run("unlocker list").succeeds().says("  2  recipient   ").says("laptop");
    let rows = site.json("unlocker list")["unlockers"].clone();
    assert_eq!((rows[0]["number"].as_u64(), rows[0]["recipient"].as_str()), (Some(1), Some(AGE)));
    assert_eq!((rows[1]["kind"].as_str(), rows[1]["label"].as_str()), (Some("recipient"), Some("laptop")));
    assert!(rows[1]["since"].as_str().is_some_and(|since| since.ends_with('Z')), "{rows}");
}

#[test]
fn a_key_that_was_added_opens_the_vault() {
    let site = with_two();
    site.run("issue client2 --identity ssh").succeeds();
    site.run("log verify --identity ssh").succeeds().says("with the vault");
    site.run("log").says("unlocker add: unlocker 2 `laptop` (recipient)");
}

#[test]
fn a_passphrase_that_was_added_opens_the_vault() {
    let site = Site::new();
    site.write("new", "correct horse\n");
    site.run("unlocker add --new-passphrase-file new --label safe").succeeds().says("`vault.key` still opens");
    site.run("unlocker remove 1").exits(1).says("`--yes` says that it is meant");
    assert!(site.path("pki/vault.key").exists());
    site.run("unlocker remove 1 --yes").succeeds().says("removed pki/vault.key").says("unlocker rotate");
    assert!(!site.path("pki/vault.key").exists());
    site.refuses("issue client2 --batch", 4, "no passphrase was given");
    site.run("issue client2 --passphrase-file new").succeeds();
    site.write("wrong", "wrong horse\n");
    for line in ["unlocker add --new-passphrase-file new", "unlocker remove safe", "unlocker rotate"] {
        let code = if line.contains("remove") { 1 } else { 4 };
        site.refuses(&format!("{line} --passphrase-file wrong"), code, "");
    }
    site.refuses("unlocker remove safe --passphrase-file new --yes", 1, "nothing else opens the vault");
}

#[test]
fn a_key_that_a_kill_left_behind_does_not_shut_the_vault() {
    let site = Site::new();
    site.write("new", "correct horse\n");
    site.run("unlocker add --new-passphrase-file new").succeeds();
    let key = site.text("pki/vault.key");
    site.run("unlocker remove 1 --yes").succeeds();
    site.write("pki/vault.key", &key);
    site.sh("chmod 0600 pki/vault.key");
    site.run("issue client2 --passphrase-file new").succeeds();
}

#[test]
fn the_last_one_stays() {
    let site = locked();
    site.refuses("unlocker remove 1 --yes --identity key", 1, "nothing else opens the vault");
}

#[test]
fn one_that_was_removed_opens_nothing() {
    let site = with_two();
    site.run("unlocker remove laptop --identity key").succeeds();
    site.refuses("issue client2 --identity ssh", 4, "stays locked");
    site.run("log verify --identity key").succeeds().says("with the vault");
    assert_eq!(labels(&site).len(), 1);
    site.run("log").says("unlocker remove: removed unlocker 2 `laptop`");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let site = with_two();
    site.refuses("unlocker remove nobody --identity key", 1, "there is no unlocker `nobody`");
    site.refuses("unlocker remove 3 --identity key", 1, "there is no unlocker `3`");
    site.leaves(&mut with_recipient(&site, "unlocker add --identity key", AGE), 1, "opens the vault already");
    site.leaves(&mut with_recipient(&site, "unlocker add --identity key", &AGE[..40]), 2, "no whole public key");
    site.leaves(&mut with_recipient(&site, "unlocker add --identity key", IDENTITY), 2, "a private key was given");
    site.write("new", "correct horse\n");
    let add = "unlocker add --new-passphrase-file new --identity key --label";
    site.refuses(&format!("{add} laptop"), 1, "belongs to another unlocker");
    site.refuses(&format!("{add} 7"), 2, "taken for another");
    site.refuses("unlocker add --identity key --batch", 2, "no new passphrase was given");
    site.refuses("unlocker rotate --identity key --drop nobody", 1, "there is no unlocker");
    site.refuses("unlocker rotate --identity key --drop 1 --drop 2", 1, "nothing else opens the vault");
    site.write("other", OTHER_IDENTITY);
    for line in ["add --new-passphrase-file new", "remove 2", "rotate"] {
        site.refuses(&format!("unlocker {line} --identity other"), 4, "stays locked");
    }
}

#[test]
fn a_dry_run_changes_nothing() {
    let site = with_two();
    site.write("new", "correct horse\n");
    for line in ["add --new-passphrase-file new", "remove laptop", "rotate"] {
        site.refuses(&format!("unlocker {line} --dry-run --identity key"), 0, "would");
    }
}

#[test]
fn rotating_keeps_every_key_and_secret() {
    let site = with_two();
    site.run("issue client2 client3 --no-export --identity key").succeeds();
    site.run("revoke client2 --identity key").succeeds();
    let bundle = site.read("client1.ovpn");
    // an entry without a MAC stays one
    site.sh("cp -r server other").succeeds();
    site.run("crl publish --add other").succeeds();
    site.run("unlocker rotate --identity key").succeeds().says("5 secrets are sealed anew");
    for key in ["key", "ssh"] {
        site.run(&format!("log verify --identity {key}")).succeeds().says("with the vault");
        site.run(&format!("export client1 --force --identity {key}")).succeeds();
        assert_eq!(site.read("client1.ovpn"), bundle);
        site.run(&format!("revoke client3 --identity {key}")).succeeds();
    }
    site.run("issue client4 --identity key").succeeds();
    assert!(!contains(&site.read("pki/pki.db"), b"AGE-SECRET-KEY"));
}

#[test]
fn more_keys_than_one_entry_holds_are_rotated() {
    let site = locked();
    let names: Vec<String> = (0..1100).map(|number| format!("c{number}")).collect();
    site.run(&format!("issue {} --no-export --identity key", names.join(" "))).succeeds();
    site.run("unlocker rotate --identity key").succeeds().says("1104 secrets");
    let entries = site.run("log").stdout.lines().filter(|line| line.contains("unlocker rotate")).count();
    assert_eq!(entries, 3);
    site.run("log verify --identity key").succeeds().says("with the vault");
    site.run("issue one-more --identity key").succeeds();
    site.run("export c0 c1099 --format zip -o . --identity key").succeeds();
}

#[test]
fn a_vault_of_before_opens_nothing_that_is_sealed_after() {
    let site = locked();
    let before = open_vault(&site);
    site.run("unlocker rotate --identity key").succeeds();
    let store = store::open(&site.path("pki"), Access::Read).expect("the store");
    let view = store.snapshot().expect("a snapshot");
    let sealed = view.secret(SecretKind::ControlChannel).expect("a store").expect("ta.key").sealed;
    let binding = Binding::control_channel_key(&view.identity().expect("an authority").id, None);
    assert!(open_vault(&site).unseal(&binding, &sealed).is_ok());
    assert!(before.unseal(&binding, &sealed).is_err(), "the vault of before opens it");
    let head = view.head().expect("a ledger").expect("a head");
    assert!(!before.verify_mac(&head.hash.0, &head.mac.expect("a MAC").0), "the MAC key of before made it");
}

fn open_vault(site: &Site) -> vault::VaultKeys {
    let store = store::open(&site.path("pki"), Access::Read).expect("the store");
    let unlockers = store.snapshot().expect("a snapshot").unlockers().expect("unlockers");
    let identity = IdentityFile::parse(&fs::read(site.path("key")).expect("a key")).expect("an identity");
    vault::open(&unlockers[0].wrapped, &Key::Identities(&identity)).expect("an open vault")
}

#[test]
fn passphrases_come_along_when_they_are_given() {
    let site = locked();
    for (file, word) in [("one", "first horse"), ("two", "second horse")] {
        site.write(file, &format!("{word}\n"));
        site.run(&format!("unlocker add --new-passphrase-file {file} --label {file} --identity key")).succeeds();
    }
    let outcome = site.refuses("unlocker rotate --identity key", 1, "the passphrase of `one` and of `two` is needed");
    assert!(outcome.stderr.contains("`--passphrase-of one=FILE` keeps it, `--drop one` leaves it out"), "{outcome}");
    site.refuses("unlocker rotate --passphrase-file one", 1, "the passphrase of `two` is needed");
    let wrong = "unlocker rotate --passphrase-file one --passphrase-of two=one";
    site.refuses(wrong, 4, "the passphrase that was given for `two` was not taken");
    site.run("unlocker rotate --passphrase-file one --passphrase-of two=two").succeeds();
    site.run("log verify --passphrase-file two").succeeds().says("with the vault");
    site.run("unlocker rotate --passphrase-file one --drop two").succeeds().says("no longer  two");
    assert_eq!(labels(&site).len(), 2);
    site.refuses("log verify --passphrase-file two", 4, "the passphrase is wrong");
    site.run("log verify --passphrase-file one").succeeds().says("with the vault");
}

#[test]
fn a_store_that_was_changed_is_not_rotated() {
    let site = with_two();
    let database = rusqlite::Connection::open_with_flags(site.path("pki/pki.db"), rusqlite::OpenFlags::default());
    let swap = format!("UPDATE unlocker SET recipient = '{OTHER}' WHERE number = 2");
    database.expect("the store").execute_batch(&swap).expect("a change");
    for line in ["unlocker rotate", "unlocker remove 2"] {
        site.refuses(&format!("{line} --identity key"), 1, "`unlocker/2` is not what the ledger says it is");
    }
    let add = &mut with_recipient(&site, "unlocker add --identity key", "age1paper1pzry9x8ghwf25c");
    add.env("PATH", "/nowhere");
    site.leaves(add, 1, "`age-plugin-paper` is not on the PATH");
    site.refuses("backup -o backup", 1, "`unlocker/2` is not what the ledger says it is");
}

/// A key of nobody here.
const OTHER: &str = "age1lvyvwawkr0mcnnnncaghunadrqkmuf9e6507x9y920xxpp866cnql7dp2z";
