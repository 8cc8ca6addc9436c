//! Tests of primality, eight at once where the processor has AVX-512 IFMA and one by one elsewhere, with the same answers.
//! Knows no search. Here stands the only `unsafe` of the crate.

use std::fmt;

use super::{
    number::{self, power_of_two, Number},
    portable::{self, Modulus},
};

/// How numbers are tested.
#[derive(Clone, Copy, Debug)]
pub enum Arithmetic {
    /// Eight at once.
    Vector(Vector),
    /// One by one, on any processor.
    Portable,
}

/// That this processor has AVX-512F and AVX-512 IFMA.
#[derive(Clone, Copy, Debug)]
pub struct Vector(());

impl Arithmetic {
    /// The fastest that there is here.
    pub fn fastest() -> Self {
        Vector::detect().map_or(Self::Portable, Self::Vector)
    }

    /// How many numbers one call tests at the cost of one.
    pub fn width(self) -> usize {
        match self {
            Self::Vector(_) => LANES,
            Self::Portable => 1,
        }
    }

    /// For at most eight odd numbers n above 2^(64 N - 2), whether 2^(n-1) = 1 mod n.
    pub fn fermat<const N: usize, const L: usize>(self, numbers: &[Number<N>]) -> Vec<bool> {
        match self {
            Self::Vector(vector) => vector.fermat::<N, L>(numbers),
            Self::Portable => numbers.iter().map(|n| Modulus::new(n).passes_fermat()).collect(),
        }
    }

    /// Whether n, which is 3 mod 4 and above 2^(64 N - 2), passes a round of Miller and Rabin with each of these bases,
    /// at most eight. They are below n; what they stand for is another number, as random as they are.
    pub fn rounds<const N: usize, const L: usize>(self, n: &Number<N>, bases: &[Number<N>]) -> bool {
        match self {
            Self::Vector(vector) => vector.rounds::<N, L>(n, bases),
            Self::Portable => {
                let modulus = Modulus::new(n);
                bases.iter().all(|base| modulus.passes_round(base))
            }
        }
    }
}

impl fmt::Display for Arithmetic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Vector(_) => "vector",
            Self::Portable => "portable",
        })
    }
}

#[cfg(target_arch = "x86_64")]
impl Vector {
    /// Whether it can be had.
    pub fn detect() -> Option<Self> {
        let there = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512ifma");
        there.then_some(Self(()))
    }

    fn fermat<const N: usize, const L: usize>(self, numbers: &[Number<N>]) -> Vec<bool> {
        let (mut moduli, mut ones) = ([[0; L]; LANES], [[0; L]; LANES]);
        for (lane, n) in numbers.iter().cycle().take(LANES).enumerate() {
            moduli[lane] = split(n);
            ones[lane] = split(&power_of_two(LIMB * L, n));
        }
        let passed = self.answer(&Question::Fermat { moduli: &moduli, ones: &ones, bits: 64 * N });
        (0..numbers.len()).map(|lane| passed >> lane & 1 == 1).collect()
    }

    fn rounds<const N: usize, const L: usize>(self, n: &Number<N>, bases: &[Number<N>]) -> bool {
        let mut lanes = [[0; L]; LANES];
        for (lane, base) in bases.iter().cycle().take(LANES).enumerate() {
            lanes[lane] = split(base);
        }
        let digits: Vec<usize> = portable::digits(n).collect();
        let one = split(&power_of_two(LIMB * L, n));
        self.answer(&Question::Round { modulus: &split(n), one: &one, bases: &lanes, digits: &digits }) == 0xff
    }

    /// As many multiplications as one call of `fermat` makes, without any that waits for another: the least time that it
    /// could take on this processor.
    pub fn multiplications<const N: usize, const L: usize>(self) {
        // a square, its halves and doubles together; the multiples of n; the two factors of each row
        let in_a_square = 3 * L * L + 2 * L;
        self.answer::<L>(&Question::Multiplications((64 * N * in_a_square) as u64));
    }

    #[expect(unsafe_code, reason = "instructions that not every processor has can be called in no other way")]
    fn answer<const L: usize>(self, question: &Question<L>) -> u8 {
        let Self(()) = self;
        // SAFETY: the function asks for AVX-512F and AVX-512 IFMA and for nothing else; `self` was made by `detect`,
        // which alone can make it, and which found both on this processor.
        unsafe { super::lanes::answer(question) }
    }
}

#[cfg(target_arch = "x86_64")]
use super::lanes::Question;

#[cfg(not(target_arch = "x86_64"))]
impl Vector {
    /// Whether it can be had: on no such processor.
    pub fn detect() -> Option<Self> {
        None
    }

    fn fermat<const N: usize, const L: usize>(self, numbers: &[Number<N>]) -> Vec<bool> {
        Arithmetic::Portable.fermat::<N, L>(numbers)
    }

    fn rounds<const N: usize, const L: usize>(self, n: &Number<N>, bases: &[Number<N>]) -> bool {
        Arithmetic::Portable.rounds::<N, L>(n, bases)
    }

    /// None, on no such processor.
    pub fn multiplications<const N: usize, const L: usize>(self) {}
}

/// In limbs of 52 bits.
#[cfg(target_arch = "x86_64")]
fn split<const N: usize, const L: usize>(number: &Number<N>) -> [u64; L] {
    std::array::from_fn(|place| {
        let (limb, shift) = (LIMB * place / 64, LIMB * place % 64);
        let part = |limb: usize| u128::from(number.get(limb).copied().unwrap_or(0));
        number::low((part(limb) | part(limb + 1) << 64) >> shift) & ((1 << LIMB) - 1)
    })
}

const LANES: usize = 8;

/// Bits of a limb in a lane.
#[cfg(target_arch = "x86_64")]
const LIMB: usize = 52;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        number::{double, twice_plus_one},
        sample::{ffdhe, power, wide, Stream, PSEUDOPRIME},
    };

    /// Both, or the portable one alone where there is no other.
    fn arithmetics() -> Vec<Arithmetic> {
        [Some(Arithmetic::Portable), Vector::detect().map(Arithmetic::Vector)].into_iter().flatten().collect()
    }

    fn one_answer<T: PartialEq + fmt::Debug>(ask: impl Fn(Arithmetic) -> T) -> T {
        let mut answers: Vec<T> = arithmetics().into_iter().map(ask).collect();
        let last = answers.pop().expect("an answer");
        assert!(answers.iter().all(|answer| *answer == last), "{last:?}, but {answers:?}");
        last
    }

    /// Odd, 3 mod 4, with one of its two highest bits as the first.
    fn modulus<const N: usize>(stream: &mut Stream) -> Number<N> {
        let mut n: Number<N> = stream.number();
        n[0] |= 3;
        n[N - 1] = if stream.limb() & 1 == 0 { n[N - 1] | 1 << 63 } else { n[N - 1] >> 1 | 1 << 62 };
        n
    }

    /// How a base stands where this arithmetic reckons.
    fn standing<const N: usize, const L: usize>(arithmetic: Arithmetic, base: &Number<N>, n: &Number<N>) -> Number<N> {
        let doublings = if arithmetic.width() == 1 { 64 * N } else { 52 * L };
        let mut base = *base;
        (0..doublings).for_each(|_| double(&mut base, n));
        base
    }

    fn known_primes_pass_and_others_fail<const N: usize, const L: usize>() {
        let p: Number<N> = ffdhe();
        let q = p.map(|limb| limb >> 1);
        let q: Number<N> = std::array::from_fn(|place| q[place] | p.get(place + 1).map_or(0, |above| above << 63));
        assert_eq!(twice_plus_one(&q), p);
        let mut stream = Stream(1);
        let numbers = [p, modulus(&mut stream), q, q, modulus(&mut stream), p, modulus(&mut stream)];
        let answers = one_answer(|arithmetic| arithmetic.fermat::<N, L>(&numbers));
        assert_eq!(answers, [true, false, true, true, false, true, false]);
        let bases: Vec<Number<N>> = (0..5).map(|_| stream.number().map(|limb: u64| limb >> 2)).collect();
        for (prime, passes) in [(&p, true), (&q, true), (&numbers[1], false), (&numbers[4], false)] {
            for few in [&bases[..], &bases[..1]] {
                assert_eq!(one_answer(|arithmetic| arithmetic.rounds::<N, L>(prime, few)), passes);
            }
        }
    }

    #[test]
    fn primes_of_each_length_pass_and_others_fail() {
        known_primes_pass_and_others_fail::<32, 40>();
        known_primes_pass_and_others_fail::<48, 60>();
        known_primes_pass_and_others_fail::<64, 80>();
    }

    #[test]
    fn rounds_find_what_fermat_does_not() {
        let n = PSEUDOPRIME;
        assert_eq!(one_answer(|arithmetic| arithmetic.fermat::<2, 4>(&[n])), [true]);
        let bases: Vec<Number<2>> = (0..64).map(|seed| Stream(seed).number().map(|limb: u64| limb >> 1)).collect();
        let is_liar = |base: &&Number<2>| {
            let round =
                |arithmetic| Arithmetic::rounds::<2, 4>(arithmetic, &n, &[standing::<2, 4>(arithmetic, base, &n)]);
            let passes = one_answer(round);
            let plain = power(wide(**base), wide(n) / 2, wide(n));
            assert_eq!(passes, plain == 1 || plain == wide(n) - 1);
            passes
        };
        assert!((1..32).contains(&bases.iter().filter(is_liar).count()));
        assert!(!one_answer(|arithmetic| bases.chunks(8).all(|few| arithmetic.rounds::<2, 4>(&n, few))));
    }

    proptest! {
        #[test]
        fn answers_are_those_of_plain_arithmetic(seed: u64) {
            let mut stream = Stream(seed);
            let numbers: Vec<Number<2>> = (0..8).map(|_| modulus(&mut stream)).collect();
            let plain: Vec<bool> = numbers.iter().map(|&n| power(2, wide(n) - 1, wide(n)) == 1).collect();
            prop_assert_eq!(one_answer(|arithmetic| arithmetic.fermat::<2, 4>(&numbers)), plain);
        }
    }
}
