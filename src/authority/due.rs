//! Whom a new CRL lists: everyone revoked by the inventory, by the newest CRL in the store or by the ledger. No entry leaves
//! before its time, whatever was done to one of the three. Signs nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::{
    authority::{
        listing::{fault, lacking, merged, Entries, Listing, StoredCrl},
        AuthorityError, Unlocked,
    },
    inventory::{Barred, Certificate, Digest, Event, Reason, Revocation},
    pki::RevokedEntry,
    serial::Serial,
    store::{self, StoreError, View},
    time::Time,
    validity::Validity,
};

/// What new CRLs list beside what the inventory says by itself.
pub(super) struct Due {
    now: Time,
    /// thisUpdate of the newest CRL so far.
    published: Option<Time>,
    /// Who is refused although no revocation is recorded.
    beside: BTreeMap<Serial, Revocation>,
    /// Who is accepted until an overlap ends.
    pub later: Vec<(Time, Serial)>,
    /// Revoked by an older CRL or the ledger, and no longer by the inventory.
    pub forgotten: Vec<Certificate>,
}

impl Due {
    pub(super) fn of(
        view: &dyn View,
        unlocked: &Unlocked,
        now: Time,
        pending: &[Event],
    ) -> Result<Self, AuthorityError> {
        let last = StoredCrl::newest(view, unlocked.number, now)?;
        let published = last.map(|crl| crl.facts.validity.not_before());
        let mut due = Self { now, published, beside: BTreeMap::new(), later: Vec::new(), forgotten: Vec::new() };
        view.superseded(unlocked.number, &mut |certificate| match due.on_crl(&certificate.barred()) {
            Some(revocation) => drop(due.beside.insert(certificate.serial, revocation)),
            None => due.later.extend(certificate.overlap_ends.map(|ends| (ends, certificate.serial))),
        })?;
        let life = unlocked.issuer()?.validity();
        for noted in noted_elsewhere(view, unlocked, last, now, pending)? {
            due.take(&noted, view, life, unlocked.number)?;
        }
        Ok(due)
    }

    /// What the CRL lists, in the order of serials: read once those who were forgotten are recorded again.
    pub(super) fn listed<'a>(&'a self, view: &'a dyn View, issuer: u32) -> Entries<'a> {
        let entry = |barred: Barred| {
            let revocation = self.on_crl(&barred)?;
            Some(RevokedEntry { serial: barred.serial, revocation })
        };
        let recorded = pages(move |after, most| view.revoked_after(issuer, after, most));
        let recorded = recorded.filter_map(move |barred| barred.map(entry).transpose());
        let beside = self.beside.iter().map(|(&serial, &revocation)| RevokedEntry { serial, revocation });
        merged(Box::new(recorded), beside.collect())
    }

    fn on_crl(&self, barred: &Barred) -> Option<Revocation> {
        let revocation = barred.on_crl(self.now, self.published)?;
        Some(Revocation { at: revocation.at.min(self.now), ..revocation })
    }

    /// One that something beside the inventory says is revoked.
    fn take(&mut self, noted: &Noted, view: &dyn View, life: Validity, issuer: u32) -> Result<(), AuthorityError> {
        let known = view.certificate(&noted.serial)?;
        if known.as_ref().is_some_and(|known| known.issuer == issuer && self.on_crl(&known.barred()).is_some()) {
            return Ok(());
        }
        let mut certificate = known.unwrap_or_else(|| unknown(life, issuer, noted.serial, self.now));
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
) -> Result<Vec<Noted>, AuthorityError> {
    let listing = match last.map(|last| last.listing(Some(unlocked.issuer()?))).transpose() {
        Err(error @ AuthorityError::Store(_)) => return Err(error),
        listing => listing.ok().flatten(),
    };
    let vouched = last.zip(listing.as_ref()).map(|(last, listing)| vouched(view, unlocked, &last, listing));
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
    let from = vouched.transpose()?.flatten().unwrap_or(1);
    view.entries(from, store::Entries::Revocations, &mut |stored| {
        stored.read().map(|entry| entry.events).unwrap_or_default().iter().for_each(&mut follow);
        std::ops::ControlFlow::Continue(())
    })?;
    pending.iter().for_each(&mut follow);
    if let Some(listing) = listing {
        let recorded = pages(|after, most| view.revoked_serials_after(unlocked.number, after, most));
        for entry in lacking(listing.entries()?, recorded) {
            let RevokedEntry { serial, revocation } = entry?;
            if !(revocation.is_hold() && resumed.contains(&serial)) {
                note(&mut noted, Noted { serial, revocation, not_after: None });
            }
        }
    }
    Ok(noted.into_values().collect())
}

/// The ledger entry that names the hash of this CRL and was written with this vault.
fn vouched(
    view: &dyn View,
    unlocked: &Unlocked,
    crl: &StoredCrl,
    listing: &Listing,
) -> Result<Option<u64>, AuthorityError> {
    let (issuer, number) = (unlocked.number, crl.facts.number);
    let Some(stored) = view.crl_entry(issuer, number)?.map(|seq| view.entry(seq)).transpose()?.flatten() else {
        return Ok(None);
    };
    let proven = stored.mac.is_some_and(|mac| unlocked.vault.verify_mac(&stored.hash.0, &mac.0));
    let Some(entry) = stored.read().ok().filter(|_| proven) else { return Ok(None) };
    for event in &entry.events {
        let named = match *event {
            Event::CrlSigned { number: signed, sha256, .. } => signed == number && listing.sha256 == Some(sha256),
            Event::LadderSigned { first, last, sha256, .. } if (first..=last).contains(&number) => {
                let rungs = view.crls(issuer)?.into_iter().filter(|rung| (first..=last).contains(&rung.number));
                let all = StoredCrl::in_a_row(view, issuer, rungs);
                Digest::of_reader(all).map_err(fault)? == sha256
            }
            _ => false,
        };
        if named {
            return Ok(Some(stored.seq));
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

/// Rows of a store by serial, a page at a time.
struct Pages<T, F> {
    next: F,
    page: VecDeque<T>,
    last: Option<Serial>,
    ended: bool,
}

/// Whoever is after this serial, and no more than so many.
fn pages<T, F>(next: F) -> Pages<T, F>
where
    F: FnMut(Option<&Serial>, usize) -> Result<Vec<T>, StoreError>,
{
    Pages { next, page: VecDeque::new(), last: None, ended: false }
}

impl<T: HasSerial, F> Iterator for Pages<T, F>
where
    F: FnMut(Option<&Serial>, usize) -> Result<Vec<T>, StoreError>,
{
    type Item = Result<T, AuthorityError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.is_empty() && !self.ended {
            match (self.next)(self.last.as_ref(), PAGE) {
                Ok(page) => {
                    self.ended = page.len() < PAGE;
                    self.last = page.last().map(HasSerial::serial);
                    self.page = page.into();
                }
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error.into()));
                }
            }
        }
        self.page.pop_front().map(Ok)
    }
}

/// What is in the order of serials.
trait HasSerial {
    fn serial(&self) -> Serial;
}

impl HasSerial for Serial {
    fn serial(&self) -> Serial {
        *self
    }
}

impl HasSerial for Barred {
    fn serial(&self) -> Serial {
        self.serial
    }
}

/// How many rows are in memory at a time.
const PAGE: usize = 4096;
