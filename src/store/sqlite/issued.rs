//! New certificates with all that comes with them, a group of them in one statement: SQLite keeps a copy of every page that a
//! statement with triggers changes, to undo it alone, and that once for each statement.
//! What is written is what one by one would write.

use std::collections::HashSet;

use super::{
    write::{certificate_row, peer_row},
    Session,
};
use crate::{inventory::Issuance, store::StoreError};

impl Session<'_> {
    /// Writes the rows of a group; nothing, and false, where they do not go together.
    pub(super) fn insert_together(&self, group: &[Issuance], entry: i64) -> Result<bool, StoreError> {
        let holder = |one: &Issuance| one.certificate.holder.as_ref().map(|holder| holder.name.folded());
        let own = |one: &Issuance| holder(one).is_some_and(|name| name == one.peer.name.folded());
        let distinct: HashSet<_> = group.iter().filter_map(holder).collect();
        if distinct.len() < group.len() || !group.iter().all(own) {
            return Ok(false);
        }
        let (mut peers, mut certificates) = (Vec::new(), Vec::new());
        for Issuance { certificate, .. } in group {
            let peer = self.peer_id(certificate, entry)?;
            certificates.push(certificate_row(certificate, peer, entry));
            peers.extend(peer);
        }
        let ids = self.insert_certificates(&certificates)?..;
        let mut holders = Vec::new();
        for ((id, peer), one) in ids.zip(peers).zip(group) {
            self.insert_der(id, &one.der, entry)?;
            if let Some(sealed) = &one.sealed {
                self.insert_key(id, sealed, entry)?;
            }
            holders.push(peer_row(peer.into(), id, &one.peer, entry));
        }
        self.record_peers(&holders)?;
        Ok(true)
    }
}

/// How many are in a group: with four times as many nothing is gained.
pub(super) const GROUP: usize = 16;
