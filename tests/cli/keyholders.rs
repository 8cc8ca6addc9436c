//! Vaults that open by age and SSH keys, and by the clear key of `--no-passphrase`.
//! Passphrases are in `passphrases.rs`, since each costs most of a second.

use std::fs;

use crate::{common::Outcome, site::Site};

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../src/vault/fixtures/", $name))
    };
}

/// A recipient, and the identity that belongs to it.
pub const AGE: &str = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";
pub const IDENTITY: &str = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33\n";
/// An identity of nobody.
pub const OTHER_IDENTITY: &str =
    "# somebody else\nAGE-SECRET-KEY-1Z7QVTRSFA85SQ48W8NGU7EUD7JQ995XED2QURQ04WRUSD0RZRJ3SEXAQEZ\n";

const ED25519: [&str; 2] = [fixture!("ed25519.pub"), fixture!("ed25519")];
const RSA: [&str; 2] = [fixture!("rsa.pub"), fixture!("rsa")];
const LOCKED: [&str; 2] = [fixture!("ed25519-locked.pub"), fixture!("ed25519-locked")];

/// An authority whose vault opens with [`IDENTITY`], which lies in `key`; CRLs go to `server`.
pub fn locked() -> Site {
    let site = locked_to(&[AGE]);
    site.write("key", IDENTITY);
    site
}

fn locked_to(recipients: &[&str]) -> Site {
    let site = Site::empty();
    let mut command = site.vpnpki("init --remote vpn.example.com --issue client1 --publish server");
    for recipient in recipients {
        command.args(["--recipient", recipient]);
    }
    Outcome::of(&mut command).succeeds();
    site
}

#[track_caller]
fn opens(site: &Site, key: &str) {
    site.write("identity", key);
    site.run("issue client2 --no-export --identity identity").succeeds();
    site.run("revoke client2 --identity identity").succeeds();
    site.run("log verify --identity identity").succeeds().says("with the vault");
    Outcome::of(site.vpnpki("export client1 --force").env("VPNPKI_IDENTITY", "identity")).succeeds();
}

#[test]
fn an_age_identity_opens_its_vault() {
    opens(&locked_to(&[AGE]), IDENTITY);
}

#[test]
fn an_ed25519_key_of_ssh_opens_its_vault() {
    opens(&locked_to(&[ED25519[0]]), ED25519[1]);
}

#[test]
fn an_rsa_key_of_ssh_opens_its_vault() {
    opens(&locked_to(&[RSA[0]]), RSA[1]);
}

#[test]
fn each_of_several_recipients_opens_the_vault() {
    let site = locked_to(&[AGE, ED25519[0], RSA[0]]);
    for key in [IDENTITY, ED25519[1], RSA[1]] {
        opens(&site, key);
    }
    site.write("identity", OTHER_IDENTITY);
    site.refuses("issue client3 --identity identity", 4, "stays locked");
}

#[test]
fn an_ssh_key_with_a_passphrase_needs_it() {
    let site = locked_to(&[LOCKED[0]]);
    site.write("identity", LOCKED[1]);
    let line = "issue client2 --identity identity";
    site.leaves(&mut site.shell(&format!("vpnpki {line}")), 4, "no passphrase was given");
    let with = |passphrase: &str| {
        let mut command = site.vpnpki(line);
        command.env("VPNPKI_PASSPHRASE", passphrase);
        command
    };
    site.leaves(&mut with("wrong horse"), 4, "the SSH private key stays locked: the passphrase is wrong");
    Outcome::of(&mut with("correct horse")).succeeds();
}

#[test]
fn a_recovery_identity_opens_the_vault_and_is_not_kept() {
    let site = Site::empty();
    site.run(&format!(
        "init --remote vpn.example.com --issue client1 --publish server --recipient {AGE} --recovery recovery"
    ))
    .succeeds()
    .says("take it away from this machine");
    let recovery = site.text("recovery");
    opens(&site, &recovery);
    opens(&site, IDENTITY);
    let secret = recovery.lines().find(|line| line.starts_with("AGE-SECRET-KEY-")).expect("an identity");
    assert!(!contains(&site.read("pki/pki.db"), secret.as_bytes()));
}

#[test]
fn no_passphrase_means_a_key_in_clear_and_a_warning() {
    let site = Site::empty();
    let init = "init --remote vpn.example.com --no-export --no-passphrase";
    let outcome = site.run(init).succeeds();
    assert!(outcome.stderr.contains("warning: the CA key is only as safe as `vault.key`"), "{outcome}");
    let report = site.json(&format!("--pki other {init}"));
    assert!(report["warnings"][0].as_str().is_some_and(|warning| warning.contains("vault.key")), "{report}");
    // whoever takes the key away takes the vault away
    fs::rename(site.path("pki/vault.key"), site.path("kept")).expect("a file to move");
    site.leaves(&mut site.shell("vpnpki issue client1"), 4, "locked");
    site.run("issue client1 --identity kept").succeeds();
}

#[test]
fn one_way_in_is_a_warning() {
    let site = Site::empty();
    let init = |more: &str| site.run(&format!("init --remote vpn.example.com --no-export --recipient {AGE} {more}"));
    init("").succeeds().says("only one thing opens the vault").says("--recovery FILE");
    let two = init("--pki two --recovery recovery").succeeds();
    assert!(!two.stderr.contains("only one thing"), "{two}");
}

#[test]
fn nothing_secret_lies_in_clear_in_the_store() {
    for site in [locked(), Site::published("--issue client1 --key rsa2048")] {
        let store = site.read("pki/pki.db");
        for words in ["PRIVATE KEY", "OpenVPN Static key", "AGE-SECRET-KEY", "vpnpki-sealed"] {
            assert!(!contains(&store, words.as_bytes()), "`{words}` lies in the store");
        }
        // neither do the bytes under the armour
        for name in ["client1.ovpn", "server/server.key", "server/ta.key"] {
            let text = site.text(name);
            for block in pem::parse_many(&text).expect("armour").iter().filter(|block| block.tag() == "PRIVATE KEY") {
                assert!(!contains(&store, &block.contents()[40..]), "the key of {name} lies in the store");
            }
        }
        let line = site.text("server/ta.key").lines().nth(5).expect("a line of the key").to_owned();
        assert!(!contains(&store, line.as_bytes()), "ta.key lies in the store");
    }
}

pub fn contains(bytes: &[u8], words: &[u8]) -> bool {
    bytes.windows(words.len()).any(|window| window == words)
}

#[test]
fn what_reads_only_needs_no_key() {
    let site = locked();
    for line in ["list", "show client1", "status", "log", "crl show", "crl publish", "crl publish -o crl.pem"] {
        site.run(line).succeeds();
    }
    site.run("log verify").succeeds().says("chain only");
}
