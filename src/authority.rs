//! Acts that end in a commit, one file each: snapshot, plan, commit, release.
//! Knows no terminal, argument or environment; what is asked of people comes through [`Keyholder`].

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    files::{self, DirectoryFault, FileError, Owner},
    inventory::{ActId, Certificate, Event, Head, Peer, Revocation},
    name::Name,
    serial::Serial,
    settings::{self, Keep, Publishing, Settings},
    store::{self, Access, CommitError, Draft, Store, StoreError, View, Writing},
    template::Templates,
    time::Time,
    world::World,
};

mod admission;
pub mod after;
pub mod backup;
mod credential;
mod crew;
pub mod deliver;
mod due;
mod error;
pub mod export;
pub mod forget;
mod handover;
pub mod init;
pub mod issue;
pub mod ladder;
pub mod leaf;
pub mod listing;
pub mod live;
pub mod other_side;
pub mod proof;
pub mod publishing;
pub mod recipients;
pub mod renew;
pub mod restore;
pub mod revoke;
mod sealing;
mod signing;
mod standing;
pub mod target;
pub mod trust;
mod unlock;
pub mod unlocker;
pub mod verdict;
mod workshop;

pub use crew::{Stop, Stopped};
pub use error::AuthorityError;
pub use sealing::Sealing;
pub use unlock::{Keyholder, KeyholderError, Unlocked};
pub use workshop::CurrentBundles;

/// An authority on this disk, and who acts on it.
pub struct Authority {
    dir: PathBuf,
    owner: Option<Owner>,
    store: Box<dyn Store>,
    actor: Actor,
}

/// Who acts, with what patience and clock.
pub struct Actor {
    /// What the operating system calls them.
    pub by: String,
    /// Their numeric user.
    pub uid: u32,
    /// How long to wait for another writer.
    pub patience: Duration,
    /// That a clock far from the newest entry is right.
    pub clock_is_right: bool,
    /// Clock and entropy.
    pub world: World,
}

impl Authority {
    /// Opens the authority in `dir` after checking that it belongs to the caller alone.
    pub fn open(dir: &Path, access: Access, actor: Actor) -> Result<Self, AuthorityError> {
        if !store::exists(dir) {
            return Err(StoreError::Missing(files::shown(dir)).into());
        }
        let owner = files::check_authority_directory(dir, actor.uid)?;
        let store = store::open(dir, access)?;
        Ok(Self { dir: dir.to_owned(), owner, store, actor })
    }

    /// Opens the authority for whoever only looks and tells: what is wrong about its directory is no refusal then.
    pub fn look(dir: &Path, actor: Actor) -> Result<(Self, Vec<DirectoryFault>), AuthorityError> {
        if !store::exists(dir) {
            return Err(StoreError::Missing(files::shown(dir)).into());
        }
        let faults = files::authority_directory_faults(dir, actor.uid)?;
        let store = store::open(dir, Access::Read)?;
        Ok((Self { dir: dir.to_owned(), owner: None, store, actor }, faults))
    }

    /// One consistent view of the store.
    pub fn view(&self) -> Result<Box<dyn View + '_>, AuthorityError> {
        Ok(self.store.snapshot()?)
    }

    /// What people should know about where the store lies.
    pub fn notices(&self) -> &[String] {
        self.store.notices()
    }

    /// The settings; every fault in them at once.
    pub fn settings(&self) -> Result<Settings, AuthorityError> {
        Ok(settings::load(&self.settings_text()?, SETTINGS)?)
    }

    /// What `revoke`, `crl` and `status` need of the settings, and warnings about the rest.
    pub fn publishing(&self) -> (Publishing, Vec<String>) {
        match self.settings_text() {
            Ok(text) => settings::load_publishing(&text, SETTINGS),
            Err(error) => {
                let (publishing, _) = settings::load_publishing("", SETTINGS);
                (publishing, vec![format!("the settings were not read: {error}")])
            }
        }
    }

    /// The templates that make configurations, checked with these settings before any key is opened.
    pub fn templates(&self, settings: &Settings) -> Result<Templates, AuthorityError> {
        templates_in(&self.dir, settings)
    }

    /// The peer of this name; else an error that names what comes near.
    pub fn peer(&self, view: &dyn View, name: &Name) -> Result<Peer, AuthorityError> {
        known_peer(view, name)
    }

    /// The certificate with this serial.
    pub fn certificate(&self, view: &dyn View, serial: &Serial) -> Result<Certificate, AuthorityError> {
        view.certificate(serial)?.ok_or(AuthorityError::UnknownSerial(*serial))
    }

    /// The PKI directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What the clock says.
    pub fn now(&self) -> Time {
        self.actor.world.now()
    }

    fn patience(&self) -> Duration {
        self.actor.patience
    }

    fn settings_text(&self) -> Result<String, FileError> {
        settings_text(&self.dir)
    }

    /// Keys are dropped at a revocation unless the settings, where they can be read, say otherwise.
    fn keep_keys(&self) -> Keep {
        self.settings().map_or(Keep::UntilRevoked, |settings| settings.keep)
    }

    fn begin(&self) -> Result<Box<dyn Writing + '_>, AuthorityError> {
        Ok(self.store.begin(self.actor.patience)?)
    }

    /// A clock far past the newest entry would sign what nobody else believes yet.
    fn question_clock(&self, view: &dyn View) -> Result<(), AuthorityError> {
        let newest = view.head()?.and_then(|head| head.gist().ok());
        let now = self.now();
        let days = newest.map_or(0, |entry| entry.at.days_until(now));
        if days > FAR && !self.actor.clock_is_right {
            return Err(AuthorityError::Clock { now, days });
        }
        Ok(())
    }

    /// A ledger entry of its own for what was recorded so far; nothing is durable before the commit.
    fn append(
        &self,
        writing: &mut dyn Writing,
        operation: &'static str,
        events: Vec<Event>,
        suspect: bool,
        unlocked: Option<&Unlocked>,
    ) -> Result<(), AuthorityError> {
        let mac = |hash: &[u8]| unlocked.map(|unlocked| unlocked.vault.mac(hash)).unwrap_or_default();
        let draft = self.draft(operation, events, suspect || already_suspect(writing)?)?;
        writing.append(Draft { mac: unlocked.is_some().then_some(&mac), ..draft })?;
        Ok(())
    }

    fn draft(
        &self,
        operation: &'static str,
        events: Vec<Event>,
        suspect: bool,
    ) -> Result<Draft<'static>, AuthorityError> {
        Ok(Draft {
            act: ActId(self.actor.world.random()?),
            at: self.now(),
            by: self.actor.by.clone(),
            operation,
            events,
            suspect,
            mac: None,
        })
    }

    fn commit(
        &self,
        writing: Box<dyn Writing + '_>,
        operation: &'static str,
        events: Vec<Event>,
        suspect: bool,
        unlocked: Option<&Unlocked>,
    ) -> Result<Head, AuthorityError> {
        let suspect = suspect || already_suspect(&*writing)?;
        self.commit_as(writing, operation, events, suspect, unlocked)
    }

    /// The same where it is known whether a mismatch was, in this entry or before.
    fn commit_as(
        &self,
        writing: Box<dyn Writing + '_>,
        operation: &'static str,
        events: Vec<Event>,
        suspect: bool,
        unlocked: Option<&Unlocked>,
    ) -> Result<Head, AuthorityError> {
        if !unlocked.map_or(Ok(true), |unlocked| unlocked.is_current(&*writing))? {
            return Err(AuthorityError::VaultChanged);
        }
        let mac = |hash: &[u8]| unlocked.map(|unlocked| unlocked.vault.mac(hash)).unwrap_or_default();
        let draft = self.draft(operation, events, suspect)?;
        match writing.commit(Draft { mac: unlocked.is_some().then_some(&mac), ..draft }) {
            Ok(head) => Ok(head),
            Err(CommitError::Unknown { act, source }) => match self.store.committed(act) {
                Ok(true) => trust::head(&*self.view()?)?
                    .ok_or_else(|| StoreError::Damaged("the ledger is empty".to_owned()).into()),
                Ok(false) => Err(source.into()),
                Err(_) => Err(CommitError::Unknown { act, source }.into()),
            },
            Err(error) => Err(error.into()),
        }
    }
}

fn settings_text(dir: &Path) -> Result<String, FileError> {
    let bytes = files::read(&dir.join(SETTINGS), SETTINGS_LIMIT)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn templates_in(dir: &Path, settings: &Settings) -> Result<Templates, AuthorityError> {
    let folder = dir.join("templates");
    let mut overrides = Vec::new();
    if files::exists(&folder)? {
        for name in files::list(&folder)? {
            let text = files::read(&folder.join(&name), SETTINGS_LIMIT)?;
            overrides.push((name.to_string_lossy().into_owned(), String::from_utf8_lossy(&text).into_owned()));
        }
    }
    overrides.sort();
    Ok(Templates::with_overrides(overrides, settings)?)
}

/// Trust does not come back by appending: whatever was written over a mismatch carries its mark on.
fn already_suspect(view: &dyn View) -> Result<bool, StoreError> {
    Ok(view.head()?.and_then(|head| head.gist().ok()).is_some_and(|gist| gist.suspect))
}

/// The peer of this name in this spelling; else an error that names what comes near.
fn known_peer(view: &dyn View, name: &Name) -> Result<Peer, AuthorityError> {
    match view.peer(name)? {
        Some(peer) if peer.name == *name => Ok(peer),
        Some(peer) => Err(AuthorityError::UnknownName { name: name.clone(), near: Some(peer.name) }),
        None => Err(AuthorityError::UnknownName { name: name.clone(), near: nearest(view, name)? }),
    }
}

/// The name that differs in the fewest characters, when those are few.
fn nearest(view: &dyn View, name: &Name) -> Result<Option<Name>, StoreError> {
    let wanted = name.folded();
    let mut best: Option<(usize, String)> = None;
    view.folded_names(&mut |other| {
        if other.len().abs_diff(wanted.len()) <= NEAR {
            let distance = distance(&wanted, other);
            if distance <= NEAR && best.as_ref().is_none_or(|(least, _)| distance < *least) {
                best = Some((distance, other.to_owned()));
            }
        }
    })?;
    let near = best.and_then(|(_, near)| Name::parse(&near).ok()).map(|near| view.peer(&near)).transpose()?;
    Ok(near.flatten().map(|peer| peer.name))
}

/// Levenshtein's distance of two ASCII words.
fn distance(one: &str, other: &str) -> usize {
    let other = other.as_bytes();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.bytes().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in other.iter().enumerate() {
            let replaced = corner + usize::from(a != *b);
            corner = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(corner + 1);
        }
    }
    row[other.len()]
}

/// How an end of access is said to people.
fn since(revocation: &Revocation) -> String {
    format!("revoked since {} ({})", revocation.at.date(), revocation.reason)
}

/// The settings' file in the PKI directory.
pub const SETTINGS: &str = "vpnpki.toml";

const SETTINGS_LIMIT: usize = 1 << 20;

/// In how many characters a name may differ to be what was meant.
const NEAR: usize = 2;

/// Days after which a clock is questioned.
const FAR: i64 = 400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_single_changes() {
        for (one, other, expected) in
            [("client1", "client1", 0), ("clinet1", "client1", 2), ("a", "", 1), ("", "abc", 3)]
        {
            assert_eq!(distance(one, other), expected, "{one} {other}");
        }
    }
}
