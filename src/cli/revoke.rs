//! `vpnpki revoke`, and how a published CRL is reported.
//! Knows nothing of how either is done.

use std::{fmt, str::FromStr};

use clap::Args;
use serde::Serialize;

use crate::{
    authority::{
        after::Ran,
        publishing::{Published, Reached, Skipped, TargetState},
        revoke::{Revocations, Revoked, RevokedCertificate},
        verdict::{Subject, Verdict},
    },
    cli::{
        follow::{FollowOptions, Followed},
        report::Report,
        session::Session,
        Exit, Failure,
    },
    files,
    inventory::{Reason, Revocation, Role},
    name::Name,
    store::{Access, View},
};

/// End someone's access: recorded, signed into the CRL, published where servers read it
///
/// Exit 0 means that every known server reads the new CRL. Exit 1 with the revocation recorded means that a server was not
/// reached, or that none is known yet; the command that changes that is printed. Of someone revoked already: says
/// since when, and publishes again.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// A name, for every certificate of it that is accepted, or serial:HEX for one certificate
    #[arg(required = true, value_name = "NAME|serial:HEX", value_parser = subject)]
    subjects: Vec<Subject>,
    /// unspecified, keyCompromise, affiliationChanged, superseded, cessationOfOperation or privilegeWithdrawn
    #[arg(long, value_name = "REASON", default_value = "unspecified", value_parser = reason)]
    reason: Reason,
    /// Also a serial that is not in the inventory: a certificate issued after the backup that was restored
    #[arg(long)]
    unknown: bool,
    /// Leave every server as it is
    #[arg(long)]
    no_publish: bool,
    #[command(flatten)]
    follow: FollowOptions,
    /// Say who would be revoked, and change nothing
    #[arg(long)]
    dry_run: bool,
}

impl Arguments {
    pub fn run(self, session: &Session) -> Result<Exit, Failure> {
        let authority = session.open(Access::Write)?;
        if !self.dry_run {
            self.confirm_servers(session, &*authority.view()?)?;
        }
        let request = Revocations {
            subjects: if self.unknown {
                self.subjects.into_iter().map(Subject::also_unknown).collect()
            } else {
                self.subjects
            },
            verdict: Verdict::Revoke(self.reason),
            ladder: None,
            no_publish: self.no_publish,
            dry_run: self.dry_run,
        };
        let mut revoked = authority.revoke(&request, session)?;
        let followed = self.follow.done(&authority, &mut revoked, self.dry_run);
        session.report(&Answer { revoked, followed, dry_run: self.dry_run })
    }

    /// Ending a server ends everyone's access: asked on a terminal, unless `--yes`; scripts are taken at their word.
    fn confirm_servers(&self, session: &Session, view: &dyn View) -> Result<(), Failure> {
        for subject in &self.subjects {
            let Subject::Peer(name) = subject else { continue };
            let server = view.peer(name)?.is_some_and(|peer| peer.role == Role::Server);
            let question = format!("`{name}` is a server; revoke it?");
            if server && session.agreed(&question) == Some(false) {
                return Err(Failure::refused(format!("`{name}` was not revoked")));
            }
        }
        Ok(())
    }
}

/// `serial:HEX`, or a name.
pub fn subject(text: &str) -> Result<Subject, String> {
    match text.strip_prefix("serial:") {
        Some(hex) => hex.parse().map(Subject::Serial).map_err(|error: crate::serial::SerialError| error.to_string()),
        None => Name::parse(text).map(Subject::Peer).map_err(|error| error.to_string()),
    }
}

/// Every reason but certificateHold, which is not for ever.
fn reason(text: &str) -> Result<Reason, String> {
    match Reason::from_str(text)? {
        Reason::CertificateHold => {
            Err("certificateHold is not for ever, a revocation is; `vpnpki suspend` suspends".to_owned())
        }
        reason => Ok(reason),
    }
}

/// What came of publishing, as failures.
pub fn unpublished(published: &Published) -> Vec<Failure> {
    if published.nobody() {
        let failure = Failure::refused("no server knows yet: no directory is known in which one reads the CRL");
        return vec![failure.hint(format!(
            "`vpnpki export {} --publish -o /etc/openvpn/server` on the VPN server, or `vpnpki crl publish --add DIR` for a directory that is in use",
            published.server
        ))];
    }
    if published.skipped.is_some() {
        return Vec::new();
    }
    if let Some(problem) = &published.problem {
        return vec![Failure::refused(format!("no server was reached: {problem}"))
            .hint("`vpnpki log verify` shows whether the store was changed; `vpnpki crl publish` tries again")];
    }
    let unread = published.faulty.then(|| {
        Failure::refused("the settings name a directory that could not be read; perhaps a server was not reached")
            .hint("mend `vpnpki.toml`, then `vpnpki crl publish`")
    });
    let targets = published.targets.iter().filter(|target| !target.reached()).map(unreached);
    unread.into_iter().chain(targets).chain(published.after.as_ref().and_then(unfinished)).collect()
}

/// Whom the program would have told, nobody here can know.
fn unfinished(ran: &Ran) -> Option<Failure> {
    let problem = ran.problem.as_ref()?;
    let failure = Failure::refused(format!("publishing was not finished: {problem}"));
    Some(failure.hint("`vpnpki crl publish` runs it again"))
}

fn unreached(target: &Reached) -> Failure {
    let why = target.problem.clone().unwrap_or_else(|| "it has an older CRL".to_owned());
    let failure = Failure::refused(format!("the server of `{}` was not reached: {why}", files::shown(&target.dir)));
    match &target.mend {
        Some(mend) => failure.hint(format!("`{mend}`, then `vpnpki crl publish`")),
        None => failure.hint("`vpnpki crl publish` tries again"),
    }
}

/// Lines about where the CRL is.
pub fn write_published(f: &mut fmt::Formatter<'_>, published: &Published) -> fmt::Result {
    match published.skipped {
        Some(Skipped::Asked) => return writeln!(f, "not published, as asked; `vpnpki crl publish` does"),
        Some(Skipped::Manual) => {
            return writeln!(f, "not published (`publish.mode` is manual); `vpnpki crl publish` does")
        }
        None => (),
    }
    for target in &published.targets {
        let file = files::shown(target.file.as_deref().unwrap_or(&target.dir));
        match target.state {
            TargetState::Published => writeln!(f, "published CRL {} to {file}", published.number)?,
            TargetState::Current => writeln!(f, "CRL {} is in {file}", published.number)?,
            TargetState::Ahead => writeln!(f, "a CRL that was signed in advance is in {file}")?,
            TargetState::Unreadable => {
                writeln!(f, "CRL {} is in {file}, where its server cannot read it", published.number)?;
            }
            TargetState::Behind | TargetState::Newer | TargetState::Failed => writeln!(f, "NOT in {file}")?,
        }
        if let many @ 1.. = target.others.len() {
            writeln!(
                f,
                "{many} serials in {file} are not on it and stay refused there; `vpnpki doctor` tells of them"
            )?;
        }
    }
    match published.after.as_ref().filter(|ran| ran.problem.is_none()) {
        Some(ran) => writeln!(f, "ran {}", files::shown(&ran.program)),
        None => Ok(()),
    }
}

#[derive(Serialize)]
struct Answer {
    #[serde(flatten)]
    revoked: Revoked,
    #[serde(flatten)]
    followed: Followed,
    dry_run: bool,
}

impl Report for Answer {
    const COMMAND: &'static str = "revoke";

    fn warnings(&self) -> &[String] {
        &self.revoked.warnings
    }

    fn failures(&self) -> Vec<Failure> {
        if self.dry_run {
            return Vec::new();
        }
        let mut failures = recorded_only(&self.revoked, "revocation", "revoke");
        failures.extend(self.followed.failures());
        failures
    }
}

/// What is recorded and did not reach a server, as failures.
pub fn recorded_only(revoked: &Revoked, what: &str, command: &str) -> Vec<Failure> {
    let mut failures = Vec::new();
    if let Some(why) = &revoked.unsigned {
        failures.push(
            Failure::refused(format!("the {what} is recorded, but no CRL could be signed: {why}"))
                .hint(format!("put `pki.db` back from a copy that verifies, then `vpnpki {command}` again")),
        );
    }
    failures.extend(unpublished(&revoked.published));
    failures
}

/// A certificate with its holder, where that is known.
pub fn whose(one: &RevokedCertificate) -> String {
    let name = one.name.as_ref().map_or_else(String::new, |name| format!("{name} "));
    format!("{name}serial:{}", one.serial)
}

/// Lines about when a live session ends, or that it has, and what was read back.
pub fn write_refused(f: &mut fmt::Formatter<'_>, revoked: &Revoked, followed: &Followed) -> fmt::Result {
    if revoked.published.targets.iter().any(Reached::reached) {
        write!(f, "new connections are refused there")?;
        if !followed.ended() {
            let seconds = revoked.live_session_seconds;
            write!(f, "; a live session ends within {seconds} s (reneg-sec + tran-window)")?;
        }
        writeln!(f)?;
    }
    followed.write(f)
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.dry_run { "would revoke" } else { "revoked" };
        for one in &self.revoked.revoked {
            let reason = one.revocation.map_or(Reason::Unspecified, |revocation| revocation.reason);
            writeln!(f, "{verb} {} ({reason})", whose(one))?;
        }
        for one in &self.revoked.already {
            if let Some(Revocation { at, reason }) = one.revocation {
                writeln!(f, "{} is revoked since {at} ({reason})", whose(one))?;
            }
        }
        if self.dry_run {
            return Ok(());
        }
        write_published(f, &self.revoked.published)?;
        write_refused(f, &self.revoked, &self.followed)
    }
}

const EXAMPLES: &str = "\
Examples:
  vpnpki revoke client1
  vpnpki revoke laptop-7 --reason keyCompromise --kick --prove
  vpnpki revoke serial:5A0D0C9E6B1F4E7D8A2B3C4D5E6F7081";
