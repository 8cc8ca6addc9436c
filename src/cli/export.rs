//! `vpnpki export`.
//! Knows nothing of what is in a bundle.

use std::fmt;

use clap::Args;
use serde::Serialize;

use crate::{
    authority::{
        export::{ExportRequest, Exported, Whom},
        Stop, Stopped,
    },
    cli::{
        interrupt,
        outputs::{report_beside, undelivered, write_bundles, OutputOptions, Whose},
        passphrase::only_passphrases,
        progress,
        report::{self, Report},
        session::Session,
        Exit, Failure,
    },
    files::{self, Overwrite},
    name::Name,
    store::Access,
};

/// Make bundles again, with the settings of now and the credentials of then
///
/// After a change of settings or templates, --all --force gives everyone's new bundle; nothing is issued again. What was cut
/// short is finished by the same command with --skip-existing.
/// A server's bundle is a directory, a client's one .ovpn file, unless --format says otherwise.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag that people type")]
pub struct Arguments {
    /// Whose
    #[arg(required_unless_present = "all", value_name = "NAME")]
    names: Vec<Name>,
    /// Everyone's who has access; with --for or a passphrase, every client's
    #[arg(long, conflicts_with = "names")]
    all: bool,
    #[command(flatten)]
    outputs: OutputOptions,
    /// Leave the bundles that are at their place, and make the others
    #[arg(long, conflicts_with_all = ["force", "publish"])]
    skip_existing: bool,
    /// Make `-o DIR` the directory that the server runs from: every later CRL goes there
    #[arg(long, requires = "out")]
    publish: bool,
    /// Check everything, and write nothing
    #[arg(long)]
    dry_run: bool,
}

impl Arguments {
    pub fn run(self, session: &Session) -> Result<Exit, Failure> {
        let authority = session.open(if self.publish { Access::Write } else { Access::Read })?;
        let outputs = self.outputs.resolve(session, Whose::known(&self.names, &authority)?)?;
        let whom = if self.all { Whom::All } else { Whom::Named(self.names) };
        let stop = if self.all { interrupt::watched()? } else { Stop::default() };
        let Self { publish, skip_existing, dry_run, .. } = self;
        let request = ExportRequest { whom, outputs, publish, skip_existing, dry_run, stop };
        let bar = progress::bar("exporting", session.quiet() || session.json());
        let mut exported = authority.export(&request, session, &mut |done, of| progress::show(&bar, done, of))?;
        bar.finish_and_clear();
        if let Some(bundle) = exported.delivery.stdout.take() {
            report::deliver(&bundle)?;
        }
        let finish = if request.outputs.overwrite == Overwrite::Replace { AGAIN } else { FINISH };
        let answer = Answer { exported, dry_run, finish };
        report_beside(session, &answer, &answer.exported.delivery, &request.outputs.destination)
    }
}

#[derive(Serialize)]
struct Answer {
    #[serde(flatten)]
    exported: Exported,
    dry_run: bool,
    /// How the rest is made after an end before it.
    #[serde(skip)]
    finish: &'static str,
}

impl Report for Answer {
    const COMMAND: &'static str = "export";

    fn warnings(&self) -> &[String] {
        &self.exported.warnings
    }

    fn essential(&self) -> String {
        only_passphrases(&self.exported.delivery.passphrases)
    }

    fn failures(&self) -> Vec<Failure> {
        let stopped = self.exported.stopped.as_ref().map(|Stopped { done, of, why }| {
            Failure::refused(format!("{done} of {of} bundles are in place, then {why}")).hint(self.finish)
        });
        stopped.into_iter().chain(undelivered(&self.exported.delivery, "exported")).collect()
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.dry_run {
            return writeln!(f, "every bundle can be made; nothing was written");
        }
        if self.exported.changed {
            writeln!(f, "exported")?;
        }
        write_bundles(f, &self.exported.delivery)?;
        match self.exported.unchanged.len() {
            0 => (),
            1 => writeln!(f, "1 bundle is at its place already")?,
            many => writeln!(f, "{many} bundles are at their place already")?,
        }
        if let Some(dir) = &self.exported.target {
            writeln!(f, "every later CRL goes to {}", files::shown(dir))?;
        }
        Ok(())
    }
}

/// Of bundles that were made with `--force` nobody can tell the new ones from the old.
const AGAIN: &str = "the same command makes all of them again";

const FINISH: &str = "the same command with `--skip-existing` makes the rest";

const EXAMPLES: &str = "\
Examples:
  vpnpki export client1 --format zip
  vpnpki export client1 --for tunnelblick
  vpnpki export client1 -o - | ssh laptop-7 'cat > client1.ovpn'
  vpnpki export client1 --encrypt-to ~/.ssh/id_ed25519.pub
  vpnpki export client1 --format p12 --key-passphrase-file client1.txt
  vpnpki export --all --force -o bundles/
  vpnpki export --all -o bundles/ --skip-existing
  vpnpki export server --publish -o /etc/openvpn/server";
