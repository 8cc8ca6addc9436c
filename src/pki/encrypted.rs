//! Private keys encrypted with a passphrase: PKCS#8's `EncryptedPrivateKeyInfo` (RFC 5958, 3) as PEM.
//! Knows nothing of where passphrases come from.

use std::num::NonZeroU32;

use der::{
    asn1::{AnyRef, OctetString},
    Decode, Encode, Sequence, Tag, Tagged,
};
use spki::AlgorithmIdentifierOwned;

use crate::{
    pki::{
        pbe::{self, Budget, Lock, LockError, Scheme},
        pem, KeyError, PrivateKey,
    },
    secret::Secret,
};

/// How a private key is encrypted with a passphrase.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum KeyEncryption {
    /// PBES2 with AES-256-CBC and 600,000 rounds of PBKDF2 with HMAC-SHA-256, OWASP's count of today: a guess costs a
    /// tenth of a second, and so does a start.
    #[default]
    Aes256,
    /// PBES2 with 3DES and 100,000 rounds of PBKDF2 with HMAC-SHA-256, for mbed TLS: until 3.6 its PBES2 knows DES and 3DES
    /// only (`oid_cipher_alg` in library/oid.c), with every HMAC of SHA-1 and SHA-2 (`oid_md_hmac` there). A router of 500
    /// MHz needs about two seconds for these rounds, each of which is four blocks in `mbedtls_pkcs5_pbkdf2_hmac`. It
    /// costs strength: 112 bits, and a guess comes at a sixth of the price. A generated passphrase makes up for that.
    DesEde3,
}

/// What an encrypted private key is encrypted by, as far as programs differ about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyLock {
    /// 3DES, by PBES2 with PBKDF2 or by the scheme of PKCS#12.
    DesEde3,
    /// AES, by PBES2 with PBKDF2.
    Aes,
    /// PBES2 with scrypt, whatever the cipher.
    Scrypt,
    /// Something else.
    Other,
}

#[derive(Sequence)]
struct EncryptedPrivateKeyInfo {
    algorithm: AlgorithmIdentifierOwned,
    data: OctetString,
}

impl PrivateKey {
    /// Encrypted PKCS#8 as PEM, 64 columns, LF; salt and initialisation vector are the system's random bytes.
    pub fn to_encrypted_pem(&self, passphrase: &Secret, encryption: KeyEncryption) -> Result<Secret, KeyError> {
        let der = seal_pkcs8(encryption.lock(), passphrase.expose(), self.pkcs8()).map_err(KeyError::Locked)?;
        Ok(Secret::from(pem::encode(pem::ENCRYPTED_PRIVATE_KEY, &der)))
    }

    /// Reads an encrypted PKCS#8 key from PEM: PBES2 with PBKDF2 or scrypt, AES or 3DES, or the 3DES scheme of PKCS#12.
    pub fn from_encrypted_pem(text: &[u8], passphrase: &Secret) -> Result<Self, KeyError> {
        let der = pem::decode(pem::ENCRYPTED_PRIVATE_KEY, text).map_err(KeyError::Pem)?;
        open_pkcs8(&der, passphrase.expose(), &mut Budget::of_a_file())
    }
}

impl KeyEncryption {
    fn lock(self) -> Lock {
        let (scheme, rounds) = match self {
            Self::Aes256 => (Scheme::Aes256, 600_000),
            Self::DesEde3 => (Scheme::DesEde3, 100_000),
        };
        Lock { scheme, rounds: NonZeroU32::new(rounds).expect("rounds are more than none") }
    }
}

/// What the encrypted PKCS#8 key in a PEM is encrypted by; none where there is no such key. Needs no passphrase.
pub fn key_lock(text: &[u8]) -> Option<KeyLock> {
    let der = pem::decode(pem::ENCRYPTED_PRIVATE_KEY, text).ok()?;
    let info = EncryptedPrivateKeyInfo::from_der(&der).ok()?;
    Some(pbe::lock_of(&info.algorithm))
}

/// The encrypted PKCS#8 key in a text, as it is, without what stands around it.
pub fn encrypted_pem(text: &[u8]) -> Result<Secret, KeyError> {
    let der = pem::decode(pem::ENCRYPTED_PRIVATE_KEY, text).map_err(KeyError::Pem)?;
    Ok(Secret::from(pem::encode(pem::ENCRYPTED_PRIVATE_KEY, &der)))
}

/// An `EncryptedPrivateKeyInfo` in DER.
pub(super) fn seal_pkcs8(lock: Lock, passphrase: &[u8], pkcs8: &[u8]) -> Result<Vec<u8>, LockError> {
    let (algorithm, sealed) = pbe::seal(lock, passphrase, pkcs8)?;
    let info = EncryptedPrivateKeyInfo { algorithm, data: pbe::octets(&sealed)? };
    info.to_der().map_err(|_| LockError::Library("it could not be written as DER"))
}

/// The key in an `EncryptedPrivateKeyInfo`. Another passphrase may by chance leave a padding, but no key.
pub(super) fn open_pkcs8(der: &[u8], passphrase: &[u8], budget: &mut Budget) -> Result<PrivateKey, KeyError> {
    let info = EncryptedPrivateKeyInfo::from_der(der).map_err(|_| KeyError::Locked(LockError::Damaged))?;
    let pkcs8 = pbe::open(&info.algorithm, passphrase, info.data.as_bytes(), budget).map_err(KeyError::Locked)?;
    if !is_pkcs8(&pkcs8) {
        return Err(KeyError::Locked(LockError::Wrong));
    }
    PrivateKey::from_pkcs8(&pkcs8)
}

/// Whether it has the shape of a `PrivateKeyInfo`: a SEQUENCE that is as long as it says.
fn is_pkcs8(der: &[u8]) -> bool {
    AnyRef::from_der(der).is_ok_and(|any| any.tag() == Tag::Sequence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::{sample, Algorithm};
    use proptest::prelude::*;

    fn secret(text: &str) -> Secret {
        Secret::from(text.to_owned())
    }

    #[test]
    fn every_key_is_encrypted_and_comes_back() {
        for algorithm in Algorithm::ALL {
            let key = sample::key(algorithm);
            for encryption in [KeyEncryption::Aes256, KeyEncryption::DesEde3] {
                let pem = key.to_encrypted_pem(&secret("correct horse"), encryption).ok().unwrap();
                let text = pem.expose_text().unwrap();
                assert!(text.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"), "{text}");
                assert!(text.ends_with("-----END ENCRYPTED PRIVATE KEY-----\n"), "{text}");
                assert!(text.lines().all(|line| line.len() <= 64), "{text}");
                let around = format!("Bag Attributes\n{}\n", text.replace('\n', "\r\n"));
                assert!(encrypted_pem(around.as_bytes()).is_ok_and(|alone| alone.expose() == pem.expose()));
                let back = PrivateKey::from_encrypted_pem(pem.expose(), &secret("correct horse")).ok().unwrap();
                assert_eq!((back.algorithm(), back.pkcs8()), (algorithm, key.pkcs8()));
                assert!(matches!(PrivateKey::from_pem(pem.expose()), Err(KeyError::Encrypted)));
            }
        }
    }

    #[test]
    fn another_passphrase_opens_nothing() {
        // the same bytes in every run: one passphrase in 256 leaves a padding by chance, and then there is no key behind it
        for number in 0..600 {
            let refused =
                PrivateKey::from_encrypted_pem(OPENSSL[0].as_bytes(), &secret(&format!("horse {number}"))).err();
            assert!(matches!(refused, Some(KeyError::Locked(LockError::Wrong))), "horse {number}: {refused:?}");
        }
    }

    #[test]
    fn what_openssl_wrote_is_read() {
        // `openssl pkcs8 -topk8` 3.0 of one Ed25519 key: with `-v2 aes256`, `-scrypt`, `-v2 des3 -v2prf hmacWithSHA1`, and
        // `-v1 PBE-SHA1-3DES`
        for text in OPENSSL {
            let key = PrivateKey::from_encrypted_pem(text.as_bytes(), &secret("secret")).map(|key| key.algorithm());
            assert_eq!(key.expect(text), Algorithm::Ed25519);
        }
    }

    #[test]
    fn the_scheme_is_told_without_a_passphrase() {
        let told = [KeyLock::Aes, KeyLock::Scrypt, KeyLock::DesEde3, KeyLock::DesEde3].map(Some);
        assert_eq!(OPENSSL.map(|text| key_lock(text.as_bytes())), told);
        let key = sample::key(Algorithm::P256);
        for (encryption, lock) in [(KeyEncryption::Aes256, KeyLock::Aes), (KeyEncryption::DesEde3, KeyLock::DesEde3)] {
            let pem = key.to_encrypted_pem(&secret("correct horse"), encryption).ok().unwrap();
            assert_eq!(key_lock(pem.expose()), Some(lock));
        }
        assert_eq!(key_lock(key.to_pem().expose()), None);
        assert_eq!(key_lock(b""), None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(der in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(open_pkcs8(&der, b"secret", &mut Budget::of_a_file()).is_err());
            let _ = key_lock(pem::encode(pem::ENCRYPTED_PRIVATE_KEY, &der).as_bytes());
        }
    }

    const OPENSSL: [&str; 4] = [
        "\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAhwLzBVzyGrgwICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEKco96DvUKQclPEysubsI/sEQP3n
nOV5zctvN/2q8g3H6qj1bimq3pUNRzq9IOjxWxAid/7VoIHPQspCjHt6WYehOoCi
bTQxf5Qqx1M/DvsrkHk=
-----END ENCRYPTED PRIVATE KEY-----
",
        "\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIGTME8GCSqGSIb3DQEFDTBCMCEGCSsGAQQB2kcECzAUBAgRlwg0bQQvVwICQAAC
AQgCAQEwHQYJYIZIAWUDBAEqBBCvX2qffHpNkeU1aEjbAgDaBEC37MDBuKBiXl2j
rp/e7/LOwu5b+dLwBYOI3Y+lKjSn37mLzBygWuNch14X2HAoYaSDeHWEbwf4OrxE
p46ISq1F
-----END ENCRYPTED PRIVATE KEY-----
",
        "\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MHwwQAYJKoZIhvcNAQUNMDMwGwYJKoZIhvcNAQUMMA4ECB1TVDCYSUWfAgIIADAU
BggqhkiG9w0DBwQIKvF3x4PFm4gEONuvqD9emTzzL3PDSHgyZ9GS2QvLXKZ9mfpH
LTd1FGuoiMIVhxkj50TOxHIQZbHAOXLLnlg4rmuN
-----END ENCRYPTED PRIVATE KEY-----
",
        "\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MFgwHAYKKoZIhvcNAQwBAzAOBAjEXqw7lQcuIgICCAAEODvTsyeARjf8D8YBw0UX
o1ArqxHK+nTXh58wtG0JGIYgP+OWtP1+n0EQcmyiQBTQk+wwOWE834gX
-----END ENCRYPTED PRIVATE KEY-----
",
    ];
}
