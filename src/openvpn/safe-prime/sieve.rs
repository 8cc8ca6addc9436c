//! Which numbers of a window may be q with p = 2q + 1 prime, as far as small primes tell.
//! Knows no test of primality.

use std::{
    array::from_fn,
    sync::{
        atomic::{AtomicU32, Ordering},
        Mutex, PoisonError,
    },
};

use super::{
    cores::on_each,
    number::{high, low, negative_inverse, real, Number},
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

/// One bit a place, set where it is struck out.
struct Window(Vec<u64>);

impl Window {
    fn new(length: usize) -> Self {
        assert!(length.is_multiple_of(64), "a window is made of whole words");
        Self(vec![0; length / 64])
    }

    /// Takes out the candidates that these primes divide.
    fn sieve<const N: usize>(&mut self, start: &Number<N>, primes: &[u32]) {
        for few in primes.chunks(2 * AT_ONCE) {
            // two in a product: the remainder of the long number is what takes time
            let mut products = [1; AT_ONCE];
            for (product, pair) in products.iter_mut().zip(few.chunks(2)) {
                *product = pair.iter().map(|&prime| u64::from(prime)).product();
            }
            for (pair, place) in few.chunks(2).zip(Moduli::new(products).first_places(start)) {
                for &prime in pair {
                    self.sieve_one(place, u64::from(prime));
                }
            }
        }
    }

    /// `place` is one, anywhere, at which the candidate is a multiple of the prime.
    fn sieve_one(&mut self, place: u64, prime: u64) {
        let of_q = place % prime;
        // p = 2q + 1 is a multiple where 24 i is less by 1; -1/24 is a whole number, since a prime is its own inverse mod 24
        let of_p = of_q + (prime * (prime % 24) - 1) / 24;
        self.strike(of_q, prime);
        self.strike(if of_p < prime { of_p } else { of_p - prime }, prime);
    }

    /// Strikes out every so many places.
    fn strike(&mut self, mut place: u64, step: u64) {
        while let Some(word) = self.0.get_mut((place / 64) as usize) {
            *word |= 1 << (place % 64);
            place += step;
        }
    }

    /// What another window, of the same candidates, has taken out.
    fn merge(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(own, other)| *own |= other);
    }

    /// The places of what is left.
    fn left(&self) -> Vec<u32> {
        let mut left = Vec::with_capacity(self.0.iter().map(|word| word.count_zeros() as usize).sum());
        for (word, struck) in (0u32..).zip(&self.0) {
            let mut free = !struck;
            while free != 0 {
                left.push(word * 64 + free.trailing_zeros());
                free &= free - 1;
            }
        }
        left
    }
}

/// Odd numbers below 2^60 to reckon by, several at once so that the processor need not wait for each product, by
/// Montgomery's method with R = 2^64. 3 divides none of them.
struct Moduli {
    n: [u64; AT_ONCE],
    /// -1/n mod R
    inverse: [u64; AT_ONCE],
}

impl Moduli {
    fn new(n: [u64; AT_ONCE]) -> Self {
        Self { n, inverse: n.map(negative_inverse) }
    }

    /// For each n an i at which start + 12 i = 0.
    fn first_places<const N: usize>(&self, start: &Number<N>) -> [u64; AT_ONCE] {
        // 4 R, 16 R, … 2^64 R
        let square = (0..5).fold(self.n.map(|n| 4 * (u64::MAX % n + 1)), |power, _| self.times(power, power));
        // n is its own inverse mod 12
        let minus_twelfth = self.n.map(|n| (n * (n % 12) - 1) / 12);
        let divided = start
            .iter()
            .fold([0; AT_ONCE], |sum, &limb| from_fn(|k| self.divided(k, u128::from(sum[k]) + u128::from(limb))));
        let rest = self.times(divided, self.power(square, N));
        self.times(rest, self.times(minus_twelfth, square))
    }

    /// R^(e + 1), from R².
    fn power(&self, square: [u64; AT_ONCE], e: usize) -> [u64; AT_ONCE] {
        if e == 1 {
            return square;
        }
        let half = self.power(square, e / 2);
        let even = self.times(half, half);
        if e.is_multiple_of(2) {
            even
        } else {
            self.times(even, square)
        }
    }

    /// a b/R
    fn times(&self, a: [u64; AT_ONCE], b: [u64; AT_ONCE]) -> [u64; AT_ONCE] {
        from_fn(|k| self.divided(k, u128::from(a[k]) * u128::from(b[k])))
    }

    /// x/R, for an x of at most n R; n + 1 at most.
    fn divided(&self, k: usize, x: u128) -> u64 {
        high(x + u128::from(low(x).wrapping_mul(self.inverse[k])) * u128::from(self.n[k]))
    }
}

/// The primes from 5 below a limit.
fn primes_to(limit: u32) -> Vec<u32> {
    let base = if limit > 25 { primes_to(limit.isqrt() + 1) } else { Vec::new() };
    segment(0, limit, &base)
}

/// The primes from `begin`, which is a multiple of 30, or 5 to below `end`. `base` are those from 5 to the square root of
/// `end`.
fn segment(begin: u32, end: u32, base: &[u32]) -> Vec<u32> {
    let mut primes = Vec::new();
    primes.extend((begin < 5 && end > 5).then_some(5));
    // what has a factor in common with 30 is not even looked at
    for rest in [1, 7, 11, 13, 17, 19, 23, 29] {
        let mut numbers = Window::new(((end - begin) as usize).div_ceil(30).next_multiple_of(64));
        for prime in base.iter().copied().filter(|&prime| prime > 5) {
            // times a cofactor that is a prime or more; the fourth power of a prime is 1 mod 30
            let least = prime.max(begin.div_ceil(prime));
            let cofactor = least + (rest * (prime % 30).pow(3) + 30 - least % 30) % 30;
            numbers.strike(u64::from((prime * cofactor - begin) / 30), u64::from(prime));
        }
        let left = numbers.left().into_iter().map(|place| begin + 30 * place + rest);
        primes.extend(left.filter(|number| (7..end).contains(number)));
    }
    primes
}

/// Products of primes that are reckoned by together.
const AT_ONCE: usize = 4;

/// Numbers of which the primes are found at once, 30 by 30: few enough for a processor's nearest memory.
const SEGMENT: u32 = 30 << 15;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        number::{plus_small, remainder},
        sample::Stream,
    };

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
