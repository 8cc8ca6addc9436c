//! `vpnpki init`.
//! Turns options into the first settings and unlockers; what an authority is made of is not known here.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use clap::Args;
use ipnet::Ipv4Net;
use serde::Serialize;

use crate::{
    authority::{
        init::{self, InitRequest, Initialised},
        AuthorityError,
    },
    cli::{
        dh::{self, Searched},
        occupied::Occupied,
        outputs::{undelivered, write_bundles},
        report::Report,
        session::Session,
        Exit, Failure,
    },
    files::{self, FileError},
    name::Name,
    openvpn::{DhChoice, Parameters},
    pki::Algorithm,
    secret::Secret,
    settings::{ControlChannel, Fault, Faults, Initial, Remote},
    vault::{Recipient, Unlocker},
};

/// Make an authority: CA, Diffie-Hellman parameters, ta.key, server certificate, first CRL, settings
///
/// Exports the server's directory to ./server and each --issue NAME to ./NAME.ovpn. All of it or nothing: a failure
/// leaves no half authority. The directory may be new, empty, or hold a vpnpki.toml and templates/ of yours.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag that people type")]
pub struct Arguments {
    /// Where clients connect to; may be given several times [default port 1194, protocol udp]
    #[arg(long, value_name = "HOST[:PORT[/PROTO]]")]
    remote: Vec<Remote>,
    /// Also issue to this client; may be given several times
    #[arg(long, value_name = "NAME", num_args = 1..)]
    issue: Vec<Name>,
    /// Put bundles into DIR
    #[arg(long, value_name = "DIR", default_value = ".", conflicts_with = "no_export")]
    out: PathBuf,
    /// Write no bundle
    #[arg(long, conflicts_with = "publish")]
    no_export: bool,
    /// Make DIR the server's directory (say /etc/openvpn/server): its bundle goes there, and every later CRL
    #[arg(long, value_name = "DIR")]
    publish: Option<PathBuf>,
    /// The server's name
    #[arg(long, value_name = "NAME", default_value = "server")]
    server_name: Name,
    /// Addresses of clients [default: 10.8.0.0/24]
    #[arg(long, value_name = "CIDR")]
    pool: Option<Ipv4Net>,
    /// A network behind the server; may be given several times
    #[arg(long, value_name = "CIDR", num_args = 1..)]
    route: Vec<Ipv4Net>,
    /// A name server for clients; may be given several times
    #[arg(long, value_name = "IP", num_args = 1..)]
    dns: Vec<std::net::IpAddr>,
    /// Keys of CA, servers and clients: p256, p384, rsa2048, rsa3072, rsa4096 or ed25519 [default: p256]
    #[arg(long, value_name = "ALG")]
    key: Option<Algorithm>,
    /// The CA's key, when it is of another kind than the others [default: as --key]
    #[arg(long, value_name = "ALG")]
    ca_key: Option<Algorithm>,
    /// The CA's common name [default: openvpn HOST YYYY-MM-DD]
    #[arg(long, value_name = "NAME")]
    ca_name: Option<String>,
    /// Days until the CA ends [default: 3650]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    ca_days: Option<u32>,
    /// Diffie-Hellman parameters: ffdhe2048, ffdhe3072, ffdhe4096 (RFC 7919), generate[:BITS] for fresh ones, or none
    #[arg(long, value_name = "GROUP", default_value = "ffdhe3072")]
    dh: DhChoice,
    /// How ta.key protects the control channel: tls-crypt, tls-auth, or tls-crypt-v2 with a key for each client [default: tls-crypt]
    #[arg(long, value_name = "MODE")]
    control_channel: Option<ControlChannel>,
    /// Also open the vault with this age, SSH or age plugin public key; may be given several times
    // a plain text here, since clap would print a private key given by mistake
    #[arg(long, value_name = "age1…|ssh-…")]
    recipient: Vec<String>,
    /// Make an age identity that also opens the vault and write it to FILE, to be kept elsewhere
    #[arg(long, value_name = "FILE")]
    recovery: Option<PathBuf>,
    /// Keep the vault's identity in clear in vault.key
    #[arg(long, conflicts_with_all = ["passphrase_file", "recipient", "recovery"])]
    no_passphrase: bool,
    /// Leave an authority that is there as it is
    #[arg(long)]
    if_missing: bool,
    /// Say what would be made, and make nothing
    #[arg(long)]
    dry_run: bool,
}

impl Arguments {
    pub fn run(self, session: &Session) -> Result<Exit, Failure> {
        let dir = session.dir();
        if init::exists(&dir) {
            let occupied = Occupied { dir, if_missing: self.if_missing, dry_run: self.dry_run };
            let hint = "`--if-missing` leaves it as it is; `--pki DIR` makes another one";
            return occupied.refuse_or_leave::<Made>(session, hint);
        }
        let initial = self.initial(session)?;
        let Unlocking { unlockers, key_file, recovery, mut warnings } = self.unlocking(session)?;
        let mut request = InitRequest {
            dir,
            initial,
            ca_name: self.ca_name,
            dh: match self.dh {
                DhChoice::Group(group) => Some(group.into()),
                DhChoice::Generate(length) => Some(Parameters::stand_in(length)),
                DhChoice::None => None,
            },
            server: self.server_name,
            clients: self.issue,
            out: (!self.no_export).then_some(self.out),
            publish: self.publish,
            plugins: session.plugins_of(&unlockers),
            unlockers,
            key_file,
            recovery,
            dry_run: self.dry_run,
        };
        let attempt =
            |request: &InitRequest| init::init(request, session.actor()).map_err(|error| explained(error, request));
        let mut searched = None;
        if let (DhChoice::Generate(length), false) = (self.dh, self.dry_run) {
            // whatever refuses is to do so before a search that may take minutes; nothing is on the disk meanwhile
            request.dry_run = true;
            attempt(&request)?;
            request.dry_run = false;
            let (parameters, search) = dh::search(session, length)?;
            warnings.extend(search.warning());
            (request.dh, searched) = (Some(parameters), Some(search));
        }
        let mut made = attempt(&request)?;
        warnings.append(&mut made.warnings);
        made.warnings = warnings;
        session.report(&Made { outcome: made, searched, dry_run: self.dry_run, program: session.program() })
    }

    /// The first settings; none when there are some, which options must not contradict.
    fn initial(&self, session: &Session) -> Result<Option<Initial>, Failure> {
        if init::has_settings(&session.dir())? {
            return match self.settings_option() {
                Some(option) => Err(Failure::usage(format!(
                    "`{option}` has no effect, since `{}` has a vpnpki.toml",
                    files::shown(&session.dir())
                ))
                .hint("say it in vpnpki.toml, or move that away")),
                None => Ok(None),
            };
        }
        if self.remote.is_empty() {
            return Err(Failure::usage("nobody would know where to connect: `--remote HOST` is missing")
                .hint("`vpnpki init --remote vpn.example.com --issue client1`"));
        }
        let defaults = Initial::new(self.remote.clone());
        Ok(Some(Initial {
            pool: self.pool.unwrap_or(defaults.pool),
            routes: self.route.clone(),
            dns: self.dns.clone(),
            algorithm: self.key.unwrap_or(defaults.algorithm),
            ca_algorithm: self.ca_key,
            ca_days: self.ca_days.unwrap_or(defaults.ca_days),
            control_channel: self.control_channel.unwrap_or(defaults.control_channel),
            ..defaults
        }))
    }

    fn settings_option(&self) -> Option<&'static str> {
        let given = [
            ("--remote", !self.remote.is_empty()),
            ("--pool", self.pool.is_some()),
            ("--route", !self.route.is_empty()),
            ("--dns", !self.dns.is_empty()),
            ("--key", self.key.is_some()),
            ("--ca-key", self.ca_key.is_some()),
            ("--ca-days", self.ca_days.is_some()),
            ("--control-channel", self.control_channel.is_some()),
        ];
        given.into_iter().find_map(|(option, given)| given.then_some(option))
    }

    fn unlocking(&self, session: &Session) -> Result<Unlocking, Failure> {
        let mut unlocking = Unlocking::default();
        if self.no_passphrase {
            if session.given_passphrase()?.is_some() {
                return Err(Failure::usage("a passphrase is given and `--no-passphrase` too; nothing was made"));
            }
            let (unlocker, text) = Unlocker::fresh_key_file();
            unlocking.unlockers.push(unlocker);
            unlocking.key_file = Some(text);
            unlocking
                .warnings
                .push("the CA key is only as safe as `vault.key`, which is in clear (`--no-passphrase`)".to_owned());
            return Ok(unlocking);
        }
        for text in &self.recipient {
            let recipient = Recipient::parse(text).map_err(|error| Failure::usage(error.to_string()))?;
            unlocking.unlockers.push(Unlocker::Recipient(recipient));
        }
        if unlocking.unlockers.is_empty() || session.given_passphrase()?.is_some() {
            unlocking.unlockers.insert(0, Unlocker::Passphrase(session.new_passphrase().map_err(no_unlocker)?));
        }
        if let Some(path) = &self.recovery {
            let (unlocker, text) = Unlocker::fresh_key_file();
            unlocking.unlockers.extend(unlocker.recipient().cloned().map(Unlocker::Recipient));
            unlocking.recovery = Some((path.clone(), text));
        }
        if unlocking.unlockers.len() == 1 {
            unlocking.warnings.push(
                "only one thing opens the vault: when it is lost, nobody can issue or revoke any more; \
                 `init --recovery FILE` or a second `--recipient` gives another way"
                    .to_owned(),
            );
        }
        Ok(unlocking)
    }
}

#[derive(Default)]
struct Unlocking {
    unlockers: Vec<Unlocker>,
    key_file: Option<Secret>,
    recovery: Option<(PathBuf, Secret)>,
    warnings: Vec<String>,
}

/// What was typed, where the error speaks of files that are not there yet.
fn explained(error: AuthorityError, request: &InitRequest) -> Failure {
    match &error {
        AuthorityError::Settings(faults) if request.initial.is_some() => Failure::usage(as_options(faults)),
        AuthorityError::File(FileError::Exists { path }) => existing_target(&path.clone(), error, request),
        _ => error.into(),
    }
}

/// Faults in the settings that options would have made.
fn as_options(faults: &Faults) -> String {
    let named = |fault: &Fault| {
        let option = match fault.field.as_str() {
            "client.remotes" => "--remote",
            "network.pool" => "--pool",
            "network.routes" => "--route",
            "network.dns" => "--dns",
            other => other,
        };
        format!("`{option}`: {}", fault.what)
    };
    faults.faults.iter().map(named).collect::<Vec<_>>().join("; ")
}

/// A file in the way of a bundle: `init` has no `--force`, since what lies there may be another authority's.
fn existing_target(path: &Path, error: AuthorityError, request: &InitRequest) -> Failure {
    let hint = if request.recovery.as_ref().is_some_and(|(file, _)| path.ends_with(file)) {
        "`--recovery FILE` names a file that is made, not one that is there"
    } else if request.publish.is_some() {
        "`--publish DIR` names a directory without these files, `--out DIR` the place of clients' bundles"
    } else {
        "`--out DIR` puts bundles elsewhere, `--no-export` writes none"
    };
    Failure { hints: vec![hint.to_owned()], ..error.into() }
}

/// Nothing is locked yet: what is missing is what the new vault is to be opened with.
fn no_unlocker(error: Failure) -> Failure {
    if error.exit != Exit::Locked {
        return error;
    }
    let message = "nothing was made: nothing was given that opens the vault, and nobody is there to ask".to_owned();
    let hint = "`--passphrase-file FILE`, VPNPKI_PASSPHRASE_FILE or VPNPKI_PASSPHRASE gives a passphrase; \
                `--recipient` an age or SSH public key; `--no-passphrase` needs neither";
    Failure { message, hints: vec![hint.to_owned()], ..error }
}

#[derive(Serialize)]
struct Made {
    #[serde(flatten)]
    outcome: Initialised,
    /// The search for Diffie-Hellman parameters.
    #[serde(rename = "dh_search", skip_serializing_if = "Option::is_none")]
    searched: Option<Searched>,
    dry_run: bool,
    /// How the commands that come next begin.
    #[serde(skip)]
    program: String,
}

impl Report for Made {
    const COMMAND: &'static str = "init";

    fn warnings(&self) -> &[String] {
        &self.outcome.warnings
    }

    fn failures(&self) -> Vec<Failure> {
        let mut failures = undelivered(&self.outcome.delivery, "issued");
        if let Some(problem) = &self.outcome.recovery_problem {
            let message =
                format!("the authority is made, but the recovery identity could not be put in place: {problem}");
            failures.push(Failure::refused(message).hint("keep the other way into the vault safe; without a bundle in use, remove the authority and `init` again"));
        }
        failures
    }
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Initialised { dir, ca, crl, issued, dh, delivery, target, .. } = &self.outcome;
        let verb = if self.dry_run { "would make" } else { "made" };
        writeln!(f, "{verb} an authority in {}", files::shown(dir))?;
        writeln!(f, "  CA      {} ({}) until {}", ca.name, ca.algorithm, ca.validity.not_after().date())?;
        for leaf in issued {
            writeln!(f, "  {:<7} {} until {}", leaf.role, leaf.name, leaf.validity.not_after().date())?;
        }
        writeln!(f, "  CRL     {} until {}", crl.number, crl.next_update.date())?;
        match &self.searched {
            Some(searched) => writeln!(f, "  DH      {searched}")?,
            None => writeln!(f, "  DH      {dh}")?,
        }
        if !delivery.bundles.is_empty() {
            writeln!(f, "bundles")?;
            write_bundles(f, delivery)?;
        }
        if self.dry_run {
            return Ok(());
        }
        if let Some(path) = &self.outcome.recovery {
            writeln!(f, "the recovery identity is in {}; take it away from this machine", files::shown(path))?;
        }
        let program = &self.program;
        writeln!(f, "next")?;
        if target.is_none() {
            // the server comes first, and there always is one
            let server = issued.first().map_or_else(String::new, |server| server.name.to_string());
            let command = format!("{program} export {server} --publish -o /etc/openvpn/server");
            writeln!(f, "  {command:<55} # on the VPN server: later CRLs go there")?;
        }
        writeln!(f, "  systemctl enable --now openvpn-server@server")?;
        writeln!(f, "  {:<55} # one more client", format!("{program} issue laptop-7"))?;
        writeln!(f, "  {:<55} # and no more", format!("{program} revoke laptop-7"))
    }
}

const EXAMPLES: &str = "\
Examples:
  vpnpki init --remote vpn.example.com --issue client1
  vpnpki init --remote vpn.example.com:443/tcp --route 172.16.0.0/16 --publish /etc/openvpn/server
  vpnpki init --remote vpn.example.com --ca-key rsa4096
  vpnpki init --remote 203.0.113.7 --recipient \"$(cat ~/.ssh/id_ed25519.pub)\" --recovery vpn.key";
