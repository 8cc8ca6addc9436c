//! `vpnpki status`: one screen, and exit 3 when something is due.
//! A function over a snapshot; it reads nothing secret.

use std::{fmt, ops::ControlFlow, path::PathBuf};

use clap::Args;
use serde::Serialize;

use crate::{
    authority::{publishing::Reached, Authority},
    cli::{report::Report, session::Session, Exit, Failure},
    files,
    inventory::{
        due::{self, Due, Subject},
        Certificate, Role, Status,
    },
    name::escape,
    pki::IssuerCertificate,
    settings::{PublishMode, Publishing},
    store::{Access, Census, CrlFacts, View},
    time::Time,
};

/// Show the CA, servers, CRL and clients on one screen; exit 3 when something is due
///
/// Due is what ends soon, a server that does not have the newest CRL, and a store that was put back. Needs no passphrase.
#[derive(Args)]
pub struct Arguments {}

#[derive(Serialize)]
struct Screen {
    dir: PathBuf,
    ca: Ca,
    servers: Vec<Server>,
    crl: Crl,
    targets: Vec<Reached>,
    clients: Clients,
    due: Vec<Due>,
    /// What is due and has no date.
    problems: Vec<String>,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct Ca {
    name: String,
    not_after: Time,
    days_left: i64,
}

#[derive(Serialize)]
struct Server {
    name: String,
    status: Status,
    not_after: Time,
    days_left: i64,
}

#[derive(Serialize)]
struct Crl {
    number: u64,
    entries: u64,
    this_update: Time,
    next_update: Time,
    days_left: i64,
}

#[derive(Serialize)]
struct Clients {
    valid: u64,
    expired: u64,
    revoked: u64,
    suspended: u64,
}

impl Arguments {
    pub fn run(session: &Session) -> Result<Exit, Failure> {
        let authority = session.open(Access::Read)?;
        let (publishing, warnings) = authority.publishing();
        let screen = Screen::of(&authority, &publishing, warnings)?;
        session.report(&screen)
    }
}

impl Screen {
    fn of(authority: &Authority, publishing: &Publishing, warnings: Vec<String>) -> Result<Self, Failure> {
        let (view, now) = (authority.view()?, authority.now());
        let facts = view.issuer()?;
        let issuer = IssuerCertificate::parse(&facts.certificate)?;
        let crl = view.crl_facts(facts.number, now)?.ok_or(crate::authority::AuthorityError::NoCrl)?;
        let mut dues: Vec<Due> = due::ca(issuer.validity(), now).into_iter().collect();
        dues.extend(due::crl(crl.validity, issuer.validity(), now));
        let mut servers = Vec::new();
        view.peers(&mut |peer, certificate| {
            dues.extend(due::certificate(&certificate, now));
            if peer.role == Role::Server {
                servers.push(Server::of(&certificate, now));
            }
            ControlFlow::Continue(())
        })?;
        let targets = authority.targets(&*view, publishing)?;
        let server = servers.first().map_or("server", |server| &server.name);
        let problems = problems(&*view, &targets, publishing, server)?;
        let not_after = issuer.validity().not_after();
        Ok(Self {
            dir: authority.dir().to_owned(),
            ca: Ca { name: issuer.common_name(), not_after, days_left: now.days_until(not_after) },
            servers,
            crl: Crl::of(crl, now),
            targets,
            clients: Clients::of(&view.census(now)?),
            due: dues,
            problems,
            warnings,
        })
    }
}

/// What is due and has no date.
fn problems(
    view: &dyn View,
    targets: &[Reached],
    publishing: &Publishing,
    server: &str,
) -> Result<Vec<String>, Failure> {
    let mut problems = Vec::new();
    // a program that runs after publishing may carry it to all of them
    if targets.is_empty() && publishing.mode == PublishMode::Auto && publishing.after.is_none() {
        problems.push(format!(
            "no server knows the CRL: `vpnpki export {server} --publish -o DIR` or `vpnpki crl publish --add DIR`"
        ));
    }
    for target in targets.iter().filter(|target| !target.reached()) {
        let why = target.problem.as_deref().unwrap_or("it has an older CRL; `vpnpki crl publish` mends it");
        problems.push(format!("{}: {why}", files::shown(&target.dir)));
    }
    if view.head()?.and_then(|head| head.read().ok()).is_some_and(|entry| entry.suspect) {
        problems.push("the store is not what was written: `vpnpki log verify` shows what".to_owned());
    }
    Ok(problems)
}

impl Server {
    fn of(certificate: &Certificate, now: Time) -> Self {
        let not_after = certificate.validity.not_after();
        Self {
            name: certificate.holder.as_ref().map_or_else(String::new, |holder| holder.name.to_string()),
            status: certificate.status(now),
            not_after,
            days_left: now.days_until(not_after),
        }
    }
}

impl Crl {
    fn of(crl: CrlFacts, now: Time) -> Self {
        Self {
            number: crl.number,
            entries: crl.entries,
            this_update: crl.validity.not_before(),
            next_update: crl.validity.not_after(),
            days_left: now.days_until(crl.validity.not_after()),
        }
    }
}

impl Clients {
    fn of(census: &Census) -> Self {
        let count = |status| census.of(Role::Client, status);
        Self {
            valid: count(Status::Valid),
            expired: count(Status::Expired),
            revoked: count(Status::Revoked),
            suspended: count(Status::Suspended),
        }
    }
}

impl Report for Screen {
    const COMMAND: &'static str = "status";

    fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn exit(&self) -> Exit {
        if self.due.is_empty() && self.problems.is_empty() {
            Exit::Done
        } else {
            Exit::Due
        }
    }
}

impl fmt::Display for Screen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ca = escape(&self.ca.name);
        writeln!(f, "CA       {ca}, until {} ({} days)", self.ca.not_after.date(), self.ca.days_left)?;
        for server in &self.servers {
            let (name, status, days) = (&server.name, server.status, server.days_left);
            writeln!(f, "server   {name}, {status}, until {} ({days} days)", server.not_after.date())?;
        }
        let crl = &self.crl;
        writeln!(
            f,
            "CRL      {}, {} serials, until {} ({} days)",
            crl.number,
            crl.entries,
            crl.next_update.date(),
            crl.days_left
        )?;
        for target in &self.targets {
            let state = if target.reached() { "has it" } else { "does NOT have it" };
            writeln!(f, "         {} {state}", files::shown(&target.dir))?;
        }
        let Clients { valid, expired, revoked, suspended } = self.clients;
        writeln!(f, "clients  {valid} valid, {expired} expired, {revoked} revoked, {suspended} suspended")?;
        for due in &self.due {
            writeln!(f, "DUE      {}", sentence(due))?;
        }
        self.problems.iter().try_for_each(|problem| writeln!(f, "DUE      {problem}"))
    }
}

fn sentence(due: &Due) -> String {
    let (what, remedy) = match &due.what {
        Subject::Ca => ("the CA".to_owned(), "nobody gets in after that".to_owned()),
        Subject::Crl => ("the CRL".to_owned(), "nobody gets in after that; `vpnpki crl refresh`".to_owned()),
        Subject::Server(name) => (format!("server {name}"), "nobody gets in there after that".to_owned()),
        Subject::Client(name) => (format!("client {name}"), format!("`vpnpki issue {name}` once it is over")),
    };
    let tense = if due.days_left < 0 { "ended" } else { "ends" };
    format!("{what} {tense} on {} ({} days); {remedy}", due.ends.date(), due.days_left)
}
