//! Putting a revocation list where an `OpenVPN` server reads it, as a file or as a directory of serials, so that the server
//! notices and can read it.
//! Knows nothing of signatures or numbers: which list is the newest is decided before, and bytes come ready.

mod accounts;
mod after;
mod directives;
mod readable;
mod serials;
mod server;

use std::{
    io::{self, Read},
    path::{Path, PathBuf},
};

pub use after::{After, AfterError};
pub use readable::{readable_by, Unreadable};
pub use serials::{bring, serials, Serials, Turn};
pub use server::{inspect, inspect_without_ca, Form, Place, Reader, ServerDirectory};

use crate::files::{self, shown, FileError, Kind, Overwrite, Unreleased, Visibility};

/// What was done to a target's CRL.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reached {
    /// The same bytes were there, readable by everybody.
    Already,
    /// They are there now.
    Written,
}

/// Why no server would read what we publish, or why it could not be written.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// No such directory.
    #[error("`{}` does not exist; name the directory that the server's configuration lies in", shown(.dir))]
    Missing {
        /// The directory.
        dir: PathBuf,
    },
    /// Nothing says whose server this is.
    #[error("`{}` has no `ca.crt`, so it is no directory of this authority's servers; `vpnpki export server --publish -o {}` makes it one", shown(.dir), shown(.dir))]
    NoCa {
        /// The directory.
        dir: PathBuf,
    },
    /// The server believes another authority.
    #[error("`{}` does not hold this authority's certificate; the server would not use its CRL", shown(.path))]
    AnotherCa {
        /// The file with the other certificate.
        path: PathBuf,
    },
    /// Not PEM, which is the only form that servers read.
    #[error("`{}` is no certificate in PEM", shown(.path))]
    BrokenCa {
        /// The file.
        path: PathBuf,
        /// Where reading stopped.
        #[source]
        source: pem::PemError,
    },
    /// No configuration, so no server starts from here.
    #[error("`{}` holds no configuration of a server (`*.conf`)", shown(.dir))]
    NoConfig {
        /// The directory.
        dir: PathBuf,
    },
    /// The server reads no CRL at all.
    #[error("`{}` reads no CRL, so nobody is refused; add the line `crl-verify crl.pem` and restart the server", shown(.config))]
    NoCrlVerify {
        /// The configuration.
        config: PathBuf,
    },
    /// A CRL inside the configuration is read once, when the server starts.
    #[error("`{}` has its CRL inside, which a running server never reads again; say `crl-verify crl.pem` and restart the server", shown(.config))]
    Inline {
        /// The configuration.
        config: PathBuf,
    },
    /// The CRL is read from a place that was not named as a target.
    #[error("`{}` reads its CRL from `{}`, which is outside of this directory; say `crl-verify crl.pem` and restart the server", shown(.config), shown(.crl))]
    Outside {
        /// The configuration.
        config: PathBuf,
        /// The file as it is named there.
        crl: PathBuf,
    },
    /// A directive that changes what the path of the CRL means.
    #[error("`{}` says `{directive}`, so the file that it reads its CRL from is not known; remove that line", shown(.config))]
    Moved {
        /// The configuration.
        config: PathBuf,
        /// The directive.
        directive: &'static str,
    },
    /// The file differs from what was written a moment ago.
    #[error("`{}` was written but holds other bytes now; another program writes there", shown(.path))]
    ReadBack {
        /// The CRL.
        path: PathBuf,
    },
    /// What is there, or what goes there, could not be read.
    #[error("`{}` could not be held against the newest CRL", shown(.path))]
    Unread {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A directory of serials that was missing.
    #[error(transparent)]
    Unmade(Box<Unreleased>),
    /// The disk.
    #[error(transparent)]
    File(#[from] FileError),
}

/// The bytes of the CRL at `path`; none when there is no file. A link is refused.
pub fn current(path: &Path) -> Result<Option<Vec<u8>>, PublishError> {
    match files::read_unfollowed(path, CRL_LIMIT) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The CRL at `path`, to be read any number of times; none when there is no file. A link is refused.
pub fn open(path: &Path) -> Result<Option<PublishedCrl>, PublishError> {
    match files::open_unfollowed(path, CRL_LIMIT) {
        Ok(opened) => Ok(Some(PublishedCrl(opened))),
        Err(error) if error.not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A file that a server reads its CRL from, as it was when it was opened.
pub struct PublishedCrl(files::Opened);

impl PublishedCrl {
    /// Its bytes from the first on.
    pub fn text(&self) -> impl Read + '_ {
        self.0.bytes()
    }

    /// Whether it holds just these bytes.
    pub fn is(&self, mut other: impl Read) -> io::Result<bool> {
        let (mut text, mut one, mut two) = (self.text(), Vec::new(), Vec::new());
        loop {
            one.clear();
            two.clear();
            text.by_ref().take(AT_ONCE).read_to_end(&mut one)?;
            other.by_ref().take(AT_ONCE).read_to_end(&mut two)?;
            if one != two || one.is_empty() {
                return Ok(one == two);
            }
        }
    }
}

/// Puts a CRL at `path` in one step, mode 0644, and reads it back. The same bytes are left alone if everybody may read
/// them; else the file is replaced and its time of change moves on by a second or more, since a server looks again only
/// when time (whole seconds) or size differ (`OpenVPN`, `ssl.c`, `tls_ctx_reload_crl`). Hold the publish lock.
pub fn put<R: Read>(path: &Path, pem: impl Fn() -> R) -> Result<Reached, PublishError> {
    let standing = files::standing(path)?;
    let readable = standing.is_some_and(|found| found.kind == Kind::File && found.mode & 0o444 == 0o444);
    if readable && holds(path, pem())? {
        return Ok(Reached::Already);
    }
    files::stage_from(path, &mut pem(), Visibility::Public, Overwrite::Replace, None)?.release()?;
    if holds(path, pem())? {
        Ok(Reached::Written)
    } else {
        Err(PublishError::ReadBack { path: path.to_owned() })
    }
}

fn holds(path: &Path, pem: impl Read) -> Result<bool, PublishError> {
    let Some(there) = open(path)? else { return Ok(false) };
    there.is(pem).map_err(|source| PublishError::Unread { path: path.to_owned(), source })
}

/// How many bytes of two files are held against each other at once.
const AT_ONCE: u64 = 64 * 1024;

/// The most bytes a CRL may have: far above that of a million revoked certificates (40 MB).
pub const CRL_LIMIT: usize = 256 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{symlink, MetadataExt, PermissionsExt};

    #[test]
    fn what_was_put_is_read_back_with_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("crl.pem");
        assert_eq!(current(&path).unwrap(), None);
        assert_eq!(put(&path, || &b"one"[..]).unwrap(), Reached::Written);
        assert_eq!(current(&path).unwrap().as_deref(), Some(b"one".as_slice()));
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777, 0o644);
        assert_eq!(files::list(dir.path()).unwrap(), ["crl.pem"]);
    }

    #[test]
    fn the_same_bytes_are_left_alone_and_others_move_the_time_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("crl.pem");
        put(&path, || &b"one"[..]).unwrap();
        let first = path.metadata().unwrap();
        assert_eq!(put(&path, || &b"one"[..]).unwrap(), Reached::Already);
        assert_eq!(path.metadata().unwrap().ino(), first.ino());
        assert_eq!(put(&path, || &b"two"[..]).unwrap(), Reached::Written);
        assert!(path.metadata().unwrap().mtime() > first.mtime());
    }

    #[test]
    fn a_list_that_others_cannot_read_is_put_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("crl.pem");
        files::create_private(&path).unwrap();
        assert_eq!(put(&path, || &b""[..]).unwrap(), Reached::Written);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777, 0o644);
    }

    #[test]
    fn a_link_is_not_written_through() {
        let dir = tempfile::tempdir().unwrap();
        let [path, other] = ["crl.pem", "other"].map(|name| dir.path().join(name));
        files::create_private(&other).unwrap();
        symlink(&other, &path).unwrap();
        assert!(matches!(put(&path, || &b"one"[..]), Err(PublishError::File(FileError::Symlink { .. }))));
        assert!(matches!(current(&path), Err(PublishError::File(FileError::Symlink { .. }))));
        assert_eq!(files::read(&other, 9).unwrap(), b"");
    }
}
