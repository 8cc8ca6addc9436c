//! Fresh Diffie-Hellman parameters: what `OpenSSL` says of them, and that `OpenVPN` agrees on keys with them.
//! Knows nothing of the search.

use std::{
    fs::{self, OpenOptions},
    io::Write,
};

use crate::{network::Network, openvpn::OpenVpn, site::Site};

#[track_caller]
fn openssl_accepts(site: &Site, file: &str, bits: u32) {
    site.tool(&format!("openssl dhparam -check -noout -in {file}")).succeeds().says("DH parameters appear to be ok");
    let text = site.tool(&format!("openssl dhparam -text -noout -in {file}")).succeeds();
    text.says(&format!("DH Parameters: ({bits} bit)")).says("G:    2 (0x2)");
    // written again by OpenSSL they are the same bytes, as PEM and as DER
    site.tool(&format!("openssl dhparam -in {file} -out {file}.again")).succeeds();
    let read = |name: &str| fs::read(site.path(name)).expect("a file");
    assert_eq!(read(&format!("{file}.again")), read(file));
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn openssl_finds_nothing_wrong_with_fresh_parameters() {
    let site = Site::new();
    for bits in [2048, 3072] {
        let file = format!("dh{bits}.pem");
        site.run(&format!("dh generate --bits {bits} -o {file}")).succeeds();
        openssl_accepts(&site, &file, bits);
    }
}

/// A profile of `client1` that offers nothing but an exchange over a prime.
fn without_curves(site: &Site) {
    let mut profile = OpenOptions::new().append(true).open(site.path("client1.ovpn")).expect("a profile");
    profile.write_all(b"\ntls-version-max 1.2\ntls-cipher TLS-DHE-RSA-WITH-AES-256-GCM-SHA384\n").expect("a profile");
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn a_client_that_knows_no_curves_connects_over_fresh_parameters() {
    let site = Site::with_authority("--key rsa2048 --issue client1 --dh generate");
    openssl_accepts(&site, "server/dh.pem", 2048);
    site.run("verify client1.ovpn").succeeds();
    without_curves(&site);
    let network = Network::new(1);
    let server = site.server(&network, "server");
    assert!(server.log().contains("Diffie-Hellman initialized with 2048 bit key"), "{}", server.log());
    let client = site.connects(&network, 0, "client1.ovpn");
    assert!(client.log().contains("DHE-RSA-AES256-GCM-SHA384"), "{}", client.log());
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn it_does_not_connect_where_the_server_has_none() {
    let site = Site::with_authority("--key rsa2048 --issue client1 --dh none");
    without_curves(&site);
    let network = Network::new(1);
    let mut server = site.server(&network, "server");
    let client = OpenVpn::start(&network.clients[0], &site.path("client1.ovpn"));
    server.wait_for("no shared cipher", 0);
    assert!(!client.is_up(), "{}", client.log());
}
