//! The fleet that stood before vpnpki: clients configured by hand, only their credentials come from us.
//! Knows the hand-written file as it is in use.

use std::fs;

use crate::{network::Network, site::Site};

const BY_HAND: &str = "\
remote 10.99.0.1 1194
tun-mtu 1000
dev tun
client
float
pull
proto udp
script-security 2
cipher AES-256-CBC
ca ca.crt
cert client1.crt
key client1.key
remote-cert-tls server
tls-auth ta.key 1
";

fn fleet() -> Site {
    let site = Site::with_authority(
        "--ca-name openvpn --control-channel tls-auth --key rsa2048 \
         --route 172.16.0.0/16 --route 172.18.0.0/16 --route 172.20.0.0/16 --issue client1",
    );
    site.run("export client1 --format zip -o client1.zip").succeeds();
    site.tool("unzip -q client1.zip -d byhand").succeeds();
    site
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn a_client_written_by_hand_connects_with_credentials_from_the_archive() {
    let site = fleet();
    let network = Network::new(1);
    let _server = site.server(&network, "server");
    for profile in [BY_HAND, &BY_HAND.replace("tun-mtu 1000\n", "")] {
        fs::write(site.path("byhand/hand.ovpn"), profile).unwrap();
        let _client = site.connects(&network, 0, "byhand/hand.ovpn");
        assert!(network.clients[0].routes().contains("172.20.0.0/16 via 10.8.0.1"));
    }
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn our_own_bundle_with_the_settings_of_the_fleet_connects() {
    let site = fleet();
    site.set("client", "tun-mtu", 1000);
    site.set("client", "float", true);
    site.run("export client1 --force").succeeds().says("mssfix");
    let profile = fs::read_to_string(site.path("client1.ovpn")).unwrap();
    assert!(profile.contains("\ntun-mtu 1000\n") && profile.contains("\nfloat\n"), "{profile}");
    let network = Network::new(1);
    let _server = site.server(&network, "server");
    site.connects(&network, 0, "client1.ovpn");
}
