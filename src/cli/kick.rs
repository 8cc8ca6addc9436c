//! `vpnpki kick`, and how ended sessions are reported.
//! Knows nothing of how they are ended.

use std::fmt;

use clap::Args;
use serde::Serialize;

use crate::{
    authority::live::{Answered, Asked, Connected, Kicked},
    cli::{report::Report, session::Session, Exit, Failure},
    name::{escape, Name},
    store::Access,
};

/// End someone's live sessions on every server; who still has access can come back
///
/// Through the management interface of OpenVPN that the settings name for each server. Needs no passphrase. Exit 0 means
/// that every server answered and that the sessions are gone from its list.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Whose
    #[arg(required = true, value_name = "NAME")]
    names: Vec<Name>,
    /// Say which sessions would end, and end none
    #[arg(long)]
    dry_run: bool,
}

impl Arguments {
    pub fn run(self, session: &Session) -> Result<Exit, Failure> {
        let authority = session.open(Access::Read)?;
        authority.known(&self.names)?;
        let (publishing, mut warnings) = authority.publishing();
        if self.dry_run {
            let mut found = authority.connected(&self.names, &publishing)?;
            warnings.append(&mut found.warnings);
            return session.report(&Would { found, dry_run: true, warnings });
        }
        let mut kicked = authority.kick(&self.names, &publishing);
        warnings.append(&mut kicked.warnings);
        let changed = kicked.servers.iter().any(|server| !server.answer.ended.is_empty());
        session.report(&Answer { changed, kicked, dry_run: false, warnings })
    }
}

#[derive(Serialize)]
struct Answer {
    changed: bool,
    #[serde(flatten)]
    kicked: Asked<Kicked>,
    dry_run: bool,
    warnings: Vec<String>,
}

impl Report for Answer {
    const COMMAND: &'static str = "kick";

    fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn failures(&self) -> Vec<Failure> {
        unanswered(&self.kicked)
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_kicked(f, &self.kicked)?;
        if self.changed {
            writeln!(f, "whoever has access may connect again; `vpnpki revoke NAME --kick` ends that, too")?;
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct Would {
    #[serde(flatten)]
    found: Asked<Connected>,
    dry_run: bool,
    warnings: Vec<String>,
}

impl Report for Would {
    const COMMAND: &'static str = "kick";

    fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn failures(&self) -> Vec<Failure> {
        unanswered(&self.found)
    }
}

impl fmt::Display for Would {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for server in &self.found.servers {
            for live in &server.answer.sessions {
                writeln!(f, "would end {}", told(&live.session, &server.server))?;
            }
        }
        Ok(())
    }
}

/// Lines about the sessions that ended, and those that began since.
pub fn write_kicked(f: &mut fmt::Formatter<'_>, kicked: &Asked<Kicked>) -> fmt::Result {
    for server in &kicked.servers {
        let Answered { server, answer, problem, .. } = server;
        for session in &answer.ended {
            writeln!(f, "ended {}", told(session, server))?;
        }
        for live in &answer.back {
            writeln!(f, "connected again: {}", told(&live.session, server))?;
        }
        if problem.is_none() && answer.ended.is_empty() && answer.back.is_empty() {
            writeln!(f, "no session on {server}")?;
        }
    }
    Ok(())
}

/// A session in a sentence.
pub fn told(session: &crate::sessions::Session, server: &str) -> String {
    let (name, from) = (escape(&session.name), escape(&session.real_address));
    format!("the session of {name} on {server}, from {from}, since {}", session.since)
}

/// Servers that gave no answer, or that there is none, as failures.
pub fn unanswered<T>(asked: &Asked<T>) -> Vec<Failure> {
    if asked.nobody() {
        let failure =
            Failure::refused("no session can be seen or ended: the settings name no server's management interface");
        return vec![failure.hint(format!(
            "write `management = \"/run/openvpn-server/management.sock unix\"` under `[server]` in `vpnpki.toml`, then `vpnpki export {} --force -o DIR`, and restart OpenVPN; `[[servers]]` names several",
            asked.first
        ))];
    }
    let unread = asked.faulty.then(|| {
        Failure::refused(
            "the settings name a management interface that could not be read; perhaps a server was not asked",
        )
        .hint("mend `vpnpki.toml`, then `vpnpki kick NAME`")
    });
    let silent = |server: &Answered<T>| {
        let problem = server.problem.as_ref()?;
        let told = format!("`{}` was not reached at `{}`: {problem}", server.server, server.management);
        Some(Failure::refused(told).hint("`vpnpki sessions` tries again; a restart of that server ends every session"))
    };
    unread.into_iter().chain(asked.servers.iter().filter_map(silent)).collect()
}

/// Sessions that began after theirs were ended, though nobody should be let in. Who has another certificate may be.
pub fn came_back(kicked: &Asked<Kicked>) -> Vec<Failure> {
    let mut failures = Vec::new();
    for server in &kicked.servers {
        failures.extend(server.answer.back.iter().filter(|live| !live.has_access()).map(|live| {
            Failure::refused(format!("let in again: {}", told(&live.session, &server.server)))
                .hint("`vpnpki status` shows which servers lack the newest CRL; `vpnpki crl publish` mends it")
        }));
    }
    failures
}

const EXAMPLES: &str = "\
Examples:
  vpnpki kick laptop-7
  vpnpki kick laptop-7 client1 --dry-run";
