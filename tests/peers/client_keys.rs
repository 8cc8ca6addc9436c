//! `tls-crypt-v2`: our keys and those that `OpenVPN` makes do each other's work, and nobody else's do.
//! Knows the keys only as files and blocks of profiles.

use std::fs;

use vpnpki::{
    openvpn::tls_crypt_v2::{ClientKey, Metadata, ServerKey, TlsCryptV2Error},
    time::Time,
};

use crate::{network::Network, openvpn::OpenVpn, site::Site};

const MADE: &str = "--control-channel tls-crypt-v2 --issue client1";

/// The block of a profile, or what stands there in its place.
fn block(profile: &str) -> &str {
    let (_, rest) = profile.split_once("<tls-crypt-v2>\n").expect("a block");
    rest.split_once("</tls-crypt-v2>").expect("its end").0
}

fn read(site: &Site, name: &str) -> String {
    fs::read_to_string(site.path(name)).expect("a file")
}

/// `client1.ovpn` with the key that `openvpn` makes for a server key.
fn with_their_key(site: &Site, server_key: &str, name: &str) {
    site.tool(&format!("openvpn --tls-crypt-v2 {server_key} --genkey tls-crypt-v2-client their.key")).succeeds();
    let ours = read(site, "client1.ovpn");
    fs::write(site.path(name), ours.replace(block(&ours), &read(site, "their.key"))).expect("a profile");
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn a_key_that_openvpn_made_for_our_server_opens_here_and_lets_the_client_in() {
    let site = Site::with_authority(MADE);
    with_their_key(&site, "server/ta.key", "theirs.ovpn");
    let server_key = ServerKey::parse(read(&site, "server/ta.key").as_bytes()).expect("a server key");
    let their_key = ClientKey::parse(read(&site, "their.key").as_bytes()).expect("a client key");
    let Ok(Metadata::Made(made)) = their_key.unwrap(&server_key) else { panic!("it does not open") };
    assert!(made > Time::parse("2026-01-01").expect("a date"), "{}", made.date());
    let network = Network::new(1);
    let _server = site.server(&network, "server");
    site.connects(&network, 0, "theirs.ovpn");
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn our_key_for_a_server_key_that_openvpn_made_is_taken() {
    let site = Site::with_authority(MADE);
    site.tool("openvpn --genkey tls-crypt-v2-server their-server.key").succeeds();
    let server_key = ServerKey::parse(read(&site, "their-server.key").as_bytes()).expect("a server key");
    let ours = ClientKey::wrap(&server_key, [7; 256], Time::from_unix(1_700_000_000)).to_pem();
    let profile = read(&site, "client1.ovpn");
    let profile = profile.replace(block(&profile), ours.expose_text().expect("text"));
    fs::write(site.path("client1.ovpn"), profile).expect("a profile");
    fs::copy(site.path("their-server.key"), site.path("server/ta.key")).expect("a server key");
    let network = Network::new(1);
    let _server = site.server(&network, "server");
    site.connects(&network, 0, "client1.ovpn");
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn a_key_of_another_server_gets_no_answer() {
    let site = Site::with_authority(MADE);
    site.tool("openvpn --genkey tls-crypt-v2-server other.key").succeeds();
    with_their_key(&site, "other.key", "foreign.ovpn");
    let server_key = ServerKey::parse(read(&site, "server/ta.key").as_bytes()).expect("a server key");
    let foreign = ClientKey::parse(block(&read(&site, "foreign.ovpn")).as_bytes()).expect("a client key");
    assert_eq!(foreign.unwrap(&server_key), Err(TlsCryptV2Error::Foreign));
    let network = Network::new(1);
    let mut server = site.server(&network, "server");
    let before = server.log().len();
    let client = OpenVpn::start(&network.clients[0], &site.path("foreign.ovpn"));
    server.wait_for("can not extract tls-crypt-v2 client key", before);
    assert!(!client.log().contains("TLS: Initial packet from"), "the server answered:\n{}", client.log());
    drop(client);
    site.connects(&network, 0, "client1.ovpn");
}
