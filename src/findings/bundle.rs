//! What of a client's bundle would fail, for whom and why: the bundle and the other side come in as facts, faults go out.
//! Touches nothing: whoever asks has read the files, the store and the clock before.

mod control;
mod directives;
mod identity;
mod key;
mod other;
mod programs;
pub mod proof;
mod revocation;
mod server;
mod trial;

use std::fmt;

use serde::Serialize;

use crate::{
    bundle::Program,
    import::{Credentials, Origin, Package, Piece, Profile, Reader},
    inventory::Certificate,
    name::escape,
    secret::Secret,
    serial::Serial,
    time::Time,
};

pub use key::{proven, KeyProof};
pub use other::{OtherSide, Revocations};
pub use trial::{handshakes, handshakes_pkcs12, Shaken};

/// Something about a bundle that somebody should know, in one line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Fault {
    /// How bad it is.
    pub severity: Severity,
    /// The file within the bundle; none for the bundle itself, or its one file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// The line, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The programs with which it fails; none for every one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub programs: Vec<&'static str>,
    /// What is so, and what follows.
    pub why: String,
}

/// How bad a fault is; the worst comes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// No connection comes about, or none that carries anything.
    Fails,
    /// It may fail, with some programs or in some places, or it is less safe than it looks.
    Warning,
    /// Worth knowing; what was not looked at.
    Note,
}

impl Fault {
    /// What keeps all of a bundle from being read.
    pub fn of_all(why: String) -> Self {
        Self { severity: Severity::Fails, part: None, line: None, programs: Vec::new(), why }
    }
}

/// What a bundle is held against.
#[derive(Clone, Copy)]
pub struct Against<'a> {
    /// As of when.
    pub now: Time,
    /// What opens an encrypted private key.
    pub passphrase: Option<&'a Secret>,
    /// The server that answers.
    pub other: Option<&'a OtherSide>,
    /// The programs that it is for; none for every one that the default profile is promised to work with.
    pub programs: &'a [Program],
    /// What the authority knows of a serial of its own CA.
    pub inventory: Option<&'a Inventory<'a>>,
}

/// Looks a serial up.
pub type Inventory<'a> = dyn Fn(&Serial) -> Option<Certificate> + 'a;

impl<'a> Against<'a> {
    /// The same for a connection of one program, which is for that one; and `ChromeOS` asks for no passphrase
    /// (`onc_spec.md`: that of a `PKCS12` is empty).
    fn meant(&self, origin: Origin, nothing: &'a Secret) -> Self {
        let (programs, passphrase): (&[Program], _) = match origin {
            Origin::OpenVpn => (&[], self.passphrase),
            Origin::NetworkManager => (&[Program::NetworkManager], self.passphrase),
            Origin::ChromeOs => (&[Program::Chromeos], Some(nothing)),
        };
        let programs = if self.programs.is_empty() { programs } else { self.programs };
        Self { passphrase, programs, ..*self }
    }
}

/// Everything that is to be said about a client's bundle, in the order of its lines.
pub fn check(package: &Package, against: &Against) -> Vec<Fault> {
    let nothing = Secret::new(Vec::new());
    let mut found = check_profile(package, &against.meant(package.origin, &nothing));
    if package.origin != Origin::OpenVpn {
        // the profile was made here, and nobody has its lines
        for fault in &mut found {
            fault.line = None;
        }
    }
    found
}

fn check_profile(package: &Package, against: &Against) -> Vec<Fault> {
    let mut faults = Faults::default();
    let profile = Profile::read(package.profile.bytes.expose());
    let credentials = Credentials::of(package, &profile);
    faults.of_lines(&profile);
    if profile.directives.is_empty() {
        faults.fails(Place::WHOLE, "there is no directive in it");
        return faults.0;
    }
    if profile.last("tls-server").or(profile.last("server")).is_some() {
        faults.fails(Place::WHOLE, "it is a server's; `--server DIR` holds clients' bundles against it");
        return faults.sorted();
    }
    for (line, name, path) in &credentials.missing {
        let why = format!("`{name}` names `{}`, which is not there", escape(path));
        faults.fails(Place::line(*line), why);
    }
    directives::check(&profile, against.other, &mut faults);
    control::check(&profile, &credentials, against.other, &mut faults);
    let subjects = identity::check(&profile, &credentials, against, &mut faults);
    let length = package.profile.bytes.expose().len();
    programs::check(&profile, length, &subjects, against.other, against.programs, &mut faults);
    revocation::check(Some(&credentials), &subjects, against, &mut faults);
    if let Some(other) = against.other {
        server::check(&profile, &subjects, other, against.now, &mut faults);
    }
    faults.sorted()
}

/// The same for a PKCS#12 file without a profile.
pub fn check_pkcs12(bytes: &[u8], against: &Against) -> Vec<Fault> {
    let mut faults = Faults::default();
    let subjects = identity::check_pkcs12(bytes, against, &mut faults);
    revocation::check(None, &subjects, against, &mut faults);
    if let Some(other) = against.other {
        server::check_client(&subjects, other, against.now, &mut faults);
    }
    faults.sorted()
}

/// Where a fault is.
#[derive(Clone, Copy, Default)]
pub(crate) struct Place<'a> {
    part: Option<&'a str>,
    line: Option<usize>,
}

impl<'a> Place<'a> {
    const WHOLE: Place<'static> = Place { part: None, line: None };

    fn line(line: usize) -> Self {
        Self { part: None, line: Some(line) }
    }

    /// In a block, or in a file beside the profile.
    fn of(piece: &Piece<'a>) -> Self {
        Self { part: piece.part, line: piece.part.is_none().then_some(piece.line) }
    }
}

/// Faults as they are found.
#[derive(Default)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    fn fails(&mut self, place: Place<'_>, why: impl Into<String>) {
        self.push(Severity::Fails, place, why.into());
    }

    fn warns(&mut self, place: Place<'_>, why: impl Into<String>) {
        self.push(Severity::Warning, place, why.into());
    }

    fn notes(&mut self, place: Place<'_>, why: impl Into<String>) {
        self.push(Severity::Note, place, why.into());
    }

    /// Fails with these programs, and with no other.
    fn on(&mut self, severity: Severity, programs: Vec<&'static str>, place: Place<'_>, why: String) {
        self.0.push(Fault { severity, part: place.part.map(escape), line: place.line, programs, why });
    }

    fn push(&mut self, severity: Severity, place: Place<'_>, why: String) {
        let part = place.part.map(escape);
        self.0.push(Fault { severity, part, line: place.line, programs: Vec::new(), why });
    }

    fn of_lines(&mut self, profile: &Profile<'_>) {
        for fault in &profile.faults {
            let programs: &[&str] = match fault.reader {
                Reader::Everybody | Reader::OpenVpn => &[],
                Reader::Connect => &["OpenVPN Connect"],
                Reader::ConnectAndTunnelblick => &["OpenVPN Connect", "Tunnelblick"],
            };
            // what stops one program only is a failure for those who have it
            let severity = if fault.fatal && programs.is_empty() { Severity::Fails } else { Severity::Warning };
            let (line, why) = (Some(fault.line), fault.what.clone());
            self.0.push(Fault { severity, part: None, line, programs: programs.to_vec(), why });
        }
    }

    fn sorted(mut self) -> Vec<Fault> {
        self.0
            .sort_by(|one, other| (&one.part, one.line, one.severity).cmp(&(&other.part, other.line, other.severity)));
        self.0.dedup();
        self.0
    }
}

impl fmt::Display for Fault {
    /// Without the file's name: `:7: fails: …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(part) = &self.part {
            write!(f, "/{part}")?;
        }
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        match (self.severity, self.programs.as_slice()) {
            (severity, []) => write!(f, ": {severity}: {}", self.why),
            (Severity::Fails, programs) => write!(f, ": fails on {}: {}", programs.join(", "), self.why),
            (severity, programs) => write!(f, ": {severity}: fails on {}: {}", programs.join(", "), self.why),
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fails => "fails",
            Self::Warning => "warning",
            Self::Note => "note",
        })
    }
}

#[cfg(test)]
mod tests;
