//! Signing CRLs inside a writing transaction: derived from the inventory, never shrinking, checked before recorded; and
//! with each the later ones that can be foreseen. Knows nothing of where a CRL goes.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    authority::{AuthorityError, Unlocked},
    inventory::{Certificate, Change, Event, Parameter, Reason, Revocation, SignedCrl},
    pki::{self, Crl, CrlProfile, IssuerCertificate, PrivateKey, RevokedEntry},
    serial::Serial,
    store::{Entries, View, Writing},
    time::{Time, DAY},
    validity::Validity,
};

/// What is asked of a new CRL beside whom it lists.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wishes {
    /// How long each holds; as long as the CA when none is said.
    pub days: Option<u32>,
    /// A number that was published and is not in the store.
    pub above: u64,
}

/// Signs the CRL of all that is revoked, with a number above any that was signed or published, and in its place the
/// ladder after it: one for each day on which an overlap ends, and one for each step of `crl ladder`. Records them.
/// Whoever the inventory had forgotten to be revoked is recorded again. `pending` is what the act will say in its entry.
pub(super) fn sign_crl(
    writing: &mut dyn Writing,
    unlocked: &Unlocked,
    now: Time,
    wishes: Wishes,
    pending: &[Event],
) -> Result<(SignedCrl, Vec<Event>), AuthorityError> {
    let desk = Desk { issuer: unlocked.issuer()?, key: unlocked.issuer_key(&*writing)?, unlocked, days: wishes.days };
    let last = writing.crl(unlocked.number, now)?;
    let Due { mut revoked, later, forgotten } = due(&*writing, unlocked, last.as_ref(), now, pending)?;
    let mut events = Vec::new();
    for certificate in forgotten {
        events.extend(Event::revoked(&certificate));
        writing.record(&Change::Certificate(certificate))?;
    }
    let known = writing.crls(unlocked.number)?;
    let number = known.iter().map(|crl| crl.number).max().unwrap_or(0).max(wishes.above) + 1;
    let crl = desk.sign(number, &revoked, now)?;
    let mut rungs = Vec::new();
    for due in days_ahead(now, ladder_weeks(&*writing)?, wishes.days, &later, desk.issuer.validity()) {
        for (ends, serial) in later.iter().filter(|(ends, _)| *ends <= due) {
            revoked.entry(*serial).or_insert(Revocation { at: *ends, reason: Reason::Superseded });
        }
        rungs.push(desk.sign(number + 1 + rungs.len() as u64, &revoked, due)?);
    }
    events.push(Event::signed(&crl));
    events.extend(Event::ladder(&rungs));
    writing.record(&Change::Crl(crl.clone()))?;
    if !rungs.is_empty() || known.len() > 1 {
        writing.record(&Change::Ladder(unlocked.number, rungs))?;
    }
    Ok((crl, events))
}

/// The first CRL of an issuer, which lists nobody.
pub(super) fn first_crl(
    issuer: &IssuerCertificate,
    key: &PrivateKey,
    now: Time,
    days: Option<u32>,
) -> Result<SignedCrl, AuthorityError> {
    signed(1, 1, &BTreeMap::new(), issuer, key, crl_validity(issuer.validity(), now, days), now)
}

/// For how many weeks CRLs are signed in advance.
pub(super) fn ladder_weeks(view: &dyn View) -> Result<u32, AuthorityError> {
    Ok(view.parameter(LADDER)?.and_then(|weeks| weeks.parse().ok()).unwrap_or(0))
}

/// That CRLs are signed in advance for so many weeks from now on.
pub(super) fn ladder_change(weeks: u32) -> Change {
    Change::Parameter(Parameter { name: LADDER.to_owned(), text: weeks.to_string() })
}

/// The days between two steps of a ladder of CRLs that hold for `days`: each is replaced when half of its life is over,
/// or after a week.
pub(super) fn ladder_step(days: u32) -> i64 {
    i64::from(days / 2).clamp(1, 7)
}

/// Whoever signs, and how long it holds.
struct Desk<'a> {
    issuer: &'a IssuerCertificate,
    key: PrivateKey,
    unlocked: &'a Unlocked,
    days: Option<u32>,
}

impl Desk<'_> {
    fn sign(
        &self,
        number: u64,
        revoked: &BTreeMap<Serial, Revocation>,
        due: Time,
    ) -> Result<SignedCrl, AuthorityError> {
        let validity = crl_validity(self.issuer.validity(), due, self.days);
        signed(self.unlocked.number, number, revoked, self.issuer, &self.key, validity, due)
    }
}

fn signed(
    issuer_number: u32,
    number: u64,
    revoked: &BTreeMap<Serial, Revocation>,
    issuer: &IssuerCertificate,
    key: &PrivateKey,
    validity: Validity,
    due: Time,
) -> Result<SignedCrl, AuthorityError> {
    let entries: Vec<RevokedEntry> =
        revoked.iter().map(|(&serial, &revocation)| RevokedEntry { serial, revocation }).collect();
    let der = pki::sign_crl(&CrlProfile { number, validity, signed_at: due }, &entries, issuer, key)?;
    Ok(SignedCrl { issuer: issuer_number, number, validity, entries: entries.len() as u64, due, der })
}

/// Back-dated by a day, since a clock behind ours would find it not yet valid and lock everybody out; as long as the CA
/// unless the settings say less. A CA past its end still gets a CRL that reaches into the future.
fn crl_validity(ca: Validity, due: Time, days: Option<u32>) -> Validity {
    let begin = due.plus_seconds(-DAY).max(ca.not_before());
    let end = ca.not_after();
    let wanted = days.map_or(end, |days| Validity::of_days(due, days, 0).not_after().min(end));
    let last = if wanted > due { wanted } else { due.plus_days(30) };
    Validity::new(begin, last).unwrap_or(ca)
}

/// When the CRLs after the one of `now` are due: the steps of the ladder and the ends of overlaps, while the CA lives.
fn days_ahead(now: Time, weeks: u32, days: Option<u32>, later: &[(Time, Serial)], ca: Validity) -> BTreeSet<Time> {
    let mut due: BTreeSet<Time> = later.iter().map(|(ends, _)| *ends).collect();
    if let Some(days) = days {
        let (step, last) = (ladder_step(days), i64::from(weeks) * 7);
        due.extend((1..).map(|rung| rung * step).take_while(|day| *day <= last).map(|day| now.plus_days(day)));
    }
    due.into_iter().filter(|due| *due > now && *due < ca.not_after()).collect()
}

/// What new CRLs list.
struct Due {
    revoked: BTreeMap<Serial, Revocation>,
    /// Who is accepted until an overlap ends.
    later: Vec<(Time, Serial)>,
    /// Revoked by an older CRL or the ledger, and no longer by the inventory.
    forgotten: Vec<Certificate>,
}

/// Everyone revoked by the inventory, by the newest CRL in the store or by the ledger: no entry leaves before its time,
/// whatever was done to one of the three.
fn due(
    view: &dyn View,
    unlocked: &Unlocked,
    last: Option<&SignedCrl>,
    now: Time,
    pending: &[Event],
) -> Result<Due, AuthorityError> {
    let published = last.map(|crl| crl.validity.not_before());
    let mut due = Due { revoked: BTreeMap::new(), later: Vec::new(), forgotten: Vec::new() };
    let listed = |certificate: &Certificate| {
        let revocation = certificate.refusal(now).filter(|_| certificate.belongs_on_crl(now, published))?;
        Some(Revocation { at: revocation.at.min(now), ..revocation })
    };
    view.revoked(unlocked.number, &mut |certificate| {
        due.revoked.extend(listed(&certificate).map(|revocation| (certificate.serial, revocation)));
    })?;
    view.superseded(unlocked.number, &mut |certificate| match listed(&certificate) {
        Some(revocation) => drop(due.revoked.insert(certificate.serial, revocation)),
        None => due.later.extend(certificate.overlap_ends.map(|ends| (ends, certificate.serial))),
    })?;
    let life = unlocked.issuer()?.validity();
    for noted in noted_elsewhere(view, unlocked, last, now, pending)? {
        if due.revoked.contains_key(&noted.serial) {
            continue;
        }
        let known = view.certificate(&noted.serial)?;
        let mut certificate = known.unwrap_or_else(|| unknown(life, unlocked.number, noted.serial, now));
        if let (None, Some(end)) = (&certificate.holder, noted.not_after) {
            let begin = certificate.validity.not_before().min(end);
            certificate.validity = Validity::new(begin, end).unwrap_or(certificate.validity);
        }
        let forgotten = certificate.revocation.is_none();
        certificate.revocation.get_or_insert(noted.revocation);
        due.revoked.extend(listed(&certificate).map(|revocation| (noted.serial, revocation)));
        if forgotten {
            due.forgotten.push(certificate);
        }
    }
    Ok(due)
}

/// A serial that something beside the inventory says is revoked.
struct Noted {
    serial: Serial,
    revocation: Revocation,
    not_after: Option<Time>,
}

/// Serials that the newest CRL or the ledger say are revoked, whatever the inventory says. A hold ends only by what the
/// ledger says, and never a revocation for good.
fn noted_elsewhere(
    view: &dyn View,
    unlocked: &Unlocked,
    last: Option<&SignedCrl>,
    now: Time,
    pending: &[Event],
) -> Result<Vec<Noted>, AuthorityError> {
    let mut noted: BTreeMap<Serial, Noted> = BTreeMap::new();
    let mut resumed = BTreeSet::new();
    let mut follow = |event: &Event| match *event {
        Event::Revoked { serial, not_after, revocation, .. } => {
            resumed.remove(&serial);
            note(&mut noted, Noted { serial, revocation, not_after: Some(not_after) });
        }
        Event::Superseded { serial, not_after, overlap_ends: at, .. } if at <= now => {
            let revocation = Revocation { at, reason: Reason::Superseded };
            note(&mut noted, Noted { serial, revocation, not_after: Some(not_after) });
        }
        Event::Resumed { serial, .. } => {
            resumed.insert(serial);
            if noted.get(&serial).is_some_and(|noted| noted.revocation.is_hold()) {
                noted.remove(&serial);
            }
        }
        _ => (),
    };
    view.entries(1, Entries::Revocations, &mut |stored| {
        stored.read().map(|entry| entry.events).unwrap_or_default().iter().for_each(&mut follow);
        std::ops::ControlFlow::Continue(())
    })?;
    pending.iter().for_each(&mut follow);
    if let Some(crl) = last.and_then(|last| Crl::from_der(&last.der).ok()) {
        if crl.verify(unlocked.issuer()?).is_ok() {
            let standing = |entry: &&RevokedEntry| !(entry.revocation.is_hold() && resumed.contains(&entry.serial));
            for RevokedEntry { serial, revocation } in crl.entries().iter().filter(standing) {
                note(&mut noted, Noted { serial: *serial, revocation: *revocation, not_after: None });
            }
        }
    }
    Ok(noted.into_values().collect())
}

/// What is for good stands over a hold; else what was there first.
fn note(noted: &mut BTreeMap<Serial, Noted>, new: Noted) {
    let standing = noted.get(&new.serial).is_some_and(|old| !old.revocation.is_hold() || new.revocation.is_hold());
    if !standing {
        noted.insert(new.serial, new);
    }
}

/// A certificate known by its serial only: taken to live as long as its issuer.
pub(super) fn unknown(validity: Validity, issuer: u32, serial: Serial, now: Time) -> Certificate {
    Certificate { serial, issuer, holder: None, validity, issued: now, revocation: None, overlap_ends: None }
}

/// The parameter that holds the weeks of `crl ladder`.
const LADDER: &str = "crl-ladder-weeks";
