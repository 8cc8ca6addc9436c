//! The vault as text: an identity file of age whose comments hold the rest, so that `age -d -i` takes it as it is.
//! Refuses to know who locks it.

use std::{fmt::Write, str::FromStr};

use zeroize::Zeroizing;

use super::{x25519, Content, VaultError, VaultKeys};
use crate::secret::Secret;

/// The text, four lines.
pub(super) fn write(vault: &VaultKeys) -> Secret {
    let mut text = String::with_capacity(LENGTH);
    text.push_str(MARK);
    text.push_str(VERSION);
    push_hex(&mut text, CA, &vault.ca_sha256);
    push_hex(&mut text, MAC, &vault.mac_key);
    text.push('\n');
    text.push_str(vault.identity.text());
    text.push('\n');
    Secret::from(text)
}

/// Reads back what [`write`] wrote.
pub(super) fn read(bytes: &[u8]) -> Result<VaultKeys, VaultError> {
    let damaged = |why| VaultError::Damaged { what: Content::Vault, why };
    let text = std::str::from_utf8(bytes).map_err(|_| damaged("it holds no text"))?;
    let mut lines = text.lines();
    match lines.next().and_then(|line| line.strip_prefix(MARK)) {
        Some(VERSION) => {}
        Some(_) => return Err(VaultError::NewerFormat(Content::Vault)),
        None => return Err(damaged("it holds no vault")),
    }
    let ca =
        lines.next().and_then(|line| read_hex(line, CA)).ok_or_else(|| damaged("it lacks the digest of `ca.crt`"))?;
    let mac = lines.next().and_then(|line| read_hex(line, MAC)).ok_or_else(|| damaged("it lacks the MAC key"))?;
    let identity = lines.next().and_then(|line| x25519::Identity::from_str(line).ok());
    let identity = identity.ok_or_else(|| damaged("it lacks the identity"))?;
    match lines.next() {
        None => Ok(VaultKeys::of(identity, mac, *ca)),
        Some(_) => Err(damaged("it goes on after its end")),
    }
}

fn push_hex(text: &mut String, label: &str, bytes: &[u8; 32]) {
    text.push_str(label);
    // writing to a String cannot fail
    let _ = bytes.iter().try_for_each(|byte| write!(text, "{byte:02x}"));
}

fn read_hex(line: &str, label: &str) -> Option<Zeroizing<[u8; 32]>> {
    // labels begin with the end of the line before
    let digits = line.strip_prefix(label.trim_start())?.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut bytes = Zeroizing::new([0; 32]);
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

const MARK: &str = "# vpnpki-vault ";
const VERSION: &str = "1";
const CA: &str = "\n# ca-sha256 ";
const MAC: &str = "\n# mac-key ";
/// More than the text's 244 bytes, so that the buffer never moves and leaves a copy behind.
const LENGTH: usize = 512;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refusal(text: &str) -> VaultError {
        read(text.as_bytes()).err().expect("it was refused")
    }

    #[test]
    fn what_is_written_is_read_back() {
        let vault = VaultKeys::create([0xab; 32], [0x0c; 32]);
        let text = write(&vault);
        let again = read(text.expose()).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(again.ca_sha256(), &[0xab; 32]);
        assert_eq!(*again.mac_key, [0x0c; 32]);
        assert_eq!(again.identity.text(), vault.identity.text());
        assert!(text.expose().len() < LENGTH);
    }

    #[test]
    fn every_line_is_needed_and_no_more() {
        let text = write(&VaultKeys::create([1; 32], [2; 32])).expose_text().unwrap().to_owned();
        let lines: Vec<&str> = text.lines().collect();
        for missing in 0..lines.len() {
            let mut fewer = lines.clone();
            fewer.remove(missing);
            assert!(matches!(refusal(&fewer.join("\n")), VaultError::Damaged { .. }), "without line {missing}");
        }
        assert!(matches!(refusal(&format!("{text}x")), VaultError::Damaged { .. }));
        let newer = text.replacen("vault 1", "vault 2", 1);
        assert!(matches!(refusal(&newer), VaultError::NewerFormat(Content::Vault)));
    }

    #[test]
    fn a_refusal_shows_nothing_of_the_text() {
        let text =
            write(&VaultKeys::create([1; 32], [2; 32])).expose_text().unwrap().replace("SECRET-KEY-1", "SECRET-KEY-1Q");
        let message = refusal(&text).to_string();
        assert!(!message.contains("SECRET-KEY") && !message.contains("0202"), "{message}");
    }

    proptest! {
        #[test]
        fn no_text_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "# vpnpki-vault 1\n(# ca-sha256 .{0,64}\n)?.{0,80}") {
            prop_assert!(read(&bytes).is_err());
            prop_assert!(read(text.as_bytes()).is_err());
        }
    }
}
