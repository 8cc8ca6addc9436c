//! Bundles on their way out: made, staged as unnamed files before the commit, put in place after it.
//! Knows nothing of what was decided; a failure here never undoes an act.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::{
    authority::{issue, Authority, AuthorityError},
    bundle::{self, ClientMaterial, Format, Part, ServerMaterial},
    files::{self, FileError, Overwrite, Owner, Staged, StagedDirectory, Visibility},
    inventory::{Digest, Peer, Role},
    name::Name,
    secret::Secret,
    settings::Settings,
    store::View,
    template::Templates,
};

/// Where bundles go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Into this directory, under their own names.
    Into(PathBuf),
    /// To this path.
    Path(PathBuf),
    /// To standard output.
    Stdout,
    /// Nowhere.
    Nowhere,
}

/// How bundles are written.
#[derive(Clone, Debug)]
pub struct Outputs {
    /// None: the role's own format, `ovpn` for clients and `dir` for servers.
    pub format: Option<Format>,
    /// Where to.
    pub destination: Destination,
    /// What happens to a file that is there.
    pub overwrite: Overwrite,
}

/// A bundle that is in place.
#[derive(Debug, Serialize, Clone)]
pub struct Delivered {
    /// Whose.
    pub name: Name,
    /// File or directory.
    pub path: PathBuf,
}

/// A bundle that is not in place although the act stands.
#[derive(Debug, Serialize)]
pub struct Undelivered {
    /// Whose.
    pub name: Name,
    /// Where it was to be.
    pub path: PathBuf,
    /// Why it is not.
    pub problem: String,
}

/// What became of all bundles of an act.
#[derive(Default, Serialize)]
pub struct Delivery {
    /// In place.
    pub bundles: Vec<Delivered>,
    /// Not in place.
    pub undelivered: Vec<Undelivered>,
    /// The one bundle for standard output.
    #[serde(skip)]
    pub stdout: Option<Secret>,
}

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

/// One bundle, durable and without a name.
pub(super) struct StagedBundle {
    name: Name,
    path: PathBuf,
    content: Content,
}

enum Content {
    File(Staged),
    Directory(StagedDirectory),
    Stdout(Secret),
}

impl Shared {
    /// Whether a server gets Diffie-Hellman parameters.
    pub fn has_dh(&self) -> bool {
        self.server.as_ref().is_some_and(|server| server.dh_pem.is_some())
    }
}

impl Outputs {
    /// One path, and standard output, take one bundle.
    pub fn check_for(&self, bundles: usize) -> Result<(), AuthorityError> {
        match self.destination {
            Destination::Stdout | Destination::Path(_) if bundles != 1 => Err(AuthorityError::Usage(
                "one path takes one bundle; name a directory that exists, or one peer".to_owned(),
            )),
            _ => Ok(()),
        }
    }
}

impl Workshop {
    /// Whether something lies at the place of a bundle already, found before anything is made. A directory that exists
    /// is filled: its files are looked at one by one when they are staged.
    pub fn refuse_existing(&self, peer: &Peer, outputs: &Outputs) -> Result<(), FileError> {
        let format = outputs.format.unwrap_or(usual_format(peer.role));
        let path = match &outputs.destination {
            _ if format == Format::Dir => return Ok(()),
            Destination::Stdout | Destination::Nowhere => return Ok(()),
            Destination::Path(path) => path.clone(),
            Destination::Into(dir) => dir.join(file_name(&self.stem(peer), format)),
        };
        refuse_existing(&path, outputs.overwrite)
    }

    /// How the name of a peer's bundle begins.
    fn stem(&self, peer: &Peer) -> String {
        match peer.role {
            Role::Client => bundle::file_stem(&self.settings, &peer.name),
            Role::Server => peer.name.to_string(),
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
    pub fn stage(&self, shared: &Shared, own: Own, outputs: &Outputs) -> Result<Option<StagedBundle>, AuthorityError> {
        if outputs.destination == Destination::Nowhere {
            return Ok(None);
        }
        let control_key = Secret::new(shared.control_key.expose().to_vec());
        let ca_pem = shared.ca_pem.clone();
        match (own.role, &shared.server) {
            (Role::Client, _) => {
                let Own { name, certificate_pem, key_pem, .. } = own;
                self.stage_client(&ClientMaterial { name, ca_pem, certificate_pem, key_pem, control_key }, outputs)
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
            Ok(StagedBundle { name: own.name.clone(), path, content: Content::File(file) })
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
        let format = outputs.format.unwrap_or(usual_format(Role::Client));
        let stem = bundle::file_stem(&self.settings, &material.name);
        let made = match format {
            Format::Ovpn => Made::File(bundle::client_ovpn(&self.settings, &self.templates, material)?),
            Format::Zip => Made::File(bundle::zip(&bundle::client_parts(&self.settings, &self.templates, material)?)?),
            Format::Dir => Made::Parts(bundle::client_parts(&self.settings, &self.templates, material)?),
        };
        self.stage_made(&material.name, &stem, format, made, outputs)
    }

    fn stage_server(
        &self,
        name: &Name,
        material: &ServerMaterial,
        outputs: &Outputs,
    ) -> Result<Option<StagedBundle>, AuthorityError> {
        let format = outputs.format.unwrap_or(usual_format(Role::Server));
        let parts = bundle::server_parts(&self.settings, &self.templates, material)?;
        let made = match format {
            Format::Dir => Made::Parts(server_conf_last(parts)),
            Format::Zip => Made::File(bundle::zip(&parts)?),
            Format::Ovpn => {
                return Err(AuthorityError::Usage(format!("`{name}` is a server: its bundle is a `dir` or a `zip`")))
            }
        };
        self.stage_made(name, name.as_str(), format, made, outputs)
    }

    fn stage_made(
        &self,
        name: &Name,
        stem: &str,
        format: Format,
        made: Made,
        outputs: &Outputs,
    ) -> Result<Option<StagedBundle>, AuthorityError> {
        let path = match &outputs.destination {
            Destination::Nowhere => return Ok(None),
            Destination::Stdout => return made.into_stdout(name).map(Some),
            Destination::Path(path) => path.clone(),
            Destination::Into(dir) => dir.join(file_name(stem, format)),
        };
        let content = match made {
            Made::File(bytes) => {
                Content::File(files::stage(&path, bytes.expose(), Visibility::Private, outputs.overwrite, self.owner)?)
            }
            Made::Parts(parts) => Content::Directory(stage_parts(&path, &parts, outputs.overwrite, self.owner)?),
        };
        Ok(Some(StagedBundle { name: name.clone(), path, content }))
    }
}

impl Authority {
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

/// Puts bundles in place. One that fails does not keep back the others.
pub(super) fn release(staged: Vec<StagedBundle>) -> Delivery {
    let mut delivery = Delivery::default();
    let (mut files, mut named) = (Vec::new(), Vec::new());
    for StagedBundle { name, path, content } in staged {
        match content {
            Content::Stdout(bytes) => delivery.stdout = Some(bytes),
            Content::Directory(directory) => {
                let problem = directory.release().err().map(|error| error.to_string());
                delivery.note(name, path, problem);
            }
            Content::File(file) => {
                named.push((name, path, file.path()));
                files.push(file);
            }
        }
    }
    let failed = files::release_all(files).err().map_or_else(Vec::new, |unreleased| unreleased.failed);
    for (name, path, real) in named {
        let problem = failed.iter().find(|(failed, _)| *failed == real || real.parent() == Some(failed));
        delivery.note(name, path, problem.map(|(_, error)| error.to_string()));
    }
    delivery
}

impl Delivery {
    fn note(&mut self, name: Name, path: PathBuf, problem: Option<String>) {
        match problem {
            None => self.bundles.push(Delivered { name, path }),
            Some(problem) => self.undelivered.push(Undelivered { name, path, problem }),
        }
    }

    /// Adds what became of more bundles.
    pub(super) fn extend(&mut self, more: Self) {
        self.bundles.extend(more.bundles);
        self.undelivered.extend(more.undelivered);
        self.stdout = more.stdout.or(self.stdout.take());
    }
}

/// A directory that is filled file by file does not start before all of it is there.
fn server_conf_last(parts: Vec<Part>) -> Vec<Part> {
    let (conf, mut others): (Vec<Part>, Vec<Part>) = parts.into_iter().partition(|part| part.name == "server.conf");
    others.extend(conf);
    others
}

/// Whether something lies at the place of a bundle already, found before anything is made.
pub(super) fn refuse_existing(path: &Path, overwrite: Overwrite) -> Result<(), FileError> {
    match overwrite {
        Overwrite::Refuse if files::exists(path)? => Err(FileError::Exists { path: path.to_owned() }),
        _ => Ok(()),
    }
}

/// The name of a bundle of this format.
pub(super) fn file_name(stem: &str, format: Format) -> String {
    format.extension().map_or_else(|| stem.to_owned(), |extension| format!("{stem}.{extension}"))
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

/// What a role gets where nobody said otherwise.
pub(super) fn usual_format(role: Role) -> Format {
    match role {
        Role::Client => Format::Ovpn,
        Role::Server => Format::Dir,
    }
}

/// What in a server's directory is its own.
pub(super) const CREDENTIALS: [&str; 2] = ["server.crt", "server.key"];

enum Made {
    File(Secret),
    Parts(Vec<Part>),
}

impl Made {
    fn into_stdout(self, name: &Name) -> Result<StagedBundle, AuthorityError> {
        match self {
            Self::File(bytes) => {
                Ok(StagedBundle { name: name.clone(), path: PathBuf::from("-"), content: Content::Stdout(bytes) })
            }
            Self::Parts(_) => Err(AuthorityError::Usage(
                "a directory cannot be written to standard output; use `--format zip`".to_owned(),
            )),
        }
    }
}
