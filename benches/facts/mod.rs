//! Facts for a store as `issue` records them, with certificates and keys that are not real: what is timed reads rows.
//! Knows nothing of what is timed.

use vpnpki::{
    inventory::{ActId, Certificate, Change, Event, Head, Holder, Peer, Reason, Revocation, Role},
    serial::Serial,
    store::{CommitError, Draft, Store, StoreError, Writing},
    time::{Time, DAY},
    validity::Validity,
};

/// Records clients `from` to `to` in one act with its ledger entry; `mac` as the open vault makes it.
pub fn issue(store: &dyn Store, from: u32, to: u32, mac: Mac<'_>) -> Result<Head, CommitError> {
    act(store, "issue", octets(0xac, from), mac, |writing| (from..to).map(|index| record(writing, index)).collect())
}

/// Revokes clients that were recorded here, in one act; the keys go, as `revoke` has it by default.
pub fn revoke(store: &dyn Store, indices: &[u32], mac: Mac<'_>) -> Result<Head, CommitError> {
    act(store, "revoke", octets(0xbc, indices[0]), mac, |writing| {
        indices.iter().map(|index| record_revocation(writing, *index)).collect()
    })
}

/// As the open vault makes it.
type Mac<'a> = &'a dyn Fn(&[u8]) -> [u8; 32];

fn act(
    store: &dyn Store,
    operation: &'static str,
    id: [u8; 16],
    mac: Mac<'_>,
    record: impl FnOnce(&mut dyn Writing) -> Result<Vec<Event>, StoreError>,
) -> Result<Head, CommitError> {
    let mut writing = store.begin(std::time::Duration::from_secs(30)).map_err(CommitError::NotDone)?;
    let events = record(&mut *writing).map_err(CommitError::NotDone)?;
    let (act, at, by) = (ActId(id), now(), "benches".to_owned());
    writing.commit(Draft { act, at, by, operation, events, suspect: false, mac: Some(mac) })
}

fn record_revocation(writing: &mut dyn Writing, index: u32) -> Result<Event, StoreError> {
    let serial = Serial::fresh(octets(0x5e, index));
    let revocation = Revocation { at: now(), reason: Reason::CessationOfOperation };
    // only what was recorded here is revoked here
    let certificate = writing.certificate(&serial)?.expect("a certificate");
    let certificate = Certificate { revocation: Some(revocation), ..certificate };
    let event = Event::revoked(&certificate).expect("a revocation");
    writing.record(&Change::Certificate(certificate))?;
    writing.record(&Change::SealedKey(serial, None))?;
    Ok(event)
}

fn record(writing: &mut dyn Writing, index: u32) -> Result<Event, StoreError> {
    let serial = Serial::fresh(octets(0x5e, index));
    // names that are made here are names
    let name: vpnpki::name::Name = format!("client-{:010}", scattered(index)).parse().expect("a name");
    let holder = Some(Holder {
        name: name.clone(),
        role: Role::Client,
        algorithm: "p256".to_owned(),
        key: vpnpki::inventory::KeyPlace::Here,
    });
    let validity = Validity::of_days(now(), 825, DAY);
    let certificate =
        Certificate { serial, issuer: 1, holder, validity, issued: now(), revocation: None, overlap_ends: None };
    writing.record(&Change::Certificate(certificate))?;
    // the sizes of a P-256 client's certificate and of its key as an age file
    writing.record(&Change::CertificateDer(serial, vec![0x30; 400]))?;
    writing.record(&Change::SealedKey(serial, Some(vec![0x61; 540])))?;
    writing.record(&Change::Peer(Peer {
        name: name.clone(),
        role: Role::Client,
        created: now(),
        current: serial,
        note: None,
        bundle: None,
        recipients: Vec::new(),
    }))?;
    Ok(Event::Issued { name, serial })
}

/// Different for each index, in no order.
fn octets(kind: u8, index: u32) -> [u8; 16] {
    let mut octets = [kind; 16];
    octets[1..5].copy_from_slice(&scattered(index).to_be_bytes());
    octets
}

/// Another number for each number, in no order: names do not come in the order in which they are listed.
fn scattered(index: u32) -> u32 {
    index.wrapping_mul(2_654_435_761)
}

/// The moment of all of it: now, since a clock far from the newest entry is questioned.
pub fn now() -> Time {
    vpnpki::world::World::real().now()
}
