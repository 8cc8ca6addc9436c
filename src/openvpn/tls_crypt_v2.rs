//! `tls-crypt-v2`: the server's key, and for each client a key of its own, wrapped so that the server need not keep it.
//! Knows no clock, randomness or client: bytes and the time come in. After `doc/tls-crypt-v2.txt` and `tls_crypt.c`.

use aws_lc_rs::{
    cipher::{DecryptingKey, DecryptionContext, EncryptingKey, EncryptionContext, UnboundCipherKey, AES_256},
    hmac,
    iv::FixedLength,
};
use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

use crate::{secret::Secret, time::Time};

/// The server's key: whoever has it can wrap and unwrap every client's.
pub struct ServerKey(Secret);

/// A client's key (Kc), and the same wrapped for the server (`WKc`), which the client shows when it connects.
pub struct ClientKey {
    key: Secret,
    wrapped: Vec<u8>,
}

/// What a server learns of a client key beside the key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Metadata {
    /// When it was made; what `OpenVPN` itself writes.
    Made(Time),
    /// Whatever somebody wrote.
    User(Vec<u8>),
    /// Of a kind that no `OpenVPN` writes.
    Other(Vec<u8>),
}

/// Why some bytes are no such key, or not this server's.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TlsCryptV2Error {
    /// No PEM block of this kind.
    #[error("there is no `-----BEGIN {0}-----` block in it")]
    Missing(&'static str),
    /// A block that is no base64.
    #[error("its `{0}` block is damaged")]
    Damaged(&'static str),
    /// Too few or too many bytes.
    #[error("a block `{label}` has {expected} bytes, this one has {found}")]
    Length {
        /// The block.
        label: &'static str,
        /// How many it should have.
        expected: &'static str,
        /// How many it has.
        found: usize,
    },
    /// Not wrapped with this server key, or changed since.
    #[error("the client key was not made with this server key; a server that has it gives no answer")]
    Foreign,
    /// The client would use another key than the one that the server unwraps.
    #[error("the client key and what is wrapped for the server in it are two different keys")]
    Twofold,
}

impl ServerKey {
    /// The key made of these random bytes.
    pub fn from_random(bytes: [u8; SERVER_LENGTH]) -> Self {
        Self(Secret::new(Zeroizing::new(bytes).to_vec()))
    }

    /// The file that `openvpn --genkey tls-crypt-v2-server` writes.
    pub fn to_pem(&self) -> Secret {
        armour(SERVER, self.0.expose())
    }

    /// Reads such a file.
    pub fn parse(file: &[u8]) -> Result<Self, TlsCryptV2Error> {
        let key = contents(SERVER, file)?;
        if key.expose().len() == SERVER_LENGTH {
            Ok(Self(key))
        } else {
            Err(TlsCryptV2Error::Length { label: SERVER, expected: "128", found: key.expose().len() })
        }
    }

    /// Ke and Ka: of `struct key { cipher[64], hmac[64] }` the first 32 bytes of each half (`tls_crypt_kt`, `tls_crypt.c`).
    fn halves(&self) -> (&[u8], &[u8]) {
        (&self.0.expose()[..KEY], &self.0.expose()[64..64 + KEY])
    }

    fn cipher(&self) -> UnboundCipherKey {
        UnboundCipherKey::new(&AES_256, self.halves().0).expect("an AES-256 key has 32 bytes")
    }

    /// Over the length of the whole, the key and its metadata (`tls_crypt_v2_wrap_client_key`).
    fn tag(&self, length: [u8; 2], plain: &[u8]) -> [u8; TAG] {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, self.halves().1));
        context.update(&length);
        context.update(plain);
        let mut tag = [0; TAG];
        tag.copy_from_slice(context.sign().as_ref());
        tag
    }

    fn wrap(&self, mut plain: Zeroizing<Vec<u8>>) -> Vec<u8> {
        let length = u16::try_from(TAG + plain.len() + 2).expect("a key and a time are short").to_be_bytes();
        let tag = self.tag(length, &plain);
        let key = EncryptingKey::ctr(self.cipher()).expect("AES-256 has a counter mode");
        key.less_safe_encrypt(&mut plain, EncryptionContext::Iv128(counter(&tag))).expect("a counter takes any length");
        [&tag[..], &plain, &length].concat()
    }

    fn unwrap(&self, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, TlsCryptV2Error> {
        let (tag, rest) = wrapped.split_at_checked(TAG).ok_or(TlsCryptV2Error::Foreign)?;
        let (body, length) = rest.split_last_chunk::<2>().ok_or(TlsCryptV2Error::Foreign)?;
        if usize::from(u16::from_be_bytes(*length)) != wrapped.len() {
            return Err(TlsCryptV2Error::Foreign);
        }
        let mut plain = Zeroizing::new(body.to_vec());
        let key = DecryptingKey::ctr(self.cipher()).expect("AES-256 has a counter mode");
        key.decrypt(&mut plain, DecryptionContext::Iv128(counter(tag))).expect("a counter takes any length");
        // constant-time: what is compared depends on the key
        aws_lc_rs::constant_time::verify_slices_are_equal(&self.tag(*length, &plain), tag)
            .map_err(|_| TlsCryptV2Error::Foreign)?;
        Ok(plain)
    }
}

impl ClientKey {
    /// The key made of these random bytes, wrapped for this server together with when that was.
    pub fn wrap(server: &ServerKey, random: [u8; CLIENT_LENGTH], made: Time) -> Self {
        let random = Zeroizing::new(random);
        let mut plain = Zeroizing::new(Vec::with_capacity(CLIENT_LENGTH + 9));
        plain.extend_from_slice(&*random);
        plain.push(MADE);
        plain.extend_from_slice(&made.unix().to_be_bytes());
        Self { key: Secret::new(random.to_vec()), wrapped: server.wrap(plain) }
    }

    /// The file that `openvpn --tls-crypt-v2 SERVER --genkey tls-crypt-v2-client` writes: Kc and `WKc`.
    pub fn to_pem(&self) -> Secret {
        let mut bytes = Zeroizing::new(Vec::with_capacity(CLIENT_LENGTH + self.wrapped.len()));
        bytes.extend_from_slice(self.key.expose());
        bytes.extend_from_slice(&self.wrapped);
        armour(CLIENT, &bytes)
    }

    /// Reads such a file. Whose server's it is shows [`ClientKey::unwrap`].
    pub fn parse(file: &[u8]) -> Result<Self, TlsCryptV2Error> {
        let bytes = contents(CLIENT, file)?;
        let found = bytes.expose().len();
        if !(CLIENT_LENGTH + LEAST_WRAPPED..=CLIENT_LENGTH + MOST_WRAPPED).contains(&found) {
            return Err(TlsCryptV2Error::Length { label: CLIENT, expected: "546 to 1280", found });
        }
        let (key, wrapped) = bytes.expose().split_at(CLIENT_LENGTH);
        Ok(Self { key: Secret::new(key.to_vec()), wrapped: wrapped.to_vec() })
    }

    /// What a server with this key would learn, when it takes the client key at all: what is wrapped must open and be the
    /// key that the client uses.
    pub fn unwrap(&self, server: &ServerKey) -> Result<Metadata, TlsCryptV2Error> {
        let plain = server.unwrap(&self.wrapped)?;
        let (key, metadata) = plain.split_at_checked(CLIENT_LENGTH).ok_or(TlsCryptV2Error::Foreign)?;
        aws_lc_rs::constant_time::verify_slices_are_equal(key, self.key.expose())
            .map_err(|_| TlsCryptV2Error::Twofold)?;
        Ok(Metadata::read(metadata))
    }
}

impl Metadata {
    /// A type and what follows it (`tls_crypt_v2_write_client_key_file`).
    fn read(bytes: &[u8]) -> Self {
        match bytes.split_first() {
            Some((&MADE, rest)) => match rest.try_into() {
                Ok(seconds) => Self::Made(Time::from_unix(i64::from_be_bytes(seconds))),
                Err(_) => Self::Other(bytes.to_vec()),
            },
            Some((&USER, rest)) => Self::User(rest.to_vec()),
            _ => Self::Other(bytes.to_vec()),
        }
    }
}

/// The first half of the tag.
fn counter(tag: &[u8]) -> FixedLength<16> {
    FixedLength::try_from(&tag[..16]).expect("16 bytes of 32")
}

/// Like `PEM_write`: 64 columns and LF. Written here, since the PEM crates that wipe take no hyphen in a label.
fn armour(label: &'static str, bytes: &[u8]) -> Secret {
    let digits = Zeroizing::new(Base64::encode_string(bytes));
    // room for all of it at once, since a buffer that moves leaves a copy behind
    let mut text = String::with_capacity(digits.len() + digits.len() / COLUMNS + 2 * label.len() + 40);
    text.extend(["-----BEGIN ", label, "-----\n"]);
    let (mut line, mut rest) = digits.split_at(digits.len().min(COLUMNS));
    while !line.is_empty() {
        text.extend([line, "\n"]);
        (line, rest) = rest.split_at(rest.len().min(COLUMNS));
    }
    text.extend(["-----END ", label, "-----\n"]);
    Secret::from(text)
}

/// The bytes of the first block of this kind, whatever stands around it.
fn contents(label: &'static str, file: &[u8]) -> Result<Secret, TlsCryptV2Error> {
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let find = |text: &[u8], wanted: &str| text.windows(wanted.len()).position(|window| window == wanted.as_bytes());
    let start = find(file, &begin).ok_or(TlsCryptV2Error::Missing(label))? + begin.len();
    let length = find(&file[start..], &end).ok_or(TlsCryptV2Error::Damaged(label))?;
    let mut digits = Zeroizing::new(Vec::with_capacity(length));
    digits.extend(file[start..start + length].iter().filter(|byte| !byte.is_ascii_whitespace()));
    let mut bytes = Zeroizing::new(vec![0; digits.len()]);
    let decoded = Base64::decode(&*digits, &mut bytes).map_err(|_| TlsCryptV2Error::Damaged(label))?;
    Ok(Secret::new(decoded.to_vec()))
}

/// Bytes of a server key.
pub const SERVER_LENGTH: usize = 128;

/// Bytes of a client key (Kc), two directions of 64 and 64 as in a static key.
pub const CLIENT_LENGTH: usize = 256;

const SERVER: &str = "OpenVPN tls-crypt-v2 server key";
const CLIENT: &str = "OpenVPN tls-crypt-v2 client key";

/// Types of metadata (`TLS_CRYPT_METADATA_TYPE_USER` and `_TIMESTAMP`).
const USER: u8 = 0;
const MADE: u8 = 1;

const COLUMNS: usize = 64;
const KEY: usize = 32;
const TAG: usize = 32;

/// Tag, key, no metadata, length; and `TLS_CRYPT_V2_MAX_WKC_LEN`.
const LEAST_WRAPPED: usize = TAG + CLIENT_LENGTH + 2;
const MOST_WRAPPED: usize = 1024;

#[cfg(test)]
mod tests;
