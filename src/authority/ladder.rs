//! `crl ladder`: short CRLs signed in advance, so that one unlock lasts for weeks.
//! Knows not who installs them; `crl publish` does.

use serde::Serialize;

use crate::{
    authority::{revoke::Revoked, Authority, AuthorityError, Keyholder},
    time::Time,
};

/// What `crl ladder` did.
#[derive(Debug, Serialize)]
pub struct Laddered {
    /// How many CRLs were signed in advance.
    pub rungs: u64,
    /// nextUpdate of the last one.
    pub until: Time,
    /// The CRL that is due now, and where it went.
    #[serde(flatten)]
    pub signed: Revoked,
}

impl Authority {
    /// Signs the CRL of now and those of the coming `weeks`; with every later CRL they are signed anew.
    pub fn ladder(&self, weeks: u32, no_publish: bool, keyholder: &dyn Keyholder) -> Result<Laddered, AuthorityError> {
        let (publishing, _) = self.publishing();
        let shortest = publishing.crl_days.filter(|days| *days > 1);
        if weeks > 0 && shortest.is_none() {
            return Err(AuthorityError::NoLadder);
        }
        let unlocked = self.unlock(&*self.view()?, keyholder)?;
        let signed = self.refresh_with(no_publish, Some(weeks), &unlocked)?;
        let view = self.view()?;
        let crls = view.crls(unlocked.number)?;
        let until = crls.last().map_or(self.now(), |last| last.validity.not_after());
        Ok(Laddered { rungs: crls.len().saturating_sub(1) as u64, until, signed })
    }
}
