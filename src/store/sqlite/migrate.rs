//! Older formats of the store: each is brought to the next one when it is opened, in one transaction.
//! Knows no fact: the digests that the ledger holds stay what they were.

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::{fault, FORMAT};
use crate::store::StoreError;

/// Checks which format the store has, and brings an older one to ours.
pub(in crate::store) fn to_current(connection: &Connection) -> Result<(), StoreError> {
    match format(connection)? {
        FORMAT => Ok(()),
        1..FORMAT => migrate(connection),
        found if found > FORMAT => Err(StoreError::Newer { found, known: FORMAT }),
        found => Err(StoreError::Damaged(format!("format {found} never existed"))),
    }
}

fn migrate(connection: &Connection) -> Result<(), StoreError> {
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate).map_err(older)?;
    // another may have done it while we waited
    for (before, step) in (1..).zip(STEPS) {
        if format(&transaction)? == before {
            transaction.execute_batch(step).map_err(older)?;
        }
    }
    transaction.commit().map_err(older)
}

/// From format 1 to 2, and so on.
const STEPS: [&str; 2] = [include_str!("../to-format-2.sql"), include_str!("../to-format-3.sql")];

/// Where nothing can be written, an older store cannot be read either.
fn older(error: rusqlite::Error) -> StoreError {
    match fault(error) {
        StoreError::ReadOnly(_) => StoreError::Older,
        other => other,
    }
}

fn format(connection: &Connection) -> Result<i64, StoreError> {
    connection
        .query_row("SELECT version FROM format", [], |row| row.get(0))
        .map_err(|error| StoreError::Damaged(format!("it names no format ({error})")))
}
