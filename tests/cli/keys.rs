//! Kinds of keys: the CA's, servers' and clients' chosen apart from each other, and private keys that are refused.
//! Chains and handshakes of every mixture are in `tests/peers/mixtures.rs`; what is wrong with a key is known in `pki`.

use vpnpki::pki::{certificates_from_pem, IssuerCertificate};

use crate::site::Site;

/// The kinds of key of the CA and of everybody with a certificate.
fn kinds(site: &Site) -> (String, Vec<(String, String)>) {
    let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
    let all = site.json("list")["certificates"].as_array().expect("certificates").clone();
    let ca = certificates_from_pem(&site.read("server/ca.crt")).expect("a certificate").remove(0);
    let ca = IssuerCertificate::parse(&ca).expect("a CA").algorithm().to_string();
    (ca, all.iter().map(|one| (text(&one["name"]), text(&one["algorithm"]))).collect())
}

#[test]
fn a_ca_may_have_a_key_of_its_own_kind() {
    let site = Site::made("--ca-key rsa2048 --issue anna");
    site.run("issue ben --key p384").succeeds();
    site.run("issue server2 --role server --key rsa2048").succeeds();
    let (ca, leaves) = kinds(&site);
    let of = |name: &str, kind: &str| (name.to_owned(), kind.to_owned());
    assert_eq!(ca, "rsa2048");
    assert_eq!(leaves, [of("anna", "p256"), of("ben", "p384"), of("server", "p256"), of("server2", "rsa2048")]);
    assert!(
        site.text("pki/vpnpki.toml").contains("\n[keys]\n")
            && site.text("pki/vpnpki.toml").contains("\nalgorithm = \"rsa2048\"\n")
    );
    site.run("log verify").succeeds();
    site.refuses("--pki other init --remote a --ca-key rsa1024 --no-passphrase", 2, "is no key algorithm");
}

#[test]
fn the_settings_choose_the_kind_of_the_ca_too() {
    let site = Site::empty();
    let settings = "[client]\nremotes = [\"a\"]\n[keys]\nalgorithm = \"rsa2048\"\n[ca]\nalgorithm = \"p384\"\n";
    std::fs::create_dir(site.path("pki")).expect("a directory");
    site.write("pki/vpnpki.toml", settings);
    site.refuses("init --no-passphrase --ca-key p256", 2, "`--ca-key` has no effect, since `pki` has a vpnpki.toml");
    site.run("init --no-passphrase").succeeds();
    assert_eq!(kinds(&site), ("p384".to_owned(), vec![("server".to_owned(), "rsa2048".to_owned())]));
}

#[test]
fn who_cannot_read_ed25519_is_told_wherever_it_comes_from() {
    let why = "OpenVPN Connect and builds with mbed TLS c";
    let site = Site::made("");
    assert!(!site.run("issue anna").succeeds().stderr.contains(why));
    site.run("issue server2 --role server --key ed25519").succeeds().says(why);
    site.run("renew server --force --key ed25519").succeeds().says(why);
    assert!(!site.run("renew server --force --key p384").succeeds().stderr.contains(why));
    for (dir, option) in [("all", "--key"), ("ca", "--ca-key")] {
        site.run(&format!("--pki {dir} init --remote a --no-passphrase --no-export {option} ed25519"))
            .succeeds()
            .says(why);
    }
}

#[test]
fn a_private_key_that_is_weak_or_damaged_is_refused_and_nothing_is_written() {
    for (key, why) in [
        (include_str!("../../src/pki/weak/2047-bits.key"), "the RSA key has 2047 bits; 2048, 3072 and 4096"),
        (include_str!("../../src/pki/weak/exponent-3.key"), "the RSA key has another public exponent than 65537"),
        (
            include_str!("../../src/pki/weak/unequal-primes.key"),
            "the RSA key's primes do not have half its length each",
        ),
        (include_str!("../../src/pki/weak/no-primes.key"), "the RSA key's primes do not have half its length each"),
        (
            include_str!("../../src/pki/weak/same-primes.key"),
            "the RSA key's primes are equal or too close to each other",
        ),
        (
            include_str!("../../src/pki/weak/close-primes.key"),
            "the RSA key's primes are equal or too close to each other",
        ),
        (include_str!("../../src/pki/weak/swapped-crt.key"), "its numbers do not belong together"),
        (include_str!("../../src/pki/weak/another-modulus.key"), "its numbers do not belong together"),
        (include_str!("../../src/pki/weak/three-primes.key"), "the private key is damaged or none of p256"),
    ] {
        let site = Site::empty();
        site.sh("umask 077; touch anna.key").succeeds();
        site.write("anna.key", key);
        site.refuses("enroll anna --key-file anna.key", 1, why);
    }
}

#[test]
fn a_request_for_a_weak_key_is_refused_and_nothing_is_issued() {
    let site = Site::made("");
    for (request, why) in [
        (include_str!("../../src/pki/weak/2047-bits.csr"), "the RSA key has 2047 bits"),
        (include_str!("../../src/pki/weak/exponent-3.csr"), "another public exponent than 65537"),
        (include_str!("../../src/pki/weak/small-factor.csr"), "the RSA key protects nothing: a small number divides"),
        (include_str!("../../src/pki/weak/same-primes.csr"), "its primes are equal or next to each other"),
        (include_str!("../../src/pki/weak/near-primes.csr"), "its primes are equal or next to each other"),
        (include_str!("../../src/pki/weak/roca.csr"), "CVE-2017-15361"),
    ] {
        site.write("anna.csr", request);
        site.refuses("issue anna --csr anna.csr", 1, why).says("its key is not certified");
    }
}
