//! What `status` shows: the facts of one snapshot, what is due, and both as a screen for people.
//! Reads nothing secret.

use std::{fmt, ops::ControlFlow, path::PathBuf};

use serde::Serialize;

use crate::{
    authority::{
        publishing::{list_form, Reached},
        Authority, AuthorityError,
    },
    cli::{report::Report, Exit, Failure},
    files,
    findings::target::large_list,
    inventory::{
        due::{covering, Due, Subject, Thresholds},
        Certificate, Peer, Role, Status,
    },
    name::{escape, Name},
    pki::IssuerCertificate,
    serial::Serial,
    settings::PublishMode,
    store::{Census, CrlFacts, View},
    time::Time,
    validity::Validity,
};

/// The facts of one snapshot and what is due.
#[derive(Serialize)]
pub(super) struct Screen {
    pub dir: PathBuf,
    /// Which authority, and when it was looked at.
    #[serde(skip)]
    pub id: String,
    #[serde(skip)]
    pub now: Time,
    pub ca: Ca,
    pub servers: Vec<Server>,
    pub crl: Crl,
    pub targets: Vec<Reached>,
    pub clients: Clients,
    /// Renewed certificates that are still accepted, by the end of their overlap.
    pub superseded: Vec<Overlap>,
    /// How many entries the ledger has.
    pub ledger_entries: u64,
    pub due: Vec<Due>,
    /// What is due and has no date.
    pub problems: Vec<String>,
    /// What is worth knowing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    pub warnings: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct Ca {
    pub name: String,
    pub not_after: Time,
    pub days_left: i64,
}

#[derive(Serialize)]
pub(super) struct Server {
    pub name: String,
    #[serde(skip)]
    pub serial: Serial,
    pub status: Status,
    pub not_after: Time,
    pub days_left: i64,
}

#[derive(Serialize)]
pub(super) struct Crl {
    pub number: u64,
    pub entries: u64,
    pub this_update: Time,
    pub next_update: Time,
    pub days_left: i64,
    /// How many were signed in advance.
    pub in_advance: u64,
    /// Until when servers have a current one, if those signed in advance are published in time.
    pub coverage_ends: Time,
}

#[derive(Serialize)]
pub(super) struct Overlap {
    pub name: Option<Name>,
    pub serial: Serial,
    pub accepted_until: Time,
}

/// The end of a client's access that nothing but time takes away.
pub(super) struct ClientEnd {
    pub name: Name,
    pub serial: Serial,
    pub not_after: Time,
}

#[derive(Serialize)]
pub(super) struct Clients {
    pub valid: u64,
    pub expired: u64,
    pub revoked: u64,
    pub suspended: u64,
}

impl Screen {
    pub fn of(authority: &Authority) -> Result<Self, Failure> {
        let (publishing, warnings) = authority.publishing();
        let (view, now, thresholds) = (authority.view()?, authority.now(), publishing.due);
        let facts = view.issuer()?;
        let issuer = IssuerCertificate::parse(&facts.certificate)?;
        let crls = view.crls(facts.number)?;
        let row = coverage(&crls);
        let current = view.crl_facts(facts.number, now)?.ok_or(AuthorityError::NoCrl)?;
        let mut due: Vec<Due> = thresholds.ca(issuer.validity(), now).into_iter().collect();
        due.extend(thresholds.crl(&row, issuer.validity(), now));
        let servers = view.servers()?;
        due.extend(due_peers(&*view, thresholds, &servers, now)?);
        let servers: Vec<Server> = servers.iter().map(|(_, current)| Server::of(current, now)).collect();
        let targets = authority.targets(&*view, &publishing)?;
        let mut problems = Vec::new();
        if targets.is_empty() && publishing.mode == PublishMode::Auto && publishing.after.is_none() {
            problems.push(no_target(servers.first().map_or("server", |server| &server.name)));
        }
        problems.extend(not_reached(authority, &*view, &targets, now)?);
        let head = view.head()?;
        let suspect = head.as_ref().and_then(|head| head.read().ok()).is_some_and(|entry| entry.suspect);
        problems
            .extend(suspect.then(|| "the store is not what was written: `vpnpki log verify` shows what".to_owned()));
        let not_after = issuer.validity().not_after();
        let large = large_list(current.entries, list_form(&targets, &publishing));
        let notes = large.iter().map(|found| format!("{} {}", found.subject, found.why)).collect();
        Ok(Self {
            dir: authority.dir().to_owned(),
            id: view.identity()?.id,
            now,
            ca: Ca { name: issuer.common_name(), not_after, days_left: now.days_until(not_after) },
            servers,
            crl: Crl::of(current, &crls, covering(&row, now), now),
            targets,
            clients: Clients::of(&view.census(now)?),
            superseded: overlaps(&*view, facts.number, now)?,
            ledger_entries: head.map_or(0, |head| head.seq),
            due,
            problems,
            notes,
            warnings,
        })
    }
}

/// From when on each CRL is to be published, and when it holds.
pub(in crate::cli) fn coverage(crls: &[CrlFacts]) -> Vec<(Time, Validity)> {
    crls.iter().map(|crl| (crl.due, crl.validity)).collect()
}

/// Whose certificate is due, by name: those that end about now, and servers that have long ended.
fn due_peers(
    view: &dyn View,
    thresholds: Thresholds,
    servers: &[(Peer, Certificate)],
    now: Time,
) -> Result<Vec<Due>, Failure> {
    let (from, until) = thresholds.window(now);
    let mut ending = view.ending(from, until)?;
    ending.extend(servers.iter().filter(|(_, current)| current.validity.not_after() < from).cloned());
    ending.sort_by_cached_key(|(peer, _)| peer.name.folded());
    Ok(ending.iter().filter_map(|(_, current)| thresholds.certificate(current, now)).collect())
}

/// Every client that has access, by name.
pub(super) fn client_ends(view: &dyn View, now: Time) -> Result<Vec<ClientEnd>, Failure> {
    let mut ends = Vec::new();
    view.peers(&mut |peer, certificate| {
        if peer.role == Role::Client && certificate.is_accepted(now) {
            let (serial, not_after) = (certificate.serial, certificate.validity.not_after());
            ends.push(ClientEnd { name: peer.name, serial, not_after });
        }
        ControlFlow::Continue(())
    })?;
    Ok(ends)
}

fn overlaps(view: &dyn View, issuer: u32, now: Time) -> Result<Vec<Overlap>, Failure> {
    let mut overlaps = Vec::new();
    view.superseded(issuer, &mut |certificate| {
        if let Some(accepted_until) = certificate.overlap_ends.filter(|_| certificate.is_accepted(now)) {
            let name = certificate.holder.map(|holder| holder.name);
            overlaps.push(Overlap { name, serial: certificate.serial, accepted_until });
        }
    })?;
    Ok(overlaps)
}

fn no_target(server: &str) -> String {
    format!("no server knows the CRL: `vpnpki export {server} --publish -o DIR` or `vpnpki crl publish --add DIR`")
}

/// Targets without the CRL of now, and whom their servers still let in.
fn not_reached(authority: &Authority, view: &dyn View, targets: &[Reached], now: Time) -> Result<Vec<String>, Failure> {
    let mut problems = Vec::new();
    for target in targets.iter().filter(|target| !target.reached()) {
        let why = target.problem.as_deref().unwrap_or("it has an older CRL; `vpnpki crl publish` mends it");
        let let_in = still_let_in(view, &authority.let_in(view, target)?, now)?;
        let still = let_in.map(|whom| format!("; until then it lets in {whom}")).unwrap_or_default();
        problems.push(format!("{}: {why}{still}", files::shown(&target.dir)));
    }
    Ok(problems)
}

/// The first of those whom a server lets in although they are refused, and how many more there are.
pub(in crate::cli) fn still_let_in(view: &dyn View, serials: &[Serial], now: Time) -> Result<Option<String>, Failure> {
    let mut named = Vec::new();
    for serial in serials.iter().take(NAMED) {
        let certificate = view.certificate(serial)?;
        let who = certificate.as_ref().and_then(|found| found.holder.as_ref()).map(|holder| holder.name.to_string());
        let since = certificate.as_ref().and_then(|found| found.refusal(now)).map(|refusal| {
            let what = if refusal.reason == crate::inventory::Reason::Superseded { "overlap ended" } else { "revoked" };
            format!(" ({what} {})", refusal.at.date())
        });
        named.push(format!("{}{}", who.unwrap_or_else(|| format!("serial:{serial}")), since.unwrap_or_default()));
    }
    let more = serials.len().saturating_sub(NAMED);
    let and_more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Ok((!named.is_empty()).then(|| format!("{}{and_more}", named.join(", "))))
}

impl Server {
    fn of(certificate: &Certificate, now: Time) -> Self {
        let not_after = certificate.validity.not_after();
        Self {
            name: certificate.holder.as_ref().map_or_else(String::new, |holder| holder.name.to_string()),
            serial: certificate.serial,
            status: certificate.status(now),
            not_after,
            days_left: now.days_until(not_after),
        }
    }
}

impl Crl {
    fn of(crl: CrlFacts, all: &[CrlFacts], covered: Option<Validity>, now: Time) -> Self {
        let later = all.iter().filter(|other| other.due > now && other.number > crl.number).count();
        Self {
            number: crl.number,
            entries: crl.entries,
            this_update: crl.validity.not_before(),
            next_update: crl.validity.not_after(),
            days_left: now.days_until(crl.validity.not_after()),
            in_advance: later as u64,
            coverage_ends: covered.unwrap_or(crl.validity).not_after(),
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
        if crl.in_advance > 0 {
            let (many, until) = (crl.in_advance, crl.coverage_ends.date());
            writeln!(f, "         {many} signed in advance: until {until}, with `vpnpki crl publish` on a timer")?;
        }
        for target in &self.targets {
            let state = if target.reached() { "has it" } else { "does NOT have it" };
            writeln!(f, "         {} {state}", files::shown(&target.dir))?;
        }
        let Clients { valid, expired, revoked, suspended } = self.clients;
        writeln!(f, "clients  {valid} valid, {expired} expired, {revoked} revoked, {suspended} suspended")?;
        for overlap in self.superseded.iter().take(NAMED) {
            let name = overlap.name.as_ref().map_or("-", Name::as_str);
            writeln!(f, "overlap  {name}, the old certificate is accepted until {}", overlap.accepted_until.date())?;
        }
        if let Some(more @ 1..) = self.superseded.len().checked_sub(NAMED) {
            writeln!(f, "         and {more} more")?;
        }
        for due in &self.due {
            writeln!(f, "DUE      {}", sentence(due))?;
        }
        self.problems.iter().try_for_each(|problem| writeln!(f, "DUE      {problem}"))?;
        self.notes.iter().try_for_each(|note| writeln!(f, "note     {note}"))
    }
}

fn sentence(due: &Due) -> String {
    let (what, remedy) = match &due.what {
        Subject::Ca => ("the CA".to_owned(), "nobody gets in after that".to_owned()),
        Subject::Crl => ("the CRL".to_owned(), "nobody gets in after that; `vpnpki crl refresh`".to_owned()),
        Subject::Server(name) => {
            (format!("server {name}"), format!("nobody gets in there after that; `vpnpki renew {name}`"))
        }
        Subject::Client(name) => (format!("client {name}"), format!("`vpnpki renew {name}`")),
    };
    let tense = if due.days_left < 0 { "ended" } else { "ends" };
    format!("{what} {tense} on {} ({} days); {remedy}", due.ends.date(), due.days_left)
}

/// How many names are said before the rest is counted.
const NAMED: usize = 5;
