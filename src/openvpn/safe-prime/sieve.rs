//! Which numbers of a window may be q with p = 2q + 1 prime, as far as small primes tell.
//! Knows no test of primality.

use std::sync::{
    atomic::{AtomicU32, Ordering},
    Mutex, PoisonError,
};

use super::{
    cores::on_each,
    number::{real, remainder, Number},
};

/// What a sieve leaves of a window.
pub struct Survivors {
    /// Places in the window.
    pub places: Vec<u32>,
    /// As a part of the window.
    pub part: f64,
}

/// The places i, below `length`, at which neither q = start + 12 i nor 2q + 1 is a multiple of a prime from 5 to below
/// `depth`, which is at most 2^30. Works on so many cores.
pub fn survivors<const N: usize>(start: &Number<N>, length: usize, depth: u32, cores: usize) -> Survivors {
    let base = primes_to(depth.isqrt() + 1);
    let next = AtomicU32::new(0);
    let struck = Mutex::new(Window::new(length));
    on_each(cores, || {
        let mut own = Window::new(length);
        loop {
            let begin = next.fetch_add(SEGMENT, Ordering::Relaxed);
            if begin >= depth {
                break;
            }
            own.sieve(start, &segment(begin, depth.min(begin + SEGMENT), &base));
        }
        struck.lock().unwrap_or_else(PoisonError::into_inner).merge(&own);
    });
    let places = struck.into_inner().unwrap_or_else(PoisonError::into_inner).left();
    Survivors { part: real(places.len()) / real(length), places }
}

/// One bit a candidate, set where a small prime divides.
struct Window(Vec<u64>);

impl Window {
    fn new(length: usize) -> Self {
        assert!(length.is_multiple_of(64), "a window is made of whole words");
        Self(vec![0; length / 64])
    }

    /// Takes out what these primes divide.
    fn sieve<const N: usize>(&mut self, start: &Number<N>, primes: &[u32]) {
        for pair in primes.chunks(2) {
            // two of them at once: the remainder of the long number is what takes time
            let product = pair.iter().map(|&prime| u64::from(prime)).product();
            let rest = remainder(start, product);
            for &prime in pair {
                self.strike(rest % u64::from(prime), u64::from(prime));
            }
        }
    }

    /// `rest` is the first candidate's remainder.
    fn strike(&mut self, rest: u64, prime: u64) {
        // 12 times this is 1: a prime's inverse mod 12 is its own remainder
        let twelfth = ((12 - prime % 12) * prime + 1) / 12;
        // q = 0 and 2q + 1 = 0
        for wanted in [0, (prime - 1) / 2] {
            let mut place = (wanted + prime - rest) * twelfth % prime;
            while let Some(word) = self.0.get_mut((place / 64) as usize) {
                *word |= 1 << (place % 64);
                place += prime;
            }
        }
    }

    /// What another window, of the same candidates, has taken out.
    fn merge(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(own, other)| *own |= other);
    }

    /// The places of what is left.
    fn left(&self) -> Vec<u32> {
        let places = (0u32..).zip(&self.0).flat_map(|(word, &struck)| {
            let free = move |bit: &u32| struck >> bit & 1 == 0;
            (0..64).filter(free).map(move |bit| word * 64 + bit)
        });
        places.collect()
    }
}

/// The primes from 5 below a limit.
fn primes_to(limit: u32) -> Vec<u32> {
    let base = if limit > 25 { primes_to(limit.isqrt() + 1) } else { Vec::new() };
    segment(0, limit, &base)
}

/// The primes from `begin`, which is even, or 5 to below `end`. `base` are those from 5 to the square root of `end`.
fn segment(begin: u32, end: u32, base: &[u32]) -> Vec<u32> {
    // one for each odd number
    let mut composite = vec![false; (end - begin) as usize / 2];
    for prime in [3].into_iter().chain(base.iter().copied()) {
        let multiple = (prime * prime).max(begin.next_multiple_of(prime));
        let odd = if multiple.is_multiple_of(2) { multiple + prime } else { multiple };
        let places = composite.iter_mut().skip((odd - begin) as usize / 2);
        places.step_by(prime as usize).for_each(|place| *place = true);
    }
    let odd = (begin + 1..end).step_by(2).zip(composite);
    odd.filter(|&(number, composite)| number > 3 && !composite).map(|(number, _)| number).collect()
}

/// Numbers of which the primes are found at once: few enough for a processor's nearest memory.
const SEGMENT: u32 = 1 << 17;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{number::plus_small, sample::Stream};

    /// Trial division of each candidate.
    fn plainly(start: &Number<3>, length: u32, depth: u32) -> Vec<u32> {
        let primes: Vec<u64> = (5..depth).filter(|n| (2..=n.isqrt()).all(|d| n % d != 0)).map(u64::from).collect();
        let is_left = |place: &u32| {
            let q = plus_small(start, 12 * u64::from(*place));
            primes.iter().all(|prime| {
                let rest = remainder(&q, *prime);
                rest != 0 && (2 * rest + 1) % prime != 0
            })
        };
        (0..length).filter(is_left).collect()
    }

    #[test]
    fn what_is_left_has_no_small_factor_and_all_such_are_left() {
        for (seed, length, depth) in [(1, 64, 5), (2, 64, 6), (3, 1024, 100), (4, 8192, 1000), (5, 128, 150_000)] {
            let start = Stream(seed).number();
            let plain = plainly(&start, length, depth);
            for cores in [1, 2, 3] {
                let left = survivors(&start, length as usize, depth, cores);
                assert_eq!(left.places, plain, "{length} to {depth} on {cores} cores");
                assert!((left.part * f64::from(length) - real(plain.len())).abs() < 0.1);
            }
        }
    }

    #[test]
    fn primes_are_counted_right() {
        for (limit, count) in [(5, 0), (6, 1), (8, 2), (100, 23), (10_000, 1_227), (1_000_000, 78_496)] {
            assert_eq!(primes_to(limit).len(), count, "below {limit}");
        }
    }
}
