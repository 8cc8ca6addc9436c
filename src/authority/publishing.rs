//! Publishing: the newest CRL of the store goes to every target, level-triggered and serial under one lock.
//! Nothing remembers that a target is behind; whoever comes compares again.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::{
    authority::{Authority, AuthorityError},
    files,
    inventory::SignedCrl,
    pki::{self, Crl, IssuerCertificate},
    publish::{self, PublishError},
    settings::Publishing,
    store::View,
};

/// What came of publishing.
#[derive(Debug, Serialize, Default)]
pub struct Published {
    /// The newest CRL's number.
    pub number: u64,
    /// Each target and whether it now has that CRL.
    pub targets: Vec<Reached>,
    /// Set when nothing was tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped: Option<Skipped>,
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
    /// An older one is there, or none.
    Behind,
    /// A newer one is there: the store was put back.
    Newer,
    /// The server there could not read it, or it could not be written.
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
    /// Whether every server that is known reads the newest CRL, and at least one is known.
    pub fn complete(&self) -> bool {
        self.skipped.is_some() || (!self.targets.is_empty() && self.targets.iter().all(Reached::reached))
    }

    /// Whether no server is known at all.
    pub fn nobody(&self) -> bool {
        self.skipped.is_none() && self.targets.is_empty()
    }
}

impl Reached {
    /// Whether the server there reads the newest CRL.
    pub fn reached(&self) -> bool {
        matches!(self.state, TargetState::Published | TargetState::Current)
    }

    fn of(dir: &Path, file: Option<&Path>, state: TargetState) -> Self {
        Self { dir: dir.to_owned(), file: file.map(Path::to_owned), state, problem: None, mend: None }
    }

    fn failed(dir: &Path, file: Option<&Path>, error: &PublishError) -> Self {
        let problem = Some(error.to_string());
        Self { problem, mend: error.mend(), ..Self::of(dir, file, TargetState::Failed) }
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
    /// Puts the store's newest CRL into every target.
    pub fn publish(&self, publishing: &Publishing) -> Result<Published, AuthorityError> {
        let _lock = files::lock(self.dir(), self.patience())?;
        let view = self.view()?;
        let (issuer, crl) = newest(&*view)?;
        let pem = pki::crl_pem(&crl.der);
        let mut published = Published { number: crl.number, ..Published::default() };
        for dir in self.target_dirs(&*view, publishing)? {
            published.targets.push(self.put(&dir, &issuer, &crl, pem.as_bytes(), publishing));
        }
        Ok(published)
    }

    /// How every target stands, without changing one.
    pub fn targets(&self, view: &dyn View, publishing: &Publishing) -> Result<Vec<Reached>, AuthorityError> {
        let (issuer, crl) = newest(view)?;
        let pem = pki::crl_pem(&crl.der);
        let dirs = self.target_dirs(view, publishing)?;
        Ok(dirs.iter().map(|dir| look(dir, &issuer, &crl, pem.as_bytes(), publishing)).collect())
    }

    /// CRLs in targets that our CA signed with a higher number than the store knows.
    pub(super) fn newer_crls(&self, view: &dyn View, publishing: &Publishing) -> Result<Vec<NewerCrl>, AuthorityError> {
        let facts = view.issuer()?;
        let issuer = IssuerCertificate::parse(&facts.certificate)?;
        let known = view.crl_facts(facts.number)?.map_or(0, |crl| crl.number);
        let mut found = Vec::new();
        for dir in self.target_dirs(view, publishing)? {
            if let Ok(server) = publish::inspect(&dir, issuer.der()) {
                let there = publish::current(&server.crl).ok().flatten();
                found.extend(there.and_then(|pem| ours_and_newer(&pem, &issuer, known)).map(|crl| NewerCrl { dir, crl }));
            }
        }
        Ok(found)
    }

    /// The directories the user named, here or in the settings.
    pub(super) fn target_dirs(&self, view: &dyn View, publishing: &Publishing) -> Result<Vec<PathBuf>, AuthorityError> {
        let named = view.targets()?.into_iter().map(|target| PathBuf::from(target.dir));
        let mut dirs: Vec<PathBuf> = named.chain(publishing.dirs.iter().map(|dir| self.dir().join(dir))).collect();
        dirs.sort();
        dirs.dedup();
        Ok(dirs)
    }

    fn put(
        &self,
        dir: &Path,
        issuer: &IssuerCertificate,
        crl: &SignedCrl,
        pem: &[u8],
        publishing: &Publishing,
    ) -> Reached {
        let before = look(dir, issuer, crl, pem, publishing);
        let (Some(file), TargetState::Behind | TargetState::Current) = (&before.file, before.state) else { return before };
        let state = if before.state == TargetState::Current { TargetState::Current } else { TargetState::Published };
        match publish::put(file, pem) {
            Ok(_) => readable(Reached::of(dir, Some(file), state), publishing),
            Err(error) => Reached::failed(dir, Some(file), &error),
        }
    }
}

/// The newest CRL, held against the CA beside it: a CRL of another CA is silently useless to OpenVPN.
pub(super) fn newest(view: &dyn View) -> Result<(IssuerCertificate, SignedCrl), AuthorityError> {
    let facts = view.issuer()?;
    let issuer = IssuerCertificate::parse(&facts.certificate)?;
    let crl = view.crl(facts.number)?.ok_or(AuthorityError::NoCrl)?;
    Crl::from_der(&crl.der)?.verify(&issuer)?;
    Ok((issuer, crl))
}

fn look(dir: &Path, issuer: &IssuerCertificate, crl: &SignedCrl, pem: &[u8], publishing: &Publishing) -> Reached {
    let server = match publish::inspect(dir, issuer.der()) {
        Ok(server) => server,
        Err(error) => return Reached::failed(dir, None, &error),
    };
    match publish::current(&server.crl) {
        Ok(Some(there)) if there == pem => readable(Reached::of(dir, Some(&server.crl), TargetState::Current), publishing),
        Ok(Some(there)) => match ours_and_newer(&there, issuer, crl.number) {
            Some(newer) => Reached::newer(dir, &server.crl, newer.number().unwrap_or(0)),
            None => Reached::of(dir, Some(&server.crl), TargetState::Behind),
        },
        Ok(None) => Reached::of(dir, Some(&server.crl), TargetState::Behind),
        Err(error) => Reached::failed(dir, Some(&server.crl), &error),
    }
}

/// Where privileges are dropped, the user that remains must reach the file, or a later revocation is never seen.
fn readable(reached: Reached, publishing: &Publishing) -> Reached {
    let Some(file) = &reached.file else { return reached };
    match publish::readable_by(file, publishing.user.as_deref(), publishing.group.as_deref()) {
        Ok(()) => reached,
        Err(error) => Reached::failed(&reached.dir, Some(file), &error.into()),
    }
}

fn ours_and_newer(pem: &[u8], issuer: &IssuerCertificate, known: u64) -> Option<Crl> {
    let crl = Crl::from_pem(pem).ok()?;
    (crl.number()? > known && crl.verify(issuer).is_ok()).then_some(crl)
}
