//! What scripts do: call twice, pipe, redirect, look first.
//! Knows no terminal.

use std::{fs::OpenOptions, io};

use crate::{common::Outcome, site::Site};

/// Runs a line whose standard output nobody reads any more.
#[track_caller]
fn into_closed_pipe(site: &Site, line: &str) -> Outcome {
    let (reader, writer) = io::pipe().expect("a pipe");
    drop(reader);
    let mut command = site.vpnpki(line);
    let child = command.stdout(writer).stderr(std::process::Stdio::piped()).spawn().expect("a process");
    let output = child.wait_with_output().expect("its end");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    Outcome { line: format!("{line} | (closed)"), status: output.status, stdout: String::new(), stderr }
}

#[test]
fn init_twice_with_if_missing_is_done_and_changes_nothing() {
    let site = Site::empty();
    let init = "init --remote vpn.example.com --issue client1 --no-passphrase --if-missing";
    assert_eq!(site.json(init)["changed"], true);
    let before = site.state();
    let outcome = site.run(&format!("{init} --json")).succeeds().says("\"changed\":false");
    site.expect_state(&before, &outcome);
}

#[test]
fn issue_twice_with_if_missing_is_done_and_changes_nothing() {
    let site = Site::new();
    let issue = "issue client2 --if-missing";
    assert_eq!(site.json(issue)["changed"], true);
    let before = site.state();
    let outcome = site.run(&format!("{issue} --json")).succeeds().says("\"changed\":false");
    site.expect_state(&before, &outcome);
    // it needs neither the vault nor a free file name for that
    let locked = crate::keyholders::locked();
    locked.refuses("issue client1 --if-missing", 0, "client1 has access already");
}

#[test]
fn if_missing_issues_again_to_whom_access_was_ended() {
    let site = Site::published("--issue client1");
    site.run("revoke client1").succeeds();
    let report = site.json("issue client1 --if-missing --force");
    assert_eq!(report["issued"][0]["name"], "client1");
    assert_eq!(report["issued"][0]["formerly"]["status"], "revoked");
}

#[test]
fn a_result_that_nobody_takes_is_1_and_not_delivered() {
    let site = Site::new();
    for line in ["issue client2 -o -", "export client1 -o -", "export client1 --format zip -o -", "crl publish -o -"] {
        into_closed_pipe(&site, line).exits(1).says("not delivered");
    }
    // the act stands, and what to type next is said
    assert_eq!(site.status("client2"), "valid");
    let outcome = into_closed_pipe(&site, "issue client3 -o -").exits(1).says("`client3` is issued, but");
    assert!(outcome.stderr.contains("`vpnpki export client3` makes it again"), "{outcome}");
    let piped = site.sh("set -o pipefail; { sleep 0.2; vpnpki export client1 -o -; } | false");
    piped.exits(1).says("not delivered");
}

#[test]
fn a_listing_that_nobody_reads_to_its_end_is_done() {
    let site = Site::made("--issue client1 client2");
    for line in [
        "list",
        "list -q",
        "list --json",
        "list --jsonl",
        "list --history",
        "list --sort expiry",
        "log",
        "log --json",
        "show client1",
        "crl show",
        "log verify",
        "--help",
    ] {
        let outcome = into_closed_pipe(&site, line).succeeds();
        assert_eq!(outcome.stderr, "", "{line}");
    }
    // what is due stays due
    into_closed_pipe(&site, "status").exits(3);
    site.sh("set -o pipefail; vpnpki list | head -1").succeeds();
}

#[test]
fn an_act_whose_report_nobody_reads_is_done() {
    let site = Site::published("--issue client1");
    into_closed_pipe(&site, "issue client2").succeeds();
    into_closed_pipe(&site, "revoke client2").succeeds();
    assert_eq!(site.status("client2"), "revoked");
}

#[test]
fn a_full_device_is_1() {
    let site = Site::published("--issue client1");
    for line in [
        "list",
        "list --json",
        "log",
        "show client1",
        "status",
        "crl show",
        "crl publish -o -",
        "export client1 -o -",
        "issue client2 -o -",
        "issue client3",
        "log verify",
        "--help",
        "generate completions bash",
    ] {
        let full = OpenOptions::new().write(true).open("/dev/full").expect("a full device");
        let mut command = site.vpnpki(line);
        let outcome = command.stdout(full).stderr(std::process::Stdio::piped()).spawn().expect("a process");
        let output = outcome.wait_with_output().expect("its end");
        assert_eq!(output.status.code(), Some(1), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    }
    // what was done is done
    assert_eq!((site.status("client2"), site.status("client3")), ("valid".to_owned(), "valid".to_owned()));
}

#[test]
fn quiet_lists_are_one_name_a_line() {
    let site = Site::made("--issue client1 anna");
    assert_eq!(site.run("list -q").succeeds().stdout, "anna\nclient1\nserver\n");
    assert_eq!(site.run("list --quiet --role client").succeeds().stdout, "anna\nclient1\n");
    assert_eq!(site.run("list -q --status revoked").succeeds().stdout, "");
    site.sh("vpnpki list -q --role client | xargs vpnpki export --force").succeeds();
}

#[test]
fn one_result_on_standard_output_takes_no_json() {
    let site = Site::new();
    for line in ["issue client2 -o -", "export client1 -o -", "crl publish -o -"] {
        site.refuses(&format!("{line} --json"), 2, "both want standard output");
    }
}

#[test]
fn a_result_on_standard_output_is_the_result_and_nothing_else() {
    let site = Site::new();
    let issued = site.run("issue client2 -o -").succeeds();
    assert!(issued.stdout.starts_with("# OpenVPN profile of client2"), "{issued}");
    assert!(issued.stdout.ends_with("</tls-crypt>\n") && issued.stderr.is_empty(), "{issued}");
    assert!(!site.path("client2.ovpn").exists());
    let exported = site.run("export client2 -o -").succeeds();
    assert_eq!(exported.stdout, issued.stdout);
    let list = site.run("crl publish -o -").succeeds().stdout;
    assert!(list.starts_with("-----BEGIN X509 CRL-----\n") && list.ends_with("-----END X509 CRL-----\n"), "{list}");
}

#[test]
fn a_dry_run_changes_nothing() {
    let site = Site::empty();
    let init = "init --remote vpn.example.com --issue client1 --publish server --no-passphrase";
    site.refuses(&format!("{init} --dry-run"), 0, "would make an authority");
    site.run(init).succeeds();
    for (line, says) in [
        ("issue client2 --dry-run", "would issue client2"),
        ("issue server2 --role server --dry-run", "would issue server2"),
        ("revoke client1 --dry-run", "would revoke client1"),
        ("export client1 -o again.ovpn --dry-run", "nothing was written"),
        ("export --all --force --dry-run", "nothing was written"),
        ("export server -o elsewhere --publish --dry-run", "nothing was written"),
    ] {
        site.refuses(line, 0, says);
    }
}

#[test]
fn a_dry_run_finds_what_the_act_would_find() {
    let site = Site::new();
    for line in ["issue client1 --dry-run", "issue client2 -o no/such/place --dry-run", "revoke client9 --dry-run"] {
        site.run(line).exits(1);
    }
    site.run("export client1 --dry-run").exits(1).says("exists and was not overwritten");
    let pki = "--pki other init --remote vpn.example.com --no-passphrase --dry-run";
    site.run(pki).exits(1).says("exists and was not overwritten");
}

#[test]
fn the_directory_comes_from_the_option_or_the_environment() {
    let site = Site::new();
    site.sh("mv pki elsewhere").succeeds();
    site.run("list -q").exits(1).says("there is no authority in `pki`");
    site.run("--pki elsewhere list -q").succeeds();
    Outcome::of(site.vpnpki("list -q").env("VPNPKI_DIR", "elsewhere")).succeeds();
    Outcome::of(site.vpnpki("--pki elsewhere list -q").env("VPNPKI_DIR", "nowhere")).succeeds();
}
