//! `vpnpki list`.
//! A function over a snapshot: rows are printed as they come, in constant memory, since an index has every order.

use std::{fmt, ops::ControlFlow};

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::{
    cli::{
        report::{Rows, Style},
        session::Session,
        Exit, Failure,
    },
    inventory::{Certificate, KeyPlace, Reason, Role, Status},
    name::Name,
    serial::Serial,
    store::{Access, Listing, Order, View},
    time::Time,
};

/// Show who has access, with dates and days left
///
/// One line for each name with its current certificate; --history shows every certificate ever issued.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Only valid, expired, revoked, suspended or (with --history) superseded ones
    #[arg(long, value_name = "STATUS")]
    status: Option<Status>,
    /// Only clients or servers
    #[arg(long, value_name = "ROLE")]
    role: Option<Role>,
    /// Only valid ones that end within so many days
    #[arg(long, value_name = "DAYS")]
    expiring: Option<u32>,
    /// In this order
    #[arg(long, value_enum, default_value_t = Sort::Name)]
    sort: Sort,
    /// Every certificate, not only the current ones
    #[arg(long)]
    history: bool,
    /// One JSON object a line
    #[arg(long, conflicts_with = "json")]
    jsonl: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Sort {
    /// By name
    Name,
    /// By end of validity
    Expiry,
    /// As they were issued
    Issued,
}

#[derive(Serialize)]
struct Row<'a> {
    name: Option<&'a Name>,
    role: Option<Role>,
    status: Status,
    serial: Serial,
    not_before: Time,
    not_after: Time,
    days_left: i64,
    issued: Time,
    algorithm: Option<&'a str>,
    /// That its owner has the private key, and we never had.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    key_with_owner: bool,
    /// To whom bundles are encrypted.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    recipients: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
}

impl Arguments {
    pub fn run(self, session: &Session) -> Result<Exit, Failure> {
        let authority = session.open(Access::Read)?;
        let (view, now) = (authority.view()?, authority.now());
        let style = if self.jsonl { Style::Lines } else { Style::Text };
        let mut rows = session.rows(style, "list", "certificates");
        let names_only = session.quiet();
        if !names_only {
            rows.line(&format!(
                "{:<24} {:<6} {:<10} {:<10} {:>6}  SERIAL\n",
                "NAME", "ROLE", "STATUS", "UNTIL", "DAYS"
            ))?;
        }
        self.each(&*view, now, &mut |row| print(&mut rows, row, names_only))?;
        rows.end(&[])?;
        Ok(Exit::Done)
    }

    /// Every row that was asked for, in order.
    fn each(
        &self,
        view: &dyn View,
        now: Time,
        print: &mut dyn FnMut(&Row) -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        let which = if self.history { Listing::Every } else { Listing::Current };
        let order = match self.sort {
            Sort::Name => Order::Name,
            Sort::Expiry => Order::End,
            Sort::Issued => Order::Issued,
        };
        let mut outcome = Ok(());
        view.listing(which, order, &mut |certificate, recipients| {
            let recipients = if self.history { &[] } else { recipients.as_slice() };
            let row = Row { recipients, ..Row::of(&certificate, now) };
            if !self.wants(&row) {
                return ControlFlow::Continue(());
            }
            match print(&row) {
                Ok(true) => ControlFlow::Continue(()),
                Ok(false) => ControlFlow::Break(()),
                Err(failure) => {
                    outcome = Err(failure);
                    ControlFlow::Break(())
                }
            }
        })?;
        outcome
    }

    fn wants(&self, row: &Row) -> bool {
        let expiring = |days: u32| row.status == Status::Valid && row.days_left <= i64::from(days);
        self.status.is_none_or(|status| row.status == status)
            && self.role.is_none_or(|role| row.role == Some(role))
            && self.expiring.is_none_or(expiring)
    }
}

impl<'a> Row<'a> {
    fn of(certificate: &'a Certificate, now: Time) -> Self {
        let (holder, refusal) = (certificate.holder.as_ref(), certificate.refusal(now));
        Self {
            name: holder.map(|holder| &holder.name),
            role: holder.map(|holder| holder.role),
            status: certificate.status(now),
            serial: certificate.serial,
            not_before: certificate.validity.not_before(),
            not_after: certificate.validity.not_after(),
            days_left: now.days_until(certificate.validity.not_after()),
            issued: certificate.issued,
            algorithm: holder.map(|holder| holder.algorithm.as_str()),
            key_with_owner: holder.is_some_and(|holder| holder.key == KeyPlace::WithOwner),
            recipients: &[],
            revoked: refusal.map(|refusal| refusal.at),
            reason: refusal.map(|refusal| refusal.reason),
        }
    }
}

impl fmt::Display for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<24} ", self.name.map_or("-", Name::as_str))?;
        match self.role {
            Some(role) => write!(f, "{role:<6} ")?,
            None => f.write_str("-      ")?,
        }
        let Self { status, not_after, days_left, serial, .. } = self;
        writeln!(f, "{status:<10} {not_after:.10} {days_left:>6}  {serial}")
    }
}

/// With `--quiet` one name a line.
fn print(rows: &mut Rows, row: &Row, names_only: bool) -> Result<bool, Failure> {
    match (&row.name, names_only) {
        (Some(name), true) => rows.row(row, || format!("{name}\n")),
        (None, true) => Ok(true),
        (_, false) => rows.row(row, || row),
    }
}

const EXAMPLES: &str = "\
Examples:
  vpnpki list --status valid --expiring 30
  vpnpki list -q --role client
  vpnpki list --history --jsonl";
