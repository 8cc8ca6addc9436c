//! `[server]`: how the server listens, whom it becomes, and what its templates may lack.
//! Knows no server's certificate.

use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr};

use toml_edit::{Table, Value};

use super::{
    client::{self, Client},
    crl_file::{CrlDirectory, CrlPlace},
    reader::{self, Read, Reader, Section},
    remote::{Endpoint, Proto, PORT},
    servers,
};
use crate::{inventory::Role, name::Name};

/// How the server listens, whom it becomes, and what its templates may lack.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Server {
    /// Where it listens; the first remote's when not set.
    pub port: u16,
    /// What it speaks; the first remote's when not set.
    pub proto: Proto,
    /// Where else clients reach a server of this VPN: ports that are forwarded, and those of further servers.
    pub reachable_at: Vec<Endpoint>,
    /// How servers' names begin; clients check it.
    pub name_prefix: String,
    /// Whom it becomes after it has started.
    pub user: Option<String>,
    /// With which group.
    pub group: Option<String>,
    /// Where its management interface is.
    pub management: Option<Management>,
    /// Where it looks for whom it refuses, relative to its directory.
    pub crl: CrlPlace,
    /// The file with that interface's password, absolute: the server and we read it from different places.
    pub management_password_file: Option<PathBuf>,
    /// Directives added as they are.
    pub extra: Vec<String>,
    /// How long server certificates hold; as long as the CA when not set.
    pub days: Option<u32>,
    /// What an overriding template may lack.
    pub template_without: Vec<Without>,
    /// Seconds between renegotiations; `OpenVPN`'s own default when not set.
    pub reneg_sec: Option<u32>,
    /// Seconds in which a handshake must be done; `OpenVPN`'s own default when not set.
    pub hand_window: Option<u32>,
    /// Seconds for which the old key lives on; 60 when not set.
    pub tran_window: Option<u32>,
}

/// Where a management interface is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Management {
    /// A socket at an absolute path.
    Unix(String),
    /// A loopback address.
    Tcp(SocketAddr),
}

/// A directive that a user's template may do without.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Without {
    /// Then nobody can be revoked.
    CrlVerify,
    /// Then a client's certificate could pass for a server's, or the other way round.
    RemoteCertTls,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            port: PORT,
            proto: Proto::default(),
            reachable_at: Vec::new(),
            name_prefix: PREFIX.to_owned(),
            user: None,
            group: None,
            management: None,
            crl: CrlPlace::default(),
            management_password_file: None,
            extra: Vec::new(),
            days: None,
            template_without: Vec::new(),
            reneg_sec: None,
            hand_window: None,
            tran_window: None,
        }
    }
}

pub fn read(reader: &mut Reader, root: &Table, client: &Client) -> Server {
    let section = reader.section(root, "server", &KEYS);
    let first = client.remotes.first();
    let seconds = |most| move |value: &Value| reader::number(1..=most)(value);
    let reachable = reader.many(&section, "reachable-at", &reader::parsed).unwrap_or_default();
    let without = reader.many(&section, "template-without", &reader::parsed).unwrap_or_default();
    Server {
        port: reader
            .one(&section, "port", &reader::number(1..=u16::MAX))
            .map_or(first.map_or(PORT, |remote| remote.port), Read::into_value),
        proto: reader
            .one(&section, "proto", &reader::parsed)
            .map_or(first.map_or_else(Proto::default, |remote| remote.proto), Read::into_value),
        reachable_at: reachable.into_iter().map(Read::into_value).collect(),
        name_prefix: reader.one(&section, "name-prefix", &prefix).map_or_else(|| PREFIX.to_owned(), Read::into_value),
        user: reader.one(&section, "user", &account).map(Read::into_value),
        group: reader.one(&section, "group", &account).map(Read::into_value),
        management: reader.one(&section, "management", &reader::parsed).map(Read::into_value),
        crl: crl_place(reader, &section),
        management_password_file: password_file(reader, &section),
        extra: client::extra(reader, &section, Role::Server),
        days: reader.one(&section, "days", &super::days).map(Read::into_value),
        template_without: without.into_iter().map(Read::into_value).collect(),
        // never 0: it would leave a revoked client that is connected alone for as long as it likes
        reneg_sec: reader.one(&section, "reneg-sec", &reader::number(5..=86_400)).map(Read::into_value),
        hand_window: reader.one(&section, "hand-window", &seconds(3600)).map(Read::into_value),
        tran_window: reader.one(&section, "tran-window", &seconds(86_400)).map(Read::into_value),
    }
}

/// A server reads one of the two.
fn crl_place(reader: &mut Reader, section: &Section) -> CrlPlace {
    let file = reader.one(section, "crl-file", &reader::parsed).map(Read::into_value).map(CrlPlace::File);
    let Some(dir) = reader.one(section, "crl-dir", &reader::parsed::<CrlDirectory>) else {
        return file.unwrap_or_default();
    };
    if reader.has(section, "crl-file") {
        reader.fault(section, "crl-dir", dir.line, "takes the place of `crl-file`; set one of them");
    }
    CrlPlace::Serials(dir.value)
}

/// Without an interface nobody would ask for the password.
fn password_file(reader: &mut Reader, section: &Section) -> Option<PathBuf> {
    let file = reader.one(section, PASSWORD_FILE, &absolute_file)?;
    if !reader.has(section, "management") {
        reader.fault(section, PASSWORD_FILE, file.line, "is the password of `management`, which is not set");
    }
    Some(file.value)
}

fn absolute_file(value: &Value) -> Result<PathBuf, String> {
    let file = servers::file(value)?;
    file.is_absolute()
        .then_some(file)
        .ok_or_else(|| "must be an absolute path: the server looks for it from its own directory".to_owned())
}

fn prefix(value: &Value) -> Result<String, String> {
    let text = reader::text(value)?;
    match Name::parse(&text) {
        Ok(_) => Ok(text),
        Err(error) => Err(error.to_string()),
    }
}

/// A name that `useradd` accepts everywhere.
fn account(value: &Value) -> Result<String, String> {
    let text = reader::text(value)?;
    let letter = |byte: &u8| byte.is_ascii_lowercase() || *byte == b'_';
    let inside = |byte: &u8| letter(byte) || byte.is_ascii_digit() || *byte == b'-';
    let fits = text.len() <= 32 && text.as_bytes().first().is_some_and(letter) && text.as_bytes().iter().all(inside);
    fits.then_some(text).ok_or_else(|| "must be the name of an account, such as `nobody`".to_owned())
}

impl FromStr for Management {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split(' ').collect();
        match words[..] {
            [path, "unix"] => socket(path),
            [address, port] => tcp(address, port),
            _ => Err("must be `PATH unix` or `127.0.0.1 PORT`".to_owned()),
        }
    }
}

fn socket(path: &str) -> Result<Management, String> {
    // 107 bytes: `sun_path` without its final NUL (unix(7))
    let plain = path.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\' | b'#' | b';'));
    if path.starts_with('/') && path.len() <= 107 && plain {
        Ok(Management::Unix(path.to_owned()))
    } else {
        Err("must name the socket by an absolute path of at most 107 plain characters".to_owned())
    }
}

fn tcp(address: &str, port: &str) -> Result<Management, String> {
    let address: std::net::IpAddr =
        address.parse().map_err(|_| "must be `PATH unix` or `127.0.0.1 PORT`".to_owned())?;
    let port: u16 = port.parse().ok().filter(|port| *port > 0).ok_or("must end in a port from 1 to 65535")?;
    if !address.is_loopback() {
        return Err(format!(
            "`{address}` is reached from outside, and whoever reaches it commands the server; use a socket"
        ));
    }
    Ok(Management::Tcp(SocketAddr::new(address, port)))
}

impl fmt::Display for Management {
    /// The directive's parameters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "{path} unix"),
            Self::Tcp(address) => write!(f, "{} {}", address.ip(), address.port()),
        }
    }
}

impl FromStr for Without {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "crl-verify" => Ok(Self::CrlVerify),
            "remote-cert-tls" => Ok(Self::RemoteCertTls),
            _ => Err("must name `crl-verify` or `remote-cert-tls`".to_owned()),
        }
    }
}

impl fmt::Display for Without {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::CrlVerify => "crl-verify",
            Self::RemoteCertTls => "remote-cert-tls",
        })
    }
}

const PASSWORD_FILE: &str = "management-password-file";

const KEYS: [&str; 16] = [
    "port",
    "proto",
    "reachable-at",
    "name-prefix",
    "user",
    "group",
    "management",
    "crl-file",
    "crl-dir",
    PASSWORD_FILE,
    "extra",
    "days",
    "template-without",
    "reneg-sec",
    "hand-window",
    "tran-window",
];

const PREFIX: &str = "server";
