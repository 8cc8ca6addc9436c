//! Safe primes for Diffie-Hellman: p and q = (p-1)/2 both prime, and 2 generates the group of order q.
//! Pure arithmetic: no file, clock or source of randomness. A package of its own so that it is optimised where the rest of
//! `vpnpki` is not: a search that takes a second takes minutes otherwise.
//!
//! - [`search`]: candidates, threads, proof.
//! - [`arithmetic`]: tests of primality, and the choice between the ways that follow.
//! - `lanes`: several numbers at once: eight with AVX-512 IFMA, four with AVX2, two with SSE2.
//! - `portable`: one number on any processor.
//! - [`sieve`]: what small primes say.
//! - `number`, `cores`: what all of them share.

pub mod arithmetic;
mod cores;
#[cfg(target_arch = "x86_64")]
mod lanes;
mod number;
mod portable;
#[cfg(test)]
mod sample;
pub mod search;
pub mod sieve;

pub use arithmetic::Arithmetic;
pub use search::{search, Found, Length, Means, Progress};
