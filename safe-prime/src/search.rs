//! The search for a safe prime: p and q = (p-1)/2 both prime, p = 23 mod 24, so that 2 generates the group of order q.
//! Knows no file or clock; randomness is handed in.
//!
//! Candidates are the numbers q + 12 i behind a random q = 11 mod 12. A sieve takes out those of which q or p has a small
//! factor, Fermat's test with base 2 those of which q or p is composite but for very rare ones. Then
//!
//! - q passes 64 rounds of Miller and Rabin with random bases: a composite number passes one with a probability of at most
//!   1/4 (Rabin 1980; Handbook of Applied Cryptography, fact 4.25), all of them with at most 2^-128;
//! - p is proven by the test that it has passed: 2^(p-1) = 1 mod p, and 2^((p-1)/q) - 1 = 3 has no factor in common with p,
//!   which is 2 mod 3; with a prime q above the square root of p this makes p prime (Pocklington 1914; Handbook, fact
//!   4.40).
//!
//! A window of candidates without a hit is followed by one elsewhere: the search has no memory.

use std::{
    f64::consts::LN_2,
    num::NonZeroUsize,
    sync::{
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
        Mutex, PoisonError,
    },
};

use super::{
    arithmetic::Arithmetic,
    cores::on_each,
    number::{self, below, plus_small, real, remainder, twice_plus_one, Number},
    sieve::{self, Survivors},
};

/// How to search.
#[derive(Clone, Copy, Debug)]
pub struct Means {
    /// How numbers are tested.
    pub arithmetic: Arithmetic,
    /// How many threads work.
    pub cores: NonZeroUsize,
}

/// How long p is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Length {
    /// 2048 bits.
    Bits2048,
    /// 3072 bits.
    Bits3072,
    /// 4096 bits.
    Bits4096,
}

/// How far a search is: as far as at its begin, since it has no memory.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Candidates that were tested, beyond the sieve.
    pub tested: u64,
    /// Tests of a candidate that a search takes on the average.
    pub expected: f64,
}

/// A safe prime.
#[derive(Debug)]
pub struct Found {
    /// p, its most significant byte first.
    pub prime: Vec<u8>,
    /// Candidates that were tested, beyond the sieve.
    pub tested: u64,
}

/// Searches. `random` fills bytes with random ones; `watch` is told after every few tests, by any of the threads.
pub fn search<E>(
    length: Length,
    means: Means,
    random: impl FnMut(&mut [u8]) -> Result<(), E>,
    watch: &(dyn Fn(Progress) + Sync),
) -> Result<Found, E> {
    let depth = depth(length, means.arithmetic);
    match length {
        Length::Bits2048 => Search::<32, 40> { means, depth, watch }.run(random),
        Length::Bits3072 => Search::<48, 60> { means, depth, watch }.run(random),
        Length::Bits4096 => Search::<64, 80> { means, depth, watch }.run(random),
    }
}

/// A search for a p of 64 N bits; a lane has L limbs of 52 bits, at least 5 bits more.
struct Search<'a, const N: usize, const L: usize> {
    means: Means,
    /// Where the sieve ends.
    depth: u32,
    watch: &'a (dyn Fn(Progress) + Sync),
}

impl Length {
    /// In bits.
    pub fn bits(self) -> usize {
        match self {
            Self::Bits2048 => 2048,
            Self::Bits3072 => 3072,
            Self::Bits4096 => 4096,
        }
    }
}

impl<const N: usize, const L: usize> Search<'_, N, L> {
    fn run<E>(&self, mut random: impl FnMut(&mut [u8]) -> Result<(), E>) -> Result<Found, E> {
        let tested = AtomicU64::new(0);
        loop {
            let start = first_candidate::<N, E>(&mut random)?;
            let Some(q) = self.hunt(&start, WINDOW, &tested) else { continue };
            let bases = bases_below(&q, &mut random)?;
            if self.is_prime(&q, &bases) {
                let p = twice_plus_one(&q);
                return Ok(Found { prime: number::to_bytes(&p), tested: tested.into_inner() });
            }
        }
    }

    /// The first q of a window for which Fermat's test says that q and 2q + 1 are prime; whichever thread is first.
    fn hunt(&self, start: &Number<N>, window: usize, tested: &AtomicU64) -> Option<Number<N>> {
        let left = sieve::survivors(start, window, self.depth, self.means.cores.get());
        let (next, hit, found) = (AtomicUsize::new(0), AtomicBool::new(false), Mutex::new(None));
        let hunt = Hunt { search: self, start, left, next, tested, hit, found };
        on_each(self.means.cores.get(), || hunt.work());
        hunt.found.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether q passes a round with each base, on every core. What the vector arithmetic says is held against the other
    /// once, with p.
    fn is_prime(&self, q: &Number<N>, bases: &[Number<N>]) -> bool {
        let shares = Mutex::new(bases.chunks(self.means.arithmetic.width()));
        let all_pass = AtomicBool::new(true);
        on_each(self.means.cores.get(), || {
            let next = || shares.lock().unwrap_or_else(PoisonError::into_inner).next();
            while let Some(share) = next() {
                all_pass.fetch_and(self.means.arithmetic.rounds::<N, L>(q, share), Ordering::Relaxed);
            }
        });
        let all_pass = all_pass.into_inner();
        let agreed = Arithmetic::Portable.fermat::<N, L>(&[*q, twice_plus_one(q)]) == [true; 2];
        assert!(agreed || !all_pass, "the two arithmetics differ: {q:x?}");
        all_pass
    }
}

/// One window with its survivors, of which threads take the next.
struct Hunt<'a, const N: usize, const L: usize> {
    search: &'a Search<'a, N, L>,
    start: &'a Number<N>,
    left: Survivors,
    next: AtomicUsize,
    tested: &'a AtomicU64,
    hit: AtomicBool,
    found: Mutex<Option<Number<N>>>,
}

impl<const N: usize, const L: usize> Hunt<'_, N, L> {
    /// Tests q after q. One that passes has its p tested in the next call, beside further q: a lane of its own would cost as
    /// much as eight.
    fn work(&self) {
        let arithmetic = self.search.means.arithmetic;
        let mut passed: Vec<Number<N>> = Vec::new();
        while !self.hit.load(Ordering::Relaxed) {
            let fresh = self.take(arithmetic.width().saturating_sub(passed.len()));
            if fresh.is_empty() && passed.is_empty() {
                return;
            }
            let mut batch: Vec<Number<N>> = passed.iter().map(twice_plus_one).collect();
            batch.extend(&fresh);
            let answers = arithmetic.fermat::<N, L>(&batch);
            let (of_p, of_q) = answers.split_at(passed.len());
            if let Some(hit) = of_p.iter().position(|prime| *prime) {
                self.hit.store(true, Ordering::Relaxed);
                self.found.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(passed[hit]);
            }
            passed = fresh.into_iter().zip(of_q).filter(|(_, prime)| **prime).map(|(q, _)| q).collect();
            self.tell(of_q.len());
        }
    }

    /// The next candidates, at most so many.
    fn take(&self, most: usize) -> Vec<Number<N>> {
        let first = self.next.fetch_add(most, Ordering::Relaxed);
        let places = self.left.places.iter().skip(first).take(most);
        places.map(|&place| plus_small(self.start, 12 * u64::from(place))).collect()
    }

    fn tell(&self, more: usize) {
        let tested = self.tested.fetch_add(more as u64, Ordering::Relaxed) + more as u64;
        (self.search.watch)(Progress { tested, expected: expected_tests(64 * N, self.left.part) });
    }
}

/// A random number of one bit less than p, which is 11 mod 12: p = 2q + 1 is 23 mod 24 and has its two highest bits set,
/// so that no window reaches beyond its length.
fn first_candidate<const N: usize, E>(random: &mut impl FnMut(&mut [u8]) -> Result<(), E>) -> Result<Number<N>, E> {
    let mut start: Number<N> = draw(random)?;
    start[N - 1] &= u64::MAX >> 1;
    start[N - 1] |= 0b11 << 61;
    let rest = remainder(&start, 12);
    Ok(plus_small(&start, 11 - rest))
}

/// Random numbers below n, each as likely as the others.
fn bases_below<const N: usize, E>(
    n: &Number<N>,
    random: &mut impl FnMut(&mut [u8]) -> Result<(), E>,
) -> Result<Vec<Number<N>>, E> {
    let mut bases = Vec::new();
    while bases.len() < ROUNDS {
        let mut base: Number<N> = draw(random)?;
        // as long as n
        base[N - 1] &= u64::MAX >> 1;
        if below(&base, n) {
            bases.push(base);
        }
    }
    Ok(bases)
}

fn draw<const N: usize, E>(random: &mut impl FnMut(&mut [u8]) -> Result<(), E>) -> Result<Number<N>, E> {
    let mut bytes = vec![0; 8 * N];
    random(&mut bytes)?;
    Ok(number::from_bytes(&bytes))
}

/// Candidates that are tested on the average until one is a hit, when p has so many bits and the sieve leaves this part of
/// the candidates.
///
/// Of the numbers about q one in ln q ln p / 1.3203 is prime with 2q + 1 too (Hardy and Littlewood 1923, conjecture D;
/// 1.3203 is twice the constant of twin primes), half of them 11 mod 12.
pub fn expected_tests(bits: usize, left: f64) -> f64 {
    let ln_p = (real(bits) - 0.5) * LN_2;
    left * ln_p * (ln_p - LN_2) / (6.0 * 1.320_323_6)
}

/// Where the sieve ends: further, a prime would cost more than the tests that it saves.
pub fn depth(length: Length, arithmetic: Arithmetic) -> u32 {
    let bits = match (length, arithmetic) {
        (Length::Bits2048, Arithmetic::Vector(_)) => 23,
        (Length::Bits3072, Arithmetic::Vector(_)) | (Length::Bits2048, Arithmetic::Portable) => 24,
        (Length::Bits4096, _) | (Length::Bits3072, Arithmetic::Portable) => 25,
    };
    1 << bits
}

/// Candidates that are sieved at once: about four times as many as a search of 2048 bits takes, since a longer window costs
/// next to nothing.
pub const WINDOW: usize = 1 << 20;

/// Rounds of Miller and Rabin that q passes.
pub const ROUNDS: usize = 64;
