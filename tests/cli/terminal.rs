//! What is asked at a terminal, and what is not: a pseudo-terminal stands for the person.
//! Knows nothing of what passphrases do.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    process::{Child, Command, ExitStatus},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use rustix::pty::{grantpt, openpt, ptsname, unlockpt, OpenptFlags};

use crate::{common::Outcome, site::Site};

/// A person at a terminal with a program on it.
struct Person {
    screen: File,
    shown: Receiver<u8>,
    seen: String,
    program: Child,
}

impl Person {
    /// Starts `vpnpki` with the terminal as its own.
    fn runs(site: &Site, line: &str) -> Self {
        Self::runs_on(site, line, "dumb")
    }

    fn runs_on(site: &Site, line: &str, terminal: &str) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&master).expect("a terminal of ours");
        unlockpt(&master).expect("an open terminal");
        let path = ptsname(&master, Vec::new()).expect("its name");
        let path = path.to_str().expect("a plain name").to_owned();
        let slave = || OpenOptions::new().read(true).write(true).open(&path).expect("the program's side");
        let mut command = Command::new("setsid");
        command.args(["--ctty", "--wait", env!("CARGO_BIN_EXE_vpnpki")]).args(line.split_whitespace());
        command
            .current_dir(site.dir())
            .env("TERM", terminal)
            .env_remove("VPNPKI_PASSPHRASE")
            .env_remove("CI")
            .env_remove("CLICOLOR_FORCE");
        let program = command.stdin(slave()).stdout(slave()).stderr(slave()).spawn().expect("a program");
        drop(command);
        let screen = File::from(master);
        let shown = watch(screen.try_clone().expect("the screen"));
        Self { screen, shown, seen: String::new(), program }
    }

    /// Waits until this is on the screen.
    #[track_caller]
    fn sees(&mut self, text: &str) {
        while !self.seen.ends_with(text) {
            match self.shown.recv_timeout(Duration::from_secs(60)) {
                Ok(byte) => self.seen.push(char::from(byte)),
                Err(error) => panic!("`{text}` was not shown ({error}), but\n{}", self.seen),
            }
        }
    }

    fn types(&mut self, line: &str) {
        // the echo is switched off only after the prompt was written
        thread::sleep(Duration::from_millis(100));
        self.screen.write_all(format!("{line}\n").as_bytes()).expect("a keyboard");
    }

    /// Everything that was shown, and how it ended.
    fn ends(mut self) -> (String, ExitStatus) {
        let status = self.program.wait().expect("its end");
        while let Ok(byte) = self.shown.recv_timeout(Duration::from_millis(200)) {
            self.seen.push(char::from(byte));
        }
        (self.seen, status)
    }
}

/// Reads what is shown until nobody holds the other side.
fn watch(mut screen: File) -> Receiver<u8> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut byte = [0];
        while screen.read(&mut byte).is_ok_and(|read| read == 1) && sender.send(byte[0]).is_ok() {}
    });
    receiver
}

const INIT: &str = "init --remote vpn.example.com --issue client1 --no-export";

#[test]
fn a_new_passphrase_is_asked_for_twice_and_later_once() {
    let site = Site::empty();
    let mut person = Person::runs(&site, INIT);
    person.sees("New passphrase for the vault: ");
    person.types("correct horse");
    person.sees("The same again: ");
    person.types("correct horse");
    let (seen, status) = person.ends();
    assert!(status.success() && seen.contains("made an authority"), "{seen}");
    assert!(!seen.contains("horse"), "it was shown: {seen}");

    let mut person = Person::runs(&site, "issue client2");
    person.sees("Passphrase: ");
    person.types("correct horse");
    let (seen, status) = person.ends();
    assert!(status.success() && seen.contains("issued client2"), "{seen}");
    assert!(!seen.contains("horse") && seen.matches("Passphrase").count() == 1, "{seen}");

    let mut person = Person::runs(&site, "revoke client2 --no-publish");
    person.sees("Passphrase: ");
    person.types("wrong horse");
    let (seen, status) = person.ends();
    assert_eq!(status.code(), Some(4), "{seen}");
    assert_eq!(site.status("client2"), "valid");
}

#[test]
fn the_passphrase_of_a_bundle_is_asked_for_as_its_owners() {
    let site = Site::new();
    for (again, code) in [("correct house", 2), ("correct horse", 0)] {
        let before = site.state();
        let mut person = Person::runs(&site, "export client1 --format p12");
        person.sees("New passphrase for whoever gets the bundle: ");
        person.types("correct horse");
        person.sees("The same again: ");
        person.types(again);
        let (seen, status) = person.ends();
        assert_eq!(status.code(), Some(code), "{seen}");
        assert!(!seen.contains("horse") && !seen.contains("house"), "it was shown: {seen}");
        assert_eq!(site.state() == before, code != 0);
    }
    let passphrase = vpnpki::secret::Secret::from("correct horse".to_owned());
    assert!(vpnpki::pki::read_pkcs12(&site.read("client1.p12"), &passphrase).is_ok());
}

#[test]
fn the_passphrase_of_a_key_that_never_travelled_is_asked_for_once() {
    let site = Site::made("");
    site.sh("umask 077; echo correct horse > word; vpnpki enroll client1 --key-passphrase-file word").succeeds();
    site.run("issue client1 --csr client1.csr").succeeds();
    for (word, code) in [("wrong horse", 4), ("correct horse", 0)] {
        let before = site.state();
        let mut person = Person::runs(&site, "enroll --finish client1.ovpn");
        person.sees("Passphrase of `client1.key`: ");
        person.types(word);
        let (seen, status) = person.ends();
        assert_eq!(status.code(), Some(code), "{seen}");
        assert!(!seen.contains("horse"), "it was shown: {seen}");
        assert_eq!(site.state() == before, code != 0);
    }
}

#[test]
fn two_that_differ_make_nothing() {
    let site = Site::empty();
    let mut person = Person::runs(&site, INIT);
    person.sees("New passphrase for the vault: ");
    person.types("correct horse");
    person.sees("The same again: ");
    person.types("correct house");
    let (seen, status) = person.ends();
    assert_eq!(status.code(), Some(2), "{seen}");
    assert!(seen.contains("the two passphrases differ; nothing was made"), "{seen}");
    assert!(site.state().is_empty());
}

#[test]
fn an_empty_one_makes_nothing() {
    let site = Site::empty();
    let mut person = Person::runs(&site, INIT);
    person.sees("New passphrase for the vault: ");
    person.types("");
    let (seen, status) = person.ends();
    assert_eq!(status.code(), Some(2), "{seen}");
    assert!(seen.contains("an empty passphrase protects nothing") && site.state().is_empty(), "{seen}");
}

#[test]
fn batch_never_asks_at_a_terminal() {
    let site = crate::keyholders::locked();
    for line in ["issue client2 --batch", "--pki other init --remote vpn.example.com --no-export --batch"] {
        let (seen, status) = Person::runs(&site, line).ends();
        assert_eq!(status.code(), Some(4), "{seen}");
        assert!(!seen.contains("assphrase: "), "{seen}");
    }
    let site = Site::published("--issue client1");
    let (seen, status) = Person::runs(&site, "revoke server --batch").ends();
    assert!(status.success() && !seen.contains("[y/N]"), "{seen}");
}

#[test]
fn ending_a_server_is_asked_at_a_terminal() {
    let site = Site::published("--issue client1");
    let mut person = Person::runs(&site, "revoke server");
    person.sees("`server` is a server; revoke it? [y/N] ");
    person.types("n");
    let (seen, status) = person.ends();
    assert_eq!(status.code(), Some(1), "{seen}");
    assert_eq!(site.status("server"), "valid");
    let (seen, status) = Person::runs(&site, "revoke server --yes").ends();
    assert!(status.success() && !seen.contains("[y/N]"), "{seen}");
    assert_eq!(site.status("server"), "revoked");
}

#[test]
fn forgetting_is_asked_at_a_terminal() {
    let site = Site::published("");
    site.set("#keep", "keep = \"always\"");
    site.run("issue client1 --no-export").succeeds();
    site.run("revoke client1").succeeds();
    let kept = || site.json("show client1")["certificates"][0]["key_kept"].clone();
    for (answer, code, left) in [("n", 1, true), ("", 1, true), ("y", 0, false)] {
        let mut person = Person::runs(&site, "forget client1");
        person.sees("drop the private keys and the note of `client1`? [y/N] ");
        person.types(answer);
        let (seen, status) = person.ends();
        assert_eq!((status.code(), kept()), (Some(code), left.into()), "{seen}");
    }
}

#[test]
fn an_encrypted_bundle_is_text_on_a_terminal() {
    let site = Site::new();
    let recipient = crate::keyholders::AGE;
    let (seen, status) = Person::runs(&site, &format!("export client1 -o - --encrypt-to {recipient}")).ends();
    assert!(status.success() && seen.starts_with("-----BEGIN AGE ENCRYPTED FILE-----"), "{seen:?}");
    assert!(seen.trim_end().ends_with("-----END AGE ENCRYPTED FILE-----"), "{seen:?}");
}

#[test]
fn colour_is_for_a_terminal_that_wants_it() {
    let site = Site::new();
    let (seen, _) = Person::runs(&site, "issue client1").ends();
    assert!(!seen.contains('\u{1b}'), "a dumb terminal: {seen:?}");
    assert!(!Outcome::of(&mut site.vpnpki("issue client1")).stderr.contains('\u{1b}'));
}

/// Starts a search that takes long, and ends it while its progress is shown; nothing may be left.
#[track_caller]
fn a_search_that_is_ended_leaves_nothing(line: &str, end: impl Fn(&mut Person)) {
    let site = Site::empty();
    // one in some thousands is over before it is ended
    for _ in 0..10 {
        let mut person = Person::runs_on(&site, line, "xterm");
        person.sees("s to be expected at any moment");
        assert!(site.state().is_empty(), "{line}: {:?}", site.state().keys());
        end(&mut person);
        let (seen, status) = person.ends();
        assert!(!seen.contains('%'), "a search has no part of a whole: {seen}");
        if !status.success() {
            assert!(site.state().is_empty(), "{line}: {:?}", site.state().keys());
            return;
        }
        site.state().keys().rev().for_each(|path| {
            let path = site.path(path.to_str().expect("a plain name"));
            let _ = std::fs::remove_dir(&path).or_else(|_| std::fs::remove_file(&path));
        });
    }
    panic!("ten searches of 4096 bits were over at once");
}

#[test]
fn a_search_for_parameters_that_is_interrupted_leaves_nothing() {
    let lines = ["dh generate --bits 4096 -o dh.pem", "init --remote a.example --no-passphrase --dh generate:4096"];
    for line in lines {
        a_search_that_is_ended_leaves_nothing(line, |person| person.types("\x03"));
        a_search_that_is_ended_leaves_nothing(line, |person| person.program.kill().expect("a program to kill"));
    }
}
