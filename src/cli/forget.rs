//! `vpnpki forget`.
//! Knows nothing of what is dropped or how.

use std::fmt;

use clap::Args;
use serde::Serialize;

use crate::{
    authority::forget::Forgotten,
    cli::{report::Report, session::Session, Exit, Failure},
    name::Name,
    store::Access,
};

/// Drop the private keys and the note of someone who is revoked or expired
///
/// Serials and certificates stay on record for ever, and on the CRL for as long as they belong there; so does the ledger.
/// Nobody who is accepted or suspended can be forgotten. It cannot be undone, so it asks, or wants --yes.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Whose keys and note
    #[arg(required = true, value_name = "NAME", value_parser = Name::parse)]
    names: Vec<Name>,
    /// Say what would be dropped, and change nothing
    #[arg(long)]
    dry_run: bool,
}

impl Arguments {
    pub fn run(&self, session: &Session) -> Result<Exit, Failure> {
        let authority = session.open(if self.dry_run { Access::Read } else { Access::Write })?;
        let planned = authority.forgettable(&self.names)?;
        if self.dry_run || planned.forgotten.is_empty() {
            return session.report(&Answer { forgotten: planned, dry_run: self.dry_run });
        }
        confirm(session, &planned)?;
        let forgotten = authority.forget(&self.names, session)?;
        session.report(&Answer { forgotten, dry_run: false })
    }
}

/// Asked on a terminal; elsewhere only `--yes` answers.
fn confirm(session: &Session, planned: &Forgotten) -> Result<(), Failure> {
    let names: Vec<&str> = planned.forgotten.iter().map(|peer| peer.name.as_str()).collect();
    let quoted = format!("`{}`", names.join("`, `"));
    match session.agreed(&format!("it cannot be undone: drop the private keys and the note of {quoted}?")) {
        Some(true) => Ok(()),
        Some(false) => Err(Failure::refused(format!("nothing was dropped of {quoted}"))),
        None => Err(Failure::refused(format!(
            "nothing was dropped of {quoted}: nobody could be asked, and it cannot be undone"
        ))
        .hint(format!("`vpnpki forget {} --yes` drops it without a question", names.join(" ")))),
    }
}

#[derive(Serialize)]
struct Answer {
    #[serde(flatten)]
    forgotten: Forgotten,
    dry_run: bool,
}

impl Report for Answer {
    const COMMAND: &'static str = "forget";

    fn warnings(&self) -> &[String] {
        &self.forgotten.warnings
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.dry_run { "would drop" } else { "dropped" };
        for peer in &self.forgotten.forgotten {
            let keys = match peer.keys {
                0 => None,
                1 => Some("1 private key".to_owned()),
                many => Some(format!("{many} private keys")),
            };
            let recipients = (peer.recipients > 0).then(|| "the recipients".to_owned());
            let what: Vec<String> =
                keys.into_iter().chain(peer.note.then(|| "the note".to_owned())).chain(recipients).collect();
            writeln!(f, "{verb} {} of {}", what.join(" and "), peer.name)?;
        }
        self.forgotten.unchanged.iter().try_for_each(|name| writeln!(f, "nothing is kept of {name}"))
    }
}

const EXAMPLES: &str = "\
Examples:
  vpnpki revoke laptop-7 && vpnpki forget laptop-7 --yes";
