//! From `init` to a ping through the tunnel, with each kind of bundle, key, transport and control channel.
//! Knows the bundles only as files that `OpenVPN` is given.

use crate::{common::tree, network::Network, site::Site};

/// Server from the exported directory, client from the profile, then from the unpacked archive.
fn both_bundles_connect(options: &str) {
    let site = Site::with_authority(&format!("{options} --issue client1"));
    let network = Network::new(1);
    let _server = site.server(&network, "server");
    drop(site.connects(&network, 0, "client1.ovpn"));
    site.run("export client1 --format zip -o client1.zip").succeeds();
    site.tool("unzip -q client1.zip -d unpacked").succeeds();
    let names: Vec<_> = tree(&site.path("unpacked")).into_keys().collect();
    assert_eq!(names, ["ca.crt", "client1.crt", "client1.key", "config.ovpn", "ta.key"].map(std::path::PathBuf::from));
    site.connects(&network, 0, "unpacked/config.ovpn");
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn the_defaults_connect() {
    both_bundles_connect("");
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn tls_crypt_connects_with_both_keys_over_both_transports() {
    for key in ["p256", "rsa2048"] {
        for proto in ["udp", "tcp"] {
            both_bundles_connect(&format!("--control-channel tls-crypt --key {key} --remote 10.99.0.1:1194/{proto}"));
        }
    }
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn tls_auth_connects_with_both_keys_over_both_transports() {
    for key in ["p256", "rsa2048"] {
        for proto in ["udp", "tcp"] {
            both_bundles_connect(&format!("--control-channel tls-auth --key {key} --remote 10.99.0.1:1195/{proto}"));
        }
    }
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn tls_crypt_v2_connects_over_both_transports() {
    for proto in ["udp", "tcp"] {
        both_bundles_connect(&format!("--control-channel tls-crypt-v2 --remote 10.99.0.1:1196/{proto}"));
    }
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn the_other_keys_connect() {
    for key in ["p384", "ed25519", "rsa3072"] {
        both_bundles_connect(&format!("--key {key}"));
    }
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn mixtures_of_keys_connect() {
    for (ca, server, client) in [
        ("rsa2048", "p256", "p256"),
        ("rsa4096", "ed25519", "p384"),
        ("p256", "rsa2048", "ed25519"),
        ("p384", "p256", "rsa4096"),
        ("ed25519", "p384", "rsa3072"),
    ] {
        let site = Site::with_authority(&format!("--ca-key {ca} --key {server}"));
        site.run(&format!("issue client1 --key {client}")).succeeds();
        let network = Network::new(1);
        let _server = site.server(&network, "server");
        site.connects(&network, 0, "client1.ovpn");
    }
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn each_group_and_none_connects() {
    for group in ["none", "ffdhe2048", "ffdhe4096"] {
        both_bundles_connect(&format!("--dh {group}"));
    }
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn pushed_routes_arrive_at_the_client() {
    let site = Site::with_authority("--route 172.16.0.0/16 --route 172.18.0.0/16 --issue client1");
    let network = Network::new(1);
    let _server = site.server(&network, "server");
    let _client = site.connects(&network, 0, "client1.ovpn");
    let routes = network.clients[0].routes();
    for route in ["172.16.0.0/16", "172.18.0.0/16"] {
        assert!(routes.contains(&format!("{route} via 10.8.0.1 dev tun0")), "{route} is not in\n{routes}");
    }
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn a_moved_server_directory_and_a_profile_exported_again_connect() {
    let site = Site::with_authority("--pool 10.8.0.0/22 --issue client1");
    let network = Network::new(1);
    site.tool("mv server elsewhere").succeeds();
    site.tool("rm client1.ovpn").succeeds();
    site.run("export client1").succeeds();
    let _server = site.server(&network, "elsewhere");
    site.connects(&network, 0, "client1.ovpn");
}
