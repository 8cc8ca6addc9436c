//! `vpnpki issue`.
//! Knows nothing of certificates; names, formats and paths are parsed and handed on.

use std::{fmt, path::PathBuf};

use clap::Args;
use serde::Serialize;

use crate::{
    authority::{
        deliver::Outputs,
        issue::{IssueRequest, Issued},
        AuthorityError,
    },
    cli::{
        csr, encryption,
        outputs::{deliver_one, report_beside, undelivered, write_bundles, OutputOptions, Whose, NO_EXPORT},
        passphrase::only_passphrases,
        report::Report,
        session::Session,
        Exit, Failure,
    },
    inventory::Role,
    name::Name,
    pki::{Address, Algorithm},
    store::Access,
};

/// Give someone access: a key, a certificate and a bundle
///
/// Writes NAME.ovpn, which holds everything a client needs. A name is letters, digits, `.`, `_`, `@` and `-`, at most 64
/// characters. The name of someone revoked or expired can be issued again; its old serials stay on record.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Whose
    #[arg(required = true, value_name = "NAME")]
    names: Vec<Name>,
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
    #[arg(long, value_name = "TEXT", value_parser = note)]
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
    /// Say what would be issued, and change nothing
    #[arg(long)]
    dry_run: bool,
}

impl Arguments {
    pub fn run(self, session: &Session) -> Result<Exit, Failure> {
        self.refuse_contradictions()?;
        let csr = self.csr.as_deref().map(csr::read).transpose()?;
        let recipients = encryption::recipients(&self.recipient)?;
        let outputs = self.outputs(session)?;
        outputs.check_for(self.names.len())?;
        let request = IssueRequest {
            names: self.names,
            role: self.role,
            algorithm: self.key,
            days: self.days,
            addresses: self.san,
            note: self.note,
            recipients,
            csr,
            outputs,
            if_missing: self.if_missing,
            dry_run: self.dry_run,
        };
        let authority = session.open(Access::Write)?;
        let mut issued = authority.issue(&request, session)?;
        deliver_one(issued.delivery.stdout.take(), issued.issued.first().map(|one| &one.name), "issued")?;
        let report = Answer { issued, dry_run: self.dry_run };
        report_beside(session, &report, &report.issued.delivery, &request.outputs.destination)
    }

    fn refuse_contradictions(&self) -> Result<(), Failure> {
        if self.role == Role::Client && !self.san.is_empty() {
            return Err(Failure::usage("`--san` is for servers: nobody looks at a client's"));
        }
        if self.csr.is_some() && self.names.len() > 1 {
            return Err(Failure::usage("`--csr` is one key, which goes to one name"));
        }
        match (&*self.names, self.role) {
            ([name, ..], Role::Server) if !self.recipient.is_empty() => {
                Err(AuthorityError::ServerRecipients(name.clone()).into())
            }
            _ => Ok(()),
        }
    }

    fn outputs(&self, session: &Session) -> Result<Outputs, Failure> {
        if self.no_export {
            return Ok(Outputs::nowhere());
        }
        self.outputs.resolve(session, Whose::of(&self.names, self.role))
    }
}

/// One line that a terminal shows as it is.
fn note(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > 200 || text.chars().any(char::is_control) {
        return Err("a note is one line of 1 to 200 characters".to_owned());
    }
    Ok(text.to_owned())
}

#[derive(Serialize)]
struct Answer {
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
        only_passphrases(&self.issued.delivery.passphrases)
    }

    fn failures(&self) -> Vec<Failure> {
        undelivered(&self.issued.delivery, "issued")
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.dry_run { "would issue" } else { "issued" };
        for leaf in &self.issued.issued {
            let serial = leaf.serial.map_or_else(String::new, |serial| format!(" serial:{serial}"));
            writeln!(f, "{verb} {} until {}{serial}", leaf.name, leaf.validity.not_after().date())?;
            if let Some(former) = &leaf.formerly {
                writeln!(f, "  the name had serial:{}, {}", former.serial, former.since)?;
            }
        }
        for name in &self.issued.unchanged {
            writeln!(f, "{name} has access already")?;
        }
        write_bundles(f, &self.issued.delivery)
    }
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
  vpnpki issue server-west --role server --san west.example.com";
