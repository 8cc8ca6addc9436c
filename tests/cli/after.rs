//! `[publish] after`: the program that runs after publishing.
//! How it is run is tested beside the code; here is when, and what its failure does.

use std::{fs, os::unix::fs::PermissionsExt};

use crate::{revocation::published, site::Site};

/// An authority that publishes to `server` and then runs `hook`, a script with this body; it notes in `runs` that it ran.
fn with_hook(options: &str, body: &str) -> Site {
    let site = Site::made(&format!("{options} --issue client1 client2"));
    hook(&site, body);
    let after = site.path("hook").display().to_string();
    let settings = site.text("pki/vpnpki.toml");
    site.write("pki/vpnpki.toml", &format!("{settings}\n[publish]\nafter = [\"{after}\", \"vpn 2\"]\n"));
    site
}

fn hook(site: &Site, body: &str) {
    let runs = site.path("runs");
    site.write("hook", &format!("#!/bin/sh\necho \"$VPNPKI_CRL_NUMBER $1\" >> {}\n{body}\n", runs.display()));
    fs::set_permissions(site.path("hook"), fs::Permissions::from_mode(0o755)).expect("our script");
}

fn runs(site: &Site) -> Vec<String> {
    let text = fs::read_to_string(site.path("runs")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn it_runs_when_a_list_was_written_and_whenever_crl_publish_is_typed() {
    let site = with_hook("--publish server", "");
    site.run("revoke client1").succeeds().says("ran ");
    assert_eq!(runs(&site), ["2 vpn 2"]);
    // nothing to write: nobody has to be told
    site.run("revoke client1").succeeds();
    site.run("issue client3").succeeds();
    assert_eq!(runs(&site).len(), 1);
    site.run("crl publish").succeeds().says("ran ");
    site.run("crl refresh").succeeds();
    assert_eq!(runs(&site), ["2 vpn 2", "2 vpn 2", "3 vpn 2"]);
    // what is left alone on purpose is left alone
    site.run("crl refresh --no-publish").succeeds();
    site.run("revoke client2 --dry-run").succeeds();
    assert_eq!(runs(&site).len(), 3);
}

#[test]
fn where_only_the_program_carries_the_list_it_carries_one_that_was_signed_on_the_way() {
    let site = with_hook("", "");
    site.run("issue client3 --no-export").succeeds();
    assert!(runs(&site).is_empty(), "an issue signs no list");
    // the end of the overlap is on the lists that are signed with it
    site.run("renew client1 --no-export").succeeds();
    assert_eq!(runs(&site), ["2 vpn 2"]);
}

#[test]
fn it_gets_the_published_file_and_nothing_of_the_callers_environment() {
    let site = with_hook(
        "--publish server",
        "cp \"$VPNPKI_CRL_FILE\" \"$(dirname \"$0\")/taken\"; env > \"$0.env\"; pwd > \"$0.pwd\"",
    );
    let mut command = site.vpnpki("revoke client1");
    command.env("VPNPKI_PASSPHRASE", "secret words").env("LD_PRELOAD_X", "x").env("TERM", "odd").env("HOME", "/odd");
    crate::common::Outcome::of(&mut command).succeeds();
    assert_eq!(site.read("taken"), site.read("server/crl.pem"));
    let names: Vec<String> =
        site.text("hook.env").lines().filter_map(|line| Some(line.split_once('=')?.0.to_owned())).collect();
    // what a shell adds of its own
    let given: Vec<&String> =
        names.iter().filter(|name| !["PWD", "_", "SHLVL", "OLDPWD"].contains(&name.as_str())).collect();
    let mut given: Vec<&str> = given.into_iter().map(String::as_str).collect();
    given.sort_unstable();
    assert_eq!(given, ["HOME", "LANG", "PATH", "VPNPKI_CRL_FILE", "VPNPKI_CRL_NUMBER"]);
    assert!(!site.text("hook.env").contains("odd"));
    let pki = fs::canonicalize(site.path("pki")).expect("a directory").display().to_string();
    assert_eq!(site.text("hook.pwd").trim_end(), pki);
}

#[test]
fn its_failure_is_1_and_the_revocation_and_the_list_stand() {
    let site = with_hook("--publish server", "echo no route to vpn2 >&2; exit 3");
    let outcome = site.run("revoke client1").exits(1);
    assert!(
        outcome.stderr.contains("publishing was not finished") && outcome.stderr.contains("exit status: 3"),
        "{outcome}"
    );
    assert!(outcome.stderr.contains("no route to vpn2"), "{outcome}");
    assert!(outcome.stderr.contains("hint: `vpnpki crl publish` runs it again"), "{outcome}");
    assert_eq!(site.status("client1"), "revoked");
    assert_eq!(published(&site, "server/crl.pem").0, 2);
    // as often as it is typed, until it went well
    site.run("crl publish").exits(1).says("no route to vpn2");
    hook(&site, "");
    site.run("crl publish").exits(0);
    // of an act that does not end access it is a warning
    fs::remove_file(site.path("server/crl.pem")).expect("a list");
    hook(&site, "exit 4");
    site.run("issue client4").exits(0).says("publishing was not finished");
}

#[test]
fn json_has_it_beside_the_targets() {
    let site = with_hook("--publish server", "");
    let answer = site.json("revoke client1");
    assert!(answer["published"]["after"]["program"].as_str().is_some_and(|path| path.ends_with("/hook")), "{answer}");
    hook(&site, "exit 1");
    let answer = site.json("crl publish");
    assert!(answer["after"]["problem"].as_str().is_some_and(|why| why.contains("exit status: 1")), "{answer}");
}

#[test]
fn without_a_directory_here_it_alone_carries_the_list() {
    let site = with_hook("", "test -z \"$VPNPKI_CRL_FILE\"");
    site.run("revoke client1").exits(0).says("ran ");
    assert_eq!(runs(&site), ["2 vpn 2"]);
    site.run("status").exits(0);
    hook(&site, "exit 1");
    site.run("revoke client2").exits(1).says("publishing was not finished");
}

#[test]
fn the_program_may_call_vpnpki_itself() {
    let program = env!("CARGO_BIN_EXE_vpnpki");
    let site = with_hook(
        "--publish server",
        &format!("{program} --pki . crl publish -o - > ../pushed && {program} --pki . -q list"),
    );
    site.run("revoke client1").exits(0);
    assert_eq!(site.read("pushed"), site.read("server/crl.pem"));
}

#[test]
fn a_faulty_word_runs_nothing_and_a_fault_elsewhere_does_not_stop_it() {
    let site = with_hook("--publish server", "");
    let good = site.text("pki/vpnpki.toml");
    site.write("pki/vpnpki.toml", &good.replace("\"vpn 2\"", "2"));
    site.run("revoke client1").exits(1).says("publish.after: must be text in quotes");
    assert_eq!((runs(&site).len(), published(&site, "server/crl.pem").0), (0, 2));
    site.write("pki/vpnpki.toml", &good.replace("[network]", "[network]\nroute = 1"));
    site.run("revoke client2").exits(0).says("network.route");
    assert_eq!(runs(&site), ["3 vpn 2"]);
}

#[test]
fn a_program_that_is_gone_is_1() {
    let site = with_hook("--publish server", "");
    fs::remove_file(site.path("hook")).expect("our script");
    site.run("revoke client1").exits(1).says("could not be started: No such file");
    assert_eq!(published(&site, "server/crl.pem").0, 2);
}
