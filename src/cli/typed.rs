//! The arguments as they were typed, read with the one command that they name: the tree of all commands takes longer to
//! build than most of them run. Knows no error and no help; whatever is not plain is read again with the whole tree.

use std::ffi::OsString;

use clap::{error::ErrorKind, ArgMatches, Args, Command};

use super::{
    backup, crl, doctor, enroll, export, forget, init, issue, kick, list, log, recipients, renew, restore, revoke,
    sessions, show, status, suspend, unlocker, verify, Global,
};

/// What the arguments say; none when it takes the whole tree to tell. What one command alone understands, the whole tree
/// understands as the same.
pub(super) fn matches(typed: Vec<OsString>) -> Option<Result<ArgMatches, clap::Error>> {
    let root = Global::augment_args(Command::new("vpnpki").version(env!("CARGO_PKG_VERSION")));
    let Some(command) = typed.iter().skip(1).find_map(|word| command(word.to_str()?)) else {
        let version = root.try_get_matches_from(typed).err()?;
        return (version.kind() == ErrorKind::DisplayVersion).then_some(Err(version));
    };
    root.subcommand(command).try_get_matches_from(typed).ok().map(Ok)
}

/// The command of this name.
fn command(name: &str) -> Option<Command> {
    let augment = match name {
        "init" => init::Arguments::augment_args,
        "issue" => issue::Arguments::augment_args,
        "export" => export::Arguments::augment_args,
        "renew" => renew::Arguments::augment_args,
        "revoke" => revoke::Arguments::augment_args,
        "suspend" => suspend::Suspend::augment_args,
        "resume" => suspend::Resume::augment_args,
        "forget" => forget::Arguments::augment_args,
        "recipients" => recipients::Arguments::augment_args,
        "enroll" => enroll::Arguments::augment_args,
        "sessions" => sessions::Arguments::augment_args,
        "kick" => kick::Arguments::augment_args,
        "list" => list::Arguments::augment_args,
        "show" => show::Arguments::augment_args,
        "status" => status::Arguments::augment_args,
        "doctor" => doctor::Arguments::augment_args,
        "verify" => verify::Arguments::augment_args,
        "crl" => crl::Arguments::augment_args,
        "log" => log::Arguments::augment_args,
        "unlocker" => unlocker::Arguments::augment_args,
        "backup" => backup::Arguments::augment_args,
        "restore" => restore::Arguments::augment_args,
        _ => return None,
    };
    Some(augment(Command::new(name.to_owned())))
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, FromArgMatches};

    use super::*;
    use crate::cli::Cli;

    fn typed(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    /// Everything about an argument that decides how it is read.
    fn read_as(command: &Command) -> Vec<String> {
        let mut said: Vec<String> = command.get_arguments().map(|argument| format!("{argument:?}")).collect();
        for inner in command.get_subcommands() {
            said.extend(read_as(inner).iter().map(|one| format!("{} {one}", inner.get_name())));
        }
        said
    }

    #[test]
    fn every_command_reads_alone_as_it_reads_among_all() {
        for among_all in Cli::command().get_subcommands().filter(|command| command.get_name() != "generate") {
            let alone = command(among_all.get_name()).unwrap_or_else(|| panic!("{} is missing", among_all.get_name()));
            assert_eq!(read_as(&alone), read_as(among_all), "{}", among_all.get_name());
        }
        assert!(command("generate").is_none() && command("help").is_none() && command("").is_none());
    }

    #[test]
    fn what_is_plain_needs_no_other_command() {
        for line in ["vpnpki issue a", "vpnpki --pki issue -q issue issue", "vpnpki crl show --json", "vpnpki list -y"]
        {
            let matches = matches(typed(line)).expect("it is plain").unwrap();
            Cli::from_arg_matches(&matches).unwrap();
        }
        let version = matches(typed("vpnpki -V")).expect("it is plain").unwrap_err();
        let whole = Cli::command().try_get_matches_from(typed("vpnpki --version")).unwrap_err();
        assert_eq!(version.to_string(), whole.to_string());
    }

    #[test]
    fn what_is_not_plain_is_left_to_the_whole_tree() {
        for line in [
            "vpnpki",
            "vpnpki --help",
            "vpnpki help issue",
            "vpnpki isue a",
            "vpnpki isue issue",
            "vpnpki issue",
            "vpnpki issue --help",
            "vpnpki issue --version",
            "vpnpki issue --what",
            "vpnpki --pki list issue a",
            "vpnpki generate man",
        ] {
            assert!(matches(typed(line)).is_none(), "{line}");
        }
    }
}
