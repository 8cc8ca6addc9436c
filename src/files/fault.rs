//! What can go wrong with a file, told with its path in words that a person can act on.
//! Knows nothing of what the file was for; commands add their own hints.

use std::{
    io,
    path::{Path, PathBuf},
};

use rustix::io::Errno;

/// Why something was not done to a file. Each names the path.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Something is there already.
    #[error("`{}` exists and was not overwritten", shown(.path))]
    Exists {
        /// The entry that is there.
        path: PathBuf,
    },
    /// A link where a file is to be.
    #[error("`{}` is a symbolic link and is not followed; remove it or name the place it points to", shown(.path))]
    Symlink {
        /// The link.
        path: PathBuf,
    },
    /// A directory, pipe, socket or device where a file is to be, or a path without a file name.
    #[error("`{}` is no regular file; name a file", shown(.path))]
    NotAFile {
        /// The entry.
        path: PathBuf,
    },
    /// A file where a directory is to be, here or higher in the path.
    #[error("`{}` is no directory or does not lie in one; name a directory", shown(.path))]
    NotADirectory {
        /// The path as it was used.
        path: PathBuf,
    },
    /// Nothing is there.
    #[error("`{}` does not exist", shown(.path))]
    NotFound {
        /// The path as it was used.
        path: PathBuf,
    },
    /// The file system is mounted read-only.
    #[error("cannot {act} `{}`: its file system is read-only", shown(.path))]
    ReadOnly {
        /// What was not done.
        act: &'static str,
        /// To what.
        path: PathBuf,
    },
    /// No space, or no quota.
    #[error("cannot {act} `{}`: its file system is full; make room and repeat the command", shown(.path))]
    Full {
        /// What was not done.
        act: &'static str,
        /// To what.
        path: PathBuf,
    },
    /// The caller may not.
    #[error("cannot {act} `{}`: permission denied", shown(.path))]
    Denied {
        /// What was not done.
        act: &'static str,
        /// To what.
        path: PathBuf,
    },
    /// More bytes than anything we read has.
    #[error("`{}` has more than {limit} bytes and was not read", shown(.path))]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The most that is read, in bytes.
        limit: usize,
    },
    /// Another process holds it.
    #[error("`{}` is in use by another process; repeat the command when that one has ended", shown(.path))]
    Busy {
        /// What is held.
        path: PathBuf,
    },
    /// A directory that is to become a PKI directory holds something else.
    #[error("`{}` holds `{}`, which is no part of an authority; name an empty or a new directory", shown(.path), shown(.entry))]
    Occupied {
        /// The directory.
        path: PathBuf,
        /// The first entry that does not belong there.
        entry: PathBuf,
    },
    /// Anything else, as the system says it.
    #[error("cannot {act} `{}`: {source}", shown(.path))]
    Other {
        /// What was not done.
        act: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl FileError {
    /// Whether the reason is that the file is there already.
    pub fn exists(&self) -> bool {
        matches!(self, Self::Exists { .. })
    }

    /// Whether the reason is that nothing is there.
    pub fn not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// The same fault, told of the path that the caller knows.
    pub(super) fn about(mut self, known: PathBuf) -> Self {
        match &mut self {
            Self::Exists { path }
            | Self::Symlink { path }
            | Self::NotAFile { path }
            | Self::NotADirectory { path }
            | Self::NotFound { path }
            | Self::ReadOnly { path, .. }
            | Self::Full { path, .. }
            | Self::Denied { path, .. }
            | Self::TooLarge { path, .. }
            | Self::Busy { path }
            | Self::Occupied { path, .. }
            | Self::Other { path, .. } => *path = known,
        }
        self
    }

    pub(super) fn from_errno(path: &Path, act: &'static str, errno: Errno) -> Self {
        let path = path.to_owned();
        match errno {
            Errno::EXIST | Errno::NOTEMPTY => Self::Exists { path },
            Errno::LOOP => Self::Symlink { path },
            Errno::ISDIR => Self::NotAFile { path },
            Errno::NOTDIR => Self::NotADirectory { path },
            Errno::NOENT => Self::NotFound { path },
            Errno::ROFS => Self::ReadOnly { act, path },
            Errno::NOSPC | Errno::DQUOT => Self::Full { act, path },
            Errno::ACCESS | Errno::PERM => Self::Denied { act, path },
            other => Self::Other { act, path, source: other.into() },
        }
    }

    pub(super) fn from_io(path: &Path, act: &'static str, error: io::Error) -> Self {
        match Errno::from_io_error(&error) {
            Some(errno) => Self::from_errno(path, act, errno),
            None => Self::Other { act, path: path.to_owned(), source: error },
        }
    }
}

/// A path for people: control characters and what is no UTF-8 escaped, all else as it is.
pub fn shown(path: &Path) -> String {
    let mut text = String::new();
    for character in path.to_string_lossy().chars() {
        if character.is_control() || bidirectional(character) {
            text.extend(character.escape_default());
        } else {
            text.push(character);
        }
    }
    text
}

/// Marks that make a terminal show text in another order than it has.
fn bidirectional(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_kind_says_path_and_mend() {
        let path = Path::new("/etc/x");
        for (errno, words) in [
            (Errno::EXIST, "`/etc/x` exists and was not overwritten"),
            (Errno::LOOP, "remove it"),
            (Errno::NOSPC, "cannot write `/etc/x`: its file system is full; make room"),
            (Errno::DQUOT, "full"),
            (Errno::ROFS, "read-only"),
            (Errno::ACCESS, "permission denied"),
            (Errno::IO, "cannot write `/etc/x`: Input/output error"),
        ] {
            let message = FileError::from_errno(path, "write", errno).to_string();
            assert!(message.contains(words), "{message}");
        }
        let other = FileError::from_errno(path, "write", Errno::IO);
        assert!(std::error::Error::source(&other).is_some());
    }

    proptest! {
        #[test]
        fn no_path_moves_the_cursor(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            use std::os::unix::ffi::OsStrExt;
            let text = shown(Path::new(std::ffi::OsStr::from_bytes(&bytes)));
            prop_assert!(!text.chars().any(char::is_control));
        }
    }
}
