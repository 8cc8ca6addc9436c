//! What becomes of one certificate: revoked, suspended, resumed or superseded, as facts and ledger events.
//! Signs nothing and publishes nothing.

use crate::{
    authority::{due, known_peer, since, AuthorityError, Unlocked},
    inventory::{Certificate, Change, Event, Reason, Revocation, Status},
    name::Name,
    pki::IssuerCertificate,
    serial::Serial,
    settings::Keep,
    store::{View, Writing},
    time::Time,
};

/// Whose access ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A peer: every certificate of it that is still accepted.
    Peer(Name),
    /// One certificate.
    Serial(Serial),
    /// One certificate, also one that the store does not know, since it was put back.
    AnySerial(Serial),
}

/// What becomes of access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It ends for good.
    Revoke(Reason),
    /// It ends until it is resumed (certificateHold).
    Suspend,
    /// It is given back after a hold.
    Resume,
}

impl Subject {
    /// The same, where a serial that nobody knows is no mistake.
    #[must_use]
    pub fn also_unknown(self) -> Self {
        match self {
            Self::Serial(serial) => Self::AnySerial(serial),
            other => other,
        }
    }
}

impl Verdict {
    pub(super) fn revocation(self, at: Time) -> Option<Revocation> {
        match self {
            Self::Revoke(reason) => Some(Revocation { at, reason }),
            Self::Suspend => Some(Revocation { at, reason: Reason::CertificateHold }),
            Self::Resume => None,
        }
    }

    /// Whether there is something to do to this certificate.
    pub(super) fn applies_to(self, certificate: &Certificate, now: Time) -> bool {
        match self {
            Self::Revoke(_) => !certificate.is_revoked_for_good(),
            Self::Suspend => certificate.is_accepted(now),
            Self::Resume => certificate.status(now) == Status::Suspended,
        }
    }

    pub(super) fn record(
        self,
        writing: &mut dyn Writing,
        certificate: Certificate,
        now: Time,
        keep: Keep,
    ) -> Result<Option<Event>, AuthorityError> {
        match self.revocation(now) {
            Some(revocation) if revocation.is_hold() => record(writing, certificate, revocation, Keep::Always),
            Some(revocation) => record(writing, certificate, revocation, keep),
            None => {
                let name = certificate.holder.as_ref().map(|holder| holder.name.clone());
                let resumed = Event::Resumed { name, serial: certificate.serial };
                writing.record(&Change::Certificate(Certificate { revocation: None, ..certificate }))?;
                Ok(Some(resumed))
            }
        }
    }
}

pub(super) fn record(
    writing: &mut dyn Writing,
    certificate: Certificate,
    revocation: Revocation,
    keep: Keep,
) -> Result<Option<Event>, AuthorityError> {
    let serial = certificate.serial;
    let certificate = Certificate { revocation: Some(revocation), ..certificate };
    let event = Event::revoked(&certificate);
    writing.record(&Change::Certificate(certificate))?;
    if keep != Keep::Always && writing.sealed_key(&serial)?.is_some() {
        writing.record(&Change::SealedKey(serial, None))?;
    }
    Ok(event)
}

/// What is refused since its overlap is over, by a CRL that was signed beforehand, is recorded as revoked.
pub(super) fn record_overlaps(
    writing: &mut dyn Writing,
    unlocked: &Unlocked,
    now: Time,
    keep: Keep,
) -> Result<Vec<Event>, AuthorityError> {
    let mut over = Vec::new();
    writing.superseded(unlocked.number, &mut |certificate| {
        over.extend(
            certificate.refusal(now).filter(|refusal| !refusal.is_hold()).map(|refusal| (certificate, refusal)),
        );
    })?;
    let mut events = Vec::new();
    for (certificate, refusal) in over {
        events.extend(record(writing, certificate, refusal, keep)?);
    }
    Ok(events)
}

/// What was replaced is accepted until `ends`, or ends now; the moment from which it is refused.
pub(super) fn supersede(
    writing: &mut dyn Writing,
    certificate: Certificate,
    ends: Time,
    now: Time,
    keep: Keep,
) -> Result<(Option<Event>, Time), AuthorityError> {
    if ends <= now {
        let revocation = Revocation { at: now, reason: Reason::Superseded };
        return Ok((record(writing, certificate, revocation, keep)?, now));
    }
    // a second renewal does not lengthen the first one's overlap
    let ends = certificate.overlap_ends.map_or(ends, |before| before.min(ends));
    let event = certificate.holder.as_ref().map(|holder| Event::Superseded {
        name: holder.name.clone(),
        serial: certificate.serial,
        not_after: certificate.validity.not_after(),
        overlap_ends: ends,
    });
    let until = ends.min(certificate.validity.not_after());
    writing.record(&Change::Certificate(Certificate { overlap_ends: Some(ends), ..certificate }))?;
    Ok((event, until))
}

/// Of a peer: all that is still accepted or suspended, or the newest when nothing is.
pub(super) fn certificates_of(
    view: &dyn View,
    subject: &Subject,
    now: Time,
) -> Result<Vec<Certificate>, AuthorityError> {
    match subject {
        Subject::Serial(serial) => Ok(vec![view.certificate(serial)?.ok_or(AuthorityError::UnknownSerial(*serial))?]),
        Subject::AnySerial(serial) => {
            if let Some(certificate) = view.certificate(serial)? {
                return Ok(vec![certificate]);
            }
            let facts = view.issuer()?;
            let life = IssuerCertificate::parse(&facts.certificate)?.validity();
            Ok(vec![due::unknown(life, facts.number, *serial, now)])
        }
        Subject::Peer(name) => {
            known_peer(view, name)?;
            let mut all = view.certificates_of(name)?;
            let newest = all.pop();
            let open =
                |certificate: &Certificate| !matches!(certificate.status(now), Status::Revoked | Status::Expired);
            let mut open: Vec<Certificate> = all.into_iter().filter(open).collect();
            open.extend(newest);
            Ok(open)
        }
    }
}

/// Nothing to suspend or resume is an answer only where it stands so already.
pub(super) fn refuse_vain(verdict: Verdict, certificate: &Certificate, now: Time) -> Result<(), AuthorityError> {
    let what = match (verdict, certificate.status(now)) {
        (Verdict::Suspend | Verdict::Resume, Status::Revoked) => {
            since(&certificate.refusal(now).ok_or(AuthorityError::UnknownSerial(certificate.serial))?)
        }
        (Verdict::Suspend, Status::Expired) => format!("expired since {}", certificate.validity.not_after().date()),
        _ => return Ok(()),
    };
    let verb = if verdict == Verdict::Suspend { "suspend" } else { "resume" };
    let whose = certificate
        .holder
        .as_ref()
        .map_or_else(|| format!("serial:{}", certificate.serial), |holder| holder.name.to_string());
    Err(AuthorityError::Vain { verb, whose, what, mend: None })
}
