//! Nobody is locked out: not by a CRL the server cannot read, nor by one that expires, nor by a clock that is ahead.
//! Knows `OpenVPN`'s habit of dropping privileges after the first read.

use std::{fs, path::Path, process::Command};

use crate::{
    clock,
    common::{vpnpki, Outcome},
    network::Network,
    site::{chmod, under, Site},
};

/// A published server directory whose settings let the server run as nobody:nogroup.
fn serving_as_nobody() -> Site {
    let site = Site::with_authority("--issue client1 --issue client2");
    site.set("server", "user", "nobody");
    site.set("server", "group", "nogroup");
    site.run("export server --publish -o served").succeeds();
    site
}

/// After a revocation the server, without its privileges, reads the new CRL: one is out, the other still gets in.
fn the_new_crl_is_read(site: &Site) {
    let network = Network::new(1);
    let mut server = site.server(&network, "served");
    assert!(server.log().contains("UID set to nobody"), "{}", server.log());
    drop(site.connects(&network, 0, "client1.ovpn"));
    site.run("revoke client1").succeeds();
    site.is_refused(&network, &mut server, 0, "client1.ovpn");
    site.connects(&network, 0, "client2.ovpn");
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn a_server_as_nobody_reads_the_crl_in_a_directory_open_to_all() {
    let site = serving_as_nobody();
    chmod(&site.path("served"), 0o755);
    the_new_crl_is_read(&site);
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn a_server_as_nobody_reads_the_crl_in_a_directory_of_its_group() {
    let site = serving_as_nobody();
    site.tool("chgrp nogroup served").succeeds();
    chmod(&site.path("served"), 0o750);
    the_new_crl_is_read(&site);
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn a_directory_that_nobody_may_not_enter_is_said_with_its_mend_and_mended_by_it() {
    let site = serving_as_nobody();
    chmod(&site.path("served"), 0o700);
    let said = site.run("revoke client1").exits(1).says("nobody").says("served");
    let mend = said.stderr.split('`').find(|words| words.starts_with("ch")).expect("a command as the mend");
    Outcome::of(Command::new("sh").args(["-c", mend]).current_dir(site.dir())).succeeds();
    site.run("revoke client1").succeeds();
    let network = Network::new(1);
    let mut server = site.server(&network, "served");
    site.is_refused(&network, &mut server, 0, "client1.ovpn");
    site.connects(&network, 0, "client2.ovpn");
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn the_crl_lasts_as_long_as_the_authority() {
    let site = Site::with_authority("--publish served --issue client1");
    let lasts = || crl_end(&site.path("served/crl.pem")) >= certificate_end(&site.path("served/ca.crt"));
    assert!(lasts(), "the first one");
    site.run("revoke client1").succeeds();
    assert!(lasts(), "the one of a revocation");
    site.run("crl refresh").succeeds();
    assert!(lasts(), "the one of a refresh");
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn an_authority_made_with_a_clock_fifty_minutes_ahead_serves_now() {
    let site = Site::new();
    let line = "init --no-passphrase --remote 10.99.0.1 --publish served --issue client1 --issue client2";
    Outcome::of(&mut under(clock::moved("+50m"), &vpnpki(site.dir(), line))).succeeds();
    let network = Network::new(1);
    let mut server = site.server(&network, "served");
    drop(site.connects(&network, 0, "client1.ovpn"));
    // now the clock is behind the newest entry of the ledger, which never stops `revoke`
    site.run("revoke client1").succeeds();
    site.is_refused(&network, &mut server, 0, "client1.ovpn");
    site.connects(&network, 0, "client2.ovpn");
}

fn crl_end(file: &Path) -> i64 {
    let crl = pem::parse(fs::read(file).unwrap()).unwrap();
    let (_, crl) = x509_parser::parse_x509_crl(crl.contents()).unwrap();
    crl.next_update().expect("a CRL that says when the next one comes").timestamp()
}

fn certificate_end(file: &Path) -> i64 {
    let certificate = pem::parse(fs::read(file).unwrap()).unwrap();
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate.contents()).unwrap();
    certificate.validity().not_after.timestamp()
}
