//! The terminal: questions and passphrases, read from it and not from standard input.
//! Knows nothing of what the answers are for.

use std::io::{self, BufRead, IsTerminal, Write};

use rustix::process::{setrlimit, Resource, Rlimit};

use crate::secret::Secret;

/// Asks for a passphrase without echo; none when there is no terminal.
pub fn ask_passphrase(prompt: &str) -> Option<Secret> {
    rpassword::prompt_password(prompt).ok().map(Secret::from)
}

/// Asks a question that is answered with yes or no; none when there is no terminal.
pub fn ask(question: &str) -> Option<bool> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return None;
    }
    write!(io::stderr(), "{question} [y/N] ").ok()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).ok()?;
    Some(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// Asks for a text that may be seen; none when there is no terminal.
pub fn ask_text(prompt: &str) -> Option<String> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return None;
    }
    write!(io::stderr(), "{prompt} ").ok()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).ok()?;
    Some(answer.trim_end_matches(['\r', '\n']).to_owned())
}

/// A crash must not write keys to a disk.
pub fn forbid_core_files() {
    // where the system refuses, nothing else is lost
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}
