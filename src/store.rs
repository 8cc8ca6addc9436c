//! The store: inventory, ledger, CRLs and sealed secrets, behind one trait that every back end fulfils.
//! Knows nothing of keys in clear, of bundles or of where CRLs are published.

use std::{ops::ControlFlow, path::Path, time::Duration};

use crate::{
    files::FileError,
    inventory::{
        ActId, Barred, Certificate, Change, Digest, Event, Head, Identity, Issuance, Issuer, Peer, Role, SealedSecret,
        SecretKind, SignedCrl, Status, StoredEntry, Target, Unlocker,
    },
    name::Name,
    serial::Serial,
    time::Time,
    validity::Validity,
};

mod sqlite;

/// A store of one authority. One snapshot or writer lives at a time; asking for a second is an error.
pub trait Store {
    /// One consistent view; nothing that others write changes it.
    fn snapshot(&self) -> Result<Box<dyn View + '_>, StoreError>;

    /// The only writer. Waits for another one up to `patience`, then sees its work.
    fn begin(&self, patience: Duration) -> Result<Box<dyn Writing + '_>, StoreError>;

    /// Whether the act with this id was committed: the question after [`CommitError::Unknown`].
    fn committed(&self, act: ActId) -> Result<bool, StoreError>;

    /// The whole store as bytes, consistent while others write: for a backup.
    fn image(&mut self) -> Result<Vec<u8>, StoreError>;

    /// What people should know about where this store lies.
    fn notices(&self) -> &[String];
}

/// Reading. Many rows go to a visitor one by one, in key order, in constant memory.
pub trait View {
    /// Which authority this is.
    fn identity(&self) -> Result<Identity, StoreError>;
    /// The issuer that signs now.
    fn issuer(&self) -> Result<Issuer, StoreError>;
    /// A public parameter's text.
    fn parameter(&self, name: &str) -> Result<Option<String>, StoreError>;
    /// A sealed secret of the whole authority.
    fn secret(&self, kind: SecretKind) -> Result<Option<SealedSecret>, StoreError>;
    /// Every issuer, oldest first.
    fn issuers(&self) -> Result<Vec<Issuer>, StoreError>;
    /// Every sealed secret that belongs to no certificate.
    fn secrets(&self) -> Result<Vec<SealedSecret>, StoreError>;
    /// How many certificates' private keys are kept.
    fn sealed_keys(&self) -> Result<u64, StoreError>;
    /// The sealed private key of the first certificate issued after `before` that has one, so that a writer can go
    /// through all of them in constant memory.
    fn sealed_key_after(&self, before: Option<&Serial>) -> Result<Option<(Certificate, Vec<u8>)>, StoreError>;
    /// Every way into the vault.
    fn unlockers(&self) -> Result<Vec<Unlocker>, StoreError>;
    /// The peer of this name, without regard to case.
    fn peer(&self, name: &Name) -> Result<Option<Peer>, StoreError>;
    /// Every peer with its current certificate, by name.
    fn peers(&self, visit: &mut dyn FnMut(Peer, Certificate) -> ControlFlow<()>) -> Result<(), StoreError>;
    /// The certificate with this serial.
    fn certificate(&self, serial: &Serial) -> Result<Option<Certificate>, StoreError>;
    /// A peer's certificates, oldest first.
    fn certificates_of(&self, name: &Name) -> Result<Vec<Certificate>, StoreError>;
    /// Certificates in an order, each with the recipients of its peer.
    fn listing(
        &self,
        which: Listing,
        order: Order,
        visit: &mut dyn FnMut(Certificate, Vec<String>) -> ControlFlow<()>,
    ) -> Result<(), StoreError>;
    /// Every peer whose current certificate ends between these moments and has no revocation recorded, by name.
    fn ending(&self, from: Time, until: Time) -> Result<Vec<(Peer, Certificate)>, StoreError>;
    /// Every peer's name in lower case, in order.
    fn folded_names(&self, visit: &mut dyn FnMut(&str)) -> Result<(), StoreError>;
    /// A certificate as it was signed, DER.
    fn certificate_der(&self, serial: &Serial) -> Result<Option<Vec<u8>>, StoreError>;
    /// Every certificate of this public key (`SubjectPublicKeyInfo`, DER), in the order of issuing. Looks through all of
    /// them.
    fn certificates_with_key(&self, spki: &[u8]) -> Result<Vec<Certificate>, StoreError>;
    /// A certificate's sealed private key.
    fn sealed_key(&self, serial: &Serial) -> Result<Option<Vec<u8>>, StoreError>;
    /// Every server, by name, with its current certificate.
    fn servers(&self) -> Result<Vec<(Peer, Certificate)>, StoreError>;
    /// Every certificate of an issuer for which a revocation is recorded.
    fn revoked(
        &self,
        issuer: u32,
        order: BySerial,
        visit: &mut dyn FnMut(Barred) -> ControlFlow<()>,
    ) -> Result<(), StoreError>;
    /// Every certificate of an issuer that was renewed and for which no revocation for good is recorded, by the end of its
    /// overlap.
    fn superseded(&self, issuer: u32, visit: &mut dyn FnMut(Certificate)) -> Result<(), StoreError>;
    /// Whether an overlap of an issuer's certificates is over at `now` and not recorded as such.
    fn overlap_is_over(&self, issuer: u32, now: Time) -> Result<bool, StoreError>;
    /// The newest CRL that is due at `now`.
    fn crl(&self, issuer: u32, now: Time) -> Result<Option<SignedCrl>, StoreError>;
    /// The parts of a CRL's DER in their order, from one on; counted from 0.
    fn crl_parts(
        &self,
        issuer: u32,
        number: u64,
        from: u32,
        visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(), StoreError>;
    /// The ledger entry with which a CRL was recorded.
    fn crl_entry(&self, issuer: u32, number: u64) -> Result<Option<u64>, StoreError>;
    /// The number, dates and count of the newest CRL that is due at `now`, without its bytes.
    fn crl_facts(&self, issuer: u32, now: Time) -> Result<Option<CrlFacts>, StoreError>;
    /// Every CRL there is: the one that was due when it was signed, then those that were signed in advance.
    fn crls(&self, issuer: u32) -> Result<Vec<CrlFacts>, StoreError>;
    /// Where CRLs go.
    fn targets(&self) -> Result<Vec<Target>, StoreError>;
    /// How many current certificates there are of each role and status at `now`, and which ends next.
    fn census(&self, now: Time) -> Result<Census, StoreError>;
    /// How many certificate rows there are, and how many of them are revoked.
    fn totals(&self) -> Result<Totals, StoreError>;
    /// The newest ledger entry.
    fn head(&self) -> Result<Option<StoredEntry>, StoreError>;
    /// The entry at this place.
    fn entry(&self, seq: u64) -> Result<Option<StoredEntry>, StoreError>;
    /// Ledger entries from a place on, in order.
    fn entries(
        &self,
        from: u64,
        which: Entries,
        visit: &mut dyn FnMut(StoredEntry) -> ControlFlow<()>,
    ) -> Result<(), StoreError>;
    /// Every fact the store holds, with the entry that last changed it.
    fn facts(&self, visit: &mut dyn FnMut(Change, u64)) -> Result<(), StoreError>;
    /// The fact of this key ([`Change::key`]), with the entry that last changed it.
    fn fact(&self, key: &str) -> Result<Option<(Change, u64)>, StoreError>;
    /// How many facts there are.
    fn fact_count(&self) -> Result<u64, StoreError>;
    /// What the store keeps so that it need not count or sort, and is not what its facts say.
    fn derived_faults(&self) -> Result<Vec<String>, StoreError>;
    /// One fact by a certificate's serial or a singleton's key, with the entry that last changed it.
    fn fact_entry(&self, fact: &Change) -> Result<Option<u64>, StoreError>;
}

/// Writing, in one transaction: dropped without `commit`, nothing happened.
pub trait Writing: View {
    /// Takes a fact over.
    fn record(&mut self, change: &Change) -> Result<(), StoreError>;
    /// Takes over all facts of new certificates, as one by one, but faster where they are many.
    fn record_issued(&mut self, issued: Vec<Issuance>) -> Result<(), StoreError>;
    /// Begins a CRL of an issuer; what lies there under its number is removed.
    fn begin_crl(&self, issuer: u32, number: u64) -> Result<(), StoreError>;
    /// Lays down a part of it, in any order; counted from 0 without gaps.
    fn put_crl_part(&self, issuer: u32, number: u64, part: u32, der: &[u8]) -> Result<(), StoreError>;
    /// Takes over the CRL whose parts were laid down, as [`Change::Crl`] does.
    fn record_crl(&mut self, issuer: u32, crl: &CrlFacts) -> Result<(), StoreError>;
    /// Takes over the CRLs whose parts were laid down, as [`Change::Ladder`] does.
    fn record_ladder(&mut self, issuer: u32, rungs: &[CrlFacts]) -> Result<(), StoreError>;
    /// Gives every ledger entry that has a MAC a new one, for a vault with another key.
    fn remac(&mut self, mac: &Mac<'_>) -> Result<(), StoreError>;
    /// Appends a ledger entry for all that was recorded since the last one; nothing is durable before `commit`.
    fn append(&mut self, draft: Draft<'_>) -> Result<Head, StoreError>;
    /// Appends the ledger entry for all that was recorded and makes both durable.
    fn commit(self: Box<Self>, draft: Draft<'_>) -> Result<Head, CommitError>;
}

/// A MAC over an entry's hash.
pub type Mac<'a> = dyn Fn(&[u8]) -> [u8; 32] + 'a;

/// What the ledger entry says; the store adds its place, the hash before it and the digests of what changed.
pub struct Draft<'a> {
    /// Random, unique.
    pub act: ActId,
    /// When.
    pub at: Time,
    /// Who, as the operating system says.
    pub by: String,
    /// The command.
    pub operation: &'static str,
    /// What happened.
    pub events: Vec<Event>,
    /// That a mismatch is known.
    pub suspect: bool,
    /// The vault's MAC over the entry's hash; none while it is closed.
    pub mac: Option<&'a Mac<'a>>,
}

/// Which ledger entries are visited.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entries {
    /// All of them.
    All,
    /// Those that hold a revocation, its end, or an overlap.
    Revocations,
}

/// Which certificates are listed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Listing {
    /// The current one of each peer.
    Current,
    /// Every one there is.
    Every,
}

/// In which order certificates are listed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// By the peer's name, those of nobody first; of one peer the oldest first.
    Name,
    /// By the end of validity.
    End,
    /// As they were recorded.
    Issued,
}

/// In which order the revoked are visited.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BySerial {
    /// By the octets of their serials, at the least cost. Where all serials have one length, that is by number.
    Octets,
    /// By number.
    Number,
}

/// A CRL without its bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CrlFacts {
    /// Its number.
    pub number: u64,
    /// thisUpdate and nextUpdate.
    pub validity: Validity,
    /// How many serials it lists.
    pub entries: u64,
    /// From when on servers should have it.
    pub due: Time,
}

impl From<&SignedCrl> for CrlFacts {
    fn from(crl: &SignedCrl) -> Self {
        let SignedCrl { number, validity, entries, due, .. } = *crl;
        Self { number, validity, entries, due }
    }
}

/// Counts of current certificates.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Census {
    /// Of each role and status.
    pub counts: Vec<(Role, Status, u64)>,
}

/// Counts of all certificate rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Totals {
    /// Rows.
    pub certificates: u64,
    /// Rows with a revocation.
    pub revoked: u64,
}

/// What the store will be used for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Answers also on a full disk or a read-only mount.
    Read,
    /// Changes something.
    Write,
}

/// What a back end says in its own words.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why the store did not do it. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No authority lies there.
    #[error("there is no authority in `{0}`")]
    Missing(String),
    /// Another writer did not finish in time.
    #[error("another vpnpki is writing to this authority and did not finish in {0} seconds; nothing was changed")]
    Busy(u64),
    /// The disk is full.
    #[error("the disk that holds the authority is full; nothing was changed")]
    Full(#[source] Cause),
    /// The mount or file is read-only.
    #[error("the authority lies on a read-only file system or file; nothing was changed")]
    ReadOnly(#[source] Cause),
    /// Written by a later vpnpki.
    #[error("the authority has store format {found}; this vpnpki knows formats up to {known}")]
    Newer {
        /// As recorded.
        found: i64,
        /// The newest this program reads.
        known: i64,
    },
    /// Written by an earlier vpnpki, and it cannot be brought up to date here.
    #[error("the authority was written by an earlier vpnpki and lies where nothing can be written; open it once where it can")]
    Older,
    /// Something in it cannot be what we wrote.
    #[error("the authority's store is damaged: {0}")]
    Damaged(String),
    /// The file could not be made or reached.
    #[error(transparent)]
    File(#[from] FileError),
    /// Any other fault of the database.
    #[error("the authority's store could not be used: {0}")]
    Database(#[source] Cause),
}

/// What is known after a failed commit.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Nothing was changed.
    #[error(transparent)]
    NotDone(StoreError),
    /// The database did not say; [`Store::committed`] does.
    #[error("the store did not say whether act {act} was done")]
    Unknown {
        /// The act to ask for.
        act: ActId,
        /// What it said instead.
        #[source]
        source: StoreError,
    },
}

/// Opens the authority in `dir`.
pub fn open(dir: &Path, access: Access) -> Result<Box<dyn Store>, StoreError> {
    Ok(Box::new(sqlite::Sqlite::open(dir, access)?))
}

/// Makes an empty store in `dir`, an existing directory without one.
pub fn create(dir: &Path) -> Result<Box<dyn Store>, StoreError> {
    Ok(Box::new(sqlite::Sqlite::create(dir)?))
}

/// An image of a store ([`Store::image`]), to be read in memory.
pub fn in_memory(image: &[u8]) -> Result<Box<dyn Store>, StoreError> {
    Ok(Box::new(sqlite::Sqlite::in_memory(image)?))
}

/// Puts an image of a store into `dir`, an existing directory without one.
pub fn put(dir: &Path, image: &[u8]) -> Result<Box<dyn Store>, StoreError> {
    Ok(Box::new(sqlite::Sqlite::put(dir, image)?))
}

/// Whether `dir` holds a store.
pub fn exists(dir: &Path) -> bool {
    sqlite::Sqlite::exists(dir)
}

impl Census {
    /// How many of a role have a status.
    pub fn of(&self, role: Role, status: Status) -> u64 {
        self.counts.iter().filter(|count| count.0 == role && count.1 == status).map(|count| count.2).sum()
    }
}

/// The digest a ledger entry holds for a fact: none when it is not in that entry.
pub fn committed_digest(view: &dyn View, fact: &Change) -> Result<Option<Digest>, StoreError> {
    let Some(seq) = view.fact_entry(fact)? else { return Ok(None) };
    let Some(entry) = view.entry(seq)?.and_then(|stored| stored.read().ok()) else { return Ok(None) };
    let key = fact.key();
    Ok(entry.changed.iter().rev().find(|(changed, _)| *changed == key).and_then(|(_, digest)| *digest))
}

#[cfg(test)]
mod tests;
