//! The disk: bytes in with a bound, bytes out as whole files with their mode, never through a symbolic link.
//! Knows nothing of what the bytes mean; the database's own reads and writes are the only others.

mod directory;
mod fault;
mod folder;
mod hidden;
mod lock;
mod modes;
mod nursery;
mod ownership;
mod stage;
mod tray;

use std::{
    ffi::OsString,
    io::Read,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use rustix::fs::{Mode, OFlags};

use crate::secret::Secret;

pub use directory::{stage_directory, Part, StagedDirectory};
pub use fault::{shown, FileError};
pub use lock::{lock, DirectoryLock};
pub use modes::is_exposed;
pub use nursery::Nursery;
pub(crate) use ownership::quoted;
pub use ownership::{authority_directory_faults, check_authority_directory, DirectoryFault};
pub use stage::{release_all, stage, Staged, Unreleased};
pub use tray::{spare_descriptors, Tray};

use folder::Folder;

/// Who may read a file or directory that is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Visibility {
    /// Its owner: files 0600, directories 0700.
    Private,
    /// Everybody: files 0644, directories 0755.
    Public,
}

/// What happens to a file that is there already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Overwrite {
    /// It stays, and nothing is written.
    Refuse,
    /// It is replaced in one step, and its time of change moves on by a second or more.
    Replace,
}

/// To whom new files belong, where root acts on another's directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Owner {
    /// Numeric user.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
}

/// What the file system says of an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing {
    /// Numeric user.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// The permission bits, 0 to 0o7777.
    pub mode: u32,
    /// What kind of entry it is.
    pub kind: Kind,
}

/// The kinds of entries that are told apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, not followed.
    Symlink,
    /// A socket, pipe or device.
    Special,
}

/// Where a file system keeps its data, which decides how a database may lock and map there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FilesystemKind {
    /// On this host.
    Local,
    /// Behind a protocol or a daemon: NFS, CIFS, 9p, FUSE, Ceph, Lustre, AFS. Shared memory and locks may fail.
    Network,
}

impl Visibility {
    /// The mode of a file.
    pub fn file_mode(self) -> u32 {
        match self {
            Self::Private => 0o600,
            Self::Public => 0o644,
        }
    }

    /// The mode of a directory.
    pub fn directory_mode(self) -> u32 {
        match self {
            Self::Private => 0o700,
            Self::Public => 0o755,
        }
    }
}

/// All bytes of a regular file of at most `limit` bytes; a link at the end of the path is followed.
pub fn read(path: &Path, limit: usize) -> Result<Vec<u8>, FileError> {
    let opened = open_to_read(path, OFlags::NONBLOCK)?;
    if standing_of(path, &opened)?.kind != Kind::File {
        return Err(FileError::NotAFile { path: path.to_owned() });
    }
    drain(path, opened, limit)
}

/// Like [`read`], but an entry that is a link is refused: for files in places that we write to.
pub fn read_unfollowed(path: &Path, limit: usize) -> Result<Vec<u8>, FileError> {
    let opened = open_to_read(path, OFlags::NONBLOCK | OFlags::NOFOLLOW)?;
    if standing_of(path, &opened)?.kind != Kind::File {
        return Err(FileError::NotAFile { path: path.to_owned() });
    }
    drain(path, opened, limit)
}

/// A passphrase or identity of at most 64 KiB. Pipes are read too, since shells hand secrets over as `<(command)`.
pub fn read_secret(path: &Path) -> Result<Secret, FileError> {
    let opened = open_to_read(path, OFlags::empty())?;
    if standing_of(path, &opened)?.kind == Kind::Directory {
        return Err(FileError::NotAFile { path: path.to_owned() });
    }
    drain(path, opened, SECRET_LIMIT).map(Secret::new)
}

/// Whether an entry of any kind is at the path; a link counts even when it points nowhere.
pub fn exists(path: &Path) -> Result<bool, FileError> {
    Ok(standing(path)?.is_some())
}

/// Kind, owner and mode of the entry at the path, a link not followed; none when there is none.
pub fn standing(path: &Path) -> Result<Option<Standing>, FileError> {
    match rustix::fs::lstat(path) {
        Ok(stat) => Ok(Some(Standing::from(&stat))),
        Err(rustix::io::Errno::NOENT) => Ok(None),
        Err(errno) => Err(FileError::from_errno(path, "look at", errno)),
    }
}

/// The names in a directory, sorted.
pub fn list(dir: &Path) -> Result<Vec<OsString>, FileError> {
    Folder::open(dir)?.names()
}

/// The path with every link resolved, absolute.
pub fn real_path(path: &Path) -> Result<PathBuf, FileError> {
    std::fs::canonicalize(path).map_err(|error| FileError::from_io(path, "resolve", error))
}

/// Makes an empty file of mode 0600 whatever the umask is, for a database to fill; refuses what exists.
pub fn create_private(path: &Path) -> Result<(), FileError> {
    let (folder, name) = Folder::beside(path)?;
    let made = folder.create(&name)?;
    rustix::fs::fchmod(&made, Mode::from_raw_mode(Visibility::Private.file_mode())).map_err(|errno| {
        // nobody has seen the file yet; leaving it would be the worse fault
        let _ = folder.unlink(&name);
        FileError::from_errno(path, "set the mode of", errno)
    })
}

/// Removes a file; a link is removed itself, not what it points to.
pub fn remove(path: &Path) -> Result<(), FileError> {
    let (folder, name) = Folder::beside(path)?;
    folder.unlink(&name)
}

/// Whether the caller may write into a directory, and if not, why.
pub fn writable(dir: &Path) -> Result<(), FileError> {
    let wanted = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
    rustix::fs::access(dir, wanted).map_err(|errno| FileError::from_errno(dir, "write into", errno))
}

/// Makes the names in a directory durable.
pub fn sync_dir(dir: &Path) -> Result<(), FileError> {
    Folder::open(dir)?.sync()
}

/// Whether the path lies on this host or behind a protocol.
pub fn filesystem_kind(path: &Path) -> Result<FilesystemKind, FileError> {
    let found = rustix::fs::statfs(path).map_err(|errno| FileError::from_errno(path, "look at", errno))?;
    Ok(kind_of_magic(i128::from(found.f_type)))
}

impl From<&rustix::fs::Stat> for Standing {
    fn from(stat: &rustix::fs::Stat) -> Self {
        let kind = match rustix::fs::FileType::from_raw_mode(stat.st_mode) {
            rustix::fs::FileType::RegularFile => Kind::File,
            rustix::fs::FileType::Directory => Kind::Directory,
            rustix::fs::FileType::Symlink => Kind::Symlink,
            _ => Kind::Special,
        };
        Self { uid: stat.st_uid, gid: stat.st_gid, mode: stat.st_mode & 0o7777, kind }
    }
}

fn open_to_read(path: &Path, more: OFlags) -> Result<OwnedFd, FileError> {
    rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC | more, Mode::empty())
        .map_err(|errno| FileError::from_errno(path, "read", errno))
}

fn standing_of(path: &Path, opened: &OwnedFd) -> Result<Standing, FileError> {
    let stat = rustix::fs::fstat(opened).map_err(|errno| FileError::from_errno(path, "look at", errno))?;
    Ok(Standing::from(&stat))
}

/// Reads to the end. The buffer never grows by copying where the size is known, so a secret leaves no copies behind.
fn drain(path: &Path, opened: OwnedFd, limit: usize) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::with_capacity(limit.min(SECRET_LIMIT) + 1);
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    std::fs::File::from(opened)
        .take(most)
        .read_to_end(&mut bytes)
        .map_err(|error| FileError::from_io(path, "read", error))?;
    if bytes.len() > limit {
        return Err(FileError::TooLarge { path: path.to_owned(), limit });
    }
    Ok(bytes)
}

fn kind_of_magic(magic: i128) -> FilesystemKind {
    // the type is signed on some machines
    match magic & 0xffff_ffff {
        0x6969 | 0x517b | 0xff53_4d42 | 0xfe53_4d42 | 0x0102_1997 | 0x6573_5546 | 0x00c3_6400 | 0x0bd0_0bd0
        | 0x5346_414f | 0x6b41_4653 | 0x7375_7245 | 0x0116_1970 | 0x7461_636f => FilesystemKind::Network,
        _ => FilesystemKind::Local,
    }
}

const SECRET_LIMIT: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{symlink, PermissionsExt};

    #[expect(clippy::disallowed_methods, reason = "tests look at the disk from outside")]
    fn put(path: &Path, bytes: &[u8]) {
        std::fs::write(path, bytes).unwrap();
    }

    #[test]
    fn reading_is_bounded_and_takes_regular_files_only() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a");
        put(&file, b"12345");
        assert_eq!(read(&file, 5).unwrap(), b"12345");
        assert!(matches!(read(&file, 4), Err(FileError::TooLarge { limit: 4, .. })));
        assert!(matches!(read(dir.path(), 4), Err(FileError::NotAFile { .. })));
        assert!(matches!(read(&dir.path().join("b"), 4), Err(FileError::NotFound { .. })));
        assert!(matches!(read(&file.join("c"), 4), Err(FileError::NotADirectory { .. })));
        assert!(matches!(read(Path::new("/dev/zero"), 4), Err(FileError::NotAFile { .. })));
    }

    #[test]
    fn a_pipe_is_no_file_to_read_and_does_not_hang() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        let here = rustix::fs::CWD;
        rustix::fs::mkfifoat(here, &pipe, Mode::from_raw_mode(0o600)).unwrap();
        assert!(matches!(read(&pipe, 4), Err(FileError::NotAFile { .. })));
    }

    #[test]
    fn a_secret_may_come_from_a_pipe() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, Mode::from_raw_mode(0o600)).unwrap();
        let writer = std::thread::spawn({
            let pipe = pipe.clone();
            move || put(&pipe, b"words")
        });
        assert_eq!(read_secret(&pipe).unwrap().expose(), b"words");
        writer.join().unwrap();
        assert!(matches!(read_secret(dir.path()), Err(FileError::NotAFile { .. })));
        assert!(matches!(read_secret(Path::new("/dev/zero")), Err(FileError::TooLarge { .. })));
    }

    #[test]
    fn links_are_followed_when_reading_unless_told_otherwise() {
        let dir = tempfile::tempdir().unwrap();
        let [file, link] = ["a", "b"].map(|name| dir.path().join(name));
        put(&file, b"x");
        symlink(&file, &link).unwrap();
        assert_eq!(read(&link, 9).unwrap(), b"x");
        assert!(matches!(read_unfollowed(&link, 9), Err(FileError::Symlink { .. })));
    }

    #[test]
    fn a_link_that_points_nowhere_exists() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        assert!(!exists(&link).unwrap());
        symlink("nowhere", &link).unwrap();
        assert!(exists(&link).unwrap());
        assert_eq!(standing(&link).unwrap().unwrap().kind, Kind::Symlink);
    }

    #[test]
    fn a_private_file_is_made_once_and_never_through_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pki.db");
        create_private(&file).unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o7777, 0o600);
        assert!(create_private(&file).unwrap_err().exists());
        let link = dir.path().join("link");
        symlink(dir.path().join("elsewhere"), &link).unwrap();
        assert!(create_private(&link).is_err());
        assert_eq!(list(dir.path()).unwrap(), ["link", "pki.db"]);
        remove(&link).unwrap();
        remove(&file).unwrap();
        assert!(list(dir.path()).unwrap().is_empty());
    }

    #[test]
    fn network_file_systems_are_known_by_their_numbers() {
        assert_eq!(kind_of_magic(0xef53), FilesystemKind::Local);
        for magic in [0x6969, 0xff53_4d42, 0x0102_1997, 0x6573_5546] {
            assert_eq!(kind_of_magic(magic), FilesystemKind::Network);
        }
        assert_eq!(
            kind_of_magic(i128::from(i32::from_be_bytes(0xff53_4d42_u32.to_be_bytes()))),
            FilesystemKind::Network
        );
        assert_eq!(filesystem_kind(Path::new("/proc")).unwrap(), FilesystemKind::Local);
    }
}
