//! `OpenVPN`'s other form of a revocation list: a directory with an empty file for each serial that is refused, named by the
//! serial in decimal (`crl-verify DIR dir`; `ssl_verify.c`, `verify_check_crl_dir`). Knows nothing of who is refused, nor of
//! when somebody no longer is.
//!
//! The server tries to open the file of each certificate that a client shows, with the user that it has become. When that
//! works the client is refused, whatever is in the file. When it does not, for whichever reason, the client is let in: the
//! directory is gone, or shut, or the file is. So a file that cannot be read counts as missing here. Nothing of this form
//! ends: no date, number or signature is looked at, and the server reads nothing ahead, however many there are.
//!
//! Beside the serials lies the signed list that they were taken from. No server looks at it (its name is no number); it
//! tells the next one which serials are ours to remove, and whether it is the older. While serials are being added, the list
//! they come from lies there, too: a kill leaves it, and with it whose those are that were added.

use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
    io::Read,
    path::{Path, PathBuf},
};

use super::{put, PublishError, Reached};
use crate::{
    files::{self, Kind, Overwrite, Standing, Visibility},
    serial::Serial,
};

/// The list that lies beside the serials.
const LIST: &str = "crl.pem";

/// The list whose serials are being added.
const NEXT: &str = "next.pem";

/// What lies in a directory of serials.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Serials {
    /// Those whose file everybody may read.
    pub refused: BTreeSet<Serial>,
    /// Those whose file a server that is not root cannot open, or which is none: whoever has them may be let in.
    pub shut: BTreeSet<Serial>,
}

impl Serials {
    /// Those of `wanted` that a server may let in.
    pub fn missing(&self, wanted: &BTreeSet<Serial>) -> Vec<Serial> {
        wanted.difference(&self.refused).copied().collect()
    }

    /// Those that are refused here, and `wanted` does not name.
    pub fn others(&self, wanted: &BTreeSet<Serial>) -> Vec<Serial> {
        self.refused.union(&self.shut).filter(|serial| !wanted.contains(serial)).copied().collect()
    }
}

/// Where the list lies beside the serials.
pub fn list_in(dir: &Path) -> PathBuf {
    dir.join(LIST)
}

/// Where the list lies whose serials were being added when a kill came.
pub fn next_in(dir: &Path) -> PathBuf {
    dir.join(NEXT)
}

/// Looks into a directory of serials; none when there is no such directory. Other names than serials are passed over, and
/// a link in place of the directory is refused.
pub fn serials(dir: &Path) -> Result<Option<Serials>, PublishError> {
    let mut found = Serials::default();
    let looked = files::visit(dir, &mut |name: &OsStr, standing: Standing| {
        if let Some(serial) = name.to_str().and_then(Serial::from_decimal) {
            let readable = standing.kind == Kind::File && standing.mode & 0o444 == 0o444;
            if readable { &mut found.refused } else { &mut found.shut }.insert(serial);
        }
    });
    match looked {
        Ok(()) => Ok(Some(found)),
        Err(error) if error.not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What is done to a directory of serials.
pub struct Turn<'a> {
    /// Who is to be refused.
    pub wanted: &'a BTreeSet<Serial>,
    /// Whom the list there named, and who is no longer refused. Nobody else's file is removed.
    pub ended: &'a [Serial],
    /// The same of the list whose serials were being added when a kill came.
    pub unfinished: &'a [Serial],
}

/// Brings a directory of serials up to date, in an order in which a kill leaves nobody let in who is refused, and every
/// serial that was added known as ours: those who are missing are added, then those who are no longer refused removed, each
/// step durable before the next. A directory that is missing is made. `list` is the signed list that says so, PEM. Hold the
/// publish lock.
pub fn bring<R: Read>(dir: &Path, turn: &Turn, list: impl Fn() -> R) -> Result<Reached, PublishError> {
    let there = serials(dir)?.map_or_else(|| made(dir), Ok)?;
    let removed = remove(dir, turn.unfinished, turn)?;
    let added = add(dir, &there, turn, &list)?;
    let removed = remove(dir, turn.ended, turn)? || removed;
    let listed = put(&list_in(dir), &list)?;
    if files::exists(&next_in(dir))? {
        files::remove_all(dir, &[NEXT.into()])?;
    }
    read_back(dir, turn)?;
    Ok(if added || removed || listed == Reached::Written { Reached::Written } else { Reached::Already })
}

/// Empty, and whole from its first moment on: a server that looks into it sees its mode, too.
fn made(dir: &Path) -> Result<Serials, PublishError> {
    let staged = files::stage_directory(dir, &[], Visibility::Public, Overwrite::Refuse, None)?;
    staged.release().map_err(|unreleased| PublishError::Unmade(Box::new(unreleased)))?;
    Ok(Serials::default())
}

fn add<R: Read>(dir: &Path, there: &Serials, turn: &Turn, list: &impl Fn() -> R) -> Result<bool, PublishError> {
    let (shut, new): (Vec<Serial>, Vec<Serial>) =
        there.missing(turn.wanted).into_iter().partition(|serial| there.shut.contains(serial));
    if !new.is_empty() {
        // where there is no room for a list there is for names: that is told once they are in force
        let noted = put(&next_in(dir), list);
        files::create_empty(dir, &names(&new))?;
        noted?;
    }
    for serial in &shut {
        // over the old one in one step: whoever can be refused by it stays so
        files::stage(&dir.join(serial.decimal()), b"", Visibility::Public, Overwrite::Replace, None)?.release()?;
    }
    Ok(!(new.is_empty() && shut.is_empty()))
}

fn remove(dir: &Path, ended: &[Serial], turn: &Turn) -> Result<bool, PublishError> {
    let ended: Vec<Serial> = ended.iter().filter(|serial| !turn.wanted.contains(serial)).copied().collect();
    if !ended.is_empty() {
        files::remove_all(dir, &names(&ended))?;
    }
    Ok(!ended.is_empty())
}

/// Another program may write there.
fn read_back(dir: &Path, turn: &Turn) -> Result<(), PublishError> {
    let there = serials(dir)?.unwrap_or_default();
    match there.missing(turn.wanted).first() {
        None => Ok(()),
        Some(serial) => Err(PublishError::ReadBack { path: dir.join(serial.decimal()) }),
    }
}

fn names(serials: &[Serial]) -> Vec<OsString> {
    serials.iter().map(|serial| serial.decimal().into()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{symlink, MetadataExt};

    fn serial(number: u8) -> Serial {
        Serial::from_octets(&[number]).unwrap()
    }

    fn set(numbers: &[u8]) -> BTreeSet<Serial> {
        numbers.iter().copied().map(serial).collect()
    }

    fn turned(dir: &Path, wanted: &[u8], ended: &[u8], list: &[u8]) -> Result<Reached, PublishError> {
        let ended: Vec<Serial> = ended.iter().copied().map(serial).collect();
        bring(dir, &Turn { wanted: &set(wanted), ended: &ended, unfinished: &[] }, || list)
    }

    fn listed(dir: &Path) -> Vec<String> {
        files::list(dir).unwrap().into_iter().map(|name| name.into_string().unwrap()).collect()
    }

    #[test]
    fn a_missing_directory_is_made_and_filled() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("crl");
        assert_eq!(serials(&dir).unwrap(), None);
        assert_eq!(turned(&dir, &[2, 10], &[], b"one").unwrap(), Reached::Written);
        assert_eq!(listed(&dir), ["10", "2", "crl.pem"]);
        assert_eq!(dir.metadata().unwrap().mode() & 0o7777, 0o755);
        assert_eq!(dir.join("10").metadata().unwrap().mode() & 0o7777, 0o644);
        assert_eq!(dir.join("10").metadata().unwrap().len(), 0);
        assert_eq!(serials(&dir).unwrap().unwrap().refused, set(&[2, 10]));
        assert_eq!(turned(&dir, &[2, 10], &[], b"one").unwrap(), Reached::Already);
    }

    #[test]
    fn only_who_was_named_as_ended_is_removed() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("crl");
        turned(&dir, &[1, 2, 3, 4], &[], b"one").unwrap();
        // 4 is named, but wanted all the same
        assert_eq!(turned(&dir, &[4, 5], &[1, 4, 77], b"two").unwrap(), Reached::Written);
        assert_eq!(listed(&dir), ["2", "3", "4", "5", "crl.pem"]);
        assert_eq!(serials(&dir).unwrap().unwrap().others(&set(&[4, 5])), [serial(2), serial(3)]);
        assert_eq!(files::read(&list_in(&dir), 9).unwrap(), b"two");
    }

    #[test]
    fn what_a_kill_left_half_done_is_ended_and_its_list_goes() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("crl");
        turned(&dir, &[1], &[], b"one").unwrap();
        put(&next_in(&dir), || &b"two"[..]).unwrap();
        files::create_empty(&dir, &["2".into()]).unwrap();
        let turn = Turn { wanted: &set(&[1, 3]), ended: &[], unfinished: &[serial(1), serial(2)] };
        assert_eq!(bring(&dir, &turn, || &b"three"[..]).unwrap(), Reached::Written);
        assert_eq!(listed(&dir), ["1", "3", "crl.pem"]);
    }

    #[test]
    fn a_file_that_a_server_cannot_open_is_missing_and_put_again() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("crl");
        turned(&dir, &[1, 2], &[], b"one").unwrap();
        rustix::fs::chmod(dir.join("1"), rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
        let there = serials(&dir).unwrap().unwrap();
        assert_eq!((there.missing(&set(&[1, 2])), &there.shut), (vec![serial(1)], &set(&[1])));
        assert_eq!(turned(&dir, &[1, 2], &[], b"one").unwrap(), Reached::Written);
        assert_eq!(serials(&dir).unwrap().unwrap().refused, set(&[1, 2]));
    }

    #[test]
    fn links_and_directories_in_the_way_are_told_and_other_names_are_left_alone() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("crl");
        turned(&dir, &[1], &[], b"one").unwrap();
        symlink("nowhere", dir.join("2")).unwrap();
        symlink("nowhere", dir.join("mine")).unwrap();
        files::create_empty(&dir, &["007".into(), "1a".into()]).unwrap();
        let there = serials(&dir).unwrap().unwrap();
        assert_eq!((there.refused, there.shut), (set(&[1]), set(&[2])));
        assert!(turned(&dir, &[1, 2], &[], b"two").unwrap_err().to_string().contains("symbolic link"));
        turned(&dir, &[1], &[], b"two").unwrap();
        assert_eq!(listed(&dir), ["007", "1", "1a", "2", "crl.pem", "mine"]);
        symlink(&dir, home.path().join("link")).unwrap();
        assert!(turned(&home.path().join("link"), &[1], &[], b"one").is_err());
    }
}
