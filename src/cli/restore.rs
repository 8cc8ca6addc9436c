//! `vpnpki restore`.
//! Knows nothing of how an authority is put in place.

use std::{fmt, path::PathBuf};

use clap::Args;
use serde::Serialize;

use crate::{
    authority::{
        init,
        restore::{self, RestoreRequest, Restored},
    },
    cli::{
        backup::{write_facts, LARGEST},
        occupied::Occupied,
        report::Report,
        revoke::{unpublished, write_published},
        session::Session,
        Exit, Failure,
    },
    files::{self, FileError},
    secret::Secret,
};

/// Put the authority of a backup into --pki DIR, which must not hold one; all of it or nothing
///
/// Nobody gets access back: whom servers refuse today (by the CRL in their directories) stays refused, and a CRL with a
/// higher number than any of theirs is signed and published. Without a passphrase on the vault, --identity names the
/// vault.key that was kept elsewhere; it is put in place again.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// What `backup` wrote
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Leave every server as it is
    #[arg(long)]
    no_publish: bool,
    /// Leave an authority that is there as it is
    #[arg(long)]
    if_missing: bool,
    /// Say what would be restored, and change nothing
    #[arg(long)]
    dry_run: bool,
}

impl Arguments {
    pub fn run(self, session: &Session) -> Result<Exit, Failure> {
        let dir = session.dir();
        if init::exists(&dir) {
            let occupied = Occupied { dir, if_missing: self.if_missing, dry_run: self.dry_run };
            let hint = "`--pki DIR` restores it elsewhere; `--if-missing` leaves it as it is";
            return occupied.refuse_or_leave::<Answer>(session, hint);
        }
        let bytes = Secret::new(files::read(&self.file, LARGEST)?);
        let request = RestoreRequest { dir, bytes, no_publish: self.no_publish, dry_run: self.dry_run };
        let outcome = restore::restore(&request, session, session.actor()).map_err(explained)?;
        session.report(&Answer { outcome, dry_run: self.dry_run })
    }
}

/// No option of this command replaces a file.
fn explained(error: crate::authority::AuthorityError) -> Failure {
    match &error {
        crate::authority::AuthorityError::File(FileError::Exists { .. }) => {
            Failure { hints: vec!["move it away, or name another directory by `--pki DIR`".to_owned()], ..error.into() }
        }
        _ => error.into(),
    }
}

#[derive(Serialize)]
struct Answer {
    #[serde(flatten)]
    outcome: Restored,
    dry_run: bool,
}

impl Report for Answer {
    const COMMAND: &'static str = "restore";

    fn warnings(&self) -> &[String] {
        &self.outcome.warnings
    }

    fn failures(&self) -> Vec<Failure> {
        if self.dry_run {
            return Vec::new();
        }
        unpublished(&self.outcome.published)
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Restored { dir, backup, crl, learned, strangers, key_file, published, .. } = &self.outcome;
        let verb = if self.dry_run { "would restore" } else { "restored" };
        writeln!(f, "{verb} the authority to {}", files::shown(dir))?;
        write_facts(f, backup)?;
        if *key_file {
            writeln!(f, "  key     vault.key is in place again")?;
        }
        if let Some(crl) = crl {
            writeln!(f, "  CRL     {} with {} serials", crl.number, crl.entries)?;
        }
        for one in learned {
            let whose = one.name.as_ref().map_or_else(|| "somebody unknown".to_owned(), ToString::to_string);
            writeln!(f, "revoked since then: {whose} serial:{}", one.serial)?;
        }
        for one in strangers {
            let (name, file) = (crate::name::escape(&one.name), files::shown(&one.file));
            writeln!(f, "issued since then: {name} serial:{} in {file}, unknown to the backup", one.serial)?;
        }
        if self.dry_run {
            return Ok(());
        }
        writeln!(
            f,
            "whoever else was issued a certificate after {} has access and is not on record; `vpnpki revoke serial:HEX \
             --unknown` ends it",
            backup.made
        )?;
        write_published(f, published)
    }
}

const EXAMPLES: &str = "\
Examples:
  vpnpki restore vpn.backup --identity kept/vault.key
  vpnpki --pki restored restore vpn.backup --no-publish --identity kept/vault.key";
