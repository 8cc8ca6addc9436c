//! A directory that becomes real in one step, for what takes long to build and must be whole: the PKI directory.
//! Knows nothing of what is built in it, except which file makes it an authority.
//!
//! A target that is missing is built beside, under a hidden name, and renamed. One that is there (empty, or with the
//! settings and templates that its owner put there) is built inside itself and keeps its inode, so that it may be a mount
//! point, the caller's working directory, or lie in a directory that the caller cannot write. Then the files get second
//! names in the target, and `pki.db` is renamed last: without it there is no authority. A kill in between leaves second
//! names whose first ones still lie in the nursery; by that the next `create` knows them, and removes them with it.
//! Exchanging the two directories would be one step, too, but not on a mount point or under the caller's feet.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};

use rustix::fs::{Gid, Mode, Uid};

use super::{
    directory::{open_unless_missing, Target},
    fault::FileError,
    folder::Folder,
    hidden::{hidden_name, same, HiddenFolder, Leftover},
    Visibility,
};

/// The directory being built, of mode 0700. Dropped without [`Nursery::commit`], it is removed with all that is in it.
#[must_use]
pub struct Nursery {
    hidden: HiddenFolder,
    place: Place,
}

enum Place {
    /// It will get this name beside itself.
    Beside(OsString),
    /// Its files will move into the directory around it.
    Inside,
}

impl Nursery {
    /// Begins to build what will be `target`, after removing what a killed process left. Refuses an authority that is
    /// there, a directory that holds anything else than `vpnpki.toml` and `templates`, and a second builder at once.
    pub fn create(target: &Path) -> Result<Self, FileError> {
        match open_unless_missing(target)? {
            Target::Missing { home, name } => Self::beside(home, name),
            Target::There(home) => Self::inside(home),
        }
    }

    /// Where to build.
    pub fn path(&self) -> PathBuf {
        self.hidden.home.path.join(&self.hidden.name)
    }

    /// Makes all of it durable and then real, or leaves the target as it was. Close the database before: this opens
    /// its files, and closing them drops the locks that the process has on them. Files in a directory of another owner
    /// are given to that owner when root builds. Returns why the empty nursery is still there, where it could not be
    /// removed: that undoes nothing.
    pub fn commit(mut self) -> Result<Option<FileError>, FileError> {
        self.hidden.folder.sync_all()?;
        match &self.place {
            Place::Beside(name) => {
                self.hidden.home.take(&self.hidden.home, &self.hidden.name, name)?;
                self.hidden.settle();
                self.hidden.home.sync().map(|()| None)
            }
            Place::Inside => self.move_out(),
        }
    }

    /// Removes what a kill left after an authority became real in `target`; the authority stays as it is.
    pub fn sweep(target: &Path) -> Result<(), FileError> {
        clear(&Folder::open(target)?, OsStr::new(INNER))
    }

    /// Whether a kill left something inside `target`, so that what lies there may belong to nobody.
    pub fn is_leftover(target: &Path) -> Result<bool, FileError> {
        match open_unless_missing(target)? {
            Target::Missing { .. } => Ok(false),
            Target::There(home) => Ok(home.look(OsStr::new(INNER))?.is_some()),
        }
    }

    fn beside(home: Folder, name: OsString) -> Result<Self, FileError> {
        let hidden = HiddenFolder::create(home, hidden_name(&name))?;
        // another may have finished while we waited for the hidden name
        match hidden.home.look(&name)? {
            None => Ok(Self { hidden, place: Place::Beside(name) }),
            Some(_) => Err(FileError::Exists { path: hidden.home.path.join(&name) }),
        }
    }

    fn inside(home: Folder) -> Result<Self, FileError> {
        let inner = OsString::from(INNER);
        clear(&home, &inner)?;
        check_vacant(&home)?;
        let hidden = HiddenFolder::create(home, inner)?;
        check_vacant(&hidden.home)?;
        Ok(Self { hidden, place: Place::Inside })
    }

    fn move_out(&mut self) -> Result<Option<FileError>, FileError> {
        let (inner, home) = (&self.hidden.folder, &self.hidden.home);
        let names: Vec<OsString> = inner.names()?.into_iter().filter(|name| name != DATABASE).collect();
        give_to_owner(inner, home)?;
        let mode = Mode::from_raw_mode(Visibility::Private.directory_mode());
        rustix::fs::fchmod(&home.descriptor, mode)
            .map_err(|errno| FileError::from_errno(&home.path, "set the mode of", errno))?;
        let mut linked = Vec::new();
        let moved = link_all(inner, home, &names, &mut linked)
            .and_then(|()| home.sync())
            .and_then(|()| home.take(inner, OsStr::new(DATABASE), OsStr::new(DATABASE)));
        if let Err(error) = moved {
            // the error that led here is the one to tell; the next `create` tries again
            let _ = unlink_all(inner, home, &linked);
            return Err(error);
        }
        let synced = home.sync();
        let removed = self.hidden.remove();
        synced.map(|()| removed.err())
    }
}

fn link_all(inner: &Folder, home: &Folder, names: &[OsString], linked: &mut Vec<OsString>) -> Result<(), FileError> {
    for name in names {
        if inner.holds_folder(name)? {
            // a directory has one name only: another is made, and its files get second names in that
            if home.look(name)?.is_some() {
                return Err(FileError::Exists { path: home.path.join(name) });
            }
            // before it is made, since what fails in the middle of that must be taken away, too
            linked.push(name.clone());
            let (from, to) = (inner.enter(name)?, home.create_folder(name)?);
            for file in from.names()? {
                to.link_from(&from, &file)?;
            }
            to.sync()?;
        } else {
            home.link_from(inner, name)?;
            linked.push(name.clone());
        }
    }
    Ok(())
}

/// Takes the second names away again; what is not a second name of ours stays.
fn unlink_all(inner: &Folder, home: &Folder, names: &[OsString]) -> Result<(), FileError> {
    for name in names {
        match (inner.look(name)?, home.look(name)?) {
            (Some(_), Some(_)) if inner.holds_folder(name)? && home.holds_folder(name)? => {
                let (from, to) = (inner.enter(name)?, home.enter(name)?);
                unlink_all(&from, &to, &from.names()?)?;
                if to.names()?.is_empty() {
                    home.remove_folder(name)?;
                }
            }
            (Some(first), Some(second)) if same(&first, &second) => home.unlink(name)?,
            _ => {}
        }
    }
    Ok(())
}

fn give_to_owner(inner: &Folder, home: &Folder) -> Result<(), FileError> {
    let owner = home.stat()?;
    if !rustix::process::geteuid().is_root() || owner.st_uid == 0 {
        return Ok(());
    }
    give_all(inner, Uid::from_raw(owner.st_uid), Gid::from_raw(owner.st_gid))
}

fn give_all(folder: &Folder, uid: Uid, gid: Gid) -> Result<(), FileError> {
    for name in folder.names()? {
        if folder.holds_folder(&name)? {
            give_all(&folder.enter(&name)?, uid, gid)?;
        }
        rustix::fs::chownat(&folder.descriptor, &name, Some(uid), Some(gid), rustix::fs::AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|errno| folder.fault(&name, "give away", errno))?;
    }
    Ok(())
}

/// Removes what a kill left inside, and its second names outside unless the database was moved, which made them real.
fn clear(home: &Folder, inner: &OsStr) -> Result<(), FileError> {
    let Some(leftover) = Leftover::find(home, inner)? else { return Ok(()) };
    if let Some(folder) = leftover.folder()?.filter(|_| matches!(home.look(OsStr::new(DATABASE)), Ok(None))) {
        unlink_all(&folder, home, &folder.names()?)?;
    }
    leftover.remove()
}

fn check_vacant(home: &Folder) -> Result<(), FileError> {
    if home.look(OsStr::new(DATABASE))?.is_some() {
        return Err(FileError::Exists { path: home.path.join(DATABASE) });
    }
    let allowed = |name: &OsString| ALLOWED.iter().any(|allowed| name == allowed);
    match home.names()?.into_iter().find(|name| !allowed(name)) {
        None => Ok(()),
        Some(entry) => Err(FileError::Occupied { path: home.path.clone(), entry: PathBuf::from(entry) }),
    }
}

const DATABASE: &str = "pki.db";
const INNER: &str = ".pki.vpnpki-new";
/// What a directory may hold before an authority is made in it; `lost+found` is the root of a volume.
const ALLOWED: [&str; 4] = ["vpnpki.toml", "templates", "lost+found", INNER];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{create_private, list, read, stage, standing, Overwrite};
    use std::os::unix::fs::symlink;

    fn write(path: &Path, bytes: &[u8]) {
        stage(path, bytes, Visibility::Private, Overwrite::Refuse, None).unwrap().release().unwrap();
    }

    fn build(nursery: &Nursery) {
        write(&nursery.path().join("pki.db"), b"database");
        write(&nursery.path().join("vault.key"), b"key");
    }

    fn mkdir(path: &Path) {
        rustix::fs::mkdir(path, Mode::from_raw_mode(0o755)).unwrap();
    }

    #[test]
    fn a_missing_target_appears_whole() {
        let home = tempfile::tempdir().unwrap();
        let target = home.path().join("pki");
        let nursery = Nursery::create(&target).unwrap();
        build(&nursery);
        assert_eq!(list(home.path()).unwrap(), [".pki.vpnpki-new"]);
        nursery.commit().unwrap();
        assert_eq!(list(home.path()).unwrap(), ["pki"]);
        assert_eq!(list(&target).unwrap(), ["pki.db", "vault.key"]);
        assert_eq!(standing(&target).unwrap().unwrap().mode, 0o700);
    }

    #[test]
    fn dropped_it_leaves_nothing() {
        let home = tempfile::tempdir().unwrap();
        for target in [home.path().join("pki"), home.path().to_owned()] {
            let nursery = Nursery::create(&target).unwrap();
            build(&nursery);
            mkdir(&nursery.path().join("sub"));
            write(&nursery.path().join("sub/file"), b"");
            drop(nursery);
            assert!(list(home.path()).unwrap().is_empty());
        }
    }

    #[test]
    fn a_directory_with_settings_keeps_them_and_itself() {
        let home = tempfile::tempdir().unwrap();
        write(&home.path().join("vpnpki.toml"), b"mine");
        mkdir(&home.path().join("templates"));
        let before = Folder::open(home.path()).unwrap().stat().unwrap();
        let nursery = Nursery::create(home.path()).unwrap();
        build(&nursery);
        nursery.commit().unwrap();
        assert_eq!(list(home.path()).unwrap(), ["pki.db", "templates", "vault.key", "vpnpki.toml"]);
        assert_eq!(read(&home.path().join("vpnpki.toml"), 9).unwrap(), b"mine");
        assert!(same(&before, &Folder::open(home.path()).unwrap().stat().unwrap()));
        assert_eq!(standing(home.path()).unwrap().unwrap().mode, 0o700);
    }

    #[test]
    fn a_directory_of_files_comes_along_or_leaves_nothing() {
        let home = tempfile::tempdir().unwrap();
        let fill = |nursery: &Nursery| {
            build(nursery);
            mkdir(&nursery.path().join("templates"));
            write(&nursery.path().join("templates/server.conf"), b"ours");
        };
        let nursery = Nursery::create(home.path()).unwrap();
        fill(&nursery);
        write(&home.path().join("vpnpki.toml"), b"mine");
        write(&nursery.path().join("vpnpki.toml"), b"ours");
        assert!(nursery.commit().unwrap_err().exists());
        assert_eq!(list(home.path()).unwrap(), ["vpnpki.toml"]);
        let nursery = Nursery::create(home.path()).unwrap();
        fill(&nursery);
        nursery.commit().unwrap();
        assert_eq!(list(home.path()).unwrap(), ["pki.db", "templates", "vault.key", "vpnpki.toml"]);
        assert_eq!(read(&home.path().join("templates/server.conf"), 9).unwrap(), b"ours");
    }

    #[test]
    fn the_next_removes_a_directory_of_second_names() {
        let home = tempfile::tempdir().unwrap();
        let (left, mine) = (home.path().join(INNER).join("templates"), home.path().join("templates"));
        mkdir(&home.path().join(INNER));
        mkdir(&left);
        mkdir(&mine);
        write(&left.join("a.conf"), b"ours");
        rustix::fs::link(left.join("a.conf"), mine.join("a.conf")).unwrap();
        drop(Nursery::create(home.path()).unwrap());
        assert!(list(home.path()).unwrap().is_empty());
    }

    #[test]
    fn settings_that_come_in_the_way_stop_it_and_nothing_is_moved() {
        let home = tempfile::tempdir().unwrap();
        let nursery = Nursery::create(home.path()).unwrap();
        build(&nursery);
        write(&nursery.path().join("vpnpki.toml"), b"ours");
        write(&home.path().join("vpnpki.toml"), b"mine");
        assert!(nursery.commit().unwrap_err().exists());
        assert_eq!(list(home.path()).unwrap(), ["vpnpki.toml"]);
        assert_eq!(read(&home.path().join("vpnpki.toml"), 9).unwrap(), b"mine");
    }

    #[test]
    fn an_authority_and_foreign_things_are_refused() {
        let home = tempfile::tempdir().unwrap();
        create_private(&home.path().join("thesis.tex")).unwrap();
        let error = Nursery::create(home.path()).err().unwrap();
        assert!(error.to_string().contains("`thesis.tex`"), "{error}");
        create_private(&home.path().join("pki.db")).unwrap();
        assert!(Nursery::create(home.path()).is_err_and(|error| error.exists()));
        symlink(home.path(), home.path().join("link")).unwrap();
        assert!(matches!(Nursery::create(&home.path().join("link")), Err(FileError::Symlink { .. })));
        assert_eq!(list(home.path()).unwrap(), ["link", "pki.db", "thesis.tex"]);
    }

    #[test]
    fn two_at_once_do_not_remove_each_other() {
        let home = tempfile::tempdir().unwrap();
        let target = home.path().join("pki");
        let first = Nursery::create(&target).unwrap();
        build(&first);
        assert!(matches!(Nursery::create(&target), Err(FileError::Busy { .. })));
        assert_eq!(list(&first.path()).unwrap(), ["pki.db", "vault.key"]);
        first.commit().unwrap();
        assert!(Nursery::create(&target).is_err_and(|error| error.exists()));
        assert_eq!(list(home.path()).unwrap(), ["pki"]);
    }

    #[test]
    fn a_target_that_appears_meanwhile_is_not_replaced() {
        let home = tempfile::tempdir().unwrap();
        let nursery = Nursery::create(&home.path().join("pki")).unwrap();
        build(&nursery);
        mkdir(&home.path().join("pki"));
        assert!(nursery.commit().unwrap_err().exists());
        assert_eq!(list(home.path()).unwrap(), ["pki"]);
        assert!(list(&home.path().join("pki")).unwrap().is_empty());
    }

    #[test]
    fn the_next_removes_what_a_kill_left_beside() {
        let home = tempfile::tempdir().unwrap();
        let left = home.path().join(".pki.vpnpki-new");
        mkdir(&left);
        mkdir(&left.join("templates"));
        write(&left.join("templates/server.conf"), b"");
        write(&left.join("vault.key"), b"old");
        let nursery = Nursery::create(&home.path().join("pki")).unwrap();
        assert!(list(&nursery.path()).unwrap().is_empty());
        drop(nursery);
        assert!(list(home.path()).unwrap().is_empty());
    }

    #[test]
    fn the_next_removes_what_a_kill_left_inside_and_keeps_what_the_owner_made() {
        let home = tempfile::tempdir().unwrap();
        let left = home.path().join(INNER);
        mkdir(&left);
        write(&left.join("pki.db"), b"old");
        write(&left.join("vault.key"), b"old");
        rustix::fs::link(left.join("vault.key"), home.path().join("vault.key")).unwrap();
        write(&left.join("vpnpki.toml"), b"ours");
        write(&home.path().join("vpnpki.toml"), b"mine");
        drop(Nursery::create(home.path()).unwrap());
        assert_eq!(list(home.path()).unwrap(), ["vpnpki.toml"]);
        assert_eq!(read(&home.path().join("vpnpki.toml"), 9).unwrap(), b"mine");
    }

    #[test]
    fn a_kill_after_the_database_moved_leaves_an_authority_that_keeps_its_key() {
        let home = tempfile::tempdir().unwrap();
        let left = home.path().join(INNER);
        mkdir(&left);
        write(&left.join("vault.key"), b"key");
        rustix::fs::link(left.join("vault.key"), home.path().join("vault.key")).unwrap();
        write(&home.path().join("pki.db"), b"database");
        Nursery::sweep(home.path()).unwrap();
        assert_eq!(list(home.path()).unwrap(), ["pki.db", "vault.key"]);
        assert_eq!(read(&home.path().join("vault.key"), 9).unwrap(), b"key");
        assert!(Nursery::create(home.path()).is_err_and(|error| error.exists()));
    }
}
