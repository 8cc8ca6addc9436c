//! Hidden names beside an output, `.NAME.vpnpki-new`, for what cannot be made without any name: who uses one, and
//! what a killed process left under one. Knows nothing of what lies in them.
//!
//! Whoever uses a hidden name holds a lock (`flock`) on the file or directory that has it, from before it gets the name
//! until it has lost it. So an entry under such a name that nobody locks is what a kill left, and may go.

use std::{
    ffi::{OsStr, OsString},
    os::fd::OwnedFd,
    time::Duration,
};

use rustix::{
    fs::{FlockOperation, Mode, OFlags, Stat},
    io::Errno,
};

use super::{fault::FileError, folder::Folder, lock, Kind, Standing};

/// An entry under a hidden name that is ours; removed when dropped, unless it has got its real name.
pub(super) struct Hidden<'a> {
    home: &'a Folder,
    pub(super) name: OsString,
    /// The lock ends with the descriptor.
    pub(super) descriptor: OwnedFd,
    settled: bool,
}

/// A directory under a hidden name that is ours; removed with its contents when dropped before it is settled.
pub(super) struct HiddenFolder {
    pub(super) home: Folder,
    pub(super) name: OsString,
    pub(super) folder: Folder,
    settled: bool,
}

/// What a killed process left under a hidden name, locked by us.
pub(super) struct Leftover<'a> {
    home: &'a Folder,
    name: &'a OsStr,
    descriptor: OwnedFd,
    kind: Kind,
}

impl<'a> Hidden<'a> {
    /// Gives an unnamed file the hidden name of `name`.
    pub(super) fn link(home: &'a Folder, name: &OsStr, file: &OwnedFd) -> Result<Self, FileError> {
        let name = hidden_name(name);
        let descriptor = file.try_clone().map_err(|error| FileError::from_io(&home.path.join(&name), "open", error))?;
        lock_now(home, &name, &descriptor)?;
        retry(home, &name, || match home.link(file, &name) {
            Ok(()) => Ok(true),
            Err(error) if error.exists() => Ok(false),
            Err(error) => Err(error),
        })?;
        Ok(Self { home, name, descriptor, settled: false })
    }

    /// Makes an empty file under the hidden name of `name`.
    pub(super) fn create(home: &'a Folder, name: &OsStr) -> Result<Self, FileError> {
        let name = hidden_name(name);
        let mut made = None;
        retry(home, &name, || match home.create(&name) {
            Ok(file) => {
                let ours = owned(home, &name, &file)?;
                made = Some(file);
                Ok(ours)
            }
            Err(error) if error.exists() => Ok(false),
            Err(error) => Err(error),
        })?;
        let descriptor = made.ok_or_else(|| FileError::Busy { path: home.path.join(&name) })?;
        Ok(Self { home, name, descriptor, settled: false })
    }

    /// The hidden name is gone: the entry has its real one.
    pub(super) fn settle(mut self) {
        self.settled = true;
    }
}

impl Drop for Hidden<'_> {
    fn drop(&mut self) {
        if !self.settled {
            // the error that led here is the one to tell
            let _ = self.home.unlink(&self.name);
        }
    }
}

impl HiddenFolder {
    /// Makes a directory of mode 0700 under the given hidden name, after removing what a kill left there.
    pub(super) fn create(home: Folder, name: OsString) -> Result<Self, FileError> {
        let mut made = None;
        retry(&home, &name, || match home.create_folder(&name) {
            Ok(folder) => {
                let ours = owned(&home, &name, &folder.descriptor)?;
                made = Some(folder);
                Ok(ours)
            }
            // not found: another process took it for a leftover before we had locked it
            Err(error) if error.exists() || error.not_found() => Ok(false),
            Err(error) => Err(error),
        })?;
        let folder = made.ok_or_else(|| FileError::Busy { path: home.path.join(&name) })?;
        Ok(Self { home, name, folder, settled: false })
    }

    /// The directory has its real name, or is removed already.
    pub(super) fn settle(&mut self) {
        self.settled = true;
    }

    /// Removes it now.
    pub(super) fn remove(&mut self) -> Result<(), FileError> {
        self.settled = true;
        self.folder.empty()?;
        self.home.remove_folder(&self.name)
    }
}

impl Drop for HiddenFolder {
    fn drop(&mut self) {
        if !self.settled {
            // the error that led here is the one to tell
            let _ = self.remove();
        }
    }
}

impl<'a> Leftover<'a> {
    /// What has the hidden name, once nobody else uses it; none when nothing has it.
    pub(super) fn find(home: &'a Folder, name: &'a OsStr) -> Result<Option<Self>, FileError> {
        let path = home.path.join(name);
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let descriptor = match rustix::fs::openat(&home.descriptor, name, flags, Mode::empty()) {
            Ok(descriptor) => descriptor,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(home.fault(name, "remove", errno)),
        };
        let stat = rustix::fs::fstat(&descriptor).map_err(|errno| home.fault(name, "look at", errno))?;
        let kind = Standing::from(&stat).kind;
        let caller = rustix::process::geteuid();
        if !matches!(kind, Kind::File | Kind::Directory) || !(caller.is_root() || caller.as_raw() == stat.st_uid) {
            return Err(FileError::Exists { path });
        }
        lock::exclusively(&descriptor, &path, PATIENCE)?;
        // while we waited its user may have given it its real name
        match home.look(name)? {
            Some(now) if same(&now, &stat) => Ok(Some(Self { home, name, descriptor, kind })),
            _ => Ok(None),
        }
    }

    /// As a directory; none when it is a file.
    pub(super) fn folder(&self) -> Result<Option<Folder>, FileError> {
        if self.kind == Kind::Directory {
            self.home.enter(self.name).map(Some)
        } else {
            Ok(None)
        }
    }

    pub(super) fn remove(self) -> Result<(), FileError> {
        let removed = match self.folder()? {
            Some(folder) => folder.empty().and_then(|()| self.home.remove_folder(self.name)),
            None => self.home.unlink(self.name),
        };
        drop(self.descriptor);
        removed
    }
}

/// `.NAME.vpnpki-new`
pub(super) fn hidden_name(name: &OsStr) -> OsString {
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(".vpnpki-new");
    hidden
}

/// Whether two looks saw the same file.
pub(super) fn same(one: &Stat, other: &Stat) -> bool {
    (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
}

/// Tries to take the name until it is ours, removing what a kill left under it.
fn retry(home: &Folder, name: &OsStr, mut attempt: impl FnMut() -> Result<bool, FileError>) -> Result<(), FileError> {
    for _ in 0..ATTEMPTS {
        match attempt() {
            Ok(true) => return Ok(()),
            Ok(false) => remove_leftover(home, name)?,
            Err(error) => {
                // made, but not opened or locked: then it looks like what a kill left; the error is the one to tell
                let _ = remove_leftover(home, name);
                return Err(error);
            }
        }
    }
    Err(FileError::Busy { path: home.path.join(name) })
}

fn remove_leftover(home: &Folder, name: &OsStr) -> Result<(), FileError> {
    Leftover::find(home, name)?.map_or(Ok(()), Leftover::remove)
}

/// Locks what we have just made; false when another process took it for a leftover before we had the lock.
fn owned(home: &Folder, name: &OsStr, made: &OwnedFd) -> Result<bool, FileError> {
    match rustix::fs::flock(made, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return Ok(false),
        Err(errno) => return Err(home.fault(name, "lock", errno)),
    }
    let mine = rustix::fs::fstat(made).map_err(|errno| home.fault(name, "look at", errno))?;
    Ok(home.look(name)?.is_some_and(|now| same(&now, &mine)))
}

fn lock_now(home: &Folder, name: &OsStr, file: &OwnedFd) -> Result<(), FileError> {
    rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive).map_err(|errno| home.fault(name, "lock", errno))
}

/// Longer than any write of ours lasts while it has a hidden name, except an `init`'s.
const PATIENCE: Duration = Duration::from_secs(2);
const ATTEMPTS: usize = 100;
