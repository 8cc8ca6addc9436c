//! The passphrase of a bundle, as typed: shared by the commands that write bundles. It is never the vault's.
//! Decides nothing about what it encrypts.

use std::{fmt, path::PathBuf};

use clap::Args;

use crate::{
    authority::deliver::{NewPassphrase, Passphrases},
    bundle::{Format, Passphrase},
    cli::{
        failure::{self, PASSPHRASE_HINT},
        session::Session,
        Exit, Failure,
    },
    pki::Pkcs12Encryption,
    secret::Secret,
};

/// Options of every command that writes bundles of clients.
#[derive(Args)]
pub struct PassphraseOptions {
    /// Encrypt the bundle's private key with the first line of FILE, which its owner types at each connection, or to
    /// import the PKCS#12
    #[arg(long, value_name = "FILE", conflicts_with = "generate_passphrase")]
    key_passphrase_file: Option<PathBuf>,
    /// The same with a new passphrase for each bundle, shown once and kept nowhere
    #[arg(long)]
    generate_passphrase: bool,
    /// Encrypt the PKCS#12 by 3DES and SHA-1, for importers that read nothing newer
    #[arg(long)]
    p12_legacy: bool,
}

impl PassphraseOptions {
    /// From the file, new ones, or asked for where the format is nothing without. What is asked for here is typed by the
    /// bundle's owner later; the vault's own passphrase is refused, as far as it comes from the same file.
    pub fn resolve(&self, session: &Session, format: Option<Format>) -> Result<Passphrases, Failure> {
        if format == Some(Format::Onc) && (self.key_passphrase_file.is_some() || self.generate_passphrase) {
            return Err(Failure::usage("ChromeOS imports a key without a passphrase only; nothing was done")
                .hint("without a passphrase, send the file by a way that nobody else reads"));
        }
        match (&self.key_passphrase_file, format.filter(|format| format.holds_pkcs12())) {
            (Some(file), _) if session.vault_passphrase_file() == Some(file) => Err(Failure::usage(
                "a bundle's owner must not know the vault's passphrase: both come from the same file",
            )
            .hint(PASSPHRASE_HINT)),
            (Some(file), _) => parsed(session.read_passphrase(file)?).map(Passphrases::Given),
            (None, _) if self.generate_passphrase => Ok(Passphrases::Generated),
            (None, None) => Ok(Passphrases::None),
            (None, Some(format)) => {
                let asked = session.ask_new_passphrase("New passphrase for whoever gets the bundle: ");
                parsed(asked.map_err(|failure| nobody(failure, format))?).map(Passphrases::Given)
            }
        }
    }

    /// How a PKCS#12 is encrypted, where there is one.
    pub fn pkcs12(&self, format: Option<Format>) -> Result<Pkcs12Encryption, Failure> {
        match (self.p12_legacy, format.is_some_and(Format::holds_pkcs12)) {
            (false, _) => Ok(Pkcs12Encryption::Modern),
            (true, true) => Ok(Pkcs12Encryption::Legacy),
            (true, false) => Err(Failure::usage("`--p12-legacy` is about a PKCS#12, and there is none in this bundle")
                .hint("`--format p12` and `--format ovpn12` hold one")),
        }
    }
}

/// Lines about passphrases that were made.
pub fn write_passphrases(f: &mut fmt::Formatter<'_>, made: &[NewPassphrase]) -> fmt::Result {
    if !made.is_empty() {
        writeln!(f, "passphrases, shown this once and kept nowhere:")?;
    }
    made.iter().try_for_each(|new| writeln!(f, "  {:<24} {}", new.name, typed(new)))
}

/// The same without words, for `--quiet`.
pub fn only_passphrases(made: &[NewPassphrase]) -> String {
    let lines: Vec<String> = made.iter().map(|new| format!("{} {}\n", new.name, typed(new))).collect();
    lines.concat()
}

/// The same on standard error, where standard output has the bundle, or there is no report.
pub fn tell_passphrases(made: &[NewPassphrase]) {
    for new in made {
        failure::say(&format!("the passphrase of `{}`, shown this once and kept nowhere: {}\n", new.name, typed(new)));
    }
}

fn typed(new: &NewPassphrase) -> &str {
    new.passphrase.secret().expose_text().unwrap_or_default()
}

/// A passphrase that was typed, as every importer takes it.
pub fn parsed(text: Secret) -> Result<Passphrase, Failure> {
    Passphrase::parse(text).map_err(|error| Failure::usage(error.to_string()))
}

/// What is missing is the bundle's passphrase, not the vault's.
fn nobody(failure: Failure, format: Format) -> Failure {
    if failure.exit != Exit::Locked {
        return failure;
    }
    Failure::usage(format!("the format `{format}` needs a passphrase, and nobody is there to ask"))
        .hint(PASSPHRASE_HINT)
}
