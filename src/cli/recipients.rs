//! `vpnpki recipients`.
//! Knows nothing of how bundles are encrypted.

use std::fmt;

use clap::Args;
use serde::Serialize;

use crate::{
    authority::recipients::Recipients,
    cli::{encryption, report::Report, session::Session, Exit, Failure},
    name::Name,
    store::Access,
};

/// Show or change to whom someone's bundles are encrypted
///
/// Every later export and renewal writes NAME.ovpn.age, which opens with `age -d -i KEY`, unless --clear is said there.
/// Bundles that were handed over stay what they are.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Whose bundles
    #[arg(value_name = "NAME")]
    name: Name,
    /// Put these public keys, or those in a FILE, in the place of the ones on record
    // a plain text here, since clap would print a private key given by mistake
    #[arg(long, value_name = "age1…|ssh-…|FILE", num_args = 1..)]
    set: Vec<String>,
    /// Put nobody on record: later bundles are written in clear
    #[arg(long, conflicts_with = "set")]
    none: bool,
    /// Say what would be on record, and change nothing
    #[arg(long)]
    dry_run: bool,
}

impl Arguments {
    pub fn run(self, session: &Session) -> Result<Exit, Failure> {
        if self.set.is_empty() && !self.none {
            let recipients = session.open(Access::Read)?.recipients(&self.name)?;
            return session.report(&Answer { recipients, dry_run: self.dry_run });
        }
        let recipients = encryption::recipients(&self.set)?;
        let authority = session.open(Access::Write)?;
        let recipients = authority.set_recipients(&self.name, &recipients, self.dry_run, session)?;
        session.report(&Answer { recipients, dry_run: self.dry_run })
    }
}

#[derive(Serialize)]
struct Answer {
    #[serde(flatten)]
    recipients: Recipients,
    dry_run: bool,
}

impl Report for Answer {
    const COMMAND: &'static str = "recipients";

    fn warnings(&self) -> &[String] {
        &self.recipients.warnings
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Recipients { name, recipients, .. } = &self.recipients;
        let are = if self.dry_run { "would be" } else { "are" };
        if recipients.is_empty() {
            return writeln!(f, "bundles of {name} {are} written in clear");
        }
        writeln!(f, "bundles of {name} {are} encrypted to")?;
        recipients.iter().try_for_each(|recipient| writeln!(f, "  {recipient}"))
    }
}

const EXAMPLES: &str = "\
Examples:
  vpnpki recipients laptop-7
  vpnpki recipients laptop-7 --set ~/.ssh/id_ed25519.pub
  vpnpki recipients laptop-7 --none";
