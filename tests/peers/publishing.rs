//! Publishing without root, on other hosts and on a timer: that servers read what came there, and systemd what we generate.
//! Knows users and programs of the host; when something is published is for the other tests.

use std::{fs, path::Path, process::Command};

use crate::{
    common::Outcome,
    network::Network,
    site::{chmod, Site},
};

/// Nobody's in `/etc/passwd`.
const STRANGER: &str = "4711";

/// An authority that belongs to the stranger, who owns nothing else but `served/crl`, where the server reads the list.
fn strangers(crl_file: &str) -> Site {
    let site = Site::new();
    fs::create_dir(site.path("pki")).expect("a directory");
    chmod(&site.path("pki"), 0o700);
    let settings = format!("[client]\nremotes = [\"10.99.0.1\"]\n[server]\ncrl-file = \"{crl_file}\"\n");
    fs::write(site.path("pki/vpnpki.toml"), settings).expect("settings");
    site.run("init --no-passphrase --publish served --issue client1 client2").succeeds();
    // where it was built, others need not get in
    fs::copy(env!("CARGO_BIN_EXE_vpnpki"), site.path("vpnpki")).expect("a copy of the program");
    site.tool(&format!("chown -R {STRANGER}:{STRANGER} pki")).succeeds();
    site
}

fn as_stranger(site: &Site, line: &str) -> Outcome {
    let mut command = Command::new("setpriv");
    command.args(["--reuid", STRANGER, "--regid", STRANGER, "--clear-groups", "--"]);
    Outcome::of(command.args(line.split(' ')).current_dir(site.dir()))
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn whoever_owns_the_directory_of_the_list_alone_publishes_to_a_running_server() {
    let site = strangers("crl/crl.pem");
    site.tool(&format!("chown -R {STRANGER}:{STRANGER} served/crl")).succeeds();
    let network = Network::new(1);
    let mut server = site.server(&network, "served");
    drop(site.connects(&network, 0, "client1.ovpn"));
    as_stranger(&site, "touch served/mine").exits(1).says("Permission denied");
    as_stranger(&site, "./vpnpki revoke client1").succeeds().says("published CRL 2 to");
    site.is_refused(&network, &mut server, 0, "client1.ovpn");
    drop(site.connects(&network, 0, "client2.ovpn"));
    // root acts for the owner, the owner's timer carries it
    site.run("revoke client2 --no-publish").succeeds();
    as_stranger(&site, "./vpnpki --batch crl publish").succeeds().says("published CRL 3 to");
    site.is_refused(&network, &mut server, 0, "client2.ovpn");
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn without_a_directory_of_its_own_the_list_of_root_stays() {
    let site = strangers("crl.pem");
    let old = fs::read(site.path("served/crl.pem")).expect("a list");
    as_stranger(&site, "./vpnpki revoke client1").exits(1).says("permission denied");
    assert_eq!(fs::read(site.path("served/crl.pem")).expect("a list"), old);
    assert_eq!(fs::read_dir(site.path("served")).expect("a directory").count(), 7);
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn what_the_owners_settings_name_runs_as_the_owner_also_when_root_acts() {
    let site = strangers("crl.pem");
    let hook = site.path("hook");
    fs::write(&hook, "#!/bin/sh\nid -u > who; id -g >> who; id -G >> who; cat /etc/shadow\n").expect("a script");
    chmod(&hook, 0o755);
    site.set("publish", "after", toml_edit::Array::from_iter([hook.display().to_string()]));
    site.run("revoke client1").exits(1).says("Permission denied");
    let who = fs::read_to_string(site.path("pki/who")).expect("what it wrote");
    assert_eq!(who, format!("{STRANGER}\n{STRANGER}\n{STRANGER}\n"));
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn a_list_carried_to_a_host_without_the_authority_locks_out_there() {
    let site = Site::with_authority("--issue client1 --issue client2");
    site.tool("cp -a server vpn2").succeeds();
    let network = Network::new(1);
    let mut server = site.server(&network, "vpn2");
    drop(site.connects(&network, 0, "client1.ovpn"));
    site.run("revoke client1 --no-publish").succeeds();
    site.run("crl publish -o carried.pem").succeeds();
    site.tool("mv pki elsewhere").succeeds();
    site.run("crl install vpn2 --ca vpn2/ca.crt --crl carried.pem").succeeds();
    site.is_refused(&network, &mut server, 0, "client1.ovpn");
    site.connects(&network, 0, "client2.ovpn");
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn systemd_takes_the_units_and_what_they_start_publishes() {
    let site = Site::with_authority("--publish served --issue client1");
    fs::create_dir(site.path("units")).expect("a directory");
    for after in [None, Some("/bin/true")] {
        if let Some(program) = after {
            site.set("publish", "after", toml_edit::Array::from_iter([program]));
        }
        site.run("generate systemd -o units").succeeds();
        let outcome = verified(&site);
        assert!(outcome.status.success() && outcome.stderr.is_empty(), "{outcome}");
    }
    site.run("revoke client1 --no-publish").succeeds();
    let service = site.path("units/vpnpki-crl.service");
    let text = fs::read_to_string(&service).expect("a unit");
    let line = text.lines().find_map(|line| line.strip_prefix("ExecStart=")).expect("what it starts");
    let mut words = line.split(' ');
    let mut command = Command::new(words.next().expect("a program"));
    Outcome::of(command.args(words).env_clear().current_dir("/")).succeeds().says("published CRL 2 to");
    // and it would say so if it did not take them
    fs::write(&service, text.replace("ProtectSystem=strict", "ProtectSistem=strict")).expect("a unit");
    assert!(!verified(&site).stderr.is_empty());
}

fn verified(site: &Site) -> Outcome {
    let unit = |name: &str| -> std::path::PathBuf { Path::new(&site.path("units")).join(name) };
    let mut command = Command::new("systemd-analyze");
    Outcome::of(command.arg("verify").args([unit("vpnpki-crl.service"), unit("vpnpki-crl.timer")]))
}
