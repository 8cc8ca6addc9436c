//! Taking access away: a server that runs meets the new CRL without a restart, and `revoke` says honestly whether it can.
//! Knows what the commands promise, not how they publish.

use std::{thread, time::Duration};

use crate::{
    network::{Network, INSIDE},
    site::Site,
};

#[test]
#[ignore = "needs root and peers: tests/run"]
fn a_running_server_refuses_who_is_revoked_and_ends_the_live_session() {
    let site = Site::with_authority("--issue client1 --issue client2");
    for (key, seconds) in [("reneg-sec", 10), ("hand-window", 5), ("tran-window", 5)] {
        site.set("server", key, seconds);
    }
    site.run("export server --publish -o served").succeeds();
    let network = Network::new(3);
    let mut server = site.server(&network, "served");
    let live = site.connects(&network, 0, "client1.ovpn");
    let _stays = site.connects(&network, 1, "client2.ovpn");

    site.run("revoke client1").succeeds().says("served").says("15 s");
    site.is_refused(&network, &mut server, 2, "client1.ovpn");

    thread::sleep(Duration::from_secs(20));
    assert!(!network.clients[0].pings(INSIDE), "the live session goes on:\n{}\n{}", live.log(), server.log());
    assert!(network.clients[1].pings(INSIDE), "client2 lost its session:\n{}", server.log());
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn init_with_publish_serves_from_that_directory() {
    let site = Site::with_authority("--publish served --issue client1 --issue client2");
    let network = Network::new(1);
    let mut server = site.server(&network, "served");
    drop(site.connects(&network, 0, "client1.ovpn"));
    site.run("revoke client1").succeeds();
    site.is_refused(&network, &mut server, 0, "client1.ovpn");
    site.run("revoke client1").succeeds().says("since");
    site.connects(&network, 0, "client2.ovpn");
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn a_copy_that_runs_elsewhere_is_no_target_until_it_is_named() {
    let site = Site::with_authority("--issue client1");
    site.tool("cp -a server elsewhere").succeeds();
    let network = Network::new(1);
    let mut server = site.server(&network, "elsewhere");
    site.run("revoke client1").exits(1).says("publish");
    drop(site.connects(&network, 0, "client1.ovpn"));
    site.run("crl publish --add elsewhere").succeeds();
    site.is_refused(&network, &mut server, 0, "client1.ovpn");
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn a_name_given_again_connects_and_its_old_certificate_does_not() {
    let site = Site::with_authority("--publish served --issue client1");
    let network = Network::new(1);
    let mut server = site.server(&network, "served");
    site.run("revoke client1").succeeds();
    site.tool("mv client1.ovpn old.ovpn").succeeds();
    site.run("issue client1").succeeds();
    site.connects(&network, 0, "client1.ovpn");
    site.is_refused(&network, &mut server, 0, "old.ovpn");
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn an_authority_put_back_from_yesterday_lets_nobody_in_again() {
    let site = Site::with_authority("--publish served --issue client1 --issue client2");
    let network = Network::new(1);
    let mut server = site.server(&network, "served");
    site.tool("cp -a pki yesterday").succeeds();
    site.run("revoke client1").succeeds();
    site.tool("rm -rf pki").succeeds();
    site.tool("mv yesterday pki").succeeds();
    site.run("crl refresh").succeeds();
    site.run("log").succeeds().says("rolled-back");
    site.is_refused(&network, &mut server, 0, "client1.ovpn");
    site.connects(&network, 0, "client2.ovpn");
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn a_fault_elsewhere_in_the_settings_does_not_stop_a_revocation() {
    let site = Site::with_authority("--publish served --issue client1");
    let network = Network::new(1);
    let mut server = site.server(&network, "served");
    site.set("network", "routes", toml_edit::Array::from_iter(["172.16.0.1/16"]));
    site.run("issue client2").exits(1).says("172.16.0.1/16");
    site.run("revoke client1").succeeds().says("warning");
    site.is_refused(&network, &mut server, 0, "client1.ovpn");
}
