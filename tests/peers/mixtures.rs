//! Every kind of key below every kind of CA, as server and as client: chains, usages and private keys as others read them.
//! That handshakes come about is tested in `handshake`, tunnels in `connect`.

use crate::{mbed::Mbed, site::Site};

const ALGORITHMS: [&str; 6] = ["p256", "p384", "rsa2048", "rsa3072", "rsa4096", "ed25519"];

/// An authority whose CA has this kind of key, with a server and a client of every kind, each in a directory of its name.
fn everybody(ca: &str) -> Site {
    let site = Site::with_authority(&format!("--ca-key {ca} --no-export"));
    for algorithm in ALGORITHMS {
        site.run(&format!("issue server-{algorithm} --role server --key {algorithm}")).succeeds();
        site.run(&format!("issue client-{algorithm} --key {algorithm} --format dir")).succeeds();
    }
    site.run("crl publish -o crl.pem").succeeds();
    site
}

/// Directory and certificate of everybody, the purpose of it for openssl and for certtool, and its key usage.
fn leaves() -> impl Iterator<Item = (String, &'static str, &'static str, &'static str)> {
    ALGORITHMS.into_iter().flat_map(|algorithm| {
        let usage = match algorithm {
            "p256" | "p384" => "Digital Signature, Key Agreement",
            "ed25519" => "Digital Signature",
            _ => "Digital Signature, Key Encipherment",
        };
        let client = format!("client-{algorithm}/client-{algorithm}.crt");
        [
            (format!("server-{algorithm}/server.crt"), "sslserver", "1.3.6.1.5.5.7.3.1", usage),
            (client, "sslclient", "1.3.6.1.5.5.7.3.2", "Digital Signature"),
        ]
    })
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn openssl_and_gnutls_verify_every_mixture() {
    for ca in ALGORITHMS {
        let site = everybody(ca);
        site.tool("cp server-p256/ca.crt ca.crt").succeeds();
        let usage = |file: &str| site.tool(&format!("openssl x509 -in {file} -noout -ext keyUsage")).succeeds().stdout;
        let says = |usage: &str| format!("X509v3 Key Usage: critical\n    {usage}\n");
        assert_eq!(usage("ca.crt"), says("Certificate Sign, CRL Sign"), "{ca}");
        for (file, purpose, oid, expected) in leaves() {
            let openssl = "openssl verify -x509_strict -crl_check -CAfile ca.crt -CRLfile crl.pem -purpose";
            site.tool(&format!("{openssl} {purpose} {file}")).succeeds();
            let certtool = "certtool --verify --load-ca-certificate ca.crt --load-crl crl.pem --verify-purpose";
            site.tool(&format!("{certtool} {oid} --infile {file}")).succeeds().says("Verified");
            assert_eq!(usage(&file), says(expected), "{file} below {ca}");
        }
    }
}

/// mbed TLS knows no Ed25519, whatever the version (Mbed-TLS/mbedtls#10653): -0x3c80 is `MBEDTLS_ERR_PK_UNKNOWN_PK_ALG`.
#[test]
#[ignore = "needs root and peers: tests/run"]
fn openssl_gnutls_and_mbed_tls_read_private_keys_of_every_kind() {
    let site = Site::with_authority("--no-export");
    let mbed = Mbed::compiled(&site);
    for (algorithm, openssl, gnutls, mbed_tls) in [
        ("p256", "(256 bit)", "EC/ECDSA", Some("EC 256")),
        ("p384", "(384 bit)", "EC/ECDSA", Some("EC 384")),
        ("rsa2048", "(2048 bit, 2 primes)", "RSA", Some("RSA 2048")),
        ("rsa3072", "(3072 bit, 2 primes)", "RSA", Some("RSA 3072")),
        ("rsa4096", "(4096 bit, 2 primes)", "RSA", Some("RSA 4096")),
        ("ed25519", "ED25519 Private-Key", "EdDSA (Ed25519)", None),
    ] {
        site.run(&format!("issue client-{algorithm} --key {algorithm} --format dir")).succeeds();
        let key = format!("client-{algorithm}/client-{algorithm}.key");
        // version 2 of PKCS#8 would be refused here
        site.tool(&format!("openssl asn1parse -in {key}")).succeeds().says("prim: INTEGER           :00");
        site.tool(&format!("openssl pkey -in {key} -check -noout")).succeeds().says("Key is valid");
        site.tool(&format!("openssl pkey -in {key} -text -noout")).succeeds().says(openssl);
        let read = site.tool(&format!("certtool --key-info --infile {key}")).succeeds();
        read.says(&format!("Public Key Info:\n\tPublic Key Algorithm: {gnutls}\n"));
        match mbed_tls {
            Some(kind) => mbed.reads(&site, &key, "").succeeds().says(kind),
            None => mbed.reads(&site, &key, "").exits(1).says("-0x3c80"),
        };
    }
}
