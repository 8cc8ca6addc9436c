//! `vpnpki enroll`: on the machine of whoever keeps the key; needs no authority.
//! Knows nothing of keys and profiles; paths are parsed and handed on.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use clap::Args;
use serde::Serialize;

use crate::{
    authority::Keyholder,
    cli::{failure::with_causes, report::Report, session::Session, Exit, Failure},
    enroll::{self, EnrollError, Enrolled, Enrolment, Finish, Finished},
    files::{self, Overwrite},
    findings::bundle::proof,
    import::{Origin, Package, Part},
    name::Name,
    pki::Algorithm,
    secret::Secret,
    time::Time,
    vault::{self, EnvelopeError, Key},
};

/// Make a key that never leaves this machine, and the request for its certificate; needs no authority
///
/// Writes NAME.key, which stays here, and NAME.csr, which goes to whoever runs the VPN. What they send back has no key;
/// --finish puts the key in, when it is the right one. A bundle that came encrypted (.age) opens with --identity.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The name that was agreed on
    #[arg(required_unless_present = "finish", value_name = "NAME")]
    name: Option<Name>,
    /// p256, p384, rsa2048, rsa3072, rsa4096 or ed25519
    #[arg(long, value_name = "ALG", default_value = "p256")]
    key: Algorithm,
    /// The private key [default: NAME.key]; without --finish it is there already, and only a request is made
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Put the key into the bundle that came back: a .ovpn, a zip, or one of these as .age
    #[arg(long, value_name = "BUNDLE", conflicts_with_all = ["name", "key"])]
    finish: Option<PathBuf>,
    /// Write the whole profile to PATH [default: here, named as the bundle]
    #[arg(short, long, value_name = "PATH", requires = "finish")]
    out: Option<PathBuf>,
    /// Replace files that exist
    #[arg(long)]
    force: bool,
    /// Check everything, and write nothing
    #[arg(long)]
    dry_run: bool,
}

impl Arguments {
    pub fn run(self, session: &Session) -> Result<Exit, Failure> {
        let overwrite = if self.force { Overwrite::Replace } else { Overwrite::Refuse };
        let (key_file, dry_run) = (self.key_file.as_deref(), self.dry_run);
        match (&self.finish, &self.name) {
            (Some(path), _) => {
                let bundle = opened(session, path)?;
                let finish = Finish { bundle: &bundle, path, key_file, out: self.out.as_deref(), overwrite, dry_run };
                let existing = "`--force` replaces it; `-o PATH` writes elsewhere";
                let now = session.actor().world.now();
                let finished = enroll::finish(&finish, |profile| flaw(profile, now));
                session.report(&Whole(finished.map_err(|error| refused(&error, existing))?))
            }
            (None, Some(name)) => {
                let enrolment = Enrolment { name, algorithm: self.key, key_file, overwrite, dry_run };
                let existing = format!("`--force` replaces it; {FOR_A_KEY}");
                let enrolled = enroll::begin(&enrolment).map_err(|error| refused(&error, &existing))?;
                session.report(&Asked { enrolled, made: key_file.is_none() })
            }
            (None, None) => Err(Failure::usage("a name is missing: `vpnpki enroll NAME`")),
        }
    }
}

/// What keeps a whole profile from working, found by the reader of anybody's bundles.
fn flaw(profile: &Secret, now: Time) -> Option<String> {
    let bytes = Secret::new(profile.expose().to_vec());
    let profile = Part { name: "profile.ovpn".to_owned(), bytes };
    proof::flaw(&Package { origin: Origin::OpenVpn, profile, parts: Vec::new() }, now)
}

/// The bundle, decrypted where it is encrypted.
fn opened(session: &Session, path: &Path) -> Result<Secret, Failure> {
    let bytes = files::read(path, LIMIT)?;
    if !vault::is_envelope(&bytes) {
        return Ok(Secret::new(bytes));
    }
    let refused = |error: EnvelopeError| Failure {
        exit: if error.is_locked() { Exit::Locked } else { Exit::Refused },
        ..Failure::refused(format!("nothing was written: `{}`: {error}", files::shown(path)))
    };
    if vault::wants_passphrase(&bytes) {
        return vault::open_envelope(&bytes, &Key::Passphrase(&session.passphrase()?)).map_err(refused);
    }
    let missing = || {
        let message = format!("nothing was written: `{}` is encrypted, and no identity was given", files::shown(path));
        let hint = "`--identity FILE` names the age or SSH private key to which it is encrypted";
        Failure { exit: Exit::Locked, ..Failure::refused(message) }.hint(hint)
    };
    let identity = session.identity()?.ok_or_else(missing)?;
    vault::open_envelope(&bytes, &Key::Identities(&identity)).map_err(refused)
}

/// What was refused, with the way on: `existing` where a file was in the way.
fn refused(error: &EnrollError, existing: &str) -> Failure {
    let hint = match error {
        EnrollError::File(file) if file.exists() => Some(existing),
        EnrollError::KeyAlone { .. } => Some(FOR_A_KEY),
        EnrollError::Mismatch { .. } => Some("`--key-file FILE` names the key for which the request was made"),
        _ => None,
    };
    let failure = Failure::refused(with_causes(error));
    hint.into_iter().fold(failure, Failure::hint)
}

#[derive(Serialize)]
struct Asked {
    #[serde(flatten)]
    enrolled: Enrolled,
    /// Whether the key is new.
    #[serde(skip)]
    made: bool,
}

impl Report for Asked {
    const COMMAND: &'static str = "enroll";
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Enrolled { name, algorithm, key, request, .. } = &self.enrolled;
        let (key, request) = (files::shown(key), files::shown(request));
        if !self.enrolled.changed {
            return writeln!(f, "would make {request}; nothing was written");
        }
        if self.made {
            writeln!(f, "made {key} ({algorithm}), which stays here, and {request}")?;
        } else {
            writeln!(f, "made {request} for the key in {key} ({algorithm})")?;
        }
        writeln!(f, "next")?;
        writeln!(f, "  send {request}, and nothing else, to whoever runs the VPN; they type")?;
        writeln!(f, "    vpnpki issue {name} --csr {request}")?;
        writeln!(f, "  and what they send back is made whole by")?;
        writeln!(f, "    vpnpki enroll --finish {name}.ovpn")
    }
}

#[derive(Serialize)]
struct Whole(Finished);

impl Report for Whole {
    const COMMAND: &'static str = "enroll";
}

impl fmt::Display for Whole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Finished { name, profile, key, .. } = &self.0;
        let (profile, key) = (files::shown(profile), files::shown(key));
        if !self.0.changed {
            return writeln!(f, "{profile} would be whole; nothing was written");
        }
        writeln!(f, "{profile} is whole: import it into any OpenVPN client")?;
        writeln!(f, "  the key of {name} is in it, and in {key}; keep both to yourself")
    }
}

const FOR_A_KEY: &str = "`vpnpki enroll NAME --key-file FILE` makes a request for a key that is there";
/// A bundle is smaller, also where it is armored.
const LIMIT: usize = 4 << 20;

const EXAMPLES: &str = "\
Examples:
  vpnpki enroll laptop-7
  vpnpki enroll laptop-7 --key-file laptop-7.key
  vpnpki enroll --finish laptop-7.ovpn";
