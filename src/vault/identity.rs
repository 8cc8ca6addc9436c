//! Private keys that open the vault: age identity files, also those of plugins, and SSH private keys.
//! Refuses to know where they lie; nothing of them is ever part of a message.

use age::{
    plugin,
    ssh::{self, UnsupportedKey},
    Identity,
};

use super::{
    plugin::{binary, Plugins},
    ssh as wire,
    unlocker::key_file_text,
    x25519,
};
use crate::{name::escape, secret::Secret};

/// The private keys of one file.
#[derive(Default)]
pub struct IdentityFile {
    /// age's own.
    own: Vec<x25519::Identity>,
    /// All others that can be used.
    others: Vec<Box<dyn Identity + Send + Sync>>,
    locked: Option<ssh::EncryptedKey>,
    /// Keys of plugins that were not found yet.
    plugins: Vec<plugin::Identity>,
}

/// Why a file gives no identity.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum IdentityError {
    /// Bytes that are no text.
    #[error("the identity file is no text; an age identity file or an SSH private key is expected")]
    NotText,
    /// No key at all.
    #[error("the identity file holds no identity; `age-keygen` makes one")]
    Empty,
    /// A line that is no identity.
    #[error("line {0} of the identity file is no whole `AGE-SECRET-KEY-1...` or `AGE-PLUGIN-...`")]
    Line(usize),
    /// The program that a key in the file needs is not there.
    #[error("the identity file holds a key of an age plugin, and `{0}` is not on the PATH; install it")]
    PluginMissing(String),
    /// The other half of the pair.
    #[error("the identity file holds a public key; give the private one")]
    PublicKey,
    /// An identity file that is an age file itself.
    #[error("the identity file is encrypted; decrypt it first: `age -d FILE`")]
    Encrypted,
    /// A key of a kind that is not read.
    #[error("{kind} are not supported as identities; {instead}")]
    Unsupported {
        /// What was found.
        kind: String,
        /// What to do.
        instead: &'static str,
    },
    /// An SSH key that cannot be read.
    #[error("the SSH private key is damaged or cut off")]
    Malformed,
    /// Not the passphrase of the SSH key.
    #[error("the SSH private key stays locked: the passphrase is wrong")]
    WrongPassphrase,
}

impl IdentityFile {
    /// Reads an age identity file or an SSH private key (ed25519 or RSA); the only door.
    pub fn parse(bytes: &[u8]) -> Result<Self, IdentityError> {
        let text = std::str::from_utf8(bytes).map_err(|_| IdentityError::NotText)?.trim();
        if text.starts_with("age-encryption.org/") || text.starts_with("-----BEGIN AGE ENCRYPTED") {
            Err(IdentityError::Encrypted)
        } else if text.starts_with("-----BEGIN ") {
            ssh_key(text)
        } else {
            age_keys(text)
        }
    }

    /// Whether the key has a passphrase of its own, which [`unlock`](Self::unlock) needs.
    pub fn is_locked(&self) -> bool {
        self.locked.is_some()
    }

    /// Takes the SSH key's own passphrase; changes nothing when that is wrong, or when there is none to take.
    pub fn unlock(&mut self, passphrase: &Secret) -> Result<(), IdentityError> {
        let Some(key) = &self.locked else { return Ok(()) };
        let text = passphrase.expose_text().ok_or(IdentityError::WrongPassphrase)?;
        let key = key.decrypt(text.to_owned().into()).map_err(|_| IdentityError::WrongPassphrase)?;
        self.others.push(Box::new(ssh::Identity::from(key)));
        self.locked = None;
        Ok(())
    }

    /// Whether programs of somebody else are run to use the keys, which [`connect`](Self::connect) finds.
    pub fn needs_plugins(&self) -> bool {
        !self.plugins.is_empty()
    }

    /// Finds the plugins of the keys on the PATH; they run when something is opened.
    pub fn connect(&mut self, plugins: &Plugins) -> Result<(), IdentityError> {
        for key in std::mem::take(&mut self.plugins) {
            let found = plugins.identity(&key).map_err(|_| IdentityError::PluginMissing(binary(key.plugin())))?;
            self.others.push(Box::new(found));
        }
        Ok(())
    }

    /// The text of a `vault.key` with the one key that belongs to this recipient, when it is among them.
    pub fn key_file_of(&self, recipient: &str) -> Option<Secret> {
        let found = self.own.iter().find(|key| key.recipient_text() == recipient)?;
        Some(key_file_text(recipient, found.text()))
    }

    pub(super) fn keys(&self) -> Vec<&dyn Identity> {
        let own = self.own.iter().map(|key| key as &dyn Identity);
        own.chain(self.others.iter().map(|key| &**key as &dyn Identity)).collect()
    }
}

impl IdentityError {
    /// Whether another passphrase may help: exit code 4.
    pub fn is_locked(&self) -> bool {
        *self == Self::WrongPassphrase
    }
}

fn age_keys(text: &str) -> Result<IdentityFile, IdentityError> {
    let mut file = IdentityFile::default();
    for (index, line) in text.lines().map(str::trim).enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Ok(key) = line.parse::<plugin::Identity>() {
            file.plugins.push(key);
            continue;
        }
        let key: x25519::Identity = line.parse().map_err(|_| not_an_identity(index + 1, line))?;
        file.own.push(key);
    }
    if file.own.is_empty() && file.plugins.is_empty() {
        return Err(IdentityError::Empty);
    }
    Ok(file)
}

fn not_an_identity(number: usize, line: &str) -> IdentityError {
    let instead = "use one that `age-keygen` makes by default";
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| line.starts_with(prefix));
    if starts(&["age1", "ssh-", "ecdsa-", "sk-"]) {
        IdentityError::PublicKey
    } else if starts(&["AGE-SECRET-KEY-PQ-"]) {
        IdentityError::Unsupported { kind: "age's post-quantum keys".to_owned(), instead }
    } else {
        IdentityError::Line(number)
    }
}

fn ssh_key(text: &str) -> Result<IdentityFile, IdentityError> {
    let openssh = text.starts_with("-----BEGIN OPENSSH PRIVATE KEY-----");
    if !openssh && !text.starts_with("-----BEGIN RSA PRIVATE KEY-----") {
        let kind = "private keys in this form".to_owned();
        return Err(IdentityError::Unsupported { kind, instead: "`ssh-keygen -p -f FILE` writes an SSH key anew" });
    }
    if openssh && !wire::is_sound_private(text) {
        return Err(IdentityError::Malformed);
    }
    match ssh::Identity::from_buffer(text.as_bytes(), None).map_err(|_| IdentityError::Malformed)? {
        ssh::Identity::Encrypted(key) => Ok(IdentityFile { locked: Some(key), ..IdentityFile::default() }),
        ssh::Identity::Unsupported(key) => Err(unsupported(&key)),
        key @ ssh::Identity::Unencrypted(_) => {
            Ok(IdentityFile { others: vec![Box::new(key)], ..IdentityFile::default() })
        }
    }
}

fn unsupported(key: &UnsupportedKey) -> IdentityError {
    let anew = "`ssh-keygen -p -f FILE` writes it anew in a form that is";
    let (kind, instead) = match key {
        UnsupportedKey::EncryptedPem => ("SSH keys encrypted in the old PEM form".to_owned(), anew),
        UnsupportedKey::EncryptedSsh(cipher) => (format!("SSH keys encrypted by `{}`", escape(cipher)), anew),
        UnsupportedKey::Hardware(kind) | UnsupportedKey::Type(kind) => {
            (format!("SSH keys of type `{}`", escape(kind)), "use an ed25519 or RSA key")
        }
    };
    IdentityError::Unsupported { kind, instead }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const AGE: &str = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33";

    fn refusal(text: &str) -> String {
        IdentityFile::parse(text.as_bytes()).err().expect("it was refused").to_string()
    }

    #[test]
    fn age_identity_files_are_read() {
        let two = format!("# created: today\n# public key: age1...\n{AGE}\r\n\n  {AGE}\n");
        let file = IdentityFile::parse(two.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(file.keys().len(), 2);
        assert!(!file.is_locked());
    }

    #[test]
    fn ssh_keys_are_read() {
        for text in [include_str!("fixtures/ed25519"), include_str!("fixtures/rsa")] {
            for text in [text.to_owned(), text.replace('\n', "\r\n")] {
                let file = IdentityFile::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
                assert_eq!((file.keys().len(), file.is_locked()), (1, false));
            }
        }
    }

    #[test]
    fn an_ssh_key_with_a_passphrase_wants_it() {
        let mut file = IdentityFile::parse(include_bytes!("fixtures/ed25519-locked")).unwrap_or_else(|e| panic!("{e}"));
        assert!(file.is_locked() && file.keys().is_empty());
        for wrong in [b"wrong horse".as_slice(), b"", b"\xff"] {
            let error = file.unlock(&Secret::new(wrong.to_vec())).unwrap_err();
            assert!(error.is_locked() && !error.to_string().contains("horse"));
        }
        file.unlock(&Secret::from("correct horse".to_owned())).unwrap();
        assert!(!file.is_locked());
        assert_eq!(file.keys().len(), 1);
    }

    #[test]
    fn what_is_refused_says_why() {
        let rsa = include_str!("fixtures/rsa");
        for (text, why) in [
            ("", "holds no identity"),
            ("# only a comment\n", "holds no identity"),
            (&format!("{AGE}\nhunter2"), "line 2"),
            (&AGE[..50], "line 1"),
            ("age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa", "public key"),
            (include_str!("fixtures/ed25519.pub"), "public key"),
            (include_str!("fixtures/ecdsa"), "`ecdsa-sha2-nistp256`"),
            ("AGE-PLUGIN-YUBIKEY-1QQQ", "line 1"),
            ("AGE-SECRET-KEY-PQ-1QQQ", "post-quantum"),
            ("age-encryption.org/v1\n", "`age -d FILE`"),
            ("-----BEGIN PRIVATE KEY-----\n", "`ssh-keygen -p -f FILE`"),
            (&rsa[..rsa.len() / 2], "damaged or cut off"),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n",
                "old PEM form",
            ),
        ] {
            let message = refusal(text);
            assert!(message.contains(why), "{why}: {message}");
            assert!(!message.contains("hunter2") && !message.contains("GQ97"), "{message}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..120),
            kind in "OPENSSH|RSA",
            text in "[A-Za-z0-9+/=\n]{0,80}",
        ) {
            let _ = IdentityFile::parse(&bytes);
            let _ = IdentityFile::parse(text.as_bytes());
            let armoured = format!("-----BEGIN {kind} PRIVATE KEY-----\n{text}\n-----END {kind} PRIVATE KEY-----\n");
            prop_assert!(IdentityFile::parse(armoured.as_bytes()).is_err());
        }

        #[test]
        fn no_changed_key_panics(place in 40usize..1700, with in "[A-Za-z0-9+/=]") {
            let mut text = include_str!("fixtures/rsa").to_owned();
            text.replace_range(place..=place, &with);
            let _ = IdentityFile::parse(text.as_bytes());
        }
    }
}
