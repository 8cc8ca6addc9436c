//! Keys of age plugins: a program of somebody else, found on the PATH, given little, and quoted when it refuses.
//! The plugin is `tests/common/plugin/age-plugin-paper`; it writes down the environment that it was given.

use std::process::Command;

use crate::{common::Outcome, site::Site};

const RECIPIENT: &str = "age1paper1pzry9x8ghwf25c";
const IDENTITY: &str = "AGE-PLUGIN-PAPER-1PZRYQ0NYNP\n";
const ABSENT: [&str; 2] = ["age1absent1pzry9x8g6yscrs", "AGE-PLUGIN-ABSENT-1PZRYZR9Q7U\n"];

/// A call with the plugin on its path, and with more in the environment than a plugin may know.
fn vpnpki(site: &Site, line: &str) -> Command {
    let plugins = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/plugin");
    let mut command = site.vpnpki(line);
    command.env_clear().env("PATH", format!("{plugins}:{}", std::env::var("PATH").unwrap_or_default()));
    command.env("HOME", site.dir()).env("LANG", "C.UTF-8").env("USER", "tester");
    command.env("AWS_SECRET_ACCESS_KEY", "nothing").env("AGEDEBUG", "plugin").env("VPNPKI_WORD", "nothing");
    command
}

fn made() -> Site {
    let site = Site::empty();
    site.write("paper.key", IDENTITY);
    let mut init = vpnpki(&site, "init --remote vpn.example.com --issue client1 --recovery key");
    Outcome::of(init.args(["--recipient", RECIPIENT])).succeeds();
    site
}

#[test]
fn a_plugin_locks_and_opens_the_vault() {
    let site = made();
    let outcome = Outcome::of(&mut vpnpki(&site, "issue client2 --identity paper.key")).succeeds();
    assert!(outcome.stderr.contains("reading the paper"), "{outcome}");
    Outcome::of(&mut vpnpki(&site, "unlocker rotate --identity key")).succeeds();
    Outcome::of(&mut vpnpki(&site, "log verify --identity paper.key")).succeeds().says("with the vault");
}

#[test]
fn it_gets_path_home_and_lang_only() {
    let site = made();
    assert_eq!(site.text("paper"), "HOME\nLANG\nPATH\n");
    site.write("paper", "");
    Outcome::of(&mut vpnpki(&site, "crl refresh --no-publish --identity paper.key")).succeeds();
    assert_eq!(site.text("paper"), "HOME\nLANG\nPATH\n");
}

#[test]
fn it_is_added_like_any_other_key() {
    let site = Site::new();
    site.write("paper.key", IDENTITY);
    let mut add = vpnpki(&site, "unlocker add --label paper");
    Outcome::of(add.args(["--recipient", RECIPIENT])).succeeds();
    site.run("unlocker list").succeeds().says("paper");
    Outcome::of(&mut vpnpki(&site, "unlocker remove 1 --identity paper.key")).succeeds();
    Outcome::of(&mut vpnpki(&site, "issue client2 --identity paper.key")).succeeds();
}

#[test]
fn a_plugin_that_is_missing_is_named() {
    let site = Site::new();
    let mut add = vpnpki(&site, "unlocker add");
    add.args(["--recipient", ABSENT[0]]);
    site.leaves(&mut add, 1, "`age-plugin-absent` is not on the PATH");
    site.write("absent.key", ABSENT[1]);
    let mut issue = vpnpki(&site, "issue client2 --identity absent.key");
    site.leaves(&mut issue, 1, "`age-plugin-absent` is not on the PATH");
    let empty = Site::empty();
    let mut init = vpnpki(&empty, "init --remote vpn.example.com --no-export");
    init.args(["--recipient", ABSENT[0]]);
    empty.leaves(&mut init, 1, "`age-plugin-absent` is not on the PATH");
}

#[test]
fn what_it_says_when_it_refuses_is_quoted_and_harmless() {
    let site = made();
    site.write("refuse", "");
    site.write("paper", "");
    for line in ["issue client2 --identity paper.key", "unlocker rotate --identity key"] {
        let before = site.read("pki/pki.db");
        let outcome = Outcome::of(&mut vpnpki(&site, line)).exits(4).says("the paper is wet");
        assert!(!outcome.stderr.contains('\u{1b}'), "{outcome}");
        assert_eq!(site.read("pki/pki.db"), before);
    }
}

#[test]
fn nobody_is_asked_without_a_terminal_or_in_a_batch() {
    let site = made();
    site.write("locked", "");
    for more in ["", " --batch"] {
        let issue = vpnpki(&site, &format!("issue client2 --identity paper.key{more}"));
        let mut under = Command::new("setsid");
        under.arg("--wait").arg(issue.get_program()).args(issue.get_args()).current_dir(site.dir()).env_clear();
        under.envs(issue.get_envs().filter_map(|(name, value)| Some((name, value?))));
        under.stdin(std::process::Stdio::null());
        Outcome::of(&mut under).exits(4).says("nobody said the word");
        assert!(!site.path("client2.ovpn").exists());
    }
}
