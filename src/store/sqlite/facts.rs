//! What the SQLite back end reads to hold the store against its ledger: the fact that one of the ledger's keys names.
//! Compares nothing.

use rusqlite::{params, Row};

use super::{
    read::{
        cell, certificate, count, identity, issuer, parameter, peer, secret, serial_and_bytes, target, unlocker,
        CERTIFICATES, PEERS,
    },
    Session,
};
use crate::{inventory::Change, serial::Serial, store::StoreError};

type Fact = Option<(Change, u64)>;

impl Session<'_> {
    /// A key that is none of [`Change::key`]'s names nothing.
    pub(super) fn fact_of(&self, key: &str) -> Result<Fact, StoreError> {
        let (kind, rest) = key.split_once('/').unwrap_or((key, ""));
        match kind {
            "authority" => self.fact_in("SELECT * FROM authority", [], |row| identity(row).map(Change::Authority)),
            "issuer" => {
                self.numbered("SELECT * FROM issuer WHERE number = ?1", rest, |row| issuer(row).map(Change::Issuer))
            }
            "parameter" => {
                let sql = "SELECT * FROM parameter WHERE name = ?1";
                self.fact_in(sql, [rest], |row| parameter(row).map(Change::Parameter))
            }
            "secret" => {
                let (kind, scope) = rest.split_once('/').unwrap_or((rest, ""));
                let sql = "SELECT * FROM secret WHERE kind = ?1 AND scope = ?2";
                self.fact_in(sql, [kind, scope], |row| secret(row).map(Change::Secret))
            }
            "unlocker" => self
                .numbered("SELECT * FROM unlocker WHERE number = ?1", rest, |row| unlocker(row).map(Change::Unlocker)),
            "peer" => self.fact_in(&format!("{PEERS} WHERE p.folded = ?1"), [rest], |row| peer(row).map(Change::Peer)),
            "certificate" | "der" | "key" => self.fact_of_certificate(kind, rest),
            "crl" | "ladder" => self.fact_of_crls(kind, rest),
            "target" => {
                self.fact_in("SELECT * FROM target WHERE dir = ?1", [rest], |row| target(row).map(Change::Target))
            }
            _ => Ok(None),
        }
    }

    fn fact_of_certificate(&self, kind: &str, serial: &str) -> Result<Fact, StoreError> {
        let Ok(serial) = serial.parse::<Serial>() else { return Ok(None) };
        let serial = [serial.octets()];
        match kind {
            "certificate" => {
                let sql = format!("{CERTIFICATES} WHERE c.serial = ?1");
                self.fact_in(&sql, serial, |row| certificate(row).map(Change::Certificate))
            }
            "der" => {
                let sql = "SELECT c.serial, d.der AS bytes, d.entry FROM certificate c JOIN certificate_der d ON d.certificate = c.id
                           WHERE c.serial = ?1";
                let der = |(serial, der)| Change::CertificateDer(serial, der);
                self.fact_in(sql, serial, |row| serial_and_bytes(row).map(der))
            }
            _ => {
                let sql = "SELECT c.serial, k.sealed AS bytes, k.entry FROM certificate c JOIN sealed_key k ON k.certificate = c.id
                           WHERE c.serial = ?1";
                let key = |(serial, key)| Change::SealedKey(serial, Some(key));
                self.fact_in(sql, serial, |row| serial_and_bytes(row).map(key))
            }
        }
    }

    fn fact_of_crls(&self, kind: &str, issuer: &str) -> Result<Fact, StoreError> {
        let Ok(issuer) = issuer.parse::<u32>() else { return Ok(None) };
        let (first, which) = if kind == "crl" { ("rung = 0", "rung = 0") } else { ("rung = 1", "rung > 0") };
        let sql = format!("SELECT entry FROM crl WHERE issuer = ?1 AND {first}");
        let Some(entry) = self.one(&sql, [issuer], |row| count(row, "entry"))? else { return Ok(None) };
        let found = self.rungs(issuer, which)?.into_iter().map(|facts| self.with_der(issuer, facts));
        let mut found = found.collect::<Result<Vec<_>, _>>()?;
        let fact = if kind == "crl" { found.pop().map(Change::Crl) } else { Some(Change::Ladder(issuer, found)) };
        Ok(fact.map(|fact| (fact, entry)))
    }

    fn numbered(
        &self,
        sql: &str,
        number: &str,
        read: impl FnOnce(&Row<'_>) -> Result<Change, StoreError>,
    ) -> Result<Fact, StoreError> {
        let Ok(number) = number.parse::<u32>() else { return Ok(None) };
        self.fact_in(sql, params![number], read)
    }

    fn fact_in(
        &self,
        sql: &str,
        parameters: impl rusqlite::Params,
        read: impl FnOnce(&Row<'_>) -> Result<Change, StoreError>,
    ) -> Result<Fact, StoreError> {
        self.one(sql, parameters, |row| Ok((read(row)?, count(row, "entry")?)))
    }

    pub(super) fn count_facts(&self) -> Result<u64, StoreError> {
        Ok(self.one(COUNT, [], |row| cell::<i64>(row, "many"))?.unwrap_or(0).unsigned_abs())
    }
}

const COUNT: &str = "
    SELECT (SELECT count(*) FROM authority) + (SELECT count(*) FROM issuer) + (SELECT count(*) FROM parameter)
         + (SELECT count(*) FROM secret) + (SELECT count(*) FROM unlocker) + (SELECT count(*) FROM peer)
         + (SELECT count(*) FROM certificate) + (SELECT count(*) FROM certificate_der) + (SELECT count(*) FROM sealed_key)
         + (SELECT count(*) FROM crl WHERE rung < 2) + (SELECT count(*) FROM target) AS many";
