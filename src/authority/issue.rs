//! `issue`: peers with their keys, certificates and bundles; one of them, or a list of many.
//! Decides who gets what before a key is made; how a batch of them is made stands in `batch`.

use std::cell::Cell;

use serde::Serialize;

use crate::{
    authority::{
        credential::{self, Credential},
        deliver::{Delivery, Outputs},
        export,
        leaf::IssuedCertificate,
        revoke::CrlSummary,
        Authority, AuthorityError, Keyholder, Stop, Stopped,
    },
    import::people::{Fault, Person},
    inventory::{KeyPlace, Peer, Role},
    name::Name,
    pki::{Algorithm, Request},
    settings::Publishing,
    vault::Recipient,
};

mod admit;
mod batch;
mod desk;

pub(super) use admit::check_prefix;
use admit::Admitted;
use batch::Act;

/// What `issue` is asked to do.
pub struct IssueRequest {
    /// To whom, each once.
    pub people: Vec<Person>,
    /// What was found wrong with the list that they come from; none for people who were named one by one.
    pub list: Option<Vec<Fault>>,
    /// Where bundles go.
    pub outputs: Outputs,
    /// What becomes of whoever has access already.
    pub present: Present,
    /// Stop before anything changes.
    pub dry_run: bool,
    /// To whom these and later bundles are encrypted; none leaves what is on record.
    pub recipients: Vec<Recipient>,
    /// The owner's request, when the private key stays with them.
    pub csr: Option<Request>,
    /// Somebody's wish to end it.
    pub stop: Stop,
}

/// What becomes of whoever has access already, in the same role.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Present {
    /// The act is refused.
    Refused,
    /// They are left as they are (`--if-missing`).
    Left,
    /// They are left as they are, but a bundle that is not at its place is made (`--skip-existing`).
    Completed,
}

/// What `issue` did, beside what its witness was told.
#[derive(Default, Serialize)]
pub struct Issued {
    /// Whether anything was issued, or a bundle made.
    pub changed: bool,
    /// Peers that were there already.
    pub unchanged: Vec<Name>,
    /// A CRL signed on the way, since a published one was newer than the store's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crl: Option<CrlSummary>,
    /// What people should know.
    pub warnings: Vec<String>,
    /// Why not everybody has what was asked for.
    #[serde(skip)]
    pub stopped: Option<Stopped>,
}

/// Who is done, a batch at a time: all of it durable and in place.
#[derive(Default, Serialize)]
pub struct Batch {
    /// The new certificates.
    pub issued: Vec<IssuedCertificate>,
    /// What became of the bundles; also of those of people who had access already.
    #[serde(flatten)]
    pub delivery: Delivery,
}

/// Who hears of each batch while the act goes on.
pub trait Witness {
    /// These are done, so many of so many in all.
    fn done(&mut self, batch: Batch, done: usize, of: usize);
}

impl Authority {
    /// Issues to everybody: what is wrong with one of them ends it before the first key is made. What was committed before
    /// a later batch failed, or somebody wanted an end, stands.
    pub fn issue(
        &self,
        request: &IssueRequest,
        keyholder: &dyn Keyholder,
        witness: &mut dyn Witness,
    ) -> Result<Issued, AuthorityError> {
        if let (Some(_), [Person { name, role: Role::Server, .. }, ..]) = (&request.csr, &*request.people) {
            return Err(AuthorityError::ServerRequest(name.clone()));
        }
        let mut workshop = self.workshop()?;
        let mut outcome = Issued { warnings: workshop.settings.notes.clone(), ..Issued::default() };
        let (unlocked, wanted, lacking) = {
            let view = self.view()?;
            let admission = self.admit_everybody(&*view, request, &mut workshop, keyholder)?;
            outcome.unchanged = admission.unchanged;
            outcome.warnings.extend(note_on_servers(request, &admission.wanted, workshop.settings.algorithm));
            if admission.wanted.is_empty() && admission.lacking.is_empty() {
                return Ok(outcome);
            }
            (self.unlock(&*view, keyholder)?, admission.wanted, admission.lacking)
        };
        let publishing = Publishing::of(&workshop.settings);
        let many = wanted.len() + lacking.len();
        let (workshop, unlocked, publishing) = (&workshop, &unlocked, &publishing);
        let act = Act { authority: self, request, workshop, unlocked, publishing, written: Cell::default() };
        act.issue(wanted, many, witness, &mut outcome)?;
        if outcome.stopped.is_none() {
            act.complete(&lacking, many, witness, &mut outcome)?;
        }
        outcome.warnings.extend(request.outputs.notes(many));
        if outcome.changed {
            self.tend(unlocked, publishing, &mut outcome.warnings);
            if !self.has_no_target(publishing) {
                self.publish_quietly(publishing, &mut outcome.warnings);
            }
        }
        Ok(outcome)
    }
}

impl IssueRequest {
    /// The key of somebody, when it is not as the settings say.
    fn algorithm(&self, person: &Person) -> Option<Algorithm> {
        self.csr.as_ref().map(Request::algorithm).or(person.algorithm)
    }

    fn place(&self) -> KeyPlace {
        Credential::place_of(self.csr.as_ref())
    }
}

impl Act<'_> {
    /// Makes the bundles that people with access lack: a kill between the commit of a batch and its last bundle left
    /// them out.
    fn complete(
        &self,
        lacking: &[Name],
        of: usize,
        witness: &mut dyn Witness,
        outcome: &mut Issued,
    ) -> Result<(), AuthorityError> {
        if lacking.is_empty() {
            return Ok(());
        }
        let Self { authority, request, workshop, unlocked, .. } = *self;
        let view = authority.view()?;
        let (mut peers, mut unkept): (Vec<Peer>, Vec<Peer>) = (Vec::new(), Vec::new());
        for name in lacking {
            let Some(peer) = view.peer(name)? else { continue };
            if export::is_kept(&*view, &peer)? { &mut peers } else { &mut unkept }.push(peer);
        }
        let desk = export::Desk::new(workshop, unlocked, &*view, &peers, &request.outputs, authority.now())?;
        let before = of - lacking.len();
        let mut tell = |delivery: Delivery, done: usize| {
            let batch = Batch { issued: Vec::new(), delivery };
            witness.done(batch, before + done, of);
        };
        let dry_run = request.dry_run;
        let made = desk.make(&peers, dry_run, &request.stop, &mut tell)?;
        let mut left = Delivery::default();
        left.give_up(unkept.iter().filter_map(|peer| workshop.place(peer, &request.outputs)), &unkept_key());
        tell(left, made.done);
        outcome.changed |= made.done > 0 && !dry_run;
        outcome.stopped = made.stopped.map(|why| Stopped { done: before + made.done, of, why });
        let bundles = workshop.bundles(desk.has_dh())?;
        drop(desk);
        drop(view);
        if !dry_run {
            let noted = authority.note_bundles(&peers[..made.done].iter().collect::<Vec<_>>(), &bundles, unlocked);
            outcome.warnings.extend(noted.err().as_ref().map(export::not_noted));
        }
        Ok(())
    }
}

/// What should be known before one of the servers among them gets its key.
fn note_on_servers(request: &IssueRequest, wanted: &[Admitted], usual: Algorithm) -> Option<String> {
    let servers = wanted.iter().map(|admitted| admitted.person).filter(|person| person.role == Role::Server);
    let mut notes =
        servers.filter_map(|person| credential::note_on_server(request.algorithm(person).unwrap_or(usual), usual));
    notes.next()
}

fn unkept_key() -> AuthorityError {
    AuthorityError::Usage("its private key is not kept (`keys.keep`)".to_owned())
}

/// The parameter that holds the Diffie-Hellman group.
pub(super) const DH: &str = "dh";

#[cfg(test)]
mod tests;
