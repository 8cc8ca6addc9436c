//! Whether a CRL that lies in a target is older than the store's, or knows more than it: then the store was put back.
//! Decides nothing about what follows from that, and depends on no CRL of the store being there or whole.

use std::{collections::BTreeSet, io::Read};

use crate::{
    authority::{
        listing::{fault, lacking, Listing, StoredCrl},
        AuthorityError,
    },
    inventory::Reason,
    pki::{Crl, IssuerCertificate},
    publish::PublishedCrl,
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
    current: Option<StoredCrl<'a>>,
    /// All that were signed, in advance too.
    crls: Vec<CrlFacts>,
}

impl<'a> Known<'a> {
    pub(super) fn of(view: &'a dyn View, now: Time) -> Result<Self, AuthorityError> {
        let facts = view.issuer()?;
        let issuer = IssuerCertificate::parse(&facts.certificate)?;
        let current = StoredCrl::newest(view, facts.number, now)?;
        Ok(Self { view, now, issuer, number: facts.number, current, crls: view.crls(facts.number)? })
    }

    /// The newest CRL that is due.
    pub(super) fn current(&self) -> Result<&StoredCrl<'a>, AuthorityError> {
        self.current.as_ref().ok_or(AuthorityError::NoCrl)
    }

    /// Whom the newest CRL that is due refuses.
    pub(super) fn refused(&self) -> Result<BTreeSet<Serial>, AuthorityError> {
        self.current()?.listing(None)?.serials()?.collect()
    }

    /// Whom a list that lies in a target refuses, where our CA signed it.
    pub(super) fn refused_by(&self, there: &PublishedCrl) -> BTreeSet<Serial> {
        let ours = Listing::published(there, &self.issuer).and_then(|ours| ours.serials()?.collect());
        ours.unwrap_or_default()
    }

    /// A number alone does not tell: a store that was put back may have signed others under the same ones.
    pub(super) fn judge(&self, there: &PublishedCrl) -> Result<Standing, AuthorityError> {
        if let Some(current) = &self.current {
            if there.is(current.pem()).map_err(fault)? {
                return Ok(Standing::Current);
            }
        }
        let list = match Listing::published(there, &self.issuer) {
            Ok(list) if list.number.is_some() => list,
            _ => return Ok(Standing::Behind),
        };
        if list.number <= self.current.as_ref().map(|current| current.facts.number) {
            return if self.forgot(&list)? { newer(there) } else { Ok(Standing::Behind) };
        }
        let Some(rung) = self.crls.iter().find(|crl| Some(crl.number) == list.number) else { return newer(there) };
        let ours = StoredCrl::newest(self.view, self.number, rung.due)?;
        let same = ours.map_or(Ok(false), |ours| there.is(ours.pem())).map_err(fault)?;
        if same {
            Ok(Standing::Ahead)
        } else {
            newer(there)
        }
    }

    /// Whether it lists someone as revoked for good of whom the store does not know that. A hold may have been ended since.
    fn forgot(&self, there: &Listing) -> Result<bool, AuthorityError> {
        // where ours cannot be read, each entry is looked up
        let ours = self.current.as_ref().and_then(|current| current.listing(None).ok());
        let ours = ours.map(|ours| ours.serials()).transpose()?;
        for entry in lacking(there.entries()?, ours.into_iter().flatten()) {
            let entry = entry?;
            if entry.revocation.is_hold() {
                continue;
            }
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

/// That the store was put back is rare: then the list is read whole, since its entries are taken over.
fn newer(there: &PublishedCrl) -> Result<Standing, AuthorityError> {
    let mut text = Vec::new();
    there.text().read_to_end(&mut text).map_err(fault)?;
    Ok(Standing::Newer(Crl::from_pem(&text)?))
}
