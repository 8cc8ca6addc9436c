//! The domain: who has access, by which certificates, and what was done. Facts and rules over facts.
//! Knows no clock, database, file or key.

pub mod certificate;
pub mod change;
pub mod due;
pub mod ledger;
pub mod peer;

pub use certificate::{Barred, Certificate, Holder, KeyPlace, Reason, Revocation, Status};
pub use change::{
    Change, Identity, Issuance, Issuer, Parameter, SealedSecret, SecretKind, SignedCrl, Target, Unlocker,
};
pub use ledger::{ActId, Digest, Entry, EntryFault, Event, Gist, Head, StoredEntry};
pub use peer::{Peer, Role};
