//! Transcripts: each file under `golden/` is a session of commands with everything they said and how they ended.
//! A run says the same again, or the test shows both. `VPNPKI_GOLDEN=write cargo test --test cli golden` writes them anew;
//! read the difference before it is committed.
//!
//! A line that begins with `$ ` is a command, `> ` goes on with it, `## ` is a remark. What follows is what it said:
//! standard output as it is, standard error behind `! `, an exit code other than 0 behind `? `.

use std::{fs, path::PathBuf};

use crate::{common::Outcome, redact::Redactor, site::Site};

macro_rules! transcripts {
    ($($name:ident)*) => {
        $(#[test] fn $name() { hold(stringify!($name)); })*
        const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}

transcripts! {
    crl
    doctor
    encrypted
    encryption
    enroll
    export
    files
    help
    identities
    init
    inventory
    issue
    json
    log
    names
    ownership
    programs
    publish
    recipients
    remotes
    revoke
    sessions
    settings
    templates
    usage
}

#[test]
fn every_transcript_is_held() {
    let mut files: Vec<String> = fs::read_dir(folder())
        .expect("the transcripts")
        .map(|entry| entry.expect("an entry").path().file_stem().expect("a name").to_string_lossy().into_owned())
        .collect();
    files.sort();
    assert_eq!(files, NAMES);
}

#[track_caller]
fn hold(name: &str) {
    let path = folder().join(format!("{name}.txt"));
    let kept = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let said = played(&kept);
    if std::env::var_os("VPNPKI_GOLDEN").is_some_and(|mode| mode == "write") {
        fs::write(&path, &said).expect("a transcript that can be written");
        return;
    }
    assert!(said == kept, "{name}.txt differs\n{}", difference(&kept, &said));
}

/// The transcript of the same commands, run now in a directory of its own.
fn played(transcript: &str) -> String {
    let site = Site::empty();
    let dir = site.dir().to_str().expect("a plain path");
    let (mut redactor, mut said) = (Redactor::default(), String::new());
    for step in steps(transcript) {
        match step {
            Step::Remark(line) => said.extend([if said.is_empty() { "" } else { "\n" }, line, "\n"]),
            Step::Command(lines) => {
                said.extend(["$ ", &lines.join("\n> ").replace("> \n", ">\n"), "\n"]);
                said.push_str(&redactor.redact(&answer(&site.sh(&lines.join("\n"))), dir));
            }
        }
    }
    said
}

enum Step<'a> {
    Remark(&'a str),
    Command(Vec<&'a str>),
}

fn steps(transcript: &str) -> Vec<Step<'_>> {
    let mut steps: Vec<Step> = Vec::new();
    let mut open = false;
    for line in transcript.lines() {
        let going_on = open;
        open = false;
        if line.starts_with("## ") {
            steps.push(Step::Remark(line));
        } else if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step::Command(vec![command]));
            open = true;
        } else if let (true, Some(more), Some(Step::Command(lines))) = (going_on, continued(line), steps.last_mut()) {
            lines.push(more);
            open = true;
        }
    }
    steps
}

/// An empty line of a script stands as `>` alone.
fn continued(line: &str) -> Option<&str> {
    if line == ">" {
        Some("")
    } else {
        line.strip_prefix("> ")
    }
}

fn answer(outcome: &Outcome) -> String {
    let mut said = outcome.stdout.clone();
    if !said.is_empty() && !said.ends_with('\n') {
        said.push_str("(no end of line)\n");
    }
    for line in outcome.stderr.lines() {
        said.push_str(format!("! {line}").trim_end());
        said.push('\n');
    }
    match outcome.status.code() {
        Some(0) => {}
        Some(code) => said.extend(["? ", &code.to_string(), "\n"]),
        None => said.extend(["? ", &outcome.status.to_string(), "\n"]),
    }
    said
}

/// From the first line that differs on, some lines of each.
fn difference(kept: &str, said: &str) -> String {
    let same = kept.lines().zip(said.lines()).take_while(|(kept, said)| kept == said).count();
    let from = same.saturating_sub(3);
    let part = |text: &str| text.lines().skip(from).take(20).collect::<Vec<_>>().join("\n");
    format!("-- line {} was\n{}\n-- is\n{}", same + 1, part(kept), part(said))
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cli/golden")
}
