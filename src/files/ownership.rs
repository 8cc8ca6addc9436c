//! Whether a PKI directory can be trusted: who owns it and what is in it, and who else could change or read it.
//! Knows nothing of the contents.

use std::path::{Path, PathBuf};

use super::{
    fault::{shown, FileError},
    folder::Folder,
    Kind, Owner, Standing,
};

/// Why a PKI directory is not used, with the command that mends it.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryFault {
    /// Somebody else's.
    #[error("`{}` belongs to uid {owner}, not to uid {expected}; run this as its owner, or `{}`", shown(.path), give(.path, *.expected))]
    Foreign {
        /// The entry.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Whose it must be.
        expected: u32,
    },
    /// Group or others may write.
    #[error("`{}` can be written by others (mode {mode:04o}); `chmod go-w {}`", shown(.path), quoted(.path))]
    Writable {
        /// The entry.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// A file with secrets that group or others may read.
    #[error("`{}` can be read by others (mode {mode:04o}); `chmod 0600 {}`", shown(.path), quoted(.path))]
    Readable {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It could not be looked at.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Checks that `dir` and what is in it belong to the user `caller` and to nobody else, and are not writable by others;
/// that the database and the vault's key are not readable by others either. Root may act for another owner, if all of it
/// is that one's: then the owner is returned, to whom new files are to belong. No file in it is opened.
pub fn check_authority_directory(dir: &Path, caller: u32) -> Result<Option<Owner>, DirectoryFault> {
    let (owner, faults) = look_over(dir, caller)?;
    faults.into_iter().next().map_or(Ok(owner), Err)
}

/// Every fault for which [`check_authority_directory`] would refuse, for whoever only looks.
pub fn authority_directory_faults(dir: &Path, caller: u32) -> Result<Vec<DirectoryFault>, FileError> {
    Ok(look_over(dir, caller)?.1)
}

fn look_over(dir: &Path, caller: u32) -> Result<(Option<Owner>, Vec<DirectoryFault>), FileError> {
    let folder = Folder::open(dir)?;
    let standing = Standing::from(&folder.stat()?);
    let expected = if caller == 0 { standing.uid } else { caller };
    let mut faults: Vec<DirectoryFault> = check(dir, standing, expected).err().into_iter().collect();
    check_entries(&folder, expected, true, &mut faults)?;
    let other = caller == 0 && standing.uid != 0;
    Ok((other.then_some(Owner { uid: standing.uid, gid: standing.gid }), faults))
}

fn check_entries(
    folder: &Folder,
    expected: u32,
    deeper: bool,
    faults: &mut Vec<DirectoryFault>,
) -> Result<(), FileError> {
    for name in folder.names()? {
        // an entry may go while we look: the database's side files do
        let Some(stat) = folder.look(&name)? else { continue };
        let standing = Standing::from(&stat);
        let path = folder.path.join(&name);
        // what the root of a volume holds is root's and no matter of ours
        if name == "lost+found" && standing.uid == 0 {
            continue;
        }
        faults.extend(check(&path, standing, expected).err());
        if PRIVATE.iter().any(|private| name == *private) {
            faults.extend(check_private(path, standing).err());
        } else if deeper && standing.kind == Kind::Directory {
            check_entries(&folder.enter(&name)?, expected, false, faults)?;
        }
    }
    Ok(())
}

fn check(path: &Path, standing: Standing, expected: u32) -> Result<(), DirectoryFault> {
    let path = || path.to_owned();
    if standing.uid != expected {
        return Err(DirectoryFault::Foreign { path: path(), owner: standing.uid, expected });
    }
    // the mode of a link says nothing
    if standing.kind != Kind::Symlink && standing.mode & 0o022 != 0 {
        return Err(DirectoryFault::Writable { path: path(), mode: standing.mode });
    }
    Ok(())
}

fn check_private(path: PathBuf, standing: Standing) -> Result<(), DirectoryFault> {
    match standing.kind {
        Kind::Symlink => Err(FileError::Symlink { path }.into()),
        Kind::Directory | Kind::Special => Err(FileError::NotAFile { path }.into()),
        Kind::File if standing.mode & 0o077 != 0 => Err(DirectoryFault::Readable { path, mode: standing.mode }),
        Kind::File => Ok(()),
    }
}

impl DirectoryFault {
    /// What is at fault.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Foreign { path, .. } | Self::Writable { path, .. } | Self::Readable { path, .. } => Some(path),
            Self::File(_) => None,
        }
    }

    /// The command that mends it.
    pub fn mend(&self) -> Option<String> {
        match self {
            Self::Foreign { path, expected, .. } => Some(give(path, *expected)),
            Self::Writable { path, .. } => Some(format!("chmod go-w {}", quoted(path))),
            Self::Readable { path, .. } => Some(format!("chmod 0600 {}", quoted(path))),
            Self::File(_) => None,
        }
    }
}

/// The command that gives the entry to a user.
fn give(path: &Path, uid: u32) -> String {
    format!("chown -R {uid} {}", quoted(path))
}

/// The path as a shell takes it as one word.
pub(crate) fn quoted(path: &Path) -> String {
    let text = shown(path);
    let plain = |character: char| character.is_ascii_alphanumeric() || "/._-+@:,".contains(character);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

const PRIVATE: [&str; 5] = ["pki.db", "pki.db-wal", "pki.db-shm", "pki.db-journal", "vault.key"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::create_private;
    use rustix::fs::{Gid, Mode, Uid};
    use std::os::unix::fs::{symlink, PermissionsExt};

    fn authority() -> tempfile::TempDir {
        let dir = tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o700)).tempdir().unwrap();
        create_private(&dir.path().join("pki.db")).unwrap();
        create_private(&dir.path().join("vault.key")).unwrap();
        dir
    }

    fn chmod(path: &Path, mode: u32) {
        rustix::fs::chmod(path, Mode::from_raw_mode(mode)).unwrap();
    }

    fn me() -> u32 {
        rustix::process::geteuid().as_raw()
    }

    #[test]
    fn our_own_is_taken_also_when_others_may_look_at_the_settings() {
        let dir = authority();
        assert_eq!(check_authority_directory(dir.path(), me()).unwrap(), None);
        chmod(dir.path(), 0o755);
        create_private(&dir.path().join("vpnpki.toml")).unwrap();
        chmod(&dir.path().join("vpnpki.toml"), 0o644);
        assert_eq!(check_authority_directory(dir.path(), me()).unwrap(), None);
    }

    #[test]
    fn what_others_may_write_or_read_is_named_with_the_mend() {
        for (name, mode, words) in [
            ("", 0o770, "chmod go-w"),
            ("", 0o702, "(mode 0702)"),
            ("pki.db", 0o640, "chmod 0600"),
            ("vault.key", 0o604, "can be read by others"),
            ("pki.db", 0o620, "chmod go-w"),
        ] {
            let dir = authority();
            let path = dir.path().join(name);
            chmod(&path, mode);
            let message = check_authority_directory(dir.path(), me()).unwrap_err().to_string();
            assert!(message.contains(words) && message.contains(&*dir.path().to_string_lossy()), "{message}");
        }
    }

    #[test]
    fn whoever_only_looks_hears_of_every_fault() {
        let dir = authority();
        assert!(authority_directory_faults(dir.path(), me()).unwrap().is_empty());
        chmod(&dir.path().join("pki.db"), 0o640);
        chmod(&dir.path().join("vault.key"), 0o604);
        let faults = authority_directory_faults(dir.path(), me()).unwrap();
        let mends: Vec<String> = faults.iter().filter_map(DirectoryFault::mend).collect();
        assert!(mends.len() == 2 && mends[0].ends_with("pki.db") && mends[1].ends_with("vault.key"), "{mends:?}");
        assert!(faults.iter().all(|fault| fault.to_string().contains(&fault.mend().unwrap())));
    }

    #[test]
    fn templates_are_looked_at_too() {
        let dir = authority();
        let templates = dir.path().join("templates");
        rustix::fs::mkdir(&templates, Mode::from_raw_mode(0o755)).unwrap();
        create_private(&templates.join("server.conf")).unwrap();
        chmod(&templates.join("server.conf"), 0o666);
        let error = check_authority_directory(dir.path(), me()).unwrap_err();
        assert!(matches!(error, DirectoryFault::Writable { mode: 0o666, .. }), "{error}");
    }

    #[test]
    fn a_database_behind_a_link_is_refused() {
        let dir = authority();
        crate::files::remove(&dir.path().join("pki.db")).unwrap();
        symlink("/elsewhere", dir.path().join("pki.db")).unwrap();
        let error = check_authority_directory(dir.path(), me()).unwrap_err();
        assert!(matches!(error, DirectoryFault::File(FileError::Symlink { .. })), "{error}");
    }

    #[test]
    fn another_users_is_refused() {
        let dir = authority();
        let message = check_authority_directory(dir.path(), me() + 1).unwrap_err().to_string();
        assert!(message.contains(&format!("not to uid {}", me() + 1)) && message.contains("chown -R"), "{message}");
    }

    #[test]
    fn root_acts_for_one_owner() {
        if me() != 0 {
            return; // only root can give files away
        }
        let dir = authority();
        let give = |name: &str| {
            rustix::fs::chown(dir.path().join(name), Some(Uid::from_raw(1234)), Some(Gid::from_raw(99))).unwrap();
        };
        ["", "pki.db"].into_iter().for_each(give);
        let error = check_authority_directory(dir.path(), 0).unwrap_err().to_string();
        assert!(error.contains("vault.key` belongs to uid 0, not to uid 1234"), "{error}");
        give("vault.key");
        let owner = check_authority_directory(dir.path(), 0).unwrap();
        assert_eq!(owner, Some(Owner { uid: 1234, gid: 99 }));
    }

    #[test]
    fn a_path_is_one_word_for_a_shell() {
        assert_eq!(quoted(Path::new("/etc/openvpn/a-b_c.crt")), "/etc/openvpn/a-b_c.crt");
        assert_eq!(quoted(Path::new("my pki's")), "'my pki'\\''s'");
    }
}
