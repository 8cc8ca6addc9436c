//! PEM armour (RFC 7468): written with 64 columns and LF, read with whatever text stands around it.
//! Knows nothing of what the blocks hold.

use der::pem::{Decoder, LineEnding};
use zeroize::Zeroizing;

/// Why a text gave no block.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PemError {
    /// No block with this label, or one that never ends.
    #[error("there is no `-----BEGIN {0}-----` block in it")]
    Missing(&'static str),
    /// A block that is no base64.
    #[error("its `{label}` block is damaged")]
    Damaged {
        /// The block's label.
        label: &'static str,
        /// What the decoder says.
        #[source]
        source: der::pem::Error,
    },
}

/// Armours `der`. The text is allocated once, so that a secret leaves no copies behind.
pub(super) fn encode(label: &'static str, der: &[u8]) -> String {
    // fails only for a label that is none, and the labels are the constants below
    der::pem::encode_string(label, LineEnding::LF, der).expect("a constant label can be written")
}

/// The contents of the first block with this label, wiped when dropped.
pub(super) fn decode(label: &'static str, text: &[u8]) -> Result<Zeroizing<Vec<u8>>, PemError> {
    let (block, _) = next_block(label, text).ok_or(PemError::Missing(label))?;
    contents(label, block)
}

/// The contents of every block with this label; at least one.
pub(super) fn decode_all(label: &'static str, text: &[u8]) -> Result<Vec<Vec<u8>>, PemError> {
    let mut rest = text;
    let mut found = Vec::new();
    while let Some((block, after)) = next_block(label, rest) {
        found.push(contents(label, block)?.to_vec());
        rest = after;
    }
    if found.is_empty() {
        return Err(PemError::Missing(label));
    }
    Ok(found)
}

/// Whether a block with this label begins somewhere in `text`.
pub(super) fn mentions(label: &str, text: &[u8]) -> bool {
    position(text, format!("-----BEGIN {label}-----").as_bytes()).is_some()
}

/// Whether these words stand somewhere in `text`.
pub(super) fn mentions_text(words: &str, text: &[u8]) -> bool {
    position(text, words.as_bytes()).is_some()
}

/// How many blocks with this label begin somewhere in `text`.
pub(super) fn count(label: &str, text: &[u8]) -> usize {
    let begin = format!("-----BEGIN {label}-----");
    let (mut rest, mut found) = (text, 0);
    while let Some(start) = position(rest, begin.as_bytes()) {
        rest = &rest[start + begin.len()..];
        found += 1;
    }
    found
}

/// The next block from its first to its last dash, and what comes after it.
fn next_block<'a>(label: &str, text: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let start = position(text, format!("-----BEGIN {label}-----").as_bytes())?;
    let ending = format!("-----END {label}-----");
    let length = position(&text[start..], ending.as_bytes())? + ending.len();
    Some(text[start..].split_at(length))
}

fn contents(label: &'static str, block: &[u8]) -> Result<Zeroizing<Vec<u8>>, PemError> {
    let damaged = |source| PemError::Damaged { label, source };
    let mut decoder = Decoder::new_detect_wrap(block).map_err(damaged)?;
    let mut der = Zeroizing::new(vec![0; decoder.remaining_len()]);
    decoder.decode(&mut der).map_err(damaged)?;
    Ok(der)
}

/// The octets in base64 without armour, whatever white space stands between.
pub(super) fn unarmoured(text: &[u8]) -> Option<Vec<u8>> {
    let (begin, end) = ("-----BEGIN DATA-----\n", "\n-----END DATA-----\n");
    let digits = || text.iter().filter(|octet| !octet.is_ascii_whitespace());
    let count = digits().count();
    // room for all of it at once: there may be a key in it
    let mut armoured = Zeroizing::new(Vec::with_capacity(count + count / 64 + begin.len() + end.len() + 1));
    armoured.extend_from_slice(begin.as_bytes());
    for (place, digit) in digits().enumerate() {
        if place > 0 && place % 64 == 0 {
            armoured.push(b'\n');
        }
        armoured.push(*digit);
    }
    armoured.extend_from_slice(end.as_bytes());
    contents("DATA", &armoured).ok().map(|mut octets| std::mem::take(&mut *octets))
}

/// Looks at the rest only where the first octet fits: a list has megabytes.
fn position(text: &[u8], wanted: &[u8]) -> Option<usize> {
    let mut start = 0;
    loop {
        start += text[start..].iter().position(|octet| Some(octet) == wanted.first())?;
        if text[start..].starts_with(wanted) {
            return Some(start);
        }
        start += 1;
    }
}

pub(super) const CERTIFICATE: &str = "CERTIFICATE";
pub(super) const CRL: &str = "X509 CRL";
pub(super) const PRIVATE_KEY: &str = "PRIVATE KEY";
pub(super) const RSA_PRIVATE_KEY: &str = "RSA PRIVATE KEY";
pub(super) const EC_PRIVATE_KEY: &str = "EC PRIVATE KEY";
pub(super) const ENCRYPTED_PRIVATE_KEY: &str = "ENCRYPTED PRIVATE KEY";
pub(super) const REQUEST: &str = "CERTIFICATE REQUEST";
/// As RFC 2986's first implementations wrote it (RFC 7468, 7).
pub(super) const NEW_REQUEST: &str = "NEW CERTIFICATE REQUEST";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sixty_four_columns_and_lf() {
        let text = encode(CERTIFICATE, &[7; 100]);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[1].len(), 64);
        assert!(text.starts_with("-----BEGIN CERTIFICATE-----\n") && text.ends_with("\n-----END CERTIFICATE-----\n"));
        assert!(!text.contains('\r'));
    }

    #[test]
    fn text_around_blocks_is_passed_over() {
        let text = format!("subject=a\r\n{}noise\n{}end", encode(CERTIFICATE, b"one"), encode(CERTIFICATE, b"two"));
        assert_eq!(decode_all(CERTIFICATE, text.as_bytes()), Ok(vec![b"one".to_vec(), b"two".to_vec()]));
        assert_eq!(decode(CRL, text.as_bytes()), Err(PemError::Missing(CRL)));
        assert_eq!((count(CERTIFICATE, text.as_bytes()), count(CRL, text.as_bytes())), (2, 0));
    }

    #[test]
    fn carriage_returns_and_other_widths_are_read() {
        let windows = encode(CERTIFICATE, &[9; 75]).replace('\n', "\r\n");
        let wide = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----", "CQkJ".repeat(25));
        for text in [windows, wide] {
            assert_eq!(decode(CERTIFICATE, text.as_bytes()).unwrap()[..], [9; 75]);
        }
    }

    proptest! {
        #[test]
        fn what_is_armoured_comes_back(der in prop::collection::vec(any::<u8>(), 1..300)) {
            prop_assert_eq!(decode(CRL, encode(CRL, &der).as_bytes()).unwrap().to_vec(), der);
        }

        #[test]
        fn what_is_not_armoured_comes_back(der in prop::collection::vec(any::<u8>(), 1..300), width in 1_usize..90) {
            let text = encode(CRL, &der);
            let digits: String = text.lines().filter(|line| !line.starts_with('-')).collect();
            let lines: Vec<_> = digits.as_bytes().chunks(width).collect();
            prop_assert_eq!(unarmoured(&lines.join(&b"\r\n"[..])), Some(der));
        }

        #[test]
        fn no_block_panics(inside in "[A-Za-z0-9+/=\n\r -]{0,200}") {
            let text = format!("-----BEGIN X509 CRL-----{inside}-----END X509 CRL-----");
            let _ = decode(CRL, text.as_bytes());
        }
    }
}
