//! Facts for `doctor`: from the store, the settings and the PKI directory, each handed to the rule that judges it.
//! Judges nothing itself.

use std::{collections::BTreeSet, ops::ControlFlow, path::Path};

use super::{servers, strays};
use crate::{
    authority::{publishing::Reached, trust, Authority, AuthorityError, CurrentBundles},
    cli::{session::Session, status::screen::coverage, Failure},
    files::{self, DirectoryFault},
    findings::{
        self,
        lockout::{self, Lockout},
        place, Finding, Severity,
    },
    inventory::{Certificate, Role},
    name::Name,
    pki::IssuerCertificate,
    serial::Serial,
    settings::{Publishing, Settings},
    store::View,
    time::Time,
    validity::Validity,
};

/// What was found, in no order.
pub struct Found {
    pub at: Time,
    pub until: Time,
    pub lockouts: Vec<Lockout>,
    pub findings: Vec<Finding>,
}

/// One authority, looked at once.
pub(super) struct Look<'a> {
    pub authority: &'a Authority,
    pub view: &'a dyn View,
    pub publishing: Publishing,
    pub issuer: IssuerCertificate,
    pub issuer_number: u32,
    /// How every target stands.
    pub targets: Vec<Reached>,
    /// The CRLs of the store, from when on each is due.
    pub crls: Vec<(Time, Validity)>,
    /// By the clock.
    pub now: Time,
    /// As of when it is asked.
    pub at: Time,
    /// How far it looks ahead.
    pub until: Time,
}

pub fn everything(session: &Session, at: Option<Time>, within: u32, deep: bool) -> Result<Found, Failure> {
    let (authority, faults) = Authority::look(&session.dir(), session.actor())?;
    let view = authority.view()?;
    let facts = view.issuer()?;
    let now = authority.now();
    let at = at.unwrap_or(now);
    let (publishing, _) = authority.publishing();
    let look = Look {
        authority: &authority,
        view: &*view,
        targets: authority.targets(&*view, &publishing)?,
        crls: coverage(&view.crls(facts.number)?),
        publishing,
        issuer: IssuerCertificate::parse(&facts.certificate)?,
        issuer_number: facts.number,
        now,
        at,
        until: at.plus_days(i64::from(within)),
    };
    let mut findings: Vec<Finding> = faults.iter().map(|fault| directory(authority.dir(), fault)).collect();
    findings.extend(look.place()?);
    findings.extend(look.ledger(deep)?);
    let current = look.settings(&mut findings);
    let mut found = servers::look(&look)?;
    findings.append(&mut found.findings);
    let mut lockouts = lockout::everybody(look.issuer.validity(), &found.gates, look.at, look.until);
    look.peers(current, &found.let_in, &mut lockouts, &mut findings)?;
    Ok(Found { at, until: look.until, lockouts, findings })
}

/// A fault for which every other command refuses.
fn directory(dir: &Path, fault: &DirectoryFault) -> Finding {
    let path = files::shown(fault.path().unwrap_or(dir));
    let why = format!("{fault}; every other command refuses");
    Finding { mend: fault.mend(), ..Finding::new("directory", Severity::Due, path, why) }
}

impl Look<'_> {
    /// The clock, the ways into the vault, and exported files near by.
    fn place(&self) -> Result<Vec<Finding>, Failure> {
        let newest = self.view.head()?.and_then(|head| head.gist().ok()).map(|entry| entry.at);
        let mut found: Vec<Finding> = place::clock(newest, self.now).into_iter().collect();
        let key = self.authority.dir().join("vault.key");
        found.extend(files::exists(&key)?.then(|| place::vault_key(&files::shown(&key))));
        found.extend(place::single_unlocker(self.view.unlockers()?.len()));
        let served: Vec<&Path> = self.targets.iter().map(|target| target.dir.as_path()).collect();
        let near = strays::near(self.authority.dir(), &served, &self.issuer.pem())?;
        found.extend(near.iter().map(place::stray));
        Ok(found)
    }

    /// Whether store and ledger agree, where that is not too much to read, and what was not looked at.
    fn ledger(&self, deep: bool) -> Result<Vec<Finding>, Failure> {
        let suspect = self.view.head()?.and_then(|head| head.gist().ok()).is_some_and(|entry| entry.suspect);
        let finding = |severity, why: String| Finding::new("ledger", severity, "the store", why);
        let many = self.view.totals()?.certificates;
        if many > SMALL && !deep {
            let skipped =
                format!("{many} certificates were not held against the ledger; `vpnpki doctor --deep` does it");
            let mut found = vec![finding(Severity::Note, skipped)];
            let known = "is not what was written: `vpnpki log verify` shows what".to_owned();
            found.extend(suspect.then(|| finding(Severity::Due, known)));
            return Ok(found);
        }
        let problems = trust::verify(self.view, None)?.problems;
        if problems.is_empty() {
            let why =
                "fits its ledger as far as hashes tell; with the vault `vpnpki log verify` also checks who wrote it";
            return Ok(vec![finding(Severity::Note, why.to_owned())]);
        }
        let mend = "vpnpki log verify";
        Ok(problems.into_iter().map(|problem| finding(Severity::Due, problem).mend(mend)).collect())
    }

    /// Faults and notes of settings and templates; what bundles are made of now, where they can be made.
    fn settings(&self, findings: &mut Vec<Finding>) -> Option<CurrentBundles> {
        let settings = match self.authority.settings() {
            Ok(settings) => settings,
            Err(AuthorityError::Settings(faults)) => {
                findings.extend(faults.faults.iter().map(|fault| {
                    let place = format!("{}:{}", faults.file, fault.line);
                    let field = if fault.field.is_empty() { String::new() } else { format!("{}: ", fault.field) };
                    Finding::new("settings", Severity::Check, place, format!("{field}{}", fault.what))
                }));
                return None;
            }
            Err(error) => {
                findings.push(Finding::new("settings", Severity::Check, "vpnpki.toml", error.to_string()));
                return None;
            }
        };
        findings.extend(notes(&settings, &self.publishing));
        match self.authority.current_bundles(self.view, settings) {
            Ok(current) => Some(current),
            Err(error) => {
                findings.push(Finding::new("template", Severity::Check, "templates", error.to_string()));
                None
            }
        }
    }

    /// Everyone's ends, and whose bundle is older than the settings.
    fn peers(
        &self,
        current: Option<CurrentBundles>,
        let_in: &[(String, BTreeSet<Serial>)],
        lockouts: &mut Vec<Lockout>,
        findings: &mut Vec<Finding>,
    ) -> Result<(), Failure> {
        let thresholds = self.publishing.due;
        let ca = self.issuer.validity();
        findings.extend(thresholds.ca(ca, self.at).iter().map(findings::ending));
        findings.extend(thresholds.crl(&self.crls, ca, self.at).iter().map(findings::ending));
        let (mut stale, mut stale_total) = (Vec::new(), 0);
        self.view.peers(&mut |peer, certificate| {
            findings.extend(thresholds.certificate(&certificate, self.at).iter().map(findings::ending));
            if peer.role == Role::Client {
                lockouts.extend(self.client(&peer.name, &certificate, let_in));
            }
            let made = peer.bundle.filter(|_| certificate.is_accepted(self.now));
            if made.zip(current).is_some_and(|(made, current)| made != current.of(peer.role)) {
                stale_total += 1;
                if stale.len() < NAMED {
                    stale.push(peer.name.to_string());
                }
            }
            ControlFlow::Continue(())
        })?;
        findings.extend(place::stale_bundles(&stale, stale_total));
        self.view.superseded(self.issuer_number, &mut |old| lockouts.extend(self.overlap(&old, let_in)))?;
        Ok(())
    }

    /// A client at all servers. One that does not have the CRL of now lets in whom it does not name; when none has it,
    /// the client is out only by dates.
    fn client(&self, name: &Name, certificate: &Certificate, let_in: &[(String, BTreeSet<Serial>)]) -> Option<Lockout> {
        let open = let_in.iter().filter(|(_, serials)| serials.contains(&certificate.serial));
        let open: Vec<&str> = open.map(|(dir, _)| dir.as_str()).collect();
        if !open.is_empty() && open.len() == let_in.len() {
            let unnoticed = Certificate { revocation: None, overlap_ends: None, ..certificate.clone() };
            return lockout::client(name, &unnoticed, self.at, self.until);
        }
        let mut row = lockout::client(name, certificate, self.at, self.until)?;
        if !open.is_empty() {
            row.why = format!("{}; but let in at {}", row.why, open.join(", "));
        }
        Some(row)
    }

    /// The holder of an old bundle, when its overlap ends or has just ended.
    fn overlap(&self, old: &Certificate, let_in: &[(String, BTreeSet<Serial>)]) -> Option<Lockout> {
        let holder = old.holder.as_ref().filter(|holder| holder.role == Role::Client)?;
        self.client(&holder.name, old, let_in).filter(|row| row.since.days_until(self.at) <= LISTED_DAYS)
    }
}

/// What is allowed and may surprise, and what is not prepared.
fn notes(settings: &Settings, publishing: &Publishing) -> Vec<Finding> {
    let note = |text: &String| Finding::new("settings", Severity::Note, "vpnpki.toml", text.clone());
    let mut found: Vec<Finding> = settings.notes.iter().map(note).collect();
    if publishing.servers.is_empty() {
        let why =
            "no management interface is set (`management` under `[server]`), so `--kick` cannot end live sessions";
        found.push(Finding::new("management", Severity::Note, "vpnpki.toml", why));
    }
    found
}

/// Up to so many certificates everything is held against the ledger each time: well under a second.
const SMALL: u64 = 5000;

/// How many names a finding says before it counts.
const NAMED: usize = 5;

/// Days for which an old bundle that has ended is still worth a line.
const LISTED_DAYS: i64 = 30;
