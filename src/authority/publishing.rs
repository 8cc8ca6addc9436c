//! Publishing: the newest CRL of the store goes to every target, level-triggered and serial under one lock.
//! Nothing remembers that a target is behind; whoever comes compares again.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::{
    authority::{
        after::Ran,
        listing::{lacking, Listing, StoredCrl},
        standing::{Known, Standing},
        target::server_name,
        Authority, AuthorityError,
    },
    files,
    pki::{Crl, IssuerCertificate},
    publish::{self, PublishError, PublishedCrl, ServerDirectory, Unreadable},
    serial::Serial,
    settings::{PublishMode, Publishing},
    store::View,
    time::Time,
    validity::Validity,
};

/// What came of publishing.
#[derive(Debug, Serialize, Default)]
pub struct Published {
    /// The newest CRL's number.
    pub number: u64,
    /// Each target and whether it now has that CRL.
    pub targets: Vec<Reached>,
    /// Whether the settings name a target that could not be read.
    pub faulty: bool,
    /// Why nothing could be published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The program that ran after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Ran>,
    /// Set when nothing was tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped: Option<Skipped>,
    /// The first server by name, whose directory could become a target where there is none.
    #[serde(skip)]
    pub server: String,
}

/// One target after publishing.
#[derive(Debug, Serialize)]
pub struct Reached {
    /// The directory the user named.
    pub dir: PathBuf,
    /// The file that its server reads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// Whether the newest CRL is there and its server can read it.
    pub state: TargetState,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// A command that mends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

/// How a target stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TargetState {
    /// The newest CRL was put there.
    Published,
    /// The newest CRL was there already.
    Current,
    /// One that was signed in advance is there already: a clock was ahead.
    Ahead,
    /// An older one is there, or none.
    Behind,
    /// A newer one is there: the store was put back.
    Newer,
    /// The newest CRL is there, but the server could not read it.
    Unreadable,
    /// It could not be written, or no server would look at it.
    Failed,
}

/// Why nothing was tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Skipped {
    /// `--no-publish`.
    Asked,
    /// `publish.mode = "manual"`.
    Manual,
}

impl Published {
    /// Whether a file was written.
    pub fn wrote(&self) -> bool {
        self.targets.iter().any(|target| target.state == TargetState::Published)
    }

    /// Whether no server is known at all.
    pub fn nobody(&self) -> bool {
        self.skipped.is_none() && self.problem.is_none() && self.after.is_none() && self.targets.is_empty()
    }
}

impl Reached {
    /// Whether the server there reads the newest CRL.
    pub fn reached(&self) -> bool {
        matches!(self.state, TargetState::Published | TargetState::Current | TargetState::Ahead)
    }

    fn of(dir: &Path, file: Option<&Path>, state: TargetState) -> Self {
        Self { dir: dir.to_owned(), file: file.map(Path::to_owned), state, problem: None, mend: None }
    }

    fn failed(dir: &Path, file: Option<&Path>, problem: String) -> Self {
        Self { problem: Some(problem), ..Self::of(dir, file, TargetState::Failed) }
    }

    fn shut(dir: &Path, file: &Path, why: &Unreadable) -> Self {
        let mend = match why {
            Unreadable::Shut { mend, .. } => Some(mend.clone()),
            Unreadable::File(_) => None,
        };
        Self { mend, problem: Some(why.to_string()), ..Self::of(dir, Some(file), TargetState::Unreadable) }
    }

    fn newer(dir: &Path, file: &Path, number: u64) -> Self {
        Self {
            problem: Some(format!("CRL {number} there is newer than the store's: the store was put back")),
            mend: Some("vpnpki crl refresh".to_owned()),
            ..Self::of(dir, Some(file), TargetState::Newer)
        }
    }
}

/// A CRL of ours that was found in a target and is newer than the store's.
pub(super) struct NewerCrl {
    pub dir: PathBuf,
    pub crl: Crl,
}

impl Authority {
    /// Targets that are behind are served by whoever comes; that failing is not this act's fault.
    pub(super) fn publish_quietly(&self, publishing: &Publishing, warnings: &mut Vec<String>) {
        if publishing.mode == PublishMode::Manual {
            return;
        }
        match self.publish(publishing) {
            Ok(published) => {
                for target in published.targets.iter().filter(|target| !target.reached()) {
                    let why = target.problem.as_deref().unwrap_or("it is behind");
                    warnings.push(format!("`{}` does not have the newest CRL: {why}", files::shown(&target.dir)));
                }
                let unfinished = published.after.and_then(|ran| ran.problem);
                warnings.extend(unfinished.map(|problem| format!("publishing was not finished: {problem}")));
            }
            Err(error) => warnings.push(format!("the newest CRL was not published: {error}")),
        }
    }

    /// Puts the store's newest CRL into every target.
    pub(super) fn put_everywhere(&self, publishing: &Publishing) -> Result<Published, AuthorityError> {
        let _lock = files::lock(self.dir(), self.patience())?;
        let view = self.view()?;
        let dirs = self.target_dirs(&*view, publishing)?;
        if dirs.is_empty() {
            let number = view.crl_facts(view.issuer()?.number, self.now())?.map_or(0, |crl| crl.number);
            let server = server_name(&*view)?;
            return Ok(Published { number, faulty: publishing.faulty, server, ..Published::default() });
        }
        let desk = Desk::of(&*view, publishing, self.now())?;
        let found: Vec<Found> = dirs.iter().flat_map(|dir| desk.look(dir)).collect();
        if found.iter().any(|found| found.reached.state == TargetState::Behind) {
            desk.check()?;
        }
        let targets = found.into_iter().map(|found| desk.put(found)).collect();
        let number = desk.known.current()?.facts.number;
        Ok(Published { number, targets, faulty: publishing.faulty, ..Published::default() })
    }

    /// How every target stands, without changing one.
    pub fn targets(&self, view: &dyn View, publishing: &Publishing) -> Result<Vec<Reached>, AuthorityError> {
        let dirs = self.target_dirs(view, publishing)?;
        if dirs.is_empty() {
            return Ok(Vec::new());
        }
        let desk = Desk::of(view, publishing, self.now())?;
        Ok(dirs.iter().flat_map(|dir| desk.look(dir)).map(|found| found.reached).collect())
    }

    /// Whom the CRL of now refuses and the one in a target does not: the servers that read that one let them in. What a
    /// server does whose file is gone, or is no CRL of ours, cannot be told from here.
    pub fn let_in(&self, view: &dyn View, target: &Reached) -> Result<Vec<Serial>, AuthorityError> {
        let issuer = IssuerCertificate::parse(&view.issuer()?.certificate)?;
        let Some(file) = opened(target) else { return Ok(Vec::new()) };
        let Ok(there) = Listing::published(&file, &issuer) else { return Ok(Vec::new()) };
        let (_, newest) = newest(view, self.now())?;
        let open = lacking(newest.entries()?, there.serials()?);
        open.map(|entry| entry.map(|entry| entry.serial)).collect()
    }

    /// When the CRL that servers read in a target holds, when it is there and our CA signed it.
    pub fn validity_there(&self, view: &dyn View, target: &Reached) -> Result<Option<Validity>, AuthorityError> {
        let issuer = IssuerCertificate::parse(&view.issuer()?.certificate)?;
        let there = opened(target);
        Ok(there.and_then(|there| Some(Listing::published(&there, &issuer).ok()?.validity)))
    }

    /// CRLs in targets that our CA signed with a higher number than the store knows.
    pub(super) fn newer_crls(&self, view: &dyn View, publishing: &Publishing) -> Result<Vec<NewerCrl>, AuthorityError> {
        Ok(self.look_for_newer(view, publishing)?.0)
    }

    /// The same, and why a target that is there could not be read.
    pub(super) fn look_for_newer(
        &self,
        view: &dyn View,
        publishing: &Publishing,
    ) -> Result<(Vec<NewerCrl>, Vec<String>), AuthorityError> {
        let (mut found, mut unread) = (Vec::new(), Vec::new());
        let dirs = self.target_dirs(view, publishing)?;
        if dirs.is_empty() {
            return Ok((found, unread));
        }
        let known = Known::of(view, self.now())?;
        for dir in dirs {
            let mut missed = |error: PublishError| {
                unread.push(format!("the CRL in `{}` could not be read ({error})", files::shown(&dir)));
            };
            let server = match publish::inspect(&dir, known.issuer.der()) {
                Ok(server) => server,
                Err(error @ PublishError::File(_)) => {
                    missed(error);
                    continue;
                }
                // not there, or not ours: told when a CRL is published
                Err(_) => continue,
            };
            for file in server.crls() {
                match publish::open(file) {
                    Ok(there) => {
                        if let Some(Standing::Newer(crl)) = there.map(|there| known.judge(&there)).transpose()? {
                            found.push(NewerCrl { dir: dir.clone(), crl });
                        }
                    }
                    Err(error) => missed(error),
                }
            }
        }
        Ok((found, unread))
    }

    /// The directories the user named, here or in the settings.
    pub(super) fn target_dirs(&self, view: &dyn View, publishing: &Publishing) -> Result<Vec<PathBuf>, AuthorityError> {
        let named = view.targets()?.into_iter().map(|target| PathBuf::from(target.dir));
        let mut dirs: Vec<PathBuf> = named.chain(publishing.dirs.iter().map(|dir| self.dir().join(dir))).collect();
        dirs.sort();
        dirs.dedup();
        Ok(dirs)
    }

    /// Whether there is nowhere to publish to. `issue`, which signs no CRL, then leaves it at that: nor need a program be run
    /// that carries the same one again.
    pub(super) fn has_no_target(&self, publishing: &Publishing) -> bool {
        let dirs = self.view().and_then(|view| self.target_dirs(&*view, publishing));
        dirs.is_ok_and(|dirs| dirs.is_empty())
    }

    /// The newest CRL, held against the CA beside it, and what is on it.
    pub fn newest_crl<'v>(&self, view: &'v dyn View) -> Result<(StoredCrl<'v>, Listing<'v>), AuthorityError> {
        newest(view, self.now())
    }
}

/// The newest CRL, held against the CA beside it: a CRL of another CA is silently useless to OpenVPN.
pub(super) fn newest(view: &dyn View, now: Time) -> Result<(StoredCrl<'_>, Listing<'_>), AuthorityError> {
    let facts = view.issuer()?;
    let issuer = IssuerCertificate::parse(&facts.certificate)?;
    let crl = StoredCrl::newest(view, facts.number, now)?.ok_or(AuthorityError::NoCrl)?;
    let listing = crl.listing(Some(&issuer))?;
    Ok((crl, listing))
}

fn opened(target: &Reached) -> Option<PublishedCrl> {
    target.file.as_deref().and_then(|file| publish::open(file).ok().flatten())
}

/// What is held against each target.
struct Desk<'a> {
    known: Known<'a>,
    publishing: &'a Publishing,
}

/// One file of a target, and who must be able to read it.
struct Found {
    reached: Reached,
    readers: Vec<(Option<String>, Option<String>)>,
}

impl<'a> Desk<'a> {
    fn of(view: &'a dyn View, publishing: &'a Publishing, now: Time) -> Result<Self, AuthorityError> {
        let known = Known::of(view, now)?;
        known.current()?;
        Ok(Self { known, publishing })
    }

    /// A CRL of another CA is silently useless to OpenVPN, so none is put anywhere.
    fn check(&self) -> Result<(), AuthorityError> {
        self.known.current()?.listing(Some(&self.known.issuer)).map(drop)
    }

    /// How every file that servers read in this directory stands.
    fn look(&self, dir: &Path) -> Vec<Found> {
        let server = match publish::inspect(dir, self.known.issuer.der()) {
            Ok(server) => server,
            Err(error) => {
                return vec![Found { reached: Reached::failed(dir, None, error.to_string()), readers: Vec::new() }]
            }
        };
        let found = |file: &Path| {
            let readers = self.readers(&server, file);
            Found { reached: self.stands(dir, file, &readers), readers }
        };
        let unseen = server.blind.iter().map(|(config, why)| {
            let problem = format!("`{}` will not see it: {why}", files::shown(config));
            Found { reached: Reached::failed(dir, None, problem), readers: Vec::new() }
        });
        server.crls().into_iter().map(found).chain(unseen).collect()
    }

    /// The users that the configurations there name, and those that the settings give to the next export.
    fn readers(&self, server: &ServerDirectory, file: &Path) -> Vec<(Option<String>, Option<String>)> {
        let there = server.readers.iter().filter(|reader| reader.crl == file);
        let mut readers: Vec<_> = there.map(|reader| (reader.user.clone(), reader.group.clone())).collect();
        readers.push((self.publishing.user.clone(), self.publishing.group.clone()));
        readers.dedup();
        readers
    }

    fn stands(&self, dir: &Path, file: &Path, readers: &[(Option<String>, Option<String>)]) -> Reached {
        let there = match publish::open(file) {
            Ok(Some(there)) => there,
            Ok(None) => return Reached::of(dir, Some(file), TargetState::Behind),
            Err(error) => return Reached::failed(dir, Some(file), error.to_string()),
        };
        match self.known.judge(&there) {
            Ok(Standing::Current) => readable(dir, file, TargetState::Current, readers),
            Ok(Standing::Ahead) => readable(dir, file, TargetState::Ahead, readers),
            Ok(Standing::Newer(newer)) => Reached::newer(dir, file, newer.number().unwrap_or(0)),
            Ok(Standing::Behind) => Reached::of(dir, Some(file), TargetState::Behind),
            Err(error) => Reached::failed(dir, Some(file), error.to_string()),
        }
    }

    /// Publishing always writes, also where the server's user cannot read: the mend is the user's to type.
    fn put(&self, found: Found) -> Reached {
        let Found { reached, readers } = found;
        let (Some(file), TargetState::Behind | TargetState::Current) = (&reached.file, reached.state) else {
            return reached;
        };
        let current = match self.known.current() {
            Ok(current) => current,
            Err(error) => return Reached::failed(&reached.dir, Some(file), error.to_string()),
        };
        match publish::put(file, || current.pem()) {
            Ok(publish::Reached::Written) => readable(&reached.dir, file, TargetState::Published, &readers),
            Ok(publish::Reached::Already) => readable(&reached.dir, file, TargetState::Current, &readers),
            Err(error) => Reached::failed(&reached.dir, Some(file), error.to_string()),
        }
    }
}

/// Where privileges are dropped, the user that remains must reach the file, or a later revocation is never seen.
fn readable(dir: &Path, file: &Path, state: TargetState, readers: &[(Option<String>, Option<String>)]) -> Reached {
    for (user, group) in readers {
        if let Err(why) = publish::readable_by(file, user.as_deref(), group.as_deref()) {
            return Reached::shut(dir, file, &why);
        }
    }
    Reached::of(dir, Some(file), state)
}
