//! The command line: arguments, prompts, reports, exit codes; one file per command.
//! No policy: each command opens the authority, calls one verb on it and hands a report over.

use std::{ffi::OsString, process::ExitCode};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

mod backup;
mod crl;
mod csr;
mod doctor;
mod encryption;
mod enroll;
mod environment;
mod export;
mod failure;
mod follow;
mod forget;
mod generate;
mod init;
mod install;
mod interrupt;
mod issue;
mod kick;
mod list;
mod log;
mod occupied;
mod outputs;
mod passphrase;
mod plugins;
mod progress;
mod proof;
mod recipients;
mod renew;
mod report;
mod restore;
mod revoke;
mod session;
mod sessions;
mod show;
mod status;
mod suspend;
mod systemd;
mod terminal;
mod typed;
mod unlocker;
mod verify;

pub use failure::{Exit, Failure};

use environment::Environment;
use session::Session;

/// Gives people access to an OpenVPN network and takes it back.
///
/// One binary in place of easy-rsa: a CA whose key is never in clear on a disk, a server bundle, a bundle for each
/// client, and a revocation list that reaches the server in the same act.
#[derive(Parser)]
#[command(name = "vpnpki", version, propagate_version = true, max_term_width = 100, after_help = EXAMPLES)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What holds for every command.
#[derive(clap::Args)]
#[command(next_help_heading = "Global options")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag that people type")]
pub struct Global {
    /// The PKI directory [default: ./pki, or $VPNPKI_DIR]
    #[arg(long, global = true, value_name = "DIR")]
    pki: Option<std::path::PathBuf>,
    /// Print exactly one JSON object on standard output, errors as one on standard error
    #[arg(long, global = true)]
    json: bool,
    /// Print only what was asked for
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Answer every question with yes
    #[arg(short, long, global = true)]
    yes: bool,
    /// Never ask; fail where an answer is missing
    #[arg(long, global = true)]
    batch: bool,
    /// Read the vault's passphrase from the first line of FILE [also: $VPNPKI_PASSPHRASE_FILE, $VPNPKI_PASSPHRASE]
    #[arg(long, global = true, value_name = "FILE")]
    passphrase_file: Option<std::path::PathBuf>,
    /// Open the vault with the age, SSH or age plugin private key in FILE [also: $VPNPKI_IDENTITY]
    #[arg(long, global = true, value_name = "FILE")]
    identity: Option<std::path::PathBuf>,
    /// Wait so long for another vpnpki that is writing
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 30, hide_default_value = true)]
    wait: u64,
    /// Go on although the clock is far past the newest entry of the ledger
    #[arg(long, global = true)]
    clock_is_right: bool,
}

#[derive(Subcommand)]
enum Command {
    Init(init::Arguments),
    Issue(issue::Arguments),
    Export(export::Arguments),
    Renew(renew::Arguments),
    Revoke(revoke::Arguments),
    Suspend(suspend::Suspend),
    Resume(suspend::Resume),
    Forget(forget::Arguments),
    Recipients(recipients::Arguments),
    Enroll(enroll::Arguments),
    Sessions(sessions::Arguments),
    Kick(kick::Arguments),
    List(list::Arguments),
    Show(show::Arguments),
    Status(status::Arguments),
    Doctor(doctor::Arguments),
    Verify(verify::Arguments),
    Crl(crl::Arguments),
    Log(log::Arguments),
    Unlocker(unlocker::Arguments),
    Backup(backup::Arguments),
    Restore(restore::Arguments),
    Generate(generate::Arguments),
}

/// Runs the program.
pub fn main() -> ExitCode {
    // nothing of a passphrase or key may reach a core file; secrets leave the environment before any thread starts
    terminal::forbid_core_files();
    let environment = Environment::take();
    let outcome = std::panic::catch_unwind(|| run(environment));
    outcome.unwrap_or(Exit::Bug).into()
}

fn run(environment: Environment) -> Exit {
    let typed: Vec<OsString> = std::env::args_os().collect();
    let json = typed.iter().any(|argument| argument == "--json");
    let parsed = typed::matches(typed).unwrap_or_else(|| Cli::command().try_get_matches());
    let cli = match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => return failure::usage(error, json),
    };
    let name = cli.command.name();
    let session = Session::new(cli.global, environment);
    match cli.command.run(&session) {
        Ok(exit) => exit,
        Err(failure) => session.fail(failure, name),
    }
}

impl Command {
    fn name(&self) -> &'static str {
        match self {
            Self::Init(_) => "init",
            Self::Issue(_) => "issue",
            Self::Export(_) => "export",
            Self::Renew(_) => "renew",
            Self::Revoke(_) => "revoke",
            Self::Suspend(_) => "suspend",
            Self::Resume(_) => "resume",
            Self::Forget(_) => "forget",
            Self::Recipients(_) => "recipients",
            Self::Enroll(_) => "enroll",
            Self::Sessions(_) => "sessions",
            Self::Kick(_) => "kick",
            Self::List(_) => "list",
            Self::Show(_) => "show",
            Self::Status(_) => "status",
            Self::Doctor(_) => "doctor",
            Self::Verify(_) => "verify",
            Self::Crl(crl) => crl.name(),
            Self::Log(log) => log.name(),
            Self::Unlocker(unlocker) => unlocker.name(),
            Self::Backup(_) => "backup",
            Self::Restore(_) => "restore",
            Self::Generate(_) => "generate",
        }
    }

    fn run(self, session: &Session) -> Result<Exit, Failure> {
        match self {
            Self::Init(arguments) => arguments.run(session),
            Self::Issue(arguments) => arguments.run(session),
            Self::Export(arguments) => arguments.run(session),
            Self::Renew(arguments) => arguments.run(session),
            Self::Revoke(arguments) => arguments.run(session),
            Self::Suspend(arguments) => arguments.run(session),
            Self::Resume(arguments) => arguments.run(session),
            Self::Forget(arguments) => arguments.run(session),
            Self::Recipients(arguments) => arguments.run(session),
            Self::Enroll(arguments) => arguments.run(session),
            Self::Sessions(arguments) => arguments.run(session),
            Self::Kick(arguments) => arguments.run(session),
            Self::List(arguments) => arguments.run(session),
            Self::Show(arguments) => arguments.run(session),
            Self::Status(arguments) => arguments.run(session),
            Self::Doctor(arguments) => arguments.run(session),
            Self::Verify(arguments) => arguments.run(session),
            Self::Crl(arguments) => arguments.run(session),
            Self::Log(arguments) => arguments.run(session),
            Self::Unlocker(arguments) => arguments.run(session),
            Self::Backup(arguments) => arguments.run(session),
            Self::Restore(arguments) => arguments.run(session),
            Self::Generate(arguments) => arguments.run(session),
        }
    }
}

const EXAMPLES: &str = "\
Examples:
  vpnpki init --remote vpn.example.com --issue client1    an authority, ./server and client1.ovpn
  vpnpki issue laptop-7                                   laptop-7.ovpn
  vpnpki revoke client1                                   refused from now on, on every server
  vpnpki export laptop-7 --format zip                     the same credentials as separate files
  vpnpki status                                           what needs attention

Exit codes: 0 done, 1 refused or failed, 2 usage, 3 something is due, 4 locked, 70 a bug.";
