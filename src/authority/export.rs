//! `export`: bundles made again from what is recorded, with the settings of now. Commits nothing, except where a
//! server's directory becomes a target.

use std::{ops::ControlFlow, path::PathBuf};

use serde::Serialize;

use crate::{
    authority::{
        admission::{Addressee, Asked},
        deliver::{self, Delivery, Destination, Outputs, Passphrases, StagedBundle},
        known_peer, since, target,
        workshop::{Shared, Workshop},
        Authority, AuthorityError, CurrentBundles, Keyholder, Unlocked,
    },
    files::Overwrite,
    inventory::{Certificate, Change, Event, KeyPlace, Peer, Role, Status},
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
        let peers = self.chosen(&*view, request)?;
        check_single(&peers, request)?;
        let addressees =
            peers.iter().map(|peer| addressee(&*view, peer, &request.whom)).collect::<Result<Vec<_>, _>>()?;
        let with_key = addressees.iter().filter(|addressee| addressee.key == KeyPlace::Here).count();
        workshop.admit(&addressees, &request.outputs, &*view, self.now(), keyholder)?;
        let unlocked = self.unlock(&*view, keyholder)?;
        unlocked.refuse_mismatch(&*view, peers.iter().map(|peer| Change::Peer(peer.clone())).collect())?;
        refuse_unkept(&*view, &peers, &addressees)?;
        let shared = unlocked.shared(&*view, peers.iter().any(|peer| peer.role == Role::Server), self.now())?;
        let desk = Desk { workshop: &workshop, unlocked: &unlocked, shared: &shared, view: &*view, request };
        let mut outcome = Exported {
            changed: !request.dry_run && !peers.is_empty(),
            delivery: desk.make(&peers, progress)?,
            target: None,
            warnings: workshop.settings.notes.clone(),
        };
        drop(view);
        outcome.warnings.extend(request.outputs.notes(with_key));
        outcome.warnings.extend(outcome.delivery.warnings());
        if outcome.changed && request.outputs.destination != Destination::Nowhere {
            let peers: Vec<&Peer> = peers.iter().filter(|peer| !outcome.delivery.lacks(&peer.name)).collect();
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
    fn note_bundles(&self, peers: &[&Peer], now: &CurrentBundles, unlocked: &Unlocked) -> Result<(), AuthorityError> {
        let stale: Vec<&&Peer> = peers.iter().filter(|peer| peer.bundle != Some(now.of(peer.role))).collect();
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

    /// With `--force`, whoever is suspended gets a bundle that works once they are resumed. Servers have no place in what
    /// is for a client's program, or has a passphrase; among all, they are left out.
    fn chosen(&self, view: &dyn View, request: &ExportRequest) -> Result<Vec<Peer>, AuthorityError> {
        let ExportRequest { whom, outputs, .. } = request;
        let (now, held) = (self.now(), outputs.overwrite == Overwrite::Replace);
        let for_clients = outputs.order.program.is_some() || !matches!(outputs.passphrases, Passphrases::None);
        match whom {
            Whom::Named(names) => names.iter().map(|name| with_access(view, name, now, held)).collect(),
            Whom::All => {
                let mut peers = Vec::new();
                view.peers(&mut |peer, certificate| {
                    if certificate.status(now) == Status::Valid && !(for_clients && peer.role == Role::Server) {
                        peers.push(peer);
                    }
                    ControlFlow::Continue(())
                })?;
                Ok(peers)
            }
        }
    }
}

/// All that every bundle of a call needs.
struct Desk<'a> {
    workshop: &'a Workshop<'a>,
    unlocked: &'a Unlocked,
    shared: &'a Shared,
    view: &'a dyn View,
    request: &'a ExportRequest,
}

impl Desk<'_> {
    /// Batch after batch is made and put in place. What fails in the first one ends the act.
    fn make(&self, peers: &[Peer], progress: &mut dyn FnMut(usize, usize)) -> Result<Delivery, AuthorityError> {
        let mut delivery = Delivery::default();
        for (number, batch) in peers.chunks(BATCH).enumerate() {
            match self.stage(batch) {
                // those before are in place: whose they are, and their passphrases, must be told
                Err(error) if number > 0 && !self.request.dry_run => {
                    let left = peers[number * BATCH..].iter();
                    let places = left.filter_map(|peer| self.workshop.place(peer, &self.request.outputs));
                    delivery.give_up(places, &error);
                    return Ok(delivery);
                }
                Err(error) => return Err(error),
                Ok(_) if self.request.dry_run => (),
                Ok(staged) => delivery.extend(deliver::release(staged)),
            }
            progress(number * BATCH + batch.len(), peers.len());
        }
        Ok(delivery)
    }

    fn stage(&self, batch: &[Peer]) -> Result<Vec<StagedBundle>, AuthorityError> {
        let stage = |peer| {
            let own = self.unlocked.own(self.view, peer)?;
            self.workshop.stage(self.shared, own, &self.request.outputs)
        };
        batch.iter().filter_map(|peer| stage(peer).transpose()).collect()
    }
}

fn addressee<'p>(view: &dyn View, peer: &'p Peer, whom: &Whom) -> Result<Addressee<'p>, AuthorityError> {
    let holder = view.certificate(&peer.current)?.and_then(|certificate| certificate.holder);
    let (algorithm, key) = holder.map_or_else(Default::default, |holder| (holder.algorithm, holder.key));
    let asked = if matches!(whom, Whom::All) { Asked::AmongAll } else { Asked::ByName };
    Ok(Addressee { asked, ..Addressee::of(peer, algorithm, key) })
}

/// Refuses whose private key is not kept, before the first bundle is in place.
fn refuse_unkept(view: &dyn View, peers: &[Peer], addressees: &[Addressee]) -> Result<(), AuthorityError> {
    for (peer, addressee) in peers.iter().zip(addressees) {
        if addressee.key == KeyPlace::Here && view.sealed_key(&peer.current)?.is_none() {
            return Err(AuthorityError::NoKey(peer.name.clone()));
        }
    }
    Ok(())
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
