//! `export`: bundles made again from what is recorded, with the settings of now. Commits nothing, except where a
//! server's directory becomes a target.

use std::{ops::ControlFlow, path::PathBuf};

use serde::Serialize;

use crate::{
    authority::{
        admission::{Addressee, Asked},
        crew::{in_batches, Crew},
        deliver::{self, Delivery, Destination, Outputs, Passphrases},
        known_peer, since, target,
        unlock::StoredOwn,
        workshop::{Shared, Workshop},
        Authority, AuthorityError, CurrentBundles, Keyholder, Stop, Stopped, Unlocked,
    },
    files::{self, Overwrite, Tray},
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
    /// Leave the bundles that are at their place.
    pub skip_existing: bool,
    /// Stop before anything changes.
    pub dry_run: bool,
    /// Somebody's wish to end it.
    pub stop: Stop,
}

/// Whose bundles.
pub enum Whom {
    /// These peers'.
    Named(Vec<Name>),
    /// Everyone's who has access.
    All,
}

/// What `export` did.
#[derive(Default, Serialize)]
pub struct Exported {
    /// Whether anything was written.
    pub changed: bool,
    /// Whose bundles were left as they are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unchanged: Vec<Name>,
    /// What became of the bundles.
    #[serde(flatten)]
    pub delivery: Delivery,
    /// The directory that became a target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<PathBuf>,
    /// What people should know.
    pub warnings: Vec<String>,
    /// Why not every bundle was made.
    #[serde(skip)]
    pub stopped: Option<Stopped>,
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
        let mut peers = self.chosen(&*view, request)?;
        check_single(&peers, request)?;
        let mut outcome = Exported { warnings: workshop.settings.notes.clone(), ..Exported::default() };
        if request.skip_existing {
            outcome.unchanged = leave_existing(&mut peers, &workshop, &request.outputs)?;
            if peers.is_empty() {
                return Ok(outcome);
            }
        }
        let addressees =
            peers.iter().map(|peer| addressee(&*view, peer, &request.whom)).collect::<Result<Vec<_>, _>>()?;
        let with_key = addressees.iter().filter(|addressee| addressee.key == KeyPlace::Here).count();
        workshop.admit(&addressees, &request.outputs, &*view, self.now(), keyholder)?;
        let unlocked = self.unlock(&*view, keyholder)?;
        let desk = Desk::new(&workshop, &unlocked, &*view, &peers, &request.outputs, self.now())?;
        for peer in &peers {
            if !is_kept(&*view, peer)? {
                return Err(AuthorityError::NoKey(peer.name.clone()));
            }
        }
        let mut tell = |made: Delivery, done: usize| {
            outcome.delivery.extend(made);
            progress(done, peers.len());
        };
        let made = desk.make(&peers, request.dry_run, &request.stop, &mut tell)?;
        let bundles = workshop.bundles(desk.has_dh());
        drop(desk);
        drop(view);
        outcome.changed = !request.dry_run && made.done > 0;
        outcome.note_end(made, &peers, &workshop, &request.outputs);
        outcome.warnings.extend(request.outputs.notes(with_key));
        outcome.warnings.extend(outcome.delivery.warnings());
        if outcome.changed && request.outputs.destination != Destination::Nowhere {
            let lacking = outcome.delivery.lacking();
            let peers: Vec<&Peer> = peers.iter().filter(|peer| !lacking.contains(&peer.name)).collect();
            let noted = bundles.and_then(|now| self.note_bundles(&peers, &now, &unlocked));
            outcome.warnings.extend(noted.err().as_ref().map(not_noted));
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
    pub(super) fn note_bundles(
        &self,
        peers: &[&Peer],
        now: &CurrentBundles,
        unlocked: &Unlocked,
    ) -> Result<(), AuthorityError> {
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

impl Exported {
    /// Whose bundles were not made: those before them are in place, and their passphrases must be told.
    fn note_end(&mut self, made: Making, peers: &[Peer], workshop: &Workshop, outputs: &Outputs) {
        match made.stopped {
            None => (),
            Some(why @ AuthorityError::Stopped) => {
                self.stopped = Some(Stopped { done: made.done, of: peers.len(), why });
            }
            Some(error) => {
                let left = peers[made.done..].iter().filter_map(|peer| workshop.place(peer, outputs));
                self.delivery.give_up(left, &error);
            }
        }
    }
}

/// What is said where bundles are made and the store could not be told.
pub(super) fn not_noted(error: &AuthorityError) -> String {
    format!("the bundles are made, but not recorded as made with the settings of now: {error}")
}

/// All that every bundle of a call needs.
pub(super) struct Desk<'a> {
    workshop: &'a Workshop<'a>,
    unlocked: &'a Unlocked,
    shared: Shared,
    view: &'a dyn View,
    outputs: &'a Outputs,
    now: Time,
}

/// How far the making of bundles came.
pub(super) struct Making {
    pub done: usize,
    /// Why it did not come further.
    pub stopped: Option<AuthorityError>,
}

impl<'a> Desk<'a> {
    /// For these peers, when the store is what was written of them.
    pub fn new(
        workshop: &'a Workshop<'a>,
        unlocked: &'a Unlocked,
        view: &'a dyn View,
        peers: &[Peer],
        outputs: &'a Outputs,
        now: Time,
    ) -> Result<Self, AuthorityError> {
        unlocked.refuse_mismatch(view, peers.iter().map(|peer| Change::Peer(peer.clone())).collect())?;
        let shared = unlocked.shared(view, peers.iter().any(|peer| peer.role == Role::Server), now)?;
        Ok(Self { workshop, unlocked, shared, view, outputs, now })
    }

    /// Whether a server among them gets Diffie-Hellman parameters.
    pub fn has_dh(&self) -> bool {
        self.shared.has_dh()
    }

    /// Batch after batch is made on every core, and put in place while the next ones are made; `tell` hears of each. What
    /// fails in the first one ends the act.
    pub fn make(
        &self,
        peers: &[Peer],
        dry_run: bool,
        stop: &Stop,
        tell: &mut dyn FnMut(Delivery, usize),
    ) -> Result<Making, AuthorityError> {
        let Self { workshop, unlocked, ref shared, view, outputs, now } = *self;
        let batches = peers.chunks(BATCH.min(outputs.most_at_once())).map(|batch| {
            let stored = batch.iter().map(|peer| StoredOwn::of(view, peer)).collect::<Result<Vec<_>, _>>()?;
            Ok((Tray::of(batch.len()), stored))
        });
        let stage = |tray: &Tray, stored| {
            stop.check()?;
            workshop.stage_on(tray, shared, unlocked.open_own(stored, now)?, outputs)
        };
        let crew = if peers.len() < 2 { Crew::Alone } else { workshop.crew(outputs) };
        let mut done = 0;
        let ended = in_batches(crew, batches, stage, |tray, staged| {
            tray.settle()?;
            done += staged.len();
            let staged = staged.into_iter().flatten().collect();
            tell(if dry_run { Delivery::default() } else { deliver::release(staged) }, done);
            Ok(())
        });
        match ended {
            Err(error) if done > 0 && !dry_run => Ok(Making { done, stopped: Some(error) }),
            ended => ended.map(|()| Making { done, stopped: None }),
        }
    }
}

/// Takes out whose bundle is where this call would put it.
fn leave_existing(peers: &mut Vec<Peer>, workshop: &Workshop, outputs: &Outputs) -> Result<Vec<Name>, AuthorityError> {
    let (mut left, mut wanted) = (Vec::new(), Vec::new());
    for peer in peers.drain(..) {
        match workshop.place(&peer, outputs) {
            Some((name, path)) if files::exists(&path)? => left.push(name),
            _ => wanted.push(peer),
        }
    }
    *peers = wanted;
    Ok(left)
}

fn addressee<'p>(view: &dyn View, peer: &'p Peer, whom: &Whom) -> Result<Addressee<'p>, AuthorityError> {
    let holder = view.certificate(&peer.current)?.and_then(|certificate| certificate.holder);
    let (algorithm, key) = holder.map_or_else(Default::default, |holder| (holder.algorithm, holder.key));
    let asked = if matches!(whom, Whom::All) { Asked::AmongAll } else { Asked::ByName };
    Ok(Addressee { asked, ..Addressee::of(peer, algorithm, key) })
}

/// Whether the private key of a peer is here, or with its owner: else no bundle can be made.
pub(super) fn is_kept(view: &dyn View, peer: &Peer) -> Result<bool, AuthorityError> {
    let holder = view.certificate(&peer.current)?.and_then(|certificate| certificate.holder);
    let with_owner = holder.is_some_and(|holder| holder.key == KeyPlace::WithOwner);
    Ok(with_owner || view.sealed_key(&peer.current)?.is_some())
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

/// How many bundles are in a batch: each holds a descriptor until it is in place.
const BATCH: usize = 256;
