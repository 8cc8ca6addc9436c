//! Whether a server that has given up its privileges can still reach and read its CRL, and how to mend it.
//! Knows modes and owners; access lists (ACLs) and mandatory access control are not seen.

use std::path::{Path, PathBuf};

use super::accounts;
use crate::files::{self, shown, FileError, Standing};

/// Why the server could not read it.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// A mode keeps the server's user out.
    #[error("`{user}` cannot {need} `{}`, so the server would not see this CRL; `{mend}`", shown(.path))]
    Shut {
        /// The user that the server becomes.
        user: String,
        /// `enter` or `read`.
        need: &'static str,
        /// The directory or file that is shut.
        path: PathBuf,
        /// The command that opens it.
        mend: String,
    },
    /// It could not be looked at.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Whether a server that starts as root and then becomes `user` and `group`, as its configuration says, can enter each
/// directory on the path and read the file. Without `group` it keeps root's; other groups of the user do not count, as
/// the server gives them up (`platform.c`, `platform_group_set`). A user that is not in `/etc/passwd` is a stranger.
pub fn readable_by(path: &Path, user: Option<&str>, group: Option<&str>) -> Result<(), Unreadable> {
    let Some(name) = user else { return Ok(()) };
    let reader = Identity {
        uid: accounts::user(name)?,
        gid: group.map_or(Ok(Some(0)), accounts::group)?,
        group: group.map(str::to_owned),
    };
    let real = files::real_path(path)?;
    let mut steps = Vec::new();
    for step in real.ancestors() {
        let standing = files::standing(step)?.ok_or_else(|| FileError::NotFound { path: step.to_owned() })?;
        steps.push(Step { path: step.to_owned(), standing });
    }
    steps.reverse();
    match first_shut(&steps, &reader) {
        None => Ok(()),
        Some(Shut { step, need, mend }) => {
            Err(Unreadable::Shut { user: name.to_owned(), need: need.word(), path: step.path.clone(), mend })
        }
    }
}

/// Who reads; a number is missing where the host has no such user or group.
struct Identity {
    uid: Option<u32>,
    gid: Option<u32>,
    group: Option<String>,
}

/// A directory on the way, or the file at its end.
struct Step {
    path: PathBuf,
    standing: Standing,
}

struct Shut<'a> {
    step: &'a Step,
    need: Need,
    mend: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    Enter,
    Read,
}

impl Need {
    fn bit(self) -> u32 {
        match self {
            Self::Enter => 0o1,
            Self::Read => 0o4,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Enter => "enter",
            Self::Read => "read",
        }
    }
}

/// The first step that keeps the reader out, from the root to the file, which is last.
fn first_shut<'a>(steps: &'a [Step], reader: &Identity) -> Option<Shut<'a>> {
    let (file, directories) = steps.split_last()?;
    let home = directories.len().saturating_sub(1);
    let entered = directories.iter().enumerate().map(|(index, step)| (step, Need::Enter, index == home));
    entered.chain([(file, Need::Read, false)]).find_map(|(step, need, home)| {
        let open = permits(&step.standing, reader, need);
        (!open).then(|| Shut { step, need, mend: mend(step, need, reader, home) })
    })
}

/// As the kernel decides: the first class that fits counts, also when a later one would give more (`path_resolution`(7)).
fn permits(standing: &Standing, reader: &Identity, need: Need) -> bool {
    let shift = match (reader.uid, reader.gid) {
        (Some(0), _) => return true,
        (Some(uid), _) if uid == standing.uid => 6,
        (_, Some(gid)) if gid == standing.gid => 3,
        _ => 0,
    };
    standing.mode >> shift & need.bit() != 0
}

/// The least that opens the step. Only the directory of the CRL is given to the group; those above it serve others too.
fn mend(step: &Step, need: Need, reader: &Identity, home: bool) -> String {
    let path = files::quoted(&step.path);
    if need == Need::Read {
        return format!("chmod 0644 {path}");
    }
    if reader.uid == Some(step.standing.uid) {
        return format!("chmod u+x {path}");
    }
    match (&reader.group, reader.gid) {
        // without a group of its own the server has root's, or whichever it was started with
        (None, _) => format!("chmod go+x {path}"),
        (_, Some(gid)) if gid == step.standing.gid => format!("chmod g+x {path}"),
        (Some(group), Some(_)) if home => format!("chgrp {group} {path} && chmod g+x {path}"),
        _ => format!("chmod o+x {path}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Kind;

    const NOBODY: u32 = 65534;

    fn reader(gid: Option<u32>, group: Option<&str>) -> Identity {
        Identity { uid: Some(NOBODY), gid, group: group.map(str::to_owned) }
    }

    /// `/etc/openvpn/server/crl.pem` of root, with these modes for the two directories and the file.
    fn steps(parent: u32, home: u32, home_group: u32, file: u32) -> Vec<Step> {
        [
            ("/", 0o755, 0, Kind::Directory),
            ("/etc/openvpn", parent, 0, Kind::Directory),
            ("/etc/openvpn/server", home, home_group, Kind::Directory),
            ("/etc/openvpn/server/crl.pem", file, 0, Kind::File),
        ]
        .map(|(path, mode, gid, kind)| Step { path: path.into(), standing: Standing { uid: 0, gid, mode, kind } })
        .into()
    }

    fn verdict(steps: &[Step], reader: &Identity) -> Option<(String, String)> {
        first_shut(steps, reader).map(|shut| (shut.step.path.display().to_string(), shut.mend))
    }

    #[test]
    fn open_directories_are_open() {
        assert_eq!(verdict(&steps(0o755, 0o755, 0, 0o644), &reader(Some(0), None)), None);
        assert_eq!(verdict(&steps(0o711, 0o711, 0, 0o644), &reader(Some(7), Some("vpn"))), None);
    }

    #[test]
    fn the_right_group_gets_in_and_another_does_not() {
        let steps = steps(0o755, 0o750, 7, 0o644);
        assert_eq!(verdict(&steps, &reader(Some(7), Some("vpn"))), None);
        let (path, mend) = verdict(&steps, &reader(Some(8), Some("other"))).unwrap();
        assert_eq!(path, "/etc/openvpn/server");
        assert_eq!(mend, "chgrp other /etc/openvpn/server && chmod g+x /etc/openvpn/server");
        // with `user` alone the server keeps root's group, which is not this one
        assert_eq!(verdict(&steps, &reader(Some(0), None)).unwrap().1, "chmod go+x /etc/openvpn/server");
    }

    #[test]
    fn a_shut_directory_names_the_mend() {
        let shut = steps(0o755, 0o700, 7, 0o644);
        assert_eq!(verdict(&shut, &reader(Some(7), Some("vpn"))).unwrap().1, "chmod g+x /etc/openvpn/server");
        assert_eq!(verdict(&shut, &reader(Some(9), None)).unwrap().1, "chmod go+x /etc/openvpn/server");
    }

    #[test]
    fn directories_above_count_and_are_not_given_away() {
        let shut = steps(0o700, 0o755, 0, 0o644);
        let (path, mend) = verdict(&shut, &reader(Some(7), Some("vpn"))).unwrap();
        assert_eq!((path.as_str(), mend.as_str()), ("/etc/openvpn", "chmod o+x /etc/openvpn"));
    }

    #[test]
    fn the_file_counts_and_the_first_class_that_fits_decides() {
        let shut = steps(0o755, 0o755, 0, 0o600);
        assert_eq!(verdict(&shut, &reader(Some(7), None)).unwrap().1, "chmod 0644 /etc/openvpn/server/crl.pem");
        let mut own = steps(0o755, 0o055, 0, 0o644);
        own[2].standing.uid = NOBODY;
        assert_eq!(verdict(&own, &reader(Some(7), None)).unwrap().1, "chmod u+x /etc/openvpn/server");
        let root = Identity { uid: Some(0), gid: Some(0), group: None };
        assert!(verdict(&steps(0, 0, 0, 0), &root).is_none());
        let stranger = Identity { uid: None, gid: None, group: Some("ldap".into()) };
        assert!(verdict(&steps(0o755, 0o755, 0, 0o644), &stranger).is_none());
        assert!(verdict(&steps(0o755, 0o750, 0, 0o644), &stranger).is_some());
    }

    #[test]
    fn on_the_disk_a_shut_directory_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("crl.pem");
        super::super::put(&path, || &b"x"[..]).unwrap();
        rustix::fs::chmod(dir.path(), rustix::fs::Mode::from_raw_mode(0o700)).unwrap();
        assert!(readable_by(&path, None, Some("nogroup")).is_ok());
        assert!(readable_by(&path, Some("root"), None).is_ok());
        let error = readable_by(&path, Some("no-such-user"), None).unwrap_err().to_string();
        let shut = files::real_path(dir.path()).unwrap();
        assert!(error.contains("`no-such-user` cannot enter") && error.contains("chmod"), "{error}");
        assert!(error.contains(&*shut.to_string_lossy()), "{error}");
        rustix::fs::chmod(dir.path(), rustix::fs::Mode::from_raw_mode(0o755)).unwrap();
        readable_by(&path, Some("nobody"), None).unwrap();
        readable_by(&path, Some("no-such-user"), Some("no-such-group")).unwrap();
        assert!(matches!(readable_by(&dir.path().join("none"), Some("nobody"), None), Err(Unreadable::File(_))));
    }
}
