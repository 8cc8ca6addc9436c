//! What a signature covers, gathered piece by piece: a digest, so that a list of a million entries is never in memory.
//! Knows nothing of what is signed.

use aws_lc_rs::{
    digest::{Digest, SHA256, SHA384},
    signature::{
        UnparsedPublicKey, ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256,
    },
};
use der::Decode;
use spki::SubjectPublicKeyInfoRef;

use crate::pki::{digesting::Digesting, Algorithm};

/// A message for one kind of key.
pub(super) enum Gathered {
    /// RSA and ECDSA sign a digest.
    Digest(Digesting),
    /// Ed25519 reads its message twice, so it is kept whole (RFC 8032, 5.1.6; RFC 8410 knows no prehashed form).
    Whole(Vec<u8>),
}

/// The message as it is signed.
pub(super) enum Message {
    Digest(Digest),
    Whole(Vec<u8>),
}

impl Gathered {
    pub(super) fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::P256 | Algorithm::Rsa2048 | Algorithm::Rsa3072 | Algorithm::Rsa4096 => {
                Self::Digest(Digesting::new(&SHA256))
            }
            Algorithm::P384 => Self::Digest(Digesting::new(&SHA384)),
            Algorithm::Ed25519 => Self::Whole(Vec::new()),
        }
    }

    pub(super) fn add(&mut self, piece: &[u8]) {
        match self {
            Self::Digest(digest) => digest.add(piece),
            Self::Whole(bytes) => bytes.extend_from_slice(piece),
        }
    }

    pub(super) fn message(self) -> Message {
        match self {
            Self::Digest(digest) => Message::Digest(digest.finish()),
            Self::Whole(bytes) => Message::Whole(bytes),
        }
    }
}

impl Message {
    /// Whether this is a signature of it by the key of `spki`, which is one of `algorithm`.
    pub(super) fn is_signed(&self, algorithm: Algorithm, spki: &[u8], signature: &[u8]) -> bool {
        let Ok(info) = SubjectPublicKeyInfoRef::from_der(spki) else { return false };
        let key = match algorithm {
            Algorithm::P256 => UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, info.subject_public_key.raw_bytes()),
            Algorithm::P384 => UnparsedPublicKey::new(&ECDSA_P384_SHA384_ASN1, info.subject_public_key.raw_bytes()),
            Algorithm::Ed25519 => UnparsedPublicKey::new(&ED25519, info.subject_public_key.raw_bytes()),
            Algorithm::Rsa2048 | Algorithm::Rsa3072 | Algorithm::Rsa4096 => {
                UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, info.subject_public_key.raw_bytes())
            }
        };
        let verified = match self {
            Self::Digest(digest) => key.verify_digest(digest, signature),
            Self::Whole(bytes) => key.verify(bytes, signature),
        };
        verified.is_ok()
    }
}
