//! Private keys: made, read, written and used to sign.
//! Knows nothing of what is signed, and never shows a key.

use aws_lc_rs::{
    digest::Digest,
    encoding::AsDer,
    error::{KeyRejected, Unspecified},
    rand::SystemRandom,
    signature::{
        EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair, ECDSA_P256_SHA256_ASN1_SIGNING,
        ECDSA_P384_SHA384_ASN1_SIGNING, RSA_PKCS1_SHA256,
    },
};
use der::{asn1::BitStringRef, Encode};
use rcgen::{RsaKeySize, PKCS_RSA_SHA256};
use spki::SubjectPublicKeyInfo;
use zeroize::{Zeroize, Zeroizing};

use crate::{
    pki::{algorithm::Algorithm, gathered::Message, pem, rsa_private, LockError, PemError, PublicKeyError},
    secret::Secret,
};

/// A private key in clear. No Debug, Display, Clone or Serialize, on purpose.
pub struct PrivateKey {
    pair: Pair,
    algorithm: Algorithm,
    spki: Vec<u8>,
    pkcs8: Zeroizing<Vec<u8>>,
}

/// Why there is no key, or no signature of it.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The generator failed.
    #[error("the key pair was not made")]
    Generation(#[source] rcgen::Error),
    /// No key in the text.
    #[error("it holds no private key")]
    Pem(#[source] PemError),
    /// A key that needs a passphrase.
    #[error("the private key is encrypted; `openssl pkcs8 -in FILE -out CLEAR` decrypts it")]
    Encrypted,
    /// A passphrase that opened or locked nothing.
    #[error("the private key is encrypted, and was not decrypted: {0}")]
    Locked(LockError),
    /// A key in a form from before PKCS#8.
    #[error("the private key is not in PKCS#8; `openssl pkcs8 -topk8 -nocrypt -in FILE -out PKCS8` converts it")]
    Traditional,
    /// PKCS#8 that is damaged or holds another kind of key.
    #[error("the private key is damaged or none of p256, p384, rsa2048, rsa3072, rsa4096, ed25519")]
    Unsupported,
    /// An RSA key of which one prime is too short, or left out.
    #[error("the RSA key's primes do not have half its length each")]
    PrimeLengths,
    /// An RSA key that Fermat's method, or a better one, would factor.
    #[error("the RSA key's primes are equal or too close to each other")]
    ClosePrimes,
    /// An RSA key that is damaged, or was put together wrongly.
    #[error("the RSA key is damaged: its numbers do not belong together")]
    Inconsistent,
    /// A key whose public part we do not certify.
    #[error("the private key cannot be used")]
    Public(#[source] PublicKeyError),
    /// A failure of the cryptographic library that has no cause it would tell.
    #[error("internal error: the private key could not be {0}")]
    Library(&'static str),
}

impl PrivateKey {
    /// Makes a key from the system's randomness.
    pub fn generate(algorithm: Algorithm) -> Result<Self, KeyError> {
        // a curve's key is not written and read again, which would multiply its point twice more
        let ecdsa = |kind| EcdsaKeyPair::generate(kind).map(|pair| Pair::Ecdsa(algorithm, pair));
        match algorithm {
            Algorithm::P256 => Self::from_made(ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING)),
            Algorithm::P384 => Self::from_made(ecdsa(&ECDSA_P384_SHA384_ASN1_SIGNING)),
            Algorithm::Ed25519 => Self::from_made(Ed25519KeyPair::generate().map(Pair::Ed25519)),
            Algorithm::Rsa2048 => Self::generate_rsa(RsaKeySize::_2048),
            Algorithm::Rsa3072 => Self::generate_rsa(RsaKeySize::_3072),
            Algorithm::Rsa4096 => Self::generate_rsa(RsaKeySize::_4096),
        }
    }

    fn from_made(pair: Result<Pair, Unspecified>) -> Result<Self, KeyError> {
        Self::from_pair(pair.map_err(|_| KeyError::Library("made"))?)
    }

    fn generate_rsa(size: RsaKeySize) -> Result<Self, KeyError> {
        let mut made = rcgen::KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, size).map_err(KeyError::Generation)?;
        let key = Self::from_pkcs8(made.serialized_der());
        // rcgen does not wipe its copy by itself
        made.zeroize();
        key
    }

    /// Reads a PKCS#8 key, version 1 or 2, from PEM; other text around the block is passed over.
    pub fn from_pem(text: &[u8]) -> Result<Self, KeyError> {
        match pem::decode(pem::PRIVATE_KEY, text) {
            Ok(pkcs8) => Self::from_pkcs8(&pkcs8),
            Err(_) if pem::mentions(pem::ENCRYPTED_PRIVATE_KEY, text) => Err(KeyError::Encrypted),
            Err(_) if [pem::RSA_PRIVATE_KEY, pem::EC_PRIVATE_KEY].iter().any(|label| pem::mentions(label, text)) => {
                Err(KeyError::Traditional)
            }
            Err(error) => Err(KeyError::Pem(error)),
        }
    }

    /// Reads a key in every form that `OpenVPN` reads: PKCS#8, and PKCS#1 and SEC 1 from before it.
    pub fn from_any_pem(text: &[u8]) -> Result<Self, KeyError> {
        match Self::from_pem(text) {
            // RFC 1421, 4.6.1.1: what OpenSSL before 1.0 encrypted keys with
            Err(KeyError::Traditional) if pem::mentions_text("Proc-Type: 4,ENCRYPTED", text) => {
                Err(KeyError::Encrypted)
            }
            Err(KeyError::Traditional) => Self::from_pair(Pair::read_traditional(text)?),
            read => read,
        }
    }

    /// PKCS#8 version 1 as PEM, 64 columns, LF. Version 2 is refused by OpenSSL 3.0 and `GnuTLS`.
    pub fn to_pem(&self) -> Secret {
        Secret::from(pem::encode(pem::PRIVATE_KEY, &self.pkcs8))
    }

    /// PKCS#8 version 1 in DER, for whoever makes a key of their own of it.
    pub fn to_pkcs8(&self) -> Secret {
        Secret::new(self.pkcs8.to_vec())
    }

    /// PKCS#8 version 1 in DER.
    pub(super) fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The kind of key.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The public key as a `SubjectPublicKeyInfo` in DER.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// The signature of a message by [`Algorithm::signature_identifier`].
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.pair.sign(message).map_err(|_| KeyError::Library("used to sign"))
    }

    /// The same of a message that was gathered for this kind of key.
    pub(super) fn sign_gathered(&self, message: &Message) -> Result<Vec<u8>, KeyError> {
        let signed = match message {
            Message::Digest(digest) => self.pair.sign_digest(digest),
            Message::Whole(bytes) => self.pair.sign(bytes),
        };
        signed.map_err(|_| KeyError::Library("used to sign"))
    }

    pub(super) fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        Self::from_pair(Pair::read(der)?)
    }

    fn from_pair(pair: Pair) -> Result<Self, KeyError> {
        let spki = pair.spki().map_err(|_| KeyError::Library("reduced to its public part"))?;
        let algorithm = match &pair {
            // the library has made the point, or looked whether it is one
            Pair::Ecdsa(algorithm, _) => *algorithm,
            Pair::Ed25519(_) => Algorithm::Ed25519,
            Pair::Rsa(_) => Algorithm::of(&spki).map_err(KeyError::Public)?,
        };
        let pkcs8 = pair.pkcs8().map_err(|_| KeyError::Library("written"))?;
        Ok(Self { pair, algorithm, spki, pkcs8 })
    }
}

enum Pair {
    Ecdsa(Algorithm, EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

impl Pair {
    /// Each reader refuses the keys of the others.
    fn read(pkcs8: &[u8]) -> Result<Self, KeyError> {
        if let Some(pkcs1) = rsa_private::within(pkcs8) {
            rsa_private::check(pkcs1)?;
            return Self::of_rsa(RsaKeyPair::from_pkcs8(pkcs8));
        }
        let p256 = || EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8);
        let p384 = || EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_ASN1_SIGNING, pkcs8);
        (p256().map(|pair| Self::Ecdsa(Algorithm::P256, pair)))
            .or_else(|_| p384().map(|pair| Self::Ecdsa(Algorithm::P384, pair)))
            .or_else(|_| Ed25519KeyPair::from_pkcs8(pkcs8).map(Self::Ed25519))
            .map_err(|_| KeyError::Unsupported)
    }

    /// PKCS#1 (RFC 8017, A.1.2) or SEC 1 (RFC 5915).
    fn read_traditional(text: &[u8]) -> Result<Self, KeyError> {
        if let Ok(pkcs1) = pem::decode(pem::RSA_PRIVATE_KEY, text) {
            rsa_private::check(&pkcs1)?;
            return Self::of_rsa(RsaKeyPair::from_der(&pkcs1));
        }
        let sec1 = pem::decode(pem::EC_PRIVATE_KEY, text).map_err(|_| KeyError::Unsupported)?;
        let p256 = || EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_ASN1_SIGNING, &sec1);
        let p384 = || EcdsaKeyPair::from_private_key_der(&ECDSA_P384_SHA384_ASN1_SIGNING, &sec1);
        (p256().map(|pair| Self::Ecdsa(Algorithm::P256, pair)))
            .or_else(|_| p384().map(|pair| Self::Ecdsa(Algorithm::P384, pair)))
            .map_err(|_| KeyError::Unsupported)
    }

    /// Sizes and form are as they should be by now.
    fn of_rsa(read: Result<RsaKeyPair, KeyRejected>) -> Result<Self, KeyError> {
        read.map(Self::Rsa).map_err(|_| KeyError::Inconsistent)
    }

    fn spki(&self) -> der::Result<Vec<u8>> {
        let (algorithm, bits) = match self {
            Self::Ecdsa(algorithm, pair) => (*algorithm, pair.public_key().as_ref()),
            Self::Ed25519(pair) => (Algorithm::Ed25519, pair.public_key().as_ref()),
            // every size has the same identifier
            Self::Rsa(pair) => (Algorithm::Rsa2048, pair.public_key().as_ref()),
        };
        let subject_public_key = BitStringRef::from_bytes(bits)?;
        SubjectPublicKeyInfo { algorithm: algorithm.key_identifier(), subject_public_key }.to_der()
    }

    fn pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, Unspecified> {
        Ok(Zeroizing::new(match self {
            Self::Ecdsa(_, pair) => pair.to_pkcs8v1()?.as_ref().to_vec(),
            Self::Ed25519(pair) => pair.to_pkcs8v1()?.as_ref().to_vec(),
            Self::Rsa(pair) => pair.as_der()?.as_ref().to_vec(),
        }))
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let random = SystemRandom::new();
        match self {
            Self::Ecdsa(_, pair) => Ok(pair.sign(&random, message)?.as_ref().to_vec()),
            Self::Ed25519(pair) => Ok(pair.try_sign(message)?.as_ref().to_vec()),
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)?;
                Ok(signature)
            }
        }
    }

    /// A digest of another kind than the key's is refused, and every digest by Ed25519.
    fn sign_digest(&self, digest: &Digest) -> Result<Vec<u8>, Unspecified> {
        match self {
            Self::Ecdsa(_, pair) => Ok(pair.sign_digest(digest)?.as_ref().to_vec()),
            Self::Ed25519(_) => Err(Unspecified),
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign_digest(&RSA_PKCS1_SHA256, digest, &mut signature)?;
                Ok(signature)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::sample;
    use proptest::prelude::*;

    fn error(text: &[u8]) -> KeyError {
        PrivateKey::from_pem(text).err().expect("a refusal")
    }

    #[test]
    fn every_kind_is_written_and_read_back() {
        for algorithm in Algorithm::ALL {
            let key = sample::key(algorithm);
            let pem = key.to_pem();
            let text = pem.expose_text().unwrap();
            assert!(text.starts_with("-----BEGIN PRIVATE KEY-----\n") && text.ends_with("-----END PRIVATE KEY-----\n"));
            assert!(text.lines().all(|line| line.len() <= 64));
            let again = PrivateKey::from_pem(format!("from a friend\n{text}").as_bytes()).ok().unwrap();
            assert_eq!((again.algorithm(), again.spki()), (algorithm, key.spki()));
            assert_eq!(again.to_pem().expose(), pem.expose());
        }
    }

    #[test]
    fn pkcs8_is_of_version_one() {
        for algorithm in Algorithm::ALL {
            let pkcs8 = &sample::key(algorithm).pkcs8;
            let header = if pkcs8[1] < 0x80 { 2 } else { 2 + usize::from(pkcs8[1] & 0x7f) };
            assert_eq!(pkcs8[header..header + 3], [2, 1, 0], "{algorithm}");
        }
    }

    #[test]
    fn two_keys_are_never_the_same() {
        let [one, two] = [(); 2].map(|()| PrivateKey::generate(Algorithm::P256).ok().unwrap());
        assert_ne!(one.spki(), two.spki());
    }

    #[test]
    fn an_ed25519_key_of_version_two_is_read() {
        let made = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let key = PrivateKey::from_pem(made.serialize_pem().as_bytes()).ok().unwrap();
        assert_eq!(key.algorithm(), Algorithm::Ed25519);
        assert!(key.pkcs8.len() < made.serialized_der().len(), "the public key is left out");
    }

    #[test]
    fn other_keys_are_refused_with_the_way_out() {
        let block = |label| format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n");
        assert!(matches!(error(b""), KeyError::Pem(PemError::Missing(_))));
        assert!(matches!(error(block("PRIVATE KEY").as_bytes()), KeyError::Unsupported));
        assert!(matches!(error(block("ENCRYPTED PRIVATE KEY").as_bytes()), KeyError::Encrypted));
        assert!(matches!(error(block("EC PRIVATE KEY").as_bytes()), KeyError::Traditional));
        let p521 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512).unwrap();
        assert!(matches!(error(p521.serialize_pem().as_bytes()), KeyError::Unsupported));
    }

    #[test]
    fn a_damaged_key_is_never_read_as_another() {
        let key = sample::key(Algorithm::P256);
        let pem = key.to_pem();
        let der = pem::decode(pem::PRIVATE_KEY, pem.expose()).unwrap();
        for at in 0..der.len() {
            let mut damaged = der.to_vec();
            damaged[at] ^= 0x01;
            // a damaged private number no longer fits the public point beside it; a version or tag may be overlooked
            if let Ok(read) = PrivateKey::from_pkcs8(&damaged) {
                assert_eq!((read.spki(), &read.pkcs8), (key.spki(), &key.pkcs8), "octet {at}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(PrivateKey::from_pem(&bytes).is_err());
            prop_assert!(PrivateKey::from_pkcs8(&bytes).is_err());
        }
    }
}
