//! Whether a private key is that of a certificate: equal by its public half, and proven by a signature.
//! Knows not where either comes from.

use crate::{
    pki::{self, Inspected, KeyError, LockError, PrivateKey},
    secret::Secret,
};

/// What a private key is to a certificate.
#[derive(Debug)]
pub enum KeyProof {
    /// Its own: it signed what the certificate verifies.
    Proven,
    /// Another certificate's.
    Foreign,
    /// Not looked at, since nobody opened it.
    Closed,
    /// Of a kind that is not read here, or too weak for us: it may work all the same.
    Unread(KeyError),
    /// None that can be used.
    Damaged(KeyError),
}

/// Holds the key in a text against a certificate.
pub fn proven(text: &[u8], passphrase: Option<&Secret>, certificate: &Inspected) -> KeyProof {
    match read(text, passphrase) {
        Ok(key) if pki::belongs_to(&key, &certificate.spki) => KeyProof::Proven,
        Ok(_) => KeyProof::Foreign,
        Err(KeyError::Encrypted) => KeyProof::Closed,
        Err(
            error @ (KeyError::Unsupported
            | KeyError::Public(_)
            | KeyError::PrimeLengths
            | KeyError::ClosePrimes
            | KeyError::Locked(LockError::Unsupported(_) | LockError::TooMuchWork)),
        ) => KeyProof::Unread(error),
        Err(error) => KeyProof::Damaged(error),
    }
}

/// A key in any form, decrypted where that is needed and somebody said how.
pub(super) fn read(text: &[u8], passphrase: Option<&Secret>) -> Result<PrivateKey, KeyError> {
    match (PrivateKey::from_any_pem(text), passphrase) {
        (Err(KeyError::Encrypted), Some(passphrase)) => match PrivateKey::from_encrypted_pem(text, passphrase) {
            // encrypted in the way from before PKCS#8
            Err(KeyError::Pem(_)) => Err(KeyError::Encrypted),
            read => read,
        },
        (read, _) => read,
    }
}
