//! `vpnpki verify`: whether a bundle works, ours or anybody's.
//! Functions over files and a snapshot; what is wrong with a bundle is said by `findings::bundle`.

use std::{fmt, path::PathBuf};

use clap::Args;
use serde::Serialize;

use crate::{
    bundle::Program,
    cli::{report::Report, session::Session, Exit, Failure},
    files,
    findings::bundle::{self, Against, Fault, Severity, Shaken},
    import::Package,
    name::escape,
    secret::Secret,
    time::Time,
};

mod load;
mod side;

use load::Given;
use side::{Side, Trial};

/// Say whether bundles work, ours or anybody's: one line for each fault, and what it does; exit 1 when one fails
///
/// Reads profiles (.ovpn, .conf) with the files they name, zips, directories and PKCS#12 files as OpenVPN and OpenVPN
/// Connect read them, and the connections that NetworkManager and Chromebooks take. Holds key against certificate, chains, dates, usages, the CRL and the control channel key, and the
/// directives against the server's and against what each client program is known to refuse. The other side is the
/// authority's settings, or a server's directory; without either only what is in the bundle is looked at.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Profiles, zips, directories, PKCS#12 files, .onc or .nmconnection
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Hold them against the server that runs from this directory, instead of the authority
    #[arg(long, value_name = "DIR")]
    server: Option<PathBuf>,
    /// As of this day or moment, such as 2027-03-01 or 2027-03-01T10:00:00Z [default: now]
    #[arg(long, value_name = "DATE", value_parser = Time::parse)]
    at: Option<Time>,
    /// Only what this program makes of them, and then what it refuses is a failure; may be repeated
    #[arg(long = "for", value_name = "PROGRAM")]
    programs: Vec<Program>,
    /// Also shake hands with each server, in memory, with TLS 1.2 and 1.3; opens the vault for the servers' keys
    #[arg(long)]
    handshake: bool,
    /// Open encrypted private keys and PKCS#12 files with the first line of FILE
    #[arg(long, value_name = "FILE")]
    key_passphrase_file: Option<PathBuf>,
}

impl Arguments {
    pub fn run(self, session: &Session) -> Result<Exit, Failure> {
        let passphrase = self.key_passphrase_file.as_deref().map(|file| session.read_passphrase(file)).transpose()?;
        let now = self.at.unwrap_or_else(|| session.actor().world.now());
        let opened = side::Opened::of(session, self.server.as_deref())?;
        let trial = if self.handshake { Trial::Handshake } else { Trial::None };
        let side = opened.side(session, now, trial)?;
        let verified = self.files.iter().map(|file| self.verify(file, &side, passphrase.as_ref(), now)).collect();
        session.report(&Answer { at: now, files: verified, warnings: side.warnings })
    }

    fn verify(&self, file: &std::path::Path, side: &Side<'_>, passphrase: Option<&Secret>, now: Time) -> Verified {
        let inventory = side.inventory.as_deref();
        let other = side.other.as_ref();
        let against = Against { now, passphrase, other, programs: &self.programs, inventory };
        let file_shown = files::shown(file);
        match load::load(file) {
            Err(why) => Verified::new(file_shown, vec![Fault::of_all(why)], None),
            Ok(Given::Pkcs12(bytes)) => {
                let faults = bundle::check_pkcs12(bytes.expose(), &against);
                self.tried(file_shown, faults, None, || bundle::handshakes_pkcs12(bytes.expose(), &against))
            }
            Ok(Given::Profile(package)) => self.checked(file_shown, &package, &against, None),
            Ok(Given::Several(package)) => {
                let profile = escape(&package.profile.name);
                self.checked(file_shown, &package, &against, Some(&profile))
            }
        }
    }

    fn checked(&self, file: String, package: &Package, against: &Against, profile: Option<&str>) -> Verified {
        let faults = bundle::check(package, against);
        self.tried(file, faults, profile, || bundle::handshakes(package, against))
    }

    fn tried(
        &self,
        file: String,
        mut faults: Vec<Fault>,
        profile: Option<&str>,
        shake: impl FnOnce() -> (Vec<Shaken>, Vec<Fault>),
    ) -> Verified {
        let mut handshakes = Vec::new();
        if self.handshake {
            let (shaken, refused) = shake();
            handshakes = shaken;
            faults.extend(refused);
        }
        Verified { handshakes, ..Verified::new(file, faults, profile) }
    }
}

/// One file.
#[derive(Serialize)]
struct Verified {
    file: String,
    works: bool,
    faults: Vec<Fault>,
    /// Those that came about.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    handshakes: Vec<Shaken>,
}

impl Verified {
    /// `profile` is the name of the profile where it is one of several files: its lines are then said to be there.
    fn new(file: String, mut faults: Vec<Fault>, profile: Option<&str>) -> Self {
        for fault in faults.iter_mut().filter(|fault| fault.part.is_none() && fault.line.is_some()) {
            fault.part = profile.map(str::to_owned);
        }
        let works = !faults.iter().any(|fault| fault.severity == Severity::Fails);
        Self { file, works, faults, handshakes: Vec::new() }
    }

    fn count(&self, severity: Severity) -> usize {
        self.faults.iter().filter(|fault| fault.severity == severity).count()
    }
}

#[derive(Serialize)]
struct Answer {
    at: Time,
    files: Vec<Verified>,
    warnings: Vec<String>,
}

impl Report for Answer {
    const COMMAND: &'static str = "verify";

    fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn exit(&self) -> Exit {
        if self.files.iter().all(|file| file.works) {
            Exit::Done
        } else {
            Exit::Refused
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for file in &self.files {
            for fault in &file.faults {
                writeln!(f, "{}{fault}", file.file)?;
            }
            for Shaken { server, agreed } in &file.handshakes {
                writeln!(f, "{}: shook hands with `{server}`: {agreed}", file.file)?;
            }
            let warnings = match file.count(Severity::Warning) {
                0 => String::new(),
                many => format!(", {}", counted(many, "warning")),
            };
            match file.count(Severity::Fails) {
                0 => writeln!(f, "{}: works{warnings}", file.file)?,
                many => writeln!(f, "{}: does not work: {}{warnings}", file.file, counted(many, "fault"))?,
            }
        }
        Ok(())
    }
}

fn counted(many: usize, what: &str) -> String {
    format!("{many} {what}{}", if many == 1 { "" } else { "s" })
}

const EXAMPLES: &str = "\
Examples:
  vpnpki verify client1.ovpn
  vpnpki verify client1.ovpn --for connect --at 2027-06-01
  vpnpki verify client1.ovpn --handshake
  vpnpki verify client1.ovpn --server /etc/openvpn/server";
