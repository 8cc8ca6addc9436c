//! The program that the settings name to be run after publishing: without a shell, in a clean environment, for a limited
//! time. Knows nothing of what it is for; this is the only place from which another program is started.

use std::{
    io::{PipeReader, Read},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use rustix::process::{kill_process_group, Pid, Signal};

use super::accounts;
use crate::{files::shown, name::escape_whole};

/// What is run, and as whom.
pub struct After<'a> {
    /// The program by its absolute path, then its arguments. Not empty.
    pub words: &'a [String],
    /// Where it runs.
    pub dir: &'a Path,
    /// The CRL's number, for `VPNPKI_CRL_NUMBER`.
    pub number: u64,
    /// The file of the first target, for `VPNPKI_CRL_FILE`.
    pub file: Option<&'a Path>,
    /// Numeric user whose home it gets.
    pub uid: u32,
    /// Whom it becomes first: user and group of the directory, where root acts for another, since the settings that
    /// name the program are that one's.
    pub becomes: Option<(u32, u32)>,
    /// How long it may take.
    pub limit: Duration,
}

/// Why publishing was not finished.
#[derive(Debug, thiserror::Error)]
pub enum AfterError {
    /// No such program, or not one that may be run.
    #[error("`{}` could not be started: {source}", shown(.program))]
    NotStarted {
        /// The program.
        program: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// It ended with a code or signal that is not success.
    #[error("`{}` failed ({status}){}", shown(.program), said(.last))]
    Failed {
        /// The program.
        program: PathBuf,
        /// How it ended.
        status: ExitStatus,
        /// The last lines that it wrote.
        last: Vec<String>,
    },
    /// It did not end.
    #[error("`{}` was ended, since it took longer than {seconds} s{}", shown(.program), said(.last))]
    TooLong {
        /// The program.
        program: PathBuf,
        /// What it had.
        seconds: u64,
        /// The last lines that it wrote.
        last: Vec<String>,
    },
}

impl After<'_> {
    /// Runs it to its end; what it writes is kept for the error.
    pub fn run(&self) -> Result<(), AfterError> {
        let program = PathBuf::from(self.words.first().map_or("", String::as_str));
        let (mut child, output) = match self.start(&program) {
            Ok(started) => started,
            Err(source) => return Err(AfterError::NotStarted { program, source }),
        };
        let tail = Tail::of(output);
        match self.wait(&mut child) {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(AfterError::Failed { program, status, last: tail.last() }),
            None => Err(AfterError::TooLong { program, seconds: self.limit.as_secs(), last: tail.last() }),
        }
    }

    /// In a process group of its own, so that its children end with it.
    fn start(&self, program: &Path) -> std::io::Result<(Child, PipeReader)> {
        let (reader, writer) = std::io::pipe()?;
        let user = self.becomes.map_or(self.uid, |(uid, _)| uid);
        let home = accounts::home(user).ok().flatten().unwrap_or_else(|| "/".to_owned());
        #[expect(clippy::disallowed_methods, reason = "the settings name this program, and no shell comes between")]
        let mut command = std::process::Command::new(program);
        command.args(&self.words[1..]).current_dir(self.dir).process_group(0);
        command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
        command.env_clear().envs([("PATH", PATH), ("LANG", "C.UTF-8"), ("HOME", &home)]);
        command.env("VPNPKI_CRL_NUMBER", self.number.to_string());
        if let Some(file) = self.file {
            command.env("VPNPKI_CRL_FILE", file);
        }
        if let Some((uid, gid)) = self.becomes {
            command.uid(uid).gid(gid);
        }
        Ok((command.spawn()?, reader))
    }

    /// Counts its naps, so that no clock is read. None when the time is over and the program with it.
    fn wait(&self, child: &mut Child) -> Option<ExitStatus> {
        let mut left = self.limit;
        loop {
            match child.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if !left.is_zero() => {
                    let nap = left.min(NAP);
                    thread::sleep(nap);
                    left -= nap;
                }
                // a child that cannot be asked for is treated as one that does not end
                Ok(None) | Err(_) => break,
            }
        }
        // it may have ended by itself between looking and killing, which is as well
        let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
        let _ = child.wait();
        None
    }
}

/// The end of what a program writes, read while it runs, so that it never waits for us.
struct Tail {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: thread::JoinHandle<()>,
}

impl Tail {
    fn of(mut output: PipeReader) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&bytes);
        let reader = thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut buffer) {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.extend_from_slice(&buffer[..length]);
                let surplus = kept.len().saturating_sub(TAIL);
                kept.drain(..surplus);
            }
        });
        Self { bytes, reader }
    }

    /// The last lines, safe for a terminal. What the program left running may hold the pipe open, so the end is not
    /// waited for long.
    fn last(self) -> Vec<String> {
        for _ in 0..20 {
            if self.reader.is_finished() {
                break;
            }
            thread::sleep(NAP);
        }
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        lines[lines.len().saturating_sub(LINES)..].iter().map(|line| escape_whole(line)).collect()
    }
}

fn said(last: &[String]) -> String {
    if last.is_empty() {
        String::new()
    } else {
        format!(": {}", last.join(" / "))
    }
}

/// Where a program that is called by its name alone is looked for.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

const NAP: Duration = Duration::from_millis(10);

/// Bytes of output that are kept.
const TAIL: usize = 4096;

/// Lines of output that are shown.
const LINES: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    fn run(script: &str, limit: Duration) -> Result<(), AfterError> {
        let dir = tempfile::tempdir().unwrap();
        let words = ["/bin/sh", "-c", script, "sh", "a b", "$HOME"].map(str::to_owned);
        let file = Some(Path::new("/srv/crl.pem"));
        After { words: &words, dir: dir.path(), number: 7, file, uid: 0, becomes: None, limit }.run()
    }

    fn within_a_minute(script: &str) -> Result<(), AfterError> {
        run(script, Duration::from_secs(60))
    }

    #[test]
    fn words_are_passed_as_they_are_and_the_environment_is_clean() {
        within_a_minute("test \"$1\" = 'a b' && test \"$2\" = '$HOME' && test $# = 2").unwrap();
        within_a_minute("test $VPNPKI_CRL_NUMBER = 7 && test $VPNPKI_CRL_FILE = /srv/crl.pem").unwrap();
        within_a_minute("test $HOME = /root && test $LANG = C.UTF-8 && ! read line").unwrap();
        // PWD, _, SHLVL and OLDPWD are the shell's own
        let error =
            within_a_minute("env | cut -d= -f1 | grep -vE '^(PWD|_|SHLVL|OLDPWD)$' | sort | tr '\\n' ' '; exit 1");
        let said = error.unwrap_err().to_string();
        assert!(said.contains("HOME LANG PATH VPNPKI_CRL_FILE VPNPKI_CRL_NUMBER"), "{said}");
    }

    #[test]
    fn a_failure_says_the_last_lines_and_nothing_that_moves_the_cursor() {
        let script = "for i in 1 2 3 4 5 6; do echo line $i; done; printf '\\033[2Jlast' >&2; exit 3";
        let said = within_a_minute(script).unwrap_err().to_string();
        assert_eq!(said, "`/bin/sh` failed (exit status: 3): line 3 / line 4 / line 5 / line 6 / \\u{1b}[2Jlast");
        assert!(matches!(within_a_minute("kill -9 $$"), Err(AfterError::Failed { .. })));
    }

    #[test]
    fn much_output_stops_nobody_and_is_not_kept() {
        within_a_minute("head -c 1000000 /dev/zero").unwrap();
        let said = within_a_minute("head -c 1000000 /dev/zero | tr '\\0' x; exit 1").unwrap_err().to_string();
        assert!(said.len() < 5000, "{}", said.len());
    }

    #[test]
    fn what_does_not_end_is_ended_with_its_children() {
        let error = run("echo begun; sleep 600 & wait", Duration::from_millis(300)).unwrap_err();
        assert!(matches!(&error, AfterError::TooLong { last, .. } if last == &["begun"]), "{error}");
    }

    #[test]
    fn what_is_left_running_is_not_waited_for() {
        let error = within_a_minute("sleep 600 >&2 & echo $!; exit 1").unwrap_err().to_string();
        let left = error.rsplit(": ").next().and_then(|pid| pid.parse().ok()).and_then(Pid::from_raw).unwrap();
        rustix::process::kill_process(left, Signal::KILL).unwrap();
    }

    #[test]
    fn a_program_that_is_none_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let words = [dir.path().join("none").display().to_string()];
        let limit = Duration::from_secs(1);
        let after = After { words: &words, dir: dir.path(), number: 1, file: None, uid: 0, becomes: None, limit };
        let said = after.run().unwrap_err().to_string();
        assert!(said.contains("could not be started: No such file"), "{said}");
    }
}
