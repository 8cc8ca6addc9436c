//! `vpnpki show`.
//! A function over a snapshot.

use std::fmt;

use clap::Args;
use serde::Serialize;

use crate::{
    authority::verdict::Subject,
    cli::{report::Report, revoke::subject, session::Session, Exit, Failure},
    inventory::{Certificate, KeyPlace, Peer, Reason, Role, Status},
    name::{escape, Name},
    pki,
    serial::Serial,
    store::{Access, View},
    time::Time,
};

/// Show everything about one name or certificate
#[derive(Args)]
pub struct Arguments {
    /// Whose, or which
    #[arg(value_name = "NAME|serial:HEX", value_parser = subject)]
    subject: Subject,
}

#[derive(Serialize)]
struct Answer {
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<Whose>,
    certificates: Vec<Details>,
}

#[derive(Serialize)]
struct Whose {
    name: Name,
    role: Role,
    created: Time,
    current: Serial,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    recipients: Vec<String>,
}

#[derive(Serialize)]
struct Details {
    serial: Serial,
    status: Status,
    not_before: Time,
    not_after: Time,
    days_left: i64,
    issued: Time,
    algorithm: Option<String>,
    key_kept: bool,
    key_with_owner: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    /// When the overlap after a renewal ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    accepted_until: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pem: Option<String>,
}

impl Arguments {
    pub fn run(self, session: &Session) -> Result<Exit, Failure> {
        let authority = session.open(Access::Read)?;
        let (view, now) = (authority.view()?, authority.now());
        let (peer, certificates) = match &self.subject {
            Subject::Peer(name) => {
                let peer = authority.peer(&*view, name)?;
                (Some(peer), view.certificates_of(name)?)
            }
            Subject::Serial(serial) | Subject::AnySerial(serial) => {
                let certificate = authority.certificate(&*view, serial)?;
                let holder = certificate.holder.as_ref().map(|holder| view.peer(&holder.name)).transpose()?;
                (holder.flatten(), vec![certificate])
            }
        };
        let details = certificates.iter().rev().map(|certificate| Details::of(&*view, certificate, now));
        session.report(&Answer { peer: peer.map(Whose::of), certificates: details.collect::<Result<_, Failure>>()? })
    }
}

impl Whose {
    fn of(peer: Peer) -> Self {
        let Peer { name, role, created, current, note, recipients, .. } = peer;
        Self { name, role, created, current, note, recipients }
    }
}

impl Details {
    fn of(view: &dyn View, certificate: &Certificate, now: Time) -> Result<Self, Failure> {
        let serial = certificate.serial;
        Ok(Self {
            serial,
            status: certificate.status(now),
            not_before: certificate.validity.not_before(),
            not_after: certificate.validity.not_after(),
            days_left: now.days_until(certificate.validity.not_after()),
            issued: certificate.issued,
            algorithm: certificate.holder.as_ref().map(|holder| holder.algorithm.clone()),
            key_kept: view.sealed_key(&serial)?.is_some(),
            key_with_owner: certificate.holder.as_ref().is_some_and(|holder| holder.key == KeyPlace::WithOwner),
            revoked: certificate.refusal(now).map(|refusal| refusal.at),
            reason: certificate.refusal(now).map(|refusal| refusal.reason),
            accepted_until: certificate.overlap_ends.filter(|_| certificate.status(now) == Status::Superseded),
            pem: view.certificate_der(&serial)?.map(|der| pki::certificate_pem(&der)),
        })
    }
}

impl Report for Answer {
    const COMMAND: &'static str = "show";
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.peer {
            Some(peer) => writeln!(f, "{} ({}), since {}", peer.name, peer.role, peer.created.date())?,
            None => writeln!(f, "holder unknown: learned from a published CRL")?,
        }
        if let Some(note) = self.peer.as_ref().and_then(|peer| peer.note.as_deref()) {
            writeln!(f, "  {}", escape(note))?;
        }
        for recipient in self.peer.iter().flat_map(|peer| &peer.recipients) {
            writeln!(f, "  bundles encrypted to {recipient}")?;
        }
        for certificate in &self.certificates {
            let current = self.peer.as_ref().is_some_and(|peer| peer.current == certificate.serial);
            writeln!(f, "serial:{}{}", certificate.serial, if current { " (current)" } else { "" })?;
            write!(f, "  {}", certificate.status)?;
            if let (Some(at), Some(reason)) = (certificate.revoked, certificate.reason) {
                write!(f, " since {at} ({reason})")?;
            }
            if let Some(until) = certificate.accepted_until {
                write!(f, ", accepted until {until}, then revoked")?;
            }
            writeln!(
                f,
                "\n  from {} until {}, {} days left",
                certificate.not_before, certificate.not_after, certificate.days_left
            )?;
            let key = match (certificate.key_with_owner, certificate.key_kept) {
                (true, _) => "held by its owner",
                (false, true) => "kept, sealed",
                (false, false) => "not kept",
            };
            writeln!(
                f,
                "  issued {}, key {} {key}",
                certificate.issued,
                certificate.algorithm.as_deref().unwrap_or("unknown")
            )?;
        }
        Ok(())
    }
}
