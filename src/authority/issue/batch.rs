//! How many are issued to, batch by batch. For clients all is made ahead of the transaction, while the batches before are
//! committed; inside it names, vault and CA are looked at again, and what was made of something that changed since is
//! made anew. Records, in order, are made on one thread.
//! Decides nothing about who may be issued.
//!
//! The transaction is open for one batch, so that others get in between, and only while it is recorded.

use std::cell::Cell;

use super::{
    admit::{admit_again, Admitted},
    desk::{Desk, Made, Maker, Ready},
    Batch, IssueRequest, Issued, Witness,
};
use crate::{
    authority::{
        credential::{self, Credential},
        crew::{in_batches, Crew},
        deliver, leaf,
        revoke::{highest, CrlSummary},
        signing::{self, Wishes},
        trust::Written,
        workshop::Workshop,
        Authority, AuthorityError, Stopped, Unlocked,
    },
    files::Tray,
    inventory::{Change, Event, Role},
    settings::Publishing,
    store::Writing,
    time::Time,
};

/// All that one call of `issue` needs.
pub(super) struct Act<'a> {
    pub authority: &'a Authority,
    pub request: &'a IssueRequest,
    pub workshop: &'a Workshop<'a>,
    pub unlocked: &'a Unlocked,
    pub publishing: &'a Publishing,
    /// What the batch before left.
    pub written: Cell<Option<Written>>,
}

/// Somebody, and how far the work for them is.
struct Draft<'p> {
    admitted: Admitted<'p>,
    work: Work,
}

enum Work {
    /// The rest is made inside the transaction.
    Key(Ready),
    All(Box<Made>),
}

/// What a batch has in common.
struct Common {
    tray: Tray,
    now: Time,
}

impl Act<'_> {
    /// Issues to all of them. For one, no thread is started.
    pub fn issue(
        &self,
        mut wanted: Vec<Admitted>,
        of: usize,
        witness: &mut dyn Witness,
        outcome: &mut Issued,
    ) -> Result<(), AuthorityError> {
        if wanted.len() > 1 {
            return self.in_batches(wanted, of, witness, outcome);
        }
        let Some(admitted) = wanted.pop() else { return Ok(()) };
        let work = Work::Key(self.maker().ready(admitted.person)?);
        let batch = self.batch(vec![Draft { admitted, work }], None, true, outcome)?;
        witness.done(batch, 1, of);
        Ok(())
    }

    fn in_batches(
        &self,
        wanted: Vec<Admitted>,
        of: usize,
        witness: &mut dyn Witness,
        outcome: &mut Issued,
    ) -> Result<(), AuthorityError> {
        let (desk, crew, size) = (self.desk()?, self.workshop.crew(&self.request.outputs), self.batch_size(&wanted));
        let mut left = wanted.into_iter();
        let batches = std::iter::from_fn(|| {
            let batch: Vec<Admitted> = left.by_ref().take(size).collect();
            let common = Common { tray: Tray::of(batch.len()), now: self.authority.now() };
            (!batch.is_empty()).then_some(Ok((common, batch)))
        });
        let draft = |common: &Common, admitted| draft(&desk, crew, common, admitted);
        let mut done = 0;
        let ended = in_batches(Crew::All, batches, draft, |common, drafts| {
            self.request.stop.check()?;
            common.tray.settle()?;
            let many = drafts.len();
            let batch = self.batch(drafts, Some(&desk), done == 0, outcome)?;
            done += many;
            witness.done(batch, done, of);
            Ok(())
        });
        match ended {
            Err(why) if done > 0 => outcome.stopped = Some(Stopped { done, of, why }),
            ended => ended?,
        }
        Ok(())
    }

    /// What certificates and bundles are made of as of now, when that is what was written.
    fn desk(&self) -> Result<Desk<'_>, AuthorityError> {
        let view = self.authority.view()?;
        self.unlocked.refuse_mismatch(&*view, Vec::new())?;
        Desk::open(self.maker(), &*view, false, self.authority.now())
    }

    /// One transaction, and what follows from it.
    fn batch(
        &self,
        drafts: Vec<Draft>,
        ahead: Option<&Desk>,
        first: bool,
        outcome: &mut Issued,
    ) -> Result<Batch, AuthorityError> {
        let Self { authority, request, unlocked, .. } = *self;
        let mut writing = authority.begin()?;
        let now = authority.now();
        let drafts = self.admit(&*writing, drafts, ahead, now, outcome)?;
        if drafts.is_empty() {
            return Ok(Batch::default());
        }
        let touched = drafts.iter().filter_map(|draft| draft.admitted.peer().cloned()).map(Change::Peer);
        unlocked.refuse_mismatch_after(&*writing, touched.collect(), self.written.get().as_ref())?;
        let mut events = if first { self.catch_up(&mut *writing, now, outcome)? } else { Vec::new() };
        let (mut batch, mut staged, mut issued) = (Batch::default(), Vec::new(), Vec::new());
        for Made { leaf, bundle } in self.finish(&*writing, drafts, now)? {
            add_once(&mut outcome.warnings, leaf.plan.note.clone());
            batch.issued.push(leaf.plan.summary());
            staged.extend(bundle);
            let (issuance, event) = leaf.issuance(unlocked);
            issued.push(issuance);
            events.push(event);
        }
        writing.record_issued(issued)?;
        if request.dry_run {
            leaf::forget_serials(&mut batch.issued);
            return Ok(batch);
        }
        let totals = writing.totals()?;
        let head = authority.commit_as(writing, "issue", events, false, Some(unlocked))?;
        self.written.set(Some(Written { head, totals }));
        outcome.changed = true;
        batch.delivery = deliver::release(staged);
        batch.delivery.warnings().for_each(|warning| add_once(&mut outcome.warnings, Some(warning)));
        Ok(batch)
    }

    /// Looks at everybody again, now that nobody else can write. Who is not as they were gets another key: what was made
    /// for them before is nobody's.
    fn admit<'p>(
        &self,
        writing: &dyn Writing,
        drafts: Vec<Draft<'p>>,
        ahead: Option<&Desk>,
        now: Time,
        outcome: &mut Issued,
    ) -> Result<Vec<Draft<'p>>, AuthorityError> {
        let current = ahead.map_or(Ok(true), |desk| desk.is_of(writing))?;
        let mut admitted = Vec::with_capacity(drafts.len());
        for Draft { admitted: before, work } in drafts {
            let person = before.person;
            let Some(found) = admit_again(writing, person, self.request, &self.workshop.settings, now)? else {
                outcome.unchanged.push(person.name.clone());
                continue;
            };
            let work = match work {
                Work::All(_) if !current || !found.is_as(&before) => Work::Key(self.maker().ready(person)?),
                work => work,
            };
            if let Work::Key(Ready { key: Credential::Requested(csr), .. }) = &work {
                outcome.warnings.extend(credential::examine(writing, &person.name, csr, now)?);
            }
            admitted.push(Draft { admitted: found, work });
        }
        Ok(admitted)
    }

    /// Makes what was not made ahead.
    fn finish(&self, writing: &dyn Writing, drafts: Vec<Draft>, now: Time) -> Result<Vec<Made>, AuthorityError> {
        let lacking = || drafts.iter().filter(|draft| matches!(draft.work, Work::Key(_)));
        let servers = lacking().any(|draft| draft.admitted.person.role == Role::Server);
        let (tray, mut desk) = (Tray::of(lacking().count()), None);
        let mut made = Vec::with_capacity(drafts.len());
        for Draft { admitted, work } in drafts {
            made.push(match work {
                Work::All(all) => *all,
                Work::Key(ready) => {
                    self.request.stop.check()?;
                    let desk = match &mut desk {
                        Some(desk) => desk,
                        none => none.insert(Desk::open(self.maker(), writing, servers, now)?),
                    };
                    desk.make(&tray, &admitted, ready, now)?
                }
            });
        }
        tray.settle()?;
        Ok(made)
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
    fn batch_size(&self, wanted: &[Admitted]) -> usize {
        let usual = self.workshop.settings.algorithm;
        let slow = |one: &Admitted| self.request.algorithm(one.person).unwrap_or(usual).is_rsa();
        let many = if wanted.iter().any(slow) { FEW } else { MANY };
        many.min(self.request.outputs.most_at_once())
    }

    fn maker(&self) -> Maker<'_> {
        let Self { request, workshop, unlocked, .. } = *self;
        Maker { request, workshop, unlocked }
    }
}

/// All that is made ahead of the transaction: nothing but the key for a server, whose bundle holds the CRL of the moment,
/// or where bundles are made one after the other.
fn draft<'p>(desk: &Desk, crew: Crew, common: &Common, admitted: Admitted<'p>) -> Result<Draft<'p>, AuthorityError> {
    let ready = desk.maker.ready(admitted.person)?;
    let work = if crew == Crew::Alone || admitted.person.role == Role::Server {
        Work::Key(ready)
    } else {
        Work::All(Box::new(desk.make(&common.tray, &admitted, ready, common.now)?))
    };
    Ok(Draft { admitted, work })
}

/// What is the same for many is said once.
fn add_once(warnings: &mut Vec<String>, warning: Option<String>) {
    warnings.extend(warning.filter(|warning| !warnings.contains(warning)));
}

/// The most in one transaction, and in one entry of the ledger.
pub(super) const MANY: usize = 256;

/// The same where a key takes a tenth of a second or more.
const FEW: usize = 32;
