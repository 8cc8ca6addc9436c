//! The vault: seals every secret of the store as an ordinary age file, and is itself kept once per unlocker.
//! Refuses to know where sealed bytes are kept, who asks for a passphrase, and what a key is good for.

use aws_lc_rs::hmac;
use zeroize::{Zeroize, Zeroizing};

use crate::secret::Secret;

mod age_file;
mod binding;
mod envelope;
mod identity;
mod plugin;
mod recipient;
mod recipient_list;
mod ssh;
mod text;
mod unlocker;
mod x25519;

pub use binding::Binding;
pub use envelope::{is_envelope, open_envelope, wants_passphrase, Envelope, EnvelopeError, Form};
pub use identity::{IdentityError, IdentityFile};
pub use plugin::{Interview, Plugins};
pub use recipient::{Recipient, RecipientError};
pub use recipient_list::{recipients_in, RecipientListError};
pub use unlocker::{open, open_any, open_which, wrap, Key, Unlocker};

/// An open vault. No Debug, Clone or Serialize, on purpose.
pub struct VaultKeys {
    identity: x25519::Identity,
    mac_key: Zeroizing<[u8; 32]>,
    ca_sha256: [u8; 32],
}

/// Why something was not sealed, unsealed or opened. No passphrase, identity or secret is ever part of it.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// Not the passphrase of the vault.
    #[error("the vault stays locked: the passphrase is wrong")]
    WrongPassphrase,
    /// None of the unlockers of the vault is the passphrase or identity that was given.
    #[error("the vault stays locked: it has no unlocker for the passphrase or identity that was given")]
    NoMatchingIdentity,
    /// An SSH key that was not unlocked before use.
    #[error("the vault stays locked: the SSH key that was given has a passphrase of its own, which is missing")]
    LockedIdentity,
    /// The vault's public key as it was recorded is none.
    #[error("what the store holds as the vault's public key is none; `log verify` tells what else was changed")]
    NoRecipient,
    /// A passphrase that protects nothing.
    #[error("the passphrase is empty, so the vault was neither locked nor opened")]
    EmptyPassphrase,
    /// age knows passphrases as text only.
    #[error("the passphrase was not tried: it is no UTF-8 text")]
    PassphraseNotText,
    /// More memory and time than an honest vault asks for.
    #[error(
        "the vault was not opened: it asks for 2^{asked} rounds of scrypt, at most \
             2^{accepted} are done; somebody else wrote it"
    )]
    ExcessiveWork {
        /// The work factor found.
        asked: u8,
        /// The highest that is accepted.
        accepted: u8,
    },
    /// Something else lies where an age file should.
    #[error("the {0} is no age file; `log verify` tells what else was changed")]
    NotAnAgeFile(Content),
    /// A later version of age, or of what this program puts into age files.
    #[error("the {0} has a format that this version does not know; use the newer program that wrote it")]
    NewerFormat(Content),
    /// The bytes were changed, or cut off.
    #[error("the {what} is damaged: {why}; `log verify` tells what else was changed")]
    Damaged {
        /// What was to be read.
        what: Content,
        /// What did not fit.
        why: &'static str,
    },
    /// A well-made age file, to which this vault has no key.
    #[error("a secret was sealed for another vault; `log verify` tells what else was changed")]
    Foreign,
    /// A secret of this vault in the place of another one.
    #[error(
        "a secret was sealed for something else: `{found}` lies in the place of \
             `{wanted}`; `log verify` tells what else was changed"
    )]
    Misplaced {
        /// What should lie there.
        wanted: String,
        /// What lies there, escaped.
        found: String,
    },
    /// The program that a key needs is not there.
    #[error("the age plugin `{0}` is not on the PATH; install it")]
    PluginMissing(String),
    /// A plugin refused, or ended before its time.
    #[error("the age plugin did not do it: {0}")]
    Plugin(String),
    /// age did not encrypt, which it has no reason for.
    #[error("internal error: age did not encrypt: {0}")]
    Internal(String),
}

/// What an age file of the store holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Content {
    /// The vault, locked for one unlocker.
    Vault,
    /// A secret, sealed by the vault.
    Secret,
    /// What a backup holds.
    Backup,
    /// A bundle on its way to whoever it is for.
    Bundle,
}

impl VaultKeys {
    /// A new vault with an identity of its own for the authority whose `ca.crt` (DER) has this SHA-256.
    pub fn create(ca_sha256: [u8; 32], mut mac_key: [u8; 32]) -> Self {
        let vault = Self::of(x25519::Identity::generate(), Zeroizing::new(mac_key), ca_sha256);
        mac_key.zeroize();
        vault
    }

    /// The SHA-256 of the authority's `ca.crt` (DER): whose vault this is.
    pub fn ca_sha256(&self) -> &[u8; 32] {
        &self.ca_sha256
    }

    /// Seals a secret so that it can be unsealed as what `binding` says and as nothing else.
    /// The age file's text is one line with the binding, then the secret: readers of PEM pass over text before it.
    pub fn seal(&self, binding: &Binding, secret: &Secret) -> Result<Vec<u8>, VaultError> {
        age_file::encrypt(self.identity.recipient(), &[binding.line().as_bytes(), b"\n", secret.expose()])
    }

    /// Opens what [`seal`](Self::seal) made, if it was sealed as what `binding` says.
    pub fn unseal(&self, binding: &Binding, sealed: &[u8]) -> Result<Secret, VaultError> {
        let text = age_file::decrypt(Content::Secret, sealed, &[&self.identity])?;
        let end = text.iter().position(|&byte| byte == b'\n').unwrap_or(text.len());
        let (line, rest) = text.split_at(end);
        binding.check(line)?;
        Ok(Secret::new(rest.get(1..).unwrap_or_default().to_vec()))
    }

    /// The vault's public key: whatever is sealed to it, the open vault opens.
    pub fn recipient(&self) -> String {
        self.identity.recipient_text()
    }

    /// Opens what [`seal_for`] made for this vault.
    pub fn open_sealed(&self, sealed: &[u8]) -> Result<Secret, VaultError> {
        let mut text = age_file::decrypt(Content::Backup, sealed, &[&self.identity])?;
        Ok(Secret::new(std::mem::take(&mut *text)))
    }

    /// HMAC-SHA-256 under the vault's key, for entries of the ledger.
    pub fn mac(&self, message: &[u8]) -> [u8; 32] {
        let mut mac = [0; 32];
        mac.copy_from_slice(hmac::sign(&self.hmac_key(), message).as_ref());
        mac
    }

    /// Whether `mac` is [`mac`](Self::mac) of `message`; takes the same time wherever they differ.
    pub fn verify_mac(&self, message: &[u8], mac: &[u8]) -> bool {
        hmac::verify(&self.hmac_key(), message, mac).is_ok()
    }

    /// The vault in clear, which is also an identity file of age: `age -d -i` with it opens every secret of the store.
    pub fn identity_text(&self) -> Secret {
        text::write(self)
    }

    fn of(identity: x25519::Identity, mac_key: Zeroizing<[u8; 32]>, ca_sha256: [u8; 32]) -> Self {
        Self { identity, mac_key, ca_sha256 }
    }

    fn hmac_key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, self.mac_key.as_ref())
    }
}

/// Seals parts, one after the other, for the vault with this public key, without opening it.
pub fn seal_for(recipient: &str, parts: &[&[u8]]) -> Result<Vec<u8>, VaultError> {
    let recipient: x25519::Recipient = recipient.parse().map_err(|_| VaultError::NoRecipient)?;
    age_file::encrypt(&recipient, parts)
}

impl VaultError {
    /// Whether another passphrase or identity may help: exit code 4.
    pub fn is_locked(&self) -> bool {
        matches!(self, Self::WrongPassphrase | Self::NoMatchingIdentity | Self::LockedIdentity | Self::Plugin(_))
    }
}

impl std::fmt::Display for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Vault => "vault's locked copy",
            Self::Secret => "sealed secret",
            Self::Backup => "sealed part of the backup",
            Self::Bundle => "encrypted bundle",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{name::Name, serial::Serial};

    const PEM: &[u8] = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";

    fn vault() -> VaultKeys {
        VaultKeys::create([1; 32], [2; 32])
    }

    fn key_of(name: &str) -> Binding {
        Binding::private_key("ab12", &Name::parse(name).unwrap(), &Serial::fresh([9; 16]))
    }

    fn refusal<T>(result: Result<T, VaultError>) -> VaultError {
        result.err().expect("it was refused")
    }

    #[test]
    fn what_was_sealed_comes_back() {
        let vault = vault();
        let long = vec![0; 100_000];
        for secret in [PEM, b"", b"\n", b"no line end", &long] {
            let sealed = vault.seal(&key_of("laptop-7"), &Secret::new(secret.to_vec())).unwrap();
            assert!(sealed.starts_with(b"age-encryption.org/v1\n-> X25519 "));
            assert_eq!(vault.unseal(&key_of("laptop-7"), &sealed).unwrap().expose(), secret);
        }
    }

    #[test]
    fn a_secret_in_the_place_of_another_is_found() {
        let vault = vault();
        let sealed = vault.seal(&key_of("laptop-7"), &Secret::new(PEM.to_vec())).unwrap();
        let error = refusal(vault.unseal(&key_of("laptop-8"), &sealed));
        assert!(matches!(error, VaultError::Misplaced { .. }) && !error.is_locked());
        let message = error.to_string();
        assert!(message.contains("peer=laptop-7") && message.contains("peer=laptop-8"), "{message}");
        assert!(!message.contains("PRIVATE KEY"));
    }

    #[test]
    fn a_valid_age_file_that_was_not_sealed_here_is_found() {
        let vault = vault();
        let unbound = age::encrypt(vault.identity.recipient(), b"-----BEGIN").unwrap();
        assert!(matches!(refusal(vault.unseal(&key_of("a"), &unbound)), VaultError::Misplaced { .. }));
        let newer = age::encrypt(vault.identity.recipient(), b"vpnpki-sealed 2 anything\n").unwrap();
        assert!(matches!(refusal(vault.unseal(&key_of("a"), &newer)), VaultError::NewerFormat(Content::Secret)));
        let foreign = self::vault().seal(&key_of("a"), &Secret::new(PEM.to_vec())).unwrap();
        assert!(matches!(refusal(vault.unseal(&key_of("a"), &foreign)), VaultError::Foreign));
    }

    #[test]
    fn a_flipped_bit_or_a_cut_is_damage_anywhere() {
        let vault = vault();
        let sealed = vault.seal(&key_of("a"), &Secret::new(PEM.to_vec())).unwrap();
        for place in 0..sealed.len() {
            let mut flipped = sealed.clone();
            flipped[place] ^= 1;
            assert!(!refusal(vault.unseal(&key_of("a"), &flipped)).is_locked(), "byte {place}");
            assert!(!refusal(vault.unseal(&key_of("a"), &sealed[..place])).is_locked(), "cut at {place}");
        }
    }

    #[test]
    fn the_identity_text_opens_secrets_by_age_alone() {
        let vault = vault();
        let sealed = vault.seal(&Binding::ca_key("ab12", &Serial::fresh([3; 16])), &Secret::new(PEM.to_vec())).unwrap();
        let file = age::IdentityFile::from_buffer(vault.identity_text().expose()).unwrap();
        let identities = file.into_identities().unwrap();
        let decryptor = age::Decryptor::new(&sealed[..]).unwrap();
        let mut text = String::new();
        let mut reader = decryptor.decrypt(identities.iter().map(|identity| &**identity as _)).unwrap();
        std::io::Read::read_to_string(&mut reader, &mut text).unwrap();
        let (line, pem) = text.split_once('\n').unwrap();
        assert_eq!(line, format!("vpnpki-sealed 1 kind=ca-key authority=ab12 serial={}", Serial::fresh([3; 16])));
        assert_eq!(pem.as_bytes(), PEM);
    }

    #[test]
    fn macs_depend_on_key_and_message() {
        let vault = vault();
        let mac = vault.mac(b"entry");
        assert!(vault.verify_mac(b"entry", &mac));
        assert!(!vault.verify_mac(b"Entry", &mac) && !vault.verify_mac(b"entry", &mac[..31]));
        assert_ne!(mac, VaultKeys::create([1; 32], [3; 32]).mac(b"entry"));
        // RFC 4231, test case 2, whose key `Jefe` padded with zeros is the same HMAC key
        let mut key = [0; 32];
        key[..4].copy_from_slice(b"Jefe");
        let known = VaultKeys::create([0; 32], key).mac(b"what do ya want for nothing?");
        assert_eq!(known[..4], [0x5b, 0xdc, 0xc1, 0x46]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), name in "[a-z]{1,5}-1") {
            let vault = vault();
            prop_assert!(vault.unseal(&key_of(&name), &bytes).is_err());
            let with_magic = [b"age-encryption.org/v1\n-> X25519 ".as_slice(), &bytes].concat();
            prop_assert!(vault.unseal(&key_of(&name), &with_magic).is_err());
            let inside = age::encrypt(vault.identity.recipient(), &bytes).unwrap();
            prop_assert!(vault.unseal(&key_of(&name), &inside).is_err());
        }
    }
}
