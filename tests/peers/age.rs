//! `age` itself opens what bundles are encrypted to, and only with the right key. `rage` is in no package: the library
//! that it is made of opens them in `src/vault/envelope.rs`.
//! Knows no format; what comes out is compared.

use std::{
    fs,
    io::{Read, Write},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use rustix::pty::{grantpt, openpt, ptsname, unlockpt, OpenptFlags};

use crate::{
    common::{vpnpki, Outcome},
    site::Site,
};

fn with_bundle() -> Site {
    let site = Site::with_authority("--issue client1");
    for (name, kind) in [("ed25519", "ed25519"), ("rsa", "rsa")] {
        Outcome::of(Command::new("ssh-keygen").args(["-q", "-t", kind, "-N", "", "-f"]).arg(site.path(name)))
            .succeeds();
    }
    site.tool("age-keygen -o x25519").succeeds();
    site.tool("age-keygen -o other").succeeds();
    let public = site.tool("age-keygen -y x25519").succeeds().stdout;
    fs::write(site.path("x25519.pub"), public).unwrap();
    site
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn age_opens_bundles_with_each_kind_of_key() {
    let site = with_bundle();
    let plain = fs::read_to_string(site.path("client1.ovpn")).unwrap();
    for form in ["", "--armor"] {
        let all = "--encrypt-to x25519.pub --encrypt-to ed25519.pub --encrypt-to rsa.pub";
        site.run(&format!("export client1 --force {all} {form}")).succeeds();
        for key in ["x25519", "ed25519", "rsa"] {
            assert_eq!(
                site.tool(&format!("age -d -i {key} client1.ovpn.age")).succeeds().stdout,
                plain,
                "{key} {form}"
            );
        }
        assert!(!site.tool("age -d -i other client1.ovpn.age").status.success());
    }
    let first = site.tool("head -c 21 client1.ovpn.age").stdout;
    assert_eq!(first, "-----BEGIN AGE ENCRYP");
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn age_opens_with_a_plugin_what_a_plugin_encrypted() {
    let site = with_bundle();
    let plugins = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/plugin");
    let path = format!("{plugins}:{}", std::env::var("PATH").unwrap_or_default());
    let plain = fs::read_to_string(site.path("client1.ovpn")).unwrap();
    let mut export = vpnpki(site.dir(), "export client1 --encrypt-to age1paper1pzry9x8ghwf25c");
    Outcome::of(export.env("PATH", &path).env("HOME", site.dir())).succeeds();
    // five octets of zero in Bech32, which age reads more strictly than its library in Rust
    fs::write(site.path("paper.key"), "AGE-PLUGIN-PAPER-1QQQQQQQQKH9LMJ\n").unwrap();
    let mut age = Command::new("age");
    age.args(["-d", "-i", "paper.key", "client1.ovpn.age"]).current_dir(site.dir()).env("PATH", &path);
    assert_eq!(Outcome::of(age.env("HOME", site.dir())).succeeds().stdout, plain);
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn age_opens_with_the_passphrase_that_is_typed() {
    let site = with_bundle();
    fs::write(site.path("word"), "correct horse\n").unwrap();
    site.run("export client1 --encrypt-passphrase-file word").succeeds();
    typed(&site, "age -d -o opened client1.ovpn.age", "correct horse");
    assert_eq!(fs::read(site.path("opened")).unwrap(), fs::read(site.path("client1.ovpn")).unwrap());
}

/// Runs a program with a terminal of its own, on which this is typed when it asks.
fn typed(site: &Site, line: &str, answer: &str) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&master).expect("a terminal of ours");
    unlockpt(&master).expect("an open terminal");
    let path = ptsname(&master, Vec::new()).expect("its name").to_str().expect("a plain name").to_owned();
    let slave = || fs::OpenOptions::new().read(true).write(true).open(&path).expect("the program's side");
    let mut command = Command::new("setsid");
    command.args(["--ctty", "--wait"]).args(line.split_whitespace()).current_dir(site.dir());
    let mut program =
        command.stdin(slave()).stdout(Stdio::from(slave())).stderr(slave()).spawn().expect("a program starts");
    drop(command);
    let mut screen = fs::File::from(master);
    let (mut seen, mut byte) = (String::new(), [0]);
    while !seen.contains("passphrase:") && screen.read(&mut byte).is_ok_and(|read| read == 1) {
        seen.push(char::from(byte[0]));
    }
    // the echo is switched off only after the prompt was written
    thread::sleep(Duration::from_millis(100));
    screen.write_all(format!("{answer}\n").as_bytes()).expect("a keyboard");
    let status = program.wait().expect("its end");
    assert!(status.success(), "{line}: {seen}");
}
