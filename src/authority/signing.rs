//! Signing CRLs inside a writing transaction: derived from the inventory, never shrinking, checked before recorded.
//! Knows nothing of where a CRL goes.

use std::collections::BTreeMap;

use crate::{
    authority::{AuthorityError, Unlocked},
    inventory::{Certificate, Change, Event, Revocation, SignedCrl},
    pki::{self, Crl, CrlProfile, IssuerCertificate, PrivateKey, RevokedEntry},
    serial::Serial,
    store::{Entries, View, Writing},
    time::{Time, DAY},
    validity::Validity,
};

/// Signs the CRL of all that is revoked, with a number `above` any that was published, and records it. Whoever the
/// inventory had forgotten to be revoked is recorded again. The last event is the CRL's.
pub(super) fn sign_crl(
    writing: &mut dyn Writing,
    unlocked: &Unlocked,
    now: Time,
    days: Option<u32>,
    above: u64,
) -> Result<(SignedCrl, Vec<Event>), AuthorityError> {
    let (issuer, key) = (unlocked.issuer()?, unlocked.issuer_key(&*writing)?);
    let last = writing.crl(unlocked.number)?;
    let Due { revoked, forgotten } = due(&*writing, unlocked, last.as_ref(), now)?;
    let mut events = Vec::new();
    for certificate in forgotten {
        events.extend(Event::revoked(&certificate));
        writing.record(&Change::Certificate(certificate))?;
    }
    let number = last.as_ref().map_or(0, |crl| crl.number).max(above) + 1;
    let crl = signed(unlocked.number, number, &revoked, issuer, &key, crl_validity(issuer, now, days), now)?;
    writing.record(&Change::Crl(crl.clone()))?;
    events.push(Event::signed(&crl));
    Ok((crl, events))
}

/// The first CRL of an issuer, which lists nobody.
pub(super) fn first_crl(
    issuer: &IssuerCertificate,
    key: &PrivateKey,
    now: Time,
    days: Option<u32>,
) -> Result<SignedCrl, AuthorityError> {
    signed(1, 1, &BTreeMap::new(), issuer, key, crl_validity(issuer, now, days), now)
}

fn signed(
    issuer_number: u32,
    number: u64,
    revoked: &BTreeMap<Serial, Revocation>,
    issuer: &IssuerCertificate,
    key: &PrivateKey,
    validity: Validity,
    now: Time,
) -> Result<SignedCrl, AuthorityError> {
    let entries: Vec<RevokedEntry> =
        revoked.iter().map(|(&serial, &revocation)| RevokedEntry { serial, revocation }).collect();
    let der = pki::sign_crl(&CrlProfile { number, validity, signed_at: now }, &entries, issuer, key)?;
    Ok(SignedCrl { issuer: issuer_number, number, validity, entries: entries.len() as u64, der })
}

/// Back-dated by a day, since a clock behind ours would find it not yet valid and lock everybody out; as long as the CA
/// unless the settings say less. A CA past its end still gets a CRL that reaches into the future.
fn crl_validity(issuer: &IssuerCertificate, now: Time, days: Option<u32>) -> Validity {
    let begin = now.plus_seconds(-DAY).max(issuer.validity().not_before());
    let end = issuer.validity().not_after();
    let wanted = days.map_or(end, |days| Validity::of_days(now, days, 0).not_after().min(end));
    let last = if wanted > now { wanted } else { now.plus_days(30) };
    Validity::new(begin, last).unwrap_or(issuer.validity())
}

/// What a new CRL lists.
struct Due {
    revoked: BTreeMap<Serial, Revocation>,
    /// Revoked by an older CRL or the ledger, and no longer by the inventory.
    forgotten: Vec<Certificate>,
}

/// Everyone revoked by the inventory, by the newest CRL in the store or by the ledger: no entry leaves before its time,
/// whatever was done to one of the three.
fn due(view: &dyn View, unlocked: &Unlocked, last: Option<&SignedCrl>, now: Time) -> Result<Due, AuthorityError> {
    let published = last.map(|crl| crl.validity.not_before());
    let mut due = Due { revoked: BTreeMap::new(), forgotten: Vec::new() };
    let listed = |certificate: &Certificate| {
        let revocation = certificate.revocation.filter(|_| certificate.belongs_on_crl(now, published))?;
        Some(Revocation { at: revocation.at.min(now), ..revocation })
    };
    view.revoked(unlocked.number, &mut |certificate| {
        due.revoked.extend(listed(&certificate).map(|revocation| (certificate.serial, revocation)));
    })?;
    let life = unlocked.issuer()?.validity();
    for (serial, revocation, not_after) in noted_elsewhere(view, unlocked, last)? {
        if due.revoked.contains_key(&serial) {
            continue;
        }
        let mut certificate = view.certificate(&serial)?.unwrap_or_else(|| unknown(life, unlocked.number, serial, now));
        if let (None, Some(end)) = (&certificate.holder, not_after) {
            let begin = certificate.validity.not_before().min(end);
            certificate.validity = Validity::new(begin, end).unwrap_or(certificate.validity);
        }
        let forgotten = certificate.revocation.is_none();
        certificate.revocation.get_or_insert(revocation);
        due.revoked.extend(listed(&certificate).map(|revocation| (serial, revocation)));
        if forgotten {
            due.forgotten.push(certificate);
        }
    }
    Ok(due)
}

/// Serials that the newest CRL or the ledger say are revoked, whatever the inventory says.
fn noted_elsewhere(
    view: &dyn View,
    unlocked: &Unlocked,
    last: Option<&SignedCrl>,
) -> Result<Vec<(Serial, Revocation, Option<Time>)>, AuthorityError> {
    let mut noted = Vec::new();
    if let Some(crl) = last.and_then(|last| Crl::from_der(&last.der).ok()) {
        if crl.verify(unlocked.issuer()?).is_ok() {
            noted.extend(crl.entries().iter().map(|entry| (entry.serial, entry.revocation, None)));
        }
    }
    view.entries(1, Entries::Revocations, &mut |stored| {
        for event in stored.read().map(|entry| entry.events).unwrap_or_default() {
            if let Event::Revoked { serial, not_after, revocation, .. } = event {
                noted.push((serial, revocation, Some(not_after)));
            }
        }
        std::ops::ControlFlow::Continue(())
    })?;
    Ok(noted)
}

/// A certificate known by its serial only: taken to live as long as its issuer.
pub(super) fn unknown(validity: Validity, issuer: u32, serial: Serial, now: Time) -> Certificate {
    Certificate { serial, issuer, holder: None, validity, issued: now, revocation: None }
}
