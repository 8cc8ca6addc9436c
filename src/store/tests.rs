//! One suite for every back end, and the fixtures of every format that was ever written.

use std::{ops::ControlFlow, path::Path, time::Duration};

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::{
    files::{self, Overwrite, Visibility},
    inventory::{Digest, Holder, KeyPlace, Parameter, Reason, Revocation},
    time::DAY,
};

mod lists;

/// A store in a directory of its own.
struct Place {
    store: Box<dyn Store>,
    dir: TempDir,
}

fn place() -> Place {
    let dir = tempfile::tempdir().unwrap();
    let place = Place { store: create(dir.path()).unwrap(), dir };
    let mut writing = place.store.begin(PATIENCE).unwrap();
    for change in foundations() {
        writing.record(&change).unwrap();
    }
    writing.commit(draft(0)).unwrap();
    place
}

fn foundations() -> Vec<Change> {
    let kind = SecretKind::ControlChannel;
    vec![
        Change::Authority(Identity { id: "0a".to_owned(), created: day(0) }),
        Change::Issuer(Issuer { number: 1, parent: None, certificate: vec![1; 9], sealed_key: vec![2; 9] }),
        Change::Parameter(Parameter { name: "dh".to_owned(), text: "PEM".to_owned() }),
        Change::Secret(SealedSecret { kind, scope: String::new(), sealed: vec![3; 9] }),
        Change::Unlocker(unlocker(1, "age1…")),
        Change::Crl(SignedCrl {
            issuer: 1,
            number: 1,
            validity: month(),
            entries: 0,
            due: day(1),
            der: vec![5; 600_000],
        }),
        Change::Target(Target { dir: "/srv".to_owned(), server: "server".to_owned(), added: day(1) }),
    ]
}

fn unlocker(number: u32, label: &str) -> Unlocker {
    let recipient = Some("age1…".to_owned());
    Unlocker {
        number,
        kind: "recipient".to_owned(),
        label: label.to_owned(),
        recipient,
        since: Some(day(0)),
        wrapped: vec![4],
    }
}

/// What issuing records.
fn issued(name: &str, serial: u8) -> Vec<Change> {
    issuance(name, serial).into_changes().collect()
}

fn issuance(name: &str, serial: u8) -> Issuance {
    let (name, serial) = (Name::parse(name).unwrap(), Serial::fresh([serial; 16]));
    let holder =
        Some(Holder { name: name.clone(), role: Role::Client, algorithm: "p256".to_owned(), key: KeyPlace::Here });
    Issuance {
        certificate: Certificate {
            serial,
            issuer: 1,
            holder,
            validity: month(),
            issued: day(1),
            revocation: None,
            overlap_ends: None,
        },
        der: vec![6, serial.octets()[1]],
        sealed: Some(vec![7, serial.octets()[1]]),
        peer: Peer {
            name,
            role: Role::Client,
            created: day(1),
            current: serial,
            note: None,
            bundle: None,
            recipients: Vec::new(),
        },
    }
}

fn issue(place: &Place, name: &str, serial: u8) {
    let mut writing = place.store.begin(PATIENCE).unwrap();
    for change in issued(name, serial) {
        writing.record(&change).unwrap();
    }
    writing.commit(draft(serial)).unwrap();
}

fn draft<'a>(act: u8) -> Draft<'a> {
    Draft {
        act: ActId([act; 16]),
        at: day(2),
        by: "root".to_owned(),
        operation: "issue",
        events: Vec::new(),
        suspect: false,
        mac: None,
    }
}

fn day(day: i64) -> Time {
    Time::from_unix(day * DAY)
}

fn month() -> Validity {
    Validity::of_days(day(1), 30, 0)
}

fn facts(store: &dyn Store) -> Vec<Change> {
    let mut found = Vec::new();
    store.snapshot().unwrap().facts(&mut |fact, _| found.push(fact)).unwrap();
    found.sort_by_key(Change::key);
    found
}

const PATIENCE: Duration = Duration::from_millis(50);

#[test]
fn every_fact_comes_back_as_it_was_recorded() {
    let place = place();
    issue(&place, "client1", 1);
    let mut expected: Vec<Change> = foundations().into_iter().chain(issued("client1", 1)).collect();
    expected.sort_by_key(Change::key);
    assert_eq!(facts(&*place.store), expected);
}

/// Forty, of whom one had a certificate before, one keeps the key, one has everything that can be said of a peer, and two are
/// the same.
#[test]
fn many_at_once_are_what_they_are_one_by_one() {
    let mut many: Vec<Issuance> = (2..42).map(|serial| issuance(&format!("client{serial}"), serial)).collect();
    many[3] = issuance("client1", 5);
    many[7].sealed = None;
    many[9].peer = Peer {
        note: Some("+1".to_owned()),
        bundle: Some(Digest([9; 32])),
        recipients: vec!["age1".to_owned(), "ssh-rsa A".to_owned()],
        created: day(0),
        ..many[9].peer.clone()
    };
    many[20] = issuance("client21", 22);
    let [one_by_one, together] = [false, true].map(|together| {
        let place = place();
        issue(&place, "client1", 1);
        let mut writing = place.store.begin(PATIENCE).unwrap();
        if together {
            writing.record_issued(many.clone()).unwrap();
        } else {
            let mut changes = many.iter().cloned().flat_map(Issuance::into_changes);
            changes.try_for_each(|change| writing.record(&change)).unwrap();
        }
        let head = writing.commit(draft(9)).unwrap();
        let facts = facts(&*place.store);
        let view = place.store.snapshot().unwrap();
        assert_eq!(view.derived_faults().unwrap(), Vec::<String>::new());
        (head, view.totals().unwrap(), facts, everyone(&*view))
    });
    assert_eq!(one_by_one, together);
    assert_eq!(together.1.certificates, 41);
}

#[test]
fn a_serial_that_is_taken_is_refused_among_many() {
    let place = place();
    issue(&place, "client1", 1);
    let before = facts(&*place.store);
    let many = (2..34).map(|serial| issuance(&format!("client{serial}"), serial % 30)).collect();
    let mut writing = place.store.begin(PATIENCE).unwrap();
    assert!(writing.record_issued(many).is_err());
    drop(writing);
    assert_eq!(facts(&*place.store), before);
}

#[test]
fn every_fact_has_its_digest_in_the_entry_that_changed_it() {
    let place = place();
    issue(&place, "client1", 1);
    let all = facts(&*place.store);
    let view = place.store.snapshot().unwrap();
    assert_eq!(view.fact_count().unwrap(), all.len() as u64);
    for fact in all {
        assert_eq!(committed_digest(&*view, &fact).unwrap(), fact.digest(), "{}", fact.key());
        let entry = view.fact_entry(&fact).unwrap().unwrap();
        assert_eq!(view.fact(&fact.key()).unwrap(), Some((fact, entry)));
    }
    for no_key in
        ["", "peer", "peer/nobody", "certificate/x", "certificate/", "issuer/-1", "crl/9", "ladder/1", "else/1"]
    {
        assert_eq!(view.fact(no_key).unwrap(), None, "{no_key}");
    }
    let never = Change::SealedKey(Serial::fresh([9; 16]), Some(vec![1]));
    assert_eq!(committed_digest(&*view, &never).unwrap(), None);
}

#[test]
fn what_is_not_committed_never_was() {
    let place = place();
    let before = facts(&*place.store);
    let mut writing = place.store.begin(PATIENCE).unwrap();
    for change in issued("client1", 1) {
        writing.record(&change).unwrap();
    }
    assert!(writing.peer(&Name::parse("client1").unwrap()).unwrap().is_some(), "a writer sees its own work");
    drop(writing);
    assert_eq!(facts(&*place.store), before);
    assert!(!place.store.committed(ActId([1; 16])).unwrap());
}

#[test]
fn a_certificate_without_its_peer_is_not_committed() {
    let place = place();
    let mut writing = place.store.begin(PATIENCE).unwrap();
    writing.record(&issued("client1", 1)[0]).unwrap();
    assert!(writing.commit(draft(1)).is_err());
    assert!(place.store.snapshot().unwrap().peer(&Name::parse("client1").unwrap()).unwrap().is_none());
}

#[test]
fn one_serial_belongs_to_one_certificate() {
    let place = place();
    issue(&place, "client1", 1);
    let mut writing = place.store.begin(PATIENCE).unwrap();
    let outcome: Result<Vec<()>, _> = issued("client2", 1).iter().map(|change| writing.record(change)).collect();
    assert!(outcome.is_err());
}

#[test]
fn names_are_one_whatever_their_case() {
    let place = place();
    issue(&place, "Client1", 1);
    let view = place.store.snapshot().unwrap();
    let found = view.peer(&Name::parse("cLIENT1").unwrap()).unwrap().unwrap();
    assert_eq!(found.name.as_str(), "Client1");
    assert_eq!(view.certificates_of(&Name::parse("CLIENT1").unwrap()).unwrap().len(), 1);
}

#[test]
fn the_ledger_is_a_chain() {
    let place = place();
    issue(&place, "client1", 1);
    issue(&place, "client2", 2);
    let mut previous = Digest::default();
    let mut count = 0;
    place
        .store
        .snapshot()
        .unwrap()
        .entries(1, Entries::All, &mut |stored| {
            let entry = stored.read().unwrap();
            count += 1;
            assert_eq!((entry.seq, entry.previous), (count, previous));
            previous = stored.hash;
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(count, 3);
    assert!(place.store.committed(ActId([2; 16])).unwrap());
}

#[test]
fn a_revocation_is_listed_and_a_dropped_key_is_gone() {
    let place = place();
    issue(&place, "client1", 1);
    let revocation = Revocation { at: day(3), reason: Reason::KeyCompromise };
    let Change::Certificate(certificate) = issued("client1", 1).remove(0) else { unreachable!() };
    let revoked = Certificate { revocation: Some(revocation), ..certificate };
    let mut writing = place.store.begin(PATIENCE).unwrap();
    writing.record(&Change::Certificate(revoked.clone())).unwrap();
    writing.record(&Change::SealedKey(revoked.serial, None)).unwrap();
    let not_after = revoked.validity.not_after();
    let name = Some(Name::parse("client1").unwrap());
    let event = Event::Revoked { name, serial: revoked.serial, not_after, revocation };
    writing.commit(Draft { events: vec![event], ..draft(7) }).unwrap();

    let view = place.store.snapshot().unwrap();
    assert_eq!(lists::revoked(&*view, 1, BySerial::Octets), [revoked.barred()]);
    assert_eq!(view.certificate(&revoked.serial).unwrap().as_ref(), Some(&revoked));
    assert_eq!(view.sealed_key(&revoked.serial).unwrap(), None);
    assert_eq!(view.totals().unwrap(), Totals { certificates: 1, revoked: 1 });
    assert_eq!(view.census(day(4)).unwrap().of(Role::Client, Status::Revoked), 1);
    let mut entries = 0;
    let count = &mut |_| {
        entries += 1;
        ControlFlow::Continue(())
    };
    view.entries(1, Entries::Revocations, count).unwrap();
    assert_eq!(entries, 1);
}

#[test]
fn the_census_tells_expired_from_valid() {
    let place = place();
    issue(&place, "client1", 1);
    let census = |now| place.store.snapshot().unwrap().census(now).unwrap();
    assert_eq!(census(day(5)).of(Role::Client, Status::Valid), 1);
    assert_eq!(census(day(99)).of(Role::Client, Status::Expired), 1);
}

/// Peers with every kind of standing, whose names, ends and times of issuing have three orders.
fn crowd() -> Place {
    let place = place();
    let reasons = [None, Some(Reason::KeyCompromise), Some(Reason::CertificateHold)];
    for number in 0..36_u8 {
        let mut changes = issued(&format!("Client{:02}", number * 5 % 36), number + 1);
        for change in &mut changes {
            match change {
                Change::Certificate(certificate) => {
                    let ends = 1 + u32::from(number * 7 % 36);
                    certificate.validity = Validity::of_days(day(1).plus_seconds(-i64::from(number) * 5000), ends, 0);
                    let revocation = |reason| Revocation { at: day(2), reason };
                    certificate.revocation = reasons[usize::from(number) % 3].map(revocation);
                    certificate.overlap_ends = (number % 4 == 0).then(|| day(i64::from(number)));
                    if let Some(holder) = certificate.holder.as_mut().filter(|_| number % 5 == 0) {
                        holder.role = Role::Server;
                    }
                }
                Change::Peer(peer) if number % 5 == 0 => peer.role = Role::Server,
                Change::Peer(peer) => peer.recipients = vec![format!("age1{number}"), "ssh-rsa A".to_owned()],
                _ => (),
            }
        }
        let mut writing = place.store.begin(PATIENCE).unwrap();
        for change in &changes {
            writing.record(change).unwrap();
        }
        writing.commit(draft(number + 1)).unwrap();
    }
    place
}

/// Records what makes of a certificate another one, or of a peer.
fn record(place: &Place, act: u8, changes: &[Change]) {
    let mut writing = place.store.begin(PATIENCE).unwrap();
    for change in changes {
        writing.record(change).unwrap();
    }
    writing.commit(draft(act)).unwrap();
}

fn everyone(view: &dyn View) -> Vec<(Peer, Certificate)> {
    let mut all = Vec::new();
    view.peers(&mut |peer, certificate| {
        all.push((peer, certificate));
        ControlFlow::Continue(())
    })
    .unwrap();
    all
}

fn counted(view: &dyn View, now: Time) -> Census {
    let mut counts = std::collections::BTreeMap::new();
    for (peer, certificate) in everyone(view) {
        *counts.entry((peer.role, certificate.status(now).to_string())).or_default() += 1;
    }
    let counts = counts.into_iter().map(|((role, status), many)| (role, status.parse().unwrap(), many));
    Census { counts: counts.collect() }
}

#[test]
fn the_census_and_what_ends_are_what_looking_at_everyone_says() {
    let place = crowd();
    let name = Name::parse("client00").unwrap();
    let revoked = Some(Revocation { at: day(3), reason: Reason::Superseded });
    let current = |name: &Name| {
        let view = place.store.snapshot().unwrap();
        let peer = view.peer(name).unwrap().unwrap();
        (view.certificate(&peer.current).unwrap().unwrap(), peer)
    };
    for step in 0..6 {
        let (certificate, peer) = current(&name);
        let change = |revocation| Change::Certificate(Certificate { revocation, ..certificate.clone() });
        match step {
            0 => (),
            1 => record(&place, 101, &[change(None)]),
            2 => record(&place, 102, &[change(revoked)]),
            3 => record(&place, 103, &issued("Client00", 200)),
            4 => record(&place, 104, &[Change::Peer(Peer { recipients: Vec::new(), ..peer })]),
            _ => record(&place, 105, &[change(revoked), Change::SealedKey(certificate.serial, None)]),
        }
        let view = place.store.snapshot().unwrap();
        assert_eq!(view.derived_faults().unwrap(), Vec::<String>::new(), "step {step}");
        for now in (0..40 * 8).map(|eighth| day(0).plus_seconds(eighth * DAY / 8)) {
            assert_eq!(view.census(now).unwrap(), counted(&*view, now), "step {step}, {now}");
            let until = now.plus_days(5);
            let mut ending = everyone(&*view);
            ending.retain(|(_, one)| (now..=until).contains(&one.validity.not_after()) && one.revocation.is_none());
            assert_eq!(view.ending(now, until).unwrap(), ending);
        }
    }
}

#[test]
fn a_listing_is_in_the_order_that_was_asked_for() {
    let place = crowd();
    record(&place, 201, &issued("client07", 201));
    let learned = Change::Certificate(Certificate {
        serial: Serial::fresh([250; 16]),
        issuer: 1,
        holder: None,
        validity: month(),
        issued: day(1),
        revocation: Some(Revocation { at: day(1), reason: Reason::Unspecified }),
        overlap_ends: None,
    });
    record(&place, 202, &[learned]);
    let view = place.store.snapshot().unwrap();
    let listing = |which, order| {
        let mut all = Vec::new();
        view.listing(which, order, &mut |certificate, recipients| {
            all.push((certificate, recipients));
            ControlFlow::Continue(())
        })
        .unwrap();
        all
    };
    let mut current: Vec<_> = everyone(&*view).into_iter().map(|(peer, one)| (one, peer.recipients)).collect();
    assert_eq!(current.len(), 36);
    assert_eq!(listing(Listing::Current, Order::Name), current);
    let every = listing(Listing::Every, Order::Issued);
    assert_eq!((every.len(), every[37].0.holder.as_ref()), (38, None));
    assert_eq!(every.iter().filter(|one| current.contains(one)).count(), 36);
    // in the order of recording, which is that of the whole list
    let place_of = |one: &(Certificate, Vec<String>)| every.iter().position(|other| other == one);
    current.sort_by_key(place_of);
    assert_eq!(listing(Listing::Current, Order::Issued), current);
    current.sort_by_key(|(one, _)| one.validity.not_after());
    assert_eq!(listing(Listing::Current, Order::End), current);
    let mut sorted = every.clone();
    sorted.sort_by_key(|(one, _)| one.validity.not_after());
    assert_eq!(listing(Listing::Every, Order::End), sorted);
    let mut sorted = every.clone();
    sorted.sort_by_key(|(one, _)| one.holder.as_ref().map(|holder| holder.name.folded()));
    assert_eq!(listing(Listing::Every, Order::Name), sorted);
}

#[test]
fn what_is_derived_and_was_changed_from_outside_is_found() {
    for (sql, what) in [
        ("UPDATE listing SET revoked = NULL, reason = NULL WHERE revoked IS NOT NULL", "list"),
        ("DELETE FROM listing WHERE folded = 'client02'", "list"),
        ("INSERT INTO listing SELECT 'x', name, role, recipients, serial, issuer, algorithm, not_before, not_after, issued,
          revoked, reason, key_with_owner, overlap_ends FROM listing LIMIT 1", "list"),
        ("UPDATE tally SET many = many + 1", "status"),
        ("DELETE FROM tally", "status"),
        ("UPDATE total SET revoked = 0", "status"),
        ("DELETE FROM total", "status"),
        ("DROP TRIGGER certificate_updated; UPDATE certificate SET revoked = NULL, reason = NULL WHERE id = 2", "list"),
    ] {
        let place = crowd();
        drop(place.store);
        alter(place.dir.path(), sql);
        let store = open(place.dir.path(), Access::Read).unwrap();
        let faults = store.snapshot().unwrap().derived_faults().unwrap();
        assert!(faults.iter().any(|fault| fault.contains(&format!("`{what}`"))), "{sql}: {faults:?}");
        // nothing that stands there keeps anybody from writing
        assert!(store.snapshot().unwrap().totals().is_ok(), "{sql}");
    }
}

/// Whoever writes the file without knowing this program changes what is derived too, and the totals with it.
#[test]
fn what_is_derived_follows_whoever_writes() {
    for sql in [
        "UPDATE certificate SET revoked = NULL, reason = NULL",
        "UPDATE certificate SET revoked = 5, reason = 1, overlap_ends = NULL",
        "UPDATE certificate SET not_after = not_after + 86400",
        "UPDATE peer SET role = 'client'",
        "UPDATE peer SET folded = folded || 'x', name = name || 'x', recipients = NULL",
        "UPDATE peer SET current = 1 + (id + 3) % 36",
        "DELETE FROM peer WHERE id % 2",
        "DELETE FROM certificate WHERE id % 2; DELETE FROM peer WHERE current NOT IN (SELECT id FROM certificate)",
        "INSERT INTO certificate (serial, issuer, not_before, not_after, issued, revoked, reason, entry) VALUES (x'01', 1, 1, 2, 1, 1, 1, 1)",
    ] {
        let place = crowd();
        drop(place.store);
        alter(place.dir.path(), sql);
        let store = open(place.dir.path(), Access::Read).unwrap();
        let view = store.snapshot().unwrap();
        assert_eq!(view.derived_faults().unwrap(), Vec::<String>::new(), "{sql}");
        assert_eq!(view.census(day(9)).unwrap(), counted(&*view, day(9)), "{sql}");
    }
}

#[test]
fn a_second_writer_waits_and_says_for_how_long() {
    let place = place();
    let other = open(place.dir.path(), Access::Write).unwrap();
    let writing = place.store.begin(PATIENCE).unwrap();
    assert!(matches!(other.begin(PATIENCE), Err(StoreError::Busy(_))));
    drop(writing);
    issue(&place, "client1", 1);
    let second = other.begin(PATIENCE).unwrap();
    assert!(second.peer(&Name::parse("client1").unwrap()).unwrap().is_some(), "it sees the first one's work");
}

#[test]
fn a_snapshot_stays_as_it_was() {
    let place = place();
    let other = open(place.dir.path(), Access::Read).unwrap();
    let view = other.snapshot().unwrap();
    assert_eq!(view.totals().unwrap().certificates, 0);
    issue(&place, "client1", 1);
    assert_eq!(view.totals().unwrap().certificates, 0);
    drop(view);
    assert_eq!(other.snapshot().unwrap().totals().unwrap().certificates, 1);
}

#[test]
fn what_is_no_store_is_said_so() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(open(dir.path(), Access::Read), Err(StoreError::Missing(_))));
    write(&dir.path().join("pki.db"), b"not a database, but long enough to look like something else at first sight");
    assert!(matches!(open(dir.path(), Access::Read), Err(StoreError::Damaged(_))));
}

#[test]
fn recipients_and_whose_key_it_is_come_back() {
    let place = place();
    let mut changes = issued("client1", 1);
    for change in &mut changes {
        match change {
            Change::Peer(peer) => peer.recipients = vec!["age1…".to_owned(), "ssh-rsa AAAA jo".to_owned()],
            Change::Certificate(Certificate { holder: Some(holder), .. }) => holder.key = KeyPlace::WithOwner,
            _ => (),
        }
    }
    let mut writing = place.store.begin(PATIENCE).unwrap();
    for change in &changes {
        writing.record(change).unwrap();
    }
    writing.commit(draft(1)).unwrap();
    let kept = facts(&*place.store);
    assert!(changes.iter().all(|change| kept.contains(change)), "{kept:?}");
}

#[test]
fn certificates_are_found_by_their_key() {
    let place = place();
    for (name, serial) in [("client1", 1), ("client2", 2), ("client3", 3)] {
        issue(&place, name, serial);
    }
    let view = place.store.snapshot().unwrap();
    let named = |spki: &[u8]| -> Vec<String> {
        let found = view.certificates_with_key(spki).unwrap();
        found.into_iter().map(|found| found.holder.unwrap().name.to_string()).collect()
    };
    // what stands for DER here is two octets, the second its serial's
    let second = Serial::fresh([2; 16]).octets()[1];
    assert_eq!(named(&[6, second]), ["client2"]);
    assert_eq!(named(&[6]), ["client1", "client2", "client3"]);
    assert!(named(&[6, second, 0]).is_empty() && named(&[9]).is_empty());
}

#[test]
fn the_store_of_a_later_program_is_left_alone() {
    let place = place();
    alter(place.dir.path(), "UPDATE format SET version = 99");
    assert!(matches!(open(place.dir.path(), Access::Write), Err(StoreError::Newer { found: 99, .. })));
}

/// Written by the first version: an authority with two clients, one of them revoked and issued again.
#[test]
fn format_1_is_read_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join("pki.db"), include_bytes!("fixtures/format-1.db"));
    let store = open(dir.path(), Access::Read).unwrap();
    let all = facts(&*store);
    let view = store.snapshot().unwrap();
    let client1 = view.certificates_of(&Name::parse("client1").unwrap()).unwrap();
    assert_eq!(client1.len(), 2);
    assert_eq!(client1[0].revocation.unwrap().reason, Reason::KeyCompromise);
    assert_eq!(client1[1].revocation, None);
    assert_eq!(view.crl(1, day(9)).unwrap().unwrap().number, 3);
    for fact in all {
        assert_eq!(committed_digest(&*view, &fact).unwrap(), fact.digest(), "{}", fact.key());
    }
}

/// Written with format 2: five clients, of whom one was revoked and issued again, one suspended, one renewed with an
/// overlap and one revoked.
#[test]
fn format_2_is_read_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join("pki.db"), include_bytes!("fixtures/format-2.db"));
    let store = open(dir.path(), Access::Read).unwrap();
    let all = facts(&*store);
    assert_eq!(all.len(), 35);
    let view = store.snapshot().unwrap();
    for fact in all {
        assert_eq!(committed_digest(&*view, &fact).unwrap(), fact.digest(), "{}", fact.key());
    }
    let now = Time::parse("2026-12-01").unwrap();
    let counts = [(Status::Valid, 3), (Status::Suspended, 1), (Status::Revoked, 1), (Status::Expired, 0)];
    for (status, many) in counts {
        assert_eq!(view.census(now).unwrap().of(Role::Client, status), many, "{status}");
    }
    assert_eq!(view.census(now).unwrap(), counted(&*view, now));
    let newest = view.head().unwrap().unwrap().read().unwrap();
    let Totals { certificates, revoked } = view.totals().unwrap();
    assert_eq!((certificates, revoked, 3), (newest.certificates, newest.revoked, revoked));
    assert_eq!(view.derived_faults().unwrap(), Vec::<String>::new());
    let mut overlaps = 0;
    view.superseded(1, &mut |_| overlaps += 1).unwrap();
    assert_eq!(overlaps, 1);
}

#[test]
fn every_column_of_the_schema_says_what_it_holds() {
    let schema = include_str!("schema.sql");
    let is_column = |line: &str| {
        let word = line.split_whitespace().next().unwrap_or_default();
        line.starts_with("    ") && word.chars().all(|c| c.is_ascii_lowercase() || c == '_') && word != "entry"
    };
    let columns: Vec<&str> = schema.lines().filter(|line| is_column(line)).collect();
    assert!(columns.len() > 40, "{columns:?}");
    for column in columns {
        assert!(column.contains("-- "), "{column}");
    }
}

fn write(path: &Path, bytes: &[u8]) {
    files::stage(path, bytes, Visibility::Private, Overwrite::Refuse, None).unwrap().release().unwrap();
}

/// Changes a store behind its back.
fn alter(dir: &Path, sql: &str) {
    let connection = rusqlite::Connection::open_with_flags(dir.join("pki.db"), rusqlite::OpenFlags::default()).unwrap();
    connection.execute_batch("PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF;").unwrap();
    // an alteration that the schema itself refuses changes nothing, which is as good
    let _ = connection.execute_batch(sql);
}

/// Every question a view answers.
fn ask_everything(view: &dyn View) {
    let name = Name::parse("client1").unwrap();
    let serial = Serial::fresh([1; 16]);
    let _ = (view.identity(), view.issuer(), view.parameter("dh"), view.secret(SecretKind::ControlChannel));
    let _ = (view.unlockers(), view.peer(&name), view.certificate(&serial), view.certificates_of(&name));
    let _ = view.peers(&mut |_, _| ControlFlow::Continue(()));
    for order in [Order::Name, Order::End, Order::Issued] {
        for which in [Listing::Current, Listing::Every] {
            let _ = view.listing(which, order, &mut |_, _| ControlFlow::Continue(()));
        }
    }
    let _ = (view.ending(day(0), day(99)), view.folded_names(&mut |_| ()), view.fact_count(), view.derived_faults());
    let _ = (view.certificate_der(&serial), view.sealed_key(&serial));
    for order in [BySerial::Octets, BySerial::Number] {
        let _ = view.revoked(1, order, &mut |_| ControlFlow::Continue(()));
    }
    let _ = (
        view.crl(1, day(9)),
        view.crl_facts(1, day(9)),
        view.crl_parts(1, 1, 0, &mut |_| ControlFlow::Continue(())),
        view.crl_entry(1, 1),
        view.targets(),
        view.census(day(9)),
        view.totals(),
        view.head(),
    );
    let _ = view.entries(0, Entries::All, &mut |stored| {
        let _ = stored.read();
        ControlFlow::Continue(())
    });
    let _ = view.facts(&mut |fact, _| {
        let _ = fact.digest();
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_row_panics(place_of in 0..COLUMNS.len(), number in any::<i64>(), bytes in prop::collection::vec(any::<u8>(), 0..24)) {
        let place = place();
        issue(&place, "client1", 1);
        let hex = bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        let (table, column) = COLUMNS[place_of];
        for value in [number.to_string(), format!("x'{hex}'"), format!("CAST(x'{hex}' AS TEXT)"), "NULL".to_owned()] {
            alter(place.dir.path(), &format!("UPDATE {table} SET {column} = {value}"));
        }
        if let Ok(store) = open(place.dir.path(), Access::Read) {
            ask_everything(&*store.snapshot().unwrap());
        }
    }
}

const COLUMNS: [(&str, &str); 48] = [
    ("format", "version"),
    ("authority", "id"),
    ("authority", "created"),
    ("issuer", "number"),
    ("issuer", "parent"),
    ("issuer", "certificate"),
    ("parameter", "value"),
    ("secret", "kind"),
    ("secret", "sealed"),
    ("unlocker", "number"),
    ("unlocker", "kind"),
    ("unlocker", "wrapped"),
    ("unlocker", "recipient"),
    ("unlocker", "since"),
    ("peer", "name"),
    ("peer", "folded"),
    ("peer", "role"),
    ("peer", "created"),
    ("peer", "current"),
    ("certificate", "serial"),
    ("certificate", "issuer"),
    ("certificate", "peer"),
    ("certificate", "algorithm"),
    ("certificate", "not_before"),
    ("certificate", "not_after"),
    ("certificate", "issued"),
    ("certificate", "revoked"),
    ("certificate", "reason"),
    ("certificate_der", "der"),
    ("listing", "folded"),
    ("listing", "name"),
    ("listing", "role"),
    ("listing", "recipients"),
    ("listing", "serial"),
    ("listing", "not_after"),
    ("listing", "revoked"),
    ("listing", "reason"),
    ("tally", "state"),
    ("tally", "day"),
    ("tally", "many"),
    ("total", "revoked"),
    ("crl", "number"),
    ("crl", "next_update"),
    ("crl_chunk", "part"),
    ("target", "dir"),
    ("ledger", "body"),
    ("ledger", "hash"),
    ("ledger", "mac"),
];

fn read_only(file: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open_with_flags(file, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
}

/// Triggers and views as they were written, without comments and line breaks.
fn programs(dir: &Path) -> Vec<String> {
    let connection = read_only(&dir.join("pki.db"));
    let sql = "SELECT sql FROM sqlite_schema WHERE type IN ('trigger', 'view') ORDER BY name";
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    rows.map(|text| text.unwrap().split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// Tables, columns and indices as SQLite knows them, however their statements were written.
fn shape(dir: &Path) -> Vec<(String, String, String, i64, i64)> {
    let connection = read_only(&dir.join("pki.db"));
    let sql = "SELECT s.type, s.name, c.name, c.\"notnull\", c.pk FROM sqlite_schema s, pragma_table_xinfo(s.name) c
               WHERE s.type = 'table' AND s.name NOT LIKE 'sqlite_%'
               UNION ALL SELECT s.type, s.name, coalesce(i.name, ''), i.desc, 0 FROM sqlite_schema s, pragma_index_xinfo(s.name) i
               WHERE s.type = 'index' AND s.name NOT LIKE 'sqlite_%' AND i.key ORDER BY 1, 2, 3";
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)));
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}

#[test]
fn an_older_store_becomes_what_is_made_today() {
    let new = tempfile::tempdir().unwrap();
    drop(create(new.path()).unwrap());
    assert_eq!(programs(new.path()).len(), 9);
    for before in [&include_bytes!("fixtures/format-1.db")[..], include_bytes!("fixtures/format-2.db")] {
        let old = tempfile::tempdir().unwrap();
        write(&old.path().join("pki.db"), before);
        drop(open(old.path(), Access::Read).unwrap());
        assert_eq!(shape(old.path()), shape(new.path()));
        assert_eq!(programs(old.path()), programs(new.path()));
    }
}

#[test]
fn a_store_of_format_1_where_nothing_can_be_written_says_so_and_stays() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pki.db");
    let before = include_bytes!("fixtures/format-1.db");
    write(&file, before);
    let connection = read_only(&file);
    assert!(matches!(sqlite::migrate::to_current(&connection), Err(StoreError::Older)));
    drop(connection);
    assert_eq!(files::read(&file, 1 << 20).unwrap(), before);
}
