//! Targets in which servers read a directory of serials (`crl-verify DIR dir`): the names there are held against whom the
//! newest CRL refuses. Knows nothing of which server is meant.
//!
//! What a server refuses is what the names say, so they are compared each time. The signed list among them says what the
//! names cannot: whether the store was put back, and whose names are ours to remove. A name that neither list has was put
//! there by somebody else, for another authority or by hand: it stays, since whoever removes it may let somebody in.

use std::{collections::BTreeSet, path::Path};

use super::{readable, Account, Desk, Found, Published, Reached, TargetState};
use crate::{
    authority::{standing::Standing, Authority, AuthorityError},
    files,
    publish::{self, Form, Place, Serials, Turn},
    serial::Serial,
    settings::Publishing,
};

impl Authority {
    /// Brings a directory that no server of a target reads to the newest CRL, for whoever carries it on.
    pub fn publish_serials(&self, dir: &Path) -> Result<Published, AuthorityError> {
        let _lock = files::lock(self.dir(), self.patience())?;
        let view = self.view()?;
        let publishing = Publishing::default();
        let desk = Desk::of(&*view, &publishing, self.now())?;
        desk.check()?;
        let place = Place { path: dir.to_owned(), form: Form::Serials };
        let found = Found { reached: desk.stands(dir, &place, &[]), place: Some(place), readers: Vec::new() };
        let number = desk.known.current()?.crl.number;
        Ok(Published { number, targets: vec![desk.put(found)], ..Published::default() })
    }
}

impl Desk<'_> {
    /// How a directory stands whose list is not newer than the store's.
    pub(super) fn serials_stand(
        &self,
        dir: &Path,
        place: &Place,
        readers: &[Account],
        standing: &Standing,
        list: Option<&[u8]>,
    ) -> Result<Reached, AuthorityError> {
        let wanted = self.refused()?;
        let Some(there) = publish::serials(&place.path)? else {
            return Ok(Reached::of(dir, Some(place), TargetState::Behind));
        };
        let whole = there.missing(wanted).is_empty();
        let reached = match standing {
            Standing::Current if whole => readable(dir, place, TargetState::Current, readers),
            Standing::Ahead if whole => readable(dir, place, TargetState::Ahead, readers),
            _ => Reached::of(dir, Some(place), TargetState::Behind),
        };
        Ok(Reached { others: self.strangers(&there, list)?, ..reached })
    }

    /// Adds and removes what has changed since the list there. One that was signed in advance stays, with all whom it
    /// refuses: a list never goes back.
    pub(super) fn put_serials(&self, place: &Place, state: TargetState) -> Result<publish::Reached, AuthorityError> {
        if state == TargetState::Current {
            return Ok(publish::Reached::Already);
        }
        let list = publish::current(&place.list())?;
        let before = list.as_deref().map_or_else(BTreeSet::new, |list| self.known.refused_by(list));
        let (wanted, current) = (self.refused()?, self.known.current()?.pem.as_bytes());
        if let Some(list) = &list {
            if matches!(self.known.judge(list)?, Standing::Ahead) {
                let wanted = before.union(wanted).copied().collect();
                return Ok(publish::bring(&place.path, &Turn { wanted: &wanted, ended: &[], list })?);
            }
        }
        let ended: Vec<Serial> = before.difference(wanted).copied().collect();
        Ok(publish::bring(&place.path, &Turn { wanted, ended: &ended, list: current })?)
    }

    fn refused(&self) -> Result<&BTreeSet<Serial>, AuthorityError> {
        if let Some(refused) = self.refused.get() {
            return Ok(refused);
        }
        let refused = self.known.refused()?;
        Ok(self.refused.get_or_init(|| refused))
    }

    fn strangers(&self, there: &Serials, list: Option<&[u8]>) -> Result<Vec<Serial>, AuthorityError> {
        let others = there.others(self.refused()?);
        if others.is_empty() {
            return Ok(others);
        }
        let ours = list.map_or_else(BTreeSet::new, |list| self.known.refused_by(list));
        Ok(others.into_iter().filter(|serial| !ours.contains(serial)).collect())
    }
}

/// Whom the servers of a target refuse: nobody where they cannot enter the directory, or it is gone.
pub(super) fn refused_at(target: &Reached) -> BTreeSet<Serial> {
    let shut = target.state == TargetState::Unreadable;
    let dir = target.file.as_deref().filter(|_| !shut);
    dir.and_then(|dir| publish::serials(dir).ok().flatten()).unwrap_or_default().refused
}
