//! The arithmetic that issuing cannot do without, and nothing else: for each certificate a P-256 key, a signature, its
//! verification, and one X25519 seal of the private key, on every core. Knows no certificate, no file and no store.
//!
//! `cargo bench --bench arithmetic -- COUNT` prints one JSON object:
//! `{"count":10000,"cores":2,"seconds":0.52,"each":{"key":11.2,"sign":17.6,"verify":44.5,"seal":38.1}}`, where `seconds`
//! is the time of all on all cores, and `each` the microseconds of one on one core. The program's own time for as many
//! certificates, divided by `seconds`, is how far it is from the limit.
#![expect(clippy::print_stdout, reason = "what it prints is what it is for")]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use aws_lc_rs::{
    aead::{Aad, LessSafeKey, Nonce, UnboundKey, CHACHA20_POLY1305},
    agreement::{agree_ephemeral, EphemeralPrivateKey, UnparsedPublicKey, X25519},
    error::Unspecified,
    hkdf::{Salt, HKDF_SHA256},
    hmac,
    rand::{fill, SystemRandom},
    signature::{self, EcdsaKeyPair, KeyPair, ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING},
};
use rayon::prelude::*;

fn main() {
    // cargo bench says `--bench` to every benchmark
    let count = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(10_000);
    let desk = Desk::new().expect("a CA's key and a vault's");
    // the pool starts, and caches are warm
    run(&desk, count.min(100));
    let begin = Instant::now();
    run(&desk, count);
    let seconds = begin.elapsed().as_secs_f64();
    let each = PARTS.map(|(name, part)| format!("\"{name}\":{:.1}", micros(&desk, part)));
    println!(
        "{{\"count\":{count},\"cores\":{},\"seconds\":{seconds:.4},\"each\":{{{}}}}}",
        rayon::current_num_threads(),
        each.join(",")
    );
}

fn run(desk: &Desk, count: u32) {
    let all = |_| PARTS.iter().try_for_each(|(_, part)| part(desk));
    (0..count).into_par_iter().try_for_each(all).expect("arithmetic without an error");
}

/// The median of a thousand.
fn micros(desk: &Desk, part: Part) -> f64 {
    let mut times: Vec<Duration> = (0..1000)
        .map(|_| {
            let begin = Instant::now();
            part(desk).expect("arithmetic without an error");
            begin.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e6
}

/// Who signs, to whom keys are sealed, and how much of each there is in a certificate of ours.
struct Desk {
    issuer: EcdsaKeyPair,
    vault: Vec<u8>,
    certificate: Vec<u8>,
    signature: Vec<u8>,
    private_key: Vec<u8>,
}

impl Desk {
    fn new() -> Result<Self, Unspecified> {
        let issuer = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING)?;
        let vault = EphemeralPrivateKey::generate(&X25519, &SystemRandom::new())?.compute_public_key()?;
        let certificate = vec![0x30; 380];
        let signature = issuer.sign(&SystemRandom::new(), &certificate)?.as_ref().to_vec();
        Ok(Self { issuer, vault: vault.as_ref().to_vec(), certificate, signature, private_key: vec![0x41; 340] })
    }
}

type Part = fn(&Desk) -> Result<(), Unspecified>;

const PARTS: [(&str, Part); 4] = [("key", key), ("sign", sign), ("verify", verify), ("seal", seal)];

fn key(_: &Desk) -> Result<(), Unspecified> {
    black_box(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING)?.public_key());
    Ok(())
}

fn sign(desk: &Desk) -> Result<(), Unspecified> {
    black_box(desk.issuer.sign(&SystemRandom::new(), black_box(&desk.certificate))?);
    Ok(())
}

fn verify(desk: &Desk) -> Result<(), Unspecified> {
    let key = signature::UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, desk.issuer.public_key().as_ref());
    key.verify(black_box(&desk.certificate), &desk.signature)
}

/// What an age file with one X25519 recipient takes (<https://c2sp.org/age>): an ephemeral key, an agreement, the file
/// key wrapped, the header's MAC, one chunk of text.
fn seal(desk: &Desk) -> Result<(), Unspecified> {
    let (mut file_key, mut nonce) = ([0; 16], [0; 16]);
    fill(&mut file_key)?;
    fill(&mut nonce)?;
    let ephemeral = EphemeralPrivateKey::generate(&X25519, &SystemRandom::new())?;
    let share = ephemeral.compute_public_key()?;
    let peer = UnparsedPublicKey::new(&X25519, &desk.vault);
    let wrapping = agree_ephemeral(ephemeral, peer, Unspecified, |shared| {
        derived(&[share.as_ref(), &desk.vault].concat(), shared, b"age-encryption.org/v1/X25519")
    })?;
    let wrapped = encrypted(&wrapping, &file_key)?;
    let mac_key = derived(&[], &file_key, b"header")?;
    black_box(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &mac_key), &wrapped));
    black_box(encrypted(&derived(&nonce, &file_key, b"payload")?, &desk.private_key)?);
    Ok(())
}

fn derived(salt: &[u8], secret: &[u8], info: &[u8]) -> Result<[u8; 32], Unspecified> {
    let mut key = [0; 32];
    Salt::new(HKDF_SHA256, salt).extract(secret).expand(&[info], &CHACHA20_POLY1305)?.fill(&mut key)?;
    Ok(key)
}

fn encrypted(key: &[u8], text: &[u8]) -> Result<Vec<u8>, Unspecified> {
    let mut sealed = text.to_vec();
    let key = LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key)?);
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key([0; 12]), Aad::empty(), &mut sealed)?;
    Ok(sealed)
}
