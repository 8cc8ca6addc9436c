//! Keys of the vault that other programs made: `age-keygen` and `ssh-keygen`.
//! Knows no format of theirs; whether a vault opens is all there is to see.

use std::{fs, process::Command};

use crate::{
    common::{vpnpki, Outcome},
    site::Site,
};

/// A site with an age identity and an SSH key, and an authority for both of them.
fn for_two() -> Site {
    let site = Site::new();
    site.tool("age-keygen -o age.key").succeeds();
    Outcome::of(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(site.path("ssh.key")))
        .succeeds();
    let age = site.tool("age-keygen -y age.key").succeeds().stdout;
    let ssh = fs::read_to_string(site.path("ssh.key.pub")).unwrap();
    let mut init = vpnpki(site.dir(), "init --remote 10.99.0.1");
    init.args(["--recipient", age.trim(), "--recipient", ssh.trim()]);
    Outcome::of(&mut init).succeeds();
    site
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn each_key_of_two_opens_the_vault_and_a_third_does_not() {
    let site = for_two();
    site.run("issue client1 --identity age.key").succeeds();
    site.run("issue client2 --identity ssh.key").succeeds();
    site.tool("age-keygen -o other.key").succeeds();
    site.run("issue client3 --identity other.key").exits(4);
    site.run("issue client3 --batch").exits(4).says("--identity");
    assert!(!site.path("client3.ovpn").exists());
}
