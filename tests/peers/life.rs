//! Access over its life, as real servers and clients see it: suspended and resumed, renewed with an overlap.
//! Knows what the commands promise, not how they publish.

use crate::{
    clock,
    common::{vpnpki, Outcome},
    network::Network,
    site::{under, Site},
};

#[test]
#[ignore = "needs root and peers: tests/run"]
fn whoever_is_suspended_is_refused_and_whoever_is_resumed_connects_with_the_same_bundle() {
    let site = Site::with_authority("--publish served --issue client1 --issue client2");
    let network = Network::new(1);
    let mut server = site.server(&network, "served");
    drop(site.connects(&network, 0, "client1.ovpn"));
    site.run("suspend client1").succeeds();
    site.is_refused(&network, &mut server, 0, "client1.ovpn");
    site.run("resume client1").succeeds();
    drop(site.connects(&network, 0, "client1.ovpn"));
    site.run("suspend client1").succeeds();
    site.run("revoke client1").succeeds();
    site.run("resume client1").exits(1).says("revoked since");
    site.is_refused(&network, &mut server, 0, "client1.ovpn");
    site.connects(&network, 0, "client2.ovpn");
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn during_the_overlap_the_old_bundle_and_the_new_one_connect() {
    let site = Site::with_authority("--publish served --issue client1");
    let network = Network::new(1);
    let mut server = site.server(&network, "served");
    site.run("renew client1 -o new.ovpn").succeeds();
    drop(site.connects(&network, 0, "client1.ovpn"));
    drop(site.connects(&network, 0, "new.ovpn"));
    site.run("revoke client1").succeeds();
    site.is_refused(&network, &mut server, 0, "client1.ovpn");
    site.is_refused(&network, &mut server, 0, "new.ovpn");
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn after_the_overlap_the_old_bundle_is_refused_by_the_crl_that_was_signed_with_the_renewal() {
    let site = Site::new();
    let past = |line: &str| {
        Outcome::of(&mut under(clock::moved("-20d"), &vpnpki(site.dir(), line))).succeeds();
    };
    past("init --no-passphrase --remote 10.99.0.1 --publish served --issue client1 --issue client2");
    past("renew client1 -o new.ovpn");
    // whoever publishes needs no vault
    site.tool("mv pki/vault.key elsewhere").succeeds();
    let network = Network::new(1);
    let mut server = site.server(&network, "served");
    drop(site.connects(&network, 0, "client1.ovpn"));
    site.run("status").exits(3).says("served");
    site.run("crl publish").succeeds();
    site.is_refused(&network, &mut server, 0, "client1.ovpn");
    drop(site.connects(&network, 0, "new.ovpn"));
    drop(site.connects(&network, 0, "client2.ovpn"));
    // shown as it is before it is recorded, and recorded by the next command that has the vault
    site.run("show client1").succeeds().says("(superseded)");
    assert!(!site.run("log").stdout.contains("revoked client1"));
    site.tool("mv elsewhere pki/vault.key").succeeds();
    site.run("issue client3").succeeds();
    site.run("log").succeeds().says("revoked client1");
    site.run("log verify").succeeds();
    site.is_refused(&network, &mut server, 0, "client1.ovpn");
    site.connects(&network, 0, "client3.ovpn");
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn a_crl_of_which_half_of_its_life_is_gone_is_signed_anew_by_whoever_opens_the_vault() {
    let site = Site::with_authority("--publish served --issue client1");
    site.set("crl", "days", 20);
    site.run("crl refresh").succeeds().says("CRL 2");
    let later = |days: u32, line: &str| {
        Outcome::of(&mut under(clock::moved(&format!("+{days}d")), &vpnpki(site.dir(), line))).succeeds()
    };
    later(8, "issue client2");
    later(8, "crl show").says("CRL 2 from");
    later(12, "export client2 --force");
    later(12, "crl show").says("CRL 3 from");
    later(12, "crl publish").says("CRL 3 is in");
    // a year later everybody would be locked out, but for the next command
    later(300, "issue client3");
    later(300, "crl publish").says("CRL 4 is in");
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn whoever_has_expired_can_be_forgotten_and_not_a_day_before() {
    let site = Site::with_authority("--publish served");
    site.run("issue client1 --days 30 --note desk-4").succeeds();
    let at = |days: &str, line: &str| Outcome::of(&mut under(clock::moved(days), &vpnpki(site.dir(), line)));
    at("+29d", "forget client1 --yes").exits(1).says("is valid, and nothing was dropped");
    at("+31d", "forget client1 --yes").succeeds().says("dropped 1 private key and the note of client1");
    at("+31d", "log verify").succeeds();
    assert!(!at("+31d", "show client1").succeeds().stdout.contains("desk-4"));
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn a_renewed_server_serves_with_its_new_certificate_after_a_restart() {
    let site = Site::with_authority("--publish served --issue client1");
    let network = Network::new(1);
    let before = std::fs::read(site.path("served/server.crt")).expect("a certificate");
    drop(site.server(&network, "served"));
    site.run("renew server").succeeds().says("restart");
    assert_ne!(std::fs::read(site.path("served/server.crt")).expect("a certificate"), before);
    let _server = site.server(&network, "served");
    site.connects(&network, 0, "client1.ovpn");
}
