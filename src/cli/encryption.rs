//! For whom bundles are encrypted, as typed: shared by the commands that write them.
//! Knows no key; public keys and passphrases are parsed and handed on.

use std::{
    io::{self, IsTerminal},
    path::{Path, PathBuf},
};

use clap::Args;

use crate::{
    authority::{deliver::Destination, Sealing},
    cli::{session::Session, Failure},
    files,
    vault::{recipients_in, Envelope, Form, Recipient},
};

/// Options of every command that writes bundles.
#[derive(Args)]
pub struct EncryptionOptions {
    /// Encrypt with age, to a public key or to each in a FILE; may be given several times (writes NAME.ovpn.age)
    // a plain text here, since clap would print a private key given by mistake
    #[arg(long, value_name = "age1…|ssh-…|FILE")]
    encrypt_to: Vec<String>,
    /// Encrypt with age, with the passphrase in the first line of FILE
    #[arg(long, value_name = "FILE", conflicts_with = "encrypt_to")]
    encrypt_passphrase_file: Option<PathBuf>,
    /// Write what is encrypted as text; a terminal always gets text
    #[arg(long)]
    armor: bool,
    /// Write in clear, whoever is on record by `--recipient`
    #[arg(long, conflicts_with_all = ["encrypt_to", "encrypt_passphrase_file", "armor"])]
    clear: bool,
}

impl EncryptionOptions {
    /// Resolved: parsed once for all bundles of a call.
    pub fn sealing(&self, session: &Session) -> Result<Sealing, Failure> {
        Ok(match &self.encrypt_passphrase_file {
            Some(file) => Sealing::For(Envelope::Passphrase(session.read_passphrase(file)?)),
            None if self.clear => Sealing::Clear,
            None if self.encrypt_to.is_empty() => Sealing::AsRecorded,
            None => Sealing::For(Envelope::to(recipients(&self.encrypt_to)?)),
        })
    }

    /// Text where people look at it.
    pub fn form(&self, destination: &Destination) -> Form {
        if self.armor || *destination == Destination::Stdout && io::stdout().is_terminal() {
            Form::Armored
        } else {
            Form::Binary
        }
    }
}

/// Public keys, each typed as it is or as a file of them.
pub fn recipients(typed: &[String]) -> Result<Vec<Recipient>, Failure> {
    let mut found = Vec::new();
    for text in typed {
        if is_key(text) {
            found.push(Recipient::parse(text).map_err(|error| Failure::usage(error.to_string()))?);
        } else {
            let path = Path::new(text);
            let bytes = files::read(path, LIMIT)?;
            let named = |error| Failure::refused(format!("`{}`: {error}", files::shown(path)));
            found.extend(recipients_in(&bytes).map_err(named)?);
        }
    }
    Ok(found)
}

/// How a recipient is called in a line for people.
pub fn label(recipient: &str) -> String {
    Recipient::parse(recipient).map_or_else(|_| recipient.to_owned(), |recipient| recipient.label())
}

/// What begins like a key is one, also a private key, which is refused without being shown.
fn is_key(text: &str) -> bool {
    let text = text.trim_start();
    text.is_empty()
        || ["age1", "ssh-", "ecdsa-", "sk-"].iter().any(|kind| text.starts_with(kind))
        || text.to_ascii_uppercase().contains("AGE-SECRET-KEY-")
        || text.contains("PRIVATE KEY")
}

/// A file of ten thousand keys is smaller.
const LIMIT: usize = 1 << 20;
