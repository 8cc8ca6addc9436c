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
    let (name, serial) = (Name::parse(name).unwrap(), Serial::fresh([serial; 16]));
    let holder =
        Some(Holder { name: name.clone(), role: Role::Client, algorithm: "p256".to_owned(), key: KeyPlace::Here });
    vec![
        Change::Certificate(Certificate {
            serial,
            issuer: 1,
            holder,
            validity: month(),
            issued: day(1),
            revocation: None,
            overlap_ends: None,
        }),
        Change::CertificateDer(serial, vec![6, serial.octets()[1]]),
        Change::SealedKey(serial, Some(vec![7, serial.octets()[1]])),
        Change::Peer(Peer {
            name,
            role: Role::Client,
            created: day(1),
            current: serial,
            note: None,
            bundle: None,
            recipients: Vec::new(),
        }),
    ]
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

#[test]
fn every_fact_has_its_digest_in_the_entry_that_changed_it() {
    let place = place();
    issue(&place, "client1", 1);
    let all = facts(&*place.store);
    let view = place.store.snapshot().unwrap();
    for fact in all {
        assert_eq!(committed_digest(&*view, &fact).unwrap(), fact.digest(), "{}", fact.key());
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
    let mut listed = Vec::new();
    view.revoked(1, &mut |certificate| listed.push(certificate)).unwrap();
    assert_eq!(listed, std::slice::from_ref(&revoked));
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
    let _ = view.certificates(&mut |_| ControlFlow::Continue(()));
    let _ = (view.certificate_der(&serial), view.sealed_key(&serial), view.revoked(1, &mut |_| ()));
    let _ = (
        view.crl(1, day(9)),
        view.crl_facts(1, day(9)),
        view.crl_part(1, 1, 0),
        view.crl_entry(1, 1),
        view.revoked_after(1, Some(&serial), 9),
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

const COLUMNS: [(&str, &str); 36] = [
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
fn a_store_of_format_1_becomes_what_is_made_today() {
    let [old, new] = [(), ()].map(|()| tempfile::tempdir().unwrap());
    write(&old.path().join("pki.db"), include_bytes!("fixtures/format-1.db"));
    drop(open(old.path(), Access::Read).unwrap());
    drop(create(new.path()).unwrap());
    assert_eq!(shape(old.path()), shape(new.path()));
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
