//! `vpnpki backup`.
//! Knows nothing of what a backup is made of.

use std::{fmt, path::PathBuf};

use clap::Args;
use serde::Serialize;

use crate::{
    authority::backup::{self, BackupFacts},
    cli::{
        report::{self, Report},
        session::Session,
        Exit, Failure,
    },
    files::{self, Overwrite, Visibility},
    store::Access,
};

/// Write the whole authority to one file, which whatever opens the vault opens; needs no passphrase
///
/// Inventory, ledger, CRLs, sealed keys, vpnpki.toml and templates/, consistent while others write. Made for a timer. What
/// is in it is sealed to the vault, so that the file may lie where the authority may not.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Write to FILE, or to standard output (-)
    #[arg(short, long, value_name = "FILE", required_unless_present = "verify", conflicts_with = "verify")]
    out: Option<PathBuf>,
    /// Replace a file that exists
    #[arg(long, conflicts_with = "verify")]
    force: bool,
    /// Open FILE and check all of it as `restore` does, without restoring; needs what opens the vault
    #[arg(long, value_name = "FILE")]
    verify: Option<PathBuf>,
}

impl Arguments {
    pub fn run(self, session: &Session) -> Result<Exit, Failure> {
        match (self.verify, self.out) {
            (Some(file), _) => verify(session, file),
            (None, Some(out)) => {
                if out.as_os_str() == "-" && session.json() {
                    return Err(Failure::usage("`-o -` and `--json` both want standard output"));
                }
                write(session, out, if self.force { Overwrite::Replace } else { Overwrite::Refuse })
            }
            (None, None) => Err(Failure::usage("`-o FILE` is missing")),
        }
    }
}

fn write(session: &Session, out: PathBuf, overwrite: Overwrite) -> Result<Exit, Failure> {
    let made = session.open(Access::Read)?.backup()?;
    if out.as_os_str() == "-" {
        report::deliver(&made.bytes)?;
        made.facts.warnings.iter().for_each(|warning| session.warn(warning));
        return Ok(Exit::Done);
    }
    files::stage(&out, made.bytes.expose(), Visibility::Private, overwrite, None)?.release()?;
    session.report(&Written { changed: true, file: out, backup: made.facts })
}

fn verify(session: &Session, file: PathBuf) -> Result<Exit, Failure> {
    let backup = backup::verify(&files::read(&file, LARGEST)?, session)?;
    session.report(&Verified { file, backup })
}

#[derive(Serialize)]
struct Written {
    changed: bool,
    file: PathBuf,
    #[serde(flatten)]
    backup: BackupFacts,
}

impl Report for Written {
    const COMMAND: &'static str = "backup";

    fn warnings(&self) -> &[String] {
        &self.backup.warnings
    }
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "wrote {}", files::shown(&self.file))?;
        write_facts(f, &self.backup)
    }
}

#[derive(Serialize)]
struct Verified {
    file: PathBuf,
    #[serde(flatten)]
    backup: BackupFacts,
}

impl Report for Verified {
    const COMMAND: &'static str = "backup --verify";
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} can be restored", files::shown(&self.file))?;
        write_facts(f, &self.backup)
    }
}

/// Lines about what is in a backup.
pub fn write_facts(f: &mut fmt::Formatter<'_>, backup: &BackupFacts) -> fmt::Result {
    let BackupFacts { made, entry, head, certificates, unlockers, files, sha256, .. } = backup;
    writeln!(f, "  made    {made}, with {certificates} certificates and {entry} ledger entries")?;
    writeln!(f, "  head    {head}")?;
    writeln!(f, "  files   {}", files.iter().map(|name| crate::name::escape(name)).collect::<Vec<_>>().join(", "))?;
    writeln!(f, "  opens   {}", unlockers.join(", "))?;
    writeln!(f, "  sha256  {sha256}")
}

/// More than any backup: it must fit into memory, as the file system knows best.
pub const LARGEST: usize = 1 << 40;

const EXAMPLES: &str = "\
Examples:
  vpnpki backup -o vpn.backup
  vpnpki backup -o - | ssh safe 'cat > vpn.backup'
  vpnpki backup --verify vpn.backup --identity ~/.ssh/id_ed25519";
