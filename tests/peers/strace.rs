//! Watches the calls by which a command changes the disk, and makes one of them fail or be the last.
//! Knows nothing of what the command does.

use std::{collections::HashMap, fmt, fs, path::Path, process::Command};

use crate::{
    common::{vpnpki, Outcome},
    site::under,
};

/// One call that a command made.
#[derive(Clone)]
pub struct Call {
    /// The system call.
    pub name: String,
    /// Which call of this name it was in its thread, from 1: strace counts so.
    pub nth: usize,
    /// The call as strace shows it, with the paths of descriptors.
    pub text: String,
}

/// What befalls a call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The process is killed before the call does anything.
    Kill,
    /// The call fails: no space left on device.
    NoSpace,
    /// The call fails: input/output error.
    InputOutput,
    /// The call waits before it does anything, long enough for another command to run from beginning to end.
    Delay,
}

impl Fault {
    /// Every fault that stops the act.
    pub const ALL: [Self; 3] = [Self::Kill, Self::NoSpace, Self::InputOutput];
}

impl fmt::Display for Fault {
    /// As strace's injection has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kill => "signal=KILL",
            Self::NoSpace => "error=ENOSPC",
            Self::InputOutput => "error=EIO",
            Self::Delay => "delay_enter=400000",
        })
    }
}

impl Call {
    /// Whether it opens a file of the system, before or beside our own work.
    fn is_of_the_system(&self) -> bool {
        self.name.starts_with("open")
            && ["/etc/", "/lib", "/usr/", "/proc/", "/sys/", "/dev/"]
                .iter()
                .any(|place| self.text.contains(&format!("\"{place}")))
    }
}

/// Runs `vpnpki` in `dir` and returns the calls that could change the disk, in their order.
pub fn trace(dir: &Path, line: &str) -> (Outcome, Vec<Call>) {
    let log = tempfile::NamedTempFile::new().expect("a file for the trace");
    let watched = format!("trace={}", WATCHED.map(|call| format!("?{call}")).join(","));
    let path = log.path().to_string_lossy();
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-y", "--seccomp-bpf", "-o", &path, "-e", &watched]);
    let outcome = Outcome::of(&mut under(strace, &vpnpki(dir, line)));
    (outcome, calls(&fs::read_to_string(log.path()).expect("the trace")))
}

/// Runs `vpnpki` in `dir` with a fault at one call.
pub fn inject(dir: &Path, line: &str, at: &Call, fault: Fault) -> Outcome {
    let watched = format!("trace={}", at.name);
    let injection = format!("inject={}:{fault}:when={}", at.name, at.nth);
    let mut strace = Command::new("strace");
    // not with --seccomp-bpf: strace 6.1 then injects errors and delays, but no signals
    strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &watched, "-e", &injection]);
    Outcome::of(&mut under(strace, &vpnpki(dir, line)))
}

/// Lines such as `4711 fsync(5</tmp/pki/pki.db-wal>) = 0`; the second half of an interrupted call begins with `<`.
fn calls(trace: &str) -> Vec<Call> {
    let mut counts = HashMap::new();
    let numbered = trace.lines().filter_map(|line| {
        let (thread, text) = line.split_once(' ')?;
        let (name, _) = text.trim_start().split_once('(')?;
        name.chars().all(|character| character.is_ascii_alphanumeric()).then_some(())?;
        let nth = counts.entry((thread.to_owned(), name.to_owned())).and_modify(|nth| *nth += 1).or_insert(1);
        Some(Call { name: name.to_owned(), nth: *nth, text: text.to_owned() })
    });
    numbered.filter(|call| !call.is_of_the_system()).collect()
}

/// Names that a kernel does not have are left out by strace.
const WATCHED: [&str; 29] = [
    "open",
    "openat",
    "openat2",
    "write",
    "writev",
    "pwrite64",
    "pwritev",
    "copy_file_range",
    "sendfile",
    "ftruncate",
    "fallocate",
    "fsync",
    "fdatasync",
    "syncfs",
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "symlinkat",
    "unlink",
    "unlinkat",
    "rmdir",
    "mkdir",
    "mkdirat",
    "fchmod",
    "fchmodat",
    "fchown",
    "utimensat",
];
