//! `vpnpki unlocker`: what opens the vault.
//! Knows nothing of how a vault is locked.

use std::{fmt, path::PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::{
    authority::unlocker::{self, Added, Listed, NewUnlocker, Removed, Rotated, Rotation, Which},
    cli::{
        progress,
        report::{Report, Style},
        session::Session,
        Exit, Failure,
    },
    files,
    secret::Secret,
    store::Access,
    vault::{Recipient, Unlocker},
};

/// List, add and remove what opens the vault, or give it a new identity
///
/// Each passphrase, age or SSH key, or key of an age plugin (age-plugin-NAME on the PATH) opens the same vault by a copy
/// of its own. Adding or removing one changes that copy and nothing else.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show every unlocker: number, kind, since when, label; needs no passphrase
    List,
    Add(Add),
    Remove(Remove),
    Rotate(Rotate),
}

/// Let one more passphrase or key open the vault
///
/// Without --recipient it is a passphrase, from --new-passphrase-file or asked for twice. What opens the vault now is
/// given as ever, by --passphrase-file or --identity.
#[derive(Args)]
struct Add {
    /// An age, SSH or age plugin public key
    // a plain text here, since clap would print a private key given by mistake
    #[arg(long, value_name = "age1…|ssh-…", conflicts_with = "new_passphrase_file")]
    recipient: Option<String>,
    /// Read the new passphrase from the first line of FILE
    #[arg(long, value_name = "FILE")]
    new_passphrase_file: Option<PathBuf>,
    /// What to call it [default: the SSH key's comment, the key's ends, or passphrase]
    #[arg(long, value_name = "TEXT", value_parser = label)]
    label: Option<String>,
    /// Say what would be added, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Take a way into the vault away
///
/// The last one stays. Removing that of vault.key removes the file, too. Older copies of the authority (backups) still
/// open with what was removed; `unlocker rotate` makes sure that they open nothing that is sealed from then on.
#[derive(Args)]
struct Remove {
    /// Its number or label, as `unlocker list` shows them
    #[arg(value_name = "NUMBER|LABEL", value_parser = which)]
    unlocker: Which,
    /// Say what would be removed, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Give the vault a new identity: every secret is sealed anew, in one step
///
/// What opens the vault stays the same. Age, SSH and plugin keys are locked to again as they are recorded; of the
/// passphrases only the one that opens the vault now is known, any other must be given or its unlocker dropped. Keys that
/// somebody took out of an older copy before stay known to them: those are for `revoke`.
#[derive(Args)]
struct Rotate {
    /// The passphrase of another unlocker, in the first line of FILE; may be given several times
    #[arg(long, value_name = "LABEL=FILE", value_parser = passphrase_of)]
    passphrase_of: Vec<(Which, PathBuf)>,
    /// Leave out an unlocker; may be given several times
    #[arg(long, value_name = "NUMBER|LABEL", value_parser = which)]
    drop: Vec<Which>,
    /// Say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
}

impl Arguments {
    pub fn name(&self) -> &'static str {
        match self.command {
            Command::List => "unlocker list",
            Command::Add(_) => "unlocker add",
            Command::Remove(_) => "unlocker remove",
            Command::Rotate(_) => "unlocker rotate",
        }
    }

    pub fn run(self, session: &Session) -> Result<Exit, Failure> {
        match self.command {
            Command::List => list(session),
            Command::Add(add) => add.run(session),
            Command::Remove(remove) => remove.run(session),
            Command::Rotate(rotate) => rotate.run(session),
        }
    }
}

fn list(session: &Session) -> Result<Exit, Failure> {
    let authority = session.open(Access::Read)?;
    let mut rows = session.rows(Style::Text, "unlocker list", "unlockers");
    for row in unlocker::list(&*authority.view()?)? {
        if !rows.row(&row, || line(&row))? {
            break;
        }
    }
    rows.end(&[])?;
    Ok(Exit::Done)
}

fn line(row: &Listed) -> String {
    let since = row.since.map_or_else(|| "-".to_owned(), crate::time::Time::date);
    format!("{:>3}  {:<10}  {since:<10}  {}\n", row.number, row.kind, row.label)
}

impl Add {
    fn run(self, session: &Session) -> Result<Exit, Failure> {
        let authority = session.open(Access::Write)?;
        let unlocker = match (&self.recipient, &self.new_passphrase_file) {
            (Some(text), _) => {
                Unlocker::Recipient(Recipient::parse(text).map_err(|error| Failure::usage(error.to_string()))?)
            }
            (None, Some(file)) => Unlocker::Passphrase(session.read_passphrase(file)?),
            (None, None) => Unlocker::Passphrase(session.ask_new_passphrase("New passphrase: ").map_err(no_new)?),
        };
        let new = NewUnlocker { unlocker, label: self.label, dry_run: self.dry_run };
        let added = authority.add_unlocker(&new, session)?;
        session.report(&AddReport { added, dry_run: self.dry_run })
    }
}

/// What is missing is the new passphrase, not the vault's.
fn no_new(error: Failure) -> Failure {
    if error.exit != Exit::Locked {
        return error;
    }
    let message = "nothing was added: no new passphrase was given, and nobody is there to ask".to_owned();
    let hint = "`--new-passphrase-file FILE` gives one; `--recipient` adds a key instead".to_owned();
    Failure { exit: Exit::Usage, message, hints: vec![hint] }
}

impl Remove {
    fn run(self, session: &Session) -> Result<Exit, Failure> {
        let authority = session.open(Access::Write)?;
        let agreed = |question: &str| session.agreed(question) == Some(true);
        let removed = authority.remove_unlocker(&self.unlocker, session, self.dry_run, &agreed)?;
        session.report(&RemoveReport { removed, dry_run: self.dry_run, program: session.program() })
    }
}

impl Rotate {
    fn run(self, session: &Session) -> Result<Exit, Failure> {
        let authority = session.open(Access::Write)?;
        let read = |(which, file): (Which, PathBuf)| Ok((which, session.read_passphrase(&file)?));
        let passphrases: Vec<(Which, Secret)> =
            self.passphrase_of.into_iter().map(read).collect::<Result<_, Failure>>()?;
        let request = Rotation { passphrases, dropped: self.drop, dry_run: self.dry_run };
        let bar = progress::bar("sealing", session.quiet() || session.json());
        let rotated = authority.rotate(&request, session, &mut |done, all| {
            bar.set_length(all);
            bar.set_position(done);
        })?;
        bar.finish_and_clear();
        session.report(&RotateReport { rotated, dry_run: self.dry_run })
    }
}

fn which(text: &str) -> Result<Which, String> {
    if text.is_empty() {
        return Err("an unlocker has a number and a label".to_owned());
    }
    Ok(Which::named(text))
}

fn label(text: &str) -> Result<String, String> {
    unlocker::check_label(text).map(|()| text.to_owned())
}

fn passphrase_of(text: &str) -> Result<(Which, PathBuf), String> {
    match text.split_once('=') {
        Some((named, file)) if !file.is_empty() => Ok((which(named)?, PathBuf::from(file))),
        _ => Err("an unlocker's number or label, `=`, and a file are expected".to_owned()),
    }
}

#[derive(Serialize)]
struct AddReport {
    #[serde(flatten)]
    added: Added,
    dry_run: bool,
}

impl Report for AddReport {
    const COMMAND: &'static str = "unlocker add";

    fn warnings(&self) -> &[String] {
        &self.added.warnings
    }
}

impl fmt::Display for AddReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.dry_run { "would open" } else { "opens" };
        let Listed { number, kind, label, .. } = &self.added.unlocker;
        writeln!(f, "`{label}` {verb} the vault, too (unlocker {number}, {kind})")
    }
}

#[derive(Serialize)]
struct RemoveReport {
    #[serde(flatten)]
    removed: Removed,
    dry_run: bool,
    /// How the command that comes next begins.
    #[serde(skip)]
    program: String,
}

impl Report for RemoveReport {
    const COMMAND: &'static str = "unlocker remove";

    fn warnings(&self) -> &[String] {
        &self.removed.warnings
    }

    fn failures(&self) -> Vec<Failure> {
        let left = self.removed.left_file.iter();
        left.map(|why| {
            Failure::refused(format!("the unlocker is removed, but its `vault.key` is still there: {why}"))
                .hint("remove the file; it opens nothing here any more, but every older copy")
        })
        .collect()
    }
}

impl fmt::Display for RemoveReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Listed { number, label, .. } = &self.removed.unlocker;
        if self.dry_run {
            return writeln!(f, "`{label}` (unlocker {number}) would no longer open the vault");
        }
        writeln!(f, "`{label}` (unlocker {number}) no longer opens the vault")?;
        if let Some(path) = &self.removed.removed_file {
            writeln!(f, "removed {}", files::shown(path))?;
        }
        writeln!(f, "older copies of the authority (backups) still open with it;")?;
        writeln!(f, "  {} unlocker rotate     # a new vault identity, which they do not hold", self.program)
    }
}

#[derive(Serialize)]
struct RotateReport {
    #[serde(flatten)]
    rotated: Rotated,
    dry_run: bool,
}

impl Report for RotateReport {
    const COMMAND: &'static str = "unlocker rotate";

    fn warnings(&self) -> &[String] {
        &self.rotated.warnings
    }
}

impl fmt::Display for RotateReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rotated { unlockers, dropped, secrets, .. } = &self.rotated;
        if self.dry_run {
            writeln!(f, "the vault would get a new identity, and {secrets} secrets would be sealed anew")?;
        } else {
            writeln!(f, "the vault has a new identity; {secrets} secrets are sealed anew")?;
        }
        for row in unlockers {
            writeln!(f, "  opens      {}", row.label)?;
        }
        for row in dropped {
            writeln!(f, "  no longer  {}", row.label)?;
        }
        Ok(())
    }
}

const EXAMPLES: &str = "\
Examples:
  vpnpki unlocker list
  vpnpki unlocker add --recipient \"$(cat ~/.ssh/id_ed25519.pub)\" --label jo
  vpnpki unlocker add --new-passphrase-file new.txt --label safe
  vpnpki unlocker remove jo
  vpnpki unlocker rotate --passphrase-of safe=new.txt";
