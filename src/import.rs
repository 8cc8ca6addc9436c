//! Readers of other people's formats: bytes in, facts and faults out.
//! Touches nothing, and judges nothing beyond whether and by whom it can be read.

pub mod archive;
pub mod credentials;
mod others;
pub mod package;
pub mod people;
pub mod profile;

pub use credentials::{Credentials, Piece};
pub use package::{Origin, Package, Part};
pub use profile::{Directive, Profile, Reader};
