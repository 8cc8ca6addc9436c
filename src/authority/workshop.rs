//! Where bundles are made: settings and templates, checked, and what all bundles of an act hold. Each bundle is staged as
//! an unnamed file before the commit.
//! Knows nothing of what was decided, or of how bundles get their names after the commit.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::{
    authority::{
        deliver::{Content, Destination, Outputs, Passphrases, StagedBundle},
        issue, Authority, AuthorityError,
    },
    bundle::{self, Bundle, ClientMaterial, Format, Part, Passphrase, ServerMaterial},
    files::{self, FileError, Overwrite, Owner, StagedDirectory, Visibility},
    inventory::{Digest, Role},
    name::Name,
    secret::Secret,
    settings::Settings,
    store::View,
    template::Templates,
};

/// Settings and templates, checked.
pub(super) struct Workshop {
    pub settings: Settings,
    pub templates: Templates,
    pub owner: Option<Owner>,
}

/// What all bundles of an act hold.
pub(super) struct Shared {
    pub ca_pem: String,
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
    pub key_pem: Secret,
}

/// The passphrase of one bundle, and whether its owner has to be told.
pub(super) struct OwnPassphrase {
    pub passphrase: Passphrase,
    pub new: bool,
}

impl Shared {
    /// Whether a server gets Diffie-Hellman parameters.
    pub fn has_dh(&self) -> bool {
        self.server.as_ref().is_some_and(|server| server.dh_pem.is_some())
    }
}

impl Workshop {
    /// Whether a bundle can be made as it is asked for, found before anything is made.
    pub fn admit(&self, name: &Name, role: Role, outputs: &Outputs) -> Result<(), AuthorityError> {
        if outputs.destination != Destination::Nowhere {
            outputs.order.check(role)?;
        }
        if role == Role::Server && !matches!(outputs.passphrases, Passphrases::None) {
            return Err(AuthorityError::ServersPassphrase(name.clone()));
        }
        Ok(self.refuse_existing(name, role, outputs)?)
    }

    /// Whether something lies at the place of a bundle already, found before anything is made. A directory that exists is
    /// filled: its files are looked at one by one when they are staged.
    fn refuse_existing(&self, name: &Name, role: Role, outputs: &Outputs) -> Result<(), FileError> {
        let filled = outputs.order.format(role) == Format::Dir;
        match self.path(name, role, outputs) {
            Some(path) if !filled && outputs.overwrite == Overwrite::Refuse && files::exists(&path)? => {
                Err(FileError::Exists { path })
            }
            _ => Ok(()),
        }
    }

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
    pub fn stage(
        &self,
        shared: &Shared,
        own: Own,
        passphrase: Option<OwnPassphrase>,
        outputs: &Outputs,
    ) -> Result<Option<StagedBundle>, AuthorityError> {
        if outputs.destination == Destination::Nowhere {
            return Ok(None);
        }
        let control_key = Secret::new(shared.control_key.expose().to_vec());
        let ca_pem = shared.ca_pem.clone();
        match (own.role, &shared.server) {
            (Role::Client, _) => {
                let Own { name, certificate_pem, key_pem, .. } = own;
                let new_passphrase = passphrase.as_ref().filter(|own| own.new).map(|own| own.passphrase.copy());
                let passphrase = passphrase.map(|own| own.passphrase);
                let material = ClientMaterial { name, ca_pem, certificate_pem, key_pem, control_key, passphrase };
                Ok(self.stage_client(&material, outputs)?.map(|staged| StagedBundle { new_passphrase, ..staged }))
            }
            (Role::Server, None) => Err(AuthorityError::NoCrl),
            (Role::Server, Some(ServerShare { dh_pem, crl_pem })) => {
                let Own { name, certificate_pem, key_pem, .. } = own;
                let (dh_pem, crl_pem) = (dh_pem.clone(), crl_pem.clone());
                let material = ServerMaterial { ca_pem, certificate_pem, key_pem, control_key, dh_pem, crl_pem };
                self.stage_server(&name, &material, outputs)
            }
        }
    }

    /// A server's own certificate and key, in the place of those in the directory it runs from. Nothing else there is
    /// touched: the configuration may have been edited.
    pub fn stage_credentials(&self, dir: &Path, own: &Own) -> Result<Vec<StagedBundle>, AuthorityError> {
        let [certificate, key] = CREDENTIALS.map(|name| dir.join(name));
        let stage = |path: PathBuf, bytes: &[u8], visibility| -> Result<StagedBundle, AuthorityError> {
            let file = files::stage(&path, bytes, visibility, Overwrite::Replace, self.owner)?;
            Ok(StagedBundle { name: own.name.clone(), path, content: Content::File(file), new_passphrase: None })
        };
        Ok(vec![
            stage(key, own.key_pem.expose(), Visibility::Private)?,
            stage(certificate, own.certificate_pem.as_bytes(), Visibility::Public)?,
        ])
    }

    fn stage_client(
        &self,
        material: &ClientMaterial,
        outputs: &Outputs,
    ) -> Result<Option<StagedBundle>, AuthorityError> {
        let made = bundle::client(&self.settings, &self.templates, material, &outputs.order)?;
        self.stage_made(&material.name, Role::Client, made, outputs)
    }

    fn stage_server(
        &self,
        name: &Name,
        material: &ServerMaterial,
        outputs: &Outputs,
    ) -> Result<Option<StagedBundle>, AuthorityError> {
        let made = bundle::server(&self.settings, &self.templates, material, &outputs.order)?;
        self.stage_made(name, Role::Server, made, outputs)
    }

    fn stage_made(
        &self,
        name: &Name,
        role: Role,
        made: Bundle,
        outputs: &Outputs,
    ) -> Result<Option<StagedBundle>, AuthorityError> {
        let path = match self.path(name, role, outputs) {
            Some(path) => path,
            None if outputs.destination == Destination::Stdout => return to_stdout(made, name).map(Some),
            None => return Ok(None),
        };
        let content = match made {
            Bundle::File(bytes) => {
                Content::File(files::stage(&path, bytes.expose(), Visibility::Private, outputs.overwrite, self.owner)?)
            }
            Bundle::Parts(parts) => Content::Directory(stage_parts(&path, &parts, outputs.overwrite, self.owner)?),
        };
        Ok(Some(StagedBundle { name: name.clone(), path, content, new_passphrase: None }))
    }

    /// Where a peer's bundle goes; none when that is no place on the disk.
    fn path(&self, name: &Name, role: Role, outputs: &Outputs) -> Option<PathBuf> {
        match &outputs.destination {
            Destination::Stdout | Destination::Nowhere => None,
            Destination::Path(path) => Some(path.clone()),
            Destination::Into(dir) => Some(dir.join(outputs.order.file_name(&self.stem(name, role), role))),
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
    /// The passphrase of one more bundle.
    pub(super) fn passphrase(&self, outputs: &Outputs) -> Result<Option<OwnPassphrase>, AuthorityError> {
        Ok(match &outputs.passphrases {
            Passphrases::None => None,
            Passphrases::Given(given) => Some(OwnPassphrase { passphrase: given.copy(), new: false }),
            Passphrases::Generated => {
                let random = Zeroizing::new(self.actor.world.random()?);
                Some(OwnPassphrase { passphrase: Passphrase::from_random(&random), new: true })
            }
        })
    }

    /// The digest of what settings and templates would put into a bundle of each role that is made now; on a peer whose
    /// bundle has another one, it is older than they are.
    pub fn current_bundles(&self, view: &dyn View, settings: Settings) -> Result<CurrentBundles, AuthorityError> {
        let templates = self.templates(&settings)?;
        let workshop = Workshop { settings, templates, owner: self.owner };
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
            let (name, content) = (name.clone(), Content::Stdout(bytes));
            Ok(StagedBundle { name, path: PathBuf::from("-"), content, new_passphrase: None })
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
