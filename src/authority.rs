//! Acts that end in a commit, one file each: snapshot, plan, commit, release.
//! Knows no terminal, argument or environment; what is asked of people comes through [`Keyholder`].

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    bundle::BundleError,
    files::{self, DirectoryFault, FileError, Owner},
    inventory::{ActId, Certificate, Event, Head, Peer, Revocation},
    name::Name,
    pki::{CertificateError, CrlError, KeyError, SignError},
    publish::PublishError,
    serial::Serial,
    settings::{self, Faults, Keep, Publishing, Settings},
    store::{self, Access, CommitError, Draft, Store, StoreError, View, Writing},
    template::{TemplateError, Templates},
    time::Time,
    vault::VaultError,
    world::{World, WorldError},
};

pub mod deliver;
pub mod export;
pub mod init;
pub mod issue;
pub mod publishing;
pub mod revoke;
mod signing;
pub mod target;
pub mod trust;
mod unlock;

pub use unlock::{Keyholder, KeyholderError, Unlocked};

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

/// Why an act was not done. Nothing was changed unless it says so.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The commit failed.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The PKI directory is not safe to use.
    #[error(transparent)]
    Directory(#[from] DirectoryFault),
    /// A file could not be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The settings have faults.
    #[error(transparent)]
    Settings(#[from] Faults),
    /// A template has a fault.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// A bundle could not be made.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The vault, or something sealed, did not open.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// Nobody opened the vault.
    #[error(transparent)]
    Keyholder(#[from] KeyholderError),
    /// A certificate or CRL was not signed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// A key was not made or read.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A certificate in the store cannot be read.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The CRL in the store cannot be used.
    #[error("the CRL in the store cannot be used: {0}")]
    Crl(#[from] CrlError),
    /// A target was refused.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// No randomness.
    #[error(transparent)]
    World(#[from] WorldError),
    /// The CA key in the store is not that of the CA certificate.
    #[error("the CA key in the store does not belong to the CA certificate")]
    ForeignCaKey,
    /// No CRL was signed, so nothing was published.
    #[error("no CRL was signed: {0}")]
    Unsigned(String),
    /// There is no CRL.
    #[error("the store holds no CRL")]
    NoCrl,
    /// The store is not what was written.
    #[error("nothing was done, since the store is not what was written: {}", .0.join("; "))]
    Mismatch(Vec<String>),
    /// A valid certificate has the name.
    #[error("cannot issue `{name}`: a valid certificate with this name exists until {}", .until.date())]
    Taken {
        /// The name.
        name: Name,
        /// Its notAfter.
        until: Time,
    },
    /// The name was spelled otherwise before.
    #[error("cannot issue `{asked}`: the name was given as `{known}`, and names do not differ in case only")]
    Spelling {
        /// As typed.
        asked: Name,
        /// As on record.
        known: Name,
    },
    /// The name belongs to a peer of the other role.
    #[error("cannot issue `{name}` as a {asked}: the name is a {known}'s")]
    OtherRole {
        /// The name.
        name: Name,
        /// The role asked for.
        asked: crate::inventory::Role,
        /// The role on record.
        known: crate::inventory::Role,
    },
    /// The name has the wrong prefix for its role.
    #[error("cannot issue `{name}`: {why}")]
    Prefix {
        /// The name.
        name: Name,
        /// The rule.
        why: String,
    },
    /// The same name twice in one call.
    #[error("`{0}` is named twice")]
    Twice(Name),
    /// No such peer.
    #[error("there is no `{name}`")]
    UnknownName {
        /// As typed.
        name: Name,
        /// What comes near.
        near: Option<Name>,
    },
    /// No such certificate.
    #[error("there is no certificate serial:{0}")]
    UnknownSerial(Serial),
    /// A certificate cannot outlive its CA.
    #[error("cannot issue for {days} days: the CA ends on {}", .ends.date())]
    OutlivesCa {
        /// As asked.
        days: u32,
        /// The CA's notAfter.
        ends: Time,
    },
    /// The CA is over.
    #[error("cannot issue: the CA ended on {}", .0.date())]
    CaEnded(Time),
    /// A bundle of someone who has no access.
    #[error("cannot export `{name}`: its certificate is {what}")]
    NoAccess {
        /// Whose.
        name: Name,
        /// Revoked since when, or expired.
        what: String,
    },
    /// The private key is not kept.
    #[error("cannot export `{0}`: its private key is not kept (`keys.keep`)")]
    NoKey(Name),
    /// A key does not belong to its certificate.
    #[error("the private key of `{0}` in the store does not belong to its certificate")]
    ForeignKey(Name),
    /// The clock is far from the newest entry.
    #[error("the clock says {}, {days} days after the newest ledger entry; nothing was done", .now.date())]
    Clock {
        /// What it says.
        now: Time,
        /// How far.
        days: i64,
    },
    /// Something asked for makes no sense together.
    #[error("{0}")]
    Usage(String),
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
        let newest = view.head()?.and_then(|head| head.read().ok());
        let now = self.now();
        let days = newest.map_or(0, |entry| entry.at.days_until(now));
        if days > FAR && !self.actor.clock_is_right {
            return Err(AuthorityError::Clock { now, days });
        }
        Ok(())
    }

    fn commit(
        &self,
        writing: Box<dyn Writing + '_>,
        operation: &'static str,
        events: Vec<Event>,
        suspect: bool,
        unlocked: Option<&Unlocked>,
    ) -> Result<Head, AuthorityError> {
        let act = ActId(self.actor.world.random()?);
        let mac = |hash: &[u8]| unlocked.map(|unlocked| unlocked.vault.mac(hash)).unwrap_or_default();
        let suspect = suspect || already_suspect(&*writing)?;
        let draft = Draft {
            act,
            at: self.now(),
            by: self.actor.by.clone(),
            operation,
            events,
            suspect,
            mac: unlocked.is_some().then_some(&mac),
        };
        match writing.commit(draft) {
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

impl AuthorityError {
    /// Whether nobody was there to open the vault, as against someone with the wrong key.
    pub fn nobody_unlocks(&self) -> bool {
        matches!(self, Self::Keyholder(KeyholderError::Missing(_)))
    }

    /// Whether the CA's key is not what it should be: a revocation is recorded all the same.
    fn is_foreign_key(&self) -> bool {
        match self {
            Self::ForeignCaKey => true,
            Self::Vault(error) => !error.is_locked(),
            _ => false,
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
    Ok(view.head()?.and_then(|head| head.read().ok()).is_some_and(|entry| entry.suspect))
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
    let mut best: Option<(usize, Name)> = None;
    view.peers(&mut |peer, _| {
        let distance = distance(&wanted, &peer.name.folded());
        if distance <= 2 && best.as_ref().is_none_or(|(least, _)| distance < *least) {
            best = Some((distance, peer.name));
        }
        std::ops::ControlFlow::Continue(())
    })?;
    Ok(best.map(|(_, name)| name))
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
