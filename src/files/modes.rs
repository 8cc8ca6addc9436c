//! Owner and mode of what is made, and what becomes of them where the file system keeps neither: FAT sticks, exFAT, shares.
//! Knows nothing of what is in a file.
//!
//! There the mount decides for all files at once. An entry is made all the same, since people carry bundles on sticks;
//! that others can read it is for the caller to say.

use std::{os::fd::OwnedFd, path::Path};

use rustix::{
    fs::{Gid, Mode, Uid},
    io::Errno,
};

use super::{fault::FileError, standing, Owner, Visibility};

/// Sets both. What a file system without them answers to that is no error: EPERM where it is FAT (`fat_setattr`,
/// fs/fat/file.c), ENOSYS and EOPNOTSUPP behind FUSE, or nothing at all.
pub(super) fn set(entry: &OwnedFd, owner: Option<Owner>, mode: u32) -> rustix::io::Result<()> {
    let given = owner.map_or(Ok(()), |Owner { uid, gid }| {
        rustix::fs::fchown(entry, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
    });
    match given.and(rustix::fs::fchmod(entry, Mode::from_raw_mode(mode))) {
        Err(Errno::PERM | Errno::NOSYS | Errno::OPNOTSUPP) if may_lack_modes(rustix::fs::fstatfs(entry)?.f_type) => {
            Ok(())
        }
        done => done,
    }
}

/// The same for the mode alone, by path.
pub(super) fn set_at(path: &str, mode: u32) -> rustix::io::Result<()> {
    match rustix::fs::chmod(path, Mode::from_raw_mode(mode)) {
        Err(Errno::PERM | Errno::NOSYS | Errno::OPNOTSUPP) if may_lack_modes(rustix::fs::statfs(path)?.f_type) => {
            Ok(())
        }
        done => done,
    }
}

/// Whether a file that was made private can be read by others after all, since its file system keeps no modes; none where
/// there is no such file.
pub fn is_exposed(path: &Path) -> Result<Option<bool>, FileError> {
    let Some(found) = standing(path)? else { return Ok(None) };
    let fault = |errno| FileError::from_errno(path, "look at", errno);
    let magic = rustix::fs::statfs(path).map_err(fault)?.f_type;
    Ok(Some(found.mode & 0o777 != Visibility::Private.file_mode() || is(magic, &[MSDOS, EXFAT])))
}

fn may_lack_modes(magic: rustix::fs::FsWord) -> bool {
    is(magic, &[MSDOS, EXFAT, NTFS3, FUSE, SMB, CIFS, SMB2, NINE_P, VBOXSF])
}

fn is(magic: rustix::fs::FsWord, those: &[i128]) -> bool {
    // the type is signed on some machines
    those.contains(&(i128::from(magic) & 0xffff_ffff))
}

// <linux/magic.h>, fs/ntfs3/super.c, fs/vboxsf/super.c
const MSDOS: i128 = 0x4d44;
const EXFAT: i128 = 0x2011_bab0;
const NTFS3: i128 = 0x7366_746e;
const FUSE: i128 = 0x6573_5546;
const SMB: i128 = 0x517b;
const CIFS: i128 = 0xff53_4d42;
const SMB2: i128 = 0xfe53_4d42;
const NINE_P: i128 = 0x0102_1997;
const VBOXSF: i128 = 0x786f_4256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{create_private, stage, Overwrite};

    #[test]
    fn a_private_file_is_exposed_where_its_mode_did_not_take() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        assert_eq!(is_exposed(&path).unwrap(), None);
        stage(&path, b"x", Visibility::Private, Overwrite::Refuse, None).unwrap().release().unwrap();
        assert_eq!(is_exposed(&path).unwrap(), Some(false));
        rustix::fs::chmod(&path, Mode::from_raw_mode(0o777)).unwrap();
        assert_eq!(is_exposed(&path).unwrap(), Some(true));
    }

    #[test]
    fn a_file_system_with_modes_must_take_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        create_private(&path).unwrap();
        let here = rustix::fs::statfs(&path).unwrap().f_type;
        assert!(!may_lack_modes(here), "the tests' directory lies on FAT or a share");
        // a descriptor that only names the file cannot change it: EBADF is an error everywhere
        let flags = rustix::fs::OFlags::PATH;
        let named = rustix::fs::open(&path, flags, Mode::empty()).unwrap();
        assert_eq!(set(&named, None, 0o600), Err(Errno::BADF));
    }
}
