//! Certificates as the inventory knows them, and what a certificate's status is at a time.
//! Knows nothing of DER.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    inventory::Role,
    name::Name,
    serial::Serial,
    time::{Time, DAY},
    validity::Validity,
};

/// One certificate that this authority signed, or one that it knows only by its serial from a CRL of its own.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Certificate {
    /// Unique for the issuer.
    pub serial: Serial,
    /// Which issuer signed it, counted from 1.
    pub issuer: u32,
    /// Whose it is; none for a serial that was learned from a published CRL after the store was put back.
    pub holder: Option<Holder>,
    /// When it holds.
    pub validity: Validity,
    /// When it was recorded.
    pub issued: Time,
    /// Since when and why it is refused.
    pub revocation: Option<Revocation>,
    /// When the overlap after its renewal ends: from then on it is refused as superseded, recorded or not.
    pub overlap_ends: Option<Time>,
}

/// What decides whether, and for how long, a certificate is on the CRL; not whose it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Barred {
    /// Which.
    pub serial: Serial,
    /// Its last second.
    pub not_after: Time,
    /// As in [`Certificate::revocation`].
    pub revocation: Option<Revocation>,
    /// As in [`Certificate::overlap_ends`].
    pub overlap_ends: Option<Time>,
}

/// Whose certificate it is and with what key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Holder {
    /// The peer's name, the certificate's CN.
    pub name: Name,
    /// The peer's role.
    pub role: Role,
    /// `p256`, `rsa2048`, …
    pub algorithm: String,
    /// Who has the private key.
    #[serde(default)]
    pub key: KeyPlace,
}

/// Where the private key to a certificate was made, and has been since.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyPlace {
    /// Here, whether it is kept or not.
    #[default]
    Here,
    /// With its owner, who sent a certificate request.
    WithOwner,
}

/// A revocation: never deleted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Revocation {
    /// When it was recorded (RFC 5280, 5.1.2.6).
    pub at: Time,
    /// Why.
    pub reason: Reason,
}

/// Why a certificate was revoked (RFC 5280, 5.3.1): the reasons that make sense for a leaf.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reason {
    /// No reason given: no reason code on the CRL.
    Unspecified,
    /// The private key is in other hands.
    KeyCompromise,
    /// The holder's name or affiliation changed.
    AffiliationChanged,
    /// Replaced by another certificate.
    Superseded,
    /// No longer needed.
    CessationOfOperation,
    /// Suspended for a time.
    CertificateHold,
    /// The holder may no longer have access.
    PrivilegeWithdrawn,
}

/// What a certificate is at a time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Accepted.
    Valid,
    /// Its time is over.
    Expired,
    /// On the CRL.
    Revoked,
    /// On the CRL with certificateHold.
    Suspended,
    /// Renewed, and accepted until the overlap ends.
    Superseded,
}

impl Certificate {
    /// The status at `now`. Revoked stays revoked after its time.
    pub fn status(&self, now: Time) -> Status {
        match self.refusal(now) {
            Some(Revocation { reason: Reason::CertificateHold, .. }) => Status::Suspended,
            Some(_) => Status::Revoked,
            None if now > self.validity.not_after() => Status::Expired,
            None if self.overlap_ends.is_some() => Status::Superseded,
            None => Status::Valid,
        }
    }

    /// Since when and why it is refused at `now`: what was recorded, or an overlap that is over, which also ends a hold.
    pub fn refusal(&self, now: Time) -> Option<Revocation> {
        self.barred().refusal(now)
    }

    /// Whether servers let its holder in at `now`.
    pub fn is_accepted(&self, now: Time) -> bool {
        matches!(self.status(now), Status::Valid | Status::Superseded)
    }

    /// Whether it is revoked for good: a hold can be resumed.
    pub fn is_revoked_for_good(&self) -> bool {
        self.revocation.is_some_and(|revocation| !revocation.is_hold())
    }

    /// Whether the CRL signed at `now` must list it: see [`Barred::on_crl`].
    pub fn belongs_on_crl(&self, now: Time, published: Option<Time>) -> bool {
        self.barred().on_crl(now, published).is_some()
    }

    /// What of it decides about the CRL.
    pub fn barred(&self) -> Barred {
        let Self { serial, validity, revocation, overlap_ends, .. } = *self;
        Barred { serial, not_after: validity.not_after(), revocation, overlap_ends }
    }
}

impl Barred {
    /// As [`Certificate::refusal`].
    pub fn refusal(&self, now: Time) -> Option<Revocation> {
        let over = self.overlap_ends.filter(|ends| *ends <= now);
        let superseded = over.map(|at| Revocation { at, reason: Reason::Superseded });
        self.revocation.filter(|revocation| !revocation.is_hold()).or(superseded).or(self.revocation)
    }

    /// What the CRL signed at `now` must say of it. An entry stays until 30 days past notAfter, and until it stood on one
    /// CRL issued after that (RFC 5280, 3.3); `published` is the thisUpdate of the newest CRL so far.
    pub fn on_crl(&self, now: Time, published: Option<Time>) -> Option<Revocation> {
        let over = now > self.not_after.plus_seconds(30 * DAY) && published.is_some_and(|time| time > self.not_after);
        self.refusal(now).filter(|_| !over)
    }
}

impl Revocation {
    /// Whether it is a hold, which can end.
    pub fn is_hold(&self) -> bool {
        self.reason == Reason::CertificateHold
    }
}

impl Reason {
    /// Every reason, in the order of their codes.
    pub const ALL: [Self; 7] = [
        Self::Unspecified,
        Self::KeyCompromise,
        Self::AffiliationChanged,
        Self::Superseded,
        Self::CessationOfOperation,
        Self::CertificateHold,
        Self::PrivilegeWithdrawn,
    ];

    /// The CRLReason code; `unspecified` is never written (RFC 5280, 5.3.1).
    pub fn code(self) -> u8 {
        match self {
            Self::Unspecified => 0,
            Self::KeyCompromise => 1,
            Self::AffiliationChanged => 3,
            Self::Superseded => 4,
            Self::CessationOfOperation => 5,
            Self::CertificateHold => 6,
            Self::PrivilegeWithdrawn => 9,
        }
    }

    /// The reason of a code found on a CRL; codes that make no sense for a leaf count as unspecified.
    pub fn from_code(code: u8) -> Self {
        Self::ALL.into_iter().find(|reason| reason.code() == code).unwrap_or(Self::Unspecified)
    }

    fn word(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "keyCompromise",
            Self::AffiliationChanged => "affiliationChanged",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessationOfOperation",
            Self::CertificateHold => "certificateHold",
            Self::PrivilegeWithdrawn => "privilegeWithdrawn",
        }
    }
}

impl fmt::Display for Reason {
    /// RFC 5280's word.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for Reason {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|reason| reason.word().eq_ignore_ascii_case(text)).ok_or_else(|| {
            let words: Vec<_> = Self::ALL.iter().map(|reason| reason.word()).collect();
            format!("`{}` is no reason; there are {}", crate::name::escape(text), words.join(", "))
        })
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Valid => "valid",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Suspended => "suspended",
            Self::Superseded => "superseded",
        })
    }
}

impl FromStr for Status {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Valid, Self::Expired, Self::Revoked, Self::Suspended, Self::Superseded]
            .into_iter()
            .find(|status| status.to_string() == text)
            .ok_or_else(|| {
                format!(
                    "`{}` is no status; there are valid, expired, revoked, suspended, superseded",
                    crate::name::escape(text)
                )
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(revocation: Option<Revocation>) -> Certificate {
        Certificate {
            serial: Serial::fresh([1; 16]),
            issuer: 1,
            holder: None,
            validity: Validity::of_days(Time::from_unix(0), 10, 0),
            issued: Time::from_unix(0),
            revocation,
            overlap_ends: None,
        }
    }

    #[test]
    fn status_follows_time_and_revocation() {
        let revoked = Some(Revocation { at: Time::from_unix(5), reason: Reason::KeyCompromise });
        assert_eq!(certificate(None).status(Time::from_unix(9)), Status::Valid);
        assert_eq!(certificate(None).status(Time::from_unix(10 * DAY)), Status::Expired);
        assert_eq!(certificate(revoked).status(Time::from_unix(99 * DAY)), Status::Revoked);
    }

    #[test]
    fn an_overlap_that_is_over_refuses_whether_recorded_or_not() {
        let ends = Some(Time::from_unix(5 * DAY));
        let [before, at] = [5 * DAY - 1, 5 * DAY].map(Time::from_unix);
        let renewed = Certificate { overlap_ends: ends, ..certificate(None) };
        assert_eq!((renewed.status(before), renewed.refusal(before)), (Status::Superseded, None));
        assert_eq!((renewed.status(at), renewed.refusal(at).unwrap().reason), (Status::Revoked, Reason::Superseded));
        let suspended = Some(Revocation { at: Time::from_unix(5), reason: Reason::CertificateHold });
        let paused = Certificate { overlap_ends: ends, ..certificate(suspended) };
        assert_eq!((paused.status(before), paused.status(at)), (Status::Suspended, Status::Revoked));
        let stolen = Some(Revocation { at: Time::from_unix(5), reason: Reason::KeyCompromise });
        let revoked = Certificate { overlap_ends: ends, ..certificate(stolen) };
        assert_eq!(revoked.refusal(at), stolen);
    }

    #[test]
    fn a_revoked_serial_leaves_the_crl_late_and_only_after_one_more_crl() {
        let revoked = certificate(Some(Revocation { at: Time::from_unix(5), reason: Reason::Unspecified }));
        let day = |day| Time::from_unix(day * DAY);
        assert!(revoked.belongs_on_crl(day(39), Some(day(38))));
        assert!(revoked.belongs_on_crl(day(400), Some(day(9))), "it was on no CRL since it expired");
        assert!(revoked.belongs_on_crl(day(400), None));
        assert!(!revoked.belongs_on_crl(day(400), Some(day(399))));
        assert!(!certificate(None).belongs_on_crl(day(1), None));
    }

    #[test]
    fn reasons_keep_their_codes() {
        for reason in Reason::ALL {
            assert_eq!(Reason::from_code(reason.code()), reason);
            assert_eq!(reason.to_string().parse(), Ok(reason));
        }
    }
}
