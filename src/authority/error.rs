//! Why an act was not done: one enum for the family of acts, the causes kept.
//! Knows no exit code and no hint; the command line decides those.

use std::path::PathBuf;

use crate::{
    authority::{backup::BackupFault, KeyholderError},
    bundle::BundleError,
    files::{self, DirectoryFault, FileError},
    import::people::Fault,
    inventory::{Role, Status},
    name::Name,
    pki::{CertificateError, CrlError, KeyError, SignError},
    publish::PublishError,
    serial::Serial,
    settings::{ControlChannel, Faults},
    store::{CommitError, StoreError},
    template::TemplateError,
    time::Time,
    vault::{RecipientError, VaultError},
    world::WorldError,
};

/// Why an act was not done. Nothing was changed unless it says so.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The commit failed.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The PKI directory is not safe to use.
    #[error(transparent)]
    Directory(#[from] DirectoryFault),
    /// A file could not be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The settings have faults.
    #[error(transparent)]
    Settings(#[from] Faults),
    /// A template has a fault.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// A bundle could not be made.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// What was made would not have worked.
    #[error("the bundle of `{name}` was not handed over: {why}")]
    Broken {
        /// Whose.
        name: Name,
        /// What is wrong with it.
        why: String,
    },
    /// The vault, or something sealed, did not open.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// Nobody opened the vault.
    #[error(transparent)]
    Keyholder(#[from] KeyholderError),
    /// A certificate or CRL was not signed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// A key was not made or read.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A certificate in the store cannot be read.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The CRL in the store cannot be used.
    #[error("the CRL in the store cannot be used: {0}")]
    Crl(#[from] CrlError),
    /// A target was refused.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// No randomness.
    #[error(transparent)]
    World(#[from] WorldError),
    /// The CA key in the store is not that of the CA certificate.
    #[error("the CA key in the store does not belong to the CA certificate")]
    ForeignCaKey,
    /// What lies in the place of the CA certificate is none.
    #[error("what the store holds as the CA certificate is none")]
    NoCaCertificate,
    /// No CRL was signed, so nothing was published.
    #[error("no CRL was signed: {0}")]
    Unsigned(String),
    /// There is no CRL.
    #[error("the store holds no CRL")]
    NoCrl,
    /// The store is not what was written.
    #[error("nothing was done, since the store is not what was written: {}", .0.join("; "))]
    Mismatch(Vec<String>),
    /// A valid certificate has the name.
    #[error("cannot issue `{name}`: a valid certificate with this name exists until {}", .until.date())]
    Taken {
        /// The name.
        name: Name,
        /// Its notAfter.
        until: Time,
    },
    /// A suspended certificate has the name.
    #[error("cannot issue `{0}`: a certificate with this name is suspended")]
    Held(Name),
    /// The name was spelled otherwise before.
    #[error("cannot issue `{asked}`: the name was given as `{known}`, and names do not differ in case only")]
    Spelling {
        /// As typed.
        asked: Name,
        /// As on record.
        known: Name,
    },
    /// The name belongs to a peer of the other role.
    #[error("cannot issue `{name}` as a {asked}: the name is a {known}'s")]
    OtherRole {
        /// The name.
        name: Name,
        /// The role asked for.
        asked: Role,
        /// The role on record.
        known: Role,
    },
    /// The name has the wrong prefix for its role.
    #[error("cannot issue `{name}`: {why}")]
    Prefix {
        /// The name.
        name: Name,
        /// The rule.
        why: String,
    },
    /// The same name twice in one call.
    #[error("`{0}` is named twice")]
    Twice(Name),
    /// No such peer.
    #[error("there is no `{name}`")]
    UnknownName {
        /// As typed.
        name: Name,
        /// What comes near.
        near: Option<Name>,
    },
    /// No such certificate.
    #[error("there is no certificate serial:{0}")]
    UnknownSerial(Serial),
    /// A certificate cannot outlive its CA.
    #[error("cannot issue for {days} days: the CA ends on {}", .ends.date())]
    OutlivesCa {
        /// As asked.
        days: u32,
        /// The CA's notAfter.
        ends: Time,
    },
    /// The CA is over.
    #[error("cannot issue: the CA ended on {}", .0.date())]
    CaEnded(Time),
    /// A bundle of someone who has no access.
    #[error("cannot export `{name}`: its certificate is {what}")]
    NoAccess {
        /// Whose.
        name: Name,
        /// Revoked since when, or expired.
        what: String,
    },
    /// Nothing that could be suspended or resumed.
    #[error("cannot {verb} `{whose}`: its certificate is {what}")]
    Vain {
        /// What was asked.
        verb: &'static str,
        /// Whose certificate.
        whose: String,
        /// What it is instead.
        what: String,
        /// A command that helps.
        mend: Option<String>,
    },
    /// CRLs that last as long as the CA need no ladder, and those of a day leave no room for one.
    #[error(
        "no CRLs were signed in advance: `crl.days` is not set, or less than 2, and each would last as long as the CA"
    )]
    NoLadder,
    /// A bundle of someone who is suspended.
    #[error("cannot export `{0}`: its certificate is suspended")]
    Suspended(Name),
    /// Whoever has access, or may get it back, needs the key.
    #[error("cannot forget `{name}`: serial:{serial} is {what}, and nothing was dropped")]
    HasAccess {
        /// Whose.
        name: Name,
        /// The certificate.
        serial: Serial,
        /// What it is.
        what: Status,
    },
    /// A store of format 1 has not seen its vault open since.
    #[error("the store does not hold the vault's public key, to which a backup is sealed; an earlier vpnpki wrote it")]
    NoVaultKey,
    /// An unlocker of a store of format 1.
    #[error("the unlocker `{0}` was recorded by an earlier vpnpki, without its public key; nothing was done")]
    NoPublicKey(String),
    /// The private key is not kept.
    #[error("cannot export `{0}`: its private key is not kept (`keys.keep`)")]
    NoKey(Name),
    /// A bundle that is nothing without the private key, of somebody who keeps it.
    #[error("`{name}`: {source}")]
    OwnersBundle {
        /// Who.
        name: Name,
        /// What needs the key.
        source: BundleError,
    },
    /// The private key never was here.
    #[error("cannot renew `{0}`: its owner keeps the private key, and no new request is here")]
    OwnersKey(Name),
    /// A request for a key that is not its sender's alone.
    #[error("cannot issue `{name}`: the key of the request is {whose}")]
    KeyTaken {
        /// For whom.
        name: Name,
        /// Whose key it is.
        whose: String,
    },
    /// A certificate of a server for a key that is elsewhere.
    #[error(
        "cannot certify a request for `{0}`: a server's private key is made here, since it belongs into its directory"
    )]
    ServerRequest(Name),
    /// Recipients of a server.
    #[error("`{0}` is a server: its bundle is a directory, which is not encrypted")]
    ServerRecipients(Name),
    /// An encrypted bundle is one file.
    #[error("the bundle of `{0}` is encrypted, and a directory cannot be: no bundle was made")]
    SealedDirectory(Name),
    /// What is on record as recipient is none.
    #[error("no bundle was made: a recipient that is on record for `{name}` cannot be used")]
    RecordedRecipient {
        /// Whose.
        name: Name,
        /// What is wrong with it.
        #[source]
        fault: RecipientError,
    },
    /// A key does not belong to its certificate.
    #[error("the private key of `{0}` in the store does not belong to its certificate")]
    ForeignKey(Name),
    /// The clock is far from the newest entry.
    #[error("the clock says {}, {days} days after the newest ledger entry; nothing was done", .now.date())]
    Clock {
        /// What it says.
        now: Time,
        /// How far.
        days: i64,
    },
    /// A file is no backup that can be used.
    #[error(transparent)]
    Backup(#[from] BackupFault),
    /// A target that is there and cannot be read, while a store is put back.
    #[error("nothing was restored: {0}, so perhaps it refuses somebody whom the backup does not know")]
    UnreadTarget(String),
    /// The vault was locked anew by another act while this one was under way.
    #[error(
        "what opened the vault is no longer one of its unlockers, since another vpnpki changed them; nothing was done"
    )]
    VaultChanged,
    /// No such unlocker.
    #[error("there is no unlocker `{0}`")]
    UnknownUnlocker(String),
    /// The vault would never open again.
    #[error("`{0}` was not removed: nothing else opens the vault")]
    LastUnlocker(String),
    /// The label is another's.
    #[error("the label `{0}` belongs to another unlocker; nothing was added")]
    LabelTaken(String),
    /// The same key opens the vault already.
    #[error("this key opens the vault already, as `{0}`; nothing was added")]
    KnownUnlocker(String),
    /// Somebody said no.
    #[error("{0}")]
    NotAgreed(String),
    /// Nobody gave these passphrases, without which the new vault would not open with them.
    #[error("the vault was not rotated: the passphrase of {} is needed to lock it anew", .0.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(" and of "))]
    NeedsPassphrases(Vec<String>),
    /// A passphrase that was given for an unlocker is not its.
    #[error("the passphrase that was given for `{label}` was not taken: {source}")]
    PassphraseOf {
        /// Whose it should be.
        label: String,
        /// Why not.
        source: VaultError,
    },
    /// The settings ask for another kind of `ta.key` than the authority has.
    #[error("no bundle was made: `control-channel.mode` says `{0}`, and the authority's ta.key is of another kind")]
    OtherControlKey(ControlChannel),
    /// Two bundles would be one file.
    #[error("the bundles of `{one}` and `{other}` would both be `{}`; nothing was written", files::shown(.path))]
    Collision {
        /// Whose bundle.
        one: Name,
        /// And whose.
        other: Name,
        /// The file or directory.
        path: PathBuf,
    },
    /// A server starts by itself.
    #[error("`{0}` is a server: nobody is there to type a passphrase when it starts, so its bundle has none")]
    ServersPassphrase(Name),
    /// Something asked for makes no sense together.
    #[error("{0}")]
    Usage(String),
    /// A list of people with faults: all of them, in the order of their lines.
    #[error("nothing was issued: {}", count(.0.len()))]
    List(Vec<Fault>),
    /// A list of people without any.
    #[error("nothing was issued: the list names nobody")]
    NobodyListed,
    /// Whoever asked for an act on many asked for its end.
    #[error("it was asked to stop")]
    Stopped,
}

fn count(faults: usize) -> String {
    match faults {
        1 => "the list has a fault".to_owned(),
        many => format!("the list has {many} faults"),
    }
}

impl AuthorityError {
    /// Whether nobody was there to open the vault, as against someone with the wrong key.
    pub fn nobody_unlocks(&self) -> bool {
        matches!(self, Self::Keyholder(KeyholderError::Missing(_)))
    }

    /// Whether the CA's key or certificate is not what it should be: a revocation is recorded all the same.
    pub(super) fn is_foreign_ca(&self) -> bool {
        match self {
            Self::ForeignCaKey | Self::NoCaCertificate => true,
            Self::Vault(error) => !error.is_locked(),
            _ => false,
        }
    }
}
