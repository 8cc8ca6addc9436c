//! Where bundles are made: settings and templates, checked, and what all bundles of an act hold. Each bundle is staged as
//! an unnamed file before the commit.
//! Knows nothing of what was decided, or of how bundles get their names after the commit.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::{
    authority::{
        crew::Crew,
        deliver::{Content, Destination, Outputs, Passphrases, StagedBundle},
        handover::Meant,
        issue, Authority, AuthorityError, Sealing,
    },
    bundle::{self, Bundle, ClientMaterial, Format, Key, Part, Passphrase, ServerMaterial},
    files::{self, FileError, Overwrite, Owner, StagedDirectory, Tray, Visibility},
    findings::bundle::proof::Anchor,
    inventory::{Digest, Peer, Role},
    name::Name,
    openvpn::{
        tls_crypt_v2::{ClientKey, ServerKey},
        StaticKey,
    },
    pki::SignedLeaf,
    secret::Secret,
    settings::{ControlChannel, Settings},
    store::View,
    template::Templates,
    time::Time,
    vault::{Envelope, Plugins},
    world::World,
};

/// Settings and templates, checked.
pub(super) struct Workshop<'w> {
    pub settings: Settings,
    pub templates: Templates,
    pub owner: Option<Owner>,
    /// Where the clients' keys of `tls-crypt-v2` come from.
    pub world: &'w World,
    /// How programs are reached that keys of recipients need; none where none is needed.
    pub plugins: Option<Plugins>,
}

/// What all bundles of an act hold.
pub(super) struct Shared {
    pub authority: Anchor,
    /// As it is in the store: the servers'.
    pub control_key: Secret,
    /// Only where a server is among the peers, since a CRL may be large.
    pub server: Option<ServerShare>,
}

/// What only servers' bundles hold.
pub(super) struct ServerShare {
    pub dh_pem: Option<String>,
    pub crl_pem: String,
}

/// What settings and templates of now put into bundles.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CurrentBundles {
    client: Digest,
    server: Digest,
}

/// What is a peer's own.
pub(super) struct Own {
    pub name: Name,
    pub role: Role,
    pub certificate_pem: String,
    /// That certificate as it was signed in this act; none where it was signed before.
    pub signed: Option<SignedLeaf>,
    pub key: Key,
    /// To whom its bundles are encrypted, as it is on record.
    pub recipients: Vec<String>,
    /// When its bundle is made, and as of when it must work.
    pub now: Time,
}

impl Shared {
    /// Whether a server gets Diffie-Hellman parameters.
    pub fn has_dh(&self) -> bool {
        self.server.as_ref().is_some_and(|server| server.dh_pem.is_some())
    }
}

impl Workshop<'_> {
    /// The digest of what settings and templates put into a bundle that is made now; none when it goes nowhere. A bundle
    /// with another digest on record is older than the settings.
    pub fn bundle_digest(&self, role: Role, outputs: &Outputs, has_dh: bool) -> Result<Option<Digest>, AuthorityError> {
        match outputs.destination {
            Destination::Nowhere => Ok(None),
            _ => self.digest(role, has_dh).map(Some),
        }
    }

    /// The digests of both roles' bundles.
    pub fn bundles(&self, has_dh: bool) -> Result<CurrentBundles, AuthorityError> {
        Ok(CurrentBundles { client: self.digest(Role::Client, has_dh)?, server: self.digest(Role::Server, has_dh)? })
    }

    fn digest(&self, role: Role, has_dh: bool) -> Result<Digest, AuthorityError> {
        Ok(Digest::of(&match role {
            Role::Client => self.templates.client_ingredients(&self.settings)?,
            Role::Server => self.templates.server_ingredients(&self.settings, has_dh)?,
        }))
    }

    /// Stages a peer's bundle; none when it goes nowhere.
    pub fn stage(&self, shared: &Shared, own: Own, outputs: &Outputs) -> Result<Option<StagedBundle>, AuthorityError> {
        self.stage_on(&Tray::of(1), shared, own, outputs)
    }

    /// The same as one of many, which are durable once the tray is settled.
    pub fn stage_on(
        &self,
        tray: &Tray,
        shared: &Shared,
        own: Own,
        outputs: &Outputs,
    ) -> Result<Option<StagedBundle>, AuthorityError> {
        if outputs.destination == Destination::Nowhere {
            return Ok(None);
        }
        let control_key = self.control_key(shared, &own)?;
        let meant = Meant::of(&own, &control_key, shared);
        let ca_pem = shared.authority.pem().to_owned();
        match (own.role, &shared.server) {
            (Role::Client, _) => {
                let Own { name, certificate_pem, key, recipients, .. } = own;
                let (passphrase, new_passphrase) = match key {
                    Key::Here(_) => self.passphrase(outputs)?,
                    Key::WithOwner => (None, None),
                };
                let material = ClientMaterial { name, ca_pem, certificate_pem, key, control_key, passphrase };
                let staged = self.stage_client(tray, &material, &meant, &recipients, outputs)?;
                Ok(staged.map(|staged| StagedBundle { new_passphrase, ..staged }))
            }
            (Role::Server, None) => Err(AuthorityError::NoCrl),
            (Role::Server, Some(ServerShare { dh_pem, crl_pem })) => {
                let Own { name, certificate_pem, key, .. } = own;
                let key_pem = key.into_here(outputs.order.format(Role::Server))?;
                let (dh_pem, crl_pem) = (dh_pem.clone(), crl_pem.clone());
                let material = ServerMaterial { ca_pem, certificate_pem, key_pem, control_key, dh_pem, crl_pem };
                self.stage_server(tray, &name, &material, &meant, outputs)
            }
        }
    }

    /// Who makes many of these bundles: a passphrase of age takes 256 MiB for each, and a plugin asks people.
    pub fn crew(&self, outputs: &Outputs) -> Crew {
        match &outputs.sealing {
            Sealing::For(Envelope::Passphrase(_)) => Crew::Alone,
            _ if self.plugins.is_some() => Crew::Alone,
            _ => Crew::All,
        }
    }

    /// The passphrase of one more bundle, and what its owner has to be told.
    fn passphrase(&self, outputs: &Outputs) -> Result<(Option<Passphrase>, Option<Passphrase>), AuthorityError> {
        Ok(match &outputs.passphrases {
            Passphrases::None => (None, None),
            Passphrases::Given(given) => (Some(given.copy()), None),
            Passphrases::Generated => {
                let random = Zeroizing::new(self.world.random()?);
                let made = Passphrase::from_random(&random);
                (Some(made.copy()), Some(made))
            }
        })
    }

    /// The `ta.key` of one bundle. With `tls-crypt-v2` each client's is made here: the server opens whatever was wrapped
    /// with its key, so nobody needs to keep it, and a bundle that is made again has another.
    fn control_key(&self, shared: &Shared, own: &Own) -> Result<Secret, AuthorityError> {
        let (mode, stored) = (self.settings.control_channel, shared.control_key.expose());
        let other = || AuthorityError::OtherControlKey(mode);
        match mode {
            ControlChannel::TlsCrypt | ControlChannel::TlsAuth => {
                StaticKey::parse(stored).map_err(|_| other())?;
            }
            ControlChannel::TlsCryptV2 => {
                let server = ServerKey::parse(stored).map_err(|_| other())?;
                if own.role == Role::Client {
                    return Ok(ClientKey::wrap(&server, self.world.random()?, own.now).to_pem());
                }
            }
        }
        Ok(Secret::new(stored.to_vec()))
    }

    /// A server's own certificate and key, in the place of those in the directory it runs from. Nothing else there is
    /// touched: the configuration may have been edited.
    pub fn stage_credentials(
        &self,
        shared: &Shared,
        dir: &Path,
        own: &Own,
    ) -> Result<Vec<StagedBundle>, AuthorityError> {
        let key = own.key.here(Format::Dir)?;
        Meant::of(own, &shared.control_key, shared).refuse_unfit(key)?;
        let [certificate_path, key_path] = CREDENTIALS.map(|name| dir.join(name));
        let stage = |path: PathBuf, bytes: &[u8], visibility| -> Result<StagedBundle, AuthorityError> {
            let file = files::stage(&path, bytes, visibility, Overwrite::Replace, self.owner)?;
            let (name, encrypted_to) = (own.name.clone(), Vec::new());
            Ok(StagedBundle { name, path, encrypted_to, content: Content::File(file), new_passphrase: None })
        };
        Ok(vec![
            stage(key_path, key.expose(), Visibility::Private)?,
            stage(certificate_path, own.certificate_pem.as_bytes(), Visibility::Public)?,
        ])
    }

    fn stage_client(
        &self,
        tray: &Tray,
        material: &ClientMaterial,
        meant: &Meant<'_>,
        recipients: &[String],
        outputs: &Outputs,
    ) -> Result<Option<StagedBundle>, AuthorityError> {
        let made = bundle::client(&self.settings, &self.templates, material, &outputs.order)?;
        meant.refuse_broken(&made, material.passphrase.as_ref().map(Passphrase::secret))?;
        self.stage_made(tray, (&material.name, Role::Client, recipients), made, outputs)
    }

    fn stage_server(
        &self,
        tray: &Tray,
        name: &Name,
        material: &ServerMaterial,
        meant: &Meant<'_>,
        outputs: &Outputs,
    ) -> Result<Option<StagedBundle>, AuthorityError> {
        let made = bundle::server(&self.settings, &self.templates, material, &outputs.order)?;
        meant.refuse_broken(&made, None)?;
        self.stage_made(tray, (name, Role::Server, &[]), made, outputs)
    }

    fn stage_made(
        &self,
        tray: &Tray,
        (name, role, recipients): (&Name, Role, &[String]),
        made: Bundle,
        outputs: &Outputs,
    ) -> Result<Option<StagedBundle>, AuthorityError> {
        let Outputs { sealing, form, .. } = outputs;
        let (made, encrypted_to) = sealing.seal(name, recipients, made, *form, self.plugins.as_ref())?;
        let path = match self.path(name, role, recipients, outputs) {
            Some(path) => path,
            None if outputs.destination == Destination::Stdout => {
                return Ok(Some(StagedBundle { encrypted_to, ..to_stdout(made, name)? }));
            }
            None => return Ok(None),
        };
        let content = match made {
            Bundle::File(bytes) => {
                Content::File(tray.stage(&path, bytes.expose(), Visibility::Private, outputs.overwrite, self.owner)?)
            }
            Bundle::Parts(parts) => Content::Directory(stage_parts(&path, &parts, outputs.overwrite, self.owner)?),
        };
        Ok(Some(StagedBundle { name: name.clone(), path, encrypted_to, content, new_passphrase: None }))
    }

    /// Whose bundle goes where.
    pub fn place(&self, peer: &Peer, outputs: &Outputs) -> Option<(Name, PathBuf)> {
        let path = self.path(&peer.name, peer.role, &peer.recipients, outputs)?;
        Some((peer.name.clone(), path))
    }

    /// Where a peer's bundle goes; none when that is no place on the disk. A path that was named stays as it was typed.
    pub fn path(&self, name: &Name, role: Role, recipients: &[String], outputs: &Outputs) -> Option<PathBuf> {
        match &outputs.destination {
            Destination::Stdout | Destination::Nowhere => None,
            Destination::Path(path) => Some(path.clone()),
            Destination::Into(dir) => {
                let sealed = if outputs.sealing.seals(recipients) { ".age" } else { "" };
                Some(dir.join(outputs.order.file_name(&self.stem(name, role), role) + sealed))
            }
        }
    }

    /// How the name of a peer's bundle begins.
    fn stem(&self, name: &Name, role: Role) -> String {
        match role {
            Role::Client => bundle::file_stem(&self.settings, name),
            Role::Server => name.to_string(),
        }
    }
}

impl Authority {
    /// Settings and templates, every fault found before a key is opened.
    pub(super) fn workshop(&self) -> Result<Workshop<'_>, AuthorityError> {
        let settings = self.settings()?;
        let templates = self.templates(&settings)?;
        Ok(Workshop { settings, templates, owner: self.owner, world: &self.actor.world, plugins: None })
    }

    /// The digest of what settings and templates would put into a bundle of each role that is made now; on a peer whose
    /// bundle has another one, it is older than they are.
    pub fn current_bundles(&self, view: &dyn View, settings: Settings) -> Result<CurrentBundles, AuthorityError> {
        let templates = self.templates(&settings)?;
        let workshop = Workshop { settings, templates, owner: self.owner, world: &self.actor.world, plugins: None };
        workshop.bundles(view.parameter(issue::DH)?.is_some())
    }
}

impl CurrentBundles {
    /// Of this role.
    pub fn of(&self, role: Role) -> Digest {
        match role {
            Role::Client => self.client,
            Role::Server => self.server,
        }
    }
}

fn to_stdout(made: Bundle, name: &Name) -> Result<StagedBundle, AuthorityError> {
    match made {
        Bundle::File(bytes) => {
            let (name, path, encrypted_to) = (name.clone(), PathBuf::from("-"), Vec::new());
            Ok(StagedBundle { name, path, encrypted_to, content: Content::Stdout(bytes), new_passphrase: None })
        }
        Bundle::Parts(_) => Err(AuthorityError::Usage(
            "a directory cannot be written to standard output; use `--format zip`".to_owned(),
        )),
    }
}

/// A server's directory is entered by the user that the server becomes; a client's by nobody else.
fn stage_parts(
    dir: &Path,
    parts: &[Part],
    overwrite: Overwrite,
    owner: Option<Owner>,
) -> Result<StagedDirectory, FileError> {
    let visibility = |private| if private { Visibility::Private } else { Visibility::Public };
    let staged: Vec<files::Part> = parts
        .iter()
        .map(|part| files::Part { name: &part.name, bytes: part.bytes.expose(), visibility: visibility(part.private) })
        .collect();
    files::stage_directory(dir, &staged, Visibility::Public, overwrite, owner)
}

/// What in a server's directory is its own.
pub(super) const CREDENTIALS: [&str; 2] = ["server.crt", "server.key"];
