//! The passphrase of a bundle, which its owner types: it encrypts the private key in it. It is never the vault's.
//! Knows no file and no terminal.

use zeroize::Zeroizing;

use crate::secret::Secret;

/// 1 to 127 printable ASCII characters. No Debug, Display, Clone or Serialize, on purpose.
pub struct Passphrase(Secret);

/// Why a text is no passphrase of a bundle. Says nothing of what it is.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PassphraseError {
    /// It protects nothing.
    #[error("an empty passphrase protects nothing")]
    Empty,
    /// `OpenVPN` without PKCS#11 cuts it off there (`USER_PASS_LEN` in misc.h), and then it is a wrong one.
    #[error("a bundle's passphrase has at most 127 characters, since OpenVPN reads no more")]
    TooLong,
    /// Importers differ in what they make of other characters (openssl's passphrase-encoding(7)).
    #[error(
        "a bundle's passphrase is of ASCII letters, digits, signs and spaces, since programs differ in what others are"
    )]
    NotAscii,
}

impl Passphrase {
    /// A text that every importer takes as it is.
    pub fn parse(text: Secret) -> Result<Self, PassphraseError> {
        match text.expose() {
            [] => Err(PassphraseError::Empty),
            bytes if !bytes.iter().all(|byte| matches!(byte, b' '..=b'~')) => Err(PassphraseError::NotAscii),
            bytes if bytes.len() > 127 => Err(PassphraseError::TooLong),
            _ => Ok(Self(text)),
        }
    }

    /// Six groups of four characters, 120 bits, such as `k3ph-9twc-…`: nothing in it looks like something else.
    pub fn from_random(random: &Zeroizing<[u8; CHARACTERS]>) -> Self {
        let mut text = Vec::with_capacity(CHARACTERS + CHARACTERS / 4);
        for (place, octet) in random.iter().enumerate() {
            if place > 0 && place % 4 == 0 {
                text.push(b'-');
            }
            // 256 is a multiple of 32, so that every character is as likely as another
            text.push(ALPHABET[usize::from(octet % 32)]);
        }
        Self(Secret::new(text))
    }

    /// The same once more.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self(Secret::new(self.0.expose().to_vec()))
    }

    /// What is typed.
    pub fn secret(&self) -> &Secret {
        &self.0
    }
}

/// How many characters a generated passphrase has, and how many random octets it takes.
pub const CHARACTERS: usize = 24;

/// Neither `l` nor `1`, neither `o` nor `0`.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> PassphraseError {
        Passphrase::parse(Secret::from(text.to_owned())).err().expect("a refusal")
    }

    #[test]
    fn what_every_importer_takes_is_taken() {
        for fine in ["x", "correct horse battery staple", "~!\"#$%&'()*+,-./", &"a".repeat(127)] {
            let copied = Passphrase::parse(Secret::from(fine.to_owned())).map(|passphrase| passphrase.copy());
            assert!(copied.is_ok_and(|copy| copy.secret().expose() == fine.as_bytes()), "{fine}");
        }
        assert_eq!(refusal(""), PassphraseError::Empty);
        assert_eq!(refusal(&"a".repeat(128)), PassphraseError::TooLong);
        for odd in ["Köln", "a\tb", "a\0b", "a\u{7f}"] {
            assert_eq!(refusal(odd), PassphraseError::NotAscii);
        }
    }

    #[test]
    fn a_generated_one_is_six_groups_of_four_and_uses_every_bit() {
        let made = |octets: [u8; CHARACTERS]| {
            let passphrase = Passphrase::from_random(&Zeroizing::new(octets));
            String::from_utf8(passphrase.secret().expose().to_vec()).unwrap()
        };
        assert_eq!(made([0; CHARACTERS]), "aaaa-aaaa-aaaa-aaaa-aaaa-aaaa");
        assert_eq!(made(std::array::from_fn(|place| u8::try_from(place).unwrap())), "abcd-efgh-ijkm-npqr-stuv-wxyz");
        assert_eq!(made([0xff; CHARACTERS]), "9999-9999-9999-9999-9999-9999");
        let mut distinct = ALPHABET.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), 32, "five bits each");
    }
}
