//! Keys, certificates and revocation lists: profiles, one encoder, and the check that reads back what was signed.
//! Knows no clock, file or setting; only keys, signatures, and the salts of what a passphrase
//! locks draw randomness.

mod address;
mod algorithm;
mod ber;
mod certificate;
pub mod check;
mod crl;
mod digesting;
mod encrypted;
mod gathered;
pub mod inspect;
mod issuer;
mod key;
mod leaf;
mod pbe;
mod pem;
mod pkcs12;
mod profile;
mod proof;
mod read;
mod request;
mod rsa_private;
mod rsa_public;
#[cfg(test)]
mod sample;

pub use address::{Address, AddressError};
pub use algorithm::{Algorithm, PublicKeyError};
pub use certificate::{self_sign, sign_leaf, SignError, SignedLeaf};
pub use check::Violation;
pub use crl::{
    sign_crl, sign_crl_in_parts, Armoured, Crl, CrlError, CrlProfile, CrlStream, CrlSum, Parts, Passed, RevokedEntry,
    Shelf, StreamError, TakePart, Unarmoured,
};
pub use encrypted::{encrypted_pem, key_lock, KeyEncryption, KeyLock};
pub use inspect::{inspect, Inspected};
pub use issuer::IssuerCertificate;
pub use key::{KeyError, PrivateKey};
pub use leaf::{read_leaf, LeafFacts};
pub use pbe::LockError;
pub use pem::PemError;
pub use pkcs12::{read_pkcs12, write_pkcs12, Pkcs12, Pkcs12Contents, Pkcs12Encryption, Pkcs12Error};
pub use profile::{CaProfile, LeafProfile};
pub use proof::{belongs_to, proves};
pub use read::CertificateError;
pub use request::{request_pem, Request, RequestError};

use crate::secret::Secret;

/// A certificate as PEM: `CERTIFICATE`, 64 columns, LF.
pub fn certificate_pem(der: &[u8]) -> String {
    pem::encode(pem::CERTIFICATE, der)
}

/// The DER of every certificate in a PEM file, in its order; other text around them is passed over.
pub fn certificates_from_pem(text: &[u8]) -> Result<Vec<Vec<u8>>, PemError> {
    pem::decode_all(pem::CERTIFICATE, text)
}

/// A revocation list as PEM: `X509 CRL`, 64 columns, LF.
pub fn crl_pem(der: &[u8]) -> String {
    pem::encode(pem::CRL, der)
}

/// How many revocation lists begin in a text, readable or not.
pub fn count_crls(text: &[u8]) -> usize {
    pem::count(pem::CRL, text)
}

/// What base64 in lines of any width says, as it stands in a profile's `<pkcs12>`.
pub fn from_base64(text: &[u8]) -> Option<Secret> {
    pem::unarmoured(text).map(Secret::new)
}

/// The SHA-256 digest that fingerprints a certificate.
pub fn sha256(der: &[u8]) -> [u8; 32] {
    digest(&aws_lc_rs::digest::SHA256, der)
}

/// The key identifier of RFC 5280, 4.2.1.2, method (1): SHA-1 of the public key's bits, as OpenSSL makes it.
/// An identifier, not a protection.
fn key_id(public_key_bits: &[u8]) -> [u8; 20] {
    digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, public_key_bits)
}

fn digest<const N: usize>(algorithm: &'static aws_lc_rs::digest::Algorithm, bytes: &[u8]) -> [u8; N] {
    let mut octets = [0; N];
    octets.copy_from_slice(aws_lc_rs::digest::digest(algorithm, bytes).as_ref());
    octets
}
