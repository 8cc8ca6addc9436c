//! Bundles: what a peer needs to connect, as one profile, as files, or as a zip of those files.
//! Knows no disk and no store: credentials come in, bytes go out.

mod archive;
mod order;
mod profile;
pub mod program;

use crate::{
    inventory::Role,
    name::Name,
    openvpn::client,
    secret::Secret,
    settings::Settings,
    template::{TemplateError, Templates},
};

pub use archive::zip;
pub use order::{Format, Order};
pub use program::Program;

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
    pub key_pem: Secret,
    /// `ta.key`.
    pub control_key: Secret,
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
    /// A format that only clients import.
    #[error("a server's bundle is a `dir` or a `zip`, not `{0}`")]
    NotForServers(Format),
    /// Credentials that are no plain PEM.
    #[error("internal error: {0} is no plain PEM")]
    NotPem(&'static str),
    /// The archive could not be written.
    #[error("internal error: the zip could not be written")]
    Zip(#[from] ::zip::result::ZipError),
}

/// A client's bundle, as it was ordered.
pub fn client(
    settings: &Settings,
    templates: &Templates,
    client: &ClientMaterial,
    order: &Order,
) -> Result<Bundle, BundleError> {
    Ok(match order.format(Role::Client) {
        Format::Ovpn => Bundle::File(client_ovpn(settings, templates, client)?),
        Format::Zip => Bundle::File(zip(&client_parts(settings, templates, client)?)?),
        Format::Dir => Bundle::Parts(client_parts(settings, templates, client)?),
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
        format @ Format::Ovpn => Err(BundleError::NotForServers(format)),
    }
}

/// A client's bundle as files: `config.ovpn`, `ca.crt`, `NAME.crt`, `NAME.key`, `ta.key`, in this order.
pub fn client_parts(
    settings: &Settings,
    templates: &Templates,
    client: &ClientMaterial,
) -> Result<Vec<Part>, BundleError> {
    let ClientMaterial { name, ca_pem, certificate_pem, key_pem, control_key } = client;
    let files = Secret::from(client::credential_files(settings.control_channel, name));
    let config = profile::with_credentials(&templates.client(settings, name)?, &files)?;
    Ok(vec![
        Part { name: "config.ovpn".to_owned(), bytes: config, private: false },
        public("ca.crt", ca_pem)?,
        Part { name: format!("{name}.crt"), ..public("the certificate", certificate_pem)? },
        Part { name: format!("{name}.key"), ..private("the private key", key_pem)? },
        Part { name: "ta.key".to_owned(), bytes: Secret::new(control_key.expose().to_vec()), private: true },
    ])
}

/// A client's bundle as one profile.
pub fn client_ovpn(settings: &Settings, templates: &Templates, client: &ClientMaterial) -> Result<Secret, BundleError> {
    let blocks = profile::inline_credentials(settings.control_channel, client)?;
    profile::with_credentials(&templates.client(settings, &client.name)?, &blocks)
}

/// A server's directory: `server.conf`, `ca.crt`, `server.crt`, `server.key`, `dh.pem` where there are parameters,
/// `ta.key`, and the CRL where `server.crl-file` says. The files have these names whatever the server's name is, since the directory is one server's
/// and `openvpn-server@server` starts it.
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
    let crl = public("the CRL", &server.crl_pem)?;
    parts.push(Part { name: settings.server.crl_file.to_string(), ..crl });
    Ok(parts)
}

/// The name of a client's bundle, without extension.
pub fn file_stem(settings: &Settings, name: &Name) -> String {
    settings.client.file_name.stem(name, &settings.vpn_name)
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
