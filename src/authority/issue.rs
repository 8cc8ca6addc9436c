//! `issue`: a peer, its key, its certificate and its bundle.
//! Keys are made before the transaction; inside it everything is checked again, signed, recorded and staged.

use serde::Serialize;

use crate::{
    authority::{
        admission::{Addressee, Asked},
        credential::{self, Credential},
        deliver::{self, Delivery, Outputs, StagedBundle},
        recipients,
        revoke::{highest, CrlSummary},
        signing::{self, Wishes},
        since,
        workshop::{Own, Workshop},
        Authority, AuthorityError, Keyholder, Unlocked,
    },
    files,
    inventory::{Certificate, Change, Digest, Event, Holder, KeyPlace, Peer, Role, Status},
    name::Name,
    pki::{self, Address, Algorithm, IssuerCertificate, LeafProfile, Request},
    serial::Serial,
    settings::{Keep, PublishMode, Publishing, Settings},
    store::{View, Writing},
    time::{Time, DAY},
    validity::Validity,
    vault::{Binding, Plugins, Recipient},
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

/// One new certificate.
#[derive(Debug, Serialize, Clone)]
pub struct IssuedCertificate {
    /// To whom.
    pub name: Name,
    /// What for.
    pub role: Role,
    /// Its serial; none where nothing was issued (`--dry-run`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<Serial>,
    /// Its key.
    pub algorithm: String,
    /// First and last second.
    #[serde(flatten)]
    pub validity: Validity,
    /// The certificate that had the name before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub formerly: Option<Former>,
}

/// Whose name it was.
#[derive(Debug, Serialize, Clone)]
pub struct Former {
    /// The serial, which stays on record for ever.
    pub serial: Serial,
    /// Revoked or expired.
    pub status: Status,
    /// Since when, for people.
    pub since: String,
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
            let der = pki::sign_leaf(&plan.profile, key.spki(), issuer, &issuer_key)?;
            events.push(record(&mut *writing, unlocked, &plan, &key, &der, workshop.settings.keep)?);
            staged.extend(workshop.stage(&shared, plan.own(&key, &der), &request.outputs)?);
            outcome.issued.push(plan.summary());
        }
        drop(issuer_key);
        outcome.warnings.extend(request.outputs.notes(outcome.issued.len()));
        if request.dry_run {
            forget_serials(&mut outcome.issued);
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

    /// Settings and templates, every fault found before a key is opened.
    pub(super) fn workshop(&self) -> Result<Workshop<'_>, AuthorityError> {
        let settings = self.settings()?;
        let templates = self.templates(&settings)?;
        Ok(Workshop {
            settings,
            templates,
            owner: self.owner,
            world: &self.actor.world,
            plugins: Plugins::unattended(),
        })
    }

    /// Targets that are behind are served by whoever comes; that failing is not this act's fault.
    pub(super) fn publish_quietly(&self, publishing: &Publishing, warnings: &mut Vec<String>) {
        if publishing.mode == PublishMode::Manual {
            return;
        }
        match self.publish(publishing) {
            Ok(published) => {
                for target in published.targets.iter().filter(|target| !target.reached()) {
                    let why = target.problem.as_deref().unwrap_or("it is behind");
                    warnings.push(format!("`{}` does not have the newest CRL: {why}", files::shown(&target.dir)));
                }
                let unfinished = published.after.and_then(|ran| ran.problem);
                warnings.extend(unfinished.map(|problem| format!("publishing was not finished: {problem}")));
            }
            Err(error) => warnings.push(format!("the newest CRL was not published: {error}")),
        }
    }
}

/// A serial that was only tried belongs to nobody.
pub(super) fn forget_serials(tried: &mut [IssuedCertificate]) {
    for leaf in tried {
        leaf.serial = None;
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

/// What will be signed.
pub(super) struct Plan {
    pub profile: LeafProfile,
    pub algorithm: Algorithm,
    pub issued: Time,
    pub note: Option<String>,
    /// How to reach whoever gets it; none leaves what was noted.
    pub contact: Option<String>,
    /// The digest of what its bundle is made of; none where none is made.
    pub bundle: Option<Digest>,
    /// To whom its bundles are encrypted.
    pub recipients: Vec<String>,
    former: Option<Former>,
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

impl Plan {
    /// With the digest of what its bundle is made of.
    pub(super) fn with_bundle(self, bundle: Option<Digest>) -> Self {
        Self { bundle, ..self }
    }

    /// With those to whom its bundles are encrypted.
    pub(super) fn with_recipients(self, recipients: Vec<String>) -> Self {
        Self { recipients, ..self }
    }

    /// For a peer that never was.
    pub(super) fn new(profile: LeafProfile, algorithm: Algorithm, issued: Time) -> Self {
        Self {
            profile,
            algorithm,
            issued,
            note: None,
            contact: None,
            bundle: None,
            recipients: Vec::new(),
            former: None,
        }
    }

    /// The peer's own part of its bundle.
    pub(super) fn own(&self, key: &Credential, der: &[u8]) -> Own {
        Own {
            name: self.profile.name.clone(),
            role: self.profile.role,
            certificate_pem: pki::certificate_pem(der),
            key: key.in_bundle(),
            recipients: self.recipients.clone(),
        }
    }

    pub(super) fn summary(&self) -> IssuedCertificate {
        IssuedCertificate {
            name: self.profile.name.clone(),
            role: self.profile.role,
            serial: Some(self.profile.serial),
            algorithm: self.algorithm.to_string(),
            validity: self.profile.validity,
            formerly: self.former.clone(),
        }
    }
}

/// The remotes, which clients connect to, and what was asked for beside them.
pub(super) fn server_addresses(settings: &Settings, more: &[Address]) -> Vec<Address> {
    let mut addresses: Vec<Address> =
        settings.client.remotes.iter().filter_map(|remote| Address::parse(&remote.host).ok()).collect();
    addresses.extend(more.iter().cloned());
    let mut distinct: Vec<Address> = Vec::new();
    for address in addresses {
        if !distinct.contains(&address) {
            distinct.push(address);
        }
    }
    distinct
}

/// From a day ago, since a time zone set wrong is the usual fault of clocks, but not before the CA; until the CA ends at
/// most: a default is shortened with a note, a wish beyond it is refused.
pub(super) fn leaf_validity(
    role: Role,
    days: Option<u32>,
    settings: &Settings,
    ca: Validity,
    now: Time,
) -> Result<(Validity, Option<String>), AuthorityError> {
    if now > ca.not_after() {
        return Err(AuthorityError::CaEnded(ca.not_after()));
    }
    let usual = match role {
        Role::Client => Some(settings.client.days),
        Role::Server => settings.server.days,
    };
    let begin = now.plus_seconds(-DAY).max(ca.not_before());
    let whole = Validity::new(begin, ca.not_after()).map_err(|_| AuthorityError::CaEnded(ca.not_after()))?;
    let Some(wanted) = days.or(usual) else { return Ok((whole, None)) };
    let end = Validity::of_days(now, wanted, 0).not_after();
    match (end > ca.not_after(), days) {
        (true, Some(days)) => Err(AuthorityError::OutlivesCa { days, ends: ca.not_after() }),
        (true, None) => {
            let note = format!("shortened from {wanted} days: the CA ends on {}", ca.not_after().date());
            Ok((whole, Some(note)))
        }
        (false, _) => Ok((Validity::new(begin, end).unwrap_or(whole), None)),
    }
}

/// Records a certificate that was signed, its key and its peer.
pub(super) fn record(
    writing: &mut dyn Writing,
    unlocked: &Unlocked,
    plan: &Plan,
    key: &Credential,
    der: &[u8],
    keep: Keep,
) -> Result<Event, AuthorityError> {
    let LeafProfile { name, role, serial, validity, .. } = &plan.profile;
    let known = writing.peer(name)?;
    let created = known.as_ref().map_or(plan.issued, |peer| peer.created);
    let note = plan.contact.clone().or(known.and_then(|peer| peer.note));
    let holder = Holder { name: name.clone(), role: *role, algorithm: plan.algorithm.to_string(), key: key.place() };
    writing.record(&Change::Certificate(Certificate {
        serial: *serial,
        issuer: unlocked.number,
        holder: Some(holder),
        validity: *validity,
        issued: plan.issued,
        revocation: None,
        overlap_ends: None,
    }))?;
    writing.record(&Change::CertificateDer(*serial, der.to_vec()))?;
    if let Some(pem) = key.private().filter(|_| keep != Keep::Never) {
        let sealed = unlocked.vault.seal(&Binding::private_key(&unlocked.authority, name, serial), &pem)?;
        writing.record(&Change::SealedKey(*serial, Some(sealed)))?;
    }
    let (name, role, current, bundle, recipients) =
        (name.clone(), *role, *serial, plan.bundle, plan.recipients.clone());
    writing.record(&Change::Peer(Peer { name: name.clone(), role, created, current, note, bundle, recipients }))?;
    Ok(Event::Issued { name, serial: *serial })
}

/// The parameter that holds the Diffie-Hellman group.
pub(super) const DH: &str = "dh";
