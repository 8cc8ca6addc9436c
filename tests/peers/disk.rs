//! A disk that is really full and a directory that is really read-only.
//! Knows that reading commands must answer there all the same.

use std::{fs, io::Write, path::Path, process::Command};

use crate::{
    common::{tree, Outcome},
    mount::Mount,
    site::Site,
    state::State,
    strace::{inject, trace, Fault},
};

#[test]
#[ignore = "needs root and peers: tests/run"]
fn a_full_disk_is_an_error_that_changes_nothing() {
    let site = Site::new();
    let _small = Mount::new("-t tmpfs -o size=6m,mode=0755 tmpfs", site.dir());
    begin(&site);
    let before = tree(site.dir());
    fill(&site.path("ballast"));
    refuses(&site, &["space", "full"]);
    answers(&site);
    fs::remove_file(site.path("ballast")).unwrap();
    assert_eq!(tree(site.dir()), before, "something half done");
    goes_on(&site);
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn a_read_only_directory_is_an_error_that_changes_nothing() {
    let site = Site::new();
    begin(&site);
    let before = tree(site.dir());
    {
        let _bound = Mount::new(&format!("--bind {}", site.dir().display()), site.dir());
        Outcome::of(Command::new("mount").args(["-o", "remount,ro,bind"]).arg(site.dir())).succeeds();
        refuses(&site, &["read-only", "Read-only"]);
        answers(&site);
    }
    assert_eq!(tree(site.dir()), before, "something half done");
    goes_on(&site);
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn what_a_kill_left_beside_the_database_is_read_on_a_full_disk_and_on_a_read_only_one() {
    let site = Site::new();
    let _small = Mount::new("-t tmpfs -o size=6m,mode=0755 tmpfs", site.dir());
    begin(&site);
    killed_before_its_bundle_appears(&site, "issue client4");
    let with_client4 =
        || assert!(site.run("list").succeeds().stdout.contains("client4"), "what was committed is not read");

    fill(&site.path("ballast"));
    answers(&site);
    with_client4();
    // whoever read it last has taken the log into the database, which made room
    fill(&site.path("ballast"));
    refuses(&site, &["space", "full"]);
    fs::remove_file(site.path("ballast")).unwrap();

    killed_before_its_bundle_appears(&site, "issue client5");
    remount(&site, "ro");
    answers(&site);
    with_client4();
    refuses(&site, &["read-only", "Read-only"]);
    remount(&site, "rw");
    goes_on(&site);
}

/// Leaves a commit that is only in the write-ahead log.
fn killed_before_its_bundle_appears(site: &Site, line: &str) {
    site.tool("cp -a pki pki.saved").succeeds();
    let (outcome, calls) = trace(site.dir(), &format!("{line} -o traced.ovpn"));
    outcome.succeeds();
    let naming = calls.iter().find(|call| call.name == "linkat").expect("a bundle appears by a link");
    site.tool("rm -rf pki traced.ovpn").succeeds();
    site.tool("mv pki.saved pki").succeeds();
    inject(site.dir(), line, naming, Fault::Kill);
    let log = fs::metadata(site.path("pki/pki.db-wal")).map_or(0, |log| log.len());
    assert!(log > 0, "the kill left no write-ahead log");
}

fn remount(site: &Site, mode: &str) {
    Outcome::of(Command::new("mount").args(["-o", &format!("remount,{mode}")]).arg(site.dir())).succeeds();
}

fn begin(site: &Site) {
    site.run("init --no-passphrase --remote 10.99.0.1 --publish served --issue client1 --issue client2").succeeds();
}

/// Writing commands say what is the matter.
fn refuses(site: &Site, words: &[&str]) {
    for line in ["issue client3", "export client1 --format zip", "revoke client2", "crl refresh"] {
        let outcome = site.run(line).exits(1);
        assert!(
            words.iter().any(|word| outcome.stderr.contains(word)),
            "it does not say what is the matter\n{outcome}"
        );
    }
}

/// Reading commands answer as ever.
fn answers(site: &Site) {
    for line in ["list", "show client1", "log", "crl show", "log verify"] {
        assert!(!site.run(line).succeeds().stdout.is_empty(), "`{line}` says nothing");
    }
    let status = site.run("status");
    assert!(matches!(status.status.code(), Some(0 | 3)) && !status.stdout.is_empty(), "{status}");
}

/// Nobody was issued or revoked by what was refused, and now both work.
fn goes_on(site: &Site) {
    let state = State::sound(site.dir()).unwrap();
    assert_eq!((state.of("client3").len(), state.of("client2")), (0, vec!["valid"]));
    site.run("issue client3").succeeds();
    site.run("revoke client2").succeeds();
    State::sound(site.dir()).unwrap();
}

/// Leaves not one block.
fn fill(ballast: &Path) {
    let mut file = fs::File::create(ballast).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
}
