//! `revoke` and `crl refresh`: who may no longer connect is recorded, a CRL says so, every target gets it.
//! Depends on nothing else: neither on other settings and templates nor on a store in perfect order.

use serde::Serialize;

use crate::{
    authority::{
        publishing::{Published, Skipped},
        signing, trust, Authority, AuthorityError, Keyholder, Unlocked,
    },
    files,
    inventory::{Certificate, Change, Event, Reason, Revocation, Role, Status},
    name::Name,
    serial::Serial,
    settings::{Keep, PublishMode, Publishing},
    store::{View, Writing},
    time::Time,
};

/// Whose access ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A peer: every certificate of it that is still accepted.
    Peer(Name),
    /// One certificate.
    Serial(Serial),
}

/// What `revoke` is asked to do.
#[derive(Debug)]
pub struct Revocations {
    /// Whose access ends.
    pub subjects: Vec<Subject>,
    /// Why.
    pub reason: Reason,
    /// Leave the targets alone.
    pub no_publish: bool,
    /// Stop before anything changes.
    pub dry_run: bool,
}

/// What `revoke` did.
#[derive(Debug, Serialize)]
pub struct Revoked {
    /// Whether anything new was recorded.
    pub changed: bool,
    /// The certificates that are refused from now on.
    pub revoked: Vec<RevokedCertificate>,
    /// Those that were refused before.
    pub already: Vec<RevokedCertificate>,
    /// The new CRL; none when nothing was signed.
    pub crl: Option<CrlSummary>,
    /// Why no CRL could be signed although one was due.
    pub unsigned: Option<String>,
    /// Where it went.
    pub published: Published,
    /// How long a live session may go on at most, in seconds: reneg-sec + tran-window of the server.
    pub live_session_seconds: u32,
    /// What people should know.
    pub warnings: Vec<String>,
}

/// One revoked certificate.
#[derive(Debug, Serialize, Clone)]
pub struct RevokedCertificate {
    /// Whose, when known.
    pub name: Option<Name>,
    /// Its role, when known.
    pub role: Option<Role>,
    /// Its serial.
    pub serial: Serial,
    /// Since when and why.
    #[serde(flatten)]
    pub revocation: Revocation,
}

/// A CRL in a report.
#[derive(Debug, Serialize, Clone, PartialEq, Eq)]
pub struct CrlSummary {
    /// Its number.
    pub number: u64,
    /// How many serials it lists.
    pub entries: u64,
    /// thisUpdate.
    pub this_update: Time,
    /// nextUpdate.
    pub next_update: Time,
}

impl Authority {
    /// Ends access. What was recorded stands, whatever happens to publishing.
    pub fn revoke(&self, request: &Revocations, keyholder: &dyn Keyholder) -> Result<Revoked, AuthorityError> {
        let (publishing, mut warnings) = self.publishing();
        let view = self.view()?;
        let (due, already) = sort_out(&*view, &request.subjects, self.now())?;
        // where this cannot be told, signing once more does no harm
        let behind = self.behind(&*view, &publishing, &already).unwrap_or(true);
        drop(view);
        let mut outcome = Revoked {
            changed: !due.is_empty(),
            revoked: summaries(&due, Some(Revocation { at: self.now(), reason: request.reason })),
            already: summaries(&already, None),
            crl: None,
            unsigned: None,
            published: Published::default(),
            live_session_seconds: publishing.lockout_seconds(),
            warnings: Vec::new(),
        };
        if request.dry_run {
            outcome.changed = false;
            outcome.warnings = warnings;
            return Ok(outcome);
        }
        if !due.is_empty() || behind {
            let signed = self.record_revocations(request, keyholder, &publishing, &mut warnings)?;
            outcome.crl = signed.crl;
            outcome.unsigned = signed.unsigned;
            outcome.changed = true;
        }
        outcome.published = self.publish_unless(request.no_publish, &publishing);
        warn_of_servers(&outcome.revoked, &mut warnings);
        outcome.warnings = warnings;
        Ok(outcome)
    }

    /// Signs a new CRL of what is revoked and publishes it.
    pub fn refresh_crl(&self, no_publish: bool, keyholder: &dyn Keyholder) -> Result<Revoked, AuthorityError> {
        let (publishing, mut warnings) = self.publishing();
        let request = Revocations { subjects: Vec::new(), reason: Reason::Unspecified, no_publish, dry_run: false };
        let signed = self.record_revocations(&request, keyholder, &publishing, &mut warnings)?;
        if let Some(why) = signed.unsigned {
            return Err(AuthorityError::Unsigned(why));
        }
        Ok(Revoked {
            changed: true,
            revoked: Vec::new(),
            already: Vec::new(),
            crl: signed.crl,
            unsigned: None,
            published: self.publish_unless(no_publish, &publishing),
            live_session_seconds: publishing.lockout_seconds(),
            warnings,
        })
    }

    /// Whether a new CRL is due although nobody new is revoked.
    fn behind(
        &self,
        view: &dyn View,
        publishing: &Publishing,
        already: &[Certificate],
    ) -> Result<bool, AuthorityError> {
        Ok(!self.newer_crls(view, publishing)?.is_empty() || !listed(view, already)?)
    }

    /// What was recorded stands, so a failure here is part of the outcome.
    fn publish_unless(&self, asked: bool, publishing: &Publishing) -> Published {
        let skipped = match (asked, publishing.mode) {
            (true, _) => Skipped::Asked,
            (false, PublishMode::Manual) => Skipped::Manual,
            (false, PublishMode::Auto) => {
                let problem =
                    |error: AuthorityError| Published { problem: Some(error.to_string()), ..Published::default() };
                return self.publish(publishing).unwrap_or_else(problem);
            }
        };
        Published { number: self.crl_number().unwrap_or(0), skipped: Some(skipped), ..Published::default() }
    }

    fn crl_number(&self) -> Result<u64, AuthorityError> {
        let view = self.view()?;
        Ok(view.crl_facts(view.issuer()?.number)?.map_or(0, |crl| crl.number))
    }

    fn record_revocations(
        &self,
        request: &Revocations,
        keyholder: &dyn Keyholder,
        publishing: &Publishing,
        warnings: &mut Vec<String>,
    ) -> Result<Signed, AuthorityError> {
        let unlocked = self.unlock(&*self.view()?, keyholder)?;
        let mut writing = self.begin()?;
        let now = self.now();
        let problems = trust::check(&*writing, &unlocked.vault, &[])?;
        let mut events = self.take_over(&mut *writing, &unlocked, publishing, warnings)?;
        let above = highest(&events);
        let (due, _) = sort_out(&*writing, &request.subjects, now)?;
        let keep = self.keep_keys();
        for certificate in due {
            let revocation = Revocation { at: now, reason: request.reason };
            events.extend(record(&mut *writing, certificate, revocation, keep)?);
        }
        let signed = match signing::sign_crl(&mut *writing, &unlocked, now, publishing.crl_days, above) {
            Ok((crl, signed)) => {
                events.extend(signed);
                Signed { crl: Some(CrlSummary::of(&crl)), unsigned: None }
            }
            // a replaced CA must not keep the revocation from being recorded
            Err(error) if error.is_foreign_ca() => Signed { crl: None, unsigned: Some(error.to_string()) },
            Err(error) => return Err(error),
        };
        let operation = if request.subjects.is_empty() { "crl refresh" } else { "revoke" };
        self.commit(writing, operation, events, !problems.is_empty(), Some(&unlocked))?;
        warnings.extend(problems.iter().map(|problem| format!("the store is not what was written: {problem}")));
        Ok(signed)
    }

    /// Serials that a published CRL of ours lists and the store does not, since it was put back.
    pub(super) fn take_over(
        &self,
        writing: &mut dyn Writing,
        unlocked: &Unlocked,
        publishing: &Publishing,
        warnings: &mut Vec<String>,
    ) -> Result<Vec<Event>, AuthorityError> {
        let mut events = Vec::new();
        // a CA that is none has signed nothing
        let Ok(issuer) = unlocked.issuer() else { return Ok(events) };
        for newer in self.newer_crls(&*writing, publishing)? {
            let mut learned = 0;
            for entry in newer.crl.entries() {
                let known = writing.certificate(&entry.serial)?;
                let certificate = known
                    .unwrap_or_else(|| signing::unknown(issuer.validity(), unlocked.number, entry.serial, self.now()));
                if certificate.revocation.is_none() {
                    learned += 1;
                    events.extend(record(writing, certificate, entry.revocation, Keep::Always)?);
                }
            }
            let number = newer.crl.number().unwrap_or(0);
            warnings.push(format!(
                "`{}` has CRL {number}, newer than the store's: the store was put back; {learned} revocations were taken over from it",
                files::shown(&newer.dir)
            ));
            let dir = newer.dir.display().to_string();
            events.push(Event::RolledBack { dir, number, learned });
        }
        Ok(events)
    }
}

impl CrlSummary {
    pub(super) fn of(crl: &crate::inventory::SignedCrl) -> Self {
        Self {
            number: crl.number,
            entries: crl.entries,
            this_update: crl.validity.not_before(),
            next_update: crl.validity.not_after(),
        }
    }
}

struct Signed {
    crl: Option<CrlSummary>,
    unsigned: Option<String>,
}

/// The highest number of the newer CRLs that were taken over; zero when there were none.
pub(super) fn highest(events: &[Event]) -> u64 {
    let number = |event: &Event| match event {
        Event::RolledBack { number, .. } => *number,
        _ => 0,
    };
    events.iter().map(number).max().unwrap_or(0)
}

fn record(
    writing: &mut dyn Writing,
    certificate: Certificate,
    revocation: Revocation,
    keep: Keep,
) -> Result<Option<Event>, AuthorityError> {
    let serial = certificate.serial;
    let certificate = Certificate { revocation: Some(revocation), ..certificate };
    let event = Event::revoked(&certificate);
    writing.record(&Change::Certificate(certificate))?;
    if keep != Keep::Always && writing.sealed_key(&serial)?.is_some() {
        writing.record(&Change::SealedKey(serial, None))?;
    }
    Ok(event)
}

/// What is to be revoked and what is revoked already. A name that does not exist stops the call before anything is done.
fn sort_out(
    view: &dyn View,
    subjects: &[Subject],
    now: Time,
) -> Result<(Vec<Certificate>, Vec<Certificate>), AuthorityError> {
    let (mut due, mut already): (Vec<Certificate>, Vec<Certificate>) = (Vec::new(), Vec::new());
    for subject in subjects {
        for certificate in certificates_of(view, subject, now)? {
            let list = if certificate.revocation.is_none() { &mut due } else { &mut already };
            if !list.iter().any(|listed| listed.serial == certificate.serial) {
                list.push(certificate);
            }
        }
    }
    Ok((due, already))
}

/// Of a peer: all that is still accepted, or the newest when nothing is.
fn certificates_of(view: &dyn View, subject: &Subject, now: Time) -> Result<Vec<Certificate>, AuthorityError> {
    match subject {
        Subject::Serial(serial) => Ok(vec![view.certificate(serial)?.ok_or(AuthorityError::UnknownSerial(*serial))?]),
        Subject::Peer(name) => {
            super::known_peer(view, name)?;
            let mut all = view.certificates_of(name)?;
            let newest = all.pop();
            let mut accepted: Vec<Certificate> =
                all.into_iter().filter(|certificate| certificate.status(now) == Status::Valid).collect();
            accepted.extend(newest);
            Ok(accepted)
        }
    }
}

/// Whether the newest CRL lists all of them, as far as they still belong on one.
fn listed(view: &dyn View, certificates: &[Certificate]) -> Result<bool, AuthorityError> {
    if certificates.is_empty() {
        return Ok(true);
    }
    let (_, crl) = super::publishing::newest(view)?;
    let crl = crate::pki::Crl::from_der(&crl.der)?;
    let serials: std::collections::HashSet<Serial> = crl.entries().iter().map(|entry| entry.serial).collect();
    let published = Some(crl.validity().not_before());
    Ok(certificates.iter().all(|certificate| {
        serials.contains(&certificate.serial) || !certificate.belongs_on_crl(crl.validity().not_before(), published)
    }))
}

fn summaries(certificates: &[Certificate], revocation: Option<Revocation>) -> Vec<RevokedCertificate> {
    let summary = |certificate: &Certificate| {
        let holder = certificate.holder.as_ref();
        Some(RevokedCertificate {
            name: holder.map(|holder| holder.name.clone()),
            role: holder.map(|holder| holder.role),
            serial: certificate.serial,
            revocation: certificate.revocation.or(revocation)?,
        })
    };
    certificates.iter().filter_map(summary).collect()
}

fn warn_of_servers(revoked: &[RevokedCertificate], warnings: &mut Vec<String>) {
    for name in revoked.iter().filter(|one| one.role == Some(Role::Server)).filter_map(|one| one.name.as_ref()) {
        warnings.push(format!(
            "clients accept the server certificate of `{name}` until it ends, since nobody carries a CRL to them; \
             only a new `server.name-prefix` and `vpnpki export --all --force` keep them away from it"
        ));
    }
}
