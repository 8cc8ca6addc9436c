//! Whom a new CRL lists: everyone revoked by the inventory, by the newest CRL in the store or by the ledger. No entry leaves
//! before its time, whatever was done to one of the three. Signs nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read,
    ops::ControlFlow,
};

use crate::{
    authority::{
        listing::{fault, Listing, StoredCrl},
        AuthorityError, Unlocked,
    },
    inventory::{Barred, Certificate, Digest, Event, Reason, Revocation},
    pki::{CrlError, CrlStream, Passed, RevokedEntry, SignError, StreamError},
    serial::Serial,
    store::{self, BySerial, CrlFacts, StoreError, View},
    time::Time,
    validity::Validity,
};

/// What new CRLs list beside what the inventory says by itself.
pub(super) struct Due {
    issuer: u32,
    now: Time,
    /// thisUpdate of the newest CRL so far.
    published: Option<Time>,
    /// That CRL and the hash it must have, where it is still to be held against the inventory.
    last: Option<(CrlFacts, Digest)>,
    /// Who is refused although no revocation is recorded.
    beside: BTreeMap<Serial, Revocation>,
    /// Who is accepted until an overlap ends.
    pub later: Vec<(Time, Serial)>,
    /// Revoked by an older CRL or the ledger, and no longer by the inventory.
    pub forgotten: Vec<Certificate>,
}

/// Whoever the entries of a list are handed over to.
pub(super) type Take<'a> = dyn FnMut(RevokedEntry) -> Result<(), Unlisted> + 'a;

/// Why a list was not handed over to its end.
pub(super) enum Unlisted {
    /// The newest CRL is not the one that the ledger names, or knows more than the inventory does.
    Unusual,
    /// Anything else.
    Failed(AuthorityError),
}

impl From<Unlisted> for AuthorityError {
    fn from(unlisted: Unlisted) -> Self {
        match unlisted {
            Unlisted::Unusual => CrlError::Unreadable.into(),
            Unlisted::Failed(error) => error,
        }
    }
}

impl Due {
    /// Where an entry of the ledger that was written with this vault names the hash of the newest CRL, that CRL lists all
    /// that the ledger said before. Then it is enough to read it once, beside the inventory, while the new one is made:
    /// whether it has that hash, and nobody whom the inventory does not know to be revoked, shows at its end. None where
    /// there is more to it.
    pub fn usual(
        view: &dyn View,
        unlocked: &Unlocked,
        now: Time,
        pending: &[Event],
    ) -> Result<Option<Self>, AuthorityError> {
        let last = StoredCrl::newest(view, unlocked.number, now)?;
        let voucher = last.map(|last| voucher(view, unlocked, &last)).transpose()?.flatten();
        let Some((last, voucher)) = last.zip(voucher) else { return Ok(None) };
        let Some(sha256) = voucher.hash_of(last.facts.number) else { return Ok(None) };
        let noted = noted_by_ledger(view, voucher.seq, now, pending)?.all;
        let due = Self::with(view, unlocked, now, Some(last), noted)?;
        Ok(due.forgotten.is_empty().then_some(Self { last: Some((last.facts, sha256)), ..due }))
    }

    /// The same in every case.
    pub fn of(view: &dyn View, unlocked: &Unlocked, now: Time, pending: &[Event]) -> Result<Self, AuthorityError> {
        let last = StoredCrl::newest(view, unlocked.number, now)?;
        let noted = noted_elsewhere(view, unlocked, last, now, pending)?;
        Self::with(view, unlocked, now, last, noted)
    }

    fn with(
        view: &dyn View,
        unlocked: &Unlocked,
        now: Time,
        last: Option<StoredCrl>,
        noted: BTreeMap<Serial, Noted>,
    ) -> Result<Self, AuthorityError> {
        let published = last.map(|crl| crl.facts.validity.not_before());
        let (issuer, beside, later, forgotten) = (unlocked.number, BTreeMap::new(), Vec::new(), Vec::new());
        let mut due = Self { issuer, now, published, last: None, beside, later, forgotten };
        view.superseded(issuer, &mut |certificate| match due.on_crl(&certificate.barred()) {
            Some(revocation) => drop(due.beside.insert(certificate.serial, revocation)),
            None => due.later.extend(certificate.overlap_ends.map(|ends| (ends, certificate.serial))),
        })?;
        let life = unlocked.issuer()?.validity();
        noted.into_values().try_for_each(|noted| due.take(&noted, view, life))?;
        Ok(due)
    }

    /// Hands over what the CRL lists, in the order of serials; once those who were forgotten are recorded again.
    pub fn list(&self, view: &dyn View, take: &mut Take<'_>) -> Result<(), Unlisted> {
        let mut beside =
            self.beside.iter().map(|(&serial, &revocation)| RevokedEntry { serial, revocation }).peekable();
        let last = self.last.map(|(last, sha256)| (StoredCrl::laid_down(view, self.issuer, last), sha256));
        let mut last = last.map(|(last, sha256)| Along::new(&last, sha256)).transpose()?;
        let order = if last.is_some() { BySerial::Octets } else { BySerial::Number };
        recorded(view, self.issuer, order, &mut |barred| {
            last.as_mut().map_or(Ok(()), |last| last.pass(barred.serial))?;
            while let Some(entry) = beside.next_if(|entry| entry.serial < barred.serial) {
                take(entry)?;
            }
            beside.next_if(|entry| entry.serial == barred.serial);
            match self.on_crl(&barred) {
                Some(revocation) => take(RevokedEntry { serial: barred.serial, revocation }),
                None => Ok(()),
            }
        })?;
        beside.try_for_each(take)?;
        last.map_or(Ok(()), Along::finish)
    }

    fn on_crl(&self, barred: &Barred) -> Option<Revocation> {
        let revocation = barred.on_crl(self.now, self.published)?;
        Some(Revocation { at: revocation.at.min(self.now), ..revocation })
    }

    /// One that something beside the inventory says is revoked.
    fn take(&mut self, noted: &Noted, view: &dyn View, life: Validity) -> Result<(), AuthorityError> {
        let known = view.certificate(&noted.serial)?;
        if known.as_ref().is_some_and(|known| known.issuer == self.issuer && self.on_crl(&known.barred()).is_some()) {
            return Ok(());
        }
        let mut certificate = known.unwrap_or_else(|| unknown(life, self.issuer, noted.serial, self.now));
        if let (None, Some(end)) = (&certificate.holder, noted.not_after) {
            let begin = certificate.validity.not_before().min(end);
            certificate.validity = Validity::new(begin, end).unwrap_or(certificate.validity);
        }
        let forgotten = certificate.revocation.is_none();
        certificate.revocation.get_or_insert(noted.revocation);
        self.beside.extend(self.on_crl(&certificate.barred()).map(|revocation| (noted.serial, revocation)));
        if forgotten {
            self.forgotten.push(certificate);
        }
        Ok(())
    }
}

/// The newest CRL, read beside the inventory.
struct Along<'a> {
    stream: CrlStream<'static, Box<dyn Read + 'a>>,
    sha256: Digest,
    /// The serial that was passed last.
    passed: Option<Serial>,
}

impl<'a> Along<'a> {
    fn new(crl: &StoredCrl<'a>, sha256: Digest) -> Result<Self, Unlisted> {
        Ok(Self { stream: CrlStream::open(crl.der(), None)?, sha256, passed: None })
    }

    /// Passes one whom the inventory knows to be revoked.
    fn pass(&mut self, serial: Serial) -> Result<(), Unlisted> {
        // serials of several lengths are not in the order of numbers here
        if self.passed.replace(serial).is_some_and(|passed| passed >= serial) {
            return Err(Unlisted::Unusual);
        }
        match self.stream.pass(&serial)? {
            Passed::Not(Some(next)) if next < serial => Err(Unlisted::Unusual),
            Passed::Not(_) | Passed::It => Ok(()),
        }
    }

    fn finish(mut self) -> Result<(), Unlisted> {
        let somebody_else = self.stream.entry()?.is_some();
        let same = self.stream.finish()?.sha256 == self.sha256.0;
        (same && !somebody_else).then_some(()).ok_or(Unlisted::Unusual)
    }
}

impl From<AuthorityError> for Unlisted {
    fn from(error: AuthorityError) -> Self {
        Self::Failed(error)
    }
}

impl From<SignError> for Unlisted {
    fn from(error: SignError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<StoreError> for Unlisted {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

/// What is wrong with the newest CRL in the store is no fault of the new one.
impl From<StreamError> for Unlisted {
    fn from(_: StreamError) -> Self {
        Self::Unusual
    }
}

/// Visits whoever the inventory knows to be revoked; the first error ends it.
fn recorded<E: From<StoreError>>(
    view: &dyn View,
    issuer: u32,
    order: BySerial,
    visit: &mut dyn FnMut(Barred) -> Result<(), E>,
) -> Result<(), E> {
    let mut outcome = Ok(());
    view.revoked(issuer, order, &mut |barred| {
        outcome = visit(barred);
        if outcome.is_ok() {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })?;
    outcome
}

/// A serial that something beside the inventory says is revoked.
struct Noted {
    serial: Serial,
    revocation: Revocation,
    not_after: Option<Time>,
}

/// Serials that the newest CRL or the ledger say are revoked, whatever the inventory says. A hold ends only by what the
/// ledger says, and never a revocation for good.
///
/// A CRL was signed of all that the ledger said until then. So where an entry of the ledger that was written with this vault
/// names the hash of the CRL in the store, only that entry and those after it can say more. Where none does, as after the
/// CRL was damaged, taken out or exchanged, the ledger is read from its beginning. From the CRL only those are noted whom the
/// inventory does not know to be revoked, which a walk along both finds.
fn noted_elsewhere(
    view: &dyn View,
    unlocked: &Unlocked,
    last: Option<StoredCrl>,
    now: Time,
    pending: &[Event],
) -> Result<BTreeMap<Serial, Noted>, AuthorityError> {
    let listing = match last.map(|last| last.listing(Some(unlocked.issuer()?))).transpose() {
        Err(error @ AuthorityError::Store(_)) => return Err(error),
        listing => listing.ok().flatten(),
    };
    let vouched = last.zip(listing.as_ref()).map(|(last, listing)| vouched(view, unlocked, &last, listing));
    let from = vouched.transpose()?.flatten().unwrap_or(1);
    let mut noted = noted_by_ledger(view, from, now, pending)?;
    if let Some(listing) = listing {
        for RevokedEntry { serial, revocation } in unrecorded(view, unlocked.number, &listing)? {
            if !(revocation.is_hold() && noted.resumed.contains(&serial)) {
                note(&mut noted.all, Noted { serial, revocation, not_after: None });
            }
        }
    }
    Ok(noted.all)
}

/// The entries of a list whom the inventory does not know to be revoked.
fn unrecorded(view: &dyn View, issuer: u32, listing: &Listing) -> Result<Vec<RevokedEntry>, AuthorityError> {
    let (mut listed, mut found) = (listing.entries()?.peekable(), Vec::new());
    recorded(view, issuer, BySerial::Number, &mut |barred| {
        let serial = barred.serial;
        while let Some(entry) = listed.next_if(|entry| entry.as_ref().map_or(true, |entry| entry.serial <= serial)) {
            found.extend(entry.map(|entry| (entry.serial != serial).then_some(entry))?);
        }
        Ok::<(), AuthorityError>(())
    })?;
    listed.try_for_each(|entry| entry.map(|entry| found.push(entry)))?;
    Ok(found)
}

/// What the ledger says.
struct NotedByLedger {
    all: BTreeMap<Serial, Noted>,
    /// Whose hold was ended.
    resumed: BTreeSet<Serial>,
}

/// What the ledger says from an entry on, and the act that will write the next one.
fn noted_by_ledger(view: &dyn View, from: u64, now: Time, pending: &[Event]) -> Result<NotedByLedger, AuthorityError> {
    let (mut noted, mut resumed) = (BTreeMap::new(), BTreeSet::new());
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
            if noted.get(&serial).is_some_and(|noted: &Noted| noted.revocation.is_hold()) {
                noted.remove(&serial);
            }
        }
        _ => (),
    };
    view.entries(from, store::Entries::Revocations, &mut |stored| {
        stored.read().map(|entry| entry.events).unwrap_or_default().iter().for_each(&mut follow);
        ControlFlow::Continue(())
    })?;
    pending.iter().for_each(&mut follow);
    Ok(NotedByLedger { all: noted, resumed })
}

/// An entry of the ledger that was written with this vault.
struct Voucher {
    seq: u64,
    events: Vec<Event>,
}

impl Voucher {
    /// The hash of a CRL that was signed with it.
    fn hash_of(&self, crl: u64) -> Option<Digest> {
        self.events.iter().find_map(|event| match *event {
            Event::CrlSigned { number, sha256, .. } if number == crl => Some(sha256),
            _ => None,
        })
    }
}

/// The entry with which a CRL was recorded.
fn voucher(view: &dyn View, unlocked: &Unlocked, crl: &StoredCrl) -> Result<Option<Voucher>, AuthorityError> {
    let recorded = view.crl_entry(unlocked.number, crl.facts.number)?.map(|seq| view.entry(seq)).transpose()?;
    let Some(stored) = recorded.flatten() else { return Ok(None) };
    let proven = stored.mac.is_some_and(|mac| unlocked.vault.verify_mac(&stored.hash.0, &mac.0));
    Ok(stored.read().ok().filter(|_| proven).map(|entry| Voucher { seq: stored.seq, events: entry.events }))
}

/// The ledger entry that names the hash of this CRL and was written with this vault.
fn vouched(
    view: &dyn View,
    unlocked: &Unlocked,
    crl: &StoredCrl,
    listing: &Listing,
) -> Result<Option<u64>, AuthorityError> {
    let Some(voucher) = voucher(view, unlocked, crl)? else { return Ok(None) };
    let (issuer, number) = (unlocked.number, crl.facts.number);
    let signed = voucher.hash_of(number);
    if signed.is_some() && signed == listing.sha256 {
        return Ok(Some(voucher.seq));
    }
    for event in &voucher.events {
        if let Event::LadderSigned { first, last, sha256, .. } = *event {
            let rungs = view.crls(issuer)?.into_iter().filter(|rung| (first..=last).contains(&rung.number));
            let all = StoredCrl::in_a_row(view, issuer, rungs);
            if (first..=last).contains(&number) && Digest::of_reader(all).map_err(fault)? == sha256 {
                return Ok(Some(voucher.seq));
            }
        }
    }
    Ok(None)
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
