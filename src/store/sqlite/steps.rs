//! That what most commands ask costs the same among many certificates as among few: counted in steps of SQLite's machine,
//! which are the same on every computer. Knows nothing of seconds.

use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    sync::{
        atomic::{AtomicU64, Ordering::Relaxed},
        Arc,
    },
};

use super::{issued::GROUP, Sqlite, PATIENCE};
use crate::{
    inventory::{
        ActId, Certificate, Change, Holder, Identity, Issuance, Issuer, KeyPlace, Peer, Reason, Revocation, Role,
        SignedCrl,
    },
    name::Name,
    serial::Serial,
    store::{BySerial, Draft, Entries, Listing, Order, Store, StoreError, View, Writing},
    time::{Time, DAY},
    validity::Validity,
};

type Steps = BTreeMap<&'static str, u64>;

#[test]
fn what_is_asked_by_most_commands_takes_as_many_steps_among_many_as_among_few() {
    let [few, many] = [200, 20_000].map(|peers| Counted::new(peers).questions());
    assert!(few.len() > 30, "{few:?}");
    for (question, steps) in &many {
        let before = few[question];
        assert!(*steps <= before + before / 4 + 16, "{question}: {before} steps among 200, {steps} among 20,000");
    }
}

/// That more steps are seen where there are more.
#[test]
fn what_looks_at_everybody_takes_more_steps_among_many() {
    let [few, many] = [200, 2000].map(|peers| Counted::new(peers).everybody());
    for (question, steps) in &many {
        assert!(*steps > 8 * few[question], "{question}: {} steps among 200, {steps} among 2,000", few[question]);
    }
}

/// A store with many peers, whose steps are counted.
struct Counted {
    store: Sqlite,
    counter: Arc<AtomicU64>,
    steps: Steps,
    _dir: tempfile::TempDir,
}

impl Counted {
    /// Half of the certificates are revoked, and every tenth peer was renewed once.
    fn new(peers: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Sqlite::create(dir.path()).unwrap();
        let mut writing = store.begin(PATIENCE).unwrap();
        for change in foundations() {
            writing.record(&change).unwrap();
        }
        writing.commit(draft(0)).unwrap();
        store.connection.execute_batch(&crowd(peers)).unwrap();
        let counter = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&counter);
        let count = move || {
            seen.fetch_add(1, Relaxed);
            false
        };
        store.connection.progress_handler(1, Some(count)).unwrap();
        Self { store, counter, steps: Steps::new(), _dir: dir }
    }

    fn ask<T>(&mut self, question: &'static str, ask: impl FnOnce(&dyn View) -> Result<T, StoreError>) -> T {
        let view = self.store.snapshot().unwrap();
        let before = self.counter.load(Relaxed);
        let answer = ask(&*view).unwrap();
        self.steps.insert(question, self.counter.load(Relaxed) - before);
        answer
    }

    /// Records and appends, and takes it back.
    fn write(&mut self, what: &'static str, changes: &[Change]) {
        self.count(what, |writing| changes.iter().try_for_each(|change| writing.record(change)));
    }

    fn count(&mut self, what: &'static str, record: impl FnOnce(&mut dyn Writing) -> Result<(), StoreError>) {
        let before = self.counter.load(Relaxed);
        let mut writing = self.store.begin(PATIENCE).unwrap();
        record(&mut *writing).unwrap();
        writing.append(draft(9)).unwrap();
        drop(writing);
        self.steps.insert(what, self.counter.load(Relaxed) - before);
    }

    fn questions(mut self) -> Steps {
        let (name, now) = (Name::parse("client-0000000007").unwrap(), day(40));
        let certificate = self.ask("certificates of a name", |view| view.certificates_of(&name)).remove(0);
        let peer = self.ask("a peer", |view| view.peer(&name)).unwrap();
        let serial = peer.current;
        self.ask("a certificate", |view| view.certificate(&serial)).unwrap();
        self.ask("a certificate's DER", |view| view.certificate_der(&serial)).unwrap();
        self.ask("a sealed key", |view| view.sealed_key(&serial)).unwrap();
        self.ask("the next sealed key", |view| view.sealed_key_after(Some(&serial)));
        self.ask("authority", |view| view.identity());
        self.ask("issuer", |view| view.issuer());
        self.ask("servers", |view| view.servers());
        self.ask("superseded", |view| view.superseded(1, &mut |_| ()));
        self.ask("an overlap that is over", |view| view.overlap_is_over(1, now));
        self.ask("the CRL", |view| view.crl_facts(1, now));
        self.ask("CRLs", |view| view.crls(1));
        self.ask("targets", |view| view.targets());
        self.ask("unlockers", |view| view.unlockers());
        self.ask("secrets", |view| view.secrets());
        self.ask("a parameter", |view| view.parameter("dh"));
        self.ask("census", |view| view.census(now));
        assert_eq!(self.ask("what ends", |view| view.ending(now, now.plus_days(20))), []);
        self.ask("totals", |view| view.totals());
        self.ask("head", |view| view.head());
        self.ask("an entry", |view| view.entry(1));
        self.ask("the newest entries", |view| view.entries(1, Entries::All, &mut |_| ControlFlow::Continue(())));
        let [one, der, key] = [
            Change::Certificate(certificate.clone()),
            Change::CertificateDer(serial, Vec::new()),
            Change::SealedKey(serial, None),
        ];
        for (question, fact) in [("a fact", &one), ("a DER's fact", &der), ("a key's fact", &key)] {
            self.ask(question, |view| view.fact(&fact.key())).unwrap();
        }
        let peers = Change::Peer(peer.clone());
        self.ask("a peer's fact", |view| view.fact(&peers.key())).unwrap();
        self.ask("who changed a fact", |view| view.fact_entry(&one)).unwrap();
        self.ask("who changed a peer", |view| view.fact_entry(&peers)).unwrap();
        self.write("issue", &issued("laptop-7", 1));
        let many = (1..=GROUP).map(|number| issuance(&format!("laptop-{number}"), u8::try_from(number).unwrap()));
        self.count("issue to many", |writing| writing.record_issued(many.collect()));
        let (one, many) = (self.steps["issue"], self.steps["issue to many"]);
        assert!(many < GROUP as u64 * one, "{many} steps for {GROUP}, {one} for one");
        self.write("issue again", &issued(name.as_str(), 1));
        let revocation = Some(Revocation { at: now, reason: Reason::KeyCompromise });
        self.write("revoke", &[Change::Certificate(Certificate { revocation, ..certificate.clone() }), key]);
        let mut renewed = vec![Change::Certificate(Certificate { overlap_ends: Some(now), ..certificate })];
        renewed.extend(issued(name.as_str(), 2));
        self.write("renew", &renewed);
        self.write("note", &[Change::Peer(Peer { note: Some("+1".to_owned()), ..peer })]);
        self.steps
    }

    fn everybody(mut self) -> Steps {
        let go_on = |_, _| ControlFlow::Continue(());
        self.ask("list", |view| view.listing(Listing::Current, Order::Name, &mut { go_on }));
        self.ask("list --sort", |view| view.listing(Listing::Current, Order::End, &mut { go_on }));
        self.ask("peers", |view| view.peers(&mut |_, _| ControlFlow::Continue(())));
        self.ask("revoked", |view| view.revoked(1, BySerial::Number, &mut |_| ControlFlow::Continue(())));
        self.ask("facts", |view| view.facts(&mut |_, _| ()));
        self.steps
    }
}

fn foundations() -> Vec<Change> {
    let crl = SignedCrl { issuer: 1, number: 1, validity: year(), entries: 0, due: day(0), der: vec![5; 9] };
    let mut all = vec![
        Change::Authority(Identity { id: "0a".to_owned(), created: day(0) }),
        Change::Issuer(Issuer { number: 1, parent: None, certificate: vec![1; 9], sealed_key: vec![2; 9] }),
        Change::Crl(crl),
    ];
    all.extend(issued("server", 0));
    all
}

fn issued(name: &str, serial: u8) -> Vec<Change> {
    issuance(name, serial).into_changes().collect()
}

fn issuance(name: &str, serial: u8) -> Issuance {
    let (name, serial) = (Name::parse(name).unwrap(), Serial::fresh([serial; 16]));
    let role = if name.as_str() == "server" { Role::Server } else { Role::Client };
    let holder = Some(Holder { name: name.clone(), role, algorithm: "p256".to_owned(), key: KeyPlace::Here });
    let (validity, issued, created, current) = (year(), day(1), day(1), serial);
    let (revocation, overlap_ends, note, bundle) = (None, None, None, None);
    let certificate = Certificate { serial, issuer: 1, holder, validity, issued, revocation, overlap_ends };
    let peer = Peer { name, role, created, current, note, bundle, recipients: Vec::new() };
    Issuance { certificate, der: vec![6; 9], sealed: Some(vec![7; 9]), peer }
}

fn draft<'a>(act: u8) -> Draft<'a> {
    let (at, by) = (day(2), "root".to_owned());
    Draft { act: ActId([act; 16]), at, by, operation: "issue", events: Vec::new(), suspect: false, mac: None }
}

/// Rows as the writer makes them, with names and serials in no order: `7919` and the number of rows have no divisor.
fn crowd(peers: u32) -> String {
    format!(
        "BEGIN;
         CREATE TEMP TABLE n AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {peers}) SELECT i FROM n;
         INSERT INTO certificate (serial, issuer, peer, algorithm, not_before, not_after, issued, revoked, reason, overlap_ends, entry)
             SELECT CAST(printf('%016d', i * 7919 % {peers}) AS BLOB), 1, i + 1, 'p256', 0, 86400 * 365, 0,
                    CASE WHEN i % 2 THEN 86400 END, CASE WHEN i % 2 THEN 4 END, CASE WHEN i % 10 = 1 THEN 86400 END, 1 FROM n;
         INSERT INTO peer (name, folded, role, created, current, entry)
             SELECT name, name, 'client', 0, i + 1, 1 FROM (SELECT i, printf('client-%010d', i * 7919 % {peers}) AS name FROM n);
         INSERT INTO certificate (serial, issuer, peer, algorithm, not_before, not_after, issued, entry)
             SELECT CAST(printf('%015dx', i) AS BLOB), 1, i + 1, 'p256', 0, 86400 * 365, 0, 1 FROM n WHERE i % 10 = 1;
         INSERT INTO certificate_der SELECT id, x'30', 1 FROM certificate WHERE id > 1;
         INSERT INTO sealed_key SELECT id, x'30', 1 FROM certificate WHERE id > 1;
         UPDATE peer SET current = (SELECT max(id) FROM certificate WHERE peer = peer.id) WHERE id % 10 = 2;
         DROP TABLE n;
         COMMIT;"
    )
}

fn year() -> Validity {
    Validity::of_days(day(1), 365, 0)
}

fn day(day: i64) -> Time {
    Time::from_unix(day * DAY)
}
