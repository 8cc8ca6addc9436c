//! Bytes that must not be seen: wiped when dropped, never printed, copied or serialised.
//! Knows nothing of what they mean.

use zeroize::Zeroizing;

/// A private key, passphrase or bundle in clear. No Debug, Display, Clone or Serialize, on purpose.
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the bytes over; they are wiped when this is dropped.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes, for as long as the borrow lasts.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The bytes as text; none when they are not UTF-8.
    pub fn expose_text(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text.into_bytes())
    }
}
