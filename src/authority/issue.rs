//! `issue`: a peer, its key, its certificate and its bundle.
//! Keys are made before the transaction; inside it everything is checked again, signed, recorded and staged.

use serde::Serialize;

use crate::{
    authority::{
        admission::{Addressee, Asked},
        credential::{self, Credential},
        deliver::{self, Delivery, Outputs, StagedBundle},
        leaf::{self, leaf_validity, server_addresses, Former, IssuedCertificate, Plan},
        recipients,
        revoke::{highest, CrlSummary},
        signing::{self, Wishes},
        since,
        workshop::Workshop,
        Authority, AuthorityError, Keyholder, Unlocked,
    },
    inventory::{Certificate, Change, KeyPlace, Peer, Role, Status},
    name::Name,
    pki::{self, Address, Algorithm, IssuerCertificate, LeafProfile, Request},
    serial::Serial,
    settings::{Publishing, Settings},
    store::View,
    time::Time,
    vault::Recipient,
};

/// What `issue` is asked to do.
pub struct IssueRequest {
    /// To whom, each once.
    pub names: Vec<Name>,
    /// What for.
    pub role: Role,
    /// The key, when not as the settings say.
    pub algorithm: Option<Algorithm>,
    /// Days of validity, when not as the settings say.
    pub days: Option<u32>,
    /// Subject alternative names of a server beside the remotes.
    pub addresses: Vec<Address>,
    /// Where bundles go.
    pub outputs: Outputs,
    /// A valid peer of the same role is left as it is.
    pub if_missing: bool,
    /// Stop before anything changes.
    pub dry_run: bool,
    /// How to reach whoever gets it.
    pub note: Option<String>,
    /// To whom this and later bundles are encrypted; none leaves what is on record.
    pub recipients: Vec<Recipient>,
    /// The owner's request, when the private key stays with them.
    pub csr: Option<Request>,
}

/// What `issue` did.
#[derive(Serialize)]
pub struct Issued {
    /// Whether anything was issued.
    pub changed: bool,
    /// The new certificates.
    pub issued: Vec<IssuedCertificate>,
    /// Peers that were there already (`--if-missing`).
    pub unchanged: Vec<Name>,
    /// What became of the bundles.
    #[serde(flatten)]
    pub delivery: Delivery,
    /// A CRL signed on the way, since a published one was newer than the store's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crl: Option<CrlSummary>,
    /// What people should know.
    pub warnings: Vec<String>,
}

impl Authority {
    /// Issues to every name, or to nobody.
    pub fn issue(&self, request: &IssueRequest, keyholder: &dyn Keyholder) -> Result<Issued, AuthorityError> {
        if let (Some(_), Role::Server, [name, ..]) = (&request.csr, request.role, &*request.names) {
            return Err(AuthorityError::ServerRequest(name.clone()));
        }
        let mut workshop = self.workshop()?;
        let mut outcome = Issued {
            changed: false,
            issued: Vec::new(),
            unchanged: Vec::new(),
            delivery: Delivery::default(),
            crl: None,
            warnings: workshop.settings.notes.clone(),
        };
        let asked = request.csr.as_ref().map(Request::algorithm).or(request.algorithm);
        let algorithm = asked.unwrap_or(workshop.settings.algorithm);
        let place = Credential::place_of(request.csr.as_ref());
        let (unlocked, wanted) = {
            let view = self.view()?;
            let wanted = admit_all(&*view, request, &workshop.settings, self.now(), &mut outcome.unchanged)?;
            let addressees: Vec<Addressee> =
                wanted.iter().map(|admitted| admitted.addressee(request.role, algorithm, place)).collect();
            workshop.admit(&addressees, &request.outputs, &*view, self.now(), keyholder)?;
            if wanted.is_empty() {
                return Ok(outcome);
            }
            (self.unlock(&*view, keyholder)?, wanted)
        };
        let keys = Credential::obtain(wanted.len(), algorithm, request.csr.as_ref())?;
        self.issue_with(request, &workshop, &unlocked, keys, &mut outcome)?;
        Ok(outcome)
    }

    fn issue_with(
        &self,
        request: &IssueRequest,
        workshop: &Workshop,
        unlocked: &Unlocked,
        keys: Vec<Credential>,
        outcome: &mut Issued,
    ) -> Result<(), AuthorityError> {
        let publishing = Publishing::of(&workshop.settings);
        let mut writing = self.begin()?;
        let now = self.now();
        outcome.unchanged.clear();
        let wanted = admit_all(&*writing, request, &workshop.settings, now, &mut outcome.unchanged)?;
        let touched = wanted.iter().filter_map(|admitted| admitted.peer.clone()).map(Change::Peer);
        unlocked.refuse_mismatch(&*writing, touched.collect())?;
        let mut events = self.take_over(&mut *writing, unlocked, &publishing, &mut outcome.warnings)?;
        let above = highest(&events);
        if above > 0 {
            let (crl, signed) =
                signing::sign_crl(&mut *writing, unlocked, now, Wishes { days: publishing.crl_days, above }, &events)?;
            outcome.crl = Some(CrlSummary::of(&crl));
            events.extend(signed);
        }
        let (issuer, issuer_key) = (unlocked.issuer()?, unlocked.issuer_key(&*writing)?);
        let shared = unlocked.shared(&*writing, request.role == Role::Server, now)?;
        let bundle = workshop.bundle_digest(request.role, &request.outputs, shared.has_dh())?;
        let mut staged: Vec<StagedBundle> = Vec::new();
        for (admitted, key) in wanted.into_iter().zip(keys) {
            if let Credential::Requested(csr) = &key {
                outcome.warnings.extend(credential::examine(&*writing, &admitted.name, csr, now)?);
            }
            let plan = admitted.plan(request, &workshop.settings, issuer, now, self.serial()?, &key)?;
            let plan = Plan { contact: request.note.clone(), bundle, ..plan };
            outcome.warnings.extend(plan.note.clone());
            let signed = pki::sign_leaf(&plan.profile, key.spki(), issuer, &issuer_key)?;
            events.push(leaf::record(&mut *writing, unlocked, &plan, &key, &signed, workshop.settings.keep)?);
            staged.extend(workshop.stage(&shared, plan.own(&key, &signed), &request.outputs)?);
            outcome.issued.push(plan.summary());
        }
        drop(issuer_key);
        outcome.warnings.extend(request.outputs.notes(outcome.issued.len()));
        if request.dry_run {
            leaf::forget_serials(&mut outcome.issued);
            return Ok(());
        }
        self.commit(writing, "issue", events, false, Some(unlocked))?;
        outcome.changed = !outcome.issued.is_empty();
        outcome.delivery.extend(deliver::release(staged));
        outcome.warnings.extend(outcome.delivery.warnings());
        self.tend(unlocked, &publishing, &mut outcome.warnings);
        if !self.has_no_target(&publishing) {
            self.publish_quietly(&publishing, &mut outcome.warnings);
        }
        Ok(())
    }

    /// A new serial.
    pub(super) fn serial(&self) -> Result<Serial, AuthorityError> {
        Ok(Serial::fresh(self.actor.world.random()?))
    }
}

/// A name that may be issued.
struct Admitted {
    name: Name,
    /// The peer that had the name before.
    peer: Option<Peer>,
    former: Option<Former>,
    /// To whom its bundle is encrypted.
    recipients: Vec<String>,
}

fn admit_all(
    view: &dyn View,
    request: &IssueRequest,
    settings: &Settings,
    now: Time,
    unchanged: &mut Vec<Name>,
) -> Result<Vec<Admitted>, AuthorityError> {
    let mut admitted: Vec<Admitted> = Vec::new();
    for name in &request.names {
        check_prefix(name, request.role, &settings.server.name_prefix)?;
        if admitted.iter().any(|other| other.name.folded() == name.folded()) {
            return Err(AuthorityError::Twice(name.clone()));
        }
        match admit(view, name, request, now)? {
            Some(one) => admitted.push(one),
            None => unchanged.push(name.clone()),
        }
    }
    Ok(admitted)
}

/// Whether the name is free; none when `--if-missing` found what it wanted.
fn admit(view: &dyn View, name: &Name, request: &IssueRequest, now: Time) -> Result<Option<Admitted>, AuthorityError> {
    let recipients = recipients::texts(&request.recipients);
    let Some(peer) = view.peer(name)? else {
        return Ok(Some(Admitted { name: name.clone(), peer: None, former: None, recipients }));
    };
    if peer.name != *name {
        return Err(AuthorityError::Spelling { asked: name.clone(), known: peer.name });
    }
    if peer.role != request.role {
        return Err(AuthorityError::OtherRole { name: name.clone(), asked: request.role, known: peer.role });
    }
    for certificate in view.certificates_of(name)? {
        match certificate.status(now) {
            Status::Valid if request.if_missing => return Ok(None),
            Status::Valid | Status::Superseded => {
                return Err(AuthorityError::Taken { name: name.clone(), until: certificate.validity.not_after() })
            }
            Status::Suspended => return Err(AuthorityError::Held(name.clone())),
            Status::Revoked | Status::Expired => (),
        }
    }
    let former = view.certificate(&peer.current)?.map(|certificate| former(&certificate, now));
    let recipients = if recipients.is_empty() { peer.recipients.clone() } else { recipients };
    Ok(Some(Admitted { name: name.clone(), peer: Some(peer), former, recipients }))
}

fn former(certificate: &Certificate, now: Time) -> Former {
    let since = match &certificate.revocation {
        Some(revocation) => since(revocation),
        None => format!("expired on {}", certificate.validity.not_after().date()),
    };
    Former { serial: certificate.serial, status: certificate.status(now), since }
}

/// Bundles say `verify-x509-name PREFIX name-prefix`: a client with that prefix could pose as the server.
pub(super) fn check_prefix(name: &Name, role: Role, prefix: &str) -> Result<(), AuthorityError> {
    let why = match (role, name.has_prefix(prefix)) {
        (Role::Client, true) => format!("names that begin with `{prefix}` are servers' (`server.name-prefix`)"),
        (Role::Server, false) => {
            format!("servers' names begin with `{prefix}`, which clients verify (`server.name-prefix`)")
        }
        _ => return Ok(()),
    };
    Err(AuthorityError::Prefix { name: name.clone(), why })
}

impl Admitted {
    fn addressee(&self, role: Role, algorithm: Algorithm, key: KeyPlace) -> Addressee<'_> {
        let Self { name, recipients, .. } = self;
        Addressee { name, role, algorithm: algorithm.to_string(), key, recipients, asked: Asked::ByName }
    }

    fn plan(
        self,
        request: &IssueRequest,
        settings: &Settings,
        issuer: &IssuerCertificate,
        now: Time,
        serial: Serial,
        key: &Credential,
    ) -> Result<Plan, AuthorityError> {
        let (validity, note) = leaf_validity(request.role, request.days, settings, issuer.validity(), now)?;
        let addresses = match request.role {
            Role::Client => Vec::new(),
            Role::Server => server_addresses(settings, &request.addresses),
        };
        let profile = LeafProfile { name: self.name, role: request.role, serial, validity, addresses };
        let recipients = self.recipients;
        Ok(Plan { note, former: self.former, recipients, ..Plan::new(profile, key.algorithm(), now) })
    }
}

/// The parameter that holds the Diffie-Hellman group.
pub(super) const DH: &str = "dh";
