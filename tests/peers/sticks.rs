//! Bundles on file systems without modes or links: a FAT image and an exFAT image, as on a stick.
//! Knows what such a file system refuses, and that a bundle gets there all the same.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    common::{tree, vpnpki, Outcome},
    site::{under, Site},
    strace::{inject, trace, Fault},
};

/// An image with a file system, mounted; gone when dropped.
struct Stick {
    at: PathBuf,
    /// The block device, where one is needed.
    device: Option<String>,
}

impl Stick {
    /// exFAT: no modes, no links, no unnamed files, and no rename that does not replace. `chmod` does nothing.
    #[track_caller]
    fn exfat(site: &Site, name: &str) -> Self {
        let (image, at) = Self::image(site, name, "mkfs.exfat");
        let device = Outcome::of(Command::new("losetup").args(["--find", "--show"]).arg(image)).succeeds().stdout;
        let device = device.trim().to_owned();
        let stick = Self { at, device: Some(device) };
        let device = stick.device.as_deref().expect("a device");
        Outcome::of(Command::new("mount.exfat-fuse").arg(device).arg(&stick.at)).succeeds();
        stick
    }

    /// FAT: the same, and `chmod` and `chown` are errors.
    #[track_caller]
    fn fat(site: &Site, name: &str) -> Self {
        let (image, at) = Self::image(site, name, "mkfs.vfat");
        Outcome::of(Command::new("fusefat").args(["-o", "rw+"]).arg(image).arg(&at)).succeeds();
        Self { at, device: None }
    }

    #[track_caller]
    fn image(site: &Site, name: &str, program: &str) -> (PathBuf, PathBuf) {
        let (image, at) = (site.path(&format!("{name}.img")), site.path(name));
        fs::File::create(&image).and_then(|file| file.set_len(16 << 20)).expect("an image");
        fs::create_dir(&at).expect("a directory");
        site.tool(&format!("{program} {}", image.display())).succeeds();
        (image, at)
    }

    /// That it is what the test is about.
    #[track_caller]
    fn lacks_modes_and_links(&self) {
        let (one, other) = (self.at.join("probe"), self.at.join("second"));
        fs::write(&one, "").expect("a file");
        let _ = fs::set_permissions(&one, fs::Permissions::from_mode(0o600));
        assert_ne!(fs::metadata(&one).expect("a file").permissions().mode() & 0o777, 0o600, "it keeps modes");
        fs::hard_link(&one, &other).expect_err("it knows links");
        fs::remove_file(&one).expect("a file");
    }

    fn names(&self) -> Vec<String> {
        tree(&self.at).into_keys().map(|path| path.display().to_string()).collect()
    }
}

impl Drop for Stick {
    fn drop(&mut self) {
        // lazily, since a failed test may still hold a file open
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
        if let Some(device) = &self.device {
            let _ = Command::new("losetup").args(["--detach", device]).status();
        }
    }
}

const WARNING: &str = "the file system of `stick` keeps no file modes: everybody with access to it can read";

/// Profiles and archives, a file in the way, and replacing it.
#[track_caller]
fn takes_files(site: &Site, stick: &Stick) {
    stick.lacks_modes_and_links();
    site.run("issue client2").succeeds();
    for (line, made) in [
        ("export client1 -o stick", "client1.ovpn"),
        ("export client1 --format zip -o stick", "client1.zip"),
        ("issue client3 -o stick", "client3.ovpn"),
    ] {
        site.run(line).succeeds().says(WARNING);
        assert!(stick.names().contains(&made.to_owned()), "{line}: {:?}", stick.names());
    }
    let original = fs::read(site.path("client1.ovpn")).expect("a profile");
    assert_eq!(fs::read(stick.at.join("client1.ovpn")).expect("a profile"), original);
    refused(site, stick, "export client2 client1 -o stick", "exists and was not overwritten");
    fs::write(stick.at.join("client1.ovpn"), "mine").expect("a file");
    refused(site, stick, "export client1 -o stick", "exists and was not overwritten");
    site.run("export client1 --force -o stick").succeeds().says(WARNING);
    assert_eq!(fs::read(stick.at.join("client1.ovpn")).expect("a profile"), original);
    whole(stick);
}

/// Directories, and everybody's bundles at once.
#[track_caller]
fn takes_directories(site: &Site, stick: &Stick) {
    site.run("export client1 --format dir -o stick/files").succeeds().says("the file system of `stick/files` keeps no");
    let five = ["ca.crt", "client1.crt", "client1.key", "config.ovpn", "ta.key"].map(PathBuf::from);
    assert_eq!(tree(&stick.at.join("files")).into_keys().collect::<Vec<_>>(), five);
    refused(site, stick, "export client1 --format dir -o stick/files", "exists and was not overwritten");
    site.run("export client1 --force --format dir -o stick/files").succeeds();
    site.run("export --all --force -o stick").succeeds().says(WARNING);
    let names = stick.names();
    for made in ["client1.ovpn", "client2.ovpn", "client3.ovpn", "server/server.conf", "server/server.key"] {
        assert!(names.contains(&made.to_owned()), "{made} is not in {names:?}");
    }
    whole(stick);
}

#[track_caller]
fn whole(stick: &Stick) {
    let names = stick.names();
    assert!(!names.iter().any(|name| name.contains("vpnpki-new")), "something half made: {names:?}");
}

#[track_caller]
fn refused(site: &Site, stick: &Stick, line: &str, why: &str) {
    let before = contents(&stick.at);
    site.run(line).exits(1).says(why);
    assert_eq!(contents(&stick.at), before, "{line} changed something");
}

fn contents(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let names = tree(dir).into_keys();
    names.map(|name| (name.clone(), fs::read(dir.join(name)).unwrap_or_default())).collect()
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn a_stick_with_exfat_takes_bundles() {
    let site = Site::with_authority("--issue client1");
    let stick = Stick::exfat(&site, "stick");
    takes_files(&site, &stick);
    takes_directories(&site, &stick);
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn a_file_system_that_refuses_modes_takes_bundles() {
    let site = Site::with_authority("--issue client1 --issue client2");
    let stick = Stick::exfat(&site, "stick");
    stick.lacks_modes_and_links();
    // as the kernel's FAT does it
    let refusing = "inject=chmod,fchmod,fchmodat,chown,fchown,fchownat:error=EPERM";
    for (line, made) in [
        ("export client1 -o stick", "client1.ovpn"),
        ("export client1 --force -o stick", "client1.ovpn"),
        ("export client1 --format dir -o stick/files", "files/client1.key"),
        ("export --all -o stick/all --format zip", "all/client2.zip"),
    ] {
        fs::create_dir_all(stick.at.join("all")).expect("a directory");
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-o", "/dev/null", "-e", refusing]);
        let outcome = Outcome::of(&mut under(strace, &vpnpki(site.dir(), line))).succeeds();
        assert!(outcome.stderr.contains("keeps no file modes"), "{outcome}");
        assert!(stick.names().contains(&made.to_owned()), "{made} is not in {:?}", stick.names());
    }
    whole(&stick);
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn a_stick_with_fat_takes_profiles_and_archives() {
    let site = Site::with_authority("--issue client1");
    let stick = Stick::fat(&site, "stick");
    // no directories: fusefat loses what is in one that is renamed, also by `mv`
    takes_files(&site, &stick);
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn a_full_stick_is_an_error_that_leaves_nothing_on_it() {
    let site = Site::with_authority("--issue client1");
    let stick = Stick::exfat(&site, "stick");
    let mut ballast = fs::File::create(stick.at.join("ballast")).expect("a file");
    while std::io::Write::write_all(&mut ballast, &[0; 4096]).is_ok() {}
    drop(ballast);
    for line in ["export client1 -o stick", "export client1 --format dir -o stick/files"] {
        let outcome = site.run(line).exits(1);
        assert!(outcome.stderr.contains("could not be put in place"), "{outcome}");
        assert_eq!(stick.names(), ["ballast"], "{line}");
    }
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn what_a_kill_leaves_on_a_stick_goes_with_the_next_export() {
    let site = Site::with_authority("--issue client1");
    let stick = Stick::exfat(&site, "stick");
    let line = "export client1 -o stick/client1.ovpn";
    let (outcome, calls) = trace(site.dir(), line);
    outcome.succeeds();
    let original = fs::read(stick.at.join("client1.ovpn")).expect("a profile");
    fs::remove_file(stick.at.join("client1.ovpn")).expect("a profile");
    // the rename that does not replace is refused there, so the last one is plain
    let naming = calls.iter().rfind(|call| call.name.starts_with("rename") && call.text.contains("client1.ovpn"));
    inject(site.dir(), line, naming.expect("a profile gets its name by a rename"), Fault::Kill);
    // the name was taken, so that nobody else's file could be replaced; nothing is half written
    assert_eq!(stick.names(), [".client1.ovpn.vpnpki-new", "client1.ovpn"]);
    assert_eq!(fs::read(stick.at.join("client1.ovpn")).expect("a file"), b"");
    site.run(&format!("{line} --force")).succeeds();
    assert_eq!(stick.names(), ["client1.ovpn"]);
    assert_eq!(fs::read(stick.at.join("client1.ovpn")).expect("a profile"), original);
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn an_authority_can_be_made_with_its_bundles_and_its_recovery_file_on_a_stick() {
    let site = Site::new();
    let stick = Stick::exfat(&site, "stick");
    fs::write(site.path("words"), "correct horse").expect("a passphrase");
    site.run("init --remote 10.99.0.1 --passphrase-file words --recovery stick/vpn.key --issue client1 --out stick")
        .succeeds()
        .says(WARNING);
    let names = stick.names();
    for made in ["client1.ovpn", "server/server.conf", "vpn.key"] {
        assert!(names.contains(&made.to_owned()), "{made} is not in {names:?}");
    }
}
