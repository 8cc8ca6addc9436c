//! `vpnpki revoke`, and how a published CRL is reported.
//! Knows nothing of how either is done.

use std::{fmt, str::FromStr};

use clap::Args;
use serde::Serialize;

use crate::{
    authority::{
        live::{Asked, Kicked},
        proof::{self, Proof},
        publishing::{Published, Reached, Skipped, TargetState},
        revoke::{Revocations, Revoked, RevokedCertificate, Subject},
        Authority,
    },
    cli::{
        kick::{came_back, unanswered, write_kicked},
        proof::{unproven, write_proof},
        report::Report,
        session::Session,
        Exit, Failure,
    },
    files,
    inventory::{Reason, Role},
    name::Name,
    serial::Serial,
    store::{Access, View},
};

/// End someone's access: recorded, signed into the CRL, published where servers read it
///
/// Exit 0 means that every known server reads the new CRL. Exit 1 with the revocation recorded means that a server was not
/// reached, or that none is known yet; the command that changes that is printed. Of someone revoked already: says
/// since when, and publishes again.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag that people type")]
pub struct Arguments {
    /// A name, for every certificate of it that is accepted, or serial:HEX for one certificate
    #[arg(required = true, value_name = "NAME|serial:HEX", value_parser = subject)]
    subjects: Vec<Subject>,
    /// unspecified, keyCompromise, affiliationChanged, superseded, cessationOfOperation or privilegeWithdrawn
    #[arg(long, value_name = "REASON", default_value = "unspecified", value_parser = reason)]
    reason: Reason,
    /// Leave every server as it is
    #[arg(long)]
    no_publish: bool,
    /// Then end their live sessions, through the management interface of every server
    #[arg(long, conflicts_with = "no_publish")]
    kick: bool,
    /// Then read back that every published CRL is the new one and that no session is left; exit 1 says what is missing
    #[arg(long, conflicts_with = "no_publish")]
    prove: bool,
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
            subjects: self.subjects,
            reason: self.reason,
            no_publish: self.no_publish,
            dry_run: self.dry_run,
        };
        let revoked = authority.revoke(&request, session)?;
        let mut answer = Answer { revoked, kicked: None, proof: None, nameless: Vec::new(), dry_run: self.dry_run };
        if !self.dry_run {
            answer.follow(&authority, self.kick, self.prove);
        }
        session.report(&answer)
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
        Reason::CertificateHold => Err("certificateHold is not for ever, a revocation is".to_owned()),
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
    unread.into_iter().chain(published.targets.iter().filter(|target| !target.reached()).map(unreached)).collect()
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
            TargetState::Unreadable => {
                writeln!(f, "CRL {} is in {file}, where its server cannot read it", published.number)?;
            }
            TargetState::Behind | TargetState::Newer | TargetState::Failed => writeln!(f, "NOT in {file}")?,
        }
    }
    Ok(())
}

#[derive(Serialize)]
struct Answer {
    #[serde(flatten)]
    revoked: Revoked,
    #[serde(skip_serializing_if = "Option::is_none")]
    kicked: Option<Asked<Kicked>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Option<Proof>,
    /// Certificates whose sessions could not be ended, since only their serials are known.
    #[serde(skip)]
    nameless: Vec<Serial>,
    dry_run: bool,
}

impl Answer {
    /// What is done once the CRL is where servers read it.
    fn follow(&mut self, authority: &Authority, kick: bool, prove: bool) {
        // what is wrong in the settings was said by the act itself
        let (publishing, _) = authority.publishing();
        let revoked: Vec<&RevokedCertificate> = self.revoked.revoked.iter().chain(&self.revoked.already).collect();
        let names = proof::names(&revoked);
        let mut warnings = Vec::new();
        if kick {
            self.nameless = revoked.iter().filter(|one| one.name.is_none()).map(|one| one.serial).collect();
        }
        if kick && !names.is_empty() {
            let mut kicked = authority.kick(&names, &publishing);
            warnings.append(&mut kicked.warnings);
            self.kicked = Some(kicked);
        }
        self.proof = prove.then(|| authority.prove(&revoked, &publishing));
        warnings.extend(
            self.proof.iter_mut().filter_map(|proof| proof.live.as_mut()).flat_map(|live| live.warnings.drain(..)),
        );
        warnings.dedup();
        self.revoked.warnings.extend(warnings);
    }

    /// Whether no live session may go on.
    fn ended(&self) -> bool {
        self.kicked.as_ref().is_some_and(|kicked| unanswered(kicked).is_empty() && came_back(kicked).is_empty())
    }
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
        let mut failures = Vec::new();
        if let Some(why) = &self.revoked.unsigned {
            failures.push(
                Failure::refused(format!("the revocation is recorded, but no CRL could be signed: {why}"))
                    .hint("put `pki.db` back from a copy that verifies, then `vpnpki revoke` again"),
            );
        }
        failures.extend(unpublished(&self.revoked.published));
        failures.extend(self.kicked.iter().flat_map(|kicked| [unanswered(kicked), came_back(kicked)]).flatten());
        let unnamed = |serial: &Serial| {
            Failure::refused(format!("no session was ended for serial:{serial}: the store does not know whose it is"))
        };
        failures.extend(self.nameless.iter().map(unnamed));
        failures.extend(self.proof.iter().flat_map(unproven));
        failures
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whose = |name: &Option<Name>| name.as_ref().map_or_else(String::new, |name| format!("{name} "));
        let verb = if self.dry_run { "would revoke" } else { "revoked" };
        for one in &self.revoked.revoked {
            writeln!(f, "{verb} {}serial:{} ({})", whose(&one.name), one.serial, one.revocation.reason)?;
        }
        for one in &self.revoked.already {
            let (at, reason) = (one.revocation.at, one.revocation.reason);
            writeln!(f, "{}serial:{} is revoked since {at} ({reason})", whose(&one.name), one.serial)?;
        }
        if self.dry_run {
            return Ok(());
        }
        write_published(f, &self.revoked.published)?;
        if self.revoked.published.targets.iter().any(Reached::reached) {
            let seconds = self.revoked.live_session_seconds;
            if self.ended() {
                writeln!(f, "new connections are refused there")?;
            } else {
                writeln!(
                    f,
                    "new connections are refused there; a live session ends within {seconds} s (reneg-sec + tran-window)"
                )?;
            }
        }
        self.kicked.iter().try_for_each(|kicked| write_kicked(f, kicked))?;
        self.proof.iter().try_for_each(|proof| write_proof(f, proof))
    }
}

const EXAMPLES: &str = "\
Examples:
  vpnpki revoke client1
  vpnpki revoke laptop-7 --reason keyCompromise --kick --prove
  vpnpki revoke serial:5A0D0C9E6B1F4E7D8A2B3C4D5E6F7081";
