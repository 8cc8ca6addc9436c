//! Whether a CRL that lies in a target is older than the store's, or knows more than it: then the store was put back.
//! Decides nothing about what follows from that.

use std::collections::BTreeSet;

use crate::{
    authority::AuthorityError,
    inventory::{Reason, SignedCrl},
    pki::{self, Crl, IssuerCertificate, RevokedEntry},
    serial::Serial,
    store::{CrlFacts, View},
    time::Time,
};

/// What another CRL than the newest is, as it lies in a target.
pub(super) enum Standing {
    /// It knows of a revocation, or has a number, that the store does not: the store was put back.
    Newer(Crl),
    /// It was signed in advance, and put there by a clock that was ahead: a CRL never goes back.
    Ahead,
    /// Older, or none of ours: it is replaced.
    Behind,
}

/// What the store knows, to hold against it what lies in a target.
pub(super) struct Known<'a> {
    view: &'a dyn View,
    issuer: &'a IssuerCertificate,
    number: u32,
    now: Time,
    /// All that were signed, in advance too.
    crls: Vec<CrlFacts>,
}

impl<'a> Known<'a> {
    pub(super) fn of(
        view: &'a dyn View,
        issuer: &'a IssuerCertificate,
        number: u32,
        now: Time,
    ) -> Result<Self, AuthorityError> {
        Ok(Self { view, issuer, number, now, crls: view.crls(number)? })
    }

    /// A number alone does not tell: a store that was put back may have signed others under the same ones.
    pub(super) fn judge(&self, pem: &[u8]) -> Result<Standing, AuthorityError> {
        let there = match Crl::from_pem(pem) {
            Ok(there) if there.number().is_some() && there.verify(self.issuer).is_ok() => there,
            _ => return Ok(Standing::Behind),
        };
        let current = self.view.crl(self.number, self.now)?.ok_or(AuthorityError::NoCrl)?;
        if there.number() <= Some(current.number) {
            let known = pki::crl_pem(&current.der).as_bytes() == pem || !self.forgot(&there, &current)?;
            return Ok(if known { Standing::Behind } else { Standing::Newer(there) });
        }
        let Some(rung) = self.crls.iter().find(|crl| Some(crl.number) == there.number()) else {
            return Ok(Standing::Newer(there));
        };
        let ours = self.view.crl(self.number, rung.due)?.is_some_and(|crl| pki::crl_pem(&crl.der).as_bytes() == pem);
        Ok(if ours { Standing::Ahead } else { Standing::Newer(there) })
    }

    /// Whether it lists someone as revoked for good of whom the store does not know that. A hold may have been ended since.
    fn forgot(&self, there: &Crl, current: &SignedCrl) -> Result<bool, AuthorityError> {
        let ours = Crl::from_der(&current.der)?;
        let listed: BTreeSet<Serial> = ours.entries().iter().map(|entry| entry.serial).collect();
        let missing = |entry: &&RevokedEntry| !entry.revocation.is_hold() && !listed.contains(&entry.serial);
        for entry in there.entries().iter().filter(missing) {
            let certificate = self.view.certificate(&entry.serial)?;
            // listed before its day, on a CRL that was signed in advance and is no longer in the store
            let foreseen = certificate.as_ref().is_some_and(|certificate| certificate.overlap_ends.is_some())
                && entry.revocation.reason == Reason::Superseded;
            let refusal = certificate.and_then(|certificate| certificate.refusal(self.now));
            if !foreseen && refusal.is_none_or(|refusal| refusal.is_hold()) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
