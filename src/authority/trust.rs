//! Whether the store is what we wrote: the chain of the ledger, its MACs, and the digest of every fact.
//! Decides nothing about what follows from a mismatch; `issue` and `export` refuse, `revoke` goes on.

use std::{
    collections::{BTreeMap, HashMap},
    ops::ControlFlow,
};

use serde::Serialize;

use crate::{
    inventory::{Change, Digest, Entry, EntryFault, Head, StoredEntry},
    name::escape_whole,
    store::{Entries, StoreError, View},
    vault::VaultKeys,
};

/// What `log verify` found.
#[derive(Debug, Serialize)]
pub struct Verification {
    /// How many entries were held against each other.
    pub entries: u64,
    /// How many facts were held against the ledger.
    pub facts: u64,
    /// How far the check went.
    pub depth: Depth,
    /// The newest entry's hash, to be noted elsewhere.
    pub head: Option<Digest>,
    /// What does not fit; empty when all does.
    pub problems: Vec<String>,
}

/// How far a check went.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Depth {
    /// Hashes only: whoever can write the store can also recompute them.
    ChainOnly,
    /// With the vault's MACs, which nobody else can make.
    Everything,
}

/// Reads everything: each entry against the one before, each fact against the entry that last changed it.
pub fn verify(view: &dyn View, vault: Option<&VaultKeys>) -> Result<Verification, StoreError> {
    let mut chain = Chain::new(vault);
    view.entries(1, Entries::All, &mut |stored| chain.follow(&stored))?;
    let mut facts = 0;
    let outcome = view.facts(&mut |fact, _| {
        facts += 1;
        chain.compare(&fact);
    });
    if let Err(error) = outcome {
        chain.problem(error.to_string());
    }
    chain.close(view)?;
    if let Some(vault) = vault {
        chain.problems.extend(foreign_issuer(view, vault)?);
    }
    let depth = if vault.is_some() { Depth::Everything } else { Depth::ChainOnly };
    Ok(Verification { entries: chain.entries, facts, depth, head: chain.head, problems: chain.problems })
}

/// What an act with the vault open asks before it trusts the store: the head and the `touched` facts; and everything,
/// while the store is small enough that nobody notices.
pub fn check(view: &dyn View, vault: &VaultKeys, touched: &[Change]) -> Result<Vec<String>, StoreError> {
    if view.totals()?.certificates <= SMALL {
        return Ok(verify(view, Some(vault))?.problems);
    }
    let mut problems = check_head(view, vault)?;
    problems.extend(foreign_issuer(view, vault)?);
    problems.extend(changed_facts(view, touched)?);
    Ok(problems)
}

/// The facts that are not what the ledger says they are. An entry is read once for all that it speaks of, since one of
/// many certificates is long.
fn changed_facts(view: &dyn View, facts: &[Change]) -> Result<Vec<String>, StoreError> {
    let (mut problems, mut spoken_of) = (Vec::new(), BTreeMap::<u64, Vec<&Change>>::new());
    for fact in facts {
        match view.fact_entry(fact)? {
            Some(seq) => spoken_of.entry(seq).or_default().push(fact),
            None if fact.digest().is_none() => (),
            None => problems.push(changed(&fact.key())),
        }
    }
    for (seq, facts) in spoken_of {
        let entry = view.entry(seq)?.and_then(|stored| stored.read().ok());
        let committed: HashMap<String, Option<Digest>> =
            entry.map_or_else(HashMap::new, |entry| entry.changed.into_iter().collect());
        let differs = |fact: &&Change| committed.get(&fact.key()).copied().flatten() != fact.digest();
        problems.extend(facts.into_iter().filter(differs).map(|fact| changed(&fact.key())));
    }
    Ok(problems)
}

/// The newest entry commits to the whole chain, so its MAC speaks for all of it; the totals in it show a cut tail.
fn check_head(view: &dyn View, vault: &VaultKeys) -> Result<Vec<String>, StoreError> {
    let mut problems = Vec::new();
    let Some(head) = view.head()? else { return Ok(vec!["the ledger is empty".to_owned()]) };
    match proven(view, head, vault)? {
        Ok(entry) => {
            let totals = view.totals()?;
            if (entry.certificates, entry.revoked) != (totals.certificates, totals.revoked) {
                problems.push(totals_differ(&entry, totals.certificates, totals.revoked));
            }
            if entry.suspect {
                problems.push(already_suspect(entry.seq));
            }
        }
        Err(fault) => problems.push(fault.to_string()),
    }
    Ok(problems)
}

/// The newest entry, when it or, through entries that only name targets, one before it has the vault's MAC.
fn proven(view: &dyn View, head: StoredEntry, vault: &VaultKeys) -> Result<Result<Entry, EntryFault>, StoreError> {
    let newest = match head.read() {
        Ok(entry) => entry,
        Err(fault) => return Ok(Err(fault)),
    };
    let (mut stored, mut entry) = (head, newest.clone());
    while stored.mac.is_none() {
        if let Err(fault) = check_mac(&stored, &entry, vault) {
            return Ok(Err(fault));
        }
        let Some(before) = view.entry(entry.seq - 1)? else { return Ok(Err(EntryFault::Chain(entry.seq))) };
        if before.hash != entry.previous {
            return Ok(Err(EntryFault::Chain(entry.seq)));
        }
        entry = match before.read() {
            Ok(entry) => entry,
            Err(fault) => return Ok(Err(fault)),
        };
        stored = before;
    }
    Ok(check_mac(&stored, &entry, vault).map(|()| newest))
}

fn check_mac(stored: &StoredEntry, entry: &Entry, vault: &VaultKeys) -> Result<(), EntryFault> {
    match &stored.mac {
        Some(mac) if vault.verify_mac(&stored.hash.0, &mac.0) => Ok(()),
        Some(_) => Err(EntryFault::Mac(stored.seq)),
        None => match entry.unproven_change() {
            Some(key) => Err(EntryFault::Unproven(stored.seq, escape_whole(key))),
            None => Ok(()),
        },
    }
}

fn foreign_issuer(view: &dyn View, vault: &VaultKeys) -> Result<Option<String>, StoreError> {
    let same = Digest::of(&view.issuer()?.certificate).0 == *vault.ca_sha256();
    Ok((!same).then(|| "the CA certificate is not the one this vault was made for".to_owned()))
}

/// The state of a walk along the ledger.
struct Chain<'a> {
    vault: Option<&'a VaultKeys>,
    entries: u64,
    head: Option<Digest>,
    last: Option<Entry>,
    /// The newest digest of each fact, none where it is gone.
    committed: HashMap<String, Option<Digest>>,
    problems: Vec<String>,
}

impl<'a> Chain<'a> {
    fn new(vault: Option<&'a VaultKeys>) -> Self {
        Self { vault, entries: 0, head: None, last: None, committed: HashMap::new(), problems: Vec::new() }
    }

    /// After enough problems one more says nothing new.
    fn problem(&mut self, what: String) {
        if self.problems.len() < MOST_PROBLEMS {
            self.problems.push(what);
        }
    }

    fn follow(&mut self, stored: &StoredEntry) -> ControlFlow<()> {
        self.entries += 1;
        match self.step(stored) {
            Ok(entry) => {
                if entry.suspect && !self.last.as_ref().is_some_and(|last| last.suspect) {
                    self.problem(already_suspect(entry.seq));
                }
                self.committed.extend(entry.changed.iter().cloned());
                self.last = Some(entry);
            }
            Err(fault) => self.problem(fault.to_string()),
        }
        self.head = Some(stored.hash);
        ControlFlow::Continue(())
    }

    fn step(&self, stored: &StoredEntry) -> Result<Entry, EntryFault> {
        let entry = stored.read()?;
        if stored.seq != self.entries || entry.previous != self.head.unwrap_or_default() {
            return Err(EntryFault::Chain(stored.seq));
        }
        if let Some(vault) = self.vault {
            check_mac(stored, &entry, vault)?;
        }
        Ok(entry)
    }

    fn compare(&mut self, fact: &Change) {
        let key = fact.key();
        match self.committed.remove(&key) {
            Some(digest) if digest == fact.digest() => (),
            Some(_) => self.problem(changed(&key)),
            None => self.problem(format!("`{}` is in no ledger entry", escape_whole(&key))),
        }
    }

    /// What the ledger names and the store does not hold; totals that show a cut tail.
    fn close(&mut self, view: &dyn View) -> Result<(), StoreError> {
        let mut gone: Vec<String> =
            self.committed.drain().filter(|(_, digest)| digest.is_some()).map(|(key, _)| key).collect();
        gone.sort();
        for key in gone {
            self.problem(format!("`{}` is gone from the store", escape_whole(&key)));
        }
        let totals = view.totals()?;
        match &self.last {
            Some(entry) if (entry.certificates, entry.revoked) == (totals.certificates, totals.revoked) => (),
            Some(entry) => {
                let what = totals_differ(entry, totals.certificates, totals.revoked);
                self.problem(what);
            }
            None => self.problem("the ledger is empty".to_owned()),
        }
        Ok(())
    }
}

/// Whether an entry with this hash is on the ledger: a store that was put back does not have it.
pub fn missing_head(view: &dyn View, noted: Digest) -> Result<Option<String>, StoreError> {
    let mut found = false;
    view.entries(1, Entries::All, &mut |stored| {
        found |= stored.hash == noted;
        if found {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })?;
    Ok((!found).then(|| format!("no entry has the hash {noted}: entries were lost, or this is another ledger")))
}

/// The newest entry as a head.
pub fn head(view: &dyn View) -> Result<Option<Head>, StoreError> {
    Ok(view.head()?.map(|stored| Head { seq: stored.seq, hash: stored.hash }))
}

fn changed(key: &str) -> String {
    format!("`{}` is not what the ledger says it is", escape_whole(key))
}

fn already_suspect(seq: u64) -> String {
    format!("entry {seq} was written when a mismatch was known")
}

fn totals_differ(entry: &Entry, certificates: u64, revoked: u64) -> String {
    format!(
        "the store holds {certificates} certificates, {revoked} revoked, but the newest entry ({}) counts {} and {}",
        entry.seq, entry.certificates, entry.revoked
    )
}

/// Up to so many certificates every act verifies everything: about two milliseconds of a processor's time.
const SMALL: u64 = 32;

const MOST_PROBLEMS: usize = 50;
