//! Files that are written and durable before they have a name, and get their name in one step.
//! Knows nothing of commits; who calls stages before one and releases after it.
//!
//! Unnamed, since a kill then leaves nothing: a temporary file with a name would stay behind with a private key in it.
//! A full disk, a read-only directory or a file in the way is found when staging, while everything can be undone.

use std::{
    ffi::{OsStr, OsString},
    fmt,
    io::Write,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::fs::{Stat, Timespec, Timestamps, UTIME_OMIT};

use super::{
    fault::{shown, FileError},
    folder::Folder,
    hidden::Hidden,
    modes, Kind, Overwrite, Owner, Standing, Visibility,
};
use crate::secret::Secret;

/// A whole file that has no name yet. Dropped without [`Staged::release`], it was never there.
#[must_use]
pub struct Staged {
    folder: Arc<Folder>,
    name: OsString,
    content: Content,
    overwrite: Overwrite,
}

/// Some files could not be put in place; what is said of a directory is that its names are perhaps not durable.
#[derive(Debug, thiserror::Error)]
#[error("{}", Faults(.failed))]
pub struct Unreleased {
    /// The files that are in place.
    pub released: Vec<PathBuf>,
    /// What is not, and why.
    pub failed: Vec<(PathBuf, FileError)>,
}

/// Writes a file without a name into the directory of `path` and makes its bytes durable, with the mode of
/// `visibility` whatever the umask is. Refuses a link, a directory or a special file at `path`, and with
/// [`Overwrite::Refuse`] anything there.
pub fn stage(
    path: &Path,
    bytes: &[u8],
    visibility: Visibility,
    overwrite: Overwrite,
    owner: Option<Owner>,
) -> Result<Staged, FileError> {
    let (folder, name) = Folder::beside(path)?;
    stage_in(&Arc::new(folder), &name, bytes, Shape { visibility, owner, ..Shape::default() }, overwrite)
}

/// Gives each file its name, then makes each directory durable once. A file that fails does not keep back the others.
pub fn release_all(files: Vec<Staged>) -> Result<(), Unreleased> {
    release(files, OnFailure::Continue)
}

impl Staged {
    /// Where it will be.
    pub fn path(&self) -> PathBuf {
        self.folder.path.join(&self.name)
    }

    /// Where it will be, when it is for its owner alone.
    pub fn private_path(&self) -> Option<PathBuf> {
        (self.content.is_private()).then(|| self.path())
    }

    /// Gives the file its name and makes that durable.
    pub fn release(self) -> Result<(), FileError> {
        self.place()?;
        self.folder.sync()
    }

    fn place(&self) -> Result<(), FileError> {
        match (self.overwrite, &self.content.body) {
            (Overwrite::Refuse, Body::Unnamed(file)) => self.folder.link(file, &self.name),
            (Overwrite::Refuse, Body::Held(_)) => {
                let hidden = self.content.under_hidden_name(&self.folder, &self.name)?;
                self.folder.take(&self.folder, &hidden.name, &self.name)?;
                hidden.settle();
                Ok(())
            }
            (Overwrite::Replace, _) => {
                let hidden = self.content.under_hidden_name(&self.folder, &self.name)?;
                self.folder.replace(&hidden.name, &self.name)?;
                hidden.settle();
                Ok(())
            }
        }
    }
}

/// What becomes of the files after one that failed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum OnFailure {
    Continue,
    Stop,
}

/// Bytes that are ready to get a name.
pub(super) struct Content {
    body: Body,
    shape: Shape,
}

enum Body {
    Unnamed(OwnedFd),
    /// Where the file system has no unnamed files: written only when released.
    Held(Secret),
}

/// All of a file but its bytes.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) visibility: Visibility,
    pub(super) owner: Option<Owner>,
    /// The earliest time of change it may show, in seconds since 1970: a program that looks for a newer time,
    /// as `OpenVPN` does at its CRL, then sees that the file was replaced.
    pub(super) changed_from: Option<i64>,
    /// False as on a file system without unnamed files; tests say so.
    pub(super) unnamed: bool,
    pub(super) durable: Durable,
}

/// When the bytes of an unnamed file are made durable. Those of a file that is written under a name are at once.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Durable {
    /// When they are written.
    AtOnce,
    /// With those of others, by whoever says so.
    Together,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            visibility: Visibility::Private,
            owner: None,
            changed_from: None,
            unnamed: true,
            durable: Durable::AtOnce,
        }
    }
}

impl Content {
    /// Writes into the file system of `folder`, without a name.
    pub(super) fn prepare(folder: &Folder, bytes: &[u8], shape: Shape) -> Result<Self, FileError> {
        let unnamed = if shape.unnamed { folder.unnamed()? } else { None };
        let body = match unnamed {
            Some(file) => Body::Unnamed(shape.fill(file, bytes, shape.durable, &folder.path)?),
            None => Body::Held(Secret::new(bytes.to_vec())),
        };
        Ok(Self { body, shape })
    }

    pub(super) fn is_private(&self) -> bool {
        self.shape.visibility == Visibility::Private
    }

    /// Puts it under a name that must be free, in a directory that nobody else looks into yet.
    pub(super) fn enter(&self, folder: &Folder, name: &OsStr) -> Result<(), FileError> {
        match &self.body {
            Body::Unnamed(file) => folder.link(file, name),
            Body::Held(bytes) => {
                let file = folder.create(name)?;
                self.shape.fill(file, bytes.expose(), Durable::AtOnce, &folder.path.join(name)).map(drop)
            }
        }
    }

    fn under_hidden_name<'a>(&self, folder: &'a Folder, name: &OsStr) -> Result<Hidden<'a>, FileError> {
        match &self.body {
            Body::Unnamed(file) => Hidden::link(folder, name, file),
            Body::Held(bytes) => {
                let hidden = Hidden::create(folder, name)?;
                let path = folder.path.join(name);
                let file = hidden.descriptor.try_clone().map_err(|error| FileError::from_io(&path, "write", error))?;
                self.shape.fill(file, bytes.expose(), Durable::AtOnce, &path)?;
                Ok(hidden)
            }
        }
    }
}

impl Shape {
    /// Owner and mode first, so that the bytes are never in a file that others may open.
    fn fill(self, file: OwnedFd, bytes: &[u8], durable: Durable, path: &Path) -> Result<OwnedFd, FileError> {
        let fault = |errno| FileError::from_errno(path, "write", errno);
        modes::set(&file, self.owner, self.visibility.file_mode()).map_err(fault)?;
        let mut file = std::fs::File::from(file);
        file.write_all(bytes).map_err(|error| FileError::from_io(path, "write", error))?;
        let file = OwnedFd::from(file);
        self.move_time_on(&file).map_err(fault)?;
        if durable == Durable::AtOnce {
            rustix::fs::fsync(&file).map_err(fault)?;
        }
        Ok(file)
    }

    fn move_time_on(self, file: &OwnedFd) -> rustix::io::Result<()> {
        let Some(earliest) = self.changed_from else { return Ok(()) };
        if rustix::fs::fstat(file)?.st_mtime >= earliest {
            return Ok(());
        }
        let kept = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
        let moved = Timespec { tv_sec: earliest, tv_nsec: 0 };
        rustix::fs::futimens(file, &Timestamps { last_access: kept, last_modification: moved })
    }
}

pub(super) fn stage_in(
    folder: &Arc<Folder>,
    name: &OsStr,
    bytes: &[u8],
    shape: Shape,
    overwrite: Overwrite,
) -> Result<Staged, FileError> {
    let replaced = check_place(folder, name, overwrite)?;
    let changed_from = replaced.map(|stat| stat.st_mtime.saturating_add(1));
    let content = Content::prepare(folder, bytes, Shape { changed_from, ..shape })
        .map_err(|error| error.about(folder.path.join(name)))?;
    Ok(Staged { folder: Arc::clone(folder), name: name.to_owned(), content, overwrite })
}

pub(super) fn release(files: Vec<Staged>, on_failure: OnFailure) -> Result<(), Unreleased> {
    let mut outcome = Unreleased { released: Vec::new(), failed: Vec::new() };
    let mut touched: Vec<Arc<Folder>> = Vec::new();
    for file in files {
        match file.place() {
            Ok(()) => {
                outcome.released.push(file.path());
                if !touched.iter().any(|folder| same_folder(folder, &file.folder)) {
                    touched.push(file.folder);
                }
            }
            Err(error) => outcome.failed.push((file.path(), error)),
        }
        if on_failure == OnFailure::Stop && !outcome.failed.is_empty() {
            break;
        }
    }
    for folder in touched {
        if let Err(error) = folder.sync() {
            outcome.failed.push((folder.path.clone(), error));
        }
    }
    if outcome.failed.is_empty() {
        Ok(())
    } else {
        Err(outcome)
    }
}

/// What will be replaced; an error when something is in the way.
fn check_place(folder: &Folder, name: &OsStr, overwrite: Overwrite) -> Result<Option<Stat>, FileError> {
    let Some(stat) = folder.look(name)? else { return Ok(None) };
    let path = folder.path.join(name);
    match (Standing::from(&stat).kind, overwrite) {
        (Kind::Symlink, _) => Err(FileError::Symlink { path }),
        (Kind::Directory | Kind::Special, _) => Err(FileError::NotAFile { path }),
        (Kind::File, Overwrite::Refuse) => Err(FileError::Exists { path }),
        (Kind::File, Overwrite::Replace) => Ok(Some(stat)),
    }
}

fn same_folder(one: &Arc<Folder>, other: &Arc<Folder>) -> bool {
    // two that cannot be looked at are synced twice
    Arc::ptr_eq(one, other)
        || matches!((one.stat(), other.stat()), (Ok(one), Ok(other)) if super::hidden::same(&one, &other))
}

struct Faults<'a>(&'a [(PathBuf, FileError)]);

impl fmt::Display for Faults<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (path, error)) in self.0.iter().enumerate() {
            let gap = if index == 0 { "" } else { "; " };
            write!(f, "{gap}`{}` is not in place: {error}", shown(path))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
