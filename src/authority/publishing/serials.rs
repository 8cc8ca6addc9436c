//! Targets in which servers read a directory of serials (`crl-verify DIR dir`): the names there are held against whom the
//! newest CRL refuses. Knows nothing of which server is meant.
//!
//! What a server refuses is what the names say, so they are compared each time. The signed list among them says what the
//! names cannot: whether the store was put back, and whose names are ours to remove. A name that neither list has was put
//! there by somebody else, for another authority or by hand: it stays, since whoever removes it may let somebody in.

use std::{
    collections::BTreeSet,
    io::Read,
    path::{Path, PathBuf},
};

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
        let number = desk.known.current()?.facts.number;
        Ok(Published { number, targets: vec![desk.put(found)], ..Published::default() })
    }
}

impl Desk<'_> {
    /// How a directory stands whose lists are not newer than the store's.
    pub(super) fn serials_stand(
        &self,
        dir: &Path,
        place: &Place,
        readers: &[Account],
        standing: &Standing,
    ) -> Result<Reached, AuthorityError> {
        let behind =
            |problem: Option<String>| Reached { problem, ..Reached::of(dir, Some(place), TargetState::Behind) };
        let Some(there) = publish::serials(&place.path)? else {
            let shown = files::shown(&place.path);
            return Ok(behind(Some(format!(
                "`{shown}` does not exist, and its server refuses nobody; {MEND} makes it"
            ))));
        };
        let reached = match (there.missing(self.refused()?).len(), standing) {
            (0, Standing::Current) => readable(dir, place, TargetState::Current, readers),
            (0, Standing::Ahead) => readable(dir, place, TargetState::Ahead, readers),
            (0, _) => behind(None),
            (many, _) => {
                let shown = files::shown(&place.path);
                behind(Some(format!("`{shown}` lacks {many} serials that are refused; {MEND} adds them")))
            }
        };
        Ok(Reached { others: self.strangers(&there, place)?, ..reached })
    }

    /// Adds and removes what has changed since the list there. One that was signed in advance stays, with all whom it
    /// refuses: a list never goes back.
    pub(super) fn put_serials(&self, place: &Place, state: TargetState) -> Result<publish::Reached, AuthorityError> {
        let unfinished = self.listed_at(place.unfinished())?;
        if state == TargetState::Current && unfinished.is_none() {
            return Ok(publish::Reached::Already);
        }
        let list = publish::open(&place.list())?;
        let before = list.as_ref().map_or_else(BTreeSet::new, |list| self.known.refused_by(list));
        let standing = list.as_ref().map(|list| self.known.judge(list)).transpose()?;
        let mut wanted = self.refused()?.clone();
        let ahead = list.as_ref().filter(|_| matches!(standing, Some(Standing::Ahead)));
        if ahead.is_some() {
            wanted.extend(&before);
        }
        let gone = |listed: &BTreeSet<Serial>| listed.difference(&wanted).copied().collect::<Vec<_>>();
        let (ended, unfinished) = (gone(&before), gone(&unfinished.unwrap_or_default()));
        let turn = Turn { wanted: &wanted, ended: &ended, unfinished: &unfinished };
        let current = self.known.current()?;
        Ok(publish::bring(&place.path, &turn, || -> Box<dyn Read + '_> {
            ahead.map_or_else(|| current.pem(), |list| Box::new(list.text()))
        })?)
    }

    /// Whom a list there refuses, if one of ours lies there; none where nothing does.
    fn listed_at(&self, list: Option<PathBuf>) -> Result<Option<BTreeSet<Serial>>, AuthorityError> {
        let there = list.map_or(Ok(None), |list| publish::open(&list))?;
        Ok(there.map(|there| self.known.refused_by(&there)))
    }

    fn refused(&self) -> Result<&BTreeSet<Serial>, AuthorityError> {
        if let Some(refused) = self.refused.get() {
            return Ok(refused);
        }
        let refused = self.known.refused()?;
        Ok(self.refused.get_or_init(|| refused))
    }

    fn strangers(&self, there: &Serials, place: &Place) -> Result<Vec<Serial>, AuthorityError> {
        let mut others = there.others(self.refused()?);
        for list in [Some(place.list()), place.unfinished()] {
            if !others.is_empty() {
                let ours = self.listed_at(list)?.unwrap_or_default();
                others.retain(|serial| !ours.contains(serial));
            }
        }
        Ok(others)
    }
}

/// Whom the servers of a target refuse: nobody where they cannot enter the directory, or it is gone.
pub(super) fn refused_at(target: &Reached) -> BTreeSet<Serial> {
    let shut = target.state == TargetState::Unreadable;
    let dir = target.file.as_deref().filter(|_| !shut);
    dir.and_then(|dir| publish::serials(dir).ok().flatten()).unwrap_or_default().refused
}

const MEND: &str = "`vpnpki crl publish`";
