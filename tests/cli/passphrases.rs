//! Passphrases: where they may come from, what a wrong one does, and where they must never be found.
//! What is asked at a terminal is in `terminal.rs`.

use std::{
    fs,
    io::Write,
    process::Command,
    time::{Duration, Instant},
};

use crate::{common::Outcome, keyholders::contains, site::Site};

const PASSPHRASE: &str = "correct-horse-battery-staple";

/// An authority that opens with [`PASSPHRASE`], which lies in `secret`; CRLs go to `server`.
fn locked() -> Site {
    let site = Site::empty();
    site.write("secret", &format!("{PASSPHRASE}\n"));
    site.run("init --remote vpn.example.com --issue client1 --publish server --passphrase-file secret").succeeds();
    site
}

fn with(site: &Site, line: &str, variables: &[(&str, &str)]) -> Command {
    let mut command = site.vpnpki(line);
    command.envs(variables.iter().copied());
    command
}

#[test]
fn it_comes_from_a_file_a_pipe_or_the_environment() {
    let site = locked();
    site.run("issue one --passphrase-file secret").succeeds();
    Outcome::of(&mut with(&site, "issue two", &[("VPNPKI_PASSPHRASE", PASSPHRASE)])).succeeds();
    Outcome::of(&mut with(&site, "issue three", &[("VPNPKI_PASSPHRASE_FILE", "secret")])).succeeds();
    site.sh("vpnpki issue four --passphrase-file <(cat secret)").succeeds();
    site.sh("vpnpki issue five --passphrase-file /dev/stdin < secret").succeeds();
    assert_eq!(site.run("list -q --role client").stdout, "client1\nfive\nfour\none\nthree\ntwo\n");
}

#[test]
fn only_its_first_line_counts() {
    let site = locked();
    site.write("secret", &format!("{PASSPHRASE}\r\nmore\n"));
    site.run("issue one --passphrase-file secret").succeeds();
    Outcome::of(&mut with(&site, "issue two", &[("VPNPKI_PASSPHRASE", &format!("{PASSPHRASE}\nmore"))])).succeeds();
}

#[test]
fn a_wrong_one_is_4_and_changes_nothing() {
    let site = locked();
    let head = site.run("log verify").stdout;
    for line in ["issue client2", "export client1 --force", "revoke client1", "crl refresh", "log verify"] {
        let mut command = with(&site, line, &[("VPNPKI_PASSPHRASE", "wrong-horse")]);
        let outcome = site.leaves(&mut command, 4, "the vault stays locked: the passphrase is wrong");
        assert!(!outcome.stderr.contains("horse"), "{outcome}");
    }
    assert_eq!(site.run("log verify").stdout, head);
    assert_eq!(site.status("client1"), "valid");
}

#[test]
fn a_missing_one_is_4_and_the_error_names_the_flag() {
    let site = locked();
    for line in ["issue client2", "revoke client1", "export client1 --force"] {
        for more in ["", "--batch"] {
            let mut command = site.shell(&format!("vpnpki {line} {more}"));
            site.leaves(&mut command, 4, "`--passphrase-file FILE`");
        }
    }
    let empty = Site::empty();
    let init = "vpnpki init --remote vpn.example.com --no-export";
    empty.leaves(&mut empty.shell(init), 4, "`--passphrase-file FILE`").says("--no-passphrase").says("--recipient");
    empty.leaves(&mut empty.shell(&format!("{init} --batch")), 4, "`--passphrase-file FILE`");
}

#[test]
fn two_at_once_are_2_and_nothing_is_opened() {
    let site = locked();
    let file = ("VPNPKI_PASSPHRASE_FILE", "secret");
    let text = ("VPNPKI_PASSPHRASE", PASSPHRASE);
    for (line, variables) in [
        ("issue client2 --passphrase-file secret", vec![text]),
        ("issue client2 --passphrase-file secret", vec![file]),
        ("issue client2", vec![file, text]),
        ("--pki other init --remote a.example.com --no-export --passphrase-file secret", vec![text]),
    ] {
        site.leaves(&mut with(&site, line, &variables), 2, "the passphrase is given twice");
    }
    let open = Site::new();
    open.write("secret", "another");
    for line in ["issue client2 --passphrase-file secret", "log verify --passphrase-file secret"] {
        open.leaves(&mut with(&open, line, &[text]), 2, "the passphrase is given twice");
    }
    let line = "--pki other init --remote a.example.com --no-export --no-passphrase";
    site.leaves(&mut with(&site, line, &[text]), 2, "`--no-passphrase` too");
}

#[test]
fn an_empty_one_is_refused() {
    let site = Site::empty();
    let init = "init --remote vpn.example.com --no-export --passphrase-file empty";
    for text in ["", "\n", "\r\n", "\nsecond line\n"] {
        site.write("empty", text);
        site.refuses(init, 2, "an empty passphrase protects nothing");
    }
    fs::write(site.path("empty"), b"\xff\xfe\n").expect("a file");
    site.refuses(init, 1, "no UTF-8");
    site.refuses("init --remote vpn.example.com --no-export --passphrase-file nowhere", 1, "`nowhere` does not exist");
}

#[test]
fn a_recipient_beside_it_opens_the_same_vault() {
    let site = Site::empty();
    site.write("secret", PASSPHRASE);
    site.write("key", crate::keyholders::IDENTITY);
    let init = format!(
        "init --remote vpn.example.com --no-export --passphrase-file secret --recipient {}",
        crate::keyholders::AGE
    );
    let outcome = site.run(&init).succeeds();
    assert!(!outcome.stderr.contains("only one thing"), "{outcome}");
    site.run("issue one --passphrase-file secret").succeeds();
    site.run("issue two --identity key").succeeds();
}

#[test]
fn it_is_found_in_no_file_and_in_no_word_that_is_said() {
    let site = locked();
    let said = [
        site.run("issue client2 --passphrase-file secret --json"),
        site.run("revoke client2 --passphrase-file secret"),
        site.run("log --json"),
        site.run("log verify --passphrase-file secret"),
        Outcome::of(&mut with(&site, "issue client2", &[("VPNPKI_PASSPHRASE", PASSPHRASE)])),
    ];
    for outcome in &said {
        assert!(!outcome.stdout.contains(PASSPHRASE) && !outcome.stderr.contains(PASSPHRASE), "{outcome}");
    }
    fs::remove_file(site.path("secret")).expect("the file with the passphrase");
    for (name, (_, bytes)) in site.state() {
        assert!(!contains(&bytes, PASSPHRASE.as_bytes()), "{} holds the passphrase", name.display());
    }
}

/// While it waits for its passphrase: no core file may be written, and nobody is started who could inherit anything.
#[test]
fn it_reaches_no_core_file_and_no_child() {
    let site = locked();
    site.sh("mkfifo pipe").succeeds();
    let mut waiting = site.vpnpki("issue client2 --passphrase-file pipe").spawn().expect("a process");
    let proc = format!("/proc/{}", waiting.id());
    // opens only once the other side reads
    let mut pipe = fs::OpenOptions::new().write(true).open(site.path("pipe")).expect("the pipe's other end");
    let limits = fs::read_to_string(format!("{proc}/limits")).expect("limits");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("the limit of core files");
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
    let arguments = fs::read_to_string(format!("{proc}/cmdline")).expect("arguments");
    assert!(!arguments.contains(PASSPHRASE), "{arguments}");
    pipe.write_all(PASSPHRASE.as_bytes()).expect("a reader");
    drop(pipe);
    let begin = Instant::now();
    while waiting.try_wait().expect("its state").is_none() {
        let children = fs::read_to_string(format!("{proc}/task/{}/children", waiting.id())).unwrap_or_default();
        assert_eq!(children.trim(), "", "it started another program");
        assert!(begin.elapsed() < Duration::from_secs(60), "it does not end");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(site.status("client2"), "valid");
}
