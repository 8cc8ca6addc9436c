//! Whether a private key is the other half of a public one: it signs, and the public one verifies.
//! Knows no certificate.

use x509_parser::{
    der_parser::asn1_rs::BitString,
    prelude::FromDer,
    verify::verify_signature,
    x509::{AlgorithmIdentifier, SubjectPublicKeyInfo},
};

use crate::pki::PrivateKey;

/// Whether what `key` signs is verified by the public key in `spki`, by the second reader's verification.
pub fn proves(key: &PrivateKey, spki: &[u8]) -> bool {
    signed_and_verified(key, spki).is_some()
}

/// Whether the key is the private half of this `SubjectPublicKeyInfo`: the halves are compared, too.
pub fn belongs_to(key: &PrivateKey, spki: &[u8]) -> bool {
    key.spki() == spki && proves(key, spki)
}

fn signed_and_verified(key: &PrivateKey, spki: &[u8]) -> Option<()> {
    use der::Encode;
    let signature = key.sign(CHALLENGE).ok()?;
    let identifier = key.algorithm().signature_identifier().to_der().ok()?;
    let (_, identifier) = AlgorithmIdentifier::from_der(&identifier).ok()?;
    let (_, public) = SubjectPublicKeyInfo::from_der(spki).ok()?;
    verify_signature(&public, &identifier, &BitString::new(0, &signature), CHALLENGE).ok()
}

/// Nothing that could be taken for a certificate, a CRL or a handshake.
const CHALLENGE: &[u8] = b"vpnpki: the key of this certificate signed this line\n";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::{sample, Algorithm};

    #[test]
    fn a_key_proves_its_own_public_half_only() {
        for algorithm in Algorithm::ALL {
            let key = sample::key(algorithm);
            assert!(proves(key, key.spki()), "{algorithm}");
        }
        let other = PrivateKey::generate(Algorithm::P256).ok().unwrap();
        assert!(!proves(&other, sample::key(Algorithm::P256).spki()));
        assert!(!proves(&other, sample::key(Algorithm::Rsa2048).spki()));
        assert!(!proves(&other, b"no key"));
    }
    #[test]
    fn a_key_belongs_to_its_own_public_half_alone() {
        let (one, other) = (sample::key(Algorithm::P256), sample::key(Algorithm::P384));
        for algorithm in Algorithm::ALL {
            assert!(belongs_to(sample::key(algorithm), sample::key(algorithm).spki()), "{algorithm}");
        }
        assert!(!belongs_to(one, other.spki()) && !belongs_to(one, b""));
    }
}
