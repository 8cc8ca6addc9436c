//! A directory of its own for each test, with or without an authority in it, and how commands are run there.
//! Knows nothing of what they should say.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::common::{tree, vpnpki, Outcome};

/// A home directory that goes with the test.
pub struct Site {
    home: tempfile::TempDir,
}

/// Every path under a site with its mode and, for files, its bytes; where a link leads.
pub type State = BTreeMap<PathBuf, (u32, Vec<u8>)>;

impl Site {
    /// Nothing in it.
    pub fn empty() -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).expect("a directory of ours");
        Self { home }
    }

    /// An authority without a passphrase, its exported server and the bundle of `client1`.
    pub fn new() -> Self {
        Self::made("--issue client1")
    }

    /// An authority without a passphrase, made with these options.
    #[track_caller]
    pub fn made(options: &str) -> Self {
        let site = Self::empty();
        site.run(&format!("init --remote vpn.example.com --no-passphrase {options}")).succeeds();
        site
    }

    /// An authority whose CRLs go to `server`.
    #[track_caller]
    pub fn published(options: &str) -> Self {
        Self::made(&format!("--publish server {options}"))
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        self.home.path()
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    /// `vpnpki` here, the line split at spaces.
    pub fn vpnpki(&self, line: &str) -> Command {
        let mut command = vpnpki(self.dir(), line);
        command.env("USER", "tester").env_remove("SUDO_USER");
        command
    }

    /// Runs it to its end.
    #[track_caller]
    pub fn run(&self, line: &str) -> Outcome {
        Outcome::of(&mut self.vpnpki(line))
    }

    /// `bash -c` here with `vpnpki` on its path, nobody at a terminal, and a usual umask.
    pub fn shell(&self, script: &str) -> Command {
        let program = Path::new(env!("CARGO_BIN_EXE_vpnpki"));
        let folder = program.parent().expect("a program in a directory").display().to_string();
        let mut command = Command::new("setsid");
        command.args(["--wait", "bash", "-c", &format!("umask 022; {script}")]);
        command.current_dir(self.dir()).stdin(Stdio::null());
        command.env("PATH", format!("{folder}:{}", std::env::var("PATH").unwrap_or_default()));
        command.env("USER", "tester").env("HOME", self.dir()).env("LC_ALL", "C").env("TZ", "UTC");
        for variable in
            ["SUDO_USER", "COLUMNS", "VPNPKI_DIR", "VPNPKI_PASSPHRASE", "VPNPKI_PASSPHRASE_FILE", "VPNPKI_IDENTITY"]
        {
            command.env_remove(variable);
        }
        command
    }

    /// Runs a script to its end.
    #[track_caller]
    pub fn sh(&self, script: &str) -> Outcome {
        Outcome::of(&mut self.shell(script))
    }

    /// The one object that a command prints with `--json`, whatever its exit code.
    #[track_caller]
    pub fn json(&self, line: &str) -> Value {
        let outcome = self.run(&format!("{line} --json"));
        serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("no JSON object: {error}\n{outcome}"))
    }

    /// Status of a name's current certificate.
    #[track_caller]
    pub fn status(&self, name: &str) -> String {
        self.json(&format!("show {name}"))["certificates"][0]["status"].as_str().expect("a status").to_owned()
    }

    /// Serial of a name's current certificate.
    #[track_caller]
    pub fn serial(&self, name: &str) -> String {
        self.json(&format!("show {name}"))["peer"]["current"].as_str().expect("a serial").to_owned()
    }

    /// The bytes of a file.
    #[track_caller]
    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The text of a file.
    #[track_caller]
    pub fn text(&self, name: &str) -> String {
        String::from_utf8(self.read(name)).expect("text")
    }

    /// What is text in a file that is not all text.
    #[track_caller]
    pub fn text_lossy(&self, name: &str) -> String {
        String::from_utf8_lossy(&self.read(name)).into_owned()
    }

    /// Writes a file.
    #[track_caller]
    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap_or_else(|error| panic!("{name}: {error}"));
    }

    /// Replaces a line of `vpnpki.toml` that begins so.
    #[track_caller]
    pub fn set(&self, begin: &str, line: &str) {
        let text = self.text("pki/vpnpki.toml");
        let found = text.lines().find(|found| found.starts_with(begin));
        let found = found.unwrap_or_else(|| panic!("no line of the settings begins with `{begin}`"));
        self.write("pki/vpnpki.toml", &text.replacen(found, line, 1));
    }

    /// Everything that is there.
    pub fn state(&self) -> State {
        let content = |path: &Path| {
            if path.is_symlink() {
                fs::read_link(path).expect("a link").into_os_string().into_encoded_bytes()
            } else if path.is_file() {
                fs::read(path).expect("a file that can be read")
            } else {
                Vec::new()
            }
        };
        let entry = |(name, mode): (PathBuf, u32)| {
            let bytes = content(&self.path(name.to_str().expect("a plain name")));
            (name, (mode, bytes))
        };
        tree(self.dir()).into_iter().map(entry).collect()
    }

    /// Runs a line that must exit with `code`, say `text`, and leave every file and directory as it was.
    #[track_caller]
    pub fn refuses(&self, line: &str, code: i32, text: &str) -> Outcome {
        self.leaves(&mut self.vpnpki(line), code, text)
    }

    /// The same for a command that is made already.
    #[track_caller]
    pub fn leaves(&self, command: &mut Command, code: i32, text: &str) -> Outcome {
        let before = self.state();
        let outcome = Outcome::of(command).exits(code).says(text);
        self.expect_state(&before, &outcome);
        outcome
    }

    /// Nothing is new, gone or different.
    #[track_caller]
    pub fn expect_state(&self, before: &State, outcome: &Outcome) {
        let after = self.state();
        let differs = |name: &&PathBuf| before.get(*name) != after.get(*name);
        let changed: Vec<_> = before.keys().chain(after.keys()).filter(differs).collect();
        assert!(changed.is_empty(), "changed: {changed:?}\n{outcome}");
    }
}
