//! Exit codes: what a script may branch on. 0 done, 1 refused, 2 usage, 3 something is due, 4 locked.
//! 70 is a bug, and no test knows one.

use rusqlite::Connection;

use crate::{common::Outcome, keyholders, site::Site};

#[test]
fn done_is_0() {
    let site = Site::published("--issue client1");
    for line in [
        "issue client2",
        "issue client2 --if-missing",
        "export client2 --force",
        "revoke client1",
        "revoke client1",
        "list",
        "list --status suspended",
        "show client1",
        "status",
        "crl refresh",
        "crl show",
        "crl publish",
        "log",
        "log verify",
        "generate man",
        "generate completions bash",
        "--help",
        "--version",
        "help revoke",
    ] {
        site.run(line).exits(0);
    }
}

#[test]
fn refused_is_1_and_changes_nothing() {
    let site = Site::new();
    for (line, why) in [
        ("issue client1", "a valid certificate"),
        ("revoke client9", "there is no `client9`"),
        ("export client9", "there is no `client9`"),
        ("show serial:77", "there is no certificate"),
        ("init --remote vpn.example.com --no-passphrase", "there is an authority"),
        ("--pki elsewhere list", "there is no authority"),
        ("crl publish", "no server knows yet"),
        ("crl publish --add nowhere", "does not exist"),
        ("log verify --head 0000000000000000000000000000000000000000000000000000000000000000", "not what was written"),
    ] {
        site.refuses(line, 1, why);
    }
}

#[test]
fn usage_is_2_and_changes_nothing() {
    let site = Site::new();
    for (line, why) in [
        ("", "Usage"),
        ("frobnicate", "unrecognized"),
        ("issue", "required"),
        ("issue client2 --days never", "invalid value"),
        ("issue client2 --frobnicate", "unexpected"),
        ("issue anna ben -o one.ovpn", "one path takes one bundle"),
        ("issue anna --san x", "is for servers"),
        ("issue anna anna", "named twice"),
        ("export client1 -o - --json", "both want standard output"),
        ("export client1 --publish -o x", "is for one server"),
        ("crl publish -o - --json", "both want standard output"),
        ("list --json --jsonl", "cannot be used with"),
        ("revoke client1 --reason certificateHold", "not for ever"),
        ("--pki other init", "`--remote HOST` is missing"),
    ] {
        site.refuses(line, 2, why);
    }
}

#[test]
fn something_due_is_3() {
    let site = Site::new();
    site.refuses("status", 3, "no server knows the CRL");
    let site = Site::published("--issue client1");
    site.run("status").exits(0);
    site.sh("mv server away").succeeds();
    site.refuses("status", 3, "does NOT have it");
    // a server that knows no list and is not meant to
    let site = Site::made("--issue client1");
    site.write("pki/vpnpki.toml", &(site.text("pki/vpnpki.toml") + "[publish]\nmode = \"manual\"\n"));
    site.run("status").exits(0);
}

#[test]
fn locked_is_4_and_changes_nothing() {
    let site = keyholders::locked();
    site.write("other", keyholders::OTHER_IDENTITY);
    for line in ["issue client2", "export client1 --force", "revoke client1", "crl refresh"] {
        site.refuses(line, 4, "locked");
        site.refuses(&format!("{line} --identity other"), 4, "stays locked");
        site.refuses(&format!("{line} --batch --json"), 4, "\"kind\":\"locked\"");
    }
    site.refuses("log verify --identity other", 4, "stays locked");
}

#[test]
fn another_writer_is_waited_for_and_then_1() {
    let site = Site::new();
    let other = Connection::open(site.path("pki/pki.db")).expect("the store");
    other.execute_batch("BEGIN IMMEDIATE").expect("the writer's place");
    for line in ["issue client2", "revoke client1", "crl refresh"] {
        let outcome = site.run(&format!("--wait 0 {line}")).exits(1).says("another vpnpki is writing");
        assert!(outcome.stderr.contains("hint: `--wait SECONDS` waits longer"), "{outcome}");
    }
    // who reads does not wait
    assert_eq!(site.run("--wait 0 list -q").succeeds().stdout, "client1\nserver\n");
    let mut patient = site.vpnpki("--wait 20 issue client2").spawn().expect("a second writer");
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(patient.try_wait().expect("its state").is_none(), "it did not wait");
    other.execute_batch("ROLLBACK").expect("the end of the first");
    assert!(patient.wait().expect("its end").success());
    assert_eq!(site.status("client2"), "valid");
}

#[test]
fn every_error_says_error_first_and_nothing_on_standard_output() {
    let site = Site::new();
    for line in ["issue client1", "show client9", "issue", "--pki nowhere list", "issue a b -o x"] {
        let outcome = site.run(line);
        assert!(outcome.stderr.starts_with("error: ") && outcome.stdout.is_empty(), "{outcome}");
        let quiet = Outcome::of(site.vpnpki(line).arg("--quiet"));
        let first = outcome.stderr.lines().next().expect("an error");
        assert!(quiet.stderr.starts_with(first), "`--quiet` keeps no error back\n{quiet}");
    }
}

#[test]
fn colours_are_for_terminals() {
    let site = Site::new();
    let plain = |outcome: Outcome| assert!(!outcome.stderr.contains('\x1b'), "{outcome}");
    plain(site.run("issue client1"));
    plain(Outcome::of(site.vpnpki("issue client1").env("NO_COLOR", "1").env("CLICOLOR_FORCE", "1")));
}
