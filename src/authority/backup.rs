//! `backup`: the whole authority as one file that the vault's unlockers open; made while the vault is closed.
//! Knows nothing of where the file is kept; what is in it stands in `backup/format.rs`.

use serde::Serialize;

use crate::{
    authority::{
        trust,
        unlock::{open_vault, Opened, Unlocked, KEY_FILE, VAULT_RECIPIENT},
        Authority, AuthorityError, Keyholder, SETTINGS, SETTINGS_LIMIT,
    },
    files,
    inventory::{Change, Digest, Head, Parameter, Unlocker},
    name::escape,
    secret::Secret,
    store::{self, committed_digest, StoreError, View},
    time::Time,
    vault::{self, IdentityFile},
};

mod format;

pub use format::BackupFault;
use format::{Contents, Header, Locked};

/// A backup, and what is in it.
pub struct Backup {
    /// The file.
    pub bytes: Secret,
    /// What is in it.
    pub facts: BackupFacts,
}

/// What is in a backup.
#[derive(Debug, Serialize)]
pub struct BackupFacts {
    /// The authority's id.
    pub authority: String,
    /// When it was made.
    pub made: Time,
    /// The newest ledger entry in it.
    pub entry: u64,
    /// That entry's hash, which speaks for the whole store.
    pub head: Digest,
    /// How many certificates it knows.
    pub certificates: u64,
    /// What opens it.
    pub unlockers: Vec<String>,
    /// The names of the files in it, beside the store.
    pub files: Vec<String>,
    /// SHA-256 of the file, to be noted elsewhere.
    pub sha256: Digest,
    /// What people should know.
    pub warnings: Vec<String>,
}

/// A backup that was opened and found whole.
pub(super) struct OpenBackup {
    pub(super) facts: BackupFacts,
    pub(super) vault: vault::VaultKeys,
    pub(super) by: Unlocker,
    pub(super) identity: Option<IdentityFile>,
    pub(super) unlockers: Vec<Unlocker>,
    contents: Contents,
}

impl OpenBackup {
    pub(super) fn image(&self) -> &[u8] {
        self.contents.file(STORE).unwrap_or_default()
    }

    pub(super) fn settings(&self) -> &[u8] {
        self.contents.file(SETTINGS).unwrap_or_default()
    }

    /// The user's templates: file name and text.
    pub(super) fn templates(&self) -> Vec<(&str, &[u8])> {
        let named = |(name, bytes): (_, _)| Some((template_name(name)?, bytes));
        self.contents.files().filter_map(named).collect()
    }
}

impl Authority {
    /// Copies store, settings and templates, consistent while others write, and seals them to the vault.
    pub fn backup(&mut self) -> Result<Backup, AuthorityError> {
        let image = self.store.image()?;
        let copy = store::in_memory(&image)?;
        let view = copy.snapshot()?;
        let recipient = recorded_recipient(&*view)?;
        let (contents, made) = (self.contents(&image)?, self.now());
        let body = contents.seal(&recipient, made)?;
        let unlockers = view.unlockers()?;
        let header = Header {
            authority: view.identity()?.id,
            created: made,
            head: head(&*view)?.into(),
            recipient,
            unlockers: unlockers.iter().map(Locked::of).collect(),
            body: format::Part::of(&body),
        };
        let bytes = format::encode(&header, &unlockers, &body);
        let mut facts = facts(&header, &*view, &contents, Digest::of(&bytes))?;
        if unlockers.iter().all(|unlocker| unlocker.kind == KEY_FILE) {
            facts.warnings.push(
                "only `vault.key`, which is not in it, opens this backup: keep a copy of that file elsewhere, never \
                 beside the backup; `vpnpki unlocker add` gives another way"
                    .to_owned(),
            );
        }
        Ok(Backup { bytes: Secret::new(bytes), facts })
    }

    fn contents(&self, image: &[u8]) -> Result<Contents, AuthorityError> {
        let mut contents = Contents::default();
        contents.add(STORE, image);
        contents.add(SETTINGS, &files::read(&self.dir().join(SETTINGS), SETTINGS_LIMIT)?);
        let folder = self.dir().join(TEMPLATES);
        if !files::exists(&folder)? {
            return Ok(contents);
        }
        for name in files::list(&folder)? {
            let text = files::read(&folder.join(&name), SETTINGS_LIMIT)?;
            let name = name.to_str().map(|name| format!("{TEMPLATES}/{name}"));
            let usable = name.filter(|name| template_name(name).is_some());
            contents.add(&usable.ok_or(BackupFault::Name(escape(&folder.display().to_string())))?, &text);
        }
        Ok(contents)
    }
}

/// Opens a backup and holds all of it against itself, against its vault and against its ledger; writes nothing.
pub fn verify(bytes: &[u8], keyholder: &dyn Keyholder) -> Result<BackupFacts, AuthorityError> {
    Ok(open(bytes, keyholder)?.facts)
}

pub(super) fn open(bytes: &[u8], keyholder: &dyn Keyholder) -> Result<OpenBackup, AuthorityError> {
    let (header, unlockers, body) = format::decode(bytes)?;
    let Opened { vault, by, identity } = open_vault(&unlockers, None, keyholder)?;
    let (contents, made) = Contents::open(&vault, body)?;
    let image = contents.file(STORE).ok_or(BackupFault::Incomplete("the store"))?;
    contents.file(SETTINGS).ok_or(BackupFault::Incomplete("`vpnpki.toml`"))?;
    for (name, _) in contents.files() {
        if name != STORE && name != SETTINGS && template_name(name).is_none() {
            return Err(BackupFault::Name(escape(name)).into());
        }
    }
    let copy = store::in_memory(image)?;
    let view = copy.snapshot()?;
    let expected = Header {
        authority: view.identity()?.id,
        created: made,
        head: head(&*view)?.into(),
        recipient: vault.recipient(),
        unlockers: view.unlockers()?.iter().map(Locked::of).collect(),
        body: format::Part::of(body),
    };
    if header != expected || view.parameter(VAULT_RECIPIENT)? != Some(vault.recipient()) {
        return Err(BackupFault::Mixed.into());
    }
    let problems = trust::verify(&*view, Some(&vault))?.problems;
    if !problems.is_empty() {
        return Err(AuthorityError::Mismatch(problems));
    }
    let unlocked = Unlocked::of(vault, by, &*view)?;
    unlocked.issuer_key(&*view)?;
    let facts = facts(&header, &*view, &contents, Digest::of(bytes))?;
    drop(view);
    let Unlocked { vault, by, .. } = unlocked;
    let by = by.ok_or(BackupFault::Mixed)?;
    Ok(OpenBackup { facts, vault, by, identity, unlockers, contents })
}

fn facts(header: &Header, view: &dyn View, contents: &Contents, sha256: Digest) -> Result<BackupFacts, StoreError> {
    Ok(BackupFacts {
        authority: header.authority.clone(),
        made: header.created,
        entry: header.head.seq,
        head: header.head.hash,
        certificates: view.totals()?.certificates,
        unlockers: header.unlockers.iter().map(|locked| locked.label.clone()).collect(),
        files: contents.files().map(|(name, _)| name.to_owned()).filter(|name| name != STORE).collect(),
        sha256,
        warnings: Vec::new(),
    })
}

/// Whoever may change the store could have a backup sealed to nobody; the ledger says what was recorded.
fn recorded_recipient(view: &dyn View) -> Result<String, AuthorityError> {
    let text = view.parameter(VAULT_RECIPIENT)?;
    let text = text.ok_or_else(|| AuthorityError::NoVaultKey)?;
    let mut problems = Vec::new();
    let recipient = Change::Parameter(Parameter { name: VAULT_RECIPIENT.to_owned(), text: text.clone() });
    for fact in view.unlockers()?.into_iter().map(Change::Unlocker).chain([recipient]) {
        if committed_digest(view, &fact)? != fact.digest() {
            problems.push(format!("`{}` is not what the ledger says it is", fact.key()));
        }
    }
    if problems.is_empty() {
        Ok(text)
    } else {
        Err(AuthorityError::Mismatch(problems))
    }
}

fn head(view: &dyn View) -> Result<Head, StoreError> {
    trust::head(view)?.ok_or_else(|| StoreError::Damaged("the ledger is empty".to_owned()))
}

/// The file name of a template of the user's, when this is one's place: right in its folder, and nowhere else.
fn template_name(name: &str) -> Option<&str> {
    let file = name.strip_prefix(TEMPLATES)?.strip_prefix('/')?;
    (!file.is_empty() && !file.contains(['/', '\0']) && file != "." && file != "..").then_some(file)
}

/// What the store is called in a backup.
const STORE: &str = "store";
pub(super) const TEMPLATES: &str = "templates";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_lies_right_in_its_folder() {
        assert_eq!(template_name("templates/client.ovpn"), Some("client.ovpn"));
        for bad in ["client.ovpn", "templates/", "templates/..", "templates/a/b", "templates//a", "templatesa", "/a"] {
            assert_eq!(template_name(bad), None, "{bad}");
        }
    }
}
