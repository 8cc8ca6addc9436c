//! Publishing: the newest CRL of the store goes to every target, level-triggered and serial under one lock.
//! Nothing remembers that a target is behind; whoever comes compares again.

mod serials;

use std::{
    cell::OnceCell,
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use serde::{Serialize, Serializer};

use crate::{
    authority::{
        after::Ran,
        listing::{lacking, Listing, StoredCrl},
        standing::{Known, Standing},
        target::server_name,
        Authority, AuthorityError,
    },
    files,
    findings::target::ListForm,
    pki::{Crl, IssuerCertificate},
    publish::{self, Form, Place, PublishError, PublishedCrl, ServerDirectory, Unreadable},
    serial::Serial,
    settings::{CrlPlace, PublishMode, Publishing},
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
    /// The file that its server reads, or the directory of serials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// Which of the two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub form: Option<Form>,
    /// Whether the newest CRL is there and its server can read it.
    pub state: TargetState,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// A command that mends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
    /// Serials that are refused there although no list of ours says so; left as they are.
    #[serde(serialize_with = "count", skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Serial>,
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

    /// The path of its list, which our CA signed.
    pub fn list(&self) -> Option<PathBuf> {
        Some(Place { path: self.file.clone()?, form: self.form? }.list())
    }

    fn of(dir: &Path, place: Option<&Place>, state: TargetState) -> Self {
        let (file, form) = place.map(|place| (place.path.clone(), place.form)).unzip();
        Self { dir: dir.to_owned(), file, form, state, problem: None, mend: None, others: Vec::new() }
    }

    fn failed(dir: &Path, place: Option<&Place>, problem: String) -> Self {
        Self { problem: Some(problem), ..Self::of(dir, place, TargetState::Failed) }
    }

    fn shut(dir: &Path, place: &Place, why: &Unreadable) -> Self {
        let mend = match why {
            Unreadable::Shut { mend, .. } => Some(mend.clone()),
            Unreadable::File(_) => None,
        };
        Self { mend, problem: Some(why.to_string()), ..Self::of(dir, Some(place), TargetState::Unreadable) }
    }

    fn newer(dir: &Path, place: &Place, number: u64) -> Self {
        Self {
            problem: Some(format!("CRL {number} there is newer than the store's: the store was put back")),
            mend: Some("vpnpki crl refresh".to_owned()),
            ..Self::of(dir, Some(place), TargetState::Newer)
        }
    }
}

/// The form in which servers read the list: one file where a single one of them does, or the next export would make it so.
pub fn list_form(targets: &[Reached], publishing: &Publishing) -> ListForm {
    let mut forms = targets.iter().filter_map(|target| target.form).peekable();
    let as_file = match forms.peek() {
        Some(_) => forms.any(|form| form == Form::File),
        None => matches!(publishing.crl, CrlPlace::File(_)),
    };
    if as_file {
        ListForm::File
    } else {
        ListForm::Serials
    }
}

fn count<S: Serializer>(serials: &[Serial], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(serials.len() as u64)
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
    /// server does whose file is gone, or is no CRL of ours, cannot be told from here; one whose directory of serials is
    /// gone, or shut to it, refuses nobody.
    pub fn let_in(&self, view: &dyn View, target: &Reached) -> Result<Vec<Serial>, AuthorityError> {
        let file;
        let refused: Box<dyn Iterator<Item = Result<Serial, AuthorityError>> + '_> =
            if target.form == Some(Form::Serials) {
                Box::new(serials::refused_at(target).into_iter().map(Ok))
            } else {
                let issuer = IssuerCertificate::parse(&view.issuer()?.certificate)?;
                let Some(there) = opened(target) else { return Ok(Vec::new()) };
                file = there;
                let Ok(there) = Listing::published(&file, &issuer) else { return Ok(Vec::new()) };
                Box::new(there.serials()?)
            };
        let (_, newest) = newest(view, self.now())?;
        lacking(newest.entries()?, refused).map(|entry| entry.map(|entry| entry.serial)).collect()
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
            for list in server.crls().into_iter().flat_map(Place::lists) {
                match publish::open(&list) {
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
    target.list().and_then(|file| publish::open(&file).ok().flatten())
}

/// What is held against each target.
struct Desk<'a> {
    known: Known<'a>,
    publishing: &'a Publishing,
    /// Whom the newest CRL refuses, once it is asked for.
    refused: OnceCell<BTreeSet<Serial>>,
}

/// One place of a target, and who must be able to read it.
struct Found {
    reached: Reached,
    /// None where nothing can be put.
    place: Option<Place>,
    readers: Vec<Account>,
}

/// The user and the group that a server becomes.
type Account = (Option<String>, Option<String>);

impl<'a> Desk<'a> {
    fn of(view: &'a dyn View, publishing: &'a Publishing, now: Time) -> Result<Self, AuthorityError> {
        let known = Known::of(view, now)?;
        known.current()?;
        Ok(Self { known, publishing, refused: OnceCell::new() })
    }

    /// A CRL of another CA is silently useless to OpenVPN, so none is put anywhere.
    fn check(&self) -> Result<(), AuthorityError> {
        self.known.current()?.listing(Some(&self.known.issuer)).map(drop)
    }

    /// How every place that servers read in this directory stands.
    fn look(&self, dir: &Path) -> Vec<Found> {
        let failed =
            |problem: String| Found { reached: Reached::failed(dir, None, problem), place: None, readers: Vec::new() };
        let server = match publish::inspect(dir, self.known.issuer.der()) {
            Ok(server) => server,
            Err(error) => return vec![failed(error.to_string())],
        };
        let found = |place: &Place| {
            let readers = self.readers(&server, place);
            Found { reached: self.stands(dir, place, &readers), place: Some(place.clone()), readers }
        };
        let unseen = server
            .blind
            .iter()
            .map(|(config, why)| failed(format!("`{}` will not see it: {why}", files::shown(config))));
        server.crls().into_iter().map(found).chain(unseen).collect()
    }

    /// The users that the configurations there name, and those that the settings give to the next export.
    fn readers(&self, server: &ServerDirectory, place: &Place) -> Vec<Account> {
        let there = server.readers.iter().filter(|reader| reader.crl == *place);
        let mut readers: Vec<_> = there.map(|reader| (reader.user.clone(), reader.group.clone())).collect();
        readers.push((self.publishing.user.clone(), self.publishing.group.clone()));
        readers.dedup();
        readers
    }

    fn stands(&self, dir: &Path, place: &Place, readers: &[Account]) -> Reached {
        self.looked_at(dir, place, readers).unwrap_or_else(|error| Reached::failed(dir, Some(place), error.to_string()))
    }

    fn looked_at(&self, dir: &Path, place: &Place, readers: &[Account]) -> Result<Reached, AuthorityError> {
        let mut standings = Vec::new();
        for list in place.lists() {
            let there = publish::open(&list)?;
            match there.map_or(Ok(Standing::Behind), |there| self.known.judge(&there))? {
                Standing::Newer(newer) => return Ok(Reached::newer(dir, place, newer.number().unwrap_or(0))),
                standing => standings.push(standing),
            }
        }
        let state = match (place.form, &standings[0]) {
            (Form::Serials, standing) => return self.serials_stand(dir, place, readers, standing),
            (Form::File, Standing::Current) => TargetState::Current,
            (Form::File, Standing::Ahead) => TargetState::Ahead,
            (Form::File, _) => return Ok(Reached::of(dir, Some(place), TargetState::Behind)),
        };
        Ok(readable(dir, place, state, readers))
    }

    /// Publishing always writes, also where the server's user cannot read: the mend is the user's to type.
    fn put(&self, found: Found) -> Reached {
        let Found { reached, place, readers } = found;
        let (Some(place), TargetState::Behind | TargetState::Current) = (&place, reached.state) else {
            return reached;
        };
        let put = match place.form {
            Form::File => self.put_file(place),
            Form::Serials => self.put_serials(place, reached.state),
        };
        let state = match put {
            Ok(publish::Reached::Written) => TargetState::Published,
            Ok(publish::Reached::Already) => TargetState::Current,
            Err(error) => return Reached::failed(&reached.dir, Some(place), error.to_string()),
        };
        Reached { others: reached.others, ..readable(&reached.dir, place, state, &readers) }
    }

    fn put_file(&self, place: &Place) -> Result<publish::Reached, AuthorityError> {
        let current = self.known.current()?;
        Ok(publish::put(&place.path, || current.pem())?)
    }
}

/// Where privileges are dropped, the user that remains must reach the list, or a later revocation is never seen; so, too,
/// for the serials around it.
fn readable(dir: &Path, place: &Place, state: TargetState, readers: &[Account]) -> Reached {
    for (user, group) in readers {
        if let Err(why) = publish::readable_by(&place.list(), user.as_deref(), group.as_deref()) {
            return Reached::shut(dir, place, &why);
        }
    }
    Reached::of(dir, Some(place), state)
}
