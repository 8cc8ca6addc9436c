//! `crl install`: a CRL that was carried to a host without the authority is held against the CA, then put in place.
//! Knows no store and no key; whatever is refused leaves the old list where it is.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Serialize;

use crate::{
    files::{self, shown, FileError},
    pki::{self, CertificateError, Crl, CrlError, IssuerCertificate, PemError},
    publish::{self, Form, PublishError, ServerDirectory, Turn, Unreadable},
    serial::Serial,
    time::Time,
};

/// What is to be installed, where, and what it is held against.
pub struct Installation<'a> {
    /// The server's directory.
    pub dir: &'a Path,
    /// A file with the CA's certificate, which whoever carries the list cannot change.
    pub ca: &'a Path,
    /// The list as it arrived.
    pub pem: &'a [u8],
    /// The moment at which it must hold.
    pub now: Time,
    /// How long to wait for another one that installs there.
    pub patience: Duration,
    /// Stop before anything changes.
    pub dry_run: bool,
}

/// What came of it.
#[derive(Debug, Serialize)]
pub struct Installed {
    /// Whether a file was written.
    pub changed: bool,
    /// Whether nothing was to change.
    pub dry_run: bool,
    /// The list's number.
    pub number: u64,
    /// How many serials it lists.
    pub entries: u64,
    /// thisUpdate.
    pub this_update: Time,
    /// nextUpdate.
    pub next_update: Time,
    /// Each file or directory of serials that a server reads here.
    pub files: Vec<Place>,
    /// Configurations whose servers will not see it, and why.
    pub blind: Vec<Blind>,
}

/// One file that a server reads, or one directory of serials.
#[derive(Debug, Serialize)]
pub struct Place {
    /// The file or the directory.
    pub file: PathBuf,
    /// Which of the two.
    pub form: Form,
    /// Whether the list is there now.
    pub state: PlaceState,
    /// The number of the list that was there, when there was one of this CA.
    pub replaced: Option<u64>,
    /// Why its server does not read the new list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// A command that mends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
    /// Whom the list that was there refuses.
    #[serde(skip)]
    before: BTreeSet<Serial>,
    /// The same of one that was being put there when a kill came.
    #[serde(skip)]
    unfinished: BTreeSet<Serial>,
}

/// How a file stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PlaceState {
    /// The list was put there, or would be.
    Installed,
    /// It was there already.
    Current,
    /// It is there, but the server could not read it.
    Unreadable,
    /// It could not be written.
    Failed,
}

/// A configuration that reads its list from elsewhere, or none.
#[derive(Debug, Serialize)]
pub struct Blind {
    /// The configuration.
    pub config: PathBuf,
    /// Why.
    pub problem: String,
}

/// Why nothing was installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The CA's file is no PEM.
    #[error("`{}` holds no certificate", shown(.path))]
    NoCa {
        /// The file.
        path: PathBuf,
        /// What the reader says.
        #[source]
        source: PemError,
    },
    /// A certificate in the CA's file is no CA's.
    #[error("`{}` holds no certificate of a CA", shown(.path))]
    NoAuthority {
        /// The file.
        path: PathBuf,
        /// What the reader says.
        #[source]
        source: CertificateError,
    },
    /// The list cannot be read, or the CA did not sign it.
    #[error("nothing was installed: {0}")]
    Crl(#[from] CrlError),
    /// Two lists: which is meant nobody can tell.
    #[error("nothing was installed: it holds {0} revocation lists, and one is wanted")]
    Several(usize),
    /// Without a number nobody can tell which of two lists is the newer.
    #[error("nothing was installed: the revocation list has no number")]
    NoNumber,
    /// A server would refuse everybody until then.
    #[error("nothing was installed: CRL {number} begins on {this_update}, and here it is {now}")]
    Early {
        /// Its number.
        number: u64,
        /// Its thisUpdate.
        this_update: Time,
        /// The clock.
        now: Time,
    },
    /// A server refuses everybody with an expired list.
    #[error("nothing was installed: CRL {number} ended on {next_update}, and here it is {now}")]
    Late {
        /// Its number.
        number: u64,
        /// Its nextUpdate.
        next_update: Time,
        /// The clock.
        now: Time,
    },
    /// An older list would let in who was revoked since.
    #[error("nothing was installed: `{}` has CRL {there}, and CRL {number} is older", shown(.file))]
    Older {
        /// The file.
        file: PathBuf,
        /// The number there.
        there: u64,
        /// The number that was brought.
        number: u64,
    },
    /// Two lists with one number: the authority never does that.
    #[error("nothing was installed: `{}` has another CRL {number}", shown(.file))]
    SameNumber {
        /// The file.
        file: PathBuf,
        /// The number of both.
        number: u64,
    },
    /// No server of this CA reads a list there.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The disk.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Checks the list, then puts it where the servers in the directory read it: one at a time for each directory, in one
/// step for each file.
pub fn install(request: &Installation) -> Result<Installed, InstallError> {
    let crl = read(request.pem)?;
    let issuer = signer(request.ca, &crl)?;
    let number = crl.number().ok_or(InstallError::NoNumber)?;
    check_dates(&crl, number, request.now)?;
    let server = publish::inspect_without_ca(request.dir, issuer.der())?;
    let _lock = files::lock(request.dir, request.patience)?;
    let (mut places, mut changed) = (Vec::new(), false);
    for place in server.crls() {
        places.push(compare(place, &crl, number, &issuer)?);
    }
    if !request.dry_run {
        let arrived = Arrived { pem: pki::crl_pem(crl.der()), refused: refused(&crl) };
        for place in &mut places {
            changed |= put(place, &arrived, &server);
        }
    }
    let blind = |(config, problem): &(PathBuf, String)| Blind { config: config.clone(), problem: problem.clone() };
    Ok(Installed {
        changed,
        dry_run: request.dry_run,
        number,
        entries: crl.entries().len() as u64,
        this_update: crl.validity().not_before(),
        next_update: crl.validity().not_after(),
        files: places,
        blind: server.blind.iter().map(blind).collect(),
    })
}

/// The one list in a PEM file.
fn read(pem: &[u8]) -> Result<Crl, InstallError> {
    match pki::count_crls(pem) {
        0 | 1 => Ok(Crl::from_pem(pem)?),
        several => Err(InstallError::Several(several)),
    }
}

/// The certificate in the CA's file that signed the list; a file may hold several, as a server's may.
fn signer(path: &Path, crl: &Crl) -> Result<IssuerCertificate, InstallError> {
    let text = files::read(path, CA_LIMIT)?;
    let certificates =
        pki::certificates_from_pem(&text).map_err(|source| InstallError::NoCa { path: path.to_owned(), source })?;
    let mut refused = CrlError::OtherIssuer;
    for der in certificates {
        let issuer = IssuerCertificate::parse(&der)
            .map_err(|source| InstallError::NoAuthority { path: path.to_owned(), source })?;
        match crl.verify(&issuer) {
            Ok(()) => return Ok(issuer),
            Err(CrlError::OtherIssuer) => {}
            Err(fault) => refused = fault,
        }
    }
    Err(refused.into())
}

fn check_dates(crl: &Crl, number: u64, now: Time) -> Result<(), InstallError> {
    let (this_update, next_update) = (crl.validity().not_before(), crl.validity().not_after());
    if this_update > now {
        return Err(InstallError::Early { number, this_update, now });
    }
    if next_update < now {
        return Err(InstallError::Late { number, next_update, now });
    }
    Ok(())
}

/// Holds the list against those that are there. What is there and is no list of this CA protects nobody.
fn compare(place: &publish::Place, crl: &Crl, number: u64, issuer: &IssuerCertificate) -> Result<Place, InstallError> {
    let mut lists = Vec::new();
    for file in place.lists() {
        let bytes = publish::current(&file)?;
        let there = bytes.and_then(|pem| Crl::from_pem(&pem).ok()).filter(|there| there.verify(issuer).is_ok());
        match there.as_ref().and_then(Crl::number) {
            Some(there) if there > number => return Err(InstallError::Older { file, there, number }),
            Some(same) if same == number && there.as_ref().is_some_and(|there| there.der() != crl.der()) => {
                return Err(InstallError::SameNumber { file, number });
            }
            _ => lists.push(there),
        }
    }
    let [there, unfinished] = [0, 1].map(|at| lists.get(at).and_then(Option::as_ref));
    let same = there.is_some_and(|there| there.der() == crl.der());
    let named = place.form == Form::File || all_named(&place.path, crl)?;
    Ok(Place {
        file: place.path.clone(),
        form: place.form,
        state: if same && named { PlaceState::Current } else { PlaceState::Installed },
        replaced: there.and_then(Crl::number),
        problem: None,
        mend: None,
        before: there.map_or_else(BTreeSet::new, refused),
        unfinished: unfinished.map_or_else(BTreeSet::new, refused),
    })
}

/// Whether a directory of serials names everybody whom the list refuses.
fn all_named(dir: &Path, crl: &Crl) -> Result<bool, InstallError> {
    Ok(publish::serials(dir)?.is_some_and(|there| there.missing(&refused(crl)).is_empty()))
}

fn refused(crl: &Crl) -> BTreeSet<Serial> {
    crl.entries().iter().map(|entry| entry.serial).collect()
}

/// The list as it is put in place.
struct Arrived {
    pem: String,
    refused: BTreeSet<Serial>,
}

/// Whether anything was written. A place that cannot be written, or read by its server, does not keep the list from another.
fn put(place: &mut Place, arrived: &Arrived, server: &ServerDirectory) -> bool {
    let put = match place.form {
        Form::File => publish::put(&place.file, || arrived.pem.as_bytes()),
        Form::Serials => {
            // those whom a list before named, and no other's
            let gone = |listed: &BTreeSet<Serial>| listed.difference(&arrived.refused).copied().collect::<Vec<_>>();
            let (ended, unfinished) = (gone(&place.before), gone(&place.unfinished));
            let turn = Turn { wanted: &arrived.refused, ended: &ended, unfinished: &unfinished };
            publish::bring(&place.file, &turn, || arrived.pem.as_bytes())
        }
    };
    let reached = match put {
        Ok(reached) => reached,
        Err(error) => {
            (place.state, place.problem) = (PlaceState::Failed, Some(error.to_string()));
            return false;
        }
    };
    let mut readers = server.readers.iter().filter(|reader| reader.crl.path == place.file);
    let shut = readers.find_map(|reader| {
        publish::readable_by(&reader.crl.list(), reader.user.as_deref(), reader.group.as_deref()).err()
    });
    if let Some(why) = shut {
        (place.state, place.problem) = (PlaceState::Unreadable, Some(why.to_string()));
        place.mend = match why {
            Unreadable::Shut { mend, .. } => Some(mend),
            Unreadable::File(_) => None,
        };
    }
    reached == publish::Reached::Written
}

/// The most bytes a list may have.
pub const CRL_LIMIT: usize = publish::CRL_LIMIT;

const CA_LIMIT: usize = 1024 * 1024;

#[cfg(test)]
mod tests;
