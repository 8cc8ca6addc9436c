//! `vpnpki issue`.
//! Knows nothing of certificates; names, formats and paths are parsed and handed on.

use std::{fmt, path::PathBuf};

use clap::Args;
use serde::Serialize;

use crate::{
    authority::{
        deliver::Outputs,
        issue::{Batch, IssueRequest, Issued, Present, Witness},
        Stop,
    },
    cli::{
        csr, encryption,
        outputs::{deliver_one, report_beside, undelivered, write_bundles, OutputOptions, Whose, NO_EXPORT},
        passphrase::only_passphrases,
        report::Report,
        session::Session,
        Exit, Failure,
    },
    import::people::{self, Person, Usual},
    inventory::Role,
    name::Name,
    pki::{Address, Algorithm},
    store::Access,
};

mod list;

/// Give someone access: a key, a certificate and a bundle
///
/// Writes NAME.ovpn, which holds everything a client needs. A name is letters, digits, `.`, `_`, `@` and `-`, at most 64
/// characters. The name of someone revoked or expired can be issued again; its old serials stay on record.
///
/// --from takes a list of many: CSV whose first line names its columns (name, and any of role, days, key, san, note), or
/// one name a line. All of it is checked before the first key is made; then keys and certificates are made on every core
/// and committed in batches of at most 256. What was cut short is finished by the same command with --skip-existing.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag that people type")]
pub struct Arguments {
    /// Whose
    #[arg(required_unless_present = "from", value_name = "NAME")]
    names: Vec<Name>,
    /// Issue to everybody in this list (- for standard input); other options fill columns that are empty or missing
    #[arg(long, value_name = "FILE", conflicts_with_all = ["names", "csr"])]
    from: Option<PathBuf>,
    /// Let the list name servers, too
    #[arg(long, value_name = "ROLE")]
    allow_role: Vec<Role>,
    /// client or server
    #[arg(long, value_name = "ROLE", default_value = "client")]
    role: Role,
    /// Days of validity [default: the settings']
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: Option<u32>,
    /// p256, p384, rsa2048, rsa3072, rsa4096 or ed25519 [default: the settings']
    #[arg(long, value_name = "ALG")]
    key: Option<Algorithm>,
    /// A subject alternative name of a server, beside the remotes; may be given several times
    #[arg(long, value_name = "HOST|IP", value_parser = Address::parse)]
    san: Vec<Address>,
    /// How to reach whoever gets it, for `show` and `list --json`; one line
    #[arg(long, value_name = "TEXT", value_parser = people::note)]
    note: Option<String>,
    /// Certify the key in this certificate request (PEM or DER, - for standard input); its owner keeps the private one
    #[arg(long, value_name = "FILE", conflicts_with = "key")]
    csr: Option<PathBuf>,
    /// Encrypt this and every later bundle to this public key, or to each in a FILE; may be given several times
    // a plain text here, since clap would print a private key given by mistake
    #[arg(long, value_name = "age1…|ssh-…|FILE")]
    recipient: Vec<String>,
    #[command(flatten)]
    outputs: OutputOptions,
    /// Write no bundle
    #[arg(long, conflicts_with_all = NO_EXPORT)]
    no_export: bool,
    /// Leave whoever has access already as they are
    #[arg(long)]
    if_missing: bool,
    /// The same, and make their bundle where it is missing: finishes what was cut short
    #[arg(long, conflicts_with = "if_missing")]
    skip_existing: bool,
    /// Say what would be issued, and change nothing
    #[arg(long)]
    dry_run: bool,
}

impl Arguments {
    pub fn run(self, session: &Session) -> Result<Exit, Failure> {
        self.refuse_contradictions()?;
        if let Some(file) = self.from.clone() {
            return list::issue(&self, &file, session);
        }
        let csr = self.csr.as_deref().map(csr::read).transpose()?;
        let request = IssueRequest { csr, ..self.request(session, self.named(), Stop::default())? };
        request.outputs.check_for(request.people.len())?;
        let mut batch = Collected::default();
        let issued = session.open(Access::Write)?.issue(&request, session, &mut batch)?;
        let Collected(mut batch) = batch;
        deliver_one(batch.delivery.stdout.take(), batch.issued.first().map(|one| &one.name), "issued")?;
        let report = Answer { batch, issued, dry_run: self.dry_run };
        report_beside(session, &report, &report.batch.delivery, &request.outputs.destination)
    }

    fn refuse_contradictions(&self) -> Result<(), Failure> {
        let servers = self.role == Role::Server || self.allow_role.contains(&Role::Server);
        if self.from.is_some() && self.role == Role::Server && self.allow_role.is_empty() {
            return Err(Failure::usage("`--from` with `--role server` needs `--allow-role server`, too"));
        }
        if self.from.is_none() && !self.allow_role.is_empty() {
            return Err(Failure::usage("`--allow-role` is about the list of `--from`"));
        }
        if !servers && !self.san.is_empty() {
            return Err(Failure::usage("`--san` is for servers: nobody looks at a client's"));
        }
        if self.csr.is_some() && self.names.len() > 1 {
            return Err(Failure::usage("`--csr` is one key, which goes to one name"));
        }
        Ok(())
    }

    /// Everybody who is named here.
    fn named(&self) -> Vec<Person> {
        let usual = self.usual();
        self.names.iter().map(|name| usual.person(name.clone())).collect()
    }

    /// What holds for everybody of whom nothing else is said.
    fn usual(&self) -> Usual {
        Usual {
            role: self.role,
            servers: self.allow_role.contains(&Role::Server),
            algorithm: self.key,
            days: self.days,
            addresses: self.san.clone(),
            note: self.note.clone(),
        }
    }

    fn request(&self, session: &Session, people: Vec<Person>, stop: Stop) -> Result<IssueRequest, Failure> {
        let present = match (self.if_missing, self.skip_existing) {
            (true, _) => Present::Left,
            (_, true) => Present::Completed,
            _ => Present::Refused,
        };
        Ok(IssueRequest {
            people,
            list: None,
            outputs: self.outputs(session)?,
            present,
            dry_run: self.dry_run,
            recipients: encryption::recipients(&self.recipient)?,
            csr: None,
            stop,
        })
    }

    fn outputs(&self, session: &Session) -> Result<Outputs, Failure> {
        if self.no_export {
            return Ok(Outputs::nowhere());
        }
        let whose = if self.from.is_some() { Whose::Several } else { Whose::of(&self.names, self.role) };
        self.outputs.resolve(session, whose)
    }
}

/// A few, all told at the end.
#[derive(Default)]
struct Collected(Batch);

impl Witness for Collected {
    fn done(&mut self, batch: Batch, _: usize, _: usize) {
        self.0.issued.extend(batch.issued);
        self.0.delivery.extend(batch.delivery);
    }
}

#[derive(Serialize)]
struct Answer {
    #[serde(flatten)]
    batch: Batch,
    #[serde(flatten)]
    issued: Issued,
    dry_run: bool,
}

impl Report for Answer {
    const COMMAND: &'static str = "issue";

    fn warnings(&self) -> &[String] {
        &self.issued.warnings
    }

    fn essential(&self) -> String {
        only_passphrases(&self.batch.delivery.passphrases)
    }

    fn failures(&self) -> Vec<Failure> {
        let stopped = self.issued.stopped.as_ref().map(list::stopped);
        stopped.into_iter().chain(undelivered(&self.batch.delivery, "issued")).collect()
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_issued(f, &self.batch, self.dry_run)?;
        self.issued.unchanged.iter().try_for_each(|name| writeln!(f, "{name} has access already"))?;
        write_bundles(f, &self.batch.delivery)
    }
}

fn write_issued(f: &mut fmt::Formatter<'_>, batch: &Batch, dry_run: bool) -> fmt::Result {
    let verb = if dry_run { "would issue" } else { "issued" };
    for leaf in &batch.issued {
        let serial = leaf.serial.map_or_else(String::new, |serial| format!(" serial:{serial}"));
        writeln!(f, "{verb} {} until {}{serial}", leaf.name, leaf.validity.not_after().date())?;
        if let Some(former) = &leaf.formerly {
            writeln!(f, "  the name had serial:{}, {}", former.serial, former.since)?;
        }
    }
    Ok(())
}

const EXAMPLES: &str = "\
Examples:
  vpnpki issue laptop-7
  vpnpki issue anna ben --days 90 -o bundles/
  vpnpki issue laptop-7 --recipient ~/.ssh/id_ed25519.pub
  vpnpki issue laptop-7 --csr laptop-7.csr
  vpnpki issue phone-3 --format ovpn12 --generate-passphrase
  vpnpki issue router-1 --for openwrt
  vpnpki issue ci-runner --if-missing --batch --json
  vpnpki issue --from people.csv -o bundles/
  vpnpki issue --from people.csv -o bundles/ --skip-existing
  vpnpki issue server-west --role server --san west.example.com";
