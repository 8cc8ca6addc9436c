//! Failures at the edge: what kind, what to say, what to type next, and the exit code.
//! Decides no policy; the kinds follow from the errors of the rooms below.

use std::{fmt::Write as _, io::Write as _, process::ExitCode};

use clap::{
    error::{ContextKind, ContextValue},
    CommandFactory,
};
use serde_json::{json, Value};

use crate::{
    authority::{AuthorityError, KeyholderError},
    bundle::BundleError,
    name::escape,
    settings::ControlChannel,
    store::StoreError,
};

/// How the program ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// Done.
    Done,
    /// Refused or failed as the message says.
    Refused,
    /// The command line makes no sense.
    Usage,
    /// Something is due.
    Due,
    /// Wrong or missing passphrase or identity.
    Locked,
    /// A bug.
    Bug,
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Refused => 1,
            Self::Usage => 2,
            Self::Due => 3,
            Self::Locked => 4,
            Self::Bug => 70,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Usage => "usage",
            Self::Due => "due",
            Self::Locked => "locked",
            Self::Bug => "bug",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// What went wrong, for people and for scripts.
#[derive(Debug)]
pub struct Failure {
    /// Decides the exit code.
    pub exit: Exit,
    /// What was not done, and why.
    pub message: String,
    /// Commands that work.
    pub hints: Vec<String>,
}

impl Failure {
    /// Refused, without a hint.
    pub fn refused(message: impl Into<String>) -> Self {
        Self { exit: Exit::Refused, message: message.into(), hints: Vec::new() }
    }

    /// A command line that makes no sense.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, message: message.into(), hints: Vec::new() }
    }

    /// With a command to type next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Several as one, for whoever reads exactly one object.
    pub fn together(failures: &[Self]) -> Option<Self> {
        let messages: Vec<&str> = failures.iter().map(|failure| failure.message.as_str()).collect();
        let mut hints: Vec<String> = failures.iter().flat_map(|failure| failure.hints.clone()).collect();
        hints.dedup();
        Some(Self { exit: failures.first()?.exit, message: messages.join("; "), hints })
    }

    /// Says it on standard error.
    pub fn print(&self, command: &str, as_json: bool) -> Exit {
        let text = if as_json { self.json(command) } else { self.text() };
        say(&text);
        self.exit
    }

    fn text(&self) -> String {
        let mut text = format!("{RED}error:{PLAIN} {}\n", self.message);
        for hint in &self.hints {
            // writing to a String cannot fail
            let _ = writeln!(text, "{GREEN}hint:{PLAIN} {hint}");
        }
        text
    }

    /// The same behind all that is wrong with a list, each with its line.
    pub fn print_list(&self, command: &str, as_json: bool, list: &str, faults: &[(u64, String)]) -> Exit {
        let text = if as_json {
            let row = |(line, problem): &(u64, String)| json!({ "line": line, "problem": problem });
            let mut object = self.object(command);
            object["error"]["faults"] = faults.iter().map(row).collect();
            format!("{object}\n")
        } else {
            let mut text = String::new();
            for (line, problem) in faults {
                // writing to a String cannot fail
                let _ = writeln!(text, "{list}:{line}: {problem}");
            }
            text + &self.text()
        };
        say(&text);
        self.exit
    }

    fn json(&self, command: &str) -> String {
        format!("{}\n", self.object(command))
    }

    fn object(&self, command: &str) -> Value {
        let error = json!({ "kind": self.exit.word(), "message": self.message, "hints": self.hints });
        json!({ "vpnpki": 1, "command": command, "exit": self.exit.code(), "error": error })
    }
}

/// Talk on standard error. Nobody is left to tell when that is closed, and what was done is done.
pub(super) fn say(text: &str) {
    let _ = anstream::stderr().write_all(text.as_bytes());
}

/// What clap says, in its own words with what was typed made safe, or as one object.
pub fn usage(mut error: clap::Error, as_json: bool) -> Exit {
    let informative = !error.use_stderr();
    for kind in [ContextKind::InvalidValue, ContextKind::InvalidArg, ContextKind::InvalidSubcommand] {
        if let Some(ContextValue::String(typed)) = error.get(kind) {
            let safe = ContextValue::String(escape(typed));
            error.insert(kind, safe);
        }
    }
    if informative || !as_json {
        let printed = error.print();
        return match (informative, printed) {
            (true, Ok(())) => Exit::Done,
            (true, Err(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => Exit::Done,
            (true, Err(_)) => Exit::Refused,
            (false, _) => Exit::Usage,
        };
    }
    let rendered = error.render().to_string();
    let said: Vec<&str> = rendered.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
    Failure::usage(said.join(" ").trim_start_matches("error: ")).print(&command_typed(), true)
}

/// The command whose arguments made no sense, as far as there is one of this name.
fn command_typed() -> String {
    let (mut level, mut typed) = (super::Cli::command(), Vec::new());
    for argument in std::env::args_os().skip(1).filter_map(|argument| argument.into_string().ok()) {
        if let Some(below) = level.find_subcommand(&argument).cloned() {
            typed.push(argument);
            level = below;
        }
    }
    typed.join(" ")
}

impl From<AuthorityError> for Failure {
    fn from(error: AuthorityError) -> Self {
        Self::of(&error)
    }
}

impl Failure {
    /// Why an act was not done.
    pub fn of(error: &AuthorityError) -> Self {
        Self { exit: kind(error), message: with_causes(error), hints: hints(error) }
    }
}

/// What an error says, and what its causes add to that.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !message.contains(&cause_text) {
            // writing to a String cannot fail
            let _ = write!(message, ": {cause_text}");
        }
        source = cause.source();
    }
    message
}

macro_rules! through_authority {
    ($($error:ty),*) => { $(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                AuthorityError::from(error).into()
            }
        }
    )* };
}

through_authority!(
    StoreError,
    KeyholderError,
    crate::files::FileError,
    crate::pki::CrlError,
    crate::pki::CertificateError
);

fn kind(error: &AuthorityError) -> Exit {
    match error {
        AuthorityError::Vault(error) if error.is_locked() => Exit::Locked,
        AuthorityError::PassphraseOf { source, .. } if source.is_locked() => Exit::Locked,
        AuthorityError::Keyholder(KeyholderError::Missing(_)) => Exit::Locked,
        AuthorityError::Keyholder(KeyholderError::Identity(error)) if error.is_locked() => Exit::Locked,
        AuthorityError::Keyholder(KeyholderError::Conflict(_) | KeyholderError::Unusable(_))
        | AuthorityError::Usage(_)
        | AuthorityError::Bundle(
            BundleError::NotForServers(_)
            | BundleError::NoPassphrase(_)
            | BundleError::ProgramOfServer(_)
            | BundleError::ForeignFormat { .. },
        )
        | AuthorityError::Twice(_)
        | AuthorityError::ServersPassphrase(_)
        | AuthorityError::ServerRequest(_)
        | AuthorityError::ServerRecipients(_)
        | AuthorityError::SealedDirectory(_) => Exit::Usage,
        _ => Exit::Refused,
    }
}

fn hints(error: &AuthorityError) -> Vec<String> {
    match error {
        AuthorityError::Store(StoreError::Missing(_)) => vec![
            "`vpnpki init --remote vpn.example.com` makes an authority; `--pki DIR` or VPNPKI_DIR names another directory".to_owned(),
        ],
        AuthorityError::Store(StoreError::Busy(_)) => vec!["`--wait SECONDS` waits longer".to_owned()],
        AuthorityError::Keyholder(KeyholderError::Missing(_)) => vec![
            "`--passphrase-file FILE`, VPNPKI_PASSPHRASE_FILE or VPNPKI_PASSPHRASE gives a passphrase; `--identity FILE` an age or SSH key".to_owned(),
        ],
        AuthorityError::Bundle(BundleError::NoPassphrase(_)) => vec![PASSPHRASE_HINT.to_owned()],
        AuthorityError::ServersPassphrase(_) => vec!["`vpnpki list -q --role client` names every client".to_owned()],
        AuthorityError::Suspended(name) => vec![format!("`vpnpki resume {name}` gives access back; `--force` makes a bundle that works after that")],
        AuthorityError::Vain { mend: Some(mend), .. } => vec![format!("`{mend}` gives access again")],
        AuthorityError::Held(name) => vec![format!("`vpnpki resume {name}` gives access back; `vpnpki revoke {name}` ends it")],
        AuthorityError::Taken { name, .. } => vec![format!(
            "`vpnpki renew {name}` replaces it; `vpnpki export {name}` makes its bundle again; `vpnpki revoke {name}` ends it; `--if-missing` leaves it as it is"
        )],
        AuthorityError::Spelling { known, .. } => vec![format!("`vpnpki show {known}`")],
        AuthorityError::UnknownName { near: Some(near), .. } => vec![format!("did you mean `{near}`?")],
        AuthorityError::UnknownName { near: None, .. } => vec!["`vpnpki list` shows every name".to_owned()],
        AuthorityError::UnknownSerial(_) => vec![
            "`vpnpki list --history` shows every serial; `vpnpki revoke serial:HEX --unknown` revokes one that a restored backup lost".to_owned(),
        ],
        AuthorityError::NoAccess { name, .. } | AuthorityError::NoKey(name) => {
            vec![format!("`vpnpki issue {name}` gives access again, once the name is free")]
        }
        AuthorityError::OwnersKey(name) => vec![format!(
            "`vpnpki renew {name} --csr FILE` takes the owner's new request, which `vpnpki enroll {name}` makes where the key is"
        )],
        AuthorityError::ServerRecipients(name) => vec![format!("`vpnpki export {name} --format zip --encrypt-to age1...` encrypts it once")],
        AuthorityError::SealedDirectory(_) => {
            vec!["`--format zip` makes one file of it; `--clear`, without `--encrypt-to`, writes it as it is".to_owned()]
        }
        AuthorityError::RecordedRecipient { name, .. } => {
            vec![format!("`vpnpki recipients {name} --set age1...` puts others on record; `--clear` writes the bundle as it is")]
        }
        AuthorityError::OwnersBundle { source: BundleError::KeyElsewhere(_), .. } => {
            vec!["`--format ovpn` and `--format zip` make a bundle without the key, which its owner puts in".to_owned()]
        }
        AuthorityError::HasAccess { name, .. } => vec![format!("`vpnpki revoke {name}` ends its access for good")],
        AuthorityError::NoVaultKey => vec!["`vpnpki crl refresh` opens the vault and records it".to_owned()],
        AuthorityError::NoPublicKey(label) => vec![format!("`vpnpki unlocker add` it again, then `vpnpki unlocker remove '{label}'`")],
        AuthorityError::NoLadder => vec!["set `days = 14` under `[crl]` in `vpnpki.toml`".to_owned()],
        AuthorityError::Mismatch(_) => vec![
            "`vpnpki log verify` shows all of it; put `pki.db` back from a copy that verifies; `vpnpki revoke` goes on working".to_owned(),
        ],
        AuthorityError::UnknownUnlocker(_) | AuthorityError::KnownUnlocker(_) | AuthorityError::LabelTaken(_) => {
            vec!["`vpnpki unlocker list` shows every unlocker".to_owned()]
        }
        AuthorityError::LastUnlocker(_) => vec!["`vpnpki unlocker add` first gives another way in".to_owned()],
        AuthorityError::UnreadTarget(_) => {
            vec!["make it readable; `--no-publish` restores without it and leaves every server as it is".to_owned()]
        }
        AuthorityError::NotAgreed(_) => vec!["`--yes` says that it is meant".to_owned()],
        AuthorityError::NeedsPassphrases(labels) => labels
            .iter()
            .map(|label| format!("`--passphrase-of {0}=FILE` keeps it, `--drop {0}` leaves it out", label_typed(label)))
            .collect(),
        AuthorityError::Collision { one, .. } => vec![format!(
            "`vpnpki export {one} -o PATH` writes one of them elsewhere; `file-name` under `[client]` in `vpnpki.toml` names clients' bundles"
        )],
        AuthorityError::OtherControlKey(asked) => vec![other_control_key(*asked)],
        AuthorityError::Clock { .. } => vec!["set the clock, or say `--clock-is-right`".to_owned()],
        AuthorityError::Bundle(BundleError::Unfit { refusals, .. }) => {
            let mut ways: Vec<String> = refusals.iter().map(|refusal| refusal.way.to_owned()).collect();
            ways.dedup();
            ways
        }
        AuthorityError::File(error) if error.exists() => vec!["`--force` replaces it; `-o PATH` writes elsewhere".to_owned()],
        _ => Vec::new(),
    }
}

/// What the authority has follows from what it has not.
fn other_control_key(asked: ControlChannel) -> String {
    let words = match asked {
        ControlChannel::TlsCryptV2 => "`mode = \"tls-crypt\"` or `mode = \"tls-auth\"`",
        ControlChannel::TlsCrypt | ControlChannel::TlsAuth => "`mode = \"tls-crypt-v2\"`",
    };
    format!("write {words} under `[control-channel]` in `vpnpki.toml`; only a new authority has the other kind (`init --control-channel {asked}`)")
}

/// As a shell takes it.
fn label_typed(label: &str) -> String {
    crate::files::quoted(std::path::Path::new(label))
}

/// How a bundle gets a passphrase.
pub(super) const PASSPHRASE_HINT: &str =
    "`--key-passphrase-file FILE` gives one; `--generate-passphrase` makes one for each bundle";

pub(super) const RED: &str = "\x1b[1;31m";
pub(super) const GREEN: &str = "\x1b[32m";
pub(super) const YELLOW: &str = "\x1b[33m";
pub(super) const PLAIN: &str = "\x1b[0m";
