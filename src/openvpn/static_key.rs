//! `OpenVPN`'s static key, our `ta.key`: 2048 random bits in the armour that `openvpn --genkey secret` writes.
//! Knows not whether it serves `tls-crypt` or `tls-auth`; the same file does for both.

use std::fmt::Write;

use crate::secret::Secret;

/// Two directions of 64 bytes for a cipher and 64 for an HMAC (`struct key2`, crypto.h).
pub struct StaticKey(Secret);

/// Why some bytes are no static key.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum StaticKeyError {
    /// No line `-----BEGIN OpenVPN Static key V1-----`.
    #[error("this is no OpenVPN static key: the line `{BEGIN}` is missing")]
    Begin,
    /// No line `-----END OpenVPN Static key V1-----`.
    #[error("the OpenVPN static key is cut off: the line `{END}` is missing")]
    End,
    /// Something other than hexadecimal digits and white space.
    #[error("the OpenVPN static key holds something other than hexadecimal digits")]
    Digits,
    /// Not 256 bytes.
    #[error("an OpenVPN static key has {LENGTH} bytes, this one has {0}")]
    Length(usize),
}

impl StaticKey {
    /// The key made of these random bytes.
    pub fn from_random(bytes: [u8; LENGTH]) -> Self {
        let bytes = zeroize::Zeroizing::new(bytes);
        Self(Secret::new(bytes.to_vec()))
    }

    /// The file `OpenVPN` writes, byte for byte (`write_key_file`, crypto.c): 636 bytes.
    pub fn to_pem(&self) -> Secret {
        // room for all of it at once, since a buffer that moves leaves a copy behind
        let mut text = String::with_capacity(FILE_LENGTH);
        text.push_str("#\n# 2048 bit OpenVPN static key\n#\n");
        text.push_str(BEGIN);
        for (index, byte) in self.0.expose().iter().enumerate() {
            if index % 16 == 0 {
                text.push('\n');
            }
            write!(text, "{byte:02x}").expect("writing to a String cannot fail");
        }
        text.push('\n');
        text.push_str(END);
        text.push('\n');
        Secret::from(text)
    }

    /// Reads such a file as `OpenVPN` does (`read_key_file`, crypto.c): what stands before the first line is ignored.
    pub fn parse(file: &[u8]) -> Result<Self, StaticKeyError> {
        let mut lines = file.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii_end);
        if !lines.any(|line| line == BEGIN.as_bytes()) {
            return Err(StaticKeyError::Begin);
        }
        let mut digits = zeroize::Zeroizing::new(Vec::with_capacity(2 * LENGTH));
        for line in lines {
            if line == END.as_bytes() {
                return from_digits(&digits);
            }
            digits.extend(line.iter().filter(|byte| !byte.is_ascii_whitespace()));
            if digits.len() > 2 * LENGTH {
                return Err(StaticKeyError::Length(digits.len() / 2));
            }
        }
        Err(StaticKeyError::End)
    }
}

fn from_digits(digits: &[u8]) -> Result<StaticKey, StaticKeyError> {
    if digits.len() != 2 * LENGTH {
        return Err(StaticKeyError::Length(digits.len() / 2));
    }
    let value = |digit: u8| char::from(digit).to_digit(16).ok_or(StaticKeyError::Digits);
    let mut bytes = Vec::with_capacity(LENGTH);
    for pair in digits.chunks_exact(2) {
        // two digits of at most 15 fit a byte
        bytes.push(u8::try_from(value(pair[0])? * 16 + value(pair[1])?).map_err(|_| StaticKeyError::Digits)?);
    }
    Ok(StaticKey(Secret::new(bytes)))
}

/// Bytes of a static key.
pub const LENGTH: usize = 256;

const BEGIN: &str = "-----BEGIN OpenVPN Static key V1-----";
const END: &str = "-----END OpenVPN Static key V1-----";
const FILE_LENGTH: usize = 636;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn counting() -> [u8; LENGTH] {
        std::array::from_fn(|index| u8::try_from(index).unwrap())
    }

    fn error(file: &[u8]) -> StaticKeyError {
        StaticKey::parse(file).err().unwrap()
    }

    #[test]
    fn has_the_shape_of_openvpns_own_file() {
        let pem = StaticKey::from_random(counting()).to_pem();
        let text = pem.expose_text().unwrap();
        assert_eq!(text.len(), FILE_LENGTH);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[..4], ["#", "# 2048 bit OpenVPN static key", "#", BEGIN]);
        assert_eq!(lines[4], "000102030405060708090a0b0c0d0e0f");
        assert_eq!(lines[19], "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff");
        assert_eq!(lines[20..], [END]);
    }

    #[test]
    fn other_line_ends_cases_and_preambles_are_read() {
        let pem = StaticKey::from_random(counting()).to_pem();
        let text = pem.expose_text().unwrap();
        let digits = |text: &str| text.replace("abacadae", "ABACADAE").replace('\n', "\r\n");
        let other = StaticKey::parse(format!("from the old server\n{}", digits(text)).as_bytes()).ok().unwrap();
        assert_eq!(other.to_pem().expose(), pem.expose());
    }

    #[test]
    fn what_is_no_key_says_why() {
        let pem = StaticKey::from_random([7; LENGTH]).to_pem();
        let text = pem.expose_text().unwrap();
        assert_eq!(error(b"correct horse battery staple\n"), StaticKeyError::Begin);
        assert_eq!(error(text.replace(END, "").as_bytes()), StaticKeyError::End);
        assert_eq!(error(text.replacen("07", "0x", 1).as_bytes()), StaticKeyError::Digits);
        assert_eq!(error(text.replacen("0707", "07", 1).as_bytes()), StaticKeyError::Length(255));
        assert_eq!(error(text.replacen("07", "0707", 1).as_bytes()), StaticKeyError::Length(256 + 1));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(seed: [u8; 32]) {
            let key = StaticKey::from_random(std::array::from_fn(|index| seed[index % 32] ^ seed[index / 8]));
            let pem = key.to_pem();
            let again = StaticKey::parse(pem.expose()).ok().unwrap().to_pem();
            prop_assert_eq!(again.expose(), pem.expose());
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, tail in "[0-9a-f\\s-]{0,40}") {
            let _ = StaticKey::parse(&bytes);
            let _ = StaticKey::parse(format!("{BEGIN}\n{tail}").as_bytes());
        }
    }
}
