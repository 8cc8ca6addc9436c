//! `vpnpki status`: one screen, and exit 3 when something is due.
//! Knows the forms it can be printed in, not what is in them.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::{
    cli::{
        report::{self, Report},
        session::Session,
        Exit, Failure,
    },
    files::{self, Overwrite, Visibility},
    store::Access,
};

mod calendar;
mod prometheus;
pub(in crate::cli) mod screen;

use screen::Screen;

/// Show the CA, servers, CRL and clients on one screen; exit 3 when something is due
///
/// Due is what ends soon (`[due]` in the settings says how soon), a server that does not have the newest CRL, and a store
/// that was put back. Needs no passphrase. Every form ends with the same exit code, which a timer that only collects
/// passes over with `|| true`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// For people, for node_exporter's textfile collector, or for a calendar (iCalendar)
    #[arg(long, value_enum, value_name = "FORMAT", conflicts_with = "json")]
    format: Option<Format>,
    /// Write to FILE, mode 0644, in one step: whoever reads it never sees half of it
    #[arg(short, long, value_name = "FILE", conflicts_with = "json")]
    out: Option<PathBuf>,
    /// With `--format prometheus`: the end of every client's certificate, with its name as a label
    #[arg(long)]
    names: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One screen
    Text,
    /// Gauges in Prometheus' text format
    Prometheus,
    /// A calendar (RFC 5545) with an event for every end, and reminders 30 and 7 days before
    Ics,
}

impl Arguments {
    pub fn run(self, session: &Session) -> Result<Exit, Failure> {
        let format = self.format.unwrap_or(Format::Text);
        if self.names && format != Format::Prometheus {
            return Err(Failure::usage("`--names` belongs to `--format prometheus`"));
        }
        let authority = session.open(Access::Read)?;
        let screen = Screen::of(&authority)?;
        let view = authority.view()?;
        let text = match format {
            Format::Text if self.out.is_none() => return session.report(&screen),
            Format::Text => screen.to_string(),
            Format::Prometheus if self.names => prometheus::render(&screen, &screen::client_ends(&*view, screen.now)?),
            Format::Prometheus => prometheus::render(&screen, &[]),
            Format::Ics => calendar::render(&screen, &screen::client_ends(&*view, screen.now)?),
        };
        screen.warnings().iter().for_each(|warning| session.warn(warning));
        match self.out {
            Some(out) if out.as_os_str() != "-" => {
                files::stage(&out, text.as_bytes(), Visibility::Public, Overwrite::Replace, None)?.release()?;
            }
            _ => report::print(&text)?,
        }
        Ok(screen.exit())
    }
}

const EXAMPLES: &str = "\
Examples:
  vpnpki status
  vpnpki status --format prometheus -o /var/lib/prometheus/node-exporter/vpnpki.prom || true
  vpnpki status --format ics -o vpn.ics";
