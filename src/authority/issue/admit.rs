//! Who may be issued: held against the store, the settings and the places of bundles, and all that is wrong told at once
//! where it comes from a list. Changes nothing, and makes no key.

use std::collections::HashSet;

use super::{IssueRequest, Present};
use crate::{
    authority::{
        admission::{Addressee, Asked, Objections},
        leaf::{leaf_validity, server_addresses, Former, Plan},
        recipients, since,
        workshop::Workshop,
        Authority, AuthorityError, Keyholder,
    },
    files,
    import::people::{Fault, Person},
    inventory::{Certificate, Peer, Role, Status},
    name::Name,
    pki::{Algorithm, IssuerCertificate, LeafProfile},
    serial::Serial,
    settings::Settings,
    store::View,
    time::Time,
};

/// Everybody of a call.
pub(super) struct Admission<'p> {
    /// Who gets a certificate.
    pub wanted: Vec<Admitted<'p>>,
    /// Who has access already.
    pub unchanged: Vec<Name>,
    /// Who of them lacks the bundle that was asked for.
    pub lacking: Vec<Name>,
}

/// A name that may be issued.
pub(super) struct Admitted<'p> {
    pub person: &'p Person,
    /// Who had the name before. Of few, so that a list of many stays small.
    before: Option<Box<Before>>,
}

/// Whose name it was.
#[derive(PartialEq, Eq)]
struct Before {
    peer: Peer,
    former: Option<Former>,
}

/// What a name is to the store.
enum Standing<'p> {
    /// Free, or free again.
    Free(Admitted<'p>),
    /// Somebody has it, and is left as they are.
    Present(Peer),
}

impl Authority {
    /// Admits all of them, or refuses the call: by the first objection, or for a list by all of them.
    pub(super) fn admit_everybody<'p>(
        &self,
        view: &dyn View,
        request: &'p IssueRequest,
        workshop: &mut Workshop,
        keyholder: &dyn Keyholder,
    ) -> Result<Admission<'p>, AuthorityError> {
        let now = self.now();
        let mut objections = request.list.as_ref().map_or(Objections::First, |_| Objections::All(Vec::new()));
        let texts = recipients::texts(&request.recipients);
        let (mut free, mut present) = (Vec::new(), Vec::new());
        let mut met = HashSet::new();
        for (place, person) in request.people.iter().enumerate() {
            let met_before = !met.insert(person.name.folded());
            match standing(view, person, request, &workshop.settings, met_before, now) {
                Ok(Standing::Free(admitted)) => free.push((place, admitted)),
                Ok(Standing::Present(peer)) => present.push(peer),
                Err(error) => objections.raise(place, error)?,
            }
        }
        check_days(view, request, &workshop.settings, &free, now, &mut objections)?;
        let addressees: Vec<Addressee> =
            free.iter().map(|(_, admitted)| admitted.addressee(request, &workshop.settings, &texts)).collect();
        let mut bundles = match objections {
            Objections::First => Objections::First,
            Objections::All(_) => Objections::All(Vec::new()),
        };
        workshop.admit_each(&addressees, &request.outputs, view, now, &mut bundles)?;
        refuse_list(request, objections, bundles, &free)?;
        workshop.plugins = request.outputs.sealing.prepare(&request.outputs, &addressees, keyholder)?;
        let lacking = lacking(workshop, request, &present)?;
        let unchanged = present.into_iter().map(|peer| peer.name).collect();
        Ok(Admission { wanted: free.into_iter().map(|(_, admitted)| admitted).collect(), unchanged, lacking })
    }
}

/// Days are only asked for; a usual number of days is shortened where the CA ends before.
fn check_days(
    view: &dyn View,
    request: &IssueRequest,
    settings: &Settings,
    free: &[(usize, Admitted)],
    now: Time,
    objections: &mut Objections,
) -> Result<(), AuthorityError> {
    let asked = free.iter().filter(|(_, admitted)| admitted.person.days.is_some());
    if request.list.is_none() || free.is_empty() {
        return Ok(());
    }
    let ca = IssuerCertificate::parse(&view.issuer()?.certificate)?.validity();
    for (place, Admitted { person, .. }) in asked {
        if let Err(error) = leaf_validity(person.role, person.days, settings, ca, now) {
            objections.raise(*place, error)?;
        }
    }
    Ok(())
}

/// All objections together, by their lines.
fn refuse_list(
    request: &IssueRequest,
    objections: Objections,
    bundles: Objections,
    free: &[(usize, Admitted)],
) -> Result<(), AuthorityError> {
    let (Some(read), Objections::All(people), Objections::All(bundles)) = (&request.list, objections, bundles) else {
        return Ok(());
    };
    let bundles = bundles.into_iter().map(|(place, error)| (free[place].0, error));
    let told = people.into_iter().chain(bundles).map(|(place, error)| Fault {
        line: request.people[place].line.unwrap_or_default(),
        problem: error.to_string(),
    });
    let mut faults: Vec<Fault> = read.iter().cloned().chain(told).collect();
    faults.sort_by_key(|fault| fault.line);
    match (faults.is_empty(), request.people.is_empty()) {
        (false, _) => Err(AuthorityError::List(faults)),
        (true, true) => Err(AuthorityError::NobodyListed),
        (true, false) => Ok(()),
    }
}

/// Whose bundle is not where this call would put it.
fn lacking(workshop: &Workshop, request: &IssueRequest, present: &[Peer]) -> Result<Vec<Name>, AuthorityError> {
    let mut names = Vec::new();
    if request.present == Present::Completed {
        for (name, path) in present.iter().filter_map(|peer| workshop.place(peer, &request.outputs)) {
            if !files::exists(&path)? {
                names.push(name);
            }
        }
    }
    Ok(names)
}

/// The same again inside the transaction; none for whoever got access in between, and may have it.
pub(super) fn admit_again<'p>(
    view: &dyn View,
    person: &'p Person,
    request: &IssueRequest,
    settings: &Settings,
    now: Time,
) -> Result<Option<Admitted<'p>>, AuthorityError> {
    match standing(view, person, request, settings, false, now)? {
        Standing::Free(admitted) => Ok(Some(admitted)),
        Standing::Present(_) => Ok(None),
    }
}

fn standing<'p>(
    view: &dyn View,
    person: &'p Person,
    request: &IssueRequest,
    settings: &Settings,
    met_before: bool,
    now: Time,
) -> Result<Standing<'p>, AuthorityError> {
    let Person { name, role, .. } = person;
    check_prefix(name, *role, &settings.server.name_prefix)?;
    if met_before {
        return Err(AuthorityError::Twice(name.clone()));
    }
    if *role == Role::Server && !request.recipients.is_empty() {
        return Err(AuthorityError::ServerRecipients(name.clone()));
    }
    let Some(peer) = view.peer(name)? else {
        return Ok(Standing::Free(Admitted { person, before: None }));
    };
    if peer.name != *name {
        return Err(AuthorityError::Spelling { asked: name.clone(), known: peer.name });
    }
    if peer.role != *role {
        return Err(AuthorityError::OtherRole { name: name.clone(), asked: *role, known: peer.role });
    }
    for certificate in view.certificates_of(name)? {
        match certificate.status(now) {
            Status::Valid if request.present != Present::Refused => return Ok(Standing::Present(peer)),
            Status::Valid | Status::Superseded => {
                return Err(AuthorityError::Taken { name: name.clone(), until: certificate.validity.not_after() })
            }
            Status::Suspended => return Err(AuthorityError::Held(name.clone())),
            Status::Revoked | Status::Expired => (),
        }
    }
    let former = view.certificate(&peer.current)?.map(|certificate| former(&certificate, now));
    Ok(Standing::Free(Admitted { person, before: Some(Box::new(Before { peer, former })) }))
}

fn former(certificate: &Certificate, now: Time) -> Former {
    let since = match &certificate.revocation {
        Some(revocation) => since(revocation),
        None => format!("expired on {}", certificate.validity.not_after().date()),
    };
    Former { serial: certificate.serial, status: certificate.status(now), since }
}

/// Bundles say `verify-x509-name PREFIX name-prefix`: a client with that prefix could pose as the server.
pub(in crate::authority) fn check_prefix(name: &Name, role: Role, prefix: &str) -> Result<(), AuthorityError> {
    let why = match (role, name.has_prefix(prefix)) {
        (Role::Client, true) => format!("names that begin with `{prefix}` are servers' (`server.name-prefix`)"),
        (Role::Server, false) => {
            format!("servers' names begin with `{prefix}`, which clients verify (`server.name-prefix`)")
        }
        _ => return Ok(()),
    };
    Err(AuthorityError::Prefix { name: name.clone(), why })
}

impl Admitted<'_> {
    /// The peer that had the name before.
    pub(super) fn peer(&self) -> Option<&Peer> {
        self.before.as_deref().map(|before| &before.peer)
    }

    /// Whether what was made for one is right for the other.
    pub(super) fn is_as(&self, other: &Self) -> bool {
        self.before == other.before
    }

    /// To whom the bundle is encrypted: as this call says, or as it is on record.
    fn recipients<'a>(&'a self, asked: &'a [String]) -> &'a [String] {
        match self.peer() {
            Some(peer) if asked.is_empty() => &peer.recipients,
            _ => asked,
        }
    }

    fn addressee<'a>(&'a self, request: &IssueRequest, settings: &Settings, texts: &'a [String]) -> Addressee<'a> {
        let Person { name, role, .. } = self.person;
        let algorithm = request.algorithm(self.person).unwrap_or(settings.algorithm).to_string();
        let recipients = self.recipients(texts);
        Addressee { name, role: *role, algorithm, key: request.place(), recipients, asked: Asked::ByName }
    }

    /// What will be signed and recorded.
    pub(super) fn plan(
        &self,
        texts: &[String],
        settings: &Settings,
        issuer: &IssuerCertificate,
        now: Time,
        (serial, algorithm): (Serial, Algorithm),
    ) -> Result<Plan, AuthorityError> {
        let recipients = self.recipients(texts).to_vec();
        let Person { name, role, days, addresses, note: contact, .. } = self.person;
        let (validity, note) = leaf_validity(*role, *days, settings, issuer.validity(), now)?;
        let addresses = match role {
            Role::Client => Vec::new(),
            Role::Server => server_addresses(settings, addresses),
        };
        let profile = LeafProfile { name: name.clone(), role: *role, serial, validity, addresses };
        let plan = Plan::new(profile, algorithm, now);
        let plan = match self.peer() {
            Some(peer) => plan.of_peer(peer),
            None => plan,
        };
        let contact = contact.clone().or_else(|| plan.contact.clone());
        let former = self.before.as_ref().and_then(|before| before.former.clone());
        Ok(Plan { note, contact, recipients, former, ..plan })
    }
}
