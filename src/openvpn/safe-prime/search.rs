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
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Length {
    /// 2048 bits.
    #[default]
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

/// Fills bytes with random ones, or says that it cannot.
pub type Random<'a> = dyn FnMut(&mut [u8]) -> Option<()> + 'a;

/// Searches. `watch` is told after every few tests, by any of the threads. None when `random` gave nothing.
// nothing generic: that would be compiled with whoever calls, and as slow as the rest of a program under test
pub fn search(length: Length, means: Means, random: &mut Random, watch: &(dyn Fn(Progress) + Sync)) -> Option<Found> {
    let depth = depth(length, means.arithmetic);
    match length {
        Length::Bits2048 => Search::<32> { means, depth, watch }.run(random),
        Length::Bits3072 => Search::<48> { means, depth, watch }.run(random),
        Length::Bits4096 => Search::<64> { means, depth, watch }.run(random),
    }
}

/// A search for a p of 64 N bits.
struct Search<'a, const N: usize> {
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

impl<const N: usize> Search<'_, N> {
    fn run(&self, random: &mut Random) -> Option<Found> {
        let tested = AtomicU64::new(0);
        loop {
            let start = first_candidate::<N>(random)?;
            let Some(q) = self.hunt(&start, WINDOW, &tested) else { continue };
            let bases = bases_below(&q, random)?;
            if self.is_prime(&q, &bases) {
                let p = twice_plus_one(&q);
                return Some(Found { prime: number::to_bytes(&p), tested: tested.into_inner() });
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
                all_pass.fetch_and(self.means.arithmetic.rounds::<N>(q, share), Ordering::Relaxed);
            }
        });
        let all_pass = all_pass.into_inner();
        let agreed = Arithmetic::Portable.fermat::<N>(&[*q, twice_plus_one(q)]) == [true; 2];
        assert!(agreed || !all_pass, "the two arithmetics differ: {q:x?}");
        all_pass
    }
}

/// One window with its survivors, of which threads take the next.
struct Hunt<'a, const N: usize> {
    search: &'a Search<'a, N>,
    start: &'a Number<N>,
    left: Survivors,
    next: AtomicUsize,
    tested: &'a AtomicU64,
    hit: AtomicBool,
    found: Mutex<Option<Number<N>>>,
}

impl<const N: usize> Hunt<'_, N> {
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
            let answers = arithmetic.fermat::<N>(&batch);
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
fn first_candidate<const N: usize>(random: &mut Random) -> Option<Number<N>> {
    let mut start: Number<N> = draw(random)?;
    start[N - 1] &= u64::MAX >> 1;
    start[N - 1] |= 0b11 << 61;
    let rest = remainder(&start, 12);
    Some(plus_small(&start, 11 - rest))
}

/// Random numbers below n, each as likely as the others.
fn bases_below<const N: usize>(n: &Number<N>, random: &mut Random) -> Option<Vec<Number<N>>> {
    let mut bases = Vec::new();
    while bases.len() < ROUNDS {
        let mut base: Number<N> = draw(random)?;
        // as long as n
        base[N - 1] &= u64::MAX >> 1;
        if below(&base, n) {
            bases.push(base);
        }
    }
    Some(bases)
}

fn draw<const N: usize>(random: &mut Random) -> Option<Number<N>> {
    let mut bytes = vec![0; 8 * N];
    random(&mut bytes)?;
    Some(number::from_bytes(&bytes))
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

/// Where the sieve ends: further, a prime would cost more than the tests that it saves. At eight at once 2^25 for 2048 bits;
/// a longer number, and a test that costs twice as much, are worth twice the sieve.
pub fn depth(length: Length, arithmetic: Arithmetic) -> u32 {
    let bits = match length {
        Length::Bits2048 => 25,
        Length::Bits3072 => 26,
        Length::Bits4096 => 27,
    };
    1 << (bits + 3 - arithmetic.width().ilog2())
}

/// Candidates that are sieved at once: about four times as many as a search of 2048 bits takes, since a longer window costs
/// next to nothing.
pub const WINDOW: usize = 1 << 20;

/// Rounds of Miller and Rabin that q passes.
pub const ROUNDS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        number::minus,
        sample::{ffdhe, power, random, wide, PSEUDOPRIME},
    };

    fn all_means() -> Vec<Means> {
        let means = |arithmetic: Arithmetic| {
            [1, 3].map(|cores| Means { arithmetic, cores: NonZeroUsize::new(cores).expect("a core") })
        };
        Arithmetic::all().into_iter().flat_map(means).collect()
    }

    fn search_with<const N: usize>(means: Means, depth: u32) -> Search<'static, N> {
        Search { means, depth, watch: &|_| () }
    }

    /// Miller and Rabin with the first bases, which is a proof below 2^64 and more than enough here.
    fn is_prime(n: u128) -> bool {
        [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37].iter().all(|&base| {
            let half = power(base, n / 2, n);
            half == 1 || half == n - 1
        })
    }

    fn a_known_prime_is_found<const N: usize>() {
        let p: Number<N> = ffdhe();
        let mut q = p.map(|limb| limb >> 1);
        (1..N).for_each(|place| q[place - 1] |= p[place] << 63);
        let mut random = random(7);
        for means in all_means() {
            let search = search_with::<N>(means, 1 << 12);
            // at either end of the window, and just beyond both
            for (before, found) in [(0, true), (77, true), (127, true), (128, false)] {
                let start = minus(&q, &plus_small(&[0; N], 12 * before));
                let hit = search.hunt(&start, 128, &AtomicU64::new(0));
                assert_eq!(hit, found.then_some(q), "{before} before, {means:?}");
            }
            assert_eq!(search.hunt(&plus_small(&q, 12), 128, &AtomicU64::new(0)), None);
            let bases = bases_below(&q, &mut random).expect("bases");
            assert!(bases.len() == 64 && (means.cores.get() == 1 || search.is_prime(&q, &bases)), "{means:?}");
        }
    }

    #[test]
    fn a_known_prime_of_each_length_is_found_where_it_lies() {
        a_known_prime_is_found::<32>();
        a_known_prime_is_found::<48>();
        a_known_prime_is_found::<64>();
    }

    #[test]
    fn whole_searches_find_safe_primes_of_the_length_that_was_asked_for() {
        for seed in 0..20 {
            let mut found = Vec::new();
            for means in all_means() {
                let prime = search_with::<2>(means, 1 << 10).run(&mut random(seed)).expect("a prime").prime;
                let p = u128::from_be_bytes(prime.try_into().expect("16 bytes"));
                assert!(is_prime(p) && is_prime(p / 2), "{p:x}");
                assert_eq!((p >> 126, p % 24), (3, 23), "{p:x}");
                found.extend((means.cores.get() == 1).then_some(p));
            }
            // one thread goes through a window in its order, whatever the arithmetic
            found.dedup();
            assert_eq!(found.len(), 1);
        }
    }

    #[test]
    fn a_pseudoprime_is_not_taken_for_q() {
        let bases = bases_below(&PSEUDOPRIME, &mut random(3)).expect("bases");
        assert!(bases.iter().all(|base| wide(*base) < wide(PSEUDOPRIME)));
        for means in all_means() {
            assert!(!search_with::<2>(means, 1 << 10).is_prime(&PSEUDOPRIME, &bases));
        }
    }

    #[test]
    fn a_search_without_randomness_ends() {
        for means in all_means() {
            assert!(search(Length::default(), means, &mut |_| None, &|_| ()).is_none());
        }
    }

    #[test]
    fn what_is_expected_is_what_happens() {
        // of 2048 bits one candidate in 254,000 is a hit
        assert!((253_500.0..254_500.0).contains(&expected_tests(2048, 1.0)), "{}", expected_tests(2048, 1.0));
        let told = Mutex::new(Vec::new());
        let watch = |progress: Progress| told.lock().expect("a list").push(progress);
        let means = Means { arithmetic: Arithmetic::Portable, cores: NonZeroUsize::MIN };
        let (mut tested, mut expected) = (0.0, 0.0);
        for seed in 0..400 {
            let search = Search::<2> { means, depth: 1 << 10, watch: &watch };
            let found = search.run(&mut random(1000 + seed)).expect("a prime");
            let last = told.lock().expect("a list").pop().expect("progress");
            assert_eq!(last.tested, found.tested);
            tested += real(usize::try_from(found.tested).expect("few"));
            expected += last.expected;
        }
        // the same numbers every time: 400 searches vary by a twentieth
        assert!((0.85..1.15).contains(&(tested / expected)), "{tested} tested, {expected} expected");
    }
}
