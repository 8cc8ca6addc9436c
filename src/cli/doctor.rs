//! `vpnpki doctor`: everything that `status` says and what only a look at files tells, as of now or of another date.
//! A function over a snapshot and the disk; it changes nothing and needs no vault.

use std::fmt;

use clap::Args;
use serde::Serialize;

use crate::{
    cli::{report::Report, session::Session, Exit, Failure},
    findings::{
        lockout::{Lockout, Who},
        Finding, Severity,
    },
    time::Time,
};

mod gather;
mod servers;
mod strays;

/// Say who is locked out when and why, and what is not as it was written; exit 3 when something is due or wrong
///
/// Looks at the store, the settings and templates, the directories that servers run from, and what was exported beside
/// the PKI directory. Needs no passphrase and changes nothing. With --at the answer is for that date, if nothing is done
/// until then but `vpnpki crl publish` on a timer.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// As of this day or moment, such as 2027-03-01 or 2027-03-01T10:00:00Z [default: now]
    #[arg(long, value_name = "DATE", value_parser = Time::parse)]
    at: Option<Time>,
    /// Also who will be locked out within so many days after it
    #[arg(long, value_name = "DAYS", default_value_t = 90)]
    within: u32,
    /// Hold every row against the ledger however many there are
    #[arg(long)]
    deep: bool,
}

/// What was found.
#[derive(Serialize)]
struct Diagnosis {
    at: Time,
    until: Time,
    locked_out: Vec<Lockout>,
    coming: Vec<Lockout>,
    findings: Vec<Finding>,
    warnings: Vec<String>,
}

impl Arguments {
    pub fn run(self, session: &Session) -> Result<Exit, Failure> {
        let found = gather::everything(session, self.at, self.within, self.deep)?;
        let gather::Found { at, until, lockouts, mut findings } = found;
        let (mut locked_out, mut coming): (Vec<Lockout>, Vec<Lockout>) =
            lockouts.into_iter().partition(|lockout| lockout.since <= at);
        // everybody first, then who was locked out last, since that is what people ask about
        locked_out.sort_by_key(|lockout| (matches!(lockout.who, Who::Client(_)), std::cmp::Reverse(lockout.since)));
        coming.sort_by_key(|lockout| lockout.since);
        findings.sort_by_key(|finding| (finding.severity, finding.date));
        // commands work as they are printed, so they name the directory that was named
        let program = format!("{} ", session.program());
        findings.iter_mut().for_each(|found| found.why = found.why.replace("`vpnpki ", &format!("`{program}")));
        let mends = locked_out.iter_mut().chain(&mut coming).map(|lockout| &mut lockout.mend);
        mends.chain(findings.iter_mut().map(|finding| &mut finding.mend)).flatten().for_each(|mend| {
            if let Some(rest) = mend.strip_prefix("vpnpki ") {
                *mend = format!("{program}{rest}");
            }
        });
        session.report(&Diagnosis { at, until, locked_out, coming, findings, warnings: Vec::new() })
    }
}

impl Report for Diagnosis {
    const COMMAND: &'static str = "doctor";

    fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Clients who are out because somebody decided so are no fault; that nobody gets in always is.
    fn exit(&self) -> Exit {
        let nobody_gets_in = self.locked_out.iter().any(|lockout| matches!(lockout.who, Who::Everybody(_)));
        if nobody_gets_in || self.findings.iter().any(Finding::counts) {
            Exit::Due
        } else {
            Exit::Done
        }
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "as of {}, looking ahead until {}", self.at, self.until.date())?;
        let sentences = |lockouts: &[Lockout]| lockouts.iter().take(SHOWN).map(who_and_why).collect::<Vec<_>>();
        group(f, "LOCKED OUT", &sentences(&self.locked_out), self.locked_out.len())?;
        group(f, "COMING", &sentences(&self.coming), self.coming.len())?;
        for (severity, heading) in [(Severity::Due, "DUE"), (Severity::Check, "CHECK"), (Severity::Note, "note")] {
            let of_it: Vec<&Finding> = self.findings.iter().filter(|finding| finding.severity == severity).collect();
            let sentences: Vec<String> = of_it.iter().take(SHOWN).map(|finding| what_and_why(finding)).collect();
            group(f, heading, &sentences, of_it.len())?;
        }
        if self.exit() == Exit::Done {
            writeln!(f, "nothing is due or wrong")?;
        }
        Ok(())
    }
}

/// A heading before each line, and a count of those that are left out.
fn group(f: &mut fmt::Formatter<'_>, heading: &str, sentences: &[String], total: usize) -> fmt::Result {
    for sentence in sentences {
        writeln!(f, "{heading:<10} {sentence}")?;
    }
    match total.saturating_sub(sentences.len()) {
        0 => Ok(()),
        more => writeln!(f, "{heading:<10} and {more} more; `--json` has all of them"),
    }
}

fn who_and_why(lockout: &Lockout) -> String {
    let who = match &lockout.who {
        Who::Everybody(_) => "everybody",
        Who::Client(name) => name.as_str(),
    };
    let server = lockout.server.as_ref().map(|server| format!(" at {server}")).unwrap_or_default();
    let mend = lockout.mend.as_ref().map(|mend| format!("; `{mend}`")).unwrap_or_default();
    format!("{who}{server} from {} on: {}{mend}", lockout.since, lockout.why)
}

fn what_and_why(finding: &Finding) -> String {
    let Finding { subject, why, mend, .. } = finding;
    let mend = mend.as_ref().filter(|mend| !why.contains(mend.as_str()));
    let mend = mend.map(|mend| format!("; `{mend}`")).unwrap_or_default();
    format!("{subject}: {why}{mend}")
}

/// How many lines of one kind people read.
const SHOWN: usize = 20;

const EXAMPLES: &str = "\
Examples:
  vpnpki doctor
  vpnpki doctor --at 2027-03-01
  vpnpki doctor --within 365 --json";
