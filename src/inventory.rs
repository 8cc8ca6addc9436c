//! The domain: who has access, by which certificates, and what was done. Facts and rules over facts.
//! Knows no clock, database, file or key.

pub mod certificate;
pub mod change;
pub mod ledger;
pub mod peer;

pub use certificate::{Certificate, Holder, Reason, Revocation, Status};
pub use peer::{Peer, Role};
