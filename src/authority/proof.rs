//! Whether a revocation has arrived: each published CRL is read back from the disk, each server asked who is connected.
//! Only looks; what is missing is part of the outcome, and nothing is taken on trust from the act before.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::{
    authority::{
        listing::Listing,
        live::{Asked, Connected},
        publishing::{newest, Reached, TargetState},
        revoke::RevokedCertificate,
        Authority, AuthorityError,
    },
    name::Name,
    publish,
    serial::Serial,
    settings::Publishing,
    store::View,
};

/// What was read back.
#[derive(Debug, Serialize)]
pub struct Proof {
    /// Each file that a server reads its CRL from.
    pub lists: Vec<ProvenList>,
    /// Whether the settings name a directory that could not be read.
    pub faulty: bool,
    /// Who of the revoked is connected; none when nobody was asked.
    pub live: Option<Asked<Connected>>,
    /// What could not be looked at.
    pub problems: Vec<String>,
}

/// A published CRL.
#[derive(Debug, Serialize)]
pub struct ProvenList {
    /// The directory the user named.
    pub dir: PathBuf,
    /// The file that its server reads.
    pub file: Option<PathBuf>,
    /// Whether it is byte for byte the newest CRL, its server can read it, and every serial is on it.
    pub proven: bool,
    /// Revoked serials that it lacks.
    pub missing: Vec<Serial>,
    /// Why it is not proven.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl Proof {
    /// Whether no server is known that would read a CRL.
    pub fn no_list(&self) -> bool {
        self.lists.is_empty() && self.problems.is_empty()
    }
}

impl Authority {
    /// Reads back that the access of these certificates has ended everywhere. What cannot be looked at is not proven.
    pub fn prove(&self, revoked: &[&RevokedCertificate], publishing: &Publishing) -> Proof {
        let mut problems = Vec::new();
        let lists = self.prove_lists(revoked, publishing).unwrap_or_else(|error| {
            problems.push(format!("the published lists could not be held against the store: {error}"));
            Vec::new()
        });
        for one in revoked.iter().filter(|one| one.name.is_none()) {
            problems.push(format!(
                "the store does not know whose serial:{} is, so no session can be told to be its",
                one.serial
            ));
        }
        let names = names(revoked);
        // without a name everybody would be listed
        let live = if names.is_empty() { Ok(None) } else { self.connected(&names, publishing).map(Some) };
        let live = live.unwrap_or_else(|error| {
            problems.push(format!("who is connected could not be held against the store: {error}"));
            None
        });
        Proof { lists, faulty: publishing.faulty, live, problems }
    }

    fn prove_lists(
        &self,
        revoked: &[&RevokedCertificate],
        publishing: &Publishing,
    ) -> Result<Vec<ProvenList>, AuthorityError> {
        let view = self.view()?;
        let targets = self.targets(&*view, publishing)?;
        if !targets.is_empty() {
            // a list that is not our CA's proves nothing, however well it was copied
            newest(&*view, self.now())?;
        }
        targets.into_iter().map(|target| prove_list(&*view, target, revoked)).collect()
    }
}

/// Whose access has ended, once each.
pub fn names(revoked: &[&RevokedCertificate]) -> Vec<Name> {
    let mut names: Vec<Name> = revoked.iter().filter_map(|one| one.name.clone()).collect();
    names.sort();
    names.dedup();
    names
}

fn prove_list(view: &dyn View, target: Reached, revoked: &[&RevokedCertificate]) -> Result<ProvenList, AuthorityError> {
    let Reached { dir, file, state, problem, .. } = target;
    let current = state == TargetState::Current;
    let problem = problem.or_else(|| (!current).then(|| "it is not the newest CRL".to_owned()));
    let missing = match &file {
        Some(file) => missing(view, file, revoked)?,
        None => revoked.iter().map(|one| one.serial).collect(),
    };
    Ok(ProvenList { proven: current && problem.is_none() && missing.is_empty(), dir, file, missing, problem })
}

/// The serials that the file lacks. One whose certificate ended long ago need not be there (RFC 5280, 3.3).
fn missing(view: &dyn View, file: &Path, revoked: &[&RevokedCertificate]) -> Result<Vec<Serial>, AuthorityError> {
    let all = || revoked.iter().map(|one| one.serial).collect();
    let Some(there) = publish::open(file).ok().flatten() else { return Ok(all()) };
    let Ok(crl) = Listing::of_anyone(&there) else { return Ok(all()) };
    let wanted: HashSet<Serial> = revoked.iter().map(|one| one.serial).collect();
    let mut listed = HashSet::new();
    for entry in crl.entries()? {
        listed.extend(Some(entry?.serial).filter(|serial| wanted.contains(serial)));
    }
    let issued = crl.validity.not_before();
    let mut missing = Vec::new();
    for serial in revoked.iter().map(|one| one.serial).filter(|serial| !listed.contains(serial)) {
        if view.certificate(&serial)?.is_none_or(|known| known.belongs_on_crl(issued, Some(issued))) {
            missing.push(serial);
        }
    }
    Ok(missing)
}
