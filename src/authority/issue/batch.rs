//! How a batch is made: keys, serials and sealed keys before its transaction, and while the one before is committed;
//! signatures and bundles on every core inside it; records, in order, on one thread.
//! Decides nothing about who may be issued.
//!
//! The transaction is open for one batch, so that others get in between; names, vault and CA are looked at again in each.

use std::sync::atomic::{AtomicBool, Ordering};

use super::{
    admit::{admit_again, Admitted},
    Batch, IssueRequest, Issued, Witness,
};
use crate::{
    authority::{
        credential::{self, Credential},
        crew::{ahead, in_order, Ahead},
        deliver::{self, Destination, StagedBundle},
        leaf::{self, NewLeaf, Plan},
        recipients,
        revoke::{highest, CrlSummary},
        signing::{self, Wishes},
        workshop::{CurrentBundles, Shared, Workshop},
        Authority, AuthorityError, Stopped, Unlocked,
    },
    files::Tray,
    import::people::Person,
    inventory::{Change, Event, Role},
    pki::{self, IssuerCertificate, PrivateKey},
    serial::Serial,
    settings::Publishing,
    store::Writing,
    time::Time,
    world::World,
};

/// All that one call of `issue` needs.
pub(super) struct Act<'a> {
    pub authority: &'a Authority,
    pub request: &'a IssueRequest,
    pub workshop: &'a Workshop<'a>,
    pub unlocked: &'a Unlocked,
    pub publishing: &'a Publishing,
}

/// What is made for somebody before the transaction.
struct Ready {
    key: Credential,
    serial: Serial,
    /// The private key as the store keeps it.
    sealed: Option<Vec<u8>>,
}

/// What is made for somebody inside the transaction.
struct Made {
    leaf: NewLeaf,
    bundle: Option<StagedBundle>,
}

type Prepared = Result<Ready, AuthorityError>;

impl Act<'_> {
    /// Issues to all of them, batch by batch. For one, no thread is started.
    pub fn issue<'p>(
        &self,
        people: &[&'p Person],
        of: usize,
        witness: &mut dyn Witness,
        outcome: &mut Issued,
    ) -> Result<(), AuthorityError> {
        if people.is_empty() {
            return Ok(());
        }
        if let [person] = people {
            let ready = vec![self.maker().prepare(person)?];
            let batch = self.batch(people, ready, true, || (), outcome)?;
            witness.done(batch, 1, of);
            return Ok(());
        }
        let (maker, over) = (self.maker(), AtomicBool::new(false));
        let prepare = |person: &Person| maker.prepare(person);
        rayon::in_place_scope(|scope| {
            let begin = |batch: &[&'p Person]| ahead(scope, batch.to_vec(), &prepare, &over);
            let issued = self.in_batches(people, of, begin, witness, outcome);
            over.store(true, Ordering::Relaxed);
            issued
        })
    }

    fn in_batches<'p>(
        &self,
        people: &[&'p Person],
        of: usize,
        begin: impl Fn(&[&'p Person]) -> Ahead<Prepared>,
        witness: &mut dyn Witness,
        outcome: &mut Issued,
    ) -> Result<(), AuthorityError> {
        let (mut batches, mut done) = (people.chunks(self.batch_size(people)).peekable(), 0);
        let mut under_way = batches.peek().copied().map(&begin);
        while let (Some(batch), Some(ready)) = (batches.next(), under_way.take()) {
            let following = batches.peek().copied();
            let ready: Result<Vec<Ready>, _> = ready.wait().collect();
            let then = || under_way = following.map(&begin);
            match ready.and_then(|ready| self.batch(batch, ready, done == 0, then, outcome)) {
                Ok(made) => {
                    done += batch.len();
                    witness.done(made, done, of);
                }
                Err(why) if done > 0 => {
                    outcome.stopped = Some(Stopped { done, of, why });
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// One transaction, and what follows from it. `then` is called when this batch needs no more cores than it has.
    fn batch(
        &self,
        people: &[&Person],
        ready: Vec<Ready>,
        first: bool,
        then: impl FnOnce(),
        outcome: &mut Issued,
    ) -> Result<Batch, AuthorityError> {
        let Self { authority, request, unlocked, .. } = *self;
        let mut writing = authority.begin()?;
        let now = authority.now();
        let admitted = self.admit(&*writing, people, ready, now, outcome)?;
        if admitted.is_empty() {
            then();
            return Ok(Batch::default());
        }
        let touched = admitted.iter().filter_map(|(admitted, _)| admitted.peer.clone()).map(Change::Peer);
        unlocked.refuse_mismatch(&*writing, touched.collect())?;
        let mut events = if first { self.catch_up(&mut *writing, now, outcome)? } else { Vec::new() };
        let desk = Desk::open(self, &*writing, &admitted, now)?;
        let (mut batch, mut staged) = (Batch::default(), Vec::new());
        let take = |made: Made| {
            add_once(&mut outcome.warnings, made.leaf.plan.note.clone());
            batch.issued.push(made.leaf.plan.summary());
            staged.extend(made.bundle);
            events.push(made.leaf.record(&mut *writing, unlocked)?);
            Ok(())
        };
        let make = |(plan, ready)| desk.make(plan, ready);
        in_order(self.workshop.crew(&request.outputs), desk.plans(admitted)?, make, take, then)?;
        desk.tray.settle()?;
        drop(desk);
        if request.dry_run {
            leaf::forget_serials(&mut batch.issued);
            return Ok(batch);
        }
        authority.commit(writing, "issue", events, false, Some(unlocked))?;
        outcome.changed = true;
        batch.delivery = deliver::release(staged);
        batch.delivery.warnings().for_each(|warning| add_once(&mut outcome.warnings, Some(warning)));
        Ok(batch)
    }

    /// Looks at everybody again, now that nobody else can write.
    fn admit<'p>(
        &self,
        writing: &dyn Writing,
        people: &[&'p Person],
        ready: Vec<Ready>,
        now: Time,
        outcome: &mut Issued,
    ) -> Result<Vec<(Admitted<'p>, Ready)>, AuthorityError> {
        let mut admitted = Vec::with_capacity(people.len());
        for (person, ready) in people.iter().zip(ready) {
            let found = admit_again(writing, person, self.request, &self.workshop.settings, now)?;
            let Some(found) = found else {
                outcome.unchanged.push(person.name.clone());
                continue;
            };
            if let Credential::Requested(csr) = &ready.key {
                outcome.warnings.extend(credential::examine(writing, &person.name, csr, now)?);
            }
            admitted.push((found, ready));
        }
        Ok(admitted)
    }

    /// Takes over what published CRLs know and the store does not, and signs a newer one where that is so.
    fn catch_up(
        &self,
        writing: &mut dyn Writing,
        now: Time,
        outcome: &mut Issued,
    ) -> Result<Vec<Event>, AuthorityError> {
        let Self { authority, unlocked, publishing, .. } = *self;
        let mut events = authority.take_over(writing, unlocked, publishing, &mut outcome.warnings)?;
        let above = highest(&events);
        if above > 0 {
            let wishes = Wishes { days: publishing.crl_days, above };
            let (crl, signed) = signing::sign_crl(writing, unlocked, now, wishes, &events)?;
            outcome.crl = Some(CrlSummary::of(&crl));
            events.extend(signed);
        }
        Ok(events)
    }

    /// As many as are made in a second or so: more would be lost with a kill. Each bundle is an open file until it is in
    /// place.
    fn batch_size(&self, people: &[&Person]) -> usize {
        let settings = &self.workshop.settings;
        let slow = |person: &&Person| self.request.algorithm(person).unwrap_or(settings.algorithm).is_rsa();
        let many = if people.iter().any(slow) { FEW } else { MANY };
        many.min(self.request.outputs.most_at_once())
    }

    fn maker(&self) -> Maker<'_> {
        let Self { authority, request, workshop, unlocked, .. } = *self;
        Maker { world: &authority.actor.world, request, workshop, unlocked }
    }
}

/// What makes keys ahead: it knows no store, so that every core can.
struct Maker<'a> {
    world: &'a World,
    request: &'a IssueRequest,
    workshop: &'a Workshop<'a>,
    unlocked: &'a Unlocked,
}

impl Maker<'_> {
    fn prepare(&self, person: &Person) -> Prepared {
        self.request.stop.check()?;
        let settings = &self.workshop.settings;
        let algorithm = self.request.algorithm(person).unwrap_or(settings.algorithm);
        let key = Credential::obtain_one(algorithm, self.request.csr.as_ref())?;
        let serial = Serial::fresh(self.world.random()?);
        let sealed = leaf::seal(self.unlocked, &person.name, &serial, &key, settings.keep)?;
        Ok(Ready { key, serial, sealed })
    }
}

/// All that the certificates and bundles of a batch need; it knows no store either.
struct Desk<'a> {
    request: &'a IssueRequest,
    workshop: &'a Workshop<'a>,
    issuer: &'a IssuerCertificate,
    issuer_key: PrivateKey,
    shared: Shared,
    /// The digests of what bundles are made of; none where none is made.
    bundles: Option<CurrentBundles>,
    /// To whom this call says that bundles are encrypted.
    recipients: Vec<String>,
    tray: Tray,
    now: Time,
}

impl<'a> Desk<'a> {
    fn open(
        act: &Act<'a>,
        writing: &dyn Writing,
        admitted: &[(Admitted, Ready)],
        now: Time,
    ) -> Result<Self, AuthorityError> {
        let Act { request, workshop, unlocked, .. } = *act;
        let servers = admitted.iter().any(|(admitted, _)| admitted.person.role == Role::Server);
        let shared = unlocked.shared(writing, servers, now)?;
        let goes = request.outputs.destination != Destination::Nowhere;
        let bundles = goes.then(|| workshop.bundles(shared.has_dh())).transpose()?;
        Ok(Self {
            request,
            workshop,
            issuer: unlocked.issuer()?,
            issuer_key: unlocked.issuer_key(writing)?,
            shared,
            bundles,
            recipients: recipients::texts(&request.recipients),
            tray: Tray::of(admitted.len()),
            now,
        })
    }

    fn plans(&self, admitted: Vec<(Admitted, Ready)>) -> Result<Vec<(Plan, Ready)>, AuthorityError> {
        let plan = |(admitted, ready): (Admitted, Ready)| {
            let bundle = self.bundles.map(|bundles| bundles.of(admitted.person.role));
            let made_of = (ready.serial, ready.key.algorithm());
            let plan = admitted.plan(&self.recipients, &self.workshop.settings, self.issuer, self.now, made_of)?;
            Ok((plan.with_bundle(bundle), ready))
        };
        admitted.into_iter().map(plan).collect()
    }

    fn make(&self, plan: Plan, ready: Ready) -> Result<Made, AuthorityError> {
        self.request.stop.check()?;
        let Ready { key, sealed, .. } = ready;
        let signed = pki::sign_leaf(&plan.profile, key.spki(), self.issuer, &self.issuer_key)?;
        let outputs = &self.request.outputs;
        let bundle = match outputs.destination {
            Destination::Nowhere => None,
            _ => self.workshop.stage_on(&self.tray, &self.shared, plan.own(&key, &signed), outputs)?,
        };
        Ok(Made { leaf: NewLeaf { plan, place: key.place(), signed, sealed }, bundle })
    }
}

/// What is the same for many is said once.
fn add_once(warnings: &mut Vec<String>, warning: Option<String>) {
    warnings.extend(warning.filter(|warning| !warnings.contains(warning)));
}

/// The most in one transaction, and in one entry of the ledger.
const MANY: usize = 256;

/// The same where a key takes a tenth of a second or more.
const FEW: usize = 32;
