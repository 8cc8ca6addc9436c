//! Serials of every first octet: whether a revoked one is refused must not depend on how its number is padded.
//! Knows certificates made through the library, since the commands choose serials of one shape.

use std::fs;

use vpnpki::{inventory::Role, pki::Algorithm};

use crate::{
    made::{serial, Made},
    network::Network,
    site::{chmod, Site},
};

#[test]
#[ignore = "needs root and peers: tests/run"]
fn openssl_refuses_exactly_the_revoked_of_all_first_octets() {
    let (site, made) = (Site::new(), Made::new(Algorithm::P256));
    let revoked: Vec<_> = (0..=255).filter(|first| first % 2 == 0).map(serial).collect();
    fs::write(site.path("ca.crt"), made.pem()).unwrap();
    fs::write(site.path("crl.pem"), made.crl(1, &revoked)).unwrap();
    for first in 0..=255 {
        let (certificate, _) = made.leaf("client1", Role::Client, serial(first));
        fs::write(site.path(&format!("{first}.crt")), certificate).unwrap();
    }
    for first in 0..=255 {
        let verify = format!("openssl verify -x509_strict -crl_check -CAfile ca.crt -CRLfile crl.pem {first}.crt");
        let outcome = site.tool(&verify);
        let refused = !outcome.status.success() && outcome.stderr.contains("certificate revoked");
        let accepted = outcome.status.success();
        assert!(if first % 2 == 0 { refused } else { accepted }, "first octet {first:02x}\n{outcome}");
    }
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn openvpn_refuses_a_serial_however_it_is_padded() {
    let (site, made) = (Site::with_authority("--issue client1"), Made::new(Algorithm::P256));
    let (certificate, key) = made.leaf("server", Role::Server, serial(0x50));
    put(&site, "server/ca.crt", made.pem().as_bytes());
    put(&site, "server/server.crt", certificate.as_bytes());
    put(&site, "server/server.key", key.expose());
    put(&site, "server/crl.pem", made.crl(1, &[]).as_bytes());
    let network = Network::new(1);
    let mut server = site.server(&network, "server");
    let mut revoked = Vec::new();
    for first in [0x00, 0x7f, 0x80, 0xff] {
        let (dir, profile) = (format!("client-{first}"), format!("client-{first}/config.ovpn"));
        site.run(&format!("export client1 --format dir -o {dir}")).succeeds();
        let (certificate, key) = made.leaf("client1", Role::Client, serial(first));
        put(&site, &format!("{dir}/ca.crt"), made.pem().as_bytes());
        put(&site, &format!("{dir}/client1.crt"), certificate.as_bytes());
        put(&site, &format!("{dir}/client1.key"), key.expose());
        drop(site.connects(&network, 0, &profile));
        revoked.push(serial(first));
        put(&site, "server/crl.pem", made.crl(revoked.len() as u64 + 1, &revoked).as_bytes());
        site.is_refused(&network, &mut server, 0, &profile);
    }
}

fn put(site: &Site, name: &str, bytes: &[u8]) {
    fs::write(site.path(name), bytes).unwrap();
    chmod(&site.path(name), if name.contains(".key") { 0o600 } else { 0o644 });
}
