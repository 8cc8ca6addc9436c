//! What keys, certificates, revocation lists, the vault and the ledger cost: `cargo bench --bench cost`.
//! Knows no whole process: `benches/figures` times those.

mod facts;

use std::ops::ControlFlow;

use divan::{black_box, Bencher};
use vpnpki::{
    authority::trust,
    findings::bundle::{
        check,
        proof::{self, Anchor, Expected},
        Against,
    },
    import::{Origin, Package, Part},
    inventory::{ActId, Change, Identity, Issuer, Reason, Revocation, Role},
    openvpn::StaticKey,
    pki::{
        certificate_pem, crl_pem, self_sign, sign_crl, sign_leaf, Algorithm, CaProfile, Crl, CrlProfile,
        IssuerCertificate, LeafProfile, PrivateKey, RevokedEntry, SignedLeaf,
    },
    secret::Secret,
    serial::Serial,
    store::{self, Draft, Store},
    time::{Time, DAY},
    validity::Validity,
    vault::{Binding, VaultKeys},
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

#[divan::bench]
fn seal_a_key(bencher: Bencher) {
    let (vault, pem) = (vault(&[]), key(Algorithm::P256).to_pem());
    let binding = Binding::ca_key("ab12", &Serial::fresh([1; 16]));
    bencher.bench(|| vault.seal(&binding, black_box(&pem)));
}

#[divan::bench]
fn unseal_a_key(bencher: Bencher) {
    let vault = vault(&[]);
    let binding = Binding::ca_key("ab12", &Serial::fresh([1; 16]));
    let sealed = vault.seal(&binding, &Secret::new(vec![0x61; 241])).expect("an age file");
    bencher.bench(|| vault.unseal(&binding, black_box(&sealed)));
}

/// What every bundle is put through before it is handed over.
#[divan::bench(args = [Algorithm::P256, Algorithm::Rsa2048])]
fn prove_a_bundle(bencher: Bencher, algorithm: Algorithm) {
    let bundle = Profile::new(algorithm);
    let authority = Anchor::of(bundle.ca.clone()).expect("a CA");
    let expected = Expected {
        authority: &authority,
        signed: Some(&bundle.signed),
        with_key: true,
        role: Role::Client,
        certificate_pem: &bundle.certificate,
        control_key: &bundle.control_key,
        passphrase: None,
        now: now(),
    };
    assert_eq!(proof::broken(&bundle.package, &expected), None);
    bencher.bench(|| proof::broken(black_box(&bundle.package), &expected));
}

/// What `verify` does with each file, once the other side was read.
#[divan::bench]
fn verify_a_bundle(bencher: Bencher) {
    let bundle = Profile::new(Algorithm::P256);
    let against = Against { now: now(), passphrase: None, other: None, programs: &[], inventory: None };
    assert_eq!(check(&bundle.package, &against), []);
    bencher.bench_local(|| check(black_box(&bundle.package), &against));
}

/// One profile as it is handed over, and what went into it.
struct Profile {
    package: Package,
    certificate: String,
    ca: String,
    signed: SignedLeaf,
    control_key: Secret,
}

impl Profile {
    fn new(algorithm: Algorithm) -> Self {
        let (issuer, issuer_key) = authority(algorithm);
        let own = key(algorithm);
        let signed = sign_leaf(&leaf(), own.spki(), &issuer, &issuer_key).expect("a certificate");
        let certificate = certificate_pem(signed.der());
        let control_key = StaticKey::from_random([7; 256]).to_pem();
        let text = |secret: &Secret| secret.expose_text().expect("text").to_owned();
        let profile = format!(
            "client\ndev tun\nremote vpn.example.com 1194\nremote-cert-tls server\n<ca>\n{}</ca>\n<cert>\n{certificate}</cert>\n\
             <key>\n{}</key>\n<tls-crypt>\n{}</tls-crypt>\n",
            issuer.pem(),
            text(&own.to_pem()),
            text(&control_key)
        );
        let profile = Part { name: "profile.ovpn".to_owned(), bytes: Secret::from(profile) };
        let package = Package { origin: Origin::OpenVpn, profile, parts: Vec::new() };
        Self { package, ca: issuer.pem(), signed, certificate, control_key }
    }
}

/// As `log verify` does with the vault: so many entries of one certificate each.
#[divan::bench(args = [100, 1_000], sample_count = 10)]
fn verify_ledger(bencher: Bencher, entries: u32) {
    let filled = Filled::new(entries);
    bencher.bench_local(|| trust::verify(&*filled.store.snapshot().expect("a view"), Some(&filled.vault)));
}

#[divan::bench(args = [100, 1_000], sample_count = 10)]
fn visit_every_peer(bencher: Bencher, peers: u32) {
    let filled = Filled::new(peers);
    bencher.bench_local(|| {
        let mut seen = 0;
        let view = filled.store.snapshot().expect("a view");
        let visited = view.peers(&mut |peer, certificate| {
            black_box((peer, certificate));
            seen += 1;
            ControlFlow::Continue(())
        });
        assert!(visited.is_ok() && seen == peers);
    });
}

/// A store with so many entries, each of which issued to one client.
struct Filled {
    store: Box<dyn Store>,
    vault: VaultKeys,
    _dir: tempfile::TempDir,
}

impl Filled {
    fn new(entries: u32) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let store = store::create(dir.path()).expect("a store");
        let certificate = self_sign(&ca(), &key(Algorithm::P256)).expect("an authority");
        let vault = vault(&certificate);
        let mac = |hash: &[u8]| vault.mac(hash);
        let mut writing = store.begin(std::time::Duration::ZERO).expect("the only writer");
        let authority = Identity { id: "ab12".to_owned(), created: facts::now() };
        let issuer = Issuer { number: 1, parent: None, certificate, sealed_key: vec![0x61; 540] };
        for fact in [Change::Authority(authority), Change::Issuer(issuer)] {
            writing.record(&fact).expect("a fact");
        }
        let (act, at, by) = (ActId([1; 16]), facts::now(), "benches".to_owned());
        let draft = Draft { act, at, by, operation: "init", events: Vec::new(), suspect: false, mac: Some(&mac) };
        writing.commit(draft).expect("the first entry");
        for index in 0..entries {
            facts::issue(&*store, index, index + 1, &mac).expect("an entry");
        }
        let problems = trust::verify(&*store.snapshot().expect("a view"), Some(&vault)).expect("a store").problems;
        assert!(problems.is_empty(), "{problems:?}");
        Self { store, vault, _dir: dir }
    }
}

fn vault(ca_certificate: &[u8]) -> VaultKeys {
    VaultKeys::create(vpnpki::pki::sha256(ca_certificate), [7; 32])
}

fn key(algorithm: Algorithm) -> PrivateKey {
    PrivateKey::generate(algorithm).unwrap_or_else(|error| panic!("{error}"))
}

fn now() -> Time {
    Time::from_unix(1_795_000_000)
}

fn authority(algorithm: Algorithm) -> (IssuerCertificate, PrivateKey) {
    let key = key(algorithm);
    let der = self_sign(&ca(), &key).expect("an authority");
    (IssuerCertificate::parse(&der).expect("an authority"), key)
}

fn ca() -> CaProfile {
    CaProfile {
        common_name: "openvpn vpn.example.com".into(),
        serial: Serial::fresh([1; 16]),
        validity: Validity::of_days(now(), 3650, DAY),
    }
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
