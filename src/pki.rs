//! Keys: stand-in with the one type that settings need.

use std::{fmt, str::FromStr};

/// A key algorithm.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Algorithm {
    /// NIST P-256.
    P256,
    /// NIST P-384.
    P384,
    /// RSA, 2048 bits.
    Rsa2048,
    /// RSA, 3072 bits.
    Rsa3072,
    /// RSA, 4096 bits.
    Rsa4096,
    /// Ed25519.
    Ed25519,
}

const WORDS: [(Algorithm, &str); 6] = [
    (Algorithm::P256, "p256"),
    (Algorithm::P384, "p384"),
    (Algorithm::Rsa2048, "rsa2048"),
    (Algorithm::Rsa3072, "rsa3072"),
    (Algorithm::Rsa4096, "rsa4096"),
    (Algorithm::Ed25519, "ed25519"),
];

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(WORDS.iter().find(|(algorithm, _)| algorithm == self).map_or("", |(_, word)| word))
    }
}

impl FromStr for Algorithm {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = WORDS.iter().find(|(_, word)| *word == text).map(|(algorithm, _)| *algorithm);
        found.ok_or_else(|| format!("`{}` is no key algorithm", crate::name::escape(text)))
    }
}
