//! Serial numbers of certificates: unsigned, 1 to 20 octets as encoded (RFC 5280, 4.1.2.2).
//! Knows nothing of who carries them; randomness comes from outside.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A serial number, kept as its magnitude: big-endian, no leading zero octet, never zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Serial {
    octets: [u8; LONGEST],
    length: u8,
}

/// Why octets or text are no serial number.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SerialError {
    /// Not a positive number.
    #[error("a serial number is greater than zero")]
    Zero,
    /// More than 20 octets once encoded as a DER INTEGER.
    #[error("a serial number has at most 20 octets as encoded (RFC 5280, 4.1.2.2)")]
    TooLong,
    /// Something that is no hexadecimal digit.
    #[error("`{0}` is no serial number in hexadecimal")]
    NotHex(String),
}

impl Serial {
    /// A new serial from 16 random octets: 16 octets long, the first 0x40 to 0x7f, so that every
    /// program prints it alike (no sign octet, no leading zero) and 126 random bits remain.
    pub fn fresh(mut random: [u8; 16]) -> Self {
        random[0] = 0x40 | (random[0] & 0x3f);
        let mut octets = [0; LONGEST];
        octets[..16].copy_from_slice(&random);
        Self { octets, length: 16 }
    }

    /// From big-endian octets, with or without leading zeros.
    pub fn from_octets(octets: &[u8]) -> Result<Self, SerialError> {
        let start = octets.iter().position(|&octet| octet != 0).ok_or(SerialError::Zero)?;
        let magnitude = &octets[start..];
        let encoded = magnitude.len() + usize::from(magnitude[0] >= 0x80);
        if encoded > LONGEST {
            return Err(SerialError::TooLong);
        }
        let mut kept = [0; LONGEST];
        kept[..magnitude.len()].copy_from_slice(magnitude);
        // at most 20, checked above
        Ok(Self { octets: kept, length: u8::try_from(magnitude.len()).map_err(|_| SerialError::TooLong)? })
    }

    /// The magnitude, big-endian, without leading zeros.
    pub fn octets(&self) -> &[u8] {
        &self.octets[..usize::from(self.length)]
    }

    /// The contents of the DER INTEGER: a zero octet goes before a first octet of 0x80 or more (X.690, 8.3).
    pub fn der_octets(&self) -> Vec<u8> {
        let magnitude = self.octets();
        let mut contents = Vec::with_capacity(magnitude.len() + 1);
        if magnitude[0] >= 0x80 {
            contents.push(0);
        }
        contents.extend_from_slice(magnitude);
        contents
    }

    /// The number in decimal, as OpenSSL's `BN_bn2dec` and `mbedtls_mpi_write_string` print it: the name of the file by
    /// which `crl-verify DIR dir` refuses it (`ssl_verify.c`, `verify_check_crl_dir`). At most 49 digits.
    pub fn decimal(&self) -> String {
        // base 10^9, the lowest first: a limb times 256 and a carry stay far below 2^64
        let mut limbs: Vec<u64> = Vec::with_capacity(6);
        for &octet in self.octets() {
            let mut carry = u64::from(octet);
            for limb in &mut limbs {
                let value = *limb * 256 + carry;
                (*limb, carry) = (value % BILLION, value / BILLION);
            }
            if carry > 0 {
                limbs.push(carry);
            }
        }
        let mut digits = limbs.pop().map_or_else(String::new, |highest| highest.to_string());
        digits.extend(limbs.iter().rev().map(|limb| format!("{limb:09}")));
        digits
    }

    /// The serial of which `text` is the [`decimal`](Self::decimal); none for any other text, also with leading zeros.
    pub fn from_decimal(text: &str) -> Option<Self> {
        let plain = (1..=MOST_DIGITS).contains(&text.len()) && !text.starts_with('0');
        if !plain || !text.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        // one octet more than a serial has: what does not fit is refused with it
        let mut octets = [0; LONGEST + 1];
        for digit in text.bytes() {
            let mut carry = u32::from(digit - b'0');
            for octet in octets.iter_mut().rev() {
                let [.., high, low] = (u32::from(*octet) * 10 + carry).to_be_bytes();
                (*octet, carry) = (low, u32::from(high));
            }
        }
        Self::from_octets(&octets).ok()
    }
}

impl Serial {
    /// Digit by digit: `list` writes a million of them.
    fn digits<'a>(&self, room: &'a mut [u8; 2 * LONGEST]) -> &'a str {
        for (pair, octet) in room.chunks_exact_mut(2).zip(self.octets()) {
            pair.copy_from_slice(&[DIGITS[usize::from(octet >> 4)], DIGITS[usize::from(octet & 15)]]);
        }
        // digits are ASCII
        std::str::from_utf8(&room[..2 * self.octets().len()]).unwrap_or_default()
    }
}

impl fmt::Display for Serial {
    /// Upper-case hexadecimal, two digits an octet, as `openssl x509 -serial` prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.digits(&mut [0; 2 * LONGEST]))
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Serial {
    type Err = SerialError;

    /// Hexadecimal in either case, with or without colons between the octets.
    fn from_str(text: &str) -> Result<Self, SerialError> {
        let refused = || SerialError::NotHex(text.chars().take(48).collect());
        let digits: Vec<u8> = text
            .chars()
            .filter(|&character| character != ':')
            .map(|digit| digit.to_digit(16).and_then(|value| u8::try_from(value).ok()).ok_or_else(refused))
            .collect::<Result<_, _>>()?;
        if digits.is_empty() {
            return Err(refused());
        }
        let padding = digits.len() % 2;
        let even: Vec<u8> = std::iter::repeat_n(0, padding).chain(digits).collect();
        let octets: Vec<u8> = even.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
        Self::from_octets(&octets)
    }
}

impl Ord for Serial {
    /// By number.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.length.cmp(&other.length).then_with(|| self.octets.cmp(&other.octets))
    }
}

impl PartialOrd for Serial {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Serialize for Serial {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.digits(&mut [0; 2 * LONGEST]))
    }
}

impl<'de> Deserialize<'de> for Serial {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

const LONGEST: usize = 20;

const DIGITS: &[u8; 16] = b"0123456789ABCDEF";

/// How many digits 20 octets have at most.
const MOST_DIGITS: usize = 49;

const BILLION: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_fresh_serial_is_sixteen_octets_whatever_the_random_ones_are() {
        for first in 0..=255 {
            let serial = Serial::fresh([first; 16]);
            assert_eq!(serial.octets().len(), 16);
            assert!((0x40..0x80).contains(&serial.octets()[0]));
            assert_eq!(serial.der_octets(), serial.octets());
        }
    }

    #[test]
    fn a_high_first_octet_gets_a_sign_octet() {
        let serial = Serial::from_octets(&[0x80, 1]).unwrap();
        assert_eq!(serial.der_octets(), [0, 0x80, 1]);
        assert_eq!(serial.to_string(), "8001");
    }

    #[test]
    fn twenty_octets_as_encoded_and_no_more() {
        assert!(Serial::from_octets(&[0x7f; 20]).is_ok());
        assert_eq!(Serial::from_octets(&[0x80; 20]), Err(SerialError::TooLong));
        assert_eq!(Serial::from_octets(&[0, 0]), Err(SerialError::Zero));
        assert_eq!("".parse::<Serial>(), Err(SerialError::NotHex(String::new())));
    }

    #[test]
    fn order_is_by_number() {
        let [small, large] = [[0xff].as_slice(), &[1, 0]].map(|octets| Serial::from_octets(octets).unwrap());
        assert!(small < large);
    }

    #[test]
    fn decimal_is_what_openssl_prints() {
        // echo 'ibase=16; …' | bc; also what `openssl x509 -noout -serial` says, through BN_bn2dec
        for (octets, decimal) in [
            ([1].as_slice(), "1"),
            (&[0xff], "255"),
            (&[0x3b, 0x9a, 0xca, 0], "1000000000"),
            (&[0x3b, 0x9a, 0xc9, 0xff], "999999999"),
            (&[0x7f; 16], "169473963133173273960190490760135540607"),
            (&[0x7f; 20], "727885129180488904360266563744972327436484050815"),
        ] {
            let serial = Serial::from_octets(octets).unwrap();
            assert_eq!(serial.decimal(), decimal);
            assert_eq!(Serial::from_decimal(decimal), Some(serial));
        }
    }

    #[test]
    fn every_first_octet_comes_back_from_its_decimal() {
        for first in 1..=255 {
            for length in 1..=20 {
                let octets: Vec<u8> = std::iter::once(first).chain((1..length).map(|at| at ^ first)).collect();
                if let Ok(serial) = Serial::from_octets(&octets) {
                    assert_eq!(Serial::from_decimal(&serial.decimal()), Some(serial), "{serial}");
                }
            }
        }
    }

    #[test]
    fn no_other_text_is_a_decimal() {
        let too_long = "1".repeat(50);
        for text in ["", "0", "01", "-1", "+1", "1 ", "1a", "crl.pem", "\u{661}", &too_long] {
            assert_eq!(Serial::from_decimal(text), None, "{text}");
        }
        // 2^159 would need a sign octet more than there is room for, and so does the largest of 49 digits
        assert_eq!(Serial::from_decimal("730750818665451459101842416358141509827966271488"), None);
        assert!(Serial::from_decimal("730750818665451459101842416358141509827966271487").is_some());
        assert_eq!(Serial::from_decimal(&"9".repeat(49)), None);
    }

    proptest! {
        #[test]
        fn octets_and_text_come_back(octets in prop::collection::vec(any::<u8>(), 0..24)) {
            if let Ok(serial) = Serial::from_octets(&octets) {
                prop_assert_eq!(Serial::from_octets(&serial.der_octets()), Ok(serial));
                prop_assert_eq!(serial.to_string().parse(), Ok(serial));
                prop_assert_eq!(serial.to_string().to_lowercase().parse(), Ok(serial));
                prop_assert_eq!(Serial::from_decimal(&serial.decimal()), Some(serial));
            }
        }

        #[test]
        fn no_text_panics(text in ".{0,60}") {
            let _ = (text.parse::<Serial>(), Serial::from_decimal(&text));
        }
    }
}
