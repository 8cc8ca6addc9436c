//! What the SQLite back end reads for `list`, `status` and whoever asks what ends when: few rows of many, or all of them
//! in an order without sorting. Knows nothing of how they are shown.

use std::{collections::BTreeMap, ops::ControlFlow};

use rusqlite::{params, types::FromSql, Row};

use super::{
    read::{cell, count, interval, peer_and_certificate, role, PEERS_AND_CERTIFICATES},
    Session,
};
use crate::{
    inventory::{Certificate, Holder, KeyPlace, Peer, Reason, Revocation, Status},
    name::Name,
    serial::Serial,
    store::{Census, Listing, Order, StoreError},
    time::{Time, DAY},
};

type Visit<'a> = &'a mut dyn FnMut(Certificate, Vec<String>) -> ControlFlow<()>;

impl Session<'_> {
    pub(super) fn listing_of(&self, which: Listing, order: Order, visit: Visit<'_>) -> Result<(), StoreError> {
        for sql in listing_sql(which, order) {
            self.each(&sql, [], |row| {
                let (certificate, recipients) = listed(row)?;
                Ok(visit(certificate, recipients))
            })?;
        }
        Ok(())
    }

    /// Days that are over or to come are counted in `tally`; those that end today are looked at, one by one.
    pub(super) fn census_of(&self, now: Time) -> Result<Census, StoreError> {
        let counts = self.all(CENSUS, params![now.unix(), now.unix().div_euclid(DAY)], |row| {
            let status: Status = cell::<String>(row, "status")?.parse().map_err(StoreError::Damaged)?;
            Ok((role(row)?, status, count(row, "many")?))
        })?;
        Ok(Census { counts })
    }

    pub(super) fn ending_of(&self, from: Time, until: Time) -> Result<Vec<(Peer, Certificate)>, StoreError> {
        let sql = format!(
            "{PEERS_AND_CERTIFICATES} WHERE c.not_after BETWEEN ?1 AND ?2 AND c.revoked IS NULL ORDER BY p.folded"
        );
        self.all(&sql, [from.unix(), until.unix()], peer_and_certificate)
    }

    /// What of the derived tables is not what is derived from the others now.
    pub(super) fn derived_faults(&self) -> Result<Vec<String>, StoreError> {
        let mut faults = Vec::new();
        let differs = |sql: &str| Ok::<_, StoreError>(self.one(sql, [], |_| Ok(()))?.is_some());
        if differs(LISTING_DIFFERS)? {
            faults.push("what `list` shows is not what the certificates say".to_owned());
        }
        if self.kinds()? != self.tallies()? || differs(TOTAL_DIFFERS)? {
            faults.push("what `status` counts is not what the certificates say".to_owned());
        }
        Ok(faults)
    }

    /// Every kind of row in the listing and how many there are.
    fn kinds(&self) -> Result<BTreeMap<Kind, u64>, StoreError> {
        let mut kinds = BTreeMap::new();
        self.each("SELECT role, state, day FROM tallied", [], |row| {
            *kinds.entry(kind(row)?).or_default() += 1;
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(kinds)
    }

    fn tallies(&self) -> Result<BTreeMap<Kind, u64>, StoreError> {
        let sql = "SELECT role, state, day, many FROM tally WHERE many <> 0";
        Ok(self.all(sql, [], |row| Ok((kind(row)?, count(row, "many")?)))?.into_iter().collect())
    }
}

/// Role, state and day.
type Kind = (String, String, i64);

fn kind(row: &Row<'_>) -> Result<Kind, StoreError> {
    Ok((cell(row, "role")?, cell(row, "state")?, cell(row, "day")?))
}

/// The statements that give all of it in an order that an index has: nothing is sorted, nothing is kept.
fn listing_sql(which: Listing, order: Order) -> Vec<String> {
    let joined = |rest: &str| format!("SELECT {JOINED} FROM {rest}");
    let by = if order == Order::End { "c.not_after, c.id" } else { "c.id" };
    match (which, order) {
        (Listing::Current, Order::Name) => vec![format!("SELECT {LISTED} FROM listing ORDER BY folded")],
        (Listing::Current, Order::End | Order::Issued) => {
            vec![joined(&format!("certificate c CROSS JOIN peer p ON p.current = c.id ORDER BY {by}"))]
        }
        (Listing::Every, Order::End | Order::Issued) => {
            vec![joined(&format!("certificate c LEFT JOIN peer p ON p.id = c.peer ORDER BY {by}"))]
        }
        // those of nobody come first
        (Listing::Every, Order::Name) => vec![
            joined("certificate c LEFT JOIN peer p ON p.id = c.peer WHERE c.peer IS NULL ORDER BY c.id"),
            joined("peer p CROSS JOIN certificate c ON c.peer = p.id ORDER BY p.folded, c.id"),
        ],
    }
}

/// A row of [`LISTED`] by the places of its columns: to look for their names a million times takes as long as all the rest.
fn listed(row: &Row<'_>) -> Result<(Certificate, Vec<String>), StoreError> {
    let holder = text(row, 0)?.map(|name| holder(name, row)).transpose()?;
    let revocation = at::<Option<i64>>(row, 8)?.map(|since| revocation(since, row)).transpose()?;
    let octets = row.get_ref(3).and_then(|value| Ok(value.as_blob()?)).map_err(|error| damaged(row, 3, &error))?;
    let certificate = Certificate {
        serial: Serial::from_octets(octets).map_err(|error| StoreError::Damaged(error.to_string()))?,
        issuer: at(row, 4)?,
        holder,
        validity: interval(Time::from_unix(at(row, 5)?), Time::from_unix(at(row, 6)?))?,
        issued: Time::from_unix(at(row, 7)?),
        revocation,
        overlap_ends: at::<Option<i64>>(row, 10)?.map(Time::from_unix),
    };
    let recipients = text(row, 2)?.map_or_else(Vec::new, |lines| lines.split('\n').map(str::to_owned).collect());
    Ok((certificate, recipients))
}

fn holder(name: &str, row: &Row<'_>) -> Result<Holder, StoreError> {
    Ok(Holder {
        name: Name::parse(name).map_err(|error| StoreError::Damaged(error.to_string()))?,
        role: text(row, 1)?.unwrap_or_default().parse().map_err(StoreError::Damaged)?,
        algorithm: at(row, 11)?,
        key: if at(row, 12)? { KeyPlace::WithOwner } else { KeyPlace::Here },
    })
}

fn revocation(since: i64, row: &Row<'_>) -> Result<Revocation, StoreError> {
    Ok(Revocation { at: Time::from_unix(since), reason: Reason::from_code(at(row, 9)?) })
}

fn text<'a>(row: &'a Row<'_>, place: usize) -> Result<Option<&'a str>, StoreError> {
    row.get_ref(place).and_then(|value| Ok(value.as_str_or_null()?)).map_err(|error| damaged(row, place, &error))
}

fn at<T: FromSql>(row: &Row<'_>, place: usize) -> Result<T, StoreError> {
    row.get(place).map_err(|error| damaged(row, place, &error))
}

fn damaged(row: &Row<'_>, place: usize, error: &rusqlite::Error) -> StoreError {
    let column = row.as_ref().column_name(place).unwrap_or("?");
    StoreError::Damaged(format!("column `{column}`: {error}"))
}

const LISTED: &str = "name, role, recipients, serial, issuer, not_before, not_after, issued, revoked, reason, overlap_ends, algorithm, key_with_owner";

const JOINED: &str = "p.name, p.role, p.recipients, c.serial, c.issuer, c.not_before, c.not_after, c.issued, c.revoked, c.reason, c.overlap_ends, c.algorithm, c.key_with_owner";

const CENSUS: &str = "
    SELECT role, status, sum(many) AS many FROM (
        SELECT role, CASE WHEN state <> 'kept' THEN state WHEN day < ?2 THEN 'expired' ELSE 'valid' END AS status, many
        FROM tally WHERE state <> 'kept' OR day <> ?2
        UNION ALL
        SELECT p.role, CASE WHEN c.not_after < ?1 THEN 'expired' ELSE 'valid' END, 1
        FROM certificate c CROSS JOIN peer p ON p.current = c.id
        WHERE c.not_after BETWEEN ?2 * 86400 AND ?2 * 86400 + 86399 AND c.revoked IS NULL AND c.overlap_ends IS NULL
        UNION ALL
        SELECT role, CASE WHEN overlap_ends <= ?1 THEN 'revoked' WHEN reason = 6 THEN 'suspended'
                          WHEN revoked IS NOT NULL THEN 'revoked' WHEN not_after < ?1 THEN 'expired'
                          ELSE 'superseded' END, 1
        FROM listing WHERE overlap_ends IS NOT NULL
    ) GROUP BY 1, 2 HAVING sum(many) <> 0 ORDER BY 1, 2";

const LISTING_DIFFERS: &str = "
    SELECT 1 FROM listed d LEFT JOIN listing l ON l.folded = d.folded
    WHERE l.name IS NOT d.name OR l.role IS NOT d.role OR l.recipients IS NOT d.recipients OR l.serial IS NOT d.serial
       OR l.issuer IS NOT d.issuer OR l.algorithm IS NOT d.algorithm OR l.not_before IS NOT d.not_before
       OR l.not_after IS NOT d.not_after OR l.issued IS NOT d.issued OR l.revoked IS NOT d.revoked
       OR l.reason IS NOT d.reason OR l.key_with_owner IS NOT d.key_with_owner OR l.overlap_ends IS NOT d.overlap_ends
    UNION ALL SELECT 1 WHERE (SELECT count(*) FROM listing) <> (SELECT count(*) FROM peer) LIMIT 1";

const TOTAL_DIFFERS: &str = "
    SELECT 1 WHERE coalesce((SELECT revoked FROM total), -1) <> (SELECT count(*) FROM certificate WHERE revoked IS NOT NULL)";
