//! `vpnpki crl`.
//! Knows nothing of how a CRL is made or carried.

use std::{fmt, path::PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::{
    authority::{after::Occasion, publishing::Published, revoke::Revoked, target::Added},
    cli::{
        install,
        report::{self, Report, Style},
        revoke::{unpublished, write_published},
        session::Session,
        Exit, Failure,
    },
    files::{self, Overwrite, Visibility},
    store::Access,
};

/// Sign, show, publish or install the certificate revocation list
#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Sign a new CRL of all that is revoked, and publish it
    Refresh {
        /// Leave every server as it is
        #[arg(long)]
        no_publish: bool,
    },
    /// Show the newest CRL: number, dates, serials
    Show {
        /// One JSON object a serial
        #[arg(long, conflicts_with = "json")]
        jsonl: bool,
    },
    /// Sign a row of CRLs in advance, so that short ones are renewed for weeks without the vault
    ///
    /// Each holds for `crl.days` and is due when half of the life of the one before is over, or after a week; `vpnpki crl
    /// publish` (on a timer) installs the one that is due. A revocation replaces all of them, for the same number of
    /// weeks. 0 ends it.
    Ladder {
        /// For so many weeks from now
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=520))]
        weeks: u32,
        /// Leave every server as it is
        #[arg(long)]
        no_publish: bool,
    },
    /// Put the newest CRL where servers read it; needs no passphrase
    ///
    /// Compares with every known directory and replaces what is older. Meant for a timer as much as for people.
    Publish(Publish),
    Install(install::Arguments),
}

#[derive(Args)]
#[command(after_help = EXAMPLES)]
struct Publish {
    /// Write it to FILE, or to standard output (-), instead of to the servers' directories
    #[arg(short, long, value_name = "FILE", conflicts_with = "add")]
    out: Option<PathBuf>,
    /// With -o: as a directory with an empty file for each serial, as `crl-verify DIR dir` reads it
    #[arg(long, requires = "out")]
    serials: bool,
    /// Make DIR one of these directories, after a check that a server of this authority reads its CRL there
    #[arg(long, value_name = "DIR")]
    add: Option<PathBuf>,
}

impl Arguments {
    pub fn name(&self) -> &'static str {
        match self.command {
            Command::Refresh { .. } => "crl refresh",
            Command::Ladder { .. } => "crl ladder",
            Command::Show { .. } => "crl show",
            Command::Publish(_) => "crl publish",
            Command::Install(_) => "crl install",
        }
    }

    pub fn run(self, session: &Session) -> Result<Exit, Failure> {
        match self.command {
            Command::Refresh { no_publish } => {
                let refreshed = session.open(Access::Write)?.refresh_crl(no_publish, session)?;
                session.report(&Refreshed(refreshed))
            }
            Command::Ladder { weeks, no_publish } => {
                let laddered = session.open(Access::Write)?.ladder(weeks, no_publish, session)?;
                session.report(&Laddered(laddered))
            }
            Command::Show { jsonl } => show(session, jsonl),
            Command::Publish(publish) => publish.run(session),
            Command::Install(install) => install.run(session),
        }
    }
}

impl Publish {
    fn run(self, session: &Session) -> Result<Exit, Failure> {
        match (self.out, self.add) {
            (Some(out), _) if self.serials => write_serials(session, &out),
            (Some(out), _) => write(session, &out),
            (None, add) => {
                let access = if add.is_some() { Access::Write } else { Access::Read };
                let authority = session.open(access)?;
                let (publishing, warnings) = authority.publishing();
                let added = add.map(|dir| authority.add_target(&dir, None, None)).transpose()?;
                let published = authority.publish_on(&publishing, Occasion::Asked)?;
                let changed = published.wrote() || added.as_ref().is_some_and(|added| added.changed);
                session.report(&Answer { changed, published, added, warnings })
            }
        }
    }
}

fn write(session: &Session, out: &std::path::Path) -> Result<Exit, Failure> {
    let authority = session.open(Access::Read)?;
    let view = authority.view()?;
    let (crl, _) = authority.newest_crl(&*view)?;
    if out.as_os_str() == "-" {
        if session.json() {
            return Err(Failure::usage("`-o -` and `--json` both want standard output"));
        }
        report::deliver_from(&mut crl.pem())?;
        return Ok(Exit::Done);
    }
    files::stage_from(out, &mut crl.pem(), Visibility::Public, Overwrite::Replace, None)?.release()?;
    session.report(&Written { changed: true, file: out.to_owned() })
}

fn write_serials(session: &Session, dir: &std::path::Path) -> Result<Exit, Failure> {
    if dir.as_os_str() == "-" {
        return Err(Failure::usage("`--serials` makes a directory, which does not fit into standard output"));
    }
    let published = session.open(Access::Read)?.publish_serials(dir)?;
    session.report(&Answer { changed: published.wrote(), published, added: None, warnings: Vec::new() })
}

fn show(session: &Session, jsonl: bool) -> Result<Exit, Failure> {
    let authority = session.open(Access::Read)?;
    let view = authority.view()?;
    let (crl, listing) = authority.newest_crl(&*view)?;
    let signed = crl.facts;
    let mut rows = session.rows(if jsonl { Style::Lines } else { Style::Text }, "crl show", "entries");
    rows.field("number", &signed.number);
    rows.field("this_update", &signed.validity.not_before());
    rows.field("next_update", &signed.validity.not_after());
    rows.line(&format!(
        "CRL {} from {} until {}, {} serials\n",
        signed.number,
        signed.validity.not_before(),
        signed.validity.not_after(),
        signed.entries
    ))?;
    for entry in listing.entries()? {
        let entry = entry?;
        let row = Entry { serial: entry.serial, revoked: entry.revocation.at, reason: entry.revocation.reason };
        if !rows.row(&row, || format!("  {} {} {}\n", row.serial, row.revoked, row.reason))? {
            break;
        }
    }
    rows.end(&[])?;
    Ok(Exit::Done)
}

#[derive(Serialize)]
struct Entry {
    serial: crate::serial::Serial,
    revoked: crate::time::Time,
    reason: crate::inventory::Reason,
}

#[derive(Serialize)]
struct Refreshed(Revoked);

impl Report for Refreshed {
    const COMMAND: &'static str = "crl refresh";

    fn warnings(&self) -> &[String] {
        &self.0.warnings
    }

    fn failures(&self) -> Vec<Failure> {
        unpublished(&self.0.published)
    }
}

impl fmt::Display for Refreshed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(crl) = &self.0.crl {
            writeln!(f, "signed CRL {} with {} serials until {}", crl.number, crl.entries, crl.next_update.date())?;
        }
        write_published(f, &self.0.published)
    }
}

#[derive(Serialize)]
struct Laddered(crate::authority::ladder::Laddered);

impl Report for Laddered {
    const COMMAND: &'static str = "crl ladder";

    fn warnings(&self) -> &[String] {
        &self.0.signed.warnings
    }

    fn failures(&self) -> Vec<Failure> {
        unpublished(&self.0.signed.published)
    }
}

impl fmt::Display for Laddered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.rungs {
            0 => writeln!(f, "no CRLs are signed in advance any more")?,
            many => writeln!(
                f,
                "signed {many} CRLs in advance: with `vpnpki crl publish` on a timer servers have a current one until {}",
                self.0.until.date()
            )?,
        }
        write_published(f, &self.0.signed.published)
    }
}

#[derive(Serialize)]
struct Answer {
    changed: bool,
    #[serde(flatten)]
    published: Published,
    #[serde(skip_serializing_if = "Option::is_none")]
    added: Option<Added>,
    warnings: Vec<String>,
}

impl Report for Answer {
    const COMMAND: &'static str = "crl publish";

    fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn failures(&self) -> Vec<Failure> {
        unpublished(&self.published)
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(added) = self.added.as_ref().filter(|added| added.changed) {
            writeln!(f, "every later CRL goes to {}", files::shown(&added.dir))?;
        }
        write_published(f, &self.published)
    }
}

#[derive(Serialize)]
struct Written {
    changed: bool,
    file: PathBuf,
}

impl Report for Written {
    const COMMAND: &'static str = "crl publish";
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "wrote {}", files::shown(&self.file))
    }
}

const EXAMPLES: &str = "\
Examples:
  vpnpki crl publish
  vpnpki crl publish --add /etc/openvpn/server
  vpnpki crl publish -o crl.pem && rsync crl.pem vpn2:/etc/openvpn/server/
  vpnpki crl publish -o crl --serials";
