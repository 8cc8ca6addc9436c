//! What the SQLite back end writes: facts in, one ledger entry for all of them, one commit.
//! Nothing else in the program changes the database.

use std::{cell::Cell, ops::ControlFlow};

use rusqlite::{params, params_from_iter, types::Value};

use super::{
    fault,
    issued::GROUP,
    read::{cell, certificate_id, count, signed},
    Session,
};
use crate::{
    inventory::{
        change::begin_crl, ledger::Hasher, Certificate, Change, Digest, Entry, Event, Head, Issuance, KeyPlace, Peer,
        SignedCrl, Unlocker,
    },
    serial::Serial,
    store::{CommitError, CrlFacts, Draft, Mac, StoreError, Totals, View, Writing},
    time::Time,
};

/// What a writing session has recorded so far.
#[derive(Default)]
pub(super) struct Pending {
    /// The place of the entry to come.
    seq: u64,
    /// The hash of the entry before.
    previous: Digest,
    changed: Vec<(String, Option<Digest>)>,
    /// The certificate that was inserted last, and its row: what comes next is mostly its own.
    newest: Cell<Option<(Serial, i64)>>,
}

impl Session<'_> {
    /// The state of a writer that has just begun.
    pub(super) fn next(&self) -> Result<Pending, StoreError> {
        let head = self.head()?;
        let (seq, previous) = head.map_or((1, Digest::default()), |head| (head.seq + 1, head.hash));
        Ok(Pending { seq, previous, ..Pending::default() })
    }

    fn certificate_id(&self, serial: &Serial) -> Result<i64, StoreError> {
        match self.pending.newest.get() {
            Some((newest, id)) if newest == *serial => Ok(id),
            _ => certificate_id(self, serial),
        }
    }

    pub(super) fn execute(&self, sql: &str, parameters: impl rusqlite::Params) -> Result<usize, StoreError> {
        self.transaction.prepare_cached(sql).and_then(|mut statement| statement.execute(parameters)).map_err(fault)
    }

    /// The row was made with the peer's first certificate.
    fn record_peer(&self, peer: &Peer, entry: i64) -> Result<(), StoreError> {
        let sql = "UPDATE peer SET current = ?2, created = ?3, note = ?4, bundle = ?5, recipients = ?6, entry = ?7
                   WHERE folded = ?1";
        let row = peer_row(peer.name.folded().into(), self.certificate_id(&peer.current)?, peer, entry);
        match self.execute(sql, params_from_iter(row))? {
            1 => Ok(()),
            _ => Err(StoreError::Damaged(format!("there is no certificate of `{}`", peer.name))),
        }
    }

    /// The same of several by their ids, each once.
    pub(super) fn record_peers(&self, rows: &[[Value; 7]]) -> Result<(), StoreError> {
        let sql = format!(
            "UPDATE peer SET current = new.column2, created = new.column3, note = new.column4, bundle = new.column5,
                 recipients = new.column6, entry = new.column7
             FROM (VALUES {}) AS new WHERE peer.id = new.column1",
            places::<7>(rows.len())
        );
        match self.execute(&sql, params_from_iter(rows.iter().flatten()))? {
            many if many == rows.len() => Ok(()),
            many => Err(StoreError::Damaged(format!("of {} peers there are {many}", rows.len()))),
        }
    }

    /// A certificate comes before its new peer: the peer's row is made with it and completed by the peer's own fact;
    /// the deferred reference refuses the commit when that fact is missing.
    pub(super) fn peer_id(&self, certificate: &Certificate, entry: i64) -> Result<Option<i64>, StoreError> {
        let Some(holder) = &certificate.holder else { return Ok(None) };
        let sql = "SELECT id FROM peer WHERE folded = ?1";
        let folded = holder.name.folded();
        let known = self.one(sql, [&folded], |row| cell(row, "id"))?;
        if known.is_some() {
            return Ok(known);
        }
        let sql = "INSERT INTO peer (name, folded, role, created, current, entry) VALUES (?1, ?2, ?3, ?4, 0, ?5)";
        let role = holder.role.to_string();
        self.execute(sql, params![holder.name.as_str(), folded, role, certificate.issued.unix(), entry])?;
        Ok(Some(self.transaction.last_insert_rowid()))
    }

    /// What a certificate says of itself never changes. Not one statement for both: each prepares the triggers of its own
    /// kind only, and an insert that turns out to be an update leaves a gap in the ids.
    fn record_certificate(&self, certificate: &Certificate, entry: i64) -> Result<(), StoreError> {
        let sql = "SELECT id FROM certificate WHERE serial = ?1 AND issuer = ?2";
        let which = params![certificate.serial.octets(), certificate.issuer];
        match self.one(sql, which, |row| cell::<i64>(row, "id"))? {
            Some(id) => self.update_certificate(id, certificate, entry),
            None => self.insert_certificate(certificate, entry),
        }
    }

    fn update_certificate(&self, id: i64, certificate: &Certificate, entry: i64) -> Result<(), StoreError> {
        let sql = "UPDATE certificate SET revoked = ?2, reason = ?3, overlap_ends = ?4, entry = ?5 WHERE id = ?1";
        let (at, reason) = revocation(certificate);
        self.execute(sql, params![id, at, reason, certificate.overlap_ends.map(Time::unix), entry]).map(drop)
    }

    fn insert_certificate(&self, certificate: &Certificate, entry: i64) -> Result<(), StoreError> {
        let peer = self.peer_id(certificate, entry)?;
        let id = self.insert_certificates(&[certificate_row(certificate, peer, entry)])?;
        self.pending.newest.set(Some((certificate.serial, id)));
        Ok(())
    }

    /// Gives the id of the first; the others' follow without gaps.
    pub(super) fn insert_certificates(&self, rows: &[[Value; 12]]) -> Result<i64, StoreError> {
        let sql = format!(
            "INSERT INTO certificate (serial, issuer, peer, algorithm, not_before, not_after, issued, revoked, reason,
                 key_with_owner, overlap_ends, entry) VALUES {}",
            places::<12>(rows.len())
        );
        let many = self.execute(&sql, params_from_iter(rows.iter().flatten()))?;
        Ok(self.transaction.last_insert_rowid() + 1 - signed(many as u64)?)
    }

    pub(super) fn insert_der(&self, certificate: i64, der: &[u8], entry: i64) -> Result<(), StoreError> {
        let sql = "INSERT INTO certificate_der (certificate, der, entry) VALUES (?1, ?2, ?3)";
        self.execute(sql, params![certificate, der, entry]).map(drop)
    }

    pub(super) fn insert_key(&self, certificate: i64, sealed: &[u8], entry: i64) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO sealed_key (certificate, sealed, entry) VALUES (?1, ?2, ?3)";
        self.execute(sql, params![certificate, sealed, entry]).map(drop)
    }

    fn record_key(&self, serial: &Serial, sealed: Option<&[u8]>, entry: i64) -> Result<(), StoreError> {
        let id = self.certificate_id(serial)?;
        match sealed {
            Some(sealed) => self.insert_key(id, sealed, entry),
            None => self.execute("DELETE FROM sealed_key WHERE certificate = ?1", [id]).map(drop),
        }
    }

    /// A CRL that comes in one piece.
    fn insert_crl(&self, crl: &SignedCrl, rung: i64, entry: i64) -> Result<(), StoreError> {
        self.begin_crl(crl.issuer, crl.number)?;
        for (part, chunk) in (0..).zip(crl.der.chunks(CHUNK)) {
            self.put_crl_part(crl.issuer, crl.number, part, chunk)?;
        }
        self.insert_crl_row(crl.issuer, &crl.into(), rung, entry)
    }

    fn insert_crl_row(&self, issuer: u32, crl: &CrlFacts, rung: i64, entry: i64) -> Result<(), StoreError> {
        let sql = "INSERT INTO crl (issuer, number, rung, due, this_update, next_update, entries, entry)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        let (from, to) = (crl.validity.not_before().unix(), crl.validity.not_after().unix());
        let (number, entries) = (signed(crl.number)?, signed(crl.entries)?);
        self.execute(sql, params![issuer, number, rung, crl.due.unix(), from, to, entries, entry]).map(drop)
    }

    /// A new CRL takes the place of the one before, new rungs that of all rungs. CRLs are public: overwriting them with
    /// zeros would write as much once more.
    fn drop_crls(&self, sql: &str, issuer: u32) -> Result<(), StoreError> {
        self.transaction.execute_batch("PRAGMA secure_delete = OFF").map_err(fault)?;
        let dropped = self.execute(sql, [issuer]);
        self.transaction.execute_batch("PRAGMA secure_delete = ON").map_err(fault)?;
        dropped.map(drop)
    }

    fn digest_crl(&self, hasher: &mut Hasher, issuer: u32, crl: &CrlFacts) -> Result<(), StoreError> {
        // an upper bound would have SQLite read each part whole, where its length stands at its beginning
        let sql = "SELECT issuer, number, length(der) AS octets FROM crl_chunk
                   WHERE (issuer, number) >= (?1, ?2) ORDER BY issuer, number, part";
        let (number, mut octets) = (signed(crl.number)?, 0);
        self.each(sql, params![issuer, number], |row| {
            if (cell(row, "issuer")?, cell(row, "number")?) != (issuer, number) {
                return Ok(ControlFlow::Break(()));
            }
            octets += count(row, "octets")?;
            Ok(ControlFlow::Continue(()))
        })?;
        begin_crl(hasher, crl.number, crl.entries, crl.validity, octets);
        self.crl_parts(issuer, crl.number, 0, &mut |part| {
            hasher.piece(part);
            ControlFlow::Continue(())
        })
    }

    fn record_unlocker(&self, unlocker: &Unlocker, entry: i64) -> Result<(), StoreError> {
        let sql = "INSERT INTO unlocker (number, kind, label, recipient, since, wrapped, entry)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                   ON CONFLICT (number) DO UPDATE SET wrapped = excluded.wrapped, entry = excluded.entry";
        let Unlocker { number, kind, label, recipient, since, wrapped } = unlocker;
        self.execute(sql, params![number, kind, label, recipient, since.map(Time::unix), wrapped, entry]).map(drop)
    }

    fn insert(&self, change: &Change, entry: i64) -> Result<(), StoreError> {
        match change {
            Change::Authority(identity) => {
                let sql = "INSERT INTO authority (only, id, created, entry) VALUES (1, ?1, ?2, ?3)";
                self.execute(sql, params![identity.id, identity.created.unix(), entry]).map(drop)
            }
            Change::Issuer(issuer) => {
                let sql =
                    "INSERT INTO issuer (number, parent, certificate, sealed_key, entry) VALUES (?1, ?2, ?3, ?4, ?5)
                     ON CONFLICT (number) DO UPDATE SET sealed_key = excluded.sealed_key, entry = excluded.entry";
                let row = params![issuer.number, issuer.parent, issuer.certificate, issuer.sealed_key, entry];
                self.execute(sql, row).map(drop)
            }
            Change::Parameter(parameter) => {
                let sql = "INSERT OR REPLACE INTO parameter (name, value, entry) VALUES (?1, ?2, ?3)";
                self.execute(sql, params![parameter.name, parameter.text, entry]).map(drop)
            }
            Change::Secret(secret) => {
                let sql = "INSERT OR REPLACE INTO secret (kind, scope, sealed, entry) VALUES (?1, ?2, ?3, ?4)";
                self.execute(sql, params![secret.kind.word(), secret.scope, secret.sealed, entry]).map(drop)
            }
            Change::Unlocker(unlocker) => self.record_unlocker(unlocker, entry),
            Change::UnlockerRemoved(number) => {
                self.execute("DELETE FROM unlocker WHERE number = ?1", [number]).map(drop)
            }
            Change::Peer(peer) => self.record_peer(peer, entry),
            Change::Certificate(certificate) => self.record_certificate(certificate, entry),
            Change::CertificateDer(serial, der) => self.insert_der(self.certificate_id(serial)?, der, entry),
            Change::SealedKey(serial, sealed) => self.record_key(serial, sealed.as_deref(), entry),
            Change::Crl(crl) => {
                self.drop_crls(NEWEST, crl.issuer)?;
                self.insert_crl(crl, 0, entry)
            }
            Change::Ladder(issuer, rungs) => {
                self.drop_crls(RUNGS, *issuer)?;
                rungs.iter().zip(1..).try_for_each(|(crl, rung)| self.insert_crl(crl, rung, entry))
            }
            Change::Target(target) => {
                let sql = "INSERT OR REPLACE INTO target (dir, server, added, entry) VALUES (?1, ?2, ?3, ?4)";
                self.execute(sql, params![target.dir, target.server, target.added.unix(), entry]).map(drop)
            }
        }
    }

    fn append_entry(&mut self, draft: Draft<'_>) -> Result<Head, StoreError> {
        let Totals { certificates, revoked } = self.totals()?;
        let revokes = draft.events.iter().any(Event::bears_on_crl);
        let entry = Entry {
            seq: self.pending.seq,
            previous: self.pending.previous,
            act: draft.act,
            at: draft.at,
            by: draft.by,
            operation: draft.operation.to_owned(),
            events: draft.events,
            changed: std::mem::take(&mut self.pending.changed),
            certificates,
            revoked,
            suspect: draft.suspect,
        };
        let body = entry.body();
        let hash = Digest::of(body.as_bytes());
        let mac = draft.mac.map(|mac| mac(&hash.0));
        let sql = "INSERT INTO ledger (seq, act, revokes, body, hash, mac) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        self.execute(sql, params![signed(entry.seq)?, entry.act.0, revokes, body, hash.0, mac])?;
        (self.pending.seq, self.pending.previous) = (entry.seq + 1, hash);
        Ok(Head { seq: entry.seq, hash })
    }

    /// Up to so many entries after a place that have a MAC.
    fn proven_after(&self, seq: i64) -> Result<Vec<(i64, [u8; 32])>, StoreError> {
        let sql = "SELECT seq, hash FROM ledger WHERE seq > ?1 AND mac IS NOT NULL ORDER BY seq LIMIT 500";
        let mut statement = self.transaction.prepare_cached(sql).map_err(fault)?;
        let rows = statement.query_map([seq], |row| Ok((row.get(0)?, row.get(1)?))).map_err(fault)?;
        rows.collect::<Result<_, _>>().map_err(fault)
    }
}

impl Writing for Session<'_> {
    fn record(&mut self, change: &Change) -> Result<(), StoreError> {
        self.insert(change, signed(self.pending.seq)?)?;
        self.pending.changed.push(change.keyed());
        Ok(())
    }

    fn record_issued(&mut self, issued: Vec<Issuance>) -> Result<(), StoreError> {
        let entry = signed(self.pending.seq)?;
        let mut left = issued.into_iter().peekable();
        while left.peek().is_some() {
            let group: Vec<Issuance> = left.by_ref().take(GROUP).collect();
            let together = group.len() == GROUP && self.insert_together(&group, entry)?;
            for change in group.into_iter().flat_map(Issuance::into_changes) {
                if !together {
                    self.insert(&change, entry)?;
                }
                self.pending.changed.push(change.keyed());
            }
        }
        Ok(())
    }

    fn begin_crl(&self, issuer: u32, number: u64) -> Result<(), StoreError> {
        // the row comes after its parts, which are counted while they are laid down; a list of a hundred thousand is read
        // again from the cache, and not out of the WAL, when it fits into that
        self.transaction.execute_batch("PRAGMA defer_foreign_keys = ON; PRAGMA cache_size = -8192").map_err(fault)?;
        // of a row that was taken out from outside its parts may be left
        let sql = "DELETE FROM crl_chunk WHERE issuer = ?1 AND number = ?2";
        self.execute(sql, params![issuer, signed(number)?]).map(drop)
    }

    fn put_crl_part(&self, issuer: u32, number: u64, part: u32, der: &[u8]) -> Result<(), StoreError> {
        let sql = "INSERT INTO crl_chunk (issuer, number, part, der) VALUES (?1, ?2, ?3, ?4)";
        self.execute(sql, params![issuer, signed(number)?, part, der]).map(drop)
    }

    fn record_crl(&mut self, issuer: u32, crl: &CrlFacts) -> Result<(), StoreError> {
        self.drop_crls(NEWEST, issuer)?;
        self.insert_crl_row(issuer, crl, 0, signed(self.pending.seq)?)?;
        let key = format!("crl/{issuer}");
        let mut hasher = Hasher::new(&key);
        self.digest_crl(&mut hasher, issuer, crl)?;
        self.pending.changed.push((key, Some(hasher.finish())));
        Ok(())
    }

    fn record_ladder(&mut self, issuer: u32, rungs: &[CrlFacts]) -> Result<(), StoreError> {
        self.drop_crls(RUNGS, issuer)?;
        let key = format!("ladder/{issuer}");
        let mut hasher = Hasher::new(&key);
        for (crl, rung) in rungs.iter().zip(1..) {
            self.insert_crl_row(issuer, crl, rung, signed(self.pending.seq)?)?;
            self.digest_crl(hasher.time(crl.due), issuer, crl)?;
        }
        self.pending.changed.push((key, (!rungs.is_empty()).then(|| hasher.finish())));
        Ok(())
    }

    fn remac(&mut self, mac: &Mac<'_>) -> Result<(), StoreError> {
        let mut last = 0;
        loop {
            let page = self.proven_after(last)?;
            let Some((newest, _)) = page.last() else { return Ok(()) };
            last = *newest;
            for (seq, hash) in page {
                self.execute("UPDATE ledger SET mac = ?2 WHERE seq = ?1", params![seq, mac(&hash)])?;
            }
        }
    }

    fn append(&mut self, draft: Draft<'_>) -> Result<Head, StoreError> {
        self.append_entry(draft)
    }

    fn commit(mut self: Box<Self>, draft: Draft<'_>) -> Result<Head, CommitError> {
        let act = draft.act;
        let head = self.append_entry(draft).map_err(CommitError::NotDone)?;
        match self.transaction.commit() {
            Ok(()) => Ok(head),
            Err(error) => Err(CommitError::Unknown { act, source: fault(error) }),
        }
    }
}

/// `(?, ?), (?, ?)`
fn places<const COLUMNS: usize>(rows: usize) -> String {
    vec![format!("({})", ["?"; COLUMNS].join(", ")); rows].join(", ")
}

pub(super) fn certificate_row(certificate: &Certificate, peer: Option<i64>, entry: i64) -> [Value; 12] {
    let Certificate { holder, validity, .. } = certificate;
    let (at, reason) = revocation(certificate);
    [
        certificate.serial.octets().to_vec().into(),
        certificate.issuer.into(),
        peer.into(),
        holder.as_ref().map(|holder| holder.algorithm.clone()).into(),
        validity.not_before().unix().into(),
        validity.not_after().unix().into(),
        certificate.issued.unix().into(),
        at.into(),
        reason.into(),
        holder.as_ref().is_some_and(|holder| holder.key == KeyPlace::WithOwner).into(),
        certificate.overlap_ends.map(Time::unix).into(),
        entry.into(),
    ]
}

/// `which` says whose row it is.
pub(super) fn peer_row(which: Value, current: i64, peer: &Peer, entry: i64) -> [Value; 7] {
    let recipients = (!peer.recipients.is_empty()).then(|| peer.recipients.join("\n"));
    [
        which,
        current.into(),
        peer.created.unix().into(),
        peer.note.clone().into(),
        peer.bundle.map(|digest| digest.0.to_vec()).into(),
        recipients.into(),
        entry.into(),
    ]
}

fn revocation(certificate: &Certificate) -> (Option<i64>, Option<u8>) {
    certificate.revocation.map(|revocation| (revocation.at.unix(), revocation.reason.code())).unzip()
}

/// The CRL that was due when it was signed, and those that were signed in advance with it.
const NEWEST: &str = "DELETE FROM crl WHERE issuer = ?1 AND rung = 0";
const RUNGS: &str = "DELETE FROM crl WHERE issuer = ?1 AND rung > 0";

/// How much of a CRL one row holds.
const CHUNK: usize = 256 * 1024;
