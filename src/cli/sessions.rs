//! `vpnpki sessions`.
//! Knows nothing of how servers are asked.

use std::fmt;

use clap::Args;
use serde::Serialize;

use crate::{
    authority::live::{Answered, Asked, Connected, Live},
    cli::{kick::unanswered, report::Report, session::Session, Exit, Failure},
    name::{escape, Name},
    store::Access,
};

/// Show who is connected, to which server, from where and since when
///
/// Asks the management interface of OpenVPN that the settings name for each server. STATUS is that of the certificates in the
/// store; `unknown` is a name that this authority never gave. Needs no passphrase.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Only theirs
    #[arg(value_name = "NAME")]
    names: Vec<Name>,
}

impl Arguments {
    pub fn run(self, session: &Session) -> Result<Exit, Failure> {
        let authority = session.open(Access::Read)?;
        authority.known(&self.names)?;
        let (publishing, mut warnings) = authority.publishing();
        let mut asked = authority.connected(&self.names, &publishing)?;
        warnings.append(&mut asked.warnings);
        session.report(&Table::of(asked, warnings))
    }
}

#[derive(Serialize)]
struct Table {
    sessions: Vec<Row>,
    #[serde(flatten)]
    asked: Asked<Nothing>,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct Row {
    server: String,
    #[serde(flatten)]
    live: Live,
}

/// What is left of an answer once its sessions are rows.
#[derive(Serialize)]
struct Nothing {}

impl Table {
    fn of(asked: Asked<Connected>, warnings: Vec<String>) -> Self {
        let Asked { servers, faulty, first, .. } = asked;
        let mut sessions = Vec::new();
        let mut emptied = Vec::new();
        for Answered { server, management, answer, problem } in servers {
            sessions.extend(answer.sessions.into_iter().map(|live| Row { server: server.clone(), live }));
            emptied.push(Answered { server, management, answer: Nothing {}, problem });
        }
        sessions.sort_by(|one, other| one.live.session.name.cmp(&other.live.session.name));
        Self { sessions, asked: Asked { servers: emptied, faulty, warnings: Vec::new(), first }, warnings }
    }
}

impl Report for Table {
    const COMMAND: &'static str = "sessions";

    fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn failures(&self) -> Vec<Failure> {
        unanswered(&self.asked)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heading = ["NAME", "SERVER", "STATUS", "ADDRESS", "SINCE", "FROM"].map(str::to_owned);
        let rows: Vec<[String; 6]> = if self.asked.nobody() {
            Vec::new()
        } else {
            std::iter::once(heading).chain(self.sessions.iter().map(Row::words)).collect()
        };
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: [usize; 5] = std::array::from_fn(width);
        for row in &rows {
            for (word, width) in row.iter().zip(widths) {
                write!(f, "{word:<width$}  ")?;
            }
            writeln!(f, "{}", row[5])?;
        }
        Ok(())
    }
}

impl Row {
    fn words(&self) -> [String; 6] {
        let Live { session, status } = &self.live;
        let address = session.virtual_address.as_ref().or(session.virtual_ipv6.as_ref());
        [
            escape(&session.name),
            self.server.clone(),
            status.map_or_else(|| "unknown".to_owned(), |status| status.to_string()),
            address.map_or_else(|| "-".to_owned(), |address| escape(address)),
            session.since.to_string(),
            escape(&session.real_address),
        ]
    }
}

const EXAMPLES: &str = "\
Examples:
  vpnpki sessions
  vpnpki sessions laptop-7 --json";
