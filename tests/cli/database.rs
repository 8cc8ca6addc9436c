//! `pki.db` in the hands of someone who can write it and has read this program, but has no key to the vault.
//! Knows the tables; what follows from a change is asked in `tampering.rs`.

use rusqlite::{params, Connection, Params};
use vpnpki::{
    inventory::{Change, Digest, Entry, Event},
    serial::Serial,
    store::{self, Access},
};

use crate::site::Site;

/// The store, opened beside the program.
pub struct Database<'a> {
    site: &'a Site,
    connection: Connection,
}

/// What becomes of the MACs of entries that are rewritten.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Macs {
    /// They stay, and fit no more.
    Kept,
    /// They go, as if the vault had been closed.
    Dropped,
}

impl<'a> Database<'a> {
    pub fn of(site: &'a Site) -> Self {
        let connection = Connection::open(site.path("pki/pki.db")).expect("the store");
        // the references of the schema bind no one who writes the file
        connection.pragma_update(None, "foreign_keys", false).expect("a wish");
        Self { site, connection }
    }

    /// Changes at least one row.
    #[track_caller]
    pub fn change(&self, sql: &str, parameters: impl Params) {
        let changed = self.connection.execute(sql, parameters).unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert!(changed > 0, "{sql} changed nothing");
    }

    /// The blob in the one cell that a query finds.
    #[track_caller]
    pub fn blob(&self, sql: &str, parameters: impl Params) -> Vec<u8> {
        self.connection.query_row(sql, parameters, |row| row.get(0)).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Takes a revocation back, and every trace of it that the ledger holds.
    pub fn take_back_revocation(&self, serial: &str, macs: Macs) {
        let serial: Serial = serial.parse().expect("a serial");
        let sql = "UPDATE certificate SET revoked = NULL, reason = NULL WHERE serial = ?1";
        self.change(sql, [serial.octets()]);
        let fact = self.certificate(&serial);
        let mut revoked_at = u64::MAX;
        self.rewrite(macs, |entry| {
            if entry.events.iter().any(|event| matches!(event, Event::Revoked { serial: s, .. } if *s == serial)) {
                revoked_at = entry.seq;
            }
            entry.events.retain(|event| !matches!(event, Event::Revoked { serial: s, .. } if *s == serial));
            for (key, digest) in &mut entry.changed {
                if *key == fact.key() {
                    *digest = fact.digest();
                }
            }
            entry.revoked -= u64::from(entry.seq >= revoked_at);
        });
        self.connection.execute("UPDATE ledger SET revokes = 0", []).expect("the ledger");
    }

    /// Makes the ledger say that a fact is as it lies there now.
    pub fn vouch_for(&self, key: &str, digest: Option<Digest>, macs: Macs) {
        self.rewrite(macs, |entry| {
            for (changed, known) in &mut entry.changed {
                if changed == key {
                    *known = digest;
                }
            }
        });
    }

    /// Changes entries and recomputes the whole chain as the program does.
    fn rewrite(&self, macs: Macs, mut edit: impl FnMut(&mut Entry)) {
        let mut previous = Digest::default();
        for (seq, body) in self.bodies() {
            let mut entry: Entry = serde_json::from_str(&body).expect("an entry");
            entry.previous = previous;
            edit(&mut entry);
            let body = entry.body();
            previous = Digest::of(body.as_bytes());
            self.change("UPDATE ledger SET body = ?1, hash = ?2 WHERE seq = ?3", params![body, previous.0, seq]);
        }
        if macs == Macs::Dropped {
            self.change("UPDATE ledger SET mac = NULL", []);
        }
    }

    fn bodies(&self) -> Vec<(i64, String)> {
        let mut statement = self.connection.prepare("SELECT seq, body FROM ledger ORDER BY seq").expect("the ledger");
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("the ledger");
        rows.collect::<Result<_, _>>().expect("the ledger")
    }

    fn certificate(&self, serial: &Serial) -> Change {
        let store = store::open(&self.site.path("pki"), Access::Read).expect("the store");
        let view = store.snapshot().expect("a snapshot");
        Change::Certificate(view.certificate(serial).expect("the store").expect("a certificate"))
    }

    /// The row's own id of a certificate.
    pub fn id(&self, serial: &str) -> i64 {
        let serial: Serial = serial.parse().expect("a serial");
        let sql = "SELECT id FROM certificate WHERE serial = ?1";
        self.connection.query_row(sql, [serial.octets()], |row| row.get(0)).expect("a certificate")
    }
}
