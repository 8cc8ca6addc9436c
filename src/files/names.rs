//! Directories of many empty files, where a name is all that a file says.
//! Knows nothing of what the names mean.
//!
//! No file is synced by itself: an empty one has nothing but its name and its mode, and a journal that makes the names of
//! the directory durable makes the files durable that they name.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
    path::Path,
};

use super::{fault::FileError, folder::Folder, modes, Kind, Standing, Visibility};

/// Shows each name in a directory, in no order; one that is gone again is passed over. The directory's own name must not
/// be a link.
pub fn visit(dir: &Path, each: &mut dyn FnMut(&OsStr, Standing)) -> Result<(), FileError> {
    let folder = entered(dir)?;
    let fault = |errno| FileError::from_errno(dir, "list", errno);
    for entry in rustix::fs::Dir::read_from(&folder.descriptor).map_err(fault)? {
        let entry = entry.map_err(fault)?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name == "." || name == ".." {
            continue;
        }
        if let Some(stat) = folder.look(name)? {
            each(name, Standing::from(&stat));
        }
    }
    Ok(())
}

/// Makes an empty file of mode 0644 under each of these names, and all of them durable at once. One that is there stays.
pub fn create_empty(dir: &Path, names: &[OsString]) -> Result<(), FileError> {
    let folder = entered(dir)?;
    for name in names {
        match folder.create_public(name) {
            Err(error) if error.exists() => {}
            made => made?,
        }
    }
    folder.sync()
}

/// Removes the file under each of these names, and makes that durable at once. One that is gone stays so.
pub fn remove_all(dir: &Path, names: &[OsString]) -> Result<(), FileError> {
    let folder = entered(dir)?;
    for name in names {
        match folder.unlink(name) {
            Err(error) if error.not_found() => {}
            removed => removed?,
        }
    }
    folder.sync()
}

fn entered(dir: &Path) -> Result<Folder, FileError> {
    let (home, name) = Folder::beside(dir)?;
    if home.look(&name)?.is_some_and(|stat| Standing::from(&stat).kind == Kind::Symlink) {
        return Err(FileError::Symlink { path: dir.to_owned() });
    }
    Ok(Folder { path: dir.to_owned(), ..home.enter(&name)? })
}

impl Folder {
    /// A new empty file that everybody may read. The mode is set once more for a umask that takes some of it.
    fn create_public(&self, name: &OsStr) -> Result<(), FileError> {
        let mode = Visibility::Public.file_mode();
        let file = self.create_with(name, mode)?;
        modes::set(&file, None, mode).map_err(|errno| self.fault(name, "set the mode of", errno))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::list;
    use std::os::unix::fs::{symlink, PermissionsExt};

    fn names(of: &[&str]) -> Vec<OsString> {
        of.iter().map(OsString::from).collect()
    }

    #[test]
    fn names_come_and_go_and_what_is_there_stays() {
        let dir = tempfile::tempdir().unwrap();
        create_empty(dir.path(), &names(&["12", "7"])).unwrap();
        super::super::stage(&dir.path().join("9"), b"x", Visibility::Private, super::super::Overwrite::Refuse, None)
            .unwrap()
            .release()
            .unwrap();
        create_empty(dir.path(), &names(&["9", "12", "1"])).unwrap();
        let mut seen = Vec::new();
        visit(dir.path(), &mut |name, standing| seen.push((name.to_owned(), standing.kind, standing.mode))).unwrap();
        seen.sort_by(|one, other| one.0.cmp(&other.0));
        let modes: Vec<u32> = seen.iter().map(|(_, _, mode)| *mode).collect();
        assert_eq!(modes, [0o644, 0o644, 0o644, 0o600], "1, 12, 7 and 9");
        assert!(seen.iter().all(|(_, kind, _)| *kind == Kind::File));
        remove_all(dir.path(), &names(&["12", "none", "7"])).unwrap();
        assert_eq!(list(dir.path()).unwrap(), names(&["1", "9"]));
    }

    #[test]
    fn a_link_is_not_entered_and_not_written_through() {
        let home = tempfile::tempdir().unwrap();
        let [real, link] = ["real", "link"].map(|name| home.path().join(name));
        rustix::fs::mkdir(&real, rustix::fs::Mode::from_raw_mode(0o755)).unwrap();
        symlink(&real, &link).unwrap();
        assert!(matches!(create_empty(&link, &names(&["1"])), Err(FileError::Symlink { .. })));
        assert!(matches!(visit(&link, &mut |_, _| ()), Err(FileError::Symlink { .. })));
        symlink(home.path().join("elsewhere"), real.join("1")).unwrap();
        create_empty(&real, &names(&["1"])).unwrap();
        assert!(list(home.path()).unwrap().iter().all(|name| name != "elsewhere"));
        visit(&real, &mut |_, standing| assert_eq!(standing.kind, Kind::Symlink)).unwrap();
        remove_all(&real, &names(&["1"])).unwrap();
        assert!(list(&real).unwrap().is_empty());
    }

    #[test]
    fn a_directory_that_is_shut_to_writers_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("none");
        assert!(create_empty(&missing, &names(&["1"])).unwrap_err().not_found());
        assert!(remove_all(&missing, &names(&["1"])).unwrap_err().not_found());
        create_empty(dir.path(), &names(&["1"])).unwrap();
        assert_eq!(dir.path().join("1").metadata().unwrap().permissions().mode() & 0o7777, 0o644);
        assert!(visit(&dir.path().join("1"), &mut |_, _| ()).is_err(), "a file is no directory");
    }
}
