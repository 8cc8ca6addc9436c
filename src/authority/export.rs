//! `export`: bundles made again from what is recorded, with the settings of now. Commits nothing, except where a
//! server's directory becomes a target.

use std::{ops::ControlFlow, path::PathBuf};

use serde::Serialize;

use crate::{
    authority::{
        admission::Addressee,
        deliver::{self, Delivery, Destination, Outputs},
        known_peer, since, target, Authority, AuthorityError, CurrentBundles, Keyholder, Unlocked,
    },
    files::Overwrite,
    inventory::{Certificate, Change, Event, Peer, Role, Status},
    name::Name,
    settings::Publishing,
    store::View,
    time::Time,
};

/// What `export` is asked to do.
pub struct ExportRequest {
    /// Whose bundles.
    pub whom: Whom,
    /// Where they go.
    pub outputs: Outputs,
    /// Make the server's directory a target of every later CRL.
    pub publish: bool,
    /// Stop before anything changes.
    pub dry_run: bool,
}

/// Whose bundles.
pub enum Whom {
    /// These peers'.
    Named(Vec<Name>),
    /// Everyone's who has access.
    All,
}

/// What `export` did.
#[derive(Serialize)]
pub struct Exported {
    /// Whether anything was written.
    pub changed: bool,
    /// What became of the bundles.
    #[serde(flatten)]
    pub delivery: Delivery,
    /// The directory that became a target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<PathBuf>,
    /// What people should know.
    pub warnings: Vec<String>,
}

impl Authority {
    /// Makes bundles again. `progress` hears how many of how many are done.
    pub fn export(
        &self,
        request: &ExportRequest,
        keyholder: &dyn Keyholder,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Exported, AuthorityError> {
        let mut workshop = self.workshop()?;
        let view = self.view()?;
        let mut peers = self.chosen(&*view, &request.whom, request.outputs.overwrite == Overwrite::Replace)?;
        if let (Whom::All, Some(_)) = (&request.whom, request.outputs.order.program) {
            peers.retain(|peer| peer.role == Role::Client);
        }
        check_single(&peers, request)?;
        let mut addressees = Vec::new();
        for peer in &peers {
            let holder = view.certificate(&peer.current)?.and_then(|certificate| certificate.holder);
            addressees.push(Addressee::of(peer, holder.map_or_else(String::new, |holder| holder.algorithm)));
        }
        workshop.admit(&addressees, &request.outputs, &*view, self.now(), keyholder)?;
        let unlocked = self.unlock(&*view, keyholder)?;
        unlocked.refuse_mismatch(&*view, peers.iter().map(|peer| Change::Peer(peer.clone())).collect())?;
        let shared = unlocked.shared(&*view, peers.iter().any(|peer| peer.role == Role::Server), self.now())?;
        let mut outcome = Exported {
            changed: false,
            delivery: Delivery::default(),
            target: None,
            warnings: workshop.settings.notes.clone(),
        };
        outcome.warnings.extend(request.outputs.notes(peers.len()));
        let total = peers.len();
        for (done, batch) in peers.chunks(BATCH).enumerate() {
            let stage = |peer| workshop.stage(&shared, unlocked.own(&*view, peer)?, &request.outputs);
            let staged = batch.iter().map(stage).collect::<Result<Vec<_>, _>>()?;
            if !request.dry_run {
                outcome.delivery.extend(deliver::release(staged.into_iter().flatten().collect()));
                outcome.changed = true;
            }
            progress(done * BATCH + batch.len(), total);
        }
        drop(view);
        outcome.warnings.extend(outcome.delivery.warnings());
        if outcome.changed && request.outputs.destination != Destination::Nowhere {
            let noted = workshop.bundles(shared.has_dh()).and_then(|now| self.note_bundles(&peers, &now, &unlocked));
            outcome.warnings.extend(noted.err().map(|error| {
                format!("the bundles are made, but not recorded as made with the settings of now: {error}")
            }));
        }
        let publishing = Publishing::of(&workshop.settings);
        if !request.dry_run {
            self.tend(&unlocked, &publishing, &mut outcome.warnings);
        }
        if let (true, Destination::Path(dir)) = (request.publish && !request.dry_run, &request.outputs.destination) {
            outcome.target = Some(self.add_target(dir, peers.first().map(|peer| &peer.name), Some(&unlocked))?.dir);
            self.publish_quietly(&publishing, &mut outcome.warnings);
        }
        Ok(outcome)
    }

    /// Which settings the newest bundles were made with is recorded where it changed, so that `doctor` can tell whose are
    /// older.
    fn note_bundles(&self, peers: &[Peer], now: &CurrentBundles, unlocked: &Unlocked) -> Result<(), AuthorityError> {
        let stale: Vec<&Peer> = peers.iter().filter(|peer| peer.bundle != Some(now.of(peer.role))).collect();
        if stale.is_empty() {
            return Ok(());
        }
        let mut writing = self.begin()?;
        for peer in &stale {
            // as it is now: it may have been renewed since it was read
            if let Some(peer) = writing.peer(&peer.name)? {
                writing.record(&Change::Peer(Peer { bundle: Some(now.of(peer.role)), ..peer }))?;
            }
        }
        let many = stale.len() as u64;
        self.commit(writing, "export", vec![Event::Exported { many }], false, Some(unlocked))?;
        Ok(())
    }

    /// `held` says whether whoever is suspended gets a bundle that works once they are resumed.
    fn chosen(&self, view: &dyn View, whom: &Whom, held: bool) -> Result<Vec<Peer>, AuthorityError> {
        let now = self.now();
        match whom {
            Whom::Named(names) => names.iter().map(|name| with_access(view, name, now, held)).collect(),
            Whom::All => {
                let mut peers = Vec::new();
                view.peers(&mut |peer, certificate| {
                    if certificate.status(now) == Status::Valid {
                        peers.push(peer);
                    }
                    ControlFlow::Continue(())
                })?;
                Ok(peers)
            }
        }
    }
}

fn with_access(view: &dyn View, name: &Name, now: Time, held: bool) -> Result<Peer, AuthorityError> {
    let peer = known_peer(view, name)?;
    let certificate = view.certificate(&peer.current)?.ok_or(AuthorityError::UnknownSerial(peer.current))?;
    match no_access(&certificate, now) {
        Some(_) if held && certificate.status(now) == Status::Suspended => Ok(peer),
        Some(_) if certificate.status(now) == Status::Suspended => Err(AuthorityError::Suspended(name.clone())),
        Some(what) => Err(AuthorityError::NoAccess { name: name.clone(), what }),
        None => Ok(peer),
    }
}

fn no_access(certificate: &Certificate, now: Time) -> Option<String> {
    match (certificate.is_accepted(now), certificate.refusal(now)) {
        (true, _) => None,
        (_, Some(refusal)) => Some(since(&refusal)),
        (_, None) => Some(format!("expired since {}", certificate.validity.not_after().date())),
    }
}

fn check_single(peers: &[Peer], request: &ExportRequest) -> Result<(), AuthorityError> {
    request.outputs.check_for(peers.len())?;
    if request.publish && (peers.len() != 1 || peers[0].role != Role::Server) {
        return Err(AuthorityError::Usage("`--publish` is for one server".to_owned()));
    }
    if request.publish {
        target::check_directory(&request.outputs)?;
    }
    Ok(())
}

/// How many bundles are staged at once: each holds a descriptor until it is in place.
const BATCH: usize = 64;
