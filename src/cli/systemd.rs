//! `vpnpki generate systemd`: the units that bring the CRL to servers on time.
//! Knows nothing of what is in a unit.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use clap::Args;
use serde::Serialize;

use crate::{
    authority::publishing::Reached,
    cli::{
        report::{self, Report},
        session::Session,
        Exit, Failure,
    },
    files::{self, Overwrite, Visibility},
    render::{self, Host, Unit},
    secret::Secret,
    store::Access,
};

/// A service and a timer of systemd that run `vpnpki crl publish` every hour
///
/// Filled with the paths of this authority, of its servers' directories and of this program; made again when one of them
/// changes. Without -o both go to standard output.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Write vpnpki-crl.service and vpnpki-crl.timer into DIR
    #[arg(short, long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Arguments {
    pub fn run(&self, session: &Session) -> Result<Exit, Failure> {
        let units = units(session)?;
        match &self.out {
            Some(dir) => session.report(&write(dir, &units)?),
            None if session.json() => {
                session.report(&Made { changed: false, files: Vec::new(), enable: Vec::new(), units })
            }
            None => {
                let text: Vec<String> =
                    units.iter().map(|unit| format!("# /etc/systemd/system/{}\n{}", unit.name, unit.text)).collect();
                report::deliver(&Secret::from(text.join("\n")))?;
                Ok(Exit::Done)
            }
        }
    }
}

fn units(session: &Session) -> Result<Vec<Unit>, Failure> {
    let authority = session.open(Access::Read)?;
    let (publishing, warnings) = authority.publishing();
    for warning in &warnings {
        session.warn(warning);
    }
    let program = std::env::current_exe()
        .map_err(|error| Failure::refused(format!("where this program lies could not be found out: {error}")))?;
    let pki = files::real_path(authority.dir())?;
    let owner = files::standing(&pki)?.map(|standing| (standing.uid, standing.gid)).filter(|(uid, _)| *uid != 0);
    let mut written: Vec<PathBuf> =
        authority.targets(&*authority.view()?, &publishing)?.iter().map(directory).collect();
    written.sort();
    written.dedup();
    let host = Host { program: &program, pki: &pki, written: &written, owner, after: publishing.after.is_some() };
    let units = render::systemd(&host).map_err(|error| Failure::refused(error.to_string()))?;
    Ok(units.into())
}

/// The one in which files are replaced, or come and go; absolute wherever it can be found.
fn directory(target: &Reached) -> PathBuf {
    let list = target.list();
    let dir = list.as_deref().and_then(Path::parent).unwrap_or(&target.dir);
    files::real_path(dir).unwrap_or_else(|_| dir.to_owned())
}

fn write(dir: &Path, units: &[Unit]) -> Result<Made, Failure> {
    let mut staged = Vec::new();
    for unit in units {
        let path = dir.join(unit.name);
        staged.push(files::stage(&path, unit.text.as_bytes(), Visibility::Public, Overwrite::Replace, None)?);
    }
    let files = staged.iter().map(files::Staged::path).collect();
    files::release_all(staged).map_err(|unreleased| Failure::refused(unreleased.to_string()))?;
    Ok(Made { changed: true, files, enable: enable(&files::real_path(dir)?).into(), units: Vec::new() })
}

/// What makes them run: systemd finds what lies in its own directories, and is told of what lies elsewhere.
fn enable(dir: &Path) -> [String; 2] {
    if dir == Path::new("/etc/systemd/system") {
        return ["systemctl daemon-reload".to_owned(), "systemctl enable --now vpnpki-crl.timer".to_owned()];
    }
    let path = |name| files::quoted(&dir.join(name));
    [
        format!("systemctl link {}", path("vpnpki-crl.service")),
        format!("systemctl enable --now {}", path("vpnpki-crl.timer")),
    ]
}

#[derive(Serialize)]
struct Made {
    changed: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    files: Vec<PathBuf>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    enable: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    units: Vec<Unit>,
}

impl Report for Made {
    const COMMAND: &'static str = "generate";
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for file in &self.files {
            writeln!(f, "wrote {}", files::shown(file))?;
        }
        writeln!(f, "they run every hour after")?;
        self.enable.iter().try_for_each(|command| writeln!(f, "  {command}"))
    }
}

const EXAMPLES: &str = "\
Examples:
  vpnpki generate systemd
  vpnpki generate systemd -o /etc/systemd/system";
