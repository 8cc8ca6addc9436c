//! Facts for a store as `issue` records them, with certificates and keys that are not real: what is timed reads rows.
//! Knows nothing of what is timed.

use vpnpki::{
    inventory::{ActId, Certificate, Change, Event, Head, Holder, Peer, Reason, Revocation, Role},
    serial::Serial,
    store::{CommitError, Draft, Store, StoreError, Writing},
    time::{Time, DAY},
    validity::Validity,
};

/// Records clients `from` to `to` in one act with its ledger entry; `mac` as the open vault makes it. The first `revoked` of all
/// clients are revoked at once.
pub fn issue(
    store: &dyn Store,
    from: u32,
    to: u32,
    revoked: u32,
    mac: &dyn Fn(&[u8]) -> [u8; 32],
) -> Result<Head, CommitError> {
    let mut writing = store.begin(std::time::Duration::from_secs(30)).map_err(CommitError::NotDone)?;
    let events = (from..to).map(|index| record(&mut *writing, index, index < revoked)).collect::<Result<Vec<_>, _>>();
    let draft = Draft {
        act: ActId(octets(0xac, from)),
        at: now(),
        by: "benches".to_owned(),
        operation: "issue",
        events: events.map_err(CommitError::NotDone)?.concat(),
        suspect: false,
        mac: Some(mac),
    };
    writing.commit(draft)
}

fn record(writing: &mut dyn Writing, index: u32, revoked: bool) -> Result<Vec<Event>, StoreError> {
    let serial = Serial::fresh(octets(0x5e, index));
    // names that are made here are names
    let name: vpnpki::name::Name = format!("client-{index:06}").parse().expect("a name");
    let holder = Some(Holder {
        name: name.clone(),
        role: Role::Client,
        algorithm: "p256".to_owned(),
        key: vpnpki::inventory::KeyPlace::Here,
    });
    let validity = Validity::of_days(now(), 825, DAY);
    let reason = Reason::ALL[index as usize % Reason::ALL.len()];
    let revocation = revoked.then(|| Revocation { at: now().plus_seconds(-i64::from(index % 86_400)), reason });
    let certificate =
        Certificate { serial, issuer: 1, holder, validity, issued: now(), revocation, overlap_ends: None };
    writing.record(&Change::Certificate(certificate.clone()))?;
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
    Ok([Some(Event::Issued { name, serial }), Event::revoked(&certificate)].into_iter().flatten().collect())
}

/// Different for each index, in no order.
fn octets(kind: u8, index: u32) -> [u8; 16] {
    let mut octets = [kind; 16];
    octets[1..5].copy_from_slice(&index.wrapping_mul(2_654_435_761).to_be_bytes());
    octets
}

/// The moment of all of it: now, since a clock far from the newest entry is questioned.
pub fn now() -> Time {
    vpnpki::world::World::real().now()
}
