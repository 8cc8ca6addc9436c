//! What the SQLite back end reads: rows in, facts out.
//! Every row is parsed through the types' own doors, so that a row changed from outside is an error and never a panic.

use std::ops::ControlFlow;

use rusqlite::{params, Params, Row};

use super::{fault, Session};
use crate::{
    inventory::{
        Barred, Certificate, Change, Digest, Holder, Identity, Issuer, KeyPlace, Parameter, Peer, Reason, Revocation,
        Role, SealedSecret, SecretKind, SignedCrl, StoredEntry, Target, Unlocker,
    },
    name::Name,
    serial::Serial,
    store::{BySerial, Census, CrlFacts, Entries, Listing, Order, StoreError, Totals, View},
    time::Time,
    validity::Validity,
};

impl Session<'_> {
    pub(super) fn one<T>(
        &self,
        sql: &str,
        parameters: impl Params,
        read: impl FnOnce(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let mut statement = self.transaction.prepare_cached(sql).map_err(fault)?;
        let mut rows = statement.query(parameters).map_err(fault)?;
        rows.next().map_err(fault)?.map(read).transpose()
    }

    pub(super) fn each(
        &self,
        sql: &str,
        parameters: impl Params,
        mut read: impl FnMut(&Row<'_>) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<(), StoreError> {
        let mut statement = self.transaction.prepare_cached(sql).map_err(fault)?;
        let mut rows = statement.query(parameters).map_err(fault)?;
        while let Some(row) = rows.next().map_err(fault)? {
            if read(row)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    pub(super) fn all<T>(
        &self,
        sql: &str,
        parameters: impl Params,
        read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut found = Vec::new();
        self.each(sql, parameters, |row| {
            found.push(read(row)?);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(found)
    }

    fn visit_facts<T>(
        &self,
        sql: &str,
        read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
        into: impl Fn(T) -> Change,
        visit: &mut dyn FnMut(Change, u64),
    ) -> Result<(), StoreError> {
        self.each(sql, [], |row| {
            visit(into(read(row)?), cell::<i64>(row, "entry")?.unsigned_abs());
            Ok(ControlFlow::Continue(()))
        })
    }
}

impl Session<'_> {
    pub(super) fn with_der(&self, issuer: u32, facts: CrlFacts) -> Result<SignedCrl, StoreError> {
        let CrlFacts { number, validity, entries, due } = facts;
        let mut der = Vec::new();
        self.crl_parts(issuer, number, 0, &mut |part| {
            der.extend_from_slice(part);
            ControlFlow::Continue(())
        })?;
        Ok(SignedCrl { issuer, number, validity, entries, due, der })
    }

    /// The lengths of the revoked ones' serials, in their order.
    fn lengths_of_revoked(&self, issuer: u32) -> Result<Vec<i64>, StoreError> {
        let sql = "SELECT DISTINCT length(serial) AS octets FROM certificate INDEXED BY certificate_revoked
                   WHERE issuer = ?1 AND revoked IS NOT NULL ORDER BY octets";
        self.all(sql, [issuer], |row| cell(row, "octets"))
    }

    /// Issuers that have such CRLs, with the entry that last changed them.
    fn crl_entries(&self, which: &str) -> Result<Vec<(u32, u64)>, StoreError> {
        let sql = format!("SELECT issuer, entry FROM crl WHERE {which}");
        self.all(&sql, [], |row| Ok((cell::<u32>(row, "issuer")?, count(row, "entry")?)))
    }

    pub(super) fn rungs(&self, issuer: u32, which: &str) -> Result<Vec<CrlFacts>, StoreError> {
        self.all(&format!("SELECT * FROM crl WHERE issuer = ?1 AND {which} ORDER BY number"), [issuer], crl_facts)
    }
}

impl View for Session<'_> {
    fn identity(&self) -> Result<Identity, StoreError> {
        self.one("SELECT * FROM authority", [], identity)?.ok_or_else(|| missing("authority"))
    }

    fn issuer(&self) -> Result<Issuer, StoreError> {
        self.one("SELECT * FROM issuer ORDER BY number DESC LIMIT 1", [], issuer)?.ok_or_else(|| missing("issuer"))
    }

    fn parameter(&self, name: &str) -> Result<Option<String>, StoreError> {
        let found = self.one("SELECT * FROM parameter WHERE name = ?1", [name], parameter)?;
        Ok(found.map(|parameter| parameter.text))
    }

    fn secret(&self, kind: SecretKind) -> Result<Option<SealedSecret>, StoreError> {
        self.one("SELECT * FROM secret WHERE kind = ?1 AND scope = ''", [kind.word()], secret)
    }

    fn issuers(&self) -> Result<Vec<Issuer>, StoreError> {
        self.all("SELECT * FROM issuer ORDER BY number", [], issuer)
    }

    fn secrets(&self) -> Result<Vec<SealedSecret>, StoreError> {
        self.all("SELECT * FROM secret ORDER BY kind, scope", [], secret)
    }

    fn sealed_keys(&self) -> Result<u64, StoreError> {
        let found = self.one("SELECT count(*) AS many FROM sealed_key", [], |row| count(row, "many"))?;
        Ok(found.unwrap_or(0))
    }

    fn sealed_key_after(&self, before: Option<&Serial>) -> Result<Option<(Certificate, Vec<u8>)>, StoreError> {
        let sql = "SELECT c.*, p.name AS name, p.role AS role, k.sealed AS bytes
                   FROM sealed_key k JOIN certificate c ON c.id = k.certificate LEFT JOIN peer p ON p.id = c.peer
                   WHERE k.certificate > coalesce((SELECT id FROM certificate WHERE serial = ?1), 0)
                   ORDER BY k.certificate LIMIT 1";
        self.one(sql, [before.map(Serial::octets)], |row| Ok((certificate(row)?, cell(row, "bytes")?)))
    }

    fn unlockers(&self) -> Result<Vec<Unlocker>, StoreError> {
        self.all("SELECT * FROM unlocker ORDER BY number", [], unlocker)
    }

    fn peer(&self, name: &Name) -> Result<Option<Peer>, StoreError> {
        self.one(&format!("{PEERS} WHERE p.folded = ?1"), [name.folded()], peer)
    }

    fn peers(&self, visit: &mut dyn FnMut(Peer, Certificate) -> ControlFlow<()>) -> Result<(), StoreError> {
        self.each(&format!("{PEERS_AND_CERTIFICATES} ORDER BY p.folded"), [], |row| {
            let (peer, certificate) = peer_and_certificate(row)?;
            Ok(visit(peer, certificate))
        })
    }

    fn servers(&self) -> Result<Vec<(Peer, Certificate)>, StoreError> {
        let sql = format!("{PEERS_AND_CERTIFICATES} WHERE p.role = 'server' ORDER BY p.folded");
        self.all(&sql, [], peer_and_certificate)
    }

    fn certificate(&self, serial: &Serial) -> Result<Option<Certificate>, StoreError> {
        self.one(&format!("{CERTIFICATES} WHERE c.serial = ?1"), [serial.octets()], certificate)
    }

    fn certificates_of(&self, name: &Name) -> Result<Vec<Certificate>, StoreError> {
        self.all(&format!("{CERTIFICATES} WHERE p.folded = ?1 ORDER BY c.id"), [name.folded()], certificate)
    }

    fn listing(
        &self,
        which: Listing,
        order: Order,
        visit: &mut dyn FnMut(Certificate, Vec<String>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.listing_of(which, order, visit)
    }

    fn ending(&self, from: Time, until: Time) -> Result<Vec<(Peer, Certificate)>, StoreError> {
        self.ending_of(from, until)
    }

    fn folded_names(&self, visit: &mut dyn FnMut(&str)) -> Result<(), StoreError> {
        self.each("SELECT folded FROM peer ORDER BY folded", [], |row| {
            visit(row.get_ref("folded").and_then(|value| Ok(value.as_str()?)).map_err(fault)?);
            Ok(ControlFlow::Continue(()))
        })
    }

    fn certificate_der(&self, serial: &Serial) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = "SELECT d.der FROM certificate_der d JOIN certificate c ON c.id = d.certificate WHERE c.serial = ?1";
        self.one(sql, [serial.octets()], |row| cell(row, "der"))
    }

    fn certificates_with_key(&self, spki: &[u8]) -> Result<Vec<Certificate>, StoreError> {
        // the key stands in the DER as it is: an index would cost every issuing, this costs those with a request a
        // tenth of a second for a hundred thousand
        let sql = "SELECT d.der AS der, c.*, p.name AS name, p.role AS role
                   FROM certificate_der d JOIN certificate c ON c.id = d.certificate LEFT JOIN peer p ON p.id = c.peer
                   ORDER BY d.certificate";
        let mut found = Vec::new();
        self.each(sql, [], |row| {
            let der = blob(row, "der")?;
            // the last octet is looked at first, since all keys begin alike
            if der.windows(spki.len().max(1)).any(|part| part.last() == spki.last() && part == spki) {
                found.push(certificate(row)?);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(found)
    }

    fn sealed_key(&self, serial: &Serial) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = "SELECT k.sealed FROM sealed_key k JOIN certificate c ON c.id = k.certificate WHERE c.serial = ?1";
        self.one(sql, [serial.octets()], |row| cell(row, "sealed"))
    }

    /// The index has serials octet by octet, so for an order by number those of each length are asked for by themselves.
    /// All columns are in the index.
    fn revoked(
        &self,
        issuer: u32,
        order: BySerial,
        visit: &mut dyn FnMut(Barred) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let (filter, lengths) = match order {
            BySerial::Octets => ("?2 = 0", vec![0]),
            BySerial::Number => ("length(serial) = ?2", self.lengths_of_revoked(issuer)?),
        };
        let sql = format!(
            "SELECT serial, not_after, revoked, reason, overlap_ends FROM certificate INDEXED BY certificate_revoked
             WHERE issuer = ?1 AND revoked IS NOT NULL AND {filter} ORDER BY serial"
        );
        let mut flow = ControlFlow::Continue(());
        for length in lengths {
            if flow.is_continue() {
                self.each(&sql, params![issuer, length], |row| {
                    flow = visit(barred(row)?);
                    Ok(flow)
                })?;
            }
        }
        Ok(())
    }

    fn superseded(&self, issuer: u32, visit: &mut dyn FnMut(Certificate)) -> Result<(), StoreError> {
        let sql = format!(
            "{CERTIFICATES} WHERE c.issuer = ?1 AND c.overlap_ends IS NOT NULL AND (c.revoked IS NULL OR c.reason = 6)
             ORDER BY c.overlap_ends"
        );
        self.each(&sql, [issuer], |row| {
            visit(certificate(row)?);
            Ok(ControlFlow::Continue(()))
        })
    }

    fn overlap_is_over(&self, issuer: u32, now: Time) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM certificate
                   WHERE issuer = ?1 AND overlap_ends <= ?2 AND (revoked IS NULL OR reason = 6) LIMIT 1";
        Ok(self.one(sql, params![issuer, now.unix()], |_| Ok(()))?.is_some())
    }

    fn crl(&self, issuer: u32, now: Time) -> Result<Option<SignedCrl>, StoreError> {
        self.crl_facts(issuer, now)?.map(|facts| self.with_der(issuer, facts)).transpose()
    }

    fn crl_parts(
        &self,
        issuer: u32,
        number: u64,
        from: u32,
        visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        // to compare the key of a long row SQLite reads the row: with an upper bound it would read each twice
        let sql = "SELECT issuer, number, part, der FROM crl_chunk
                   WHERE (issuer, number, part) >= (?1, ?2, ?3) ORDER BY issuer, number, part";
        let (number, mut part) = (signed(number)?, from);
        self.each(sql, params![issuer, number, from], |row| {
            if (cell(row, "issuer")?, cell(row, "number")?, cell(row, "part")?) != (issuer, number, part) {
                return Ok(ControlFlow::Break(()));
            }
            part += 1;
            Ok(visit(blob(row, "der")?))
        })
    }

    fn crl_entry(&self, issuer: u32, number: u64) -> Result<Option<u64>, StoreError> {
        let sql = "SELECT entry FROM crl WHERE issuer = ?1 AND number = ?2";
        self.one(sql, params![issuer, signed(number)?], |row| count(row, "entry"))
    }

    fn crl_facts(&self, issuer: u32, now: Time) -> Result<Option<CrlFacts>, StoreError> {
        // with a clock that was put back none is due, and the oldest is nearest
        let sql = "SELECT * FROM crl WHERE issuer = ?1 ORDER BY due <= ?2 DESC, CASE WHEN due <= ?2 THEN -number ELSE number END LIMIT 1";
        self.one(sql, params![issuer, now.unix()], crl_facts)
    }

    fn crls(&self, issuer: u32) -> Result<Vec<CrlFacts>, StoreError> {
        self.all("SELECT * FROM crl WHERE issuer = ?1 ORDER BY number", [issuer], crl_facts)
    }

    fn targets(&self) -> Result<Vec<Target>, StoreError> {
        self.all("SELECT * FROM target ORDER BY dir", [], target)
    }

    fn census(&self, now: Time) -> Result<Census, StoreError> {
        self.census_of(now)
    }

    fn totals(&self) -> Result<Totals, StoreError> {
        let sql = "SELECT (SELECT coalesce(max(id), 0) FROM certificate) AS certificates,
                          coalesce(max((SELECT revoked FROM total), 0), 0) AS revoked";
        let totals = self.one(sql, [], |row| {
            Ok(Totals { certificates: count(row, "certificates")?, revoked: count(row, "revoked")? })
        })?;
        totals.ok_or_else(|| missing("certificates"))
    }

    fn head(&self) -> Result<Option<StoredEntry>, StoreError> {
        self.one("SELECT * FROM ledger ORDER BY seq DESC LIMIT 1", [], stored_entry)
    }

    fn entry(&self, seq: u64) -> Result<Option<StoredEntry>, StoreError> {
        self.one("SELECT * FROM ledger WHERE seq = ?1", [signed(seq)?], stored_entry)
    }

    fn entries(
        &self,
        from: u64,
        which: Entries,
        visit: &mut dyn FnMut(StoredEntry) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let filter = match which {
            Entries::All => "",
            Entries::Revocations => "AND revokes = 1",
        };
        let sql = format!("SELECT * FROM ledger WHERE seq >= ?1 {filter} ORDER BY seq");
        self.each(&sql, [signed(from)?], |row| Ok(visit(stored_entry(row)?)))
    }

    fn facts(&self, visit: &mut dyn FnMut(Change, u64)) -> Result<(), StoreError> {
        self.visit_facts("SELECT * FROM authority", identity, Change::Authority, visit)?;
        self.visit_facts("SELECT * FROM issuer", issuer, Change::Issuer, visit)?;
        self.visit_facts("SELECT * FROM parameter", parameter, Change::Parameter, visit)?;
        self.visit_facts("SELECT * FROM secret", secret, Change::Secret, visit)?;
        self.visit_facts("SELECT * FROM unlocker", unlocker, Change::Unlocker, visit)?;
        self.visit_facts(PEERS, peer, Change::Peer, visit)?;
        self.visit_facts(CERTIFICATES, certificate, Change::Certificate, visit)?;
        let ders = "SELECT c.serial, d.der AS bytes, d.entry FROM certificate_der d JOIN certificate c ON c.id = d.certificate";
        self.visit_facts(ders, serial_and_bytes, |(serial, der)| Change::CertificateDer(serial, der), visit)?;
        let keys =
            "SELECT c.serial, k.sealed AS bytes, k.entry FROM sealed_key k JOIN certificate c ON c.id = k.certificate";
        self.visit_facts(keys, serial_and_bytes, |(serial, key)| Change::SealedKey(serial, Some(key)), visit)?;
        self.visit_facts("SELECT * FROM target", target, Change::Target, visit)?;
        for (issuer, entry) in self.crl_entries("rung = 0")? {
            for facts in self.rungs(issuer, "rung = 0")? {
                visit(Change::Crl(self.with_der(issuer, facts)?), entry);
            }
        }
        for (issuer, entry) in self.crl_entries("rung = 1")? {
            let rungs = self.rungs(issuer, "rung > 0")?;
            let rungs = rungs.into_iter().map(|facts| self.with_der(issuer, facts)).collect::<Result<_, _>>()?;
            visit(Change::Ladder(issuer, rungs), entry);
        }
        Ok(())
    }

    fn fact(&self, key: &str) -> Result<Option<(Change, u64)>, StoreError> {
        self.fact_of(key)
    }

    fn fact_count(&self) -> Result<u64, StoreError> {
        self.count_facts()
    }

    fn derived_faults(&self) -> Result<Vec<String>, StoreError> {
        Session::derived_faults(self)
    }

    fn fact_entry(&self, fact: &Change) -> Result<Option<u64>, StoreError> {
        let entry = |row: &Row<'_>| count(row, "entry");
        match fact {
            Change::Authority(_) => self.one("SELECT entry FROM authority", [], entry),
            Change::Issuer(issuer) => self.one("SELECT entry FROM issuer WHERE number = ?1", [issuer.number], entry),
            Change::Parameter(parameter) => {
                self.one("SELECT entry FROM parameter WHERE name = ?1", [&parameter.name], entry)
            }
            Change::Secret(secret) => {
                let sql = "SELECT entry FROM secret WHERE kind = ?1 AND scope = ?2";
                self.one(sql, params![secret.kind.word(), secret.scope], entry)
            }
            Change::Unlocker(Unlocker { number, .. }) | Change::UnlockerRemoved(number) => {
                self.one("SELECT entry FROM unlocker WHERE number = ?1", [number], entry)
            }
            Change::Peer(peer) => self.one("SELECT entry FROM peer WHERE folded = ?1", [peer.name.folded()], entry),
            Change::Certificate(certificate) => {
                self.one("SELECT entry FROM certificate WHERE serial = ?1", [certificate.serial.octets()], entry)
            }
            Change::CertificateDer(serial, _) => {
                let sql = "SELECT d.entry FROM certificate_der d JOIN certificate c ON c.id = d.certificate WHERE c.serial = ?1";
                self.one(sql, [serial.octets()], entry)
            }
            Change::SealedKey(serial, _) => {
                let sql =
                    "SELECT k.entry FROM sealed_key k JOIN certificate c ON c.id = k.certificate WHERE c.serial = ?1";
                self.one(sql, [serial.octets()], entry)
            }
            Change::Crl(crl) => self.one("SELECT entry FROM crl WHERE issuer = ?1 AND rung = 0", [crl.issuer], entry),
            Change::Ladder(issuer, _) => {
                self.one("SELECT entry FROM crl WHERE issuer = ?1 AND rung = 1", [issuer], entry)
            }
            Change::Target(target) => self.one("SELECT entry FROM target WHERE dir = ?1", [&target.dir], entry),
        }
    }
}

pub(super) fn cell<T: rusqlite::types::FromSql>(row: &Row<'_>, column: &str) -> Result<T, StoreError> {
    row.get(column).map_err(|error| StoreError::Damaged(format!("column `{column}`: {error}")))
}

fn blob<'r>(row: &'r Row<'_>, column: &str) -> Result<&'r [u8], StoreError> {
    row.get_ref(column)
        .and_then(|value| Ok(value.as_blob()?))
        .map_err(|error| StoreError::Damaged(format!("column `{column}`: {error}")))
}

pub(super) fn count(row: &Row<'_>, column: &str) -> Result<u64, StoreError> {
    let number: i64 = cell(row, column)?;
    u64::try_from(number).map_err(|_| StoreError::Damaged(format!("column `{column}` is negative")))
}

fn time(row: &Row<'_>, column: &str) -> Result<Time, StoreError> {
    cell(row, column).map(Time::from_unix)
}

pub(super) fn signed(number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(|_| StoreError::Damaged(format!("{number} is out of range")))
}

pub(super) fn interval(from: Time, to: Time) -> Result<Validity, StoreError> {
    Validity::new(from, to).map_err(|error| StoreError::Damaged(error.to_string()))
}

fn missing(what: &str) -> StoreError {
    StoreError::Damaged(format!("it holds no {what}"))
}

fn serial(row: &Row<'_>, column: &str) -> Result<Serial, StoreError> {
    let place = row.as_ref().column_index(column).map_err(fault)?;
    serial_at(row, place)
}

fn serial_at(row: &Row<'_>, place: usize) -> Result<Serial, StoreError> {
    let octets = row.get_ref(place).and_then(|value| Ok(value.as_blob()?));
    let octets = octets.map_err(|error| StoreError::Damaged(format!("a serial: {error}")))?;
    Serial::from_octets(octets).map_err(|error| StoreError::Damaged(error.to_string()))
}

pub(super) fn serial_and_bytes(row: &Row<'_>) -> Result<(Serial, Vec<u8>), StoreError> {
    Ok((serial(row, "serial")?, cell(row, "bytes")?))
}

pub(super) fn identity(row: &Row<'_>) -> Result<Identity, StoreError> {
    Ok(Identity { id: cell(row, "id")?, created: time(row, "created")? })
}

pub(super) fn issuer(row: &Row<'_>) -> Result<Issuer, StoreError> {
    Ok(Issuer {
        number: cell(row, "number")?,
        parent: cell(row, "parent")?,
        certificate: cell(row, "certificate")?,
        sealed_key: cell(row, "sealed_key")?,
    })
}

pub(super) fn parameter(row: &Row<'_>) -> Result<Parameter, StoreError> {
    Ok(Parameter { name: cell(row, "name")?, text: cell(row, "value")? })
}

pub(super) fn secret(row: &Row<'_>) -> Result<SealedSecret, StoreError> {
    let word: String = cell(row, "kind")?;
    let kind = SecretKind::ControlChannel;
    if word != kind.word() {
        return Err(StoreError::Damaged(format!("`{}` is no kind of secret", crate::name::escape(&word))));
    }
    Ok(SealedSecret { kind, scope: cell(row, "scope")?, sealed: cell(row, "sealed")? })
}

pub(super) fn unlocker(row: &Row<'_>) -> Result<Unlocker, StoreError> {
    Ok(Unlocker {
        number: cell(row, "number")?,
        kind: cell(row, "kind")?,
        label: cell(row, "label")?,
        recipient: cell(row, "recipient")?,
        since: cell::<Option<i64>>(row, "since")?.map(Time::from_unix),
        wrapped: cell(row, "wrapped")?,
    })
}

pub(super) fn role(row: &Row<'_>) -> Result<Role, StoreError> {
    cell::<String>(row, "role")?.parse().map_err(StoreError::Damaged)
}

fn name(row: &Row<'_>) -> Result<Name, StoreError> {
    Name::parse(&cell::<String>(row, "name")?).map_err(|error| StoreError::Damaged(error.to_string()))
}

pub(super) fn peer(row: &Row<'_>) -> Result<Peer, StoreError> {
    Ok(Peer {
        name: name(row)?,
        role: role(row)?,
        created: time(row, "created")?,
        current: serial(row, "current")?,
        note: cell(row, "note")?,
        bundle: cell::<Option<[u8; 32]>>(row, "bundle")?.map(Digest),
        recipients: cell::<Option<String>>(row, "recipients")?
            .map_or_else(Vec::new, |lines| lines.split('\n').map(str::to_owned).collect()),
    })
}

pub(super) fn peer_and_certificate(row: &Row<'_>) -> Result<(Peer, Certificate), StoreError> {
    let peer = peer(row)?;
    let holder = holder(peer.name.clone(), peer.role, row)?;
    Ok((peer, certificate_of(row, Some(holder))?))
}

fn crl_facts(row: &Row<'_>) -> Result<CrlFacts, StoreError> {
    let validity = interval(time(row, "this_update")?, time(row, "next_update")?)?;
    Ok(CrlFacts { number: count(row, "number")?, validity, entries: count(row, "entries")?, due: time(row, "due")? })
}

fn holder(name: Name, role: Role, row: &Row<'_>) -> Result<Holder, StoreError> {
    let key = if cell(row, "key_with_owner")? { KeyPlace::WithOwner } else { KeyPlace::Here };
    Ok(Holder { name, role, algorithm: cell(row, "algorithm")?, key })
}

pub(super) fn certificate(row: &Row<'_>) -> Result<Certificate, StoreError> {
    let known: Option<i64> = cell(row, "peer")?;
    let holder = known.map(|_| holder(name(row)?, role(row)?, row)).transpose()?;
    certificate_of(row, holder)
}

/// By place, not by name: there may be a million of them.
fn barred(row: &Row<'_>) -> Result<Barred, StoreError> {
    let number = |place: usize| row.get(place).map_err(|error| StoreError::Damaged(format!("column {place}: {error}")));
    let revocation = |at, code| Revocation { at: Time::from_unix(at), reason: Reason::from_code(code) };
    let code: Option<i64> = number(3)?;
    let code = code.map(|code| u8::try_from(code).map_err(|_| StoreError::Damaged(format!("{code} is no reason"))));
    Ok(Barred {
        serial: serial_at(row, 0)?,
        not_after: Time::from_unix(number(1)?.unwrap_or_default()),
        revocation: number(2)?.zip(code.transpose()?).map(|(at, code)| revocation(at, code)),
        overlap_ends: number(4)?.map(Time::from_unix),
    })
}

fn certificate_of(row: &Row<'_>, holder: Option<Holder>) -> Result<Certificate, StoreError> {
    let revoked: Option<i64> = cell(row, "revoked")?;
    let revocation = revoked.map(|at| revocation(row, at)).transpose()?;
    Ok(Certificate {
        serial: serial(row, "serial")?,
        issuer: cell(row, "issuer")?,
        holder,
        validity: interval(time(row, "not_before")?, time(row, "not_after")?)?,
        issued: time(row, "issued")?,
        revocation,
        overlap_ends: cell::<Option<i64>>(row, "overlap_ends")?.map(Time::from_unix),
    })
}

fn revocation(row: &Row<'_>, at: i64) -> Result<Revocation, StoreError> {
    Ok(Revocation { at: Time::from_unix(at), reason: Reason::from_code(cell(row, "reason")?) })
}

pub(super) fn target(row: &Row<'_>) -> Result<Target, StoreError> {
    Ok(Target { dir: cell(row, "dir")?, server: cell(row, "server")?, added: time(row, "added")? })
}

fn stored_entry(row: &Row<'_>) -> Result<StoredEntry, StoreError> {
    Ok(StoredEntry {
        seq: count(row, "seq")?,
        body: cell(row, "body")?,
        hash: Digest(cell(row, "hash")?),
        mac: cell::<Option<[u8; 32]>>(row, "mac")?.map(Digest),
    })
}

pub(super) const PEERS: &str =
    "SELECT p.name, p.role, p.created, p.note, p.bundle, p.recipients, c.serial AS current, p.entry FROM peer p JOIN certificate c ON c.id = p.current";

pub(super) const PEERS_AND_CERTIFICATES: &str =
    "SELECT p.name, p.role, p.created, p.note, p.bundle, p.recipients, c.serial AS current, c.* FROM peer p JOIN certificate c ON c.id = p.current";

pub(super) const CERTIFICATES: &str =
    "SELECT c.*, p.name AS name, p.role AS role FROM certificate c LEFT JOIN peer p ON p.id = c.peer";

/// The row's own id of a certificate.
pub(super) fn certificate_id(session: &Session<'_>, serial: &Serial) -> Result<i64, StoreError> {
    let sql = "SELECT id FROM certificate WHERE serial = ?1";
    let found = session.one(sql, [serial.octets()], |row| cell(row, "id"))?;
    found.ok_or_else(|| StoreError::Damaged(format!("there is no certificate serial:{serial}")))
}
