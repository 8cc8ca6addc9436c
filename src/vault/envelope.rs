//! Bundles as age files, for whoever they are meant for: encrypted to recipients or with a passphrase, and opened again.
//! Refuses to know what is inside, and what the vault is.

use std::io::{Read, Write};

use age::{
    armor::{ArmoredReader, ArmoredWriter, Format},
    scrypt,
};

use super::{
    age_file::{self, MOST_WORK},
    unlocker::{as_text, WORK},
    Content, Key, Plugins, Recipient, VaultError,
};
use crate::secret::Secret;

/// For whom something is encrypted. age knows no mixture: whoever has the passphrase needs no key.
pub enum Envelope {
    /// Whoever has the private key to one of these, each once.
    Recipients(Vec<Recipient>),
    /// Whoever knows it.
    Passphrase(Secret),
}

/// How the encrypted bytes are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// As they are.
    Binary,
    /// As text, which a terminal or a mail bears.
    Armored,
}

/// Why an encrypted bundle was not opened.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// Somebody else's.
    #[error("it is encrypted to somebody else: none of the identities that were given opens it")]
    Foreign,
    /// Another passphrase.
    #[error("the passphrase is not the one with which it was encrypted")]
    WrongPassphrase,
    /// The bytes were changed, or cut off.
    #[error("the encrypted file is damaged or cut off")]
    Damaged,
    /// A plugin, or a passphrase that is none.
    #[error(transparent)]
    Vault(VaultError),
}

impl Envelope {
    /// Encrypted to each of these recipients, however often they are named.
    pub fn to(recipients: impl IntoIterator<Item = Recipient>) -> Self {
        let mut distinct: Vec<Recipient> = Vec::new();
        for recipient in recipients {
            if !distinct.contains(&recipient) {
                distinct.push(recipient);
            }
        }
        Self::Recipients(distinct)
    }

    /// Whether programs of somebody else are run to encrypt to them.
    pub fn needs_plugins(&self) -> bool {
        matches!(self, Self::Recipients(recipients) if recipients.iter().any(Recipient::needs_plugin))
    }

    /// For whom, one line each; the passphrase is no more than named.
    pub fn addressees(&self) -> Vec<String> {
        match self {
            Self::Recipients(recipients) => recipients.iter().map(ToString::to_string).collect(),
            Self::Passphrase(_) => vec!["a passphrase".to_owned()],
        }
    }

    /// The bytes as an age file.
    pub fn seal(&self, text: &Secret, form: Form, plugins: &Plugins) -> Result<Vec<u8>, VaultError> {
        let sealed = match self {
            Self::Recipients(recipients) => {
                let keys = recipients.iter().map(|recipient| recipient.key(plugins)).collect::<Result<Vec<_>, _>>()?;
                age_file::encrypt_to(keys.iter().map(|key| &**key as &dyn age::Recipient), &[text.expose()])?
            }
            Self::Passphrase(passphrase) => {
                let mut recipient = scrypt::Recipient::new(as_text(passphrase)?);
                recipient.set_work_factor(WORK);
                age_file::encrypt(&recipient, &[text.expose()])?
            }
        };
        match form {
            Form::Binary => Ok(sealed),
            Form::Armored => armored(&sealed),
        }
    }
}

/// Whether the bytes claim to be an age file, armored or not.
pub fn is_envelope(bytes: &[u8]) -> bool {
    bytes.starts_with(b"age-encryption.org/") || bytes.trim_ascii_start().starts_with(ARMOR)
}

/// Whether a passphrase is needed to open it, and no key.
pub fn wants_passphrase(bytes: &[u8]) -> bool {
    plain(bytes).is_ok_and(|bytes| age::Decryptor::new_buffered(&bytes[..]).is_ok_and(|file| file.is_scrypt()))
}

/// What was encrypted.
pub fn open_envelope(bytes: &[u8], key: &Key<'_>) -> Result<Secret, EnvelopeError> {
    let bytes = plain(bytes)?;
    let opened = match key {
        Key::Passphrase(passphrase) => {
            let mut identity = scrypt::Identity::new(as_text(passphrase).map_err(EnvelopeError::Vault)?);
            identity.set_max_work_factor(MOST_WORK);
            age_file::decrypt(Content::Bundle, &bytes, &[&identity])
        }
        Key::Identities(file) => age_file::decrypt(Content::Bundle, &bytes, &file.keys()),
    };
    opened.map(|mut text| Secret::new(std::mem::take(&mut *text))).map_err(|error| match error {
        VaultError::Foreign | VaultError::NoMatchingIdentity => EnvelopeError::Foreign,
        VaultError::WrongPassphrase => EnvelopeError::WrongPassphrase,
        VaultError::NotAnAgeFile(_) | VaultError::NewerFormat(_) | VaultError::Damaged { .. } => EnvelopeError::Damaged,
        other => EnvelopeError::Vault(other),
    })
}

impl EnvelopeError {
    /// Whether another passphrase or identity may help: exit code 4.
    pub fn is_locked(&self) -> bool {
        match self {
            Self::Foreign | Self::WrongPassphrase => true,
            Self::Damaged => false,
            Self::Vault(error) => error.is_locked(),
        }
    }
}

/// Without the armor. Nothing secret is in it.
fn plain(bytes: &[u8]) -> Result<Vec<u8>, EnvelopeError> {
    let mut plain = Vec::new();
    ArmoredReader::new(bytes).read_to_end(&mut plain).map_err(|_| EnvelopeError::Damaged)?;
    Ok(plain)
}

fn armored(sealed: &[u8]) -> Result<Vec<u8>, VaultError> {
    let written = || {
        let mut writer = ArmoredWriter::wrap_output(Vec::with_capacity(sealed.len() * 3 / 2), Format::AsciiArmor)?;
        writer.write_all(sealed)?;
        writer.finish()
    };
    written().map_err(|error: std::io::Error| VaultError::Internal(error.to_string()))
}

const ARMOR: &[u8] = b"-----BEGIN AGE ENCRYPTED FILE-----";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::vault::{IdentityFile, Unlocker};

    fn recipient(text: &str) -> Recipient {
        text.parse().unwrap()
    }

    fn identities(bytes: &[u8]) -> IdentityFile {
        IdentityFile::parse(bytes).unwrap_or_else(|error| panic!("{error}"))
    }

    fn profile() -> Secret {
        Secret::from("client\n".repeat(40_000))
    }

    fn sealed(envelope: &Envelope, form: Form) -> Vec<u8> {
        envelope.seal(&profile(), form, &Plugins::unattended()).unwrap()
    }

    #[test]
    fn each_recipient_opens_it_in_both_forms_and_nobody_else() {
        let (own, own_key) = Unlocker::fresh_key_file();
        let ssh = [include_str!("fixtures/ed25519.pub"), include_str!("fixtures/rsa.pub")].map(recipient);
        let all = own.recipient().cloned().into_iter().chain(ssh.clone()).chain(ssh);
        let envelope = Envelope::to(all);
        assert_eq!(envelope.addressees().len(), 3, "each once");
        for form in [Form::Binary, Form::Armored] {
            let file = sealed(&envelope, form);
            assert!(is_envelope(&file) && !wants_passphrase(&file));
            assert_eq!(file.is_ascii(), form == Form::Armored);
            for key in [own_key.expose(), include_bytes!("fixtures/ed25519"), include_bytes!("fixtures/rsa")] {
                let opened = open_envelope(&file, &Key::Identities(&identities(key)));
                assert_eq!(opened.unwrap_or_else(|error| panic!("{error}")).expose(), profile().expose());
            }
            let (_, other) = Unlocker::fresh_key_file();
            let error = open_envelope(&file, &Key::Identities(&identities(other.expose()))).err().expect("a refusal");
            assert!(matches!(error, EnvelopeError::Foreign) && error.is_locked());
        }
    }

    /// As `rage` opens it, whose library this is.
    #[test]
    fn the_library_of_rage_opens_it() {
        let identity = age::x25519::Identity::generate();
        for form in [Form::Binary, Form::Armored] {
            let file = sealed(&Envelope::to([Recipient::parse(&identity.to_public().to_string()).unwrap()]), form);
            assert_eq!(age::decrypt(&identity, &plain(&file).unwrap()).unwrap(), profile().expose());
        }
    }

    /// One test for all that a passphrase does: scrypt costs a second each time.
    #[test]
    fn a_passphrase_opens_what_it_encrypted() {
        let file = sealed(&Envelope::Passphrase(Secret::from("correct horse".to_owned())), Form::Armored);
        assert!(wants_passphrase(&file));
        let open = |word: &str| open_envelope(&file, &Key::Passphrase(&Secret::from(word.to_owned())));
        assert_eq!(open("correct horse").unwrap_or_else(|error| panic!("{error}")).expose(), profile().expose());
        let error = open("wrong horse").err().expect("a refusal");
        assert!(matches!(error, EnvelopeError::WrongPassphrase) && !error.to_string().contains("horse"));
        let stanza = String::from_utf8_lossy(&plain(&file).unwrap()).lines().nth(1).unwrap().to_owned();
        assert!(stanza.starts_with("-> scrypt ") && stanza.ends_with(" 18"), "{stanza}");
    }

    #[test]
    fn what_is_damaged_is_told() {
        let (own, key) = Unlocker::fresh_key_file();
        let key = identities(key.expose());
        let envelope = Envelope::to(own.recipient().cloned());
        for form in [Form::Binary, Form::Armored] {
            let mut file = sealed(&envelope, form);
            file.truncate(file.len() / 2);
            let error = open_envelope(&file, &Key::Identities(&key)).err().expect("a refusal");
            assert!(matches!(error, EnvelopeError::Damaged) && !error.is_locked(), "{error}");
        }
        assert!(matches!(open_envelope(b"client\n", &Key::Identities(&key)), Err(EnvelopeError::Damaged)));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "[A-Za-z0-9+/=\n]{0,80}") {
            let (_, key) = Unlocker::fresh_key_file();
            let key = identities(key.expose());
            prop_assert!(open_envelope(&bytes, &Key::Identities(&key)).is_err());
            let armoured = format!("-----BEGIN AGE ENCRYPTED FILE-----\n{text}\n-----END AGE ENCRYPTED FILE-----\n");
            prop_assert!(open_envelope(armoured.as_bytes(), &Key::Identities(&key)).is_err());
            let _ = (is_envelope(&bytes), wants_passphrase(armoured.as_bytes()));
        }
    }
}
