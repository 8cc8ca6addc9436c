//! A lock on a directory that ends with the process, without a lock file that a kill could leave.
//! Knows nothing of what is done under it.

use std::{os::fd::OwnedFd, path::Path, time::Duration};

use rustix::{fs::FlockOperation, io::Errno};

use super::{fault::FileError, folder::Folder};

/// A directory held alone among the processes that ask for it by [`lock`]; let go when dropped.
#[must_use]
pub struct DirectoryLock {
    _folder: Folder,
}

/// Waits for the directory up to `patience`, then fails as [`FileError::Busy`]. On NFS it holds on this host only.
pub fn lock(dir: &Path, patience: Duration) -> Result<DirectoryLock, FileError> {
    let folder = Folder::open(dir)?;
    exclusively(&folder.descriptor, dir, patience)?;
    Ok(DirectoryLock { _folder: folder })
}

/// Counts its naps, so that no clock is read.
pub(super) fn exclusively(descriptor: &OwnedFd, path: &Path, patience: Duration) -> Result<(), FileError> {
    let mut left = patience;
    loop {
        match rustix::fs::flock(descriptor, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(Errno::WOULDBLOCK) if left.is_zero() => return Err(FileError::Busy { path: path.to_owned() }),
            Err(Errno::WOULDBLOCK) => {
                let nap = left.min(NAP);
                std::thread::sleep(nap);
                left -= nap;
            }
            Err(errno) => return Err(FileError::from_errno(path, "lock", errno)),
        }
    }
}

const NAP: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_the_next_when_it_is_let_go() {
        let dir = tempfile::tempdir().unwrap();
        let first = lock(dir.path(), Duration::ZERO).unwrap();
        assert!(matches!(lock(dir.path(), Duration::from_millis(30)), Err(FileError::Busy { .. })));
        let waiting = std::thread::spawn({
            let dir = dir.path().to_owned();
            move || lock(&dir, Duration::from_secs(10)).map(drop)
        });
        std::thread::sleep(Duration::from_millis(30));
        drop(first);
        assert!(waiting.join().unwrap().is_ok());
        assert!(super::super::list(dir.path()).unwrap().is_empty());
    }

    #[test]
    fn a_missing_directory_is_told() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(lock(&dir.path().join("none"), Duration::ZERO), Err(FileError::NotFound { .. })));
    }
}
