//! The side that bundles are held against: a server's directory, the authority, or nobody.
//! Reads everything once, however many bundles there are.

use std::path::Path;

use super::load;
use crate::{
    authority::{Authority, Keyholder, KeyholderError},
    cli::{session::Session, Failure},
    files,
    findings::bundle::{Inventory, OtherSide},
    inventory::Certificate,
    pki,
    secret::Secret,
    serial::Serial,
    store::{self, Access, View},
    time::Time,
    vault::IdentityFile,
};

/// Where the other side is found.
pub enum Opened<'a> {
    /// A server's directory.
    Server(&'a Path),
    /// The authority in the PKI directory.
    Authority(Authority),
    /// Neither.
    Nobody,
}

/// Whether handshakes are tried, for which the keys of servers are needed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Trial {
    /// They are.
    Handshake,
    /// They are not, and nobody is asked to open the vault.
    None,
}

/// The other side, read.
pub struct Side<'a> {
    pub other: Option<OtherSide>,
    pub inventory: Option<Box<Inventory<'a>>>,
    pub warnings: Vec<String>,
}

impl<'a> Opened<'a> {
    /// A directory that was named; else the authority where there is one. One that was named and is not there is an error.
    pub fn of(session: &Session, server: Option<&'a Path>) -> Result<Self, Failure> {
        match server {
            Some(dir) => Ok(Self::Server(dir)),
            None if store::exists(&session.dir()) || session.names_a_directory() => {
                session.open(Access::Read).map(Self::Authority)
            }
            None => Ok(Self::Nobody),
        }
    }

    /// Everything that bundles are held against at `now`.
    pub fn side(&self, session: &Session, now: Time, trial: Trial) -> Result<Side<'_>, Failure> {
        match self {
            Self::Nobody => Ok(Side { other: None, inventory: None, warnings: vec![ALONE.to_owned()] }),
            Self::Server(dir) => {
                let package =
                    load::directory(dir).map_err(|why| Failure::refused(format!("`{}`: {why}", files::shown(dir))))?;
                let (other, warnings) = OtherSide::of(format!("the server in `{}`", files::shown(dir)), &package);
                Ok(Side { other: Some(other), inventory: None, warnings })
            }
            Self::Authority(authority) => of_authority(authority, session, now, trial),
        }
    }
}

fn of_authority<'a>(authority: &'a Authority, session: &Session, now: Time, trial: Trial) -> Result<Side<'a>, Failure> {
    let view = authority.view()?;
    let unlocked = match trial {
        Trial::Handshake => Some(authority.unlock(&*view, session)?),
        Trial::None => match authority.unlock(&*view, &Unasking(session)) {
            Ok(unlocked) => Some(unlocked),
            Err(error) if error.nobody_unlocks() => None,
            Err(error) => return Err(error.into()),
        },
    };
    let found = authority.server_side(&*view, now, unlocked.as_ref(), trial == Trial::Handshake)?;
    // what the vault keeps is missing on purpose, and the servers' certificates come apart
    let (mut other, _) = OtherSide::of("the authority".to_owned(), &found.package);
    other.certificates = found.certificates.iter().filter_map(|der| pki::inspect(der).ok()).collect();
    other.keys = found.keys;
    let closed = unlocked.is_none().then(|| CLOSED.to_owned());
    Ok(Side { other: Some(other), inventory: Some(Box::new(lookup(view))), warnings: closed.into_iter().collect() })
}

fn lookup<'a>(view: Box<dyn View + 'a>) -> impl Fn(&Serial) -> Option<Certificate> + 'a {
    // a certificate that cannot be read is none that the inventory knows, and is said so
    move |serial| view.certificate(serial).ok().flatten()
}

/// Opens the vault with what was given, and asks nobody.
struct Unasking<'a>(&'a Session);

impl Keyholder for Unasking<'_> {
    fn identity(&self) -> Result<Option<IdentityFile>, KeyholderError> {
        self.0.identity()
    }

    fn passphrase(&self) -> Result<Secret, KeyholderError> {
        self.0.given_passphrase()?.ok_or(KeyholderError::Missing("passphrase"))
    }
}

const ALONE: &str = "there is no authority here and no `--server`: only what is in the bundles was looked at, not whether a server accepts them";

const CLOSED: &str = "the vault was not opened, so the control channel key was not compared; `--passphrase-file` or `--identity` opens it";
