//! Runs the program under test, and shows everything it said when it did not do what it should.
//! Knows nothing of peers, and nothing of what the commands mean.

use std::{
    collections::BTreeMap,
    fmt, fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
};

/// A call of `vpnpki` in `dir`; the line is split at spaces. Without a terminal, and without settings from our own environment.
pub fn vpnpki(dir: &Path, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vpnpki"));
    command.args(line.split_whitespace()).current_dir(dir).stdin(Stdio::null());
    // cargo's: the loader would look for the system's libraries in each of its directories
    command.env_remove("LD_LIBRARY_PATH");
    // each of these changes what is coloured
    for variable in ["CI", "NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
        command.env_remove(variable);
    }
    for variable in ["DIR", "PASSPHRASE", "PASSPHRASE_FILE", "IDENTITY"] {
        command.env_remove(format!("VPNPKI_{variable}"));
    }
    command
}

/// What a finished process left: its status and its words.
pub struct Outcome {
    /// What was run.
    pub line: String,
    /// How it ended.
    pub status: ExitStatus,
    /// Its result.
    pub stdout: String,
    /// Its talk.
    pub stderr: String,
}

impl Outcome {
    /// Runs the command to its end.
    #[track_caller]
    pub fn of(command: &mut Command) -> Self {
        let line = format!("{command:?}");
        let output = command.output().unwrap_or_else(|error| panic!("could not start {line}: {error}"));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { line, status: output.status, stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    /// Exit 0, or the test ends here.
    #[track_caller]
    pub fn succeeds(self) -> Self {
        self.exits(0)
    }

    /// This exit code, or the test ends here.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.status.code(), Some(code), "the exit code is not {code}\n{self}");
        self
    }

    /// The text is in the result or in the talk, or the test ends here.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.stdout.contains(text) || self.stderr.contains(text), "nothing said `{text}`\n{self}");
        self
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, status, stdout, stderr } = self;
        write!(f, "{line}\n-- {status}\n-- stdout\n{stdout}\n-- stderr\n{stderr}")
    }
}

/// Every file and directory under a directory, by relative path, with its permission bits; what `SQLite` keeps beside
/// its database while it is open does not count.
pub fn tree(dir: &Path) -> BTreeMap<PathBuf, u32> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![dir.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in fs::read_dir(&next).expect("a directory that can be listed") {
            let path = entry.expect("an entry that can be read").path();
            let metadata = path.symlink_metadata().expect("an entry that is still there");
            if metadata.is_dir() {
                waiting.push(path.clone());
            }
            let relative = path.strip_prefix(dir).expect("a path under its directory").to_owned();
            if !relative.to_string_lossy().contains("pki.db-") {
                found.insert(relative, metadata.mode() & 0o7777);
            }
        }
    }
    found
}
