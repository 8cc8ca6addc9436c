//! `vpnpki crl install`: on a host of a server, without the authority.
//! Knows nothing of what makes a list acceptable.

use std::{
    fmt,
    io::{self, Read},
    path::PathBuf,
};

use clap::Args;
use serde::Serialize;

use crate::{
    cli::{failure, report::Report, session::Session, Exit, Failure},
    files,
    install::{install, Blind, InstallError, Installation, Installed, Place, PlaceState, CRL_LIMIT},
};

/// Put a CRL that was carried here where a server reads it; needs no authority
///
/// For a host that has no PKI directory. The list must be signed by the CA in FILE, hold now, and have a higher number
/// than the one that is there; then it replaces that one in one step. Whatever is refused leaves the old list as it is.
/// Where a server reads a directory of serials, the names there are brought to those of the list. Whoever carries it need
/// not be trusted.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The server's directory, with its configuration
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// The CA's certificate: a file on this host, not one that came with the list
    #[arg(long, value_name = "FILE")]
    ca: PathBuf,
    /// Read the list from FILE instead of from standard input
    #[arg(long, value_name = "FILE")]
    crl: Option<PathBuf>,
    /// Say what would be replaced, and change nothing
    #[arg(long)]
    dry_run: bool,
}

impl Arguments {
    pub fn run(self, session: &Session) -> Result<Exit, Failure> {
        let pem = match &self.crl {
            Some(file) => files::read(file, CRL_LIMIT)?,
            None => from_standard_input()?,
        };
        let actor = session.actor();
        let installed = install(&Installation {
            dir: &self.dir,
            ca: &self.ca,
            pem: &pem,
            now: actor.world.now(),
            patience: actor.patience,
            dry_run: self.dry_run,
        })?;
        session.report(&Answer(installed))
    }
}

fn from_standard_input() -> Result<Vec<u8>, Failure> {
    let (mut bytes, most) = (Vec::new(), CRL_LIMIT as u64);
    let read = io::stdin().lock().take(most + 1).read_to_end(&mut bytes);
    read.map_err(|error| Failure::refused(format!("standard input could not be read: {error}")))?;
    match bytes.len() {
        0 => Err(Failure::refused("nothing was installed: standard input is empty").hint(
            "`vpnpki crl publish -o -` on the host of the authority writes the list; `--crl FILE` names one here",
        )),
        length if length as u64 > most => {
            Err(Failure::refused(format!("nothing was installed: standard input has more than {most} bytes")))
        }
        _ => Ok(bytes),
    }
}

impl From<InstallError> for Failure {
    fn from(error: InstallError) -> Self {
        let hint = match &error {
            InstallError::Early { .. } => Some("set this host's clock; servers refuse everybody until the list begins"),
            InstallError::Late { .. } => Some(
                "`vpnpki crl refresh` on the host of the authority signs a new one; or set this host's clock",
            ),
            InstallError::Older { .. } => Some("`vpnpki crl publish -o -` on the host of the authority writes the newest"),
            InstallError::SameNumber { .. } => Some(
                "an authority gives no number twice: it was put back, and `vpnpki crl refresh` there gives a higher one",
            ),
            _ => None,
        };
        let failure = Self::refused(failure::with_causes(&error));
        hint.into_iter().fold(failure, Self::hint)
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Answer(Installed);

impl Report for Answer {
    const COMMAND: &'static str = "crl install";

    fn failures(&self) -> Vec<Failure> {
        let unread = |place: &Place| {
            let problem = place.problem.as_ref()?;
            let failure = Failure::refused(format!("CRL {} is not in force everywhere here: {problem}", self.0.number));
            Some(place.mend.iter().fold(failure, |failure, mend| failure.hint(format!("`{mend}`"))))
        };
        let blind = |blind: &Blind| {
            Failure::refused(format!("`{}` will not see it: {}", files::shown(&blind.config), blind.problem))
        };
        self.0.files.iter().filter_map(unread).chain(self.0.blind.iter().map(blind)).collect()
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Installed { number, entries, next_update, dry_run, .. } = &self.0;
        for place in &self.0.files {
            let file = files::shown(&place.file);
            let instead = place.replaced.map_or_else(String::new, |old| format!(" in place of CRL {old}"));
            let until = next_update.date();
            match place.state {
                PlaceState::Installed => {
                    let done = if *dry_run { "would install" } else { "installed" };
                    writeln!(f, "{done} CRL {number} in {file}{instead}, {entries} serials until {until}")?;
                }
                PlaceState::Current => writeln!(f, "CRL {number} is in {file}")?,
                PlaceState::Unreadable => writeln!(f, "CRL {number} is in {file}, where its server cannot read it")?,
                PlaceState::Failed => writeln!(f, "NOT in {file}")?,
            }
        }
        Ok(())
    }
}

const EXAMPLES: &str = "\
Examples:
  vpnpki crl install /etc/openvpn/server --ca /etc/openvpn/server/ca.crt --crl crl.pem
  vpnpki crl publish -o - | ssh vpn2 vpnpki crl install /etc/openvpn/server --ca /etc/vpn-ca.crt";
