//! The wire form of SSH keys (RFC 4251, section 5), as far as it must be looked at before age reads them.
//! Refuses to know what the keys are for. age 0.12.1 panics at a number of zero octets only (its `mpint` reader runs
//! past the end), so such keys, which nothing makes, are refused here.

use zeroize::Zeroizing;

/// Whether every field of a public key holds something (`base64` is the middle word of its line).
pub(super) fn is_sound_public(base64: &str) -> bool {
    decode(base64).is_some_and(|blob| are_sound(&blob))
}

/// Whether every field of a private key (`BEGIN OPENSSH PRIVATE KEY`, `PROTOCOL.key` of OpenSSH) holds something.
/// What is encrypted cannot be seen and passes.
pub(super) fn is_sound_private(pem: &str) -> bool {
    let Ok(pem) = pem::parse(pem) else { return false };
    let octets = Zeroizing::new(pem.into_contents());
    octets.strip_prefix(b"openssh-key-v1\0").and_then(inner_is_sound).unwrap_or(false)
}

fn inner_is_sound(octets: &[u8]) -> Option<bool> {
    let (cipher, rest) = field(octets)?;
    let (_derivation, rest) = field(rest)?;
    let (_options, rest) = field(rest)?;
    let (public, rest) = field(rest.get(KEY_COUNT..)?)?;
    let (private, _) = field(rest)?;
    let private_is_sound = cipher != b"none" || private.get(CHECK_NUMBERS..).is_some_and(are_sound);
    Some(are_sound(public) && private_is_sound)
}

/// What follows the last whole field is padding, and not ours to judge.
fn are_sound(mut octets: &[u8]) -> bool {
    while let Some((value, rest)) = field(octets) {
        if !value.is_empty() && value.iter().all(|&octet| octet == 0) {
            return false;
        }
        octets = rest;
    }
    true
}

/// A `string`: four octets of length, then so many octets.
fn field(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = octets.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

fn decode(base64: &str) -> Option<Vec<u8>> {
    pem::parse(format!("-----BEGIN KEY-----\n{base64}\n-----END KEY-----\n")).ok().map(pem::Pem::into_contents)
}

const KEY_COUNT: usize = 4;
/// Two numbers that are alike when the key was decrypted rightly.
const CHECK_NUMBERS: usize = 8;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fields(values: &[&[u8]]) -> Vec<u8> {
        let length = |value: &[u8]| u32::try_from(value.len()).unwrap().to_be_bytes();
        values.iter().flat_map(|value| [length(value).as_slice(), value].concat()).collect()
    }

    fn private(values: &[&[u8]]) -> String {
        let private = [b"checknum".as_slice(), &fields(values)].concat();
        let head = fields(&[b"none", b"none", b""]);
        let octets = [b"openssh-key-v1\0", &head[..], &[0, 0, 0, 1], &fields(&[b"ssh-rsa", &private])].concat();
        pem::encode(&pem::Pem::new("OPENSSH PRIVATE KEY", octets))
    }

    #[test]
    fn numbers_of_zeros_are_seen() {
        assert!(are_sound(&fields(&[b"ssh-rsa", &[1, 0, 1], &[0, 0xff]])));
        assert!(!are_sound(&fields(&[b"ssh-rsa", &[0], &[0, 0xff]])));
        assert!(!are_sound(&fields(&[b"ssh-rsa", &[3], &[0, 0, 0]])));
    }

    #[test]
    fn private_keys_are_looked_into() {
        assert!(is_sound_private(include_str!("fixtures/rsa")));
        assert!(is_sound_private(include_str!("fixtures/ed25519")));
        assert!(is_sound_private(include_str!("fixtures/ed25519-locked")));
        assert!(is_sound_private(&private(&[b"ssh-rsa", &[5], &[3]])));
        assert!(!is_sound_private(&private(&[b"ssh-rsa", &[5], &[0]])));
        assert!(!is_sound_private("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n"));
    }

    proptest! {
        #[test]
        fn no_octets_panic(octets in prop::collection::vec(any::<u8>(), 0..80), text in ".{0,40}") {
            let _ = are_sound(&octets);
            let _ = inner_is_sound(&octets);
            let _ = is_sound_public(&text);
        }
    }
}
