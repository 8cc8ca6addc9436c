//! An opened directory and what is done to the names in it, relative to its descriptor.
//! Knows nothing of order or durability; who calls decides when to `sync`.

use std::{
    ffi::{OsStr, OsString},
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
    sync::OnceLock,
};

use rustix::{
    fs::{AtFlags, Mode, OFlags, RenameFlags, Stat},
    io::Errno,
};

use super::{fault::FileError, modes};

/// A directory held open, so that nobody can put another in its place between looking and writing.
pub(super) struct Folder {
    pub(super) descriptor: OwnedFd,
    pub(super) path: PathBuf,
    /// That an unnamed file in it can get a name, once one was seen.
    pub(super) linkable: OnceLock<()>,
}

impl Folder {
    pub(super) fn open(path: &Path) -> Result<Self, FileError> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let descriptor = rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|errno| FileError::from_errno(path, "open", errno))?;
        Ok(Self { descriptor, path: path.to_owned(), linkable: OnceLock::new() })
    }

    /// The directory that a path lies in, and the path's last name.
    pub(super) fn beside(path: &Path) -> Result<(Self, OsString), FileError> {
        let (dir, name) = Self::split(path)?;
        Ok((Self::open(dir)?, name.to_owned()))
    }

    /// The same while the directory is not opened.
    pub(super) fn split(path: &Path) -> Result<(&Path, &OsStr), FileError> {
        let no_name = || FileError::NotAFile { path: path.to_owned() };
        Ok((path.parent().ok_or_else(no_name)?, path.file_name().ok_or_else(no_name)?))
    }

    /// A directory in this one, not through a link.
    pub(super) fn enter(&self, name: &OsStr) -> Result<Self, FileError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let descriptor = rustix::fs::openat(&self.descriptor, name, flags, Mode::empty())
            .map_err(|errno| self.fault(name, "open", errno))?;
        Ok(Self { descriptor, path: self.path.join(name), linkable: OnceLock::new() })
    }

    /// What is under the name, a link not followed.
    pub(super) fn look(&self, name: &OsStr) -> Result<Option<Stat>, FileError> {
        match rustix::fs::statat(&self.descriptor, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(self.fault(name, "look at", errno)),
        }
    }

    /// Of the directory itself.
    pub(super) fn stat(&self) -> Result<Stat, FileError> {
        rustix::fs::fstat(&self.descriptor).map_err(|errno| FileError::from_errno(&self.path, "look at", errno))
    }

    /// Sorted, without `.` and `..`.
    pub(super) fn names(&self) -> Result<Vec<OsString>, FileError> {
        let fault = |errno| FileError::from_errno(&self.path, "list", errno);
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.descriptor).map_err(fault)? {
            let entry = entry.map_err(fault)?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(OsStr::from_bytes(name).to_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    /// A file without a name, or none where the file system has no such thing (or `/proc`, through which it would get
    /// its name, is missing). Mode 0600 at most until the caller sets it.
    pub(super) fn unnamed(&self) -> Result<Option<OwnedFd>, FileError> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        match rustix::fs::openat(&self.descriptor, ".", flags, Mode::from_raw_mode(0o600)) {
            Ok(file) if self.linkable.get().is_some() => Ok(Some(file)),
            Ok(file) if rustix::fs::stat(descriptor_path(&file)).is_ok() => {
                self.linkable.get_or_init(|| ());
                Ok(Some(file))
            }
            // EISDIR: kernels before 3.11; EINVAL: some FUSE file systems
            Ok(_) | Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT | Errno::INVAL | Errno::NOSYS) => Ok(None),
            Err(errno) => Err(FileError::from_errno(&self.path, "write into", errno)),
        }
    }

    /// A new empty file of mode 0600 at most; never one that exists, never through a link.
    pub(super) fn create(&self, name: &OsStr) -> Result<OwnedFd, FileError> {
        self.create_with(name, 0o600)
    }

    /// The same with at most this mode.
    pub(super) fn create_with(&self, name: &OsStr, mode: u32) -> Result<OwnedFd, FileError> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::RDWR | OFlags::CLOEXEC;
        rustix::fs::openat(&self.descriptor, name, flags, Mode::from_raw_mode(mode))
            .map_err(|errno| self.fault(name, "create", errno))
    }

    /// A new directory of mode 0700, opened. A umask that takes the owner's rights is undone before it is opened.
    pub(super) fn create_folder(&self, name: &OsStr) -> Result<Self, FileError> {
        let mode = Mode::from_raw_mode(0o700);
        rustix::fs::mkdirat(&self.descriptor, name, mode).map_err(|errno| self.fault(name, "create", errno))?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&self.descriptor, name, flags, Mode::empty())
            .and_then(|handle| modes::set_at(&descriptor_path(&handle), mode.as_raw_mode()))
            .map_err(|errno| self.fault(name, "set the mode of", errno))?;
        self.enter(name)
    }

    /// Gives an unnamed file its name; never over one that exists.
    pub(super) fn link(&self, file: &OwnedFd, name: &OsStr) -> Result<(), FileError> {
        let from = descriptor_path(file);
        rustix::fs::linkat(rustix::fs::CWD, from, &self.descriptor, name, AtFlags::SYMLINK_FOLLOW)
            .map_err(|errno| self.fault(name, "put in place", errno))
    }

    /// A second name for a file in another directory; never over one that exists.
    pub(super) fn link_from(&self, from: &Self, name: &OsStr) -> Result<(), FileError> {
        rustix::fs::linkat(&from.descriptor, name, &self.descriptor, name, AtFlags::empty())
            .map_err(|errno| self.fault(name, "put in place", errno))
    }

    /// Moves an entry of `from` here under a name that must be free.
    pub(super) fn take(&self, from: &Self, old: &OsStr, new: &OsStr) -> Result<(), FileError> {
        let flags = RenameFlags::NOREPLACE;
        match rustix::fs::renameat_with(&from.descriptor, old, &self.descriptor, new, flags) {
            Err(Errno::INVAL | Errno::NOSYS) => self.take_without_flag(from, old, new),
            done => done.map_err(|errno| self.fault(new, "put in place", errno)),
        }
    }

    /// Where the file system cannot rename without replacing (NFS, FUSE): a file by a second link, which never replaces;
    /// a directory by a plain rename, which replaces nothing but an empty directory.
    fn take_without_flag(&self, from: &Self, old: &OsStr, new: &OsStr) -> Result<(), FileError> {
        let fault = |errno| self.fault(new, "put in place", errno);
        match rustix::fs::linkat(&from.descriptor, old, &self.descriptor, new, AtFlags::empty()) {
            Ok(()) => from.unlink(old),
            Err(Errno::PERM | Errno::ISDIR) if from.holds_folder(old)? => {
                rustix::fs::renameat(&from.descriptor, old, &self.descriptor, new).map_err(fault)
            }
            Err(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS) => self.take_over_own(from, old, new),
            Err(errno) => Err(fault(errno)),
        }
    }

    /// Where there are no links either (exFAT behind FUSE, some shares): a file is put over an empty one of ours, which is
    /// only made when the name is free. A kill between the two leaves the empty one.
    fn take_over_own(&self, from: &Self, old: &OsStr, new: &OsStr) -> Result<(), FileError> {
        drop(self.create(new)?);
        rustix::fs::renameat(&from.descriptor, old, &self.descriptor, new).map_err(|errno| {
            // the error that led here is the one to tell
            let _ = self.unlink(new);
            self.fault(new, "put in place", errno)
        })
    }

    /// Renames inside the directory, over what has the new name.
    pub(super) fn replace(&self, old: &OsStr, new: &OsStr) -> Result<(), FileError> {
        rustix::fs::renameat(&self.descriptor, old, &self.descriptor, new)
            .map_err(|errno| self.fault(new, "replace", errno))
    }

    pub(super) fn unlink(&self, name: &OsStr) -> Result<(), FileError> {
        rustix::fs::unlinkat(&self.descriptor, name, AtFlags::empty())
            .map_err(|errno| self.fault(name, "remove", errno))
    }

    /// Removes a directory that is empty.
    pub(super) fn remove_folder(&self, name: &OsStr) -> Result<(), FileError> {
        rustix::fs::unlinkat(&self.descriptor, name, AtFlags::REMOVEDIR)
            .map_err(|errno| self.fault(name, "remove", errno))
    }

    /// Removes everything in it. Links are removed themselves; nothing outside is reached.
    pub(super) fn empty(&self) -> Result<(), FileError> {
        for name in self.names()? {
            if self.holds_folder(&name)? {
                self.enter(&name)?.empty()?;
                self.remove_folder(&name)?;
            } else {
                self.unlink(&name)?;
            }
        }
        Ok(())
    }

    /// Makes its names durable.
    pub(super) fn sync(&self) -> Result<(), FileError> {
        rustix::fs::fsync(&self.descriptor).map_err(|errno| FileError::from_errno(&self.path, "make durable", errno))
    }

    /// Makes every file in it durable, and every directory, itself last.
    pub(super) fn sync_all(&self) -> Result<(), FileError> {
        for name in self.names()? {
            if self.holds_folder(&name)? {
                self.enter(&name)?.sync_all()?;
                continue;
            }
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            rustix::fs::openat(&self.descriptor, &name, flags, Mode::empty())
                .and_then(rustix::fs::fsync)
                .map_err(|errno| self.fault(&name, "make durable", errno))?;
        }
        self.sync()
    }

    pub(super) fn holds_folder(&self, name: &OsStr) -> Result<bool, FileError> {
        Ok(self.look(name)?.is_some_and(|stat| super::Standing::from(&stat).kind == super::Kind::Directory))
    }

    pub(super) fn fault(&self, name: &OsStr, act: &'static str, errno: Errno) -> FileError {
        FileError::from_errno(&self.path.join(name), act, errno)
    }
}

fn descriptor_path(file: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}
