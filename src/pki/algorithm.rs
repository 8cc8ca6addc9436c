//! The kinds of keys that we make and certify, and how each is named in a certificate.
//! Knows no private key.

use std::{fmt, str::FromStr};

use aws_lc_rs::signature::{self, UnparsedPublicKey};
use const_oid::db::{rfc5912, rfc8410};
use der::{asn1::AnyRef, Decode};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};

use crate::pki::rsa_public;

/// The kind and size of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Algorithm {
    /// ECDSA on P-256: the default, read by everything since `OpenVPN` 2.4.
    P256,
    /// ECDSA on P-384.
    P384,
    /// RSA with 2048 bits.
    Rsa2048,
    /// RSA with 3072 bits.
    Rsa3072,
    /// RSA with 4096 bits.
    Rsa4096,
    /// Ed25519: refused by mbed TLS builds and `OpenVPN` Connect.
    Ed25519,
}

/// Why a public key is not certified.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PublicKeyError {
    /// No `SubjectPublicKeyInfo`, or one with other parameters than RFC 3279, 5480 and 8410 ask for.
    #[error("the public key is none of p256, p384, rsa2048, rsa3072, rsa4096, ed25519")]
    Unknown,
    /// Bits that are no key of the kind they claim to be.
    #[error("the public key is no valid {0} key")]
    Invalid(&'static str),
    /// An RSA key of a size that we do not use.
    #[error("the RSA key has {0} bits; 2048, 3072 and 4096 are supported")]
    Size(usize),
    /// An RSA key whose exponent invites attacks, or one that readers refuse.
    #[error("the RSA key has another public exponent than 65537")]
    Exponent,
    /// An RSA key whose primes anybody can find.
    #[error("the RSA key protects nothing: {0}")]
    Broken(&'static str),
}

impl Algorithm {
    /// Every algorithm, the default first.
    pub const ALL: [Self; 6] = [Self::P256, Self::P384, Self::Rsa2048, Self::Rsa3072, Self::Rsa4096, Self::Ed25519];

    /// The algorithm of a `SubjectPublicKeyInfo`, whose key is checked: a point on its curve, an RSA key of a
    /// size and exponent that we certify. Nothing else is accepted from a certificate or a request.
    pub fn of(spki: &[u8]) -> Result<Self, PublicKeyError> {
        let info = SubjectPublicKeyInfoRef::from_der(spki).map_err(|_| PublicKeyError::Unknown)?;
        let bits = info.subject_public_key.as_bytes().ok_or(PublicKeyError::Unknown)?;
        let algorithm = [Self::P256, Self::P384, Self::Ed25519, Self::Rsa2048]
            .into_iter()
            .find(|algorithm| algorithm.key_identifier() == info.algorithm)
            .ok_or(PublicKeyError::Unknown)?;
        match algorithm {
            Self::P256 => check_point(&signature::ECDSA_P256_SHA256_ASN1, bits, 65, "P-256")?,
            Self::P384 => check_point(&signature::ECDSA_P384_SHA384_ASN1, bits, 97, "P-384")?,
            Self::Ed25519 => check_point(&signature::ED25519, bits, 32, "Ed25519")?,
            Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 => return rsa_public::algorithm_of(bits),
        }
        Ok(algorithm)
    }

    /// Whether it is RSA, of any size.
    pub fn is_rsa(self) -> bool {
        matches!(self, Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096)
    }

    /// How its keys are named in a `SubjectPublicKeyInfo` (RFC 3279, 2.3.1; RFC 5480, 2.1.1; RFC 8410, 3).
    pub(super) fn key_identifier(self) -> AlgorithmIdentifierRef<'static> {
        let (oid, parameters) = match self {
            Self::P256 => (rfc5912::ID_EC_PUBLIC_KEY, Some(AnyRef::from(&rfc5912::SECP_256_R_1))),
            Self::P384 => (rfc5912::ID_EC_PUBLIC_KEY, Some(AnyRef::from(&rfc5912::SECP_384_R_1))),
            Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 => (rfc5912::RSA_ENCRYPTION, Some(AnyRef::NULL)),
            Self::Ed25519 => (rfc8410::ID_ED_25519, None),
        };
        AlgorithmIdentifierRef { oid, parameters }
    }

    /// How its signatures are named: NULL parameters for RSA, none for the others (RFC 4055, 5; RFC 5758, 3.2; RFC 8410, 3).
    pub(super) fn signature_identifier(self) -> AlgorithmIdentifierRef<'static> {
        let (oid, parameters) = match self {
            Self::P256 => (rfc5912::ECDSA_WITH_SHA_256, None),
            Self::P384 => (rfc5912::ECDSA_WITH_SHA_384, None),
            Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 => (rfc5912::SHA_256_WITH_RSA_ENCRYPTION, Some(AnyRef::NULL)),
            Self::Ed25519 => (rfc8410::ID_ED_25519, None),
        };
        AlgorithmIdentifierRef { oid, parameters }
    }

    fn word(self) -> &'static str {
        match self {
            Self::P256 => "p256",
            Self::P384 => "p384",
            Self::Rsa2048 => "rsa2048",
            Self::Rsa3072 => "rsa3072",
            Self::Rsa4096 => "rsa4096",
            Self::Ed25519 => "ed25519",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for Algorithm {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|algorithm| algorithm.word() == text).ok_or_else(|| {
            let words = Self::ALL.map(Self::word).join(", ");
            format!("`{}` is no key algorithm; there are {words}", crate::name::escape(text))
        })
    }
}

impl Serialize for Algorithm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

impl<'de> Deserialize<'de> for Algorithm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The length comes first, since a compressed point is a valid key that many readers refuse (RFC 5480, 2.2).
fn check_point(
    kind: &'static dyn signature::VerificationAlgorithm,
    bits: &[u8],
    length: usize,
    name: &'static str,
) -> Result<(), PublicKeyError> {
    let parsed = bits.len() == length && UnparsedPublicKey::new(kind, bits).parse().is_ok();
    parsed.then_some(()).ok_or(PublicKeyError::Invalid(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::sample;
    use proptest::prelude::*;

    #[test]
    fn words_come_back() {
        for algorithm in Algorithm::ALL {
            assert_eq!(algorithm.to_string().parse(), Ok(algorithm));
            let json = serde_json::to_string(&algorithm).unwrap();
            assert_eq!(serde_json::from_str::<Algorithm>(&json).unwrap(), algorithm);
        }
        assert!("rsa1024".parse::<Algorithm>().unwrap_err().contains("p256, p384"));
    }

    #[test]
    fn every_key_is_recognised_by_its_public_part() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::of(sample::key(algorithm).spki()), Ok(algorithm));
        }
    }

    #[test]
    fn a_point_off_its_curve_is_refused() {
        let mut spki = sample::key(Algorithm::P256).spki().to_vec();
        *spki.last_mut().unwrap() ^= 1;
        assert_eq!(Algorithm::of(&spki), Err(PublicKeyError::Invalid("P-256")));
    }

    #[test]
    fn rsa_without_null_parameters_is_refused() {
        let spki = sample::key(Algorithm::Rsa2048).spki();
        // SEQUENCE, SEQUENCE, OID, NULL: without the NULL, both lengths are two less
        let mut without = spki.to_vec();
        let null = spki.windows(2).position(|pair| pair == [5, 0]).unwrap();
        without.drain(null..null + 2);
        without[3] -= 2;
        without[5] -= 2;
        assert_eq!(Algorithm::of(&without), Err(PublicKeyError::Unknown));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
            prop_assert!(Algorithm::of(&bytes).is_err());
        }
    }
}
