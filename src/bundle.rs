//! Bundles: what a peer needs to connect, as one profile, as files, or as a zip of those files.
//! Knows no disk and no store: credentials come in, bytes go out.

mod archive;
mod guid;
mod keyfile;
mod onc;
mod order;
mod passphrase;
mod pkcs12;
mod profile;
pub mod program;
mod tblk;
mod uci;

use crate::{
    inventory::Role,
    name::Name,
    openvpn::client,
    pki::{Crl, CrlError, KeyError, Pkcs12Error, PrivateKey},
    secret::Secret,
    settings::{CrlPlace, Settings},
    template::{TemplateError, Templates},
};

pub use archive::zip;
pub use order::{Format, Order};
pub use passphrase::{Passphrase, PassphraseError, CHARACTERS};
pub use profile::{check as check_profile, key_is_elsewhere};
pub use program::Program;
use program::{Facts, Holder, KeyKind, Refusal};

/// A bundle that was made.
pub enum Bundle {
    /// One file, private.
    File(Secret),
    /// The files of a directory, in the order in which they are put there.
    Parts(Vec<Part>),
}

/// One file of a bundle.
pub struct Part {
    /// Its name, perhaps below one directory: `crl/crl.pem`.
    pub name: String,
    /// What is in it.
    pub bytes: Secret,
    /// Whether it is for its owner alone: 0600, else 0644.
    pub private: bool,
}

/// What a client's bundle is made of. All PEM.
pub struct ClientMaterial {
    /// Whose bundle it is.
    pub name: Name,
    /// The CA's certificate.
    pub ca_pem: String,
    /// The client's certificate.
    pub certificate_pem: String,
    /// The client's private key.
    pub key: Key,
    /// `ta.key`.
    pub control_key: Secret,
    /// What its owner types; without one the private key is in clear.
    pub passphrase: Option<Passphrase>,
}

/// A client's private key, as far as it is here.
pub enum Key {
    /// PEM.
    Here(Secret),
    /// Its owner made it and keeps it: the bundle names the file in which it lies with them.
    WithOwner,
}

/// What a server's bundle is made of. All PEM; never the CA's key.
pub struct ServerMaterial {
    /// The CA's certificate.
    pub ca_pem: String,
    /// The server's certificate.
    pub certificate_pem: String,
    /// The server's private key.
    pub key_pem: Secret,
    /// `ta.key`.
    pub control_key: Secret,
    /// Diffie-Hellman parameters, when the authority has them.
    pub dh_pem: Option<String>,
    /// The newest revocation list.
    pub crl_pem: String,
}

/// Why no bundle was made.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The template, or what it makes.
    #[error("no bundle was made: a template is faulty")]
    Template(#[from] TemplateError),
    /// `OpenVPN` Connect stops there (cliconstants.hpp).
    #[error("no bundle was made: the profile would have {0} bytes, clients read at most 262144")]
    TooLarge(usize),
    /// A line that some importer does not read.
    #[error("no bundle was made: line {line} of the profile {what}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A format that is of no use without the private key, of somebody who keeps it.
    #[error("no bundle was made: a `{0}` holds the private key, and its owner keeps this one")]
    KeyElsewhere(Format),
    /// A passphrase for somebody who keeps the private key.
    #[error("no bundle was made: a passphrase protects the private key, and its owner keeps this one")]
    PassphraseElsewhere,
    /// A format that only clients import.
    #[error("a server's bundle is a `dir` or a `zip`, not `{0}`")]
    NotForServers(Format),
    /// A client program's bundle of a server.
    #[error("`{0}` is a program of clients; a server's bundle is for OpenVPN itself")]
    ProgramOfServer(Program),
    /// A list whose serials cannot be told.
    #[error("no bundle was made: the newest CRL cannot be read")]
    Crl(#[from] CrlError),
    /// A format that the program does not import.
    #[error("`{program}` does not import a `{format}`; it takes {}", words(program.formats()))]
    ForeignFormat {
        /// The program.
        program: Program,
        /// The format.
        format: Format,
    },
    /// The program is known to fail with it.
    #[error("no bundle was made for `{program}`: {}", program::reasons(refusals))]
    Unfit {
        /// The program.
        program: Program,
        /// Why, at least one reason.
        refusals: Vec<Refusal>,
    },
    /// A directive that would be lost.
    #[error("no bundle was made: a `{format}` has no place for `{directive}`")]
    NoPlace {
        /// The format.
        format: Format,
        /// The directive with its parameters.
        directive: String,
    },
    /// A PKCS#12 without a passphrase.
    #[error("the format `{0}` needs a passphrase")]
    NoPassphrase(Format),
    /// The private key could not be encrypted.
    #[error("no bundle was made")]
    Key(#[from] KeyError),
    /// The PKCS#12 could not be written.
    #[error("no bundle was made")]
    Pkcs12(#[from] Pkcs12Error),
    /// Credentials that are no plain PEM.
    #[error("internal error: {0} is no plain PEM")]
    NotPem(&'static str),
    /// The archive could not be written.
    #[error("internal error: the zip could not be written")]
    Zip(#[from] ::zip::result::ZipError),
}

impl Key {
    /// The key, for a format that holds it.
    pub fn here(&self, format: Format) -> Result<&Secret, BundleError> {
        match self {
            Self::Here(pem) => Ok(pem),
            Self::WithOwner => Err(BundleError::KeyElsewhere(format)),
        }
    }

    /// The same, taken over.
    pub fn into_here(self, format: Format) -> Result<Secret, BundleError> {
        match self {
            Self::Here(pem) => Ok(pem),
            Self::WithOwner => Err(BundleError::KeyElsewhere(format)),
        }
    }
}

/// Whether the format has a place for every directive, and the program of the order, if there is one, is not known to
/// fail with a bundle of this client: found before there is a key, from the profile that will be made and from whose
/// keys are of which kind.
pub fn check_fit(
    settings: &Settings,
    templates: &Templates,
    name: &Name,
    order: &Order,
    keys: &[(Holder, KeyKind)],
) -> Result<(), BundleError> {
    let format = order.format(Role::Client);
    if order.program.is_none() && !matches!(format, Format::Nm | Format::Onc) {
        return Ok(());
    }
    let files = client::credential_files(settings.control_channel, name);
    let profile = templates.client(settings, name)?.replace(client::CREDENTIALS, &files);
    let directives = program::directives(&profile);
    if let Some(program) = order.program {
        fit(program, &Facts { directives: &directives, keys, ..Facts::default() })?;
    }
    match format {
        Format::Nm => keyfile::check(&directives),
        Format::Onc => onc::check(&directives),
        _ => Ok(()),
    }
}

/// A client's bundle, as it was ordered.
pub fn client(
    settings: &Settings,
    templates: &Templates,
    client: &ClientMaterial,
    order: &Order,
) -> Result<Bundle, BundleError> {
    order.check(Role::Client)?;
    let format = order.format(Role::Client);
    if matches!(client.key, Key::WithOwner) {
        order.check_without_key()?;
    }
    let encrypted = if format.holds_pkcs12() { None } else { client.with_encrypted_key(order)? };
    let client = encrypted.as_ref().unwrap_or(client);
    let stem = file_stem(settings, &client.name);
    let parts = || client_parts(settings, templates, client);
    let profile = || fitting_ovpn(settings, templates, client, order);
    Ok(match format {
        Format::Ovpn => Bundle::File(profile()?),
        Format::Zip => Bundle::File(zip(&parts()?)?),
        Format::Dir => Bundle::Parts(parts()?),
        Format::P12 => Bundle::File(pkcs12::of(client, order)?),
        Format::Ovpn12 => Bundle::File(zip(&pkcs12::with_profile(settings, templates, client, order)?)?),
        Format::Tblk => Bundle::File(zip(&tblk::package(&stem, parts()?))?),
        Format::Uci => Bundle::File(zip(&uci::files(&stem, profile()?))?),
        Format::Onc => Bundle::File(onc::configuration(settings, templates, client)?),
        Format::Nm => {
            let uuid = guid::guid(&client.ca_pem, &client.name, "connection");
            let identity = keyfile::Identity { vpn: &settings.vpn_name, stem: &stem, uuid: &uuid };
            Bundle::File(zip(&keyfile::files(&identity, parts()?)?)?)
        }
    })
}

/// A server's bundle, as it was ordered.
pub fn server(
    settings: &Settings,
    templates: &Templates,
    server: &ServerMaterial,
    order: &Order,
) -> Result<Bundle, BundleError> {
    let parts = || server_parts(settings, templates, server);
    match order.format(Role::Server) {
        Format::Dir => Ok(Bundle::Parts(server_conf_last(parts()?))),
        Format::Zip => Ok(Bundle::File(zip(&parts()?)?)),
        format => Err(BundleError::NotForServers(format)),
    }
}

impl ClientMaterial {
    /// With the private key encrypted, where there is a passphrase.
    fn with_encrypted_key(&self, order: &Order) -> Result<Option<Self>, BundleError> {
        let Some(passphrase) = &self.passphrase else { return Ok(None) };
        let Key::Here(key) = &self.key else { return Err(BundleError::PassphraseElsewhere) };
        let key = PrivateKey::from_pem(key.expose())?;
        Ok(Some(Self {
            name: self.name.clone(),
            ca_pem: self.ca_pem.clone(),
            certificate_pem: self.certificate_pem.clone(),
            key: Key::Here(key.to_encrypted_pem(passphrase.secret(), order.key_encryption)?),
            control_key: Secret::new(self.control_key.expose().to_vec()),
            passphrase: None,
        }))
    }
}

/// A client's bundle as files: `config.ovpn`, `ca.crt`, `NAME.crt`, `NAME.key` unless its owner keeps it, `ta.key`, in
/// this order.
pub fn client_parts(
    settings: &Settings,
    templates: &Templates,
    client: &ClientMaterial,
) -> Result<Vec<Part>, BundleError> {
    let ClientMaterial { name, ca_pem, certificate_pem, key, control_key, .. } = client;
    let note = if matches!(key, Key::WithOwner) { profile::key_is_elsewhere(name) } else { String::new() };
    let files = Secret::from(note + &client::credential_files(settings.control_channel, name));
    let config = profile::with_credentials(&templates.client(settings, name)?, &files)?;
    let mut parts = vec![
        Part { name: "config.ovpn".to_owned(), bytes: config, private: false },
        public("ca.crt", ca_pem)?,
        Part { name: format!("{name}.crt"), ..public("the certificate", certificate_pem)? },
    ];
    if let Key::Here(key) = key {
        parts.push(Part { name: format!("{name}.key"), ..private("the private key", key)? });
    }
    let control_key = Secret::new(control_key.expose().to_vec());
    parts.push(Part { name: "ta.key".to_owned(), bytes: control_key, private: true });
    Ok(parts)
}

/// A client's bundle as one profile.
pub fn client_ovpn(settings: &Settings, templates: &Templates, client: &ClientMaterial) -> Result<Secret, BundleError> {
    let blocks = profile::inline_credentials(settings.control_channel, client, profile::Inline::All)?;
    profile::with_credentials(&templates.client(settings, &client.name)?, &blocks)
}

/// The profile, once more held against what its program is known to fail with: only now is its size known.
fn fitting_ovpn(
    settings: &Settings,
    templates: &Templates,
    client: &ClientMaterial,
    order: &Order,
) -> Result<Secret, BundleError> {
    let profile = client_ovpn(settings, templates, client)?;
    if let Some(program) = order.program {
        fit(program, &Facts { bytes: Some(profile.expose().len()), ..Facts::default() })?;
    }
    Ok(profile)
}

fn fit(program: Program, facts: &Facts) -> Result<(), BundleError> {
    let refusals = program::refusals(program, facts);
    if refusals.is_empty() {
        return Ok(());
    }
    Err(BundleError::Unfit { program, refusals })
}

/// A server's directory: `server.conf`, `ca.crt`, `server.crt`, `server.key`, `dh.pem` where there are parameters,
/// `ta.key`, and the CRL where the settings say. The files have these names whatever the server's name is, since the
/// directory is one server's and `openvpn-server@server` starts it.
pub fn server_parts(
    settings: &Settings,
    templates: &Templates,
    server: &ServerMaterial,
) -> Result<Vec<Part>, BundleError> {
    let config = templates.server(settings, server.dh_pem.is_some())?;
    let mut parts = vec![
        Part { name: "server.conf".to_owned(), bytes: Secret::from(config), private: false },
        public("ca.crt", &server.ca_pem)?,
        public("server.crt", &server.certificate_pem)?,
        private("server.key", &server.key_pem)?,
    ];
    if let Some(dh) = &server.dh_pem {
        parts.push(public("dh.pem", dh)?);
    }
    parts.push(Part {
        name: "ta.key".to_owned(),
        bytes: Secret::new(server.control_key.expose().to_vec()),
        private: true,
    });
    profile::plain_pem("the CRL", server.crl_pem.as_bytes())?;
    parts.extend(crl_parts(&settings.server.crl, &server.crl_pem)?);
    Ok(parts)
}

/// The signed list where a server finds it, and the serials around it where it reads those: an empty file for each.
pub fn crl_parts(place: &CrlPlace, crl_pem: &str) -> Result<Vec<Part>, CrlError> {
    let public = |name: String, bytes: &[u8]| Part { name, bytes: Secret::new(bytes.to_vec()), private: false };
    let mut parts = Vec::new();
    if let CrlPlace::Serials(dir) = place {
        let crl = Crl::from_pem(crl_pem.as_bytes())?;
        parts.extend(crl.entries().iter().map(|entry| public(format!("{dir}/{}", entry.serial.decimal()), b"")));
    }
    // last, as it is published: it says whose names these are
    parts.push(public(place.list(), crl_pem.as_bytes()));
    Ok(parts)
}

/// The name of a client's bundle, without extension.
pub fn file_stem(settings: &Settings, name: &Name) -> String {
    settings.client.file_name.stem(name, &settings.vpn_name)
}

/// Formats as they are named to people.
fn words(formats: &[Format]) -> String {
    formats.iter().map(|format| format!("`{format}`")).collect::<Vec<_>>().join(", ")
}

/// A directory that is filled file by file does not start before all of it is there.
fn server_conf_last(parts: Vec<Part>) -> Vec<Part> {
    let (conf, mut others): (Vec<Part>, Vec<Part>) = parts.into_iter().partition(|part| part.name == "server.conf");
    others.extend(conf);
    others
}

fn public(name: &'static str, pem: &str) -> Result<Part, BundleError> {
    let bytes = profile::plain_pem(name, pem.as_bytes())?;
    Ok(Part { name: name.to_owned(), bytes: Secret::new(bytes.to_vec()), private: false })
}

fn private(name: &'static str, pem: &Secret) -> Result<Part, BundleError> {
    let bytes = profile::plain_pem(name, pem.expose())?;
    Ok(Part { name: name.to_owned(), bytes: Secret::new(bytes.to_vec()), private: true })
}

#[cfg(test)]
mod tests;
