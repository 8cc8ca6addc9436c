//! Where bundles go, as typed: shared by the commands that write them.
//! Decides nothing about what is in a bundle.

use std::{fmt, path::PathBuf};

use clap::{
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser},
    Args,
};

use crate::{
    authority::{
        deliver::{Delivery, Destination, Outputs},
        Authority,
    },
    bundle::{Format, Order, Program},
    cli::{
        encryption::{label, EncryptionOptions},
        passphrase::{tell_passphrases, write_passphrases, PassphraseOptions},
        report::{self, Report},
        session::Session,
        Exit, Failure,
    },
    files::{self, Kind, Overwrite},
    inventory::Role,
    name::Name,
    secret::Secret,
};

/// Options of every command that writes bundles.
#[derive(Args)]
pub struct OutputOptions {
    /// The bundle's form [default: ovpn, or the program's; for servers dir]
    #[arg(long, value_name = "FORMAT", value_parser = formats())]
    format: Option<Format>,
    /// The program that a client's bundle is for: picks the form, and refuses what that program is known to fail with
    #[arg(long = "for", value_name = "PROGRAM", value_parser = programs())]
    program: Option<Program>,
    /// Write to PATH, into it when it is a directory, or to standard output (-) [default: here, under its own name]
    #[arg(short, long, value_name = "PATH")]
    out: Option<PathBuf>,
    /// Replace files that exist
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    encryption: EncryptionOptions,
    #[command(flatten)]
    passphrase: PassphraseOptions,
}

/// The options that say something of a bundle: none of them goes with `--no-export`.
pub const NO_EXPORT: [&str; 10] = [
    "out",
    "format",
    "program",
    "force",
    "encrypt_to",
    "encrypt_passphrase_file",
    "clear",
    "key_passphrase_file",
    "generate_passphrase",
    "p12_legacy",
];

/// Whose bundles are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// One client's.
    Client,
    /// One server's, a directory unless the format says otherwise.
    Server,
    /// Those of several, or of however many there are.
    Several,
}

impl Whose {
    /// Of these names, where all have the role.
    pub fn of(names: &[Name], role: Role) -> Self {
        match (names, role) {
            ([_], Role::Client) => Self::Client,
            ([_], Role::Server) => Self::Server,
            _ => Self::Several,
        }
    }

    /// Of these names, as they are in the store.
    pub fn known(names: &[Name], authority: &Authority) -> Result<Self, Failure> {
        let peer = match names {
            [one] => authority.view()?.peer(one)?,
            _ => None,
        };
        Ok(Self::of(names, peer.map_or(Role::Client, |peer| peer.role)))
    }
}

impl OutputOptions {
    /// Resolved. One path takes one bundle; `-o -` takes the one result and leaves no room for JSON.
    pub fn resolve(&self, session: &Session, whose: Whose) -> Result<Outputs, Failure> {
        let overwrite = if self.force { Overwrite::Replace } else { Overwrite::Refuse };
        let destination = match &self.out {
            None => Destination::Into(PathBuf::from(".")),
            Some(path) if path.as_os_str() == "-" && session.json() => {
                return Err(Failure::usage("`-o -` and `--json` both want standard output"))
            }
            Some(path) if path.as_os_str() == "-" => Destination::Stdout,
            Some(path) if !self.is_itself(whose) && is_directory(path)? => Destination::Into(path.clone()),
            Some(path) => Destination::Path(path.clone()),
        };
        let format = self.format.or(self.program.map(|program| program.formats()[0]));
        let order = Order {
            format: self.format,
            program: self.program,
            key_encryption: self.program.map(Program::key_encryption).unwrap_or_default(),
            pkcs12: self.passphrase.pkcs12(format)?,
        };
        let passphrases = self.passphrase.resolve(session, format)?;
        let (sealing, form) = (self.encryption.sealing(session)?, self.encryption.form(&destination));
        Ok(Outputs { order, destination, overwrite, sealing, form, passphrases })
    }

    /// Whether `-o DIR` is the bundle's directory itself, and not one into which the bundle goes under its own name.
    fn is_itself(&self, whose: Whose) -> bool {
        let directory = self.format.map_or(whose == Whose::Server, |format| format == Format::Dir);
        directory && whose != Whose::Several
    }
}

/// The formats, each with its title.
fn formats() -> impl TypedValueParser<Value = Format> {
    let values = Format::ALL.map(|format| PossibleValue::new(format.word()).help(format.title()));
    PossibleValuesParser::new(values).try_map(|word| word.parse::<Format>())
}

/// The programs, each with its title.
fn programs() -> impl TypedValueParser<Value = Program> {
    let values = Program::ALL.map(|program| PossibleValue::new(program.word()).help(program.title()));
    PossibleValuesParser::new(values).try_map(|word| word.parse::<Program>())
}

fn is_directory(path: &std::path::Path) -> Result<bool, Failure> {
    Ok(files::standing(path)?.is_some_and(|standing| standing.kind == Kind::Directory))
}

/// Writes the one bundle that goes to standard output. Whose it is has access, `done` says how, also when it did not arrive.
pub fn deliver_one(bundle: Option<Secret>, name: Option<&Name>, done: &str) -> Result<(), Failure> {
    let (Some(bundle), Some(name)) = (bundle, name) else { return Ok(()) };
    report::deliver(&bundle).map_err(|failure| Failure {
        message: format!("`{name}` is {done}, but {}", failure.message),
        ..failure.hint(format!("`vpnpki export {name}` makes it again"))
    })
}

/// What happened. Where standard output has the bundle, what is to be known of it goes to standard error.
pub fn report_beside<R: Report>(
    session: &Session,
    answer: &R,
    delivery: &Delivery,
    destination: &Destination,
) -> Result<Exit, Failure> {
    if *destination != Destination::Stdout || !answer.failures().is_empty() {
        return session.report(answer);
    }
    tell_passphrases(&delivery.passphrases);
    answer.warnings().iter().for_each(|warning| session.warn(warning));
    Ok(Exit::Done)
}

/// Lines about bundles that are in place, and about passphrases that were made for them.
pub fn write_bundles(f: &mut fmt::Formatter<'_>, delivery: &Delivery) -> fmt::Result {
    delivery.bundles.iter().try_for_each(|bundle| {
        write!(f, "  {:<24} {}", bundle.name, files::shown(&bundle.path))?;
        let readers: Vec<String> = bundle.encrypted_to.iter().map(|text| label(text)).collect();
        if !readers.is_empty() {
            write!(f, " (encrypted to {})", readers.join(", "))?;
        }
        writeln!(f)
    })?;
    write_passphrases(f, &delivery.passphrases)
}

/// Failures for bundles that are not.
pub fn undelivered(delivery: &Delivery, done: &str) -> Vec<Failure> {
    let failure = |bundle: &crate::authority::deliver::Undelivered| Failure {
        exit: Exit::Refused,
        message: format!(
            "`{}` is {done}, but `{}` could not be put in place: {}",
            bundle.name,
            files::shown(&bundle.path),
            bundle.problem
        ),
        hints: vec![format!("`vpnpki export {}` makes it again", bundle.name)],
    };
    delivery.undelivered.iter().map(failure).collect()
}
