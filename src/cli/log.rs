//! `vpnpki log`: the ledger, and whether it and the store agree.
//! Functions over a snapshot.

use std::{fmt, ops::ControlFlow};

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::{
    authority::trust::{self, Depth, Verification},
    cli::{
        report::{Report, Style},
        session::Session,
        Exit, Failure,
    },
    inventory::{Digest, Entry, StoredEntry},
    name::escape,
    store::{Access, Entries},
};

/// Show everything that was done, or verify that nothing was changed behind it
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, after_help = EXAMPLES)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Only the newest N entries
    #[arg(short, value_name = "N")]
    newest: Option<u64>,
    /// One JSON object a line
    #[arg(long, conflicts_with = "json")]
    jsonl: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Hold every entry against the one before, and every row of the store against the ledger
    ///
    /// With the vault open each entry's MAC is checked too, which only the vault can make. Without it (no passphrase given
    /// and nobody to ask) only the chain of hashes is: whoever can write the store could have recomputed it.
    Verify {
        /// The newest entry's hash, as noted elsewhere: finds a store that was put back
        #[arg(long, value_name = "HASH", value_parser = digest)]
        head: Option<Digest>,
    },
}

impl Arguments {
    pub fn name(&self) -> &'static str {
        if self.command.is_some() {
            "log verify"
        } else {
            "log"
        }
    }

    pub fn run(self, session: &Session) -> Result<Exit, Failure> {
        match self.command {
            Some(Command::Verify { head }) => verify(session, head),
            None => show(session, self.newest, self.jsonl),
        }
    }
}

fn show(session: &Session, newest: Option<u64>, jsonl: bool) -> Result<Exit, Failure> {
    let authority = session.open(Access::Read)?;
    let view = authority.view()?;
    let last = view.head()?.map_or(0, |head| head.seq);
    let from = newest.map_or(1, |newest| last.saturating_sub(newest) + 1);
    let mut rows = session.rows(if jsonl { Style::Lines } else { Style::Text }, "log", "entries");
    let mut outcome = Ok(());
    view.entries(from, Entries::All, &mut |stored| match print(&mut rows, &stored) {
        Ok(true) => ControlFlow::Continue(()),
        Ok(false) => ControlFlow::Break(()),
        Err(failure) => {
            outcome = Err(failure);
            ControlFlow::Break(())
        }
    })?;
    outcome?;
    rows.end(&[])?;
    Ok(Exit::Done)
}

fn print(rows: &mut crate::cli::report::Rows, stored: &StoredEntry) -> Result<bool, Failure> {
    match stored.read() {
        Ok(entry) => rows.row(&Row { hash: stored.hash, proven: stored.mac.is_some(), entry: &entry }, || text(&entry)),
        Err(fault) => {
            rows.row(&serde_json::json!({ "seq": stored.seq, "problem": fault.to_string() }), || format!("{fault}\n"))
        }
    }
}

fn text(entry: &Entry) -> String {
    let events: Vec<String> = entry.events.iter().map(ToString::to_string).collect();
    let (seq, at, by) = (entry.seq, entry.at, escape(&entry.by));
    format!("{seq:>6} {at} {by} {}: {}\n", escape(&entry.operation), events.join("; "))
}

#[derive(Serialize)]
struct Row<'a> {
    hash: Digest,
    proven: bool,
    #[serde(flatten)]
    entry: &'a Entry,
}

fn verify(session: &Session, noted: Option<Digest>) -> Result<Exit, Failure> {
    let authority = session.open(Access::Read)?;
    let view = authority.view()?;
    let unlocked = match authority.unlock(&*view, session) {
        Ok(unlocked) => Some(unlocked),
        Err(error) if error.nobody_unlocks() => None,
        Err(error) => return Err(error.into()),
    };
    let mut verification = trust::verify(&*view, unlocked.as_ref().map(|unlocked| &unlocked.vault))?;
    if let Some(noted) = noted {
        verification.problems.extend(trust::missing_head(&*view, noted)?);
    }
    let warnings = match verification.depth {
        Depth::Everything => Vec::new(),
        Depth::ChainOnly => vec![
            "chain only: without the vault nobody can tell whether the entries were written with it, or whether the CA is the vault's"
                .to_owned(),
        ],
    };
    session.report(&Verified { verification, warnings })
}

fn digest(text: &str) -> Result<Digest, String> {
    Digest::parse(text).ok_or_else(|| "a hash is 64 hexadecimal digits, as `log verify` prints it".to_owned())
}

#[derive(Serialize)]
struct Verified {
    #[serde(flatten)]
    verification: Verification,
    warnings: Vec<String>,
}

impl Report for Verified {
    const COMMAND: &'static str = "log verify";

    fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn failures(&self) -> Vec<Failure> {
        match self.verification.problems.len() {
            0 => Vec::new(),
            many => vec![Failure::refused(format!("the store is not what was written: {many} mismatch{}", if many == 1 { "" } else { "es" }))
                .hint("put `pki.db` back from a copy that verifies; until then `revoke` and `crl publish` work, `issue` and `export` do not")],
        }
    }
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verification { entries, facts, head, problems, depth } = &self.verification;
        for problem in problems {
            writeln!(f, "MISMATCH {problem}")?;
        }
        let depth = if *depth == Depth::Everything { "with the vault" } else { "chain only" };
        writeln!(f, "{entries} entries and {facts} facts held against each other, {depth}")?;
        match head {
            Some(head) => writeln!(f, "head {head}"),
            None => Ok(()),
        }
    }
}

const EXAMPLES: &str = "\
Examples:
  vpnpki log -n 20
  vpnpki log --jsonl
  vpnpki log verify";
