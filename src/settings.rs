//! The settings that people edit, `vpnpki.toml`: typed, checked, every fault with its file, line and field.
//! Knows no file: text comes in, values or faults go out; after `init` nothing here or elsewhere writes the file.

mod client;
mod crl_file;
mod fault;
mod file_name;
mod initial;
mod network;
mod notes;
mod proxy;
mod publishing;
mod reader;
mod remote;
mod server;
mod servers;

use std::{fmt, str::FromStr};

pub use client::Client;
pub use crl_file::{CrlDirectory, CrlFile, CrlPlace};
pub use fault::{Fault, Faults};
pub use file_name::FileName;
pub use initial::{initial_text, Initial};
pub use network::Network;
pub use proxy::HttpProxy;
pub use publishing::{load_publishing, Publish, PublishMode, Publishing};
pub use remote::{Endpoint, Proto, Remote, RemoteError};
pub use server::{Management, Server, Without};
pub use servers::ManagedServer;

use reader::{Read, Reader};
use toml_edit::Table;

use crate::{inventory::due::Thresholds, pki::Algorithm};

/// Everything that `vpnpki.toml` says, with defaults for what it does not say.
#[derive(Clone, PartialEq, Debug)]
pub struct Settings {
    /// `vpn.name`: what clients show as the connection's name; the first remote's host when not set.
    pub vpn_name: String,
    /// `[client]`
    pub client: Client,
    /// `[server]`
    pub server: Server,
    /// `[network]`
    pub network: Network,
    /// `keys.algorithm`: for keys made from now on.
    pub algorithm: Algorithm,
    /// `keys.keep`: how long the store keeps clients' private keys.
    pub keep: Keep,
    /// `ca.algorithm`: for the CA that is made; as `keys.algorithm` when not set.
    pub ca_algorithm: Algorithm,
    /// `ca.days`
    pub ca_days: u32,
    /// `crl.days`: as long as the CA when not set.
    pub crl_days: Option<u32>,
    /// `control-channel.mode`
    pub control_channel: ControlChannel,
    /// `[publish]` or `[[publish]]`
    pub publish: Publish,
    /// `[[servers]]`
    pub servers: Vec<ManagedServer>,
    /// `[due]`: how long before its end something is due.
    pub due: Thresholds,
    /// What is allowed but may surprise, one sentence each.
    pub notes: Vec<String>,
}

/// How long the store keeps the private keys it made, sealed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Keep {
    /// Until the certificate is revoked.
    #[default]
    UntilRevoked,
    /// For ever.
    Always,
    /// Not at all: a bundle cannot be made again.
    Never,
}

/// How the control channel is protected with `ta.key`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ControlChannel {
    /// Encrypted and authenticated; from `OpenVPN` 2.4.
    #[default]
    TlsCrypt,
    /// Authenticated; every version.
    TlsAuth,
    /// Like `TlsCrypt`, with a key of its own for each client; from `OpenVPN` 2.5 on both sides.
    TlsCryptV2,
}

/// Reads the settings; `file` is how faults name the file.
pub fn load(text: &str, file: &str) -> Result<Settings, Faults> {
    let faults = |faults| Faults { file: file.to_owned(), faults };
    let document = reader::document(text).map_err(|fault| faults(vec![fault]))?;
    match read(text, document.as_table()) {
        (settings, found) if found.is_empty() => Ok(settings),
        (_, found) => Err(faults(found)),
    }
}

/// Reads every section; where a value is faulty its default stands in, and the settings must not be used.
fn read(text: &str, root: &Table) -> (Settings, Vec<Fault>) {
    let mut reader = Reader::new(text);
    reader.sections(root, &SECTIONS);
    let client = client::read(&mut reader, root);
    let settings = Settings {
        vpn_name: vpn_name(&mut reader, root, &client),
        server: server::read(&mut reader, root, &client),
        client,
        network: network::read(&mut reader, root),
        ..small_sections(&mut reader, root)
    };
    let notes = notes::of(&settings);
    (Settings { notes, ..settings }, reader.into_faults())
}

fn vpn_name(reader: &mut Reader, root: &Table, client: &Client) -> String {
    let section = reader.section(root, "vpn", &["name"]);
    let name = reader.one(&section, "name", &|value| {
        let name = reader::text(value)?;
        let printable = name.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        let fits = printable && (1..=64).contains(&name.len()) && name.trim() == name;
        fits.then_some(name)
            .ok_or_else(|| "must be 1 to 64 printable ASCII characters, no space at the ends".to_owned())
    });
    let host = || client.remotes.first().map_or_else(String::new, |remote| remote.host.clone());
    name.map_or_else(host, |name| name.value)
}

/// The sections with one or two keys, around the defaults of the large ones.
fn small_sections(reader: &mut Reader, root: &Table) -> Settings {
    let keys = reader.section(root, "keys", &["algorithm", "keep"]);
    let ca = reader.section(root, "ca", &["algorithm", "days"]);
    let crl = reader.section(root, "crl", &["days"]);
    let channel = reader.section(root, "control-channel", &["mode"]);
    let algorithm = reader.one(&keys, "algorithm", &reader::parsed).map_or(Algorithm::P256, Read::into_value);
    Settings {
        vpn_name: String::new(),
        client: Client::default(),
        server: Server::default(),
        network: Network::default(),
        algorithm,
        keep: reader.one(&keys, "keep", &reader::parsed).map_or_else(Keep::default, Read::into_value),
        ca_algorithm: reader.one(&ca, "algorithm", &reader::parsed).map_or(algorithm, Read::into_value),
        ca_days: reader.one(&ca, "days", &days).map_or(CA_DAYS, Read::into_value),
        crl_days: reader.one(&crl, "days", &days).map(Read::into_value),
        control_channel: reader
            .one(&channel, "mode", &reader::parsed)
            .map_or_else(ControlChannel::default, Read::into_value),
        publish: publishing::read(reader, root),
        servers: servers::read(reader, root),
        due: thresholds(reader, root),
        notes: Vec::new(),
    }
}

fn thresholds(reader: &mut Reader, root: &Table) -> Thresholds {
    let section = reader.section(root, "due", &["ca-days", "server-days", "client-days"]);
    let usual = Thresholds::default();
    let mut read = |key, usual| reader.one(&section, key, &days).map_or(usual, Read::into_value);
    Thresholds {
        ca_days: read("ca-days", usual.ca_days),
        server_days: read("server-days", usual.server_days),
        client_days: read("client-days", usual.client_days),
    }
}

fn days(value: &toml_edit::Value) -> Result<u32, String> {
    reader::number(1..=MOST_DAYS)(value)
}

impl FromStr for Keep {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "until-revoked" => Ok(Self::UntilRevoked),
            "always" => Ok(Self::Always),
            "never" => Ok(Self::Never),
            _ => Err("must be `until-revoked`, `always` or `never`".to_owned()),
        }
    }
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::UntilRevoked => "until-revoked",
            Self::Always => "always",
            Self::Never => "never",
        })
    }
}

impl FromStr for ControlChannel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "tls-crypt" => Ok(Self::TlsCrypt),
            "tls-auth" => Ok(Self::TlsAuth),
            "tls-crypt-v2" => Ok(Self::TlsCryptV2),
            _ => Err("must be `tls-crypt`, `tls-auth` or `tls-crypt-v2`".to_owned()),
        }
    }
}

impl fmt::Display for ControlChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::TlsCrypt => "tls-crypt",
            Self::TlsAuth => "tls-auth",
            Self::TlsCryptV2 => "tls-crypt-v2",
        })
    }
}

const SECTIONS: [&str; 11] =
    ["vpn", "client", "server", "network", "keys", "ca", "crl", "control-channel", "publish", "servers", "due"];

/// Ten years.
pub const CA_DAYS: u32 = 3650;

/// A hundred years.
const MOST_DAYS: u32 = 36_500;

#[cfg(test)]
mod tests;
