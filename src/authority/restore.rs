//! `restore`: an authority out of a backup, whole or not at all, caught up with the CRLs that servers read today before
//! it is real. Knows nothing of what a backup is made of.

use std::{
    collections::BTreeSet,
    path::{Component, Path, PathBuf},
};

use serde::Serialize;

use crate::{
    authority::{
        backup::{self, BackupFacts, OpenBackup, TEMPLATES},
        init::absolute,
        publishing::Published,
        revoke::{highest, CrlSummary},
        signing::{self, Wishes},
        unlock::{KEY_FILE, VAULT_KEY},
        verdict::record_overlaps,
        Actor, Authority, AuthorityError, Keyholder, Unlocked, SETTINGS, SETTINGS_LIMIT,
    },
    files::{self, FileError, Nursery, Overwrite, Part, Visibility},
    inventory::{Event, Role, Unlocker},
    name::Name,
    pki,
    secret::Secret,
    serial::Serial,
    settings::{self, Keep, Publishing},
    store::{self, Access, View},
};

/// What `restore` is asked to do.
pub struct RestoreRequest {
    /// Where the authority is to lie.
    pub dir: PathBuf,
    /// The backup.
    pub bytes: Secret,
    /// Leave the targets alone.
    pub no_publish: bool,
    /// Stop before anything changes.
    pub dry_run: bool,
}

/// What `restore` did.
#[derive(Debug, Serialize)]
pub struct Restored {
    /// Whether anything was made.
    pub changed: bool,
    /// Where the authority lies.
    pub dir: PathBuf,
    /// What was in the backup.
    pub backup: BackupFacts,
    /// The CRL that was signed above any that was found.
    pub crl: Option<CrlSummary>,
    /// Whom servers refuse already, unknown to the backup.
    pub learned: Vec<Learned>,
    /// Servers' certificates in the targets that the backup does not know.
    pub strangers: Vec<Stranger>,
    /// Whether `vault.key` was put in place.
    pub key_file: bool,
    /// Where the CRL went.
    pub published: Published,
    /// What people should know.
    pub warnings: Vec<String>,
}

/// A certificate that was revoked after the backup was made.
#[derive(Debug, Serialize, PartialEq, Eq)]
pub struct Learned {
    /// Whose, when the backup knows the certificate.
    pub name: Option<Name>,
    /// Its serial.
    pub serial: Serial,
}

/// A server's certificate that was issued after the backup was made.
#[derive(Debug, Serialize, PartialEq, Eq)]
pub struct Stranger {
    /// Where it lies.
    pub file: PathBuf,
    /// Whose it says it is.
    pub name: String,
    /// Its serial.
    pub serial: Serial,
}

/// Puts the authority of a backup in place.
pub fn restore(request: &RestoreRequest, keyholder: &dyn Keyholder, actor: Actor) -> Result<Restored, AuthorityError> {
    if !Nursery::is_leftover(&request.dir)? {
        check_vacant(&request.dir)?;
    }
    let open = backup::open(request.bytes.expose(), keyholder)?;
    let nursery = Nursery::create(&request.dir)?;
    // what a kill left is gone now
    check_vacant(&request.dir)?;
    let text = String::from_utf8_lossy(open.settings()).into_owned();
    let (publishing, warnings) = settings::load_publishing(&text, SETTINGS);
    let key_file = fill(&nursery.path(), &open)?;
    let store = store::put(&nursery.path(), open.image())?;
    // its directory is the one to be, since paths in the settings are relative to that
    let authority = Authority { dir: request.dir.clone(), owner: None, store, actor };
    let mut restored = Restored { warnings, ..Restored::of(request, open.facts, key_file) };
    restored.miss_key_file(&open.unlockers);
    let unlocked = Unlocked::of(open.vault, open.by, &*authority.view()?)?;
    authority.catch_up(&unlocked, &placed(&publishing, &request.dir)?, request.no_publish, &mut restored)?;
    if request.dry_run {
        return Ok(restored);
    }
    // the database is closed before its file is moved
    let Authority { store, actor, .. } = authority;
    drop(store);
    let left = nursery.commit()?;
    restored.changed = true;
    restored.warnings.extend(left.map(|why| {
        format!(
            "the authority stands, but what it was built in is left: {why}; `vpnpki restore --if-missing` removes it"
        )
    }));
    restored.published = match Authority::open(&request.dir, Access::Write, actor) {
        Ok(authority) => authority.publish_unless(request.no_publish, &publishing),
        Err(error) => Published { problem: Some(error.to_string()), ..Published::default() },
    };
    Ok(restored)
}

impl Restored {
    fn of(request: &RestoreRequest, backup: BackupFacts, key_file: bool) -> Self {
        Self {
            changed: false,
            dir: request.dir.clone(),
            backup,
            crl: None,
            learned: Vec::new(),
            strangers: Vec::new(),
            key_file,
            published: Published::default(),
            warnings: Vec::new(),
        }
    }

    fn miss_key_file(&mut self, unlockers: &[Unlocker]) {
        if unlockers.iter().any(|unlocker| unlocker.kind == KEY_FILE) && !self.key_file {
            self.warnings.push(format!(
                "`{VAULT_KEY}` is not part of a backup: put it into `{}` again, or `vpnpki unlocker remove` its unlocker",
                files::shown(&self.dir)
            ));
        }
    }
}

/// Targets as absolute paths: `pki/../server` cannot be reached while there is no `pki`, which is no link either.
fn placed(publishing: &Publishing, dir: &Path) -> Result<Publishing, AuthorityError> {
    let home = absolute(dir)?;
    let place = |target: &PathBuf| {
        home.join(target).components().fold(PathBuf::new(), |path, component| match component {
            Component::ParentDir => path.parent().map(Path::to_owned).unwrap_or_default(),
            Component::CurDir => path,
            other => path.join(other),
        })
    };
    Ok(Publishing { dirs: publishing.dirs.iter().map(place).collect(), ..publishing.clone() })
}

/// Only what a backup holds may lie there afterwards.
fn check_vacant(dir: &Path) -> Result<(), AuthorityError> {
    for name in [SETTINGS, TEMPLATES] {
        let path = dir.join(name);
        // where the directory is a file, making it says so
        let there = match files::exists(&path) {
            Err(FileError::NotADirectory { .. }) => false,
            other => other?,
        };
        if there {
            return Err(FileError::Exists { path }.into());
        }
    }
    Ok(())
}

/// Settings, templates, and `vault.key` where its key opened the backup; returns whether it did.
fn fill(dir: &Path, open: &OpenBackup) -> Result<bool, AuthorityError> {
    let write = |name: &str, bytes: &[u8], visibility: Visibility| {
        files::stage(&dir.join(name), bytes, visibility, Overwrite::Refuse, None)?.release()
    };
    write(SETTINGS, open.settings(), Visibility::Public)?;
    let templates = open.templates();
    if !templates.is_empty() {
        let part = |(name, bytes)| Part { name, bytes, visibility: Visibility::Public };
        let parts: Vec<Part> = templates.into_iter().map(part).collect();
        let folder = dir.join(TEMPLATES);
        let staged = files::stage_directory(&folder, &parts, Visibility::Private, Overwrite::Refuse, None)?;
        staged.release().map_err(|unreleased| first_fault(unreleased, folder))?;
    }
    let recipient = open.by.recipient.as_ref().filter(|_| open.by.kind == KEY_FILE);
    let text = recipient.and_then(|recipient| open.identity.as_ref()?.key_file_of(recipient));
    if let Some(text) = &text {
        write(VAULT_KEY, text.expose(), Visibility::Private)?;
    }
    Ok(text.is_some())
}

fn first_fault(unreleased: files::Unreleased, path: PathBuf) -> FileError {
    let first = unreleased.failed.into_iter().next();
    first.map_or(FileError::NotAFile { path }, |(_, error)| error)
}

impl Authority {
    /// The store is older than what servers read: whom they refuse stays refused, and the next CRL has a higher number
    /// than any of theirs. Recorded before the authority is real, so that there is no moment in which it knows less.
    fn catch_up(
        &self,
        unlocked: &Unlocked,
        publishing: &Publishing,
        no_publish: bool,
        restored: &mut Restored,
    ) -> Result<(), AuthorityError> {
        self.question_clock(&*self.view()?)?;
        let mut writing = self.begin()?;
        let now = self.now();
        restored.strangers = self.strangers(&*writing, unlocked, publishing)?;
        let (newer, unread) = self.look_for_newer(&*writing, publishing)?;
        for unread in unread {
            // whom it refuses nobody can tell, and a later one would give them access back
            if !no_publish {
                return Err(AuthorityError::UnreadTarget(unread));
            }
            restored.warnings.push(format!(
                "{unread}; perhaps it refuses somebody whom the backup does not know: look at it before `vpnpki crl publish`"
            ));
        }
        let mut events = vec![Event::Restored { made: restored.backup.made, seq: restored.backup.entry }];
        events.extend(self.take_over_from(&mut *writing, unlocked, newer, &mut restored.warnings)?);
        restored.learned = events.iter().filter_map(learned).collect();
        let above = highest(&events);
        events.extend(record_overlaps(&mut *writing, unlocked, now, Keep::Always)?);
        let wishes = Wishes { days: publishing.crl_days, above };
        let (crl, signed) = signing::sign_crl(&mut *writing, unlocked, now, wishes, &events)?;
        restored.crl = Some(CrlSummary::of(&crl));
        events.extend(signed);
        self.commit(writing, "restore", events, false, Some(unlocked))?;
        Ok(())
    }

    /// What servers show to clients today, and the store cannot tell whose it is.
    fn strangers(
        &self,
        view: &dyn View,
        unlocked: &Unlocked,
        publishing: &Publishing,
    ) -> Result<Vec<Stranger>, AuthorityError> {
        let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
        let ca = unlocked.issuer()?;
        for dir in self.target_dirs(view, publishing)? {
            // a target that is not there is told when the CRL is published
            for name in files::list(&dir).unwrap_or_default() {
                let file = dir.join(&name);
                if file.extension() != Some("crt".as_ref()) {
                    continue;
                }
                let text = files::read(&file, SETTINGS_LIMIT).unwrap_or_default();
                for der in pki::certificates_from_pem(&text).unwrap_or_default() {
                    let Ok(leaf) = pki::read_leaf(&der) else { continue };
                    let ours = leaf.role == Some(Role::Server) && leaf.issuer_der == ca.subject_der();
                    if ours && view.certificate(&leaf.serial)?.is_none() && seen.insert(leaf.serial) {
                        found.push(Stranger { file: file.clone(), name: leaf.common_name, serial: leaf.serial });
                    }
                }
            }
        }
        Ok(found)
    }
}

fn learned(event: &Event) -> Option<Learned> {
    match event {
        Event::Revoked { name, serial, .. } => Some(Learned { name: name.clone(), serial: *serial }),
        _ => None,
    }
}
