//! `init`: a whole authority or nothing. It is built under a hidden name and made real by one rename; bundles are staged
//! before that and put in place after it.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::{
    authority::{
        admission::{Addressee, Asked},
        credential::Credential,
        deliver::{self, Delivery, Destination, Outputs},
        issue::{check_prefix, DH},
        leaf::{self, leaf_validity, server_addresses, IssuedCertificate, NewLeaf, Plan},
        revoke::CrlSummary,
        settings_text, signing, templates_in,
        unlock::vault_recipient,
        unlocker,
        workshop::{ServerShare, Shared, Workshop},
        Actor, Authority, AuthorityError, Unlocked, SETTINGS,
    },
    files::{self, Nursery, Overwrite, Visibility},
    findings::bundle::proof::Anchor,
    inventory::{Change, Digest, Event, Identity, Issuer, KeyPlace, Parameter, Role, SealedSecret, SecretKind, Target},
    name::Name,
    openvpn::{tls_crypt_v2::ServerKey, DhChoice, Parameters, StaticKey},
    pki::{self, CaProfile, IssuerCertificate, LeafProfile, PrivateKey},
    secret::Secret,
    serial::Serial,
    settings::{self, ControlChannel, Initial, Settings},
    store::{self, Access, Draft, Writing},
    time::{Time, DAY},
    validity::Validity,
    vault::{self, Binding, Plugins, Unlocker, VaultKeys},
};

/// What `init` is asked to do.
pub struct InitRequest {
    /// Where the authority is to lie.
    pub dir: PathBuf,
    /// What the new settings say; none when there is a `vpnpki.toml` to take.
    pub initial: Option<Initial>,
    /// The CA's common name; `openvpn HOST DATE` when none is given.
    pub ca_name: Option<String>,
    /// Diffie-Hellman parameters; none with `dh none`.
    pub dh: Option<Parameters>,
    /// The server peer.
    pub server: Name,
    /// The first clients.
    pub clients: Vec<Name>,
    /// Where bundles go; none for nowhere.
    pub out: Option<PathBuf>,
    /// The server's directory, which becomes a target.
    pub publish: Option<PathBuf>,
    /// What opens the vault.
    pub unlockers: Vec<Unlocker>,
    /// How age plugins reach people.
    pub plugins: Plugins,
    /// The text of `vault.key`, with `--no-passphrase`.
    pub key_file: Option<Secret>,
    /// An identity to be kept elsewhere, and the file it is written to.
    pub recovery: Option<(PathBuf, Secret)>,
    /// Stop before anything changes.
    pub dry_run: bool,
}

/// What `init` made.
#[derive(Serialize)]
pub struct Initialised {
    /// Whether anything was made.
    pub changed: bool,
    /// Where the authority lies.
    pub dir: PathBuf,
    /// The CA.
    pub ca: CaSummary,
    /// The first CRL.
    pub crl: CrlSummary,
    /// Server and clients.
    pub issued: Vec<IssuedCertificate>,
    /// The Diffie-Hellman parameters.
    pub dh: String,
    /// How the vault opens.
    pub unlockers: Vec<String>,
    /// The directory that became a target.
    pub target: Option<PathBuf>,
    /// The file with the recovery identity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovery: Option<PathBuf>,
    /// Why the recovery identity is in no file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovery_problem: Option<String>,
    /// What became of the bundles.
    #[serde(flatten)]
    pub delivery: Delivery,
    /// What people should know.
    pub warnings: Vec<String>,
}

/// The CA in a report.
#[derive(Debug, Serialize)]
pub struct CaSummary {
    /// Its common name.
    pub name: String,
    /// Its serial.
    pub serial: Serial,
    /// Its key.
    pub algorithm: String,
    /// First and last second.
    #[serde(flatten)]
    pub validity: Validity,
    /// SHA-256 of its DER.
    pub sha256: Digest,
}

/// Whether `dir` holds an authority already.
pub fn exists(dir: &Path) -> bool {
    store::exists(dir)
}

/// Removes what an `init` that was killed at its very end left in an authority.
pub fn sweep(dir: &Path) -> Result<(), AuthorityError> {
    Ok(Nursery::sweep(dir)?)
}

/// Whether `dir` has settings that were put there before.
pub fn has_settings(dir: &Path) -> Result<bool, AuthorityError> {
    Ok(files::exists(&dir.join(SETTINGS))?)
}

/// Makes the authority.
pub fn init(request: &InitRequest, actor: Actor) -> Result<Initialised, AuthorityError> {
    let text = match &request.initial {
        Some(initial) => settings::initial_text(initial),
        None => settings_text(&request.dir)?,
    };
    let settings = settings::load(&text, SETTINGS)?;
    check_prefix(&request.server, Role::Server, &settings.server.name_prefix)?;
    for (index, name) in request.clients.iter().enumerate() {
        check_prefix(name, Role::Client, &settings.server.name_prefix)?;
        if request.clients[..index].iter().any(|other| other.folded() == name.folded()) {
            return Err(AuthorityError::Twice(name.clone()));
        }
    }
    let templates = templates_in(&request.dir, &settings)?;
    let nursery = Nursery::create(&request.dir)?;
    let workshop =
        Workshop { settings, templates, owner: None, world: &actor.world, plugins: Some(request.plugins.clone()) };
    let recovery = request.recovery.as_ref();
    let recovery = recovery.map(|(path, text)| {
        files::stage(path, text.expose(), Visibility::Private, Overwrite::Refuse, None).map(|staged| (path, staged))
    });
    let recovery = recovery.transpose()?;
    let made = Making { request, actor: &actor, workshop: &workshop, now: actor.world.now() }.make(&nursery.path())?;
    if request.dry_run {
        let mut outcome = made.outcome;
        leaf::forget_serials(&mut outcome.issued);
        return Ok(outcome);
    }
    if request.initial.is_some() {
        files::stage(&nursery.path().join(SETTINGS), text.as_bytes(), Visibility::Public, Overwrite::Refuse, None)?
            .release()?;
    }
    if let Some(key_file) = &request.key_file {
        let path = nursery.path().join(super::unlock::VAULT_KEY);
        files::stage(&path, key_file.expose(), Visibility::Private, Overwrite::Refuse, None)?.release()?;
    }
    let left = nursery.commit()?;
    let mut outcome = made.outcome;
    outcome.warnings.extend(left.map(|why| {
        format!("the authority stands, but what it was built in is left: {why}; `vpnpki init --if-missing` removes it")
    }));
    outcome.changed = true;
    outcome.delivery = deliver::release(made.staged);
    if let Some((path, staged)) = recovery {
        match staged.release() {
            Ok(()) => {
                outcome.delivery.note_exposed(std::slice::from_ref(path));
                outcome.recovery = Some(path.clone());
            }
            Err(error) => outcome.recovery_problem = Some(error.to_string()),
        }
    }
    outcome.warnings.extend(outcome.delivery.warnings());
    if outcome.target.is_some() {
        // the server there may be one that drops its privileges and could not read what was put there
        match Authority::open(&request.dir, Access::Write, actor) {
            Ok(authority) => authority.publish_quietly(&authority.publishing().0, &mut outcome.warnings),
            Err(error) => outcome.warnings.push(format!("the server's directory was not looked at again: {error}")),
        }
    }
    Ok(outcome)
}

struct Made {
    outcome: Initialised,
    staged: Vec<deliver::StagedBundle>,
}

/// The one act, with all that it needs.
struct Making<'a> {
    request: &'a InitRequest,
    actor: &'a Actor,
    workshop: &'a Workshop<'a>,
    now: Time,
}

/// The CA while its key is in clear.
struct Ca {
    issuer: IssuerCertificate,
    key: PrivateKey,
    unlocked: Unlocked,
}

/// A peer to be, with its key.
struct Leaf {
    name: Name,
    role: Role,
    key: Credential,
}

impl Making<'_> {
    fn make(&self, dir: &Path) -> Result<Made, AuthorityError> {
        let id = self.id()?;
        let ca = self.ca(&id)?;
        let crl = signing::first_crl(&ca.issuer, &ca.key, self.now, self.settings().crl_days)?;
        let leaves = self.leaves()?;
        let control_key = self.control_key()?;
        let store = store::create(dir)?;
        let mut writing = store.begin(self.actor.patience)?;
        self.record_authority(&mut *writing, &ca, &id, &control_key)?;
        writing.record(&Change::Crl(crl.clone()))?;
        let mut events = vec![Event::Initialised { ca: ca.issuer.common_name() }];
        events.push(Event::signed(&crl));
        let mut outcome = self.outcome(&ca, CrlSummary::of(&(&crl).into()));
        let shared = self.shared(&ca.issuer, control_key, &crl.der)?;
        let mut staged = Vec::new();
        for leaf in leaves {
            let (plan, note) = self.plan(&leaf, &ca.issuer)?;
            let bundle = self.workshop.bundle_digest(leaf.role, &self.outputs(leaf.role), shared.has_dh())?;
            let plan = plan.with_bundle(bundle);
            let key = &leaf.key;
            outcome.warnings.extend(note);
            let signed = pki::sign_leaf(&plan.profile, key.spki(), &ca.issuer, &ca.key)?;
            outcome.issued.push(plan.summary());
            staged.extend(self.workshop.stage(&shared, plan.own(key, &signed), &self.outputs(leaf.role))?);
            let leaf = NewLeaf::new(&ca.unlocked, plan, key, signed, self.settings().keep)?;
            events.push(leaf.record(&mut *writing, &ca.unlocked)?);
        }
        if let Some(dir) = &self.request.publish {
            events.push(self.record_target(&mut *writing, dir, &mut outcome)?);
        }
        self.commit(writing, events, &ca.unlocked.vault)?;
        Ok(Made { outcome, staged })
    }

    fn settings(&self) -> &Settings {
        &self.workshop.settings
    }

    fn id(&self) -> Result<String, AuthorityError> {
        Ok(crate::inventory::ActId(self.actor.world.random()?).to_string())
    }

    fn serial(&self) -> Result<Serial, AuthorityError> {
        Ok(Serial::fresh(self.actor.world.random()?))
    }

    /// The server's `ta.key`.
    fn control_key(&self) -> Result<Secret, AuthorityError> {
        let world = &self.actor.world;
        Ok(match self.settings().control_channel {
            ControlChannel::TlsCrypt | ControlChannel::TlsAuth => StaticKey::from_random(world.random()?).to_pem(),
            ControlChannel::TlsCryptV2 => ServerKey::from_random(world.random()?).to_pem(),
        })
    }

    /// Two CAs of one name in one file stop an OpenVPN server, hence the date (`ssl_openssl.c`, `tls_ctx_load_ca`).
    fn ca(&self, id: &str) -> Result<Ca, AuthorityError> {
        let key = PrivateKey::generate(self.settings().ca_algorithm)?;
        let host = self.settings().client.remotes.first().map_or("", |remote| remote.host.as_str());
        let usual = || ca_name(host, self.now);
        let profile = CaProfile {
            common_name: self.request.ca_name.clone().unwrap_or_else(usual),
            serial: self.serial()?,
            validity: Validity::of_days(self.now, self.settings().ca_days, DAY),
        };
        let issuer = IssuerCertificate::parse(&pki::self_sign(&profile, &key)?)?;
        let vault = VaultKeys::create(Digest::of(issuer.der()).0, self.actor.world.random()?);
        let unlocked = Unlocked { vault, issuer: Some(issuer.clone()), number: 1, authority: id.to_owned(), by: None };
        Ok(Ca { issuer, key, unlocked })
    }

    /// The server first, then the clients; each with its key.
    fn leaves(&self) -> Result<Vec<Leaf>, AuthorityError> {
        let (servers, clients) = (self.outputs(Role::Server), self.outputs(Role::Client));
        let algorithm = self.settings().algorithm;
        let addressee = |name, role| Addressee {
            name,
            role,
            algorithm: algorithm.to_string(),
            key: KeyPlace::Here,
            recipients: &[],
            asked: Asked::ByName,
        };
        let server = addressee(&self.request.server, Role::Server);
        let named: Vec<Addressee> = self.request.clients.iter().map(|name| addressee(name, Role::Client)).collect();
        let named = named.iter().map(|client| (client, &clients));
        self.workshop.refuse_collisions(named.chain([(&server, &servers)]))?;
        let server = std::iter::once((self.request.server.clone(), Role::Server));
        let clients = self.request.clients.iter().map(|name| (name.clone(), Role::Client));
        let with_key = |(name, role)| Ok(Leaf { name, role, key: Credential::Made(PrivateKey::generate(algorithm)?) });
        server.chain(clients).map(with_key).collect()
    }

    fn plan(&self, leaf: &Leaf, issuer: &IssuerCertificate) -> Result<(Plan, Option<String>), AuthorityError> {
        let Leaf { name, role, key } = leaf;
        let (name, role) = (name.clone(), *role);
        let (validity, note) = leaf_validity(role, None, self.settings(), issuer.validity(), self.now)?;
        let addresses = match role {
            Role::Client => Vec::new(),
            Role::Server => server_addresses(self.settings(), &[]),
        };
        let profile = LeafProfile { name, role, serial: self.serial()?, validity, addresses };
        Ok((Plan::new(profile, key.algorithm(), self.now), note))
    }

    fn record_authority(
        &self,
        writing: &mut dyn Writing,
        ca: &Ca,
        id: &str,
        control_key: &Secret,
    ) -> Result<(), AuthorityError> {
        let vault = &ca.unlocked.vault;
        writing.record(&Change::Authority(Identity { id: id.to_owned(), created: self.now }))?;
        let mut unlockers = Vec::new();
        for unlocker in &self.request.unlockers {
            let wrapped = vault::wrap(vault, unlocker, &self.request.plugins)?;
            unlockers.push(unlocker::row(&unlockers, unlocker, unlocker::label(unlocker), self.now, wrapped));
        }
        for unlocker in unlockers {
            writing.record(&Change::Unlocker(unlocker))?;
        }
        writing.record(&vault_recipient(vault))?;
        let issuer = &ca.issuer;
        writing.record(&Change::Issuer(Issuer {
            number: 1,
            parent: None,
            certificate: issuer.der().to_vec(),
            sealed_key: vault.seal(&Binding::ca_key(id, &issuer.serial()), &ca.key.to_pem())?,
        }))?;
        let kind = SecretKind::ControlChannel;
        let sealed = vault.seal(&Binding::control_channel_key(id, None), control_key)?;
        writing.record(&Change::Secret(SealedSecret { kind, scope: String::new(), sealed }))?;
        if let Some(text) = self.dh_pem() {
            writing.record(&Change::Parameter(Parameter { name: DH.to_owned(), text }))?;
        }
        Ok(())
    }

    fn dh_pem(&self) -> Option<String> {
        self.request.dh.as_ref().map(Parameters::pem)
    }

    /// The directory is not looked at as other targets are: it gets its files from this very act.
    fn record_target(
        &self,
        writing: &mut dyn Writing,
        dir: &Path,
        outcome: &mut Initialised,
    ) -> Result<Event, AuthorityError> {
        let dir = absolute(dir)?;
        let text = dir.to_str().ok_or_else(|| AuthorityError::Usage("a target's path is UTF-8".to_owned()))?.to_owned();
        let server = self.request.server.to_string();
        writing.record(&Change::Target(Target { dir: text.clone(), server, added: self.now }))?;
        outcome.target = Some(dir);
        Ok(Event::TargetAdded { dir: text })
    }

    /// Into the server's own directory when that was named, else beside the others.
    fn outputs(&self, role: Role) -> Outputs {
        let own = self.request.out.clone().map_or(Destination::Nowhere, Destination::Into);
        let destination = match (role, &self.request.publish) {
            (Role::Server, Some(dir)) => Destination::Path(dir.clone()),
            _ => own,
        };
        Outputs { destination, ..Outputs::nowhere() }
    }

    fn shared(&self, issuer: &IssuerCertificate, control_key: Secret, crl: &[u8]) -> Result<Shared, AuthorityError> {
        let server = ServerShare { dh_pem: self.dh_pem(), crl_pem: pki::crl_pem(crl) };
        let authority = Anchor::of(issuer.pem()).ok_or(AuthorityError::NoCaCertificate)?;
        Ok(Shared { authority, control_key, server: Some(server) })
    }

    fn commit(
        &self,
        writing: Box<dyn Writing + '_>,
        events: Vec<Event>,
        vault: &VaultKeys,
    ) -> Result<(), AuthorityError> {
        let mac = |hash: &[u8]| vault.mac(hash);
        let draft = Draft {
            act: crate::inventory::ActId(self.actor.world.random()?),
            at: self.now,
            by: self.actor.by.clone(),
            operation: "init",
            events,
            suspect: false,
            mac: Some(&mac),
        };
        writing.commit(draft)?;
        Ok(())
    }

    fn outcome(&self, ca: &Ca, crl: CrlSummary) -> Initialised {
        let issuer = &ca.issuer;
        Initialised {
            changed: false,
            dir: self.request.dir.clone(),
            ca: CaSummary {
                name: issuer.common_name(),
                serial: issuer.serial(),
                algorithm: ca.key.algorithm().to_string(),
                validity: issuer.validity(),
                sha256: Digest::of(issuer.der()),
            },
            crl,
            issued: Vec::new(),
            dh: self.request.dh.as_ref().map_or(DhChoice::None, Parameters::choice).to_string(),
            unlockers: self.request.unlockers.iter().map(unlocker::label).collect(),
            target: None,
            recovery: None,
            recovery_problem: None,
            delivery: Delivery::default(),
            warnings: self.settings().notes.clone(),
        }
    }
}

/// At most 64 characters (RFC 5280, ub-common-name): a long host gives way, the date stays.
fn ca_name(host: &str, now: Time) -> String {
    let host: String = host.chars().take(64 - "openvpn  2026-11-22".len()).collect();
    format!("openvpn {host} {}", now.date())
}

/// An absolute path for a directory that may not be there yet.
pub(super) fn absolute(dir: &Path) -> Result<PathBuf, AuthorityError> {
    match (dir.parent().filter(|parent| !parent.as_os_str().is_empty()), dir.file_name()) {
        (_, Some(_)) if files::exists(dir)? => Ok(files::real_path(dir)?),
        (Some(parent), Some(name)) => Ok(files::real_path(parent)?.join(name)),
        (None, Some(name)) => Ok(files::real_path(Path::new("."))?.join(name)),
        (_, None) => Ok(files::real_path(dir)?),
    }
}
