//! `revoke`, `suspend`, `resume` and `crl refresh`: who may no longer connect is recorded, a CRL says so, every target
//! gets it. Depends on nothing else: neither on other settings and templates nor on a store in perfect order.

use std::collections::HashSet;

use serde::Serialize;

use crate::{
    authority::{
        due,
        publishing::{list_form, NewerCrl, Published, Skipped},
        signing::{self, Wishes},
        trust,
        unlock::{vault_recipient, VAULT_RECIPIENT},
        verdict::{certificates_of, record, record_overlaps, refuse_vain, Subject, Verdict},
        Authority, AuthorityError, Keyholder, Unlocked,
    },
    files,
    findings::target::large_list,
    inventory::{Certificate, Event, Reason, Revocation, Role},
    name::Name,
    serial::Serial,
    settings::{Keep, PublishMode, Publishing},
    store::{CrlFacts, View, Writing},
    time::Time,
};

/// What `revoke`, `suspend` and `resume` are asked to do.
#[derive(Debug)]
pub struct Revocations {
    /// Whose access ends.
    pub subjects: Vec<Subject>,
    /// How.
    pub verdict: Verdict,
    /// For how many weeks CRLs are signed in advance from now on, where that changes.
    pub ladder: Option<u32>,
    /// Leave the targets alone.
    pub no_publish: bool,
    /// Stop before anything changes.
    pub dry_run: bool,
}

/// What `revoke`, `suspend` or `resume` did.
#[derive(Debug, Serialize)]
pub struct Revoked {
    /// Whether anything new was recorded.
    pub changed: bool,
    /// The certificates that are refused from now on, or accepted again.
    pub revoked: Vec<RevokedCertificate>,
    /// Those that stood so before.
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
    /// Since when and why; none where nothing refuses it.
    #[serde(flatten)]
    pub revocation: Option<Revocation>,
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
        let (due, already) = sort_out(&*view, request, self.now())?;
        let due: Vec<Certificate> = due.into_iter().flatten().collect();
        // where this cannot be told, signing once more does no harm
        let behind = due.is_empty() && self.behind(&*view, &publishing, &already).unwrap_or(true);
        drop(view);
        let mut outcome = Revoked {
            changed: !due.is_empty(),
            revoked: summaries(&due, |certificate| request.verdict.revocation(self.now()).or(certificate.revocation)),
            already: summaries(&already, |certificate| certificate.refusal(self.now())),
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
        outcome.warn_of_length(&publishing);
        Ok(outcome)
    }

    /// Signs a new CRL of what is revoked and publishes it.
    pub fn refresh_crl(&self, no_publish: bool, keyholder: &dyn Keyholder) -> Result<Revoked, AuthorityError> {
        let unlocked = self.unlock(&*self.view()?, keyholder)?;
        self.refresh_with(no_publish, None, &unlocked)
    }

    /// The same with the vault open; `ladder` says for how many weeks CRLs are signed in advance from now on.
    pub(super) fn refresh_with(
        &self,
        no_publish: bool,
        ladder: Option<u32>,
        unlocked: &Unlocked,
    ) -> Result<Revoked, AuthorityError> {
        let (publishing, mut warnings) = self.publishing();
        let request = Revocations { ladder, ..Revocations::nobody(no_publish) };
        let signed = self.record_with(&request, unlocked, &publishing, &mut warnings)?;
        if let Some(why) = signed.unsigned {
            return Err(AuthorityError::Unsigned(why));
        }
        let mut outcome = Revoked {
            changed: true,
            revoked: Vec::new(),
            already: Vec::new(),
            crl: signed.crl,
            unsigned: None,
            published: self.publish_unless(no_publish, &publishing),
            live_session_seconds: publishing.lockout_seconds(),
            warnings,
        };
        outcome.warn_of_length(&publishing);
        Ok(outcome)
    }

    /// What every act does that has the vault open anyway: an overlap that is over is recorded, and a CRL of which half
    /// of its life is gone is replaced. A failure is a warning: it is not what was asked for.
    pub(super) fn tend(&self, unlocked: &Unlocked, publishing: &Publishing, warnings: &mut Vec<String>) {
        let tended = self.needs_tending(unlocked).and_then(|needed| {
            if !needed {
                return Ok(());
            }
            let signed = self.record_with(&Revocations::nobody(false), unlocked, publishing, warnings)?;
            self.publish_quietly(publishing, warnings);
            signed.unsigned.map_or(Ok(()), |why| Err(AuthorityError::Unsigned(why)))
        });
        if let Err(error) = tended {
            warnings.push(format!(
                "the CRL was due to be signed anew, and was not: {error}; `vpnpki crl refresh` tries again"
            ));
        }
    }

    /// The same for acts that read no settings of their own; what people should know of it.
    pub(super) fn tended(&self, unlocked: &Unlocked) -> Vec<String> {
        let mut warnings = Vec::new();
        self.tend(unlocked, &self.publishing().0, &mut warnings);
        warnings
    }

    fn needs_tending(&self, unlocked: &Unlocked) -> Result<bool, AuthorityError> {
        let (view, now) = (self.view()?, self.now());
        let crls = view.crls(unlocked.number)?;
        let stale = crls.last().is_some_and(|last| {
            let signed = crls.first().map_or(last.due, |first| first.due);
            let half = now.unix() - signed.unix() > last.validity.not_after().unix() - now.unix();
            let ends_before_ca =
                unlocked.issuer().is_ok_and(|ca| last.validity.not_after() < ca.validity().not_after());
            half && ends_before_ca
        });
        Ok(stale || view.overlap_is_over(unlocked.number, now)?)
    }

    /// Whether a new CRL is due although nobody new is revoked.
    fn behind(
        &self,
        view: &dyn View,
        publishing: &Publishing,
        already: &[Certificate],
    ) -> Result<bool, AuthorityError> {
        Ok(!self.newer_crls(view, publishing)?.is_empty() || !listed(view, already, self.now())?)
    }

    /// What was recorded stands, so a failure here is part of the outcome.
    pub(super) fn publish_unless(&self, asked: bool, publishing: &Publishing) -> Published {
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
        Ok(view.crl_facts(view.issuer()?.number, self.now())?.map_or(0, |crl| crl.number))
    }

    fn record_revocations(
        &self,
        request: &Revocations,
        keyholder: &dyn Keyholder,
        publishing: &Publishing,
        warnings: &mut Vec<String>,
    ) -> Result<Signed, AuthorityError> {
        let unlocked = self.unlock(&*self.view()?, keyholder)?;
        self.record_with(request, &unlocked, publishing, warnings)
    }

    fn record_with(
        &self,
        request: &Revocations,
        unlocked: &Unlocked,
        publishing: &Publishing,
        warnings: &mut Vec<String>,
    ) -> Result<Signed, AuthorityError> {
        let mut writing = self.begin()?;
        let now = self.now();
        let problems = trust::check(&*writing, &unlocked.vault, &[])?;
        let mut events = self.take_over(&mut *writing, unlocked, publishing, warnings)?;
        let above = highest(&events);
        let (due, _) = sort_out(&*writing, request, now)?;
        let keep = self.keep_keys();
        if writing.parameter(VAULT_RECIPIENT)?.is_none() {
            // a store of format 1 has none
            writing.record(&vault_recipient(&unlocked.vault))?;
        }
        if let Some(weeks) = request.ladder {
            writing.record(&signing::ladder_change(weeks))?;
            events.push(Event::LadderSet { weeks });
        }
        events.extend(record_overlaps(&mut *writing, unlocked, now, keep)?);
        let (operation, mismatch) = (request.operation(), !problems.is_empty());
        for (number, group) in due.into_iter().enumerate() {
            if number > 0 {
                // an entry for each name, so that the ledger tells of each by itself
                self.append(&mut *writing, operation, std::mem::take(&mut events), mismatch, Some(unlocked))?;
            }
            for certificate in group {
                events.extend(request.verdict.record(&mut *writing, certificate, now, keep)?);
            }
        }
        let wishes = Wishes { days: publishing.crl_days, above };
        let signed = match signing::sign_crl(&mut *writing, unlocked, now, wishes, &events) {
            Ok((crl, signed)) => {
                events.extend(signed);
                Signed { crl: Some(CrlSummary::of(&crl)), unsigned: None }
            }
            // a replaced CA must not keep the revocation from being recorded
            Err(error) if error.is_foreign_ca() => Signed { crl: None, unsigned: Some(error.to_string()) },
            Err(error) => return Err(error),
        };
        self.commit(writing, operation, events, mismatch, Some(unlocked))?;
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
        // a CA that is none has signed nothing
        if unlocked.issuer().is_err() {
            return Ok(Vec::new());
        }
        let newer = self.newer_crls(&*writing, publishing)?;
        self.take_over_from(writing, unlocked, newer, warnings)
    }

    /// The same for CRLs that were found already.
    pub(super) fn take_over_from(
        &self,
        writing: &mut dyn Writing,
        unlocked: &Unlocked,
        newer: Vec<NewerCrl>,
        warnings: &mut Vec<String>,
    ) -> Result<Vec<Event>, AuthorityError> {
        let (mut events, issuer) = (Vec::new(), unlocked.issuer()?);
        for newer in newer {
            let mut learned = 0;
            for entry in newer.crl.entries() {
                let known = writing.certificate(&entry.serial)?;
                let certificate =
                    known.unwrap_or_else(|| due::unknown(issuer.validity(), unlocked.number, entry.serial, self.now()));
                let ends_a_hold = |refusal: Revocation| refusal.is_hold() && !entry.revocation.is_hold();
                if certificate.refusal(self.now()).is_none_or(ends_a_hold) {
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

impl Revoked {
    /// A list that has become too long for one file is worth knowing whenever it is signed.
    fn warn_of_length(&mut self, publishing: &Publishing) {
        let entries = self.crl.as_ref().map_or(0, |crl| crl.entries);
        let form = list_form(&self.published.targets, publishing);
        self.warnings.extend(large_list(entries, form).map(|found| format!("{} {}", found.subject, found.why)));
    }
}

impl CrlSummary {
    pub(super) fn of(crl: &CrlFacts) -> Self {
        Self {
            number: crl.number,
            entries: crl.entries,
            this_update: crl.validity.not_before(),
            next_update: crl.validity.not_after(),
        }
    }
}

impl Revocations {
    /// A new CRL, and nobody new on it.
    fn nobody(no_publish: bool) -> Self {
        let verdict = Verdict::Revoke(Reason::Unspecified);
        Self { subjects: Vec::new(), verdict, ladder: None, no_publish, dry_run: false }
    }

    fn operation(&self) -> &'static str {
        match self.verdict {
            _ if self.ladder.is_some() => "crl ladder",
            _ if self.subjects.is_empty() => "crl refresh",
            Verdict::Revoke(_) => "revoke",
            Verdict::Suspend => "suspend",
            Verdict::Resume => "resume",
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

/// What there is to do, for each subject by itself, and what stands so already. A name that does not exist stops the call
/// before anything is done, and so does one of whom this cannot be asked.
fn sort_out(
    view: &dyn View,
    request: &Revocations,
    now: Time,
) -> Result<(Vec<Vec<Certificate>>, Vec<Certificate>), AuthorityError> {
    let (mut due, mut already): (Vec<Vec<Certificate>>, Vec<Certificate>) = (Vec::new(), Vec::new());
    for subject in &request.subjects {
        let mut group = Vec::new();
        for certificate in certificates_of(view, subject, now)? {
            let seen = |listed: &Certificate| listed.serial == certificate.serial;
            if due.iter().flatten().chain(&already).any(seen) {
                continue;
            }
            if request.verdict.applies_to(&certificate, now) {
                group.push(certificate);
            } else {
                already.push(certificate);
            }
        }
        if group.is_empty() {
            already.last().map_or(Ok(()), |certificate| refuse_vain(request.verdict, certificate, now))?;
        } else {
            due.push(group);
        }
    }
    Ok((due, already))
}

/// Whether the newest CRL lists all of them that are refused, as far as they still belong on one.
fn listed(view: &dyn View, certificates: &[Certificate], now: Time) -> Result<bool, AuthorityError> {
    if certificates.is_empty() {
        return Ok(true);
    }
    let (_, listing) = super::publishing::newest(view, now)?;
    let wanted: HashSet<Serial> = certificates.iter().map(|certificate| certificate.serial).collect();
    let mut serials = HashSet::new();
    for entry in listing.entries()? {
        serials.extend(Some(entry?.serial).filter(|serial| wanted.contains(serial)));
    }
    let signed = listing.validity.not_before();
    Ok(certificates
        .iter()
        .all(|certificate| serials.contains(&certificate.serial) || !certificate.belongs_on_crl(signed, Some(signed))))
}

fn summaries(
    certificates: &[Certificate],
    revocation: impl Fn(&Certificate) -> Option<Revocation>,
) -> Vec<RevokedCertificate> {
    let summary = |certificate: &Certificate| {
        let holder = certificate.holder.as_ref();
        RevokedCertificate {
            name: holder.map(|holder| holder.name.clone()),
            role: holder.map(|holder| holder.role),
            serial: certificate.serial,
            revocation: revocation(certificate),
        }
    };
    certificates.iter().map(summary).collect()
}

fn warn_of_servers(revoked: &[RevokedCertificate], warnings: &mut Vec<String>) {
    for name in revoked.iter().filter(|one| one.role == Some(Role::Server)).filter_map(|one| one.name.as_ref()) {
        warnings.push(format!(
            "clients accept the server certificate of `{name}` until it ends, since nobody carries a CRL to them; \
             only a new `server.name-prefix` and `vpnpki export --all --force` keep them away from it"
        ));
    }
}
