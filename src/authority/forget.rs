//! `forget`: the private keys and the note of a peer without access are dropped. Serials, certificates and the ledger
//! stay for ever: what was once signed must stay known.

use serde::Serialize;

use crate::{
    authority::{known_peer, Authority, AuthorityError, Keyholder},
    inventory::{Change, Event, Peer},
    name::Name,
    serial::Serial,
    store::View,
    time::Time,
};

/// What `forget` did, or would do.
#[derive(Debug, Serialize)]
pub struct Forgotten {
    /// Whether anything was dropped.
    pub changed: bool,
    /// Whose keys and notes.
    pub forgotten: Vec<ForgottenPeer>,
    /// Whose were dropped before.
    pub unchanged: Vec<Name>,
    /// What people should know.
    pub warnings: Vec<String>,
}

/// What is dropped of one peer.
#[derive(Debug, Serialize, PartialEq, Eq)]
pub struct ForgottenPeer {
    /// Whose.
    pub name: Name,
    /// How many private keys.
    pub keys: u64,
    /// Whether there is a note.
    pub note: bool,
    /// How many recipients of bundles.
    pub recipients: u64,
}

/// A peer and what the store keeps beside its certificates.
struct Kept {
    peer: Peer,
    keys: Vec<Serial>,
}

impl Authority {
    /// What would be dropped; an error while one of them has access.
    pub fn forgettable(&self, names: &[Name]) -> Result<Forgotten, AuthorityError> {
        Ok(summary(&kept(&*self.view()?, names, self.now())?, false))
    }

    /// Drops the keys and notes of all of them, or of nobody while one of them has access.
    pub fn forget(&self, names: &[Name], keyholder: &dyn Keyholder) -> Result<Forgotten, AuthorityError> {
        let unlocked = {
            let view = self.view()?;
            let found = kept(&*view, names, self.now())?;
            if found.iter().all(Kept::is_empty) {
                return Ok(summary(&found, false));
            }
            self.unlock(&*view, keyholder)?
        };
        let mut writing = self.begin()?;
        let found = kept(&*writing, names, self.now())?;
        unlocked.refuse_mismatch(&*writing, relied_on(&*writing, &found)?)?;
        let mut events = Vec::new();
        for Kept { peer, keys } in found.iter().filter(|kept| !kept.is_empty()) {
            for serial in keys {
                writing.record(&Change::SealedKey(*serial, None))?;
            }
            writing.record(&Change::Peer(Peer { note: None, recipients: Vec::new(), ..peer.clone() }))?;
            events.push(Event::Forgotten { name: peer.name.clone() });
        }
        let changed = !events.is_empty();
        if changed {
            self.commit(writing, "forget", events, false, Some(&unlocked))?;
        }
        let warnings = if changed { self.tended(&unlocked) } else { Vec::new() };
        Ok(Forgotten { warnings, ..summary(&found, changed) })
    }
}

impl Kept {
    fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.peer.note.is_none() && self.peer.recipients.is_empty()
    }
}

fn kept(view: &dyn View, names: &[Name], now: Time) -> Result<Vec<Kept>, AuthorityError> {
    let mut found: Vec<Kept> = Vec::new();
    for name in names {
        let peer = known_peer(view, name)?;
        if found.iter().any(|kept| kept.peer.name == peer.name) {
            return Err(AuthorityError::Twice(peer.name));
        }
        let mut keys = Vec::new();
        for certificate in view.certificates_of(name)? {
            // whoever is suspended may come back with the key
            if certificate.is_accepted(now) || certificate.revocation.is_some_and(|held| held.is_hold()) {
                let what = certificate.status(now);
                return Err(AuthorityError::HasAccess { name: peer.name, serial: certificate.serial, what });
            }
            if view.sealed_key(&certificate.serial)?.is_some() {
                keys.push(certificate.serial);
            }
        }
        found.push(Kept { peer, keys });
    }
    Ok(found)
}

/// The facts by which they have no access.
fn relied_on(view: &dyn View, found: &[Kept]) -> Result<Vec<Change>, AuthorityError> {
    let mut facts = Vec::new();
    for kept in found {
        facts.push(Change::Peer(kept.peer.clone()));
        facts.extend(view.certificates_of(&kept.peer.name)?.into_iter().map(Change::Certificate));
    }
    Ok(facts)
}

fn summary(found: &[Kept], changed: bool) -> Forgotten {
    let (empty, full): (Vec<&Kept>, Vec<&Kept>) = found.iter().partition(|kept| kept.is_empty());
    let dropped = |kept: &&Kept| ForgottenPeer {
        name: kept.peer.name.clone(),
        keys: kept.keys.len() as u64,
        note: kept.peer.note.is_some(),
        recipients: kept.peer.recipients.len() as u64,
    };
    Forgotten {
        changed,
        forgotten: full.iter().map(dropped).collect(),
        unchanged: empty.iter().map(|kept| kept.peer.name.clone()).collect(),
        warnings: Vec::new(),
    }
}
