//! Many files at once: each is written without a name, and all become durable together by one `syncfs` of the file
//! system they lie in, where fsync after fsync would be most of the work.
//! Knows nothing of commits; who calls settles before one and releases after it.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use rustix::process::Resource;

use super::{
    fault::FileError,
    folder::Folder,
    stage::{stage_in, Bytes, Durable, Shape, Staged},
    Overwrite, Owner, Visibility,
};

/// Files of one batch, and the directories that they will be in. Several threads may put files on it.
pub struct Tray {
    folders: Mutex<HashMap<PathBuf, Place>>,
    /// Whether there are so many that they are made durable together.
    many: bool,
}

/// A directory, and how its files become durable.
#[derive(Clone)]
struct Place {
    folder: Arc<Folder>,
    durable: Durable,
}

impl Tray {
    /// For so many files. A few have an fsync each, which does not wait for what others write to the same file system.
    pub fn of(files: usize) -> Self {
        Self { folders: Mutex::default(), many: files > FEW }
    }

    /// Like [`stage`](super::stage), but durable only after [`settle`](Self::settle).
    pub fn stage(
        &self,
        path: &Path,
        bytes: &[u8],
        visibility: Visibility,
        overwrite: Overwrite,
        owner: Option<Owner>,
    ) -> Result<Staged, FileError> {
        let (dir, name) = Folder::split(path)?;
        let Place { folder, durable } = self.place(dir)?;
        stage_in(&folder, name, Bytes::Here(bytes), Shape { visibility, owner, durable, ..Shape::default() }, overwrite)
    }

    /// Makes all that was staged durable. A directory was opened before the first file in it was written, so that its
    /// descriptor hears of every byte that did not reach the disk (syncfs(2), "RETURN VALUE").
    pub fn settle(&self) -> Result<(), FileError> {
        let folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        let together = folders.values().filter(|place| place.durable == Durable::Together);
        together.map(|place| &place.folder).try_for_each(|folder| {
            rustix::fs::syncfs(&folder.descriptor)
                .map_err(|errno| FileError::from_errno(&folder.path, "make durable", errno))
        })
    }

    fn place(&self, dir: &Path) -> Result<Place, FileError> {
        let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = folders.get(dir) {
            return Ok(place.clone());
        }
        let folder = Folder::open(dir)?;
        let together = self.many && folder.settles_at_once()?;
        let durable = if together { Durable::Together } else { Durable::AtOnce };
        let place = Place { folder: Arc::new(folder), durable };
        folders.insert(dir.to_owned(), place.clone());
        Ok(place)
    }
}

/// How many files this process may hold open beside those that it needs anyway.
pub fn spare_descriptors() -> usize {
    let most = rustix::process::getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(most).unwrap_or(usize::MAX).saturating_sub(OWN_DESCRIPTORS)
}

impl Folder {
    /// Whether `syncfs` makes everything in its file system durable and tells of what it could not write: on those that
    /// are known for it, since Linux 5.8. Elsewhere (overlays, FUSE, network) each file has an fsync of its own.
    fn settles_at_once(&self) -> Result<bool, FileError> {
        let fault = |errno| FileError::from_errno(&self.path, "look at", errno);
        let found = i128::from(rustix::fs::fstatfs(&self.descriptor).map_err(fault)?.f_type);
        Ok(SETTLING.contains(&(found & 0xffff_ffff)) && syncfs_tells(rustix::system::uname().release().to_bytes()))
    }
}

/// Before 5.8 it was silent about what could not be written.
fn syncfs_tells(release: &[u8]) -> bool {
    let mut numbers = release.split(|octet| !octet.is_ascii_digit());
    let mut number = || numbers.next().and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<u32>().ok());
    matches!((number(), number()), (Some(major), Some(minor)) if (major, minor) >= (5, 8))
}

/// ext2 to ext4, XFS, Btrfs, F2FS, tmpfs (linux/magic.h).
const SETTLING: [i128; 5] = [0xef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010, 0x0102_1994];

/// Up to so many files cost less one by one.
const FEW: usize = 4;

/// The database, its log, standard streams, directories; and some more.
const OWN_DESCRIPTORS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{list, read, release_all};

    #[test]
    fn many_files_get_their_names_after_they_were_settled() {
        let dir = tempfile::tempdir().unwrap();
        let tray = Tray::of(100);
        let stage = |name: &str| {
            tray.stage(&dir.path().join(name), name.as_bytes(), Visibility::Private, Overwrite::Refuse, None)
        };
        let staged = vec![stage("a").unwrap(), stage("b").unwrap()];
        tray.settle().unwrap();
        assert!(list(dir.path()).unwrap().is_empty());
        release_all(staged).unwrap();
        assert_eq!(list(dir.path()).unwrap(), ["a", "b"]);
        assert_eq!(read(&dir.path().join("b"), 9).unwrap(), b"b");
        assert!(stage("a").err().unwrap().exists());
        assert!(tray.stage(Path::new("/"), b"", Visibility::Private, Overwrite::Refuse, None).is_err());
    }

    #[test]
    fn what_is_dropped_was_never_there() {
        let dir = tempfile::tempdir().unwrap();
        let tray = Tray::of(100);
        drop(tray.stage(&dir.path().join("a"), b"a", Visibility::Private, Overwrite::Refuse, None).unwrap());
        tray.settle().unwrap();
        assert!(list(dir.path()).unwrap().is_empty());
    }

    #[test]
    fn only_kernels_that_tell_are_trusted() {
        for (release, tells) in [
            ("6.18.44-fc", true),
            ("5.8.0", true),
            ("5.10", true),
            ("5.4.0-150", false),
            ("4.18.0", false),
            ("", false),
        ] {
            assert_eq!(syncfs_tells(release.as_bytes()), tells, "{release}");
        }
    }
}
