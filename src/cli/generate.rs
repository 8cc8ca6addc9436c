//! `vpnpki generate`: man pages and completions from the same tree of commands that is parsed.
//! Knows nothing of any authority.

use std::path::PathBuf;

use clap::{Args, CommandFactory, Subcommand};
use clap_complete::Shell;

use crate::{
    cli::{report, session::Session, Cli, Exit, Failure},
    files::{self, Overwrite, Visibility},
    secret::Secret,
};

/// Write man pages or shell completions
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
}

impl Arguments {
    pub fn run(self, session: &Session) -> Result<Exit, Failure> {
        if session.json() {
            return Err(Failure::usage("man pages and completions have no JSON form"));
        }
        match self.command {
            Command::Completions { shell } => {
                let mut script = Vec::new();
                clap_complete::generate(shell, &mut Cli::command(), "vpnpki", &mut script);
                report::deliver(&Secret::new(script))?;
            }
            Command::Man { out: None } => report::deliver(&Secret::new(page(&Cli::command())?))?,
            Command::Man { out: Some(dir) } => {
                for (name, command) in commands() {
                    let path = dir.join(format!("{name}.1"));
                    files::stage(&path, &page(&command)?, Visibility::Public, Overwrite::Replace, None)?.release()?;
                }
            }
        }
        Ok(Exit::Done)
    }
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
