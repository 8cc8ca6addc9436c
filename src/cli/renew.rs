//! `vpnpki renew`.
//! Knows nothing of how a certificate is replaced.

use std::{fmt, path::PathBuf};

use clap::Args;
use serde::Serialize;

use crate::{
    authority::{
        deliver::Outputs,
        renew::{RenewRequest, Renewed, Whom},
        Authority,
    },
    cli::{
        csr,
        outputs::{deliver_one, report_beside, undelivered, write_bundles, OutputOptions, Whose, NO_EXPORT},
        passphrase::only_passphrases,
        report::Report,
        revoke::{unpublished, write_published},
        session::Session,
        Exit, Failure,
    },
    inventory::Role,
    name::Name,
    pki::Algorithm,
    store::Access,
};

/// Replace someone's certificate: a new key and serial for the same name, and a new bundle
///
/// The old certificate stays accepted for the overlap, so that the new bundle can be handed over in peace, and is then
/// revoked as superseded: the CRL of that day is signed now, and `vpnpki crl publish` installs it without the vault.
/// A server's new certificate goes into the directories it runs from; OpenVPN there must be restarted.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Whose
    #[arg(required_unless_present = "due", value_name = "NAME")]
    names: Vec<Name>,
    /// Everyone's that ends soon, as `status` says
    #[arg(long, conflicts_with = "names")]
    due: bool,
    /// With --due: everyone's that ends within so many days
    #[arg(long, value_name = "DAYS", requires = "due", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    within: Option<u32>,
    /// How long the old certificate stays accepted; 0 ends it at once
    #[arg(long, value_name = "DAYS", default_value_t = 14, value_parser = clap::value_parser!(u32).range(0..=366))]
    overlap: u32,
    /// Days of validity [default: the settings']
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: Option<u32>,
    /// p256, p384, rsa2048, rsa3072, rsa4096 or ed25519 [default: the settings']
    #[arg(long, value_name = "ALG")]
    key: Option<Algorithm>,
    /// Certify the key in this certificate request (PEM or DER, - for standard input); its owner keeps the private one
    #[arg(long, value_name = "FILE", conflicts_with_all = ["key", "due"])]
    csr: Option<PathBuf>,
    #[command(flatten)]
    outputs: OutputOptions,
    /// Write no bundle
    #[arg(long, conflicts_with_all = NO_EXPORT)]
    no_export: bool,
    #[command(flatten)]
    restraint: Restraint,
}

#[derive(Args)]
struct Restraint {
    /// Leave every server as it is
    #[arg(long)]
    no_publish: bool,
    /// Say who would be renewed, and change nothing
    #[arg(long)]
    dry_run: bool,
}

impl Arguments {
    pub fn run(self, session: &Session) -> Result<Exit, Failure> {
        if self.csr.is_some() && self.names.len() > 1 {
            return Err(Failure::usage("`--csr` is one key, which goes to one name"));
        }
        let csr = self.csr.as_deref().map(csr::read).transpose()?;
        let authority = session.open(Access::Write)?;
        let outputs = self.outputs(session, &authority)?;
        let request = RenewRequest {
            whom: if self.due { Whom::Due(self.within) } else { Whom::Named(self.names) },
            algorithm: self.key,
            days: self.days,
            overlap: self.overlap,
            csr,
            outputs,
            no_publish: self.restraint.no_publish,
            dry_run: self.restraint.dry_run,
        };
        let mut renewed = authority.renew(&request, session)?;
        let name = renewed.renewed.first().map(|one| &one.issued.name);
        deliver_one(renewed.delivery.stdout.take(), name, "renewed")?;
        let answer = Answer { renewed, overlap: self.overlap, dry_run: self.restraint.dry_run };
        report_beside(session, &answer, &answer.renewed.delivery, &request.outputs.destination)
    }

    fn outputs(&self, session: &Session, authority: &Authority) -> Result<Outputs, Failure> {
        if self.no_export {
            return Ok(Outputs::nowhere());
        }
        self.outputs.resolve(session, Whose::known(&self.names, authority)?)
    }
}

#[derive(Serialize)]
struct Answer {
    #[serde(flatten)]
    renewed: Renewed,
    overlap: u32,
    dry_run: bool,
}

impl Report for Answer {
    const COMMAND: &'static str = "renew";

    fn warnings(&self) -> &[String] {
        &self.renewed.warnings
    }

    fn essential(&self) -> String {
        only_passphrases(&self.renewed.delivery.passphrases)
    }

    fn failures(&self) -> Vec<Failure> {
        let mut failures = undelivered(&self.renewed.delivery, "renewed");
        failures.extend(self.renewed.published.iter().flat_map(unpublished));
        failures
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.dry_run { "would renew" } else { "renewed" };
        if self.renewed.renewed.is_empty() && self.renewed.left.is_empty() {
            writeln!(f, "nothing is due")?;
        }
        for one in &self.renewed.renewed {
            let issued = &one.issued;
            let serial = issued.serial.map_or_else(String::new, |serial| format!(" serial:{serial}"));
            writeln!(f, "{verb} {} until {}{serial}", issued.name, issued.validity.not_after().date())?;
            for old in &one.replaced {
                match self.overlap {
                    0 => writeln!(f, "  serial:{} is revoked", old.serial)?,
                    _ => writeln!(f, "  serial:{} is accepted until {}, then revoked", old.serial, old.accepted_until)?,
                }
            }
        }
        write_bundles(f, &self.renewed.delivery)?;
        if let Some(published) = &self.renewed.published {
            write_published(f, published)?;
        }
        let servers = self.renewed.renewed.iter().filter(|one| one.issued.role == Role::Server);
        for one in servers.filter(|_| !self.dry_run) {
            writeln!(
                f,
                "restart OpenVPN on {0} (`systemctl restart openvpn-server@server`): a reload keeps the old certificate, and \
                 after a restart sessions reconnect by themselves",
                one.issued.name
            )?;
        }
        Ok(())
    }
}

const EXAMPLES: &str = "\
Examples:
  vpnpki renew laptop-7 -o bundles/
  vpnpki renew --due --within 60 -o bundles/
  vpnpki renew laptop-7 --overlap 0 --force
  vpnpki renew laptop-7 --csr laptop-7.csr --force
  vpnpki renew server";
