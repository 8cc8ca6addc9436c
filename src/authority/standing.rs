//! Whether a CRL that lies in a target is older than the store's, or knows more than it: then the store was put back.
//! Decides nothing about what follows from that, and depends on no CRL of the store being there or whole.

use std::collections::BTreeSet;

use crate::{
    authority::AuthorityError,
    inventory::{Reason, SignedCrl},
    pki::{self, Crl, IssuerCertificate, RevokedEntry},
    serial::Serial,
    store::{CrlFacts, View},
    time::Time,
};

/// What a CRL is that lies in a target.
pub(super) enum Standing {
    /// The newest, byte for byte.
    Current,
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
    now: Time,
    /// Who signs.
    pub issuer: IssuerCertificate,
    number: u32,
    /// The newest that is due; none where somebody took it out of the store.
    current: Option<Current>,
    /// All that were signed, in advance too.
    crls: Vec<CrlFacts>,
}

/// The newest CRL that is due, as it is and as it is published.
pub(super) struct Current {
    pub crl: SignedCrl,
    pub pem: String,
}

impl<'a> Known<'a> {
    pub(super) fn of(view: &'a dyn View, now: Time) -> Result<Self, AuthorityError> {
        let facts = view.issuer()?;
        let issuer = IssuerCertificate::parse(&facts.certificate)?;
        let current = view.crl(facts.number, now)?.map(|crl| Current { pem: pki::crl_pem(&crl.der), crl });
        Ok(Self { view, now, issuer, number: facts.number, current, crls: view.crls(facts.number)? })
    }

    /// The newest CRL that is due.
    pub(super) fn current(&self) -> Result<&Current, AuthorityError> {
        self.current.as_ref().ok_or(AuthorityError::NoCrl)
    }

    /// Whom the newest CRL that is due refuses.
    pub(super) fn refused(&self) -> Result<BTreeSet<Serial>, AuthorityError> {
        let crl = Crl::from_der(&self.current()?.crl.der)?;
        Ok(crl.entries().iter().map(|entry| entry.serial).collect())
    }

    /// Whom a list that lies in a target refuses, where our CA signed it.
    pub(super) fn refused_by(&self, pem: &[u8]) -> BTreeSet<Serial> {
        let ours = Crl::from_pem(pem).ok().filter(|there| there.verify(&self.issuer).is_ok());
        ours.iter().flat_map(Crl::entries).map(|entry| entry.serial).collect()
    }

    /// A number alone does not tell: a store that was put back may have signed others under the same ones.
    pub(super) fn judge(&self, pem: &[u8]) -> Result<Standing, AuthorityError> {
        if self.current.as_ref().is_some_and(|current| current.pem.as_bytes() == pem) {
            return Ok(Standing::Current);
        }
        let there = match Crl::from_pem(pem) {
            Ok(there) if there.number().is_some() && there.verify(&self.issuer).is_ok() => there,
            _ => return Ok(Standing::Behind),
        };
        if there.number() <= self.current.as_ref().map(|current| current.crl.number) {
            return Ok(if self.forgot(&there)? { Standing::Newer(there) } else { Standing::Behind });
        }
        let Some(rung) = self.crls.iter().find(|crl| Some(crl.number) == there.number()) else {
            return Ok(Standing::Newer(there));
        };
        let ours = self.view.crl(self.number, rung.due)?.is_some_and(|crl| pki::crl_pem(&crl.der).as_bytes() == pem);
        Ok(if ours { Standing::Ahead } else { Standing::Newer(there) })
    }

    /// Whether it lists someone as revoked for good of whom the store does not know that. A hold may have been ended since.
    fn forgot(&self, there: &Crl) -> Result<bool, AuthorityError> {
        // where ours cannot be read, each entry is looked up
        let ours = self.current.as_ref().and_then(|current| Crl::from_der(&current.crl.der).ok());
        let listed: BTreeSet<Serial> = ours.iter().flat_map(Crl::entries).map(|entry| entry.serial).collect();
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
