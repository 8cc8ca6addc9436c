//! What keys, certificates and revocation lists cost: `cargo bench`.
//! Knows no store and no disk; whole processes are timed elsewhere.

use divan::{black_box, Bencher};
use vpnpki::{
    inventory::{Reason, Revocation, Role},
    pki::{
        crl_pem, self_sign, sign_crl, sign_leaf, Algorithm, CaProfile, Crl, CrlProfile, IssuerCertificate, LeafProfile,
        PrivateKey, RevokedEntry,
    },
    serial::Serial,
    time::{Time, DAY},
    validity::Validity,
};

fn main() {
    divan::main();
}

#[divan::bench(args = [Algorithm::P256, Algorithm::P384, Algorithm::Ed25519])]
fn generate(algorithm: Algorithm) -> PrivateKey {
    key(algorithm)
}

#[divan::bench]
fn read_key(bencher: Bencher) {
    let pem = key(Algorithm::P256).to_pem();
    bencher.bench(|| PrivateKey::from_pem(black_box(pem.expose())));
}

#[divan::bench(args = [Algorithm::P256, Algorithm::Rsa2048])]
fn sign_one_leaf(bencher: Bencher, algorithm: Algorithm) {
    let (issuer, issuer_key) = authority(algorithm);
    let (profile, leaf_key) = (leaf(), key(Algorithm::P256));
    bencher.bench(|| sign_leaf(black_box(&profile), leaf_key.spki(), &issuer, &issuer_key));
}

#[divan::bench(args = [0, 1_000, 100_000], sample_count = 10)]
fn sign_list(bencher: Bencher, entries: u32) {
    let (issuer, key) = authority(Algorithm::P256);
    let revoked = revoked(entries);
    bencher.bench(|| sign_crl(&list(), black_box(&revoked), &issuer, &key));
}

#[divan::bench(args = [1_000, 100_000], sample_count = 10)]
fn armour_list(bencher: Bencher, entries: u32) {
    let (issuer, key) = authority(Algorithm::P256);
    let der = sign_crl(&list(), &revoked(entries), &issuer, &key).expect("a list");
    bencher.bench(|| crl_pem(black_box(&der)));
}

#[divan::bench(args = [1_000, 100_000], sample_count = 10)]
fn read_and_verify_list(bencher: Bencher, entries: u32) {
    let (issuer, key) = authority(Algorithm::P256);
    let pem = crl_pem(&sign_crl(&list(), &revoked(entries), &issuer, &key).expect("a list"));
    bencher.bench(|| Crl::from_pem(black_box(pem.as_bytes())).and_then(|crl| crl.verify(&issuer)));
}

fn key(algorithm: Algorithm) -> PrivateKey {
    PrivateKey::generate(algorithm).unwrap_or_else(|error| panic!("{error}"))
}

fn now() -> Time {
    Time::from_unix(1_795_000_000)
}

fn authority(algorithm: Algorithm) -> (IssuerCertificate, PrivateKey) {
    let key = key(algorithm);
    let profile = CaProfile {
        common_name: "openvpn vpn.example.com".into(),
        serial: Serial::fresh([1; 16]),
        validity: Validity::of_days(now(), 3650, DAY),
    };
    let der = self_sign(&profile, &key).expect("an authority");
    (IssuerCertificate::parse(&der).expect("an authority"), key)
}

fn leaf() -> LeafProfile {
    LeafProfile {
        name: "laptop-7".parse().expect("a name"),
        role: Role::Client,
        serial: Serial::fresh([2; 16]),
        validity: Validity::of_days(now(), 825, DAY),
        addresses: vec![],
    }
}

fn list() -> CrlProfile {
    CrlProfile { number: 7, validity: Validity::of_days(now(), 3650, DAY), signed_at: now() }
}

fn revoked(count: u32) -> Vec<RevokedEntry> {
    let revocation = Revocation { at: now(), reason: Reason::KeyCompromise };
    let serial = |index: u32| {
        let mut random = [7; 16];
        // spread, so that they come in no order
        random[1..5].copy_from_slice(&index.wrapping_mul(2_654_435_761).to_be_bytes());
        Serial::fresh(random)
    };
    (0..count).map(|index| RevokedEntry { serial: serial(index), revocation }).collect()
}
