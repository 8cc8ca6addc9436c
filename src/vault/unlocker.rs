//! What locks the vault and what opens it: one age file for each unlocker, each with the whole vault in it.
//! Refuses to know where these files are kept and who asks for a passphrase.

use age::scrypt;

use super::{
    age_file::{self, MOST_WORK},
    identity::IdentityFile,
    plugin::Plugins,
    recipient::Recipient,
    text, x25519, Content, VaultError, VaultKeys,
};
use crate::secret::Secret;

/// What the vault is locked to.
pub enum Unlocker {
    /// A passphrase that people know.
    Passphrase(Secret),
    /// An age or SSH key that somebody holds.
    Recipient(Recipient),
    /// The identity in the clear file `vault.key` (`--no-passphrase`).
    KeyFile(Recipient),
}

/// What was given to open the vault.
pub enum Key<'a> {
    /// A passphrase.
    Passphrase(&'a Secret),
    /// Private keys, unlocked already where they have a passphrase of their own.
    Identities(&'a IdentityFile),
}

impl Unlocker {
    /// An unlocker with a fresh identity, and the text of the `vault.key` that holds it: an identity file of age.
    pub fn fresh_key_file() -> (Self, Secret) {
        let identity = x25519::Identity::generate();
        let recipient = Recipient::of(&identity);
        let text = key_file_text(&recipient.to_string(), identity.text());
        (Self::KeyFile(recipient), text)
    }

    /// `passphrase`, `recipient` or `key-file`: how the store and people tell them apart.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Passphrase(_) => "passphrase",
            Self::Recipient(_) => "recipient",
            Self::KeyFile(_) => "key-file",
        }
    }

    /// The public key, where there is one.
    pub fn recipient(&self) -> Option<&Recipient> {
        match self {
            Self::Passphrase(_) => None,
            Self::Recipient(recipient) | Self::KeyFile(recipient) => Some(recipient),
        }
    }
}

/// The vault as an age file that this unlocker opens. A recipient of a plugin runs the plugin.
pub fn wrap(vault: &VaultKeys, unlocker: &Unlocker, plugins: &Plugins) -> Result<Vec<u8>, VaultError> {
    let vault = text::write(vault);
    match unlocker {
        Unlocker::Recipient(recipient) | Unlocker::KeyFile(recipient) => {
            age_file::encrypt(&*recipient.key(plugins)?, &[vault.expose()])
        }
        Unlocker::Passphrase(passphrase) => {
            let mut recipient = scrypt::Recipient::new(as_text(passphrase)?);
            recipient.set_work_factor(WORK);
            age_file::encrypt(&recipient, &[vault.expose()])
        }
    }
}

/// Opens one locked copy of the vault.
pub fn open(copy: &[u8], key: &Key<'_>) -> Result<VaultKeys, VaultError> {
    let text = match key {
        Key::Passphrase(passphrase) => {
            let mut identity = scrypt::Identity::new(as_text(passphrase)?);
            identity.set_max_work_factor(MOST_WORK);
            age_file::decrypt(Content::Vault, copy, &[&identity])?
        }
        Key::Identities(file) if file.is_locked() => return Err(VaultError::LockedIdentity),
        Key::Identities(file) => age_file::decrypt(Content::Vault, copy, &file.keys())?,
    };
    text::read(&text)
}

/// Opens the first copy that the key fits. When none opens, the most telling refusal is given: damage before a wrong
/// passphrase, that before a key to which no copy belongs. A copy that cannot be read does not hide one that can.
pub fn open_any<'c>(copies: impl IntoIterator<Item = &'c [u8]>, key: &Key<'_>) -> Result<VaultKeys, VaultError> {
    open_which(copies, key).map(|(_, vault)| vault)
}

/// As [`open_any`], with the place of the copy that opened.
pub fn open_which<'c>(
    copies: impl IntoIterator<Item = &'c [u8]>,
    key: &Key<'_>,
) -> Result<(usize, VaultKeys), VaultError> {
    let mut refusal = VaultError::NoMatchingIdentity;
    for (place, copy) in copies.into_iter().enumerate() {
        match open(copy, key) {
            Ok(vault) => return Ok((place, vault)),
            Err(error) if weight(&error) > weight(&refusal) => refusal = error,
            Err(_) => {}
        }
    }
    Err(refusal)
}

/// The text of a `vault.key`.
pub(super) fn key_file_text(recipient: &str, identity: &str) -> Secret {
    Secret::from([KEY_FILE_HEAD, recipient, "\n", identity, "\n"].concat())
}

fn weight(error: &VaultError) -> u8 {
    match error {
        VaultError::NoMatchingIdentity => 0,
        VaultError::WrongPassphrase => 1,
        _ => 2,
    }
}

pub(super) fn as_text(passphrase: &Secret) -> Result<age::secrecy::SecretString, VaultError> {
    match passphrase.expose_text() {
        Some("") => Err(VaultError::EmptyPassphrase),
        Some(text) => Ok(text.to_owned().into()),
        None => Err(VaultError::PassphraseNotText),
    }
}

/// scrypt's N is 2^18: 256 MiB and about a second. age's own choice measures the machine and takes a gigabyte.
pub(super) const WORK: u8 = 18;
const KEY_FILE_HEAD: &str = "# opens the vault beside it without a passphrase: whoever reads this can sign certificates
# public key: ";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn vault() -> VaultKeys {
        VaultKeys::create([1; 32], [2; 32])
    }

    fn nobody() -> Plugins {
        Plugins::unattended()
    }

    fn identities(bytes: &[u8]) -> IdentityFile {
        IdentityFile::parse(bytes).unwrap_or_else(|error| panic!("{error}"))
    }

    fn recipient(text: &str) -> Unlocker {
        Unlocker::Recipient(text.parse().unwrap())
    }

    fn refusal<T>(result: Result<T, VaultError>) -> VaultError {
        result.err().expect("it was refused")
    }

    #[track_caller]
    fn same(one: &VaultKeys, other: &VaultKeys) {
        assert_eq!(one.identity_text().expose(), other.identity_text().expose());
    }

    /// One test for all that a passphrase does: scrypt costs a second each time.
    #[test]
    fn a_passphrase_opens_what_it_locked_and_is_never_told() {
        let (vault, passphrase) = (vault(), Secret::from("correct horse".to_owned()));
        let copy = wrap(&vault, &Unlocker::Passphrase(Secret::from("correct horse".to_owned())), &nobody()).unwrap();
        let header = String::from_utf8_lossy(&copy);
        let stanza = header.lines().nth(1).unwrap();
        assert!(stanza.starts_with("-> scrypt ") && stanza.ends_with(" 18"), "{stanza}");
        same(&vault, &open(&copy, &Key::Passphrase(&passphrase)).unwrap_or_else(|error| panic!("{error}")));

        let wrong = Secret::from("wrong horse".to_owned());
        let error = refusal(open(&copy, &Key::Passphrase(&wrong)));
        assert!(matches!(error, VaultError::WrongPassphrase) && error.is_locked());
        assert!(!format!("{error} {error:?}").contains("horse"));
        let error = refusal(open(&copy, &Key::Identities(&identities(include_bytes!("fixtures/rsa")))));
        assert!(matches!(error, VaultError::NoMatchingIdentity));
    }

    #[test]
    fn an_empty_or_binary_passphrase_is_refused() {
        let wrapped =
            |bytes: &[u8]| refusal(wrap(&vault(), &Unlocker::Passphrase(Secret::new(bytes.to_vec())), &nobody()));
        assert!(matches!(wrapped(b""), VaultError::EmptyPassphrase));
        assert!(matches!(wrapped(b"\xff\xfe"), VaultError::PassphraseNotText));
    }

    #[test]
    fn a_key_file_opens_its_vault() {
        let vault = vault();
        let (unlocker, text) = Unlocker::fresh_key_file();
        assert_eq!((unlocker.kind(), unlocker.recipient().unwrap().kind()), ("key-file", "age"));
        let copy = wrap(&vault, &unlocker, &nobody()).unwrap();
        same(&vault, &open(&copy, &Key::Identities(&identities(text.expose()))).unwrap_or_else(|e| panic!("{e}")));
        assert!(text.expose_text().unwrap().contains(&unlocker.recipient().unwrap().to_string()));
    }

    #[test]
    fn ssh_keys_open_what_was_locked_to_them() {
        let vault = vault();
        let mut locked = identities(include_bytes!("fixtures/ed25519-locked"));
        let copy = wrap(&vault, &recipient(include_str!("fixtures/ed25519-locked.pub")), &nobody()).unwrap();
        let error = refusal(open(&copy, &Key::Identities(&locked)));
        assert!(matches!(error, VaultError::LockedIdentity) && error.is_locked());
        locked.unlock(&Secret::from("correct horse".to_owned())).unwrap();
        same(&vault, &open(&copy, &Key::Identities(&locked)).unwrap_or_else(|error| panic!("{error}")));

        let rsa = identities(include_bytes!("fixtures/rsa"));
        let ed25519 = identities(include_bytes!("fixtures/ed25519"));
        for (public, private, other) in
            [(include_str!("fixtures/ed25519.pub"), &ed25519, &rsa), (include_str!("fixtures/rsa.pub"), &rsa, &ed25519)]
        {
            let copy = wrap(&vault, &recipient(public), &nobody()).unwrap();
            same(&vault, &open(&copy, &Key::Identities(private)).unwrap_or_else(|error| panic!("{error}")));
            let error = refusal(open(&copy, &Key::Identities(other)));
            assert!(matches!(error, VaultError::NoMatchingIdentity) && error.is_locked());
        }
    }

    #[test]
    fn every_unlocker_opens_the_same_vault_beside_damaged_copies() {
        let vault = vault();
        let (key_file, key) = Unlocker::fresh_key_file();
        let mut damaged = wrap(&vault, &key_file, &nobody()).unwrap();
        *damaged.last_mut().unwrap() ^= 1;
        let ssh = wrap(&vault, &recipient(include_str!("fixtures/ed25519.pub")), &nobody()).unwrap();
        let copies = [damaged.as_slice(), &ssh];
        let by_ssh = open_any(copies, &Key::Identities(&identities(include_bytes!("fixtures/ed25519"))));
        same(&vault, &by_ssh.unwrap_or_else(|error| panic!("{error}")));
        let error = refusal(open_any(copies, &Key::Identities(&identities(key.expose()))));
        assert!(matches!(error, VaultError::Damaged { what: Content::Vault, .. }) && !error.is_locked());
        let error = refusal(open_any(copies, &Key::Identities(&identities(include_bytes!("fixtures/rsa")))));
        assert!(matches!(error, VaultError::NoMatchingIdentity));
        assert!(matches!(refusal(open_any([], &Key::Passphrase(&key))), VaultError::NoMatchingIdentity));
    }

    #[test]
    fn an_age_file_without_a_vault_in_it_is_told() {
        let (unlocker, key) = Unlocker::fresh_key_file();
        let copy = age_file::encrypt(&*unlocker.recipient().unwrap().key(&nobody()).unwrap(), &[b"hello"]).unwrap();
        let error = refusal(open(&copy, &Key::Identities(&identities(key.expose()))));
        assert!(matches!(error, VaultError::Damaged { why: "it holds no vault", .. }));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), place in 0usize..400, bit in 0u8..8) {
            let (unlocker, key) = Unlocker::fresh_key_file();
            let key = identities(key.expose());
            prop_assert!(open(&bytes, &Key::Identities(&key)).is_err());
            let mut copy = wrap(&vault(), &unlocker, &nobody()).unwrap();
            let place = place % copy.len();
            copy[place] ^= 1 << bit;
            prop_assert!(open(&copy, &Key::Identities(&key)).is_err());
        }
    }
}
