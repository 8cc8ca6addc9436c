//! age's X25519 keys (<https://c2sp.org/age>, "The X25519 recipient type") on the arithmetic that certificates' keys are
//! made with, which takes a third of the time of age's own. Refuses to know what the file keys open.

use std::{collections::HashSet, str::FromStr};

use age::{secrecy::ExposeSecret, DecryptError, EncryptError};
use age_core::{
    format::{FileKey, Stanza, FILE_KEY_BYTES},
    primitives::{aead_decrypt, aead_encrypt, bech32_decode, hkdf},
};
use aws_lc_rs::{
    agreement::{agree, PrivateKey, UnparsedPublicKey, X25519},
    error::Unspecified,
};
use base64ct::{Base64Unpadded, Encoding};
use zeroize::Zeroizing;

use crate::secret::Secret;

/// A private key. No Debug, Clone or Serialize, on purpose.
pub(super) struct Identity {
    private: PrivateKey,
    recipient: Recipient,
    /// As it was read, `AGE-SECRET-KEY-1…`.
    text: Secret,
}

/// A public key, with which every private one agrees on a secret.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Recipient([u8; LENGTH]);

/// A text that is no key, or a key that is worth nothing.
#[derive(Debug)]
pub(super) struct NoKey;

impl Identity {
    /// A new one, from the system's randomness.
    pub fn generate() -> Self {
        // age writes keys as text; this one comes back by the door of all others
        let text = age::x25519::Identity::generate().to_string();
        text.expose_secret().parse().expect("age writes keys that can be read")
    }

    /// The public key.
    pub fn recipient(&self) -> &Recipient {
        &self.recipient
    }

    /// The public key as text, `age1…`.
    pub fn recipient_text(&self) -> String {
        let again: age::x25519::Identity = self.text().parse().expect("age reads what was read as a key of its own");
        again.to_public().to_string()
    }

    /// The private key as text.
    pub fn text(&self) -> &str {
        self.text.expose_text().expect("it was made of text")
    }
}

impl FromStr for Identity {
    type Err = NoKey;

    fn from_str(text: &str) -> Result<Self, NoKey> {
        let bytes = key_in("AGE-SECRET-KEY-", text)?;
        let private = PrivateKey::from_private_key(&X25519, &*bytes).map_err(|_| NoKey)?;
        let recipient = Recipient::of(&private).map_err(|Unspecified| NoKey)?;
        Ok(Self { private, recipient, text: Secret::from(text.to_owned()) })
    }
}

impl FromStr for Recipient {
    type Err = NoKey;

    /// A point of small order is no key: whatever it is multiplied with, the secret is zero (RFC 7748, 6.1).
    fn from_str(text: &str) -> Result<Self, NoKey> {
        let recipient = Self(*key_in("age", text)?);
        let anybody = PrivateKey::from_private_key(&X25519, &[1; LENGTH]).map_err(|_| NoKey)?;
        recipient.agree(&anybody, |_| ()).map_err(|Unspecified| NoKey)?;
        Ok(recipient)
    }
}

impl Recipient {
    fn of(private: &PrivateKey) -> Result<Self, Unspecified> {
        private.compute_public_key()?.as_ref().try_into().map(Self).map_err(|_| Unspecified)
    }

    /// What is made of the secret that both sides have; an error when it is zero.
    fn agree<T>(&self, private: &PrivateKey, made: impl FnOnce(&[u8]) -> T) -> Result<T, Unspecified> {
        agree(private, UnparsedPublicKey::new(&X25519, self.0), Unspecified, |secret| Ok(made(secret)))
    }

    /// What encrypts a file key from an ephemeral key to a recipient.
    fn wrapping_key(ephemeral: &Self, recipient: &Self, secret: &[u8]) -> Zeroizing<[u8; LENGTH]> {
        let salt = [ephemeral.0, recipient.0].concat();
        Zeroizing::new(hkdf(&salt, LABEL, secret))
    }
}

impl age::Recipient for Recipient {
    fn wrap_file_key(&self, file_key: &FileKey) -> Result<(Vec<Stanza>, HashSet<String>), EncryptError> {
        let wrapped = || {
            let private = PrivateKey::generate(&X25519)?;
            let ephemeral = Self::of(&private)?;
            let key = self.agree(&private, |secret| Self::wrapping_key(&ephemeral, self, secret))?;
            Ok::<_, Unspecified>((ephemeral, aead_encrypt(&key, file_key.expose_secret())))
        };
        // the library says no more than that; age itself panics there, too
        let (ephemeral, body) = wrapped().expect("the system gives random bytes, and they agree with every recipient");
        let args = vec![Base64Unpadded::encode_string(&ephemeral.0)];
        Ok((vec![Stanza { tag: TAG.to_owned(), args, body }], HashSet::new()))
    }
}

impl age::Identity for Identity {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        if stanza.tag != TAG {
            return None;
        }
        let Some(ephemeral) = ephemeral_in(stanza) else { return Some(Err(DecryptError::InvalidHeader)) };
        let made = |secret: &[u8]| Recipient::wrapping_key(&ephemeral, &self.recipient, secret);
        let Ok(key) = ephemeral.agree(&self.private, made) else { return Some(Err(DecryptError::InvalidHeader)) };
        // whose stanza it is shows only by whether it opens
        let opened = aead_decrypt(&key, FILE_KEY_BYTES, &stanza.body).map(Zeroizing::new).ok()?;
        Some(Ok(FileKey::init_with_mut(|file_key| file_key.copy_from_slice(&opened))))
    }
}

/// The ephemeral key of a stanza; none when the stanza is not as it must be.
fn ephemeral_in(stanza: &Stanza) -> Option<Recipient> {
    let [share] = stanza.args.as_slice() else { return None };
    let bytes = Base64Unpadded::decode_vec(share).ok()?;
    (stanza.body.len() == FILE_KEY_BYTES + TAG_BYTES).then_some(())?;
    bytes.try_into().ok().map(Recipient)
}

/// The bytes of a key with this prefix, in Bech32.
fn key_in(prefix: &str, text: &str) -> Result<Zeroizing<[u8; LENGTH]>, NoKey> {
    bech32_decode(
        text,
        |_| NoKey,
        |found| if found.as_str().eq_ignore_ascii_case(prefix) { Ok(()) } else { Err(NoKey) },
        |_, mut bytes| {
            let mut key = Zeroizing::new([0; LENGTH]);
            for byte in key.iter_mut() {
                *byte = bytes.next().ok_or(NoKey)?;
            }
            if bytes.next().is_none() {
                Ok(key)
            } else {
                Err(NoKey)
            }
        },
    )
}

/// Of a key, public or private, and of the secret.
const LENGTH: usize = 32;
/// Of Poly1305's tag behind a file key.
const TAG_BYTES: usize = 16;
const TAG: &str = "X25519";
const LABEL: &[u8] = b"age-encryption.org/v1/X25519";

#[cfg(test)]
mod tests {
    use age::{Identity as _, Recipient as _};
    use proptest::prelude::*;

    use super::*;

    /// The key of the vectors for readers of age files (<https://c2sp.org/CCTV/age>).
    const KEY: &str = "AGE-SECRET-KEY-1EGTZVFFV20835NWYV6270LXYVK2VKNX2MMDKWYKLMGR48UAWX40Q2P2LM0";
    const SHARE: &str = "TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc";
    const BODY: &str = "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE";

    fn identity(text: &str) -> Identity {
        text.parse().unwrap_or_else(|NoKey| panic!("no key: {text}"))
    }

    fn stanza(tag: &str, args: &[&str], body: &str) -> Stanza {
        let args = args.iter().map(|&arg| arg.to_owned()).collect();
        Stanza { tag: tag.to_owned(), args, body: Base64Unpadded::decode_vec(body).unwrap() }
    }

    /// The file key; `header` when the file is refused, none when it is somebody else's.
    fn unwrapped(identity: &Identity, stanza: &Stanza) -> Option<Result<[u8; FILE_KEY_BYTES], &'static str>> {
        identity.unwrap_stanza(stanza).map(|opened| match opened {
            Ok(key) => Ok(*key.expose_secret()),
            Err(DecryptError::InvalidHeader) => Err("header"),
            Err(error) => panic!("{error}"),
        })
    }

    #[test]
    fn stanzas_of_the_vectors_are_read_as_they_must_be() {
        let key = identity(KEY);
        assert_eq!(unwrapped(&key, &stanza(TAG, &[SHARE], BODY)), Some(Ok(*b"YELLOW SUBMARINE")));
        for (name, stanza) in [
            ("x25519_bad_tag", stanza(TAG, &[SHARE], &BODY.replace("FLE", "FE4"))),
            ("x25519_lowercase", stanza("x25519", &[SHARE], BODY)),
        ] {
            assert_eq!(unwrapped(&key, &stanza), None, "{name}");
        }
        let low = "X5yVvKNQjCSx0LFVnIPvWwREXMRYHI6G2CJO3dCfEdc";
        for (name, stanza) in [
            ("x25519_extra_argument", stanza(TAG, &[SHARE, "1234"], BODY)),
            ("no argument", stanza(TAG, &[], BODY)),
            ("x25519_identity", stanza(TAG, &[&"A".repeat(43)], "W3E/OCRme9TiTY97JoK31Z71arNur77WIIdB90XnN3M")),
            ("x25519_low_order", stanza(TAG, &[low], "3E0NpFans/m0WLWF7+54ZBdNj3iqQqpraGDFiaRkvBA")),
            ("x25519_not_canonical_share", stanza(TAG, &[&SHARE.replace("Cc", "Cd")], BODY)),
            ("x25519_long_share", stanza(TAG, &[&format!("{SHARE}A")], BODY)),
            ("x25519_short_share", stanza(TAG, &[&SHARE[..42]], BODY)),
            ("padded", stanza(TAG, &[&format!("{SHARE}=")], BODY)),
            ("short body", stanza(TAG, &[SHARE], &BODY[..40])),
            ("long body", stanza(TAG, &[SHARE], &format!("AAAA{BODY}"))),
        ] {
            assert_eq!(unwrapped(&key, &stanza), Some(Err("header")), "{name}");
        }
    }

    #[test]
    fn keys_are_those_of_age() {
        let ours = Identity::generate();
        let theirs: age::x25519::Identity = ours.text().parse().unwrap();
        assert_eq!(theirs.to_string().expose_secret(), ours.text());
        assert_eq!(ours.recipient_text(), theirs.to_public().to_string());
        assert!(*ours.recipient() == ours.recipient_text().parse().unwrap());
        assert!(*ours.recipient() != *Identity::generate().recipient());
        assert!(identity(&ours.text().to_lowercase()).recipient() == ours.recipient());
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let public = identity(KEY).recipient_text();
        // the last two have 31 and 33 octets
        for text in [
            "",
            "age1",
            KEY,
            &public[..61],
            &public.replace("age1", "abc1"),
            "age1pyqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqlxazpm",
            "age1pyqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq8r668p",
        ] {
            assert!(text.parse::<Recipient>().is_err(), "{text}");
        }
        for text in [
            "",
            "AGE-SECRET-KEY-1",
            &public,
            &KEY[..70],
            &KEY.replace("2LM0", "2LM2"),
            "AGE-SECRET-KEY-1PYQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQCHZM2C",
            "AGE-SECRET-KEY-1PYQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQNZAY0D",
        ] {
            assert!(text.parse::<Identity>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_point_of_small_order_is_no_recipient() {
        // 0 and 1, with which the secret would be zero
        for text in [
            "age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq5cu47z",
            "age1qyqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqj7vrya",
        ] {
            assert!(text.parse::<Recipient>().is_err(), "{text}");
            assert!(crate::vault::Recipient::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn ours_and_theirs_open_each_others(file_key: [u8; FILE_KEY_BYTES]) {
            let ours = Identity::generate();
            let theirs: age::x25519::Identity = ours.text().parse().unwrap();
            let secret = || FileKey::new(Box::new(file_key));
            let (wrapped, labels) = ours.recipient().wrap_file_key(&secret()).unwrap();
            prop_assert!(labels.is_empty() && wrapped.len() == 1);
            let opened = theirs.unwrap_stanza(&wrapped[0]).unwrap().unwrap();
            prop_assert_eq!(opened.expose_secret(), &file_key);
            prop_assert_eq!(unwrapped(&Identity::generate(), &wrapped[0]), None);
            let (wrapped, _) = theirs.to_public().wrap_file_key(&secret()).unwrap();
            prop_assert_eq!(unwrapped(&ours, &wrapped[0]), Some(Ok(file_key)));
        }

        #[test]
        fn no_stanza_panics(share in "[A-Za-z0-9+/=]{0,50}", body in prop::collection::vec(any::<u8>(), 0..60)) {
            let stanza = Stanza { tag: TAG.to_owned(), args: vec![share], body };
            prop_assert!(!matches!(unwrapped(&identity(KEY), &stanza), Some(Ok(_))));
        }
    }
}
