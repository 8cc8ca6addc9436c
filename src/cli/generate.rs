//! `vpnpki generate`: man pages and completions from the same tree of commands that is parsed; units for systemd.
//! Knows nothing of any authority; the units are made in `systemd.rs`.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use clap::{Args, CommandFactory, Subcommand};
use clap_complete::Shell;
use serde::Serialize;

use crate::{
    cli::{
        report::{self, Report},
        session::Session,
        systemd, Cli, Exit, Failure,
    },
    files::{self, Overwrite, Visibility},
    secret::Secret,
};

/// Write man pages, shell completions or units for systemd
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// vpnpki(1) to standard output, or a page for every command into a directory
    Man {
        /// Write vpnpki.1, vpnpki-issue.1 and so on into DIR
        #[arg(short, long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Completions for a shell, to standard output
    Completions {
        /// Which shell
        shell: Shell,
    },
    Systemd(systemd::Arguments),
}

impl Arguments {
    pub fn run(self, session: &Session) -> Result<Exit, Failure> {
        let made = match self.command {
            Command::Systemd(systemd) => return systemd.run(session),
            Command::Completions { shell } => completions(shell),
            Command::Man { out: None } => Made { text: Some(text(page(&Cli::command())?)), ..Made::default() },
            Command::Man { out: Some(dir) } => write_pages(&dir)?,
        };
        match (&made.text, session.json()) {
            (Some(text), false) => report::deliver(&Secret::from(text.clone()))?,
            (None, false) => (),
            (_, true) => return session.report(&made),
        }
        Ok(Exit::Done)
    }
}

/// What was generated: a text, or files.
#[derive(Serialize, Default)]
struct Made {
    changed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    files: Vec<PathBuf>,
}

impl Report for Made {
    const COMMAND: &'static str = "generate";
}

impl fmt::Display for Made {
    /// People get the text itself, as it is.
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

fn completions(shell: Shell) -> Made {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "vpnpki", &mut script);
    Made { text: Some(text(script)), ..Made::default() }
}

fn write_pages(dir: &Path) -> Result<Made, Failure> {
    let mut made = Made { changed: true, ..Made::default() };
    for (name, command) in commands() {
        let path = dir.join(format!("{name}.1"));
        files::stage(&path, &page(&command)?, Visibility::Public, Overwrite::Replace, None)?.release()?;
        made.files.push(path);
    }
    Ok(made)
}

/// Both crates write nothing but text.
fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_default()
}

/// Every command with the name of its page, `vpnpki-crl-publish`.
fn commands() -> Vec<(String, clap::Command)> {
    let mut root = Cli::command();
    root.build();
    let mut found = Vec::new();
    let mut open = vec![("vpnpki".to_owned(), root)];
    while let Some((name, command)) = open.pop() {
        let below = command.get_subcommands().filter(|below| below.get_name() != "help");
        open.extend(below.map(|below| (format!("{name}-{}", below.get_name()), below.clone())));
        found.push((name.clone(), command.name(name)));
    }
    found
}

fn page(command: &clap::Command) -> Result<Vec<u8>, Failure> {
    let mut page = Vec::new();
    let rendered = clap_mangen::Man::new(command.clone()).render(&mut page);
    rendered.map_err(|error| Failure::refused(format!("the page was not written: {error}")))?;
    Ok(page)
}

const EXAMPLES: &str = "\
Examples:
  vpnpki generate man -o /usr/local/share/man/man1
  vpnpki generate completions bash > /etc/bash_completion.d/vpnpki";
