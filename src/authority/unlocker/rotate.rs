//! `unlocker rotate`: a new vault for the same authority. Every secret is opened with the old one and sealed with the
//! new one, every MAC is made again, in one transaction. Knows nothing of how a passphrase is asked for.

use serde::Serialize;

use super::{is_passphrase, refuse_any_mismatch, Listed, Which};
use crate::{
    authority::{
        unlock::{vault_recipient, Unlocked},
        Authority, AuthorityError, Keyholder,
    },
    inventory::{ActId, Change, Event, Issuer, SealedSecret, Unlocker as Row},
    name::Name,
    pki::IssuerCertificate,
    secret::Secret,
    store::{Draft, StoreError, View, Writing},
    vault::{self, Binding, Key, Recipient, Unlocker, VaultKeys},
};

/// What `unlocker rotate` is asked to do.
pub struct Rotation {
    /// The passphrases of unlockers other than the one that opens the vault now.
    pub passphrases: Vec<(Which, Secret)>,
    /// Unlockers that do not come along.
    pub dropped: Vec<Which>,
    /// Stop before anything changes.
    pub dry_run: bool,
}

/// What `unlocker rotate` did.
#[derive(Debug, Serialize)]
pub struct Rotated {
    /// Whether it was done.
    pub changed: bool,
    /// What opens the new vault.
    pub unlockers: Vec<Listed>,
    /// What no longer opens it.
    pub dropped: Vec<Listed>,
    /// How many secrets were sealed anew.
    pub secrets: u64,
    /// What people should know.
    pub warnings: Vec<String>,
}

impl Authority {
    /// Gives the authority a new vault: identity and MAC key. `progress` hears of secrets done and to do.
    pub fn rotate(
        &self,
        request: &Rotation,
        keyholder: &dyn Keyholder,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Rotated, AuthorityError> {
        let rows = self.view()?.unlockers()?;
        let old = self.unlock(&*self.view()?, keyholder)?;
        let plan = plan(&rows, &old, request, keyholder)?;
        let mut rotated = Rotated {
            changed: false,
            unlockers: plan.kept.iter().map(|(row, _)| Listed::of(row)).collect(),
            dropped: plan.dropped.iter().map(Listed::of).collect(),
            secrets: 0,
            // with the vault that is still in force
            warnings: if request.dry_run { Vec::new() } else { self.tended(&old) },
        };
        let vault = VaultKeys::create(*old.vault.ca_sha256(), self.actor.world.random()?);
        let issuer = old.issuer.clone();
        let new = Unlocked { vault, issuer, number: old.number, authority: old.authority.clone(), by: None };
        // slow, or in the hands of plugins: before anyone else has to wait
        let kept = if request.dry_run { Vec::new() } else { locked_anew(plan.kept, &new.vault, keyholder)? };
        let mut writing = self.begin()?;
        if writing.unlockers()? != rows {
            return Err(AuthorityError::VaultChanged);
        }
        refuse_any_mismatch(&*writing, &old.vault)?;
        rotated.secrets = all(&*writing)?;
        if request.dry_run {
            return Ok(rotated);
        }
        let mut resealing = Resealing { authority: self, old: &old, new: &new, done: 0, noted: 0, progress };
        writing.remac(&|hash| new.vault.mac(hash))?;
        resealing.run(&mut *writing)?;
        let mut events = vec![resealing.event()];
        events.extend(record_unlockers(&mut *writing, kept, &plan.dropped, &new.vault)?);
        self.commit(writing, OPERATION, events, false, Some(&new))?;
        rotated.changed = true;
        Ok(rotated)
    }
}

/// Who opens the new vault, and to whom backups are sealed from now on.
fn record_unlockers(
    writing: &mut dyn Writing,
    kept: Vec<Row>,
    dropped: &[Row],
    vault: &VaultKeys,
) -> Result<Vec<Event>, StoreError> {
    for row in kept {
        writing.record(&Change::Unlocker(row))?;
    }
    for row in dropped {
        writing.record(&Change::UnlockerRemoved(row.number))?;
    }
    writing.record(&vault_recipient(vault))?;
    let removed = |row: &Row| Event::UnlockerRemoved { number: row.number, label: row.label.clone() };
    Ok(dropped.iter().map(removed).collect())
}

/// What becomes of each unlocker.
struct Plan {
    kept: Vec<(Row, Unlocker)>,
    dropped: Vec<Row>,
}

/// Keys are locked to again as they were recorded; a passphrase must be known, or its unlocker dropped on purpose.
fn plan(rows: &[Row], old: &Unlocked, request: &Rotation, keyholder: &dyn Keyholder) -> Result<Plan, AuthorityError> {
    for which in request.dropped.iter().chain(request.passphrases.iter().map(|(which, _)| which)) {
        which.find(rows)?;
    }
    let (mut plan, mut missing) = (Plan { kept: Vec::new(), dropped: Vec::new() }, Vec::new());
    for row in rows {
        let given = request.passphrases.iter().find(|(which, _)| which.is(row)).map(|(_, passphrase)| passphrase);
        if request.dropped.iter().any(|which| which.is(row)) {
            plan.dropped.push(row.clone());
        } else if !is_passphrase(row) {
            plan.kept.push((row.clone(), recorded(row)?));
        } else if let Some(passphrase) = given {
            plan.kept.push((row.clone(), proven(row, passphrase)?));
        } else if old.by.as_ref().is_some_and(|by| by.number == row.number) {
            plan.kept.push((row.clone(), Unlocker::Passphrase(keyholder.passphrase()?)));
        } else {
            missing.push(row.label.clone());
        }
    }
    if !missing.is_empty() {
        return Err(AuthorityError::NeedsPassphrases(missing));
    }
    match (plan.kept.is_empty(), rows.last()) {
        (true, Some(row)) => Err(AuthorityError::LastUnlocker(row.label.clone())),
        _ => Ok(plan),
    }
}

fn recorded(row: &Row) -> Result<Unlocker, AuthorityError> {
    let text = row.recipient.as_deref().ok_or_else(|| AuthorityError::NoPublicKey(row.label.clone()))?;
    let key = Recipient::parse(text).map_err(|_| StoreError::Damaged(format!("unlocker {} has no key", row.number)))?;
    Ok(if row.kind == super::KEY_FILE { Unlocker::KeyFile(key) } else { Unlocker::Recipient(key) })
}

/// A passphrase that does not open the old vault is not the one its owner knows.
fn proven(row: &Row, passphrase: &Secret) -> Result<Unlocker, AuthorityError> {
    match vault::open(&row.wrapped, &Key::Passphrase(passphrase)) {
        Ok(_) => Ok(Unlocker::Passphrase(Secret::new(passphrase.expose().to_vec()))),
        Err(source) => Err(AuthorityError::PassphraseOf { label: row.label.clone(), source }),
    }
}

fn locked_anew(
    kept: Vec<(Row, Unlocker)>,
    vault: &VaultKeys,
    keyholder: &dyn Keyholder,
) -> Result<Vec<Row>, AuthorityError> {
    let plugins = keyholder.plugins();
    let anew = |(row, unlocker): (Row, Unlocker)| Ok(Row { wrapped: vault::wrap(vault, &unlocker, &plugins)?, ..row });
    kept.into_iter().map(anew).collect()
}

/// The walk over every secret, one at a time.
struct Resealing<'a> {
    authority: &'a Authority,
    old: &'a Unlocked,
    new: &'a Unlocked,
    done: u64,
    /// How many of them are in ledger entries already.
    noted: u64,
    progress: &'a mut dyn FnMut(u64, u64),
}

impl Resealing<'_> {
    fn run(&mut self, writing: &mut dyn Writing) -> Result<(), AuthorityError> {
        let all = all(writing)?;
        for issuer in writing.issuers()? {
            let serial = IssuerCertificate::parse(&issuer.certificate)?.serial();
            let sealed_key = self.anew(&Binding::ca_key(&self.old.authority, &serial), &issuer.sealed_key, all)?;
            writing.record(&Change::Issuer(Issuer { sealed_key, ..issuer }))?;
        }
        for secret in writing.secrets()? {
            let peer = if secret.scope.is_empty() { None } else { Some(scope(&secret)?) };
            let binding = Binding::control_channel_key(&self.old.authority, peer.as_ref());
            let sealed = self.anew(&binding, &secret.sealed, all)?;
            writing.record(&Change::Secret(SealedSecret { sealed, ..secret }))?;
        }
        let mut last = None;
        while let Some((certificate, sealed)) = writing.sealed_key_after(last.as_ref())? {
            let serial = certificate.serial;
            let holder =
                certificate.holder.ok_or_else(|| StoreError::Damaged(format!("nobody holds serial:{serial}")))?;
            let binding = Binding::private_key(&self.old.authority, &holder.name, &serial);
            let sealed = self.anew(&binding, &sealed, all)?;
            writing.record(&Change::SealedKey(serial, Some(sealed)))?;
            last = Some(serial);
            if self.done - self.noted >= IN_ONE_ENTRY {
                self.note(writing)?;
            }
        }
        Ok(())
    }

    fn anew(&mut self, binding: &Binding, sealed: &[u8], all: u64) -> Result<Vec<u8>, AuthorityError> {
        let sealed = self.new.vault.seal(binding, &self.old.vault.unseal(binding, sealed)?)?;
        self.done += 1;
        (self.progress)(self.done, all);
        Ok(sealed)
    }

    /// Later looks at one fact read the whole entry that changed it last, so none may hold all of them.
    fn note(&mut self, writing: &mut dyn Writing) -> Result<(), AuthorityError> {
        let mac = |hash: &[u8]| self.new.vault.mac(hash);
        writing.append(Draft {
            act: ActId(self.authority.actor.world.random()?),
            at: self.authority.now(),
            by: self.authority.actor.by.clone(),
            operation: OPERATION,
            events: vec![self.event()],
            suspect: false,
            mac: Some(&mac),
        })?;
        self.noted = self.done;
        Ok(())
    }

    /// What the entry to come says.
    fn event(&self) -> Event {
        Event::VaultRotated { secrets: self.done - self.noted }
    }
}

/// How many secrets there are.
fn all(view: &dyn View) -> Result<u64, StoreError> {
    Ok(view.issuers()?.len() as u64 + view.secrets()?.len() as u64 + view.sealed_keys()?)
}

fn scope(secret: &SealedSecret) -> Result<Name, StoreError> {
    Name::parse(&secret.scope).map_err(|error| StoreError::Damaged(error.to_string()))
}

const OPERATION: &str = "unlocker rotate";
const IN_ONE_ENTRY: u64 = 500;
