//! Whether the store is what we wrote: the chain of the ledger, its MACs, and the digest of every fact.
//! Decides nothing about what follows from a mismatch; `issue` and `export` refuse, `revoke` goes on.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    ops::ControlFlow,
};

use serde::Serialize;

use crate::{
    inventory::{Change, Digest, Entry, EntryFault, Gist, Head, StoredEntry},
    name::escape_whole,
    store::{Entries, StoreError, Totals, View},
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

/// Reads everything: each entry against the one before, each fact against the entry that last changed it, and what is
/// derived from the facts. In memory is one entry at a time, and sixteen octets for each fact that is gone.
pub fn verify(view: &dyn View, vault: Option<&VaultKeys>) -> Result<Verification, StoreError> {
    let mut found = facts_and_ledger(view, vault)?;
    found.problems.extend(view.derived_faults()?);
    Ok(found)
}

fn facts_and_ledger(view: &dyn View, vault: Option<&VaultKeys>) -> Result<Verification, StoreError> {
    let mut chain = Chain::new(view, vault);
    view.entries(1, Entries::All, &mut |stored| chain.follow(&stored))?;
    chain.close()?;
    if let Some(vault) = vault {
        chain.problems.extend(foreign_issuer(view, vault)?);
    }
    let depth = if vault.is_some() { Depth::Everything } else { Depth::ChainOnly };
    let (entries, facts) = (chain.entries, chain.facts);
    Ok(Verification { entries, facts, depth, head: chain.head, problems: chain.problems })
}

/// What an act with the vault open asks before it trusts the store: the head and the `touched` facts; and everything,
/// while the store is small enough that nobody notices. What is derived for `list` and `status` no act relies on, but for
/// the number of revoked certificates.
pub fn check(view: &dyn View, vault: &VaultKeys, touched: &[Change]) -> Result<Vec<String>, StoreError> {
    if view.totals()?.certificates <= SMALL {
        return Ok(facts_and_ledger(view, Some(vault))?.problems);
    }
    let mut problems = check_head(view, vault)?;
    problems.extend(foreign_issuer(view, vault)?);
    problems.extend(changed_facts(view, touched)?);
    Ok(problems)
}

/// The newest entry where an act wrote it itself, with what the store held then.
#[derive(Clone, Copy)]
pub struct Written {
    /// The entry.
    pub head: Head,
    /// The counts.
    pub totals: Totals,
}

/// The same as [`check`] in a later transaction of the same act: while nobody else wrote, the act need not read again what it
/// has just written.
pub fn check_after(
    view: &dyn View,
    vault: &VaultKeys,
    touched: &[Change],
    written: &Written,
) -> Result<Vec<String>, StoreError> {
    if head(view)? != Some(written.head) || view.totals()? != written.totals {
        return check(view, vault, touched);
    }
    let mut problems: Vec<String> = foreign_issuer(view, vault)?.into_iter().collect();
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
                problems.push(totals_differ(entry, totals.certificates, totals.revoked));
            }
            if entry.suspect {
                problems.push(already_suspect(entry.seq));
            }
        }
        Err(fault) => problems.push(fault.to_string()),
    }
    Ok(problems)
}

/// The newest entry, when it or, through entries that only name targets, one before it has the vault's MAC. Whom an entry
/// with a MAC is about is not read: it may be ten thousand.
fn proven(view: &dyn View, head: StoredEntry, vault: &VaultKeys) -> Result<Result<Gist, EntryFault>, StoreError> {
    let newest = match head.gist() {
        Ok(gist) => gist,
        Err(fault) => return Ok(Err(fault)),
    };
    let (mut stored, mut gist) = (head, newest);
    while stored.mac.is_none() {
        if let Err(fault) = stored.read().and_then(|entry| check_unproven(&entry)) {
            return Ok(Err(fault));
        }
        let Some(before) = view.entry(gist.seq - 1)? else { return Ok(Err(EntryFault::Chain(gist.seq))) };
        if before.hash != gist.previous {
            return Ok(Err(EntryFault::Chain(gist.seq)));
        }
        gist = match before.gist() {
            Ok(gist) => gist,
            Err(fault) => return Ok(Err(fault)),
        };
        stored = before;
    }
    Ok(check_mac(&stored, vault).map(|()| newest))
}

/// A MAC that is there.
fn check_mac(stored: &StoredEntry, vault: &VaultKeys) -> Result<(), EntryFault> {
    match &stored.mac {
        Some(mac) if !vault.verify_mac(&stored.hash.0, &mac.0) => Err(EntryFault::Mac(stored.seq)),
        _ => Ok(()),
    }
}

/// What may change without a MAC.
fn check_unproven(entry: &Entry) -> Result<(), EntryFault> {
    match entry.unproven_change() {
        Some(key) => Err(EntryFault::Unproven(entry.seq, escape_whole(key))),
        None => Ok(()),
    }
}

fn foreign_issuer(view: &dyn View, vault: &VaultKeys) -> Result<Option<String>, StoreError> {
    let same = Digest::of(&view.issuer()?.certificate).0 == *vault.ca_sha256();
    Ok((!same).then(|| "the CA certificate is not the one this vault was made for".to_owned()))
}

/// The state of a walk along the ledger. An entry's digest of a fact counts where the store says that no later entry
/// changed the fact: then they must agree. Whoever sets a fact back, and what the store says with it, leaves the later
/// entry without its fact; a fact that no entry speaks for is missing among those that were found.
struct Chain<'a> {
    view: &'a dyn View,
    vault: Option<&'a VaultKeys>,
    entries: u64,
    head: Option<Digest>,
    last: Option<Entry>,
    /// How many facts the store holds.
    facts: u64,
    /// How many of them were found in the entry that last changed them.
    found: u64,
    /// Facts that the ledger names and the store does not hold, while nothing says that they are gone.
    absent: HashSet<[u8; 16]>,
    problems: Vec<String>,
}

impl<'a> Chain<'a> {
    fn new(view: &'a dyn View, vault: Option<&'a VaultKeys>) -> Self {
        let (entries, head, last, facts, found) = (0, None, None, 0, 0);
        Self { view, vault, entries, head, last, facts, found, absent: HashSet::new(), problems: Vec::new() }
    }

    /// After enough problems one more says nothing new.
    fn problem(&mut self, what: String) {
        if self.problems.len() < MOST_PROBLEMS && !self.problems.contains(&what) {
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
                let mut seen = HashSet::new();
                for (key, digest) in entry.changed.iter().rev().filter(|(key, _)| seen.insert(key.as_str())) {
                    self.compare(key, *digest, entry.seq);
                }
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
            check_mac(stored, vault)?;
            if stored.mac.is_none() {
                check_unproven(&entry)?;
            }
        }
        Ok(entry)
    }

    /// What the store holds against what one entry, its newest word on it, says of it.
    fn compare(&mut self, key: &str, digest: Option<Digest>, seq: u64) {
        match self.view.fact(key) {
            Ok(Some((_, changed_by))) if changed_by > seq => (),
            Ok(Some((fact, changed_by))) => {
                self.found += u64::from(changed_by == seq);
                if changed_by < seq || fact.key() != key || fact.digest() != digest {
                    self.problem(changed(key));
                }
            }
            Ok(None) if digest.is_some() => drop(self.absent.insert(short(key))),
            Ok(None) => drop(self.absent.remove(&short(key))),
            Err(error) => self.problem(error.to_string()),
        }
    }

    /// What the ledger names and the store does not hold, and the other way round; totals that show a cut tail.
    fn close(&mut self) -> Result<(), StoreError> {
        self.facts = self.view.fact_count()?;
        if !self.absent.is_empty() {
            self.name_absent()?;
        }
        if self.found != self.facts {
            self.name_unfounded()?;
        }
        let totals = self.view.totals()?;
        match &self.last {
            Some(entry) if (entry.certificates, entry.revoked) == (totals.certificates, totals.revoked) => (),
            Some(entry) => {
                let what = totals_differ(entry.gist(), totals.certificates, totals.revoked);
                self.problem(what);
            }
            None => self.problem("the ledger is empty".to_owned()),
        }
        Ok(())
    }

    fn name_absent(&mut self) -> Result<(), StoreError> {
        let mut gone = BTreeSet::new();
        each_key(self.view, &mut |key| {
            if gone.len() < MOST_PROBLEMS && self.absent.contains(&short(key)) {
                gone.insert(key.to_owned());
            }
        })?;
        for key in gone {
            self.problem(format!("`{}` is gone from the store", escape_whole(&key)));
        }
        Ok(())
    }

    /// Facts that are not in the entry that the store says changed them last.
    fn name_unfounded(&mut self) -> Result<(), StoreError> {
        let mut unfounded = BTreeSet::new();
        let (mut at, mut entry) = (0, None);
        let outcome = self.view.facts(&mut |fact, changed_by| {
            if at != changed_by {
                at = changed_by;
                entry = self.view.entry(changed_by).ok().flatten().and_then(|stored| stored.read().ok());
            }
            let key = fact.key();
            let is_in = |entry: &Entry| entry.changed.iter().any(|(changed, _)| *changed == key);
            if unfounded.len() < MOST_PROBLEMS && !entry.as_ref().is_some_and(is_in) {
                unfounded.insert(key);
            }
        });
        if let Err(error) = outcome {
            self.problem(error.to_string());
        }
        let mut elsewhere = HashSet::new();
        each_key(self.view, &mut |key| {
            if unfounded.contains(key) {
                elsewhere.insert(key.to_owned());
            }
        })?;
        if unfounded.is_empty() && self.problems.is_empty() {
            let (facts, found) = (self.facts, self.found);
            self.problem(format!("the store holds {facts} facts, and the ledger speaks for {found}"));
        }
        for key in unfounded {
            let what = if elsewhere.contains(&key) { changed(&key) } else { in_no_entry(&key) };
            self.problem(what);
        }
        Ok(())
    }
}

/// Every key that an entry of the ledger names, as often as it does.
fn each_key(view: &dyn View, visit: &mut dyn FnMut(&str)) -> Result<(), StoreError> {
    view.entries(1, Entries::All, &mut |stored| {
        stored.read().iter().flat_map(|entry| &entry.changed).for_each(|(key, _)| visit(key));
        ControlFlow::Continue(())
    })
}

/// Half of the key's SHA-256: nobody finds two keys that share it.
fn short(key: &str) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&Digest::of(key.as_bytes()).0[..16]);
    half
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

fn in_no_entry(key: &str) -> String {
    format!("`{}` is in no ledger entry", escape_whole(key))
}

fn already_suspect(seq: u64) -> String {
    format!("entry {seq} was written when a mismatch was known")
}

fn totals_differ(entry: Gist, certificates: u64, revoked: u64) -> String {
    format!(
        "the store holds {certificates} certificates, {revoked} revoked, but the newest entry ({}) counts {} and {}",
        entry.seq, entry.certificates, entry.revoked
    )
}

/// Up to so many certificates every act verifies everything: about two milliseconds of a processor's time.
const SMALL: u64 = 32;

const MOST_PROBLEMS: usize = 50;
