//! Binary age files (<https://c2sp.org/age>): bytes in, bytes out, and age's refusals in our words.
//! Refuses to know what the bytes mean. age's own texts are not shown: they carry Unicode isolates, and the one
//! about excessive work overflows on a machine faster than the file's limit.

use std::io::{ErrorKind, Read, Write};

use age::{DecryptError, Decryptor, EncryptError, Encryptor, Identity, Recipient};
use zeroize::Zeroizing;

use super::{plugin, Content, VaultError};

/// Encrypts the parts, one after the other, to one recipient.
pub(super) fn encrypt(recipient: &dyn Recipient, parts: &[&[u8]]) -> Result<Vec<u8>, VaultError> {
    encrypt_to(std::iter::once(recipient), parts)
}

/// The same to several recipients, at least one.
pub(super) fn encrypt_to<'r>(
    recipients: impl Iterator<Item = &'r dyn Recipient>,
    parts: &[&[u8]],
) -> Result<Vec<u8>, VaultError> {
    let encryptor = Encryptor::with_recipients(recipients).map_err(|error| match error {
        EncryptError::Plugin(errors) => plugin::refusal(&errors),
        // nothing else is read or written before the first byte of the file
        EncryptError::Io(_) => VaultError::Plugin(BROKE_OFF.to_owned()),
        error => internal(&error),
    })?;
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let written = || {
        let mut writer = encryptor.wrap_output(Vec::with_capacity(length + HEADER))?;
        parts.iter().try_for_each(|part| writer.write_all(part))?;
        writer.finish()
    };
    written().map_err(|error| internal(&EncryptError::Io(error)))
}

/// Decrypts with whichever identity fits.
pub(super) fn decrypt(
    what: Content,
    file: &[u8],
    identities: &[&dyn Identity],
) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    if !file.starts_with(MAGIC) {
        return Err(VaultError::NotAnAgeFile(what));
    }
    let decryptor = Decryptor::new_buffered(file).map_err(|error| refusal(what, false, &error))?;
    let by_passphrase = decryptor.is_scrypt();
    let mut reader =
        decryptor.decrypt(identities.iter().copied()).map_err(|error| refusal(what, by_passphrase, &error))?;
    // room for everything at once: a buffer that grew would leave copies that nobody wipes
    let mut text = Zeroizing::new(Vec::with_capacity(file.len()));
    reader.read_to_end(&mut text).map_err(|_| damaged(what, "its payload was changed or cut off"))?;
    Ok(text)
}

fn refusal(what: Content, by_passphrase: bool, error: &DecryptError) -> VaultError {
    match error {
        DecryptError::DecryptionFailed if by_passphrase => VaultError::WrongPassphrase,
        DecryptError::NoMatchingKeys if what != Content::Vault => VaultError::Foreign,
        DecryptError::NoMatchingKeys => VaultError::NoMatchingIdentity,
        DecryptError::ExcessiveWork { required, .. } => {
            VaultError::ExcessiveWork { asked: *required, accepted: MOST_WORK }
        }
        DecryptError::Plugin(errors) => plugin::refusal(errors),
        // the file lies in memory, where reading fails at its end only
        DecryptError::Io(error) if error.kind() != ErrorKind::UnexpectedEof => VaultError::Plugin(BROKE_OFF.to_owned()),
        DecryptError::UnknownFormat => VaultError::NewerFormat(what),
        DecryptError::InvalidMac => damaged(what, "its header was changed"),
        DecryptError::Io(_) => damaged(what, "its header is cut off"),
        _ => damaged(what, "its header is not well formed"),
    }
}

fn damaged(what: Content, why: &'static str) -> VaultError {
    VaultError::Damaged { what, why }
}

fn internal(error: &EncryptError) -> VaultError {
    VaultError::Internal(error.to_string().replace(['\u{2068}', '\u{2069}'], ""))
}

/// The highest scrypt work factor that is tried, as a power of two: 1 GiB of memory and some seconds.
pub(super) const MOST_WORK: u8 = 20;
const BROKE_OFF: &str = "it broke off in the middle";
const MAGIC: &[u8] = b"age-encryption.org/";
/// More than a header with one recipient, its MAC, the nonce and one chunk's tag.
const HEADER: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_bytes_and_later_versions_are_told_apart() {
        let identity = age::x25519::Identity::generate();
        let read = |file: &[u8]| decrypt(Content::Vault, file, &[&identity]).expect_err("a refusal");
        assert!(matches!(read(b""), VaultError::NotAnAgeFile(Content::Vault)));
        assert!(matches!(read(b"-----BEGIN AGE ENCRYPTED FILE-----"), VaultError::NotAnAgeFile(_)));
        assert!(matches!(read(b"age-encryption.org/v2\nwhatever"), VaultError::NewerFormat(_)));
        assert!(matches!(read(b"age-encryption.org/v1\n"), VaultError::Damaged { .. }));
        assert!(matches!(read(b"age-encryption.org/v1\n-> X25519 A\n\n--- x\n"), VaultError::Damaged { .. }));
    }

    #[test]
    fn a_demand_for_hours_of_work_is_refused_at_once() {
        for asked in [21, 63, 64, 255] {
            let stanza = format!("-> scrypt {} {asked}\n{}\n", "A".repeat(22), "A".repeat(43));
            let file = format!("age-encryption.org/v1\n{stanza}--- {}\n0123456789abcdef", "A".repeat(43));
            let mut limited = age::scrypt::Identity::new(String::from("x").into());
            limited.set_max_work_factor(MOST_WORK);
            let error = decrypt(Content::Vault, file.as_bytes(), &[&limited]).expect_err("a refusal");
            assert!(matches!(error, VaultError::ExcessiveWork { asked: found, accepted: 20 } if found == asked));
            assert!(!error.is_locked(), "another passphrase does not help");
        }
    }
}
