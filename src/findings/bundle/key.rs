//! Whether a private key is that of a certificate: equal by its public half, and proven by a signature.
//! Knows not where either comes from.

use crate::{
    pki::{self, Inspected, KeyError, PrivateKey},
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
    /// Of a kind that is not read here.
    Unread(KeyError),
    /// None at all.
    Damaged(KeyError),
}

/// Holds the key in a text against a certificate.
pub fn proven(text: &[u8], passphrase: Option<&Secret>, certificate: &Inspected) -> KeyProof {
    match read(text, passphrase) {
        Ok(key) if key.spki() != certificate.spki => KeyProof::Foreign,
        Ok(key) => match pki::challenge(&key, &certificate.spki) {
            Ok(()) => KeyProof::Proven,
            Err(error) => KeyProof::Damaged(error),
        },
        Err(KeyError::Encrypted) => KeyProof::Closed,
        Err(error @ (KeyError::Unsupported | KeyError::Public(_))) => KeyProof::Unread(error),
        Err(error) => KeyProof::Damaged(error),
    }
}

fn read(text: &[u8], _passphrase: Option<&Secret>) -> Result<PrivateKey, KeyError> {
    PrivateKey::from_any_pem(text)
}
