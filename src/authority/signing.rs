//! Signing CRLs inside a writing transaction: derived from the inventory, never shrinking, checked before recorded; and
//! with each the later ones that can be foreseen. Knows nothing of where a CRL goes.

use std::collections::BTreeSet;

use crate::{
    authority::{
        due::{Due, Take, Unlisted},
        listing::{fault, merged, StoredCrl},
        AuthorityError, Unlocked,
    },
    inventory::{Change, Digest, Event, Parameter, Reason, Revocation, SignedCrl},
    pki::{self, CrlProfile, IssuerCertificate, PrivateKey, RevokedEntry, Shelf, TakePart},
    serial::Serial,
    store::{CrlFacts, View, Writing},
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
) -> Result<(CrlFacts, Vec<Event>), AuthorityError> {
    keep_memory();
    let issuer = unlocked.issuer()?;
    let (key, number) = (&unlocked.issuer_key(&*writing)?, unlocked.number);
    let known = writing.crls(number)?;
    let first = known.iter().map(|crl| crl.number).max().unwrap_or(0).max(wishes.above) + 1;
    let desk = Desk { issuer, key, number, days: wishes.days };
    let mut events = Vec::new();
    let usual = Due::usual(&*writing, unlocked, now, pending)?.map(|due| desk.sign_due(&*writing, first, due, now));
    let (crl, sha256, later) = match usual.transpose() {
        Ok(Some(signed)) => signed,
        Err(Unlisted::Failed(error)) => return Err(error),
        Ok(None) | Err(Unlisted::Unusual) => {
            let due = Due::of(&*writing, unlocked, now, pending)?;
            for certificate in &due.forgotten {
                events.extend(Event::revoked(certificate));
                writing.record(&Change::Certificate(certificate.clone()))?;
            }
            desk.sign_due(writing, first, due, now)?
        }
    };
    let mut rungs = Vec::new();
    for day in days_ahead(now, ladder_weeks(&*writing)?, wishes.days, &later, issuer.validity()) {
        rungs.push(desk.sign_foreseen(writing, first + 1 + rungs.len() as u64, crl, &later, day)?);
    }
    events.push(Event::CrlSigned { number: crl.number, validity: crl.validity, entries: crl.entries, sha256 });
    events.extend(desk.ladder(writing, &rungs)?);
    writing.record_crl(number, &crl)?;
    if !rungs.is_empty() || known.len() > 1 {
        writing.record_ladder(number, &rungs)?;
    }
    Ok((crl, events))
}

/// A buffer of some hundred kilobytes is taken and given back for each part of a list and for each comparison of its key.
/// The allocator of glibc asks the kernel for each, and every page comes and goes, until a larger one was given back: then it
/// keeps up to twice that (mallopt(3), `M_MMAP_THRESHOLD`). Nothing is written to this one, so it costs no memory.
fn keep_memory() {
    let mut large = Vec::<u8>::new();
    // where there is so little memory, none is to be kept
    let _ = large.try_reserve_exact(KEPT);
    drop(std::hint::black_box(large));
}

/// The first CRL of an issuer, which lists nobody.
pub(super) fn first_crl(
    issuer: &IssuerCertificate,
    key: &PrivateKey,
    now: Time,
    days: Option<u32>,
) -> Result<SignedCrl, AuthorityError> {
    let (number, validity) = (1, crl_validity(issuer.validity(), now, days));
    let der = pki::sign_crl(&CrlProfile { number, validity, signed_at: now }, &[], issuer, key)?;
    Ok(SignedCrl { issuer: 1, number, validity, entries: 0, due: now, der })
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

/// Whoever signs, and for how long it holds.
struct Desk<'a> {
    issuer: &'a IssuerCertificate,
    key: &'a PrivateKey,
    number: u32,
    days: Option<u32>,
}

/// Whose access ends later.
type Later = Vec<(Time, Serial)>;

impl Desk<'_> {
    /// Signs the CRL of now.
    fn sign_due(
        &self,
        writing: &dyn Writing,
        number: u64,
        due: Due,
        now: Time,
    ) -> Result<(CrlFacts, Digest, Later), Unlisted> {
        let (crl, sha256) = self.sign(writing, number, |take| due.list(writing, take), now)?;
        Ok((crl, sha256, due.later))
    }

    /// Signs one that is due on a later day: it lists all that the one of now lists, and whose overlap is over by then.
    fn sign_foreseen(
        &self,
        writing: &dyn Writing,
        number: u64,
        now: CrlFacts,
        later: &Later,
        day: Time,
    ) -> Result<CrlFacts, AuthorityError> {
        let over = |&(at, serial): &(Time, Serial)| RevokedEntry {
            serial,
            revocation: Revocation { at, reason: Reason::Superseded },
        };
        let mut over: Vec<RevokedEntry> = later.iter().filter(|(ends, _)| *ends <= day).map(over).collect();
        over.sort_by_key(|entry| entry.serial);
        over.dedup_by_key(|entry| entry.serial);
        let now = StoredCrl::laid_down(writing, self.number, now);
        let mut entries = merged(now.listing(None)?.entries()?, over);
        Ok(self.sign(writing, number, |take| entries.try_for_each(|entry| take(entry?)), day)?.0)
    }

    /// Lays a CRL down in the store; its SHA-256 beside it.
    fn sign(
        &self,
        writing: &dyn Writing,
        number: u64,
        entries: impl FnOnce(&mut Take<'_>) -> Result<(), Unlisted>,
        due: Time,
    ) -> Result<(CrlFacts, Digest), Unlisted> {
        let validity = crl_validity(self.issuer.validity(), due, self.days);
        let profile = CrlProfile { number, validity, signed_at: due };
        let drawer = Drawer { writing, issuer: self.number, number };
        writing.begin_crl(self.number, number)?;
        let sum = pki::sign_crl_in_parts(&profile, entries, self.issuer, self.key, &drawer)?;
        Ok((CrlFacts { number, validity, entries: sum.entries, due }, Digest(sum.sha256)))
    }

    /// That these CRLs were signed in advance; none when there are none.
    fn ladder(&self, writing: &dyn Writing, rungs: &[CrlFacts]) -> Result<Option<Event>, AuthorityError> {
        let (Some(first), Some(last)) = (rungs.first(), rungs.last()) else { return Ok(None) };
        let all = StoredCrl::in_a_row(writing, self.number, rungs.iter().copied());
        let sha256 = Digest::of_reader(all).map_err(fault)?;
        let (first, until) = (first.number, last.validity.not_after());
        Ok(Some(Event::LadderSigned { first, last: last.number, until, sha256 }))
    }
}

/// Where the parts of one CRL lie in the store.
struct Drawer<'a> {
    writing: &'a dyn Writing,
    issuer: u32,
    number: u64,
}

impl Shelf for Drawer<'_> {
    type Error = Unlisted;

    fn put(&self, part: u32, der: &[u8]) -> Result<(), Unlisted> {
        Ok(self.writing.put_crl_part(self.issuer, self.number, part, der)?)
    }

    fn get(&self, from: u32, take: &mut TakePart<'_>) -> Result<(), Unlisted> {
        Ok(self.writing.crl_parts(self.issuer, self.number, from, take)?)
    }
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

/// What makes the allocator keep twice as much.
const KEPT: usize = 4 << 20;

/// The parameter that holds the weeks of `crl ladder`.
const LADDER: &str = "crl-ladder-weeks";
