//! What staging promises, seen from outside: modes, refusals, and that nothing else is ever in the directory.
//! Knows nothing of how it is done, except that unnamed files may be missing.

use super::*;
use crate::files::{create_private, list, read, standing};
use rustix::fs::Mode;
use std::os::unix::fs::{symlink, MetadataExt, PermissionsExt};

fn staged(path: &Path, bytes: &[u8], overwrite: Overwrite) -> Result<Staged, FileError> {
    stage(path, bytes, Visibility::Private, overwrite, None)
}

/// As on a file system without unnamed files.
fn held(path: &Path, bytes: &[u8], overwrite: Overwrite) -> Result<Staged, FileError> {
    let (folder, name) = Folder::beside(path)?;
    stage_in(&Arc::new(folder), &name, Bytes::Here(bytes), Shape { unnamed: false, ..Shape::default() }, overwrite)
}

type Way = fn(&Path, &[u8], Overwrite) -> Result<Staged, FileError>;

const BOTH: [Way; 2] = [staged, held];

#[test]
fn nothing_has_a_name_until_released() {
    for ways in BOTH {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.ovpn");
        let ready = ways(&path, b"new", Overwrite::Refuse).unwrap();
        assert!(list(dir.path()).unwrap().is_empty());
        assert_eq!(ready.path(), path);
        ready.release().unwrap();
        assert_eq!(read(&path, 9).unwrap(), b"new");
        assert_eq!(list(dir.path()).unwrap(), ["a.ovpn"]);
        drop(ways(&dir.path().join("b"), b"x", Overwrite::Refuse).unwrap());
        assert_eq!(list(dir.path()).unwrap(), ["a.ovpn"]);
    }
}

#[test]
fn this_file_system_has_unnamed_files_so_the_test_above_saw_both_ways() {
    let dir = tempfile::tempdir().unwrap();
    assert!(Folder::open(dir.path()).unwrap().unnamed().unwrap().is_some());
}

#[test]
fn a_file_in_the_way_is_found_when_staging() {
    for ways in BOTH {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        ways(&path, b"old", Overwrite::Refuse).unwrap().release().unwrap();
        assert!(ways(&path, b"new", Overwrite::Refuse).is_err_and(|error| error.exists()));
        assert_eq!(read(&path, 9).unwrap(), b"old");
        assert_eq!(list(dir.path()).unwrap(), ["a"]);
    }
}

#[test]
fn a_file_that_comes_in_the_way_later_is_not_overwritten() {
    for ways in BOTH {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let ready = ways(&path, b"new", Overwrite::Refuse).unwrap();
        create_private(&path).unwrap();
        assert!(ready.release().unwrap_err().exists());
        assert_eq!(read(&path, 9).unwrap(), b"");
        assert_eq!(list(dir.path()).unwrap(), ["a"]);
    }
}

#[test]
fn links_directories_and_pipes_are_refused_whatever_is_asked() {
    for ways in BOTH {
        let dir = tempfile::tempdir().unwrap();
        let [link, folder, pipe] = ["link", "folder", "pipe"].map(|name| dir.path().join(name));
        symlink(dir.path().join("target"), &link).unwrap();
        rustix::fs::mkdir(&folder, Mode::from_raw_mode(0o755)).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, Mode::from_raw_mode(0o600)).unwrap();
        for overwrite in [Overwrite::Refuse, Overwrite::Replace] {
            assert!(matches!(ways(&link, b"", overwrite), Err(FileError::Symlink { .. })));
            assert!(matches!(ways(&folder, b"", overwrite), Err(FileError::NotAFile { .. })));
            assert!(matches!(ways(&pipe, b"", overwrite), Err(FileError::NotAFile { .. })));
        }
        assert_eq!(list(dir.path()).unwrap(), ["folder", "link", "pipe"]);
    }
}

#[test]
fn a_link_that_comes_in_the_way_is_replaced_itself() {
    let dir = tempfile::tempdir().unwrap();
    let [link, target] = ["link", "target"].map(|name| dir.path().join(name));
    create_private(&target).unwrap();
    let ready = staged(&link, b"new", Overwrite::Replace).unwrap();
    symlink(&target, &link).unwrap();
    ready.release().unwrap();
    assert_eq!(read(&target, 9).unwrap(), b"");
    assert_eq!(standing(&link).unwrap().unwrap().kind, Kind::File);
}

#[test]
fn replacing_moves_the_time_of_change_on() {
    for ways in BOTH {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("crl.pem");
        ways(&path, b"one", Overwrite::Replace).unwrap().release().unwrap();
        for bytes in [b"two", b"thr", b"fou"] {
            let before = path.metadata().unwrap().mtime();
            ways(&path, bytes, Overwrite::Replace).unwrap().release().unwrap();
            assert!(path.metadata().unwrap().mtime() > before);
            assert_eq!(read(&path, 9).unwrap(), bytes);
        }
        assert_eq!(list(dir.path()).unwrap(), ["crl.pem"]);
    }
}

#[test]
fn what_a_kill_left_is_removed_by_the_next_that_replaces() {
    for ways in BOTH {
        let dir = tempfile::tempdir().unwrap();
        create_private(&dir.path().join(".crl.pem.vpnpki-new")).unwrap();
        let path = dir.path().join("crl.pem");
        ways(&path, b"x", Overwrite::Replace).unwrap().release().unwrap();
        assert_eq!(list(dir.path()).unwrap(), ["crl.pem"]);
    }
}

#[test]
fn a_hidden_name_that_is_a_link_is_not_touched() {
    for ways in BOTH {
        let dir = tempfile::tempdir().unwrap();
        symlink("/etc/passwd", dir.path().join(".a.vpnpki-new")).unwrap();
        let error = ways(&dir.path().join("a"), b"x", Overwrite::Replace).unwrap().release().unwrap_err();
        assert!(matches!(error, FileError::Symlink { .. }), "{error}");
        assert_eq!(list(dir.path()).unwrap(), [".a.vpnpki-new"]);
    }
}

#[test]
fn many_that_replace_one_file_at_once_all_succeed() {
    for ways in BOTH {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::thread::scope(|scope| {
            for byte in 0..8_u8 {
                let path = &path;
                scope.spawn(move || {
                    for _ in 0..10 {
                        ways(path, &[byte; 5], Overwrite::Replace).unwrap().release().unwrap();
                    }
                });
            }
        });
        let bytes = read(&path, 9).unwrap();
        assert!(bytes.len() == 5 && bytes.iter().all(|&byte| byte == bytes[0]));
        assert_eq!(list(dir.path()).unwrap(), ["a"]);
    }
}

#[test]
fn one_that_fails_does_not_keep_back_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let paths = ["a", "b", "c"].map(|name| dir.path().join(name));
    let ready = paths.iter().map(|path| staged(path, b"x", Overwrite::Refuse).unwrap()).collect();
    create_private(&paths[1]).unwrap();
    let error = release_all(ready).unwrap_err();
    assert_eq!(error.released, [paths[0].clone(), paths[2].clone()]);
    assert_eq!(error.failed.len(), 1);
    assert_eq!(error.failed[0].0, paths[1]);
    assert!(error.to_string().contains("exists and was not overwritten"), "{error}");
    assert!(release_all(Vec::new()).is_ok());
}

#[test]
fn a_file_as_parent_a_missing_parent_and_no_name() {
    let dir = tempfile::tempdir().unwrap();
    create_private(&dir.path().join("file")).unwrap();
    let refused = |name: &str| staged(&dir.path().join(name), b"", Overwrite::Refuse).err().unwrap();
    assert!(matches!(refused("file/a"), FileError::NotADirectory { .. }));
    assert!(matches!(refused("none/a"), FileError::NotFound { .. }));
    assert!(matches!(refused(".."), FileError::NotAFile { .. }));
    assert_eq!(list(dir.path()).unwrap(), ["file"]);
}

#[test]
#[ignore = "run by the test below, under a umask of its own"]
fn modes_and_names_as_promised() {
    let dir = tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o700)).tempdir().unwrap();
    rustix::fs::chmod(dir.path(), Mode::from_raw_mode(0o700)).unwrap();
    let mode = |name: &str| standing(&dir.path().join(name)).unwrap().unwrap().mode;
    for ways in BOTH {
        for _ in 0..2 {
            ways(&dir.path().join("private"), b"x", Overwrite::Replace).unwrap().release().unwrap();
            assert_eq!(mode("private"), 0o600);
        }
    }
    stage(&dir.path().join("public"), b"x", Visibility::Public, Overwrite::Refuse, None).unwrap().release().unwrap();
    assert_eq!(mode("public"), 0o644);
    create_private(&dir.path().join("pki.db")).unwrap();
    assert_eq!(mode("pki.db"), 0o600);
    let part = crate::files::Part { name: "key", bytes: b"x", visibility: Visibility::Private };
    let folder = dir.path().join("made");
    crate::files::stage_directory(&folder, &[part], Visibility::Public, Overwrite::Refuse, None)
        .unwrap()
        .release()
        .unwrap();
    assert_eq!((mode("made"), mode("made/key")), (0o755, 0o600));
    crate::files::Nursery::create(&dir.path().join("pki")).unwrap().commit().unwrap();
    assert_eq!(mode("pki"), 0o700);
}

#[test]
fn modes_do_not_depend_on_the_umask() {
    let tests = std::env::current_exe().unwrap();
    for mask in ["000", "022", "077", "777"] {
        #[expect(clippy::disallowed_methods, reason = "a shell sets the umask of another process")]
        let run = std::process::Command::new("sh")
            .args([
                "-c",
                "umask \"$1\" && exec \"$0\" --ignored --exact files::stage::tests::modes_and_names_as_promised",
            ])
            .arg(&tests)
            .arg(mask)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stdout);
        assert!(run.status.success() && said.contains("1 passed"), "umask {mask}: {said}");
    }
}
