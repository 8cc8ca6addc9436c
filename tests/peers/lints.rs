//! What linters and other libraries say of everything that is issued.
//! Knows no rule itself; each finding that is let pass has its reason here.

use std::fs;

use vpnpki::pki::Algorithm;

use crate::{
    common::Outcome,
    made::{serial, Made},
    site::Site,
};

const ALGORITHMS: [&str; 4] = ["p256", "p384", "rsa2048", "ed25519"];

/// Findings of pkilint that are let pass, each with its reason.
const EXPLAINED: [(&str, &str); 0] = [];

/// An authority with everything it issues beside it: two clients, of which one is revoked, and CRLs without and with it.
fn issued(algorithm: &str) -> Site {
    let site = Site::with_authority(&format!("--key {algorithm} --issue client1 --issue client2"));
    for client in ["client1", "client2"] {
        site.run(&format!("export {client} --format dir -o {client}")).succeeds();
    }
    site.run("crl publish -o empty.pem").succeeds();
    site.run("revoke client2 --no-publish").succeeds();
    site.run("crl publish -o one.pem").succeeds();
    site
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn pkilint_finds_nothing_in_certificates() {
    for algorithm in ALGORITHMS {
        let site = issued(algorithm);
        for certificate in ["server/ca.crt", "server/server.crt", "client1/client1.crt"] {
            is_clean(&site.tool(&format!("lint_pkix_cert lint -s WARNING -f CSV {certificate}")));
        }
    }
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn pkilint_finds_nothing_in_lists_of_none_one_and_a_thousand() {
    for algorithm in ALGORITHMS {
        let site = issued(algorithm);
        let made = Made::new(algorithm.parse::<Algorithm>().unwrap());
        let thousand: Vec<_> = (0..1000).map(numbered).collect();
        fs::write(site.path("thousand.pem"), made.crl(2, &thousand)).unwrap();
        for crl in ["empty.pem", "one.pem", "thousand.pem"] {
            is_clean(&site.tool(&format!("lint_crl lint -t CRL -p PKIX -s WARNING -f CSV {crl}")));
        }
    }
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn openssl_verifies_strictly_with_purpose_and_list() {
    let verify = "openssl verify -x509_strict -crl_check -CAfile server/ca.crt";
    for algorithm in ALGORITHMS {
        let site = issued(algorithm);
        site.tool(&format!("{verify} -CRLfile empty.pem -purpose sslserver server/server.crt")).succeeds();
        site.tool(&format!("{verify} -CRLfile one.pem -purpose sslclient client1/client1.crt")).succeeds();
        for (purpose, wrong) in [("sslclient", "server/server.crt"), ("sslserver", "client1/client1.crt")] {
            let outcome = site.tool(&format!("{verify} -CRLfile one.pem -purpose {purpose} {wrong}"));
            outcome.exits(2).says("unsuitable certificate purpose");
        }
        let revoked = site.tool(&format!("{verify} -CRLfile one.pem -purpose sslclient client2/client2.crt"));
        revoked.exits(2).says("certificate revoked");
    }
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn gnutls_verifies_chain_and_list() {
    for algorithm in ALGORITHMS {
        let site = issued(algorithm);
        let purpose = [("server/server.crt", "1.3.6.1.5.5.7.3.1"), ("client1/client1.crt", "1.3.6.1.5.5.7.3.2")];
        for (certificate, purpose) in purpose {
            site.tool(&format!("certtool --verify --load-ca-certificate server/ca.crt --load-crl one.pem --verify-purpose {purpose} --infile {certificate}")).succeeds().says("Verified");
        }
        let verify = "certtool --verify --load-ca-certificate server/ca.crt --load-crl one.pem --infile";
        site.tool(&format!("{verify} client2/client2.crt")).exits(1).says("revoked");
        for crl in ["empty.pem", "one.pem"] {
            site.tool(&format!("certtool --verify-crl --load-ca-certificate server/ca.crt --infile {crl}")).succeeds();
            site.tool(&format!("certtool --crl-info --infile {crl}")).succeeds().says("CRL Number");
        }
    }
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn pyca_reads_and_verifies_everything() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/read.py");
    for algorithm in ALGORITHMS {
        let site = issued(algorithm);
        let files = "server/ca.crt server/server.crt client1/client1.crt client2/client2.crt empty.pem one.pem";
        site.tool(&format!("python3 {script} {files}")).succeeds().says("all verified");
    }
}

/// No finding but explained ones; a file that could not be read shows as text that is no table.
fn is_clean(lint: &Outcome) {
    let mut lines = lint.stdout.lines().map(str::trim).filter(|line| !line.is_empty());
    assert!(lines.next().is_none_or(|header| header.starts_with("node_path")) && lint.stderr.is_empty(), "{lint}");
    let explained = |line: &str| EXPLAINED.iter().any(|(code, _)| line.contains(code));
    assert!(lines.all(explained), "findings\n{lint}");
}

fn numbered(number: u16) -> vpnpki::serial::Serial {
    let [high, low] = number.to_be_bytes();
    let mut octets = serial(0x45).octets().to_vec();
    octets.extend([high, low]);
    vpnpki::serial::Serial::from_octets(&octets).expect("a serial")
}
