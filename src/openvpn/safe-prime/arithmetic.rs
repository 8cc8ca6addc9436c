//! Tests of primality, as many at once as the processor's instructions allow, one by one where it has none of them; the
//! answers are the same. Knows no search. Here stands the only `unsafe` of the crate.

use std::fmt;

#[cfg(target_arch = "x86_64")]
use super::{
    lanes::{self, narrow, wide, Limbs, Question},
    number::{low, power_of_two},
    portable::digits,
};
use super::{number::Number, portable::Modulus};

/// How numbers are tested.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arithmetic {
    /// Several at once.
    Vector(Vector),
    /// One by one, on any processor.
    Portable,
}

/// A set of instructions on vectors that this processor has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Vector(Set);

#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Set {
    /// AVX-512F and AVX-512 IFMA.
    Ifma,
    Avx2,
    Sse2,
}

/// None, on other processors.
#[cfg(not(target_arch = "x86_64"))]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Set {}

impl Arithmetic {
    /// The fastest that there is here.
    pub fn fastest() -> Self {
        Vector::all().first().map_or(Self::Portable, |&fastest| Self::Vector(fastest))
    }

    /// All that there are here, the fastest first.
    pub fn all() -> Vec<Self> {
        Vector::all().into_iter().map(Self::Vector).chain([Self::Portable]).collect()
    }

    /// How many numbers one call tests at the cost of one.
    pub fn width(self) -> usize {
        match self {
            Self::Vector(vector) => vector.lanes(),
            Self::Portable => 1,
        }
    }

    /// For each of these odd numbers n above 2^(64 N - 2), whether 2^(n-1) = 1 mod n.
    pub fn fermat<const N: usize>(self, numbers: &[Number<N>]) -> Vec<bool> {
        match self {
            Self::Vector(vector) => numbers.chunks(vector.lanes()).flat_map(|few| vector.fermat(few)).collect(),
            Self::Portable => numbers.iter().map(|n| Modulus::new(n).passes_fermat()).collect(),
        }
    }

    /// Whether n, which is 3 mod 4 and above 2^(64 N - 2), passes a round of Miller and Rabin with each of these bases.
    /// They are below n; what they stand for is another number, as random as they are.
    pub fn rounds<const N: usize>(self, n: &Number<N>, bases: &[Number<N>]) -> bool {
        match self {
            Self::Vector(vector) => bases.chunks(vector.lanes()).all(|few| vector.rounds(n, few)),
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
            Self::Vector(vector) => vector.name(),
            Self::Portable => "portable",
        })
    }
}

#[cfg(target_arch = "x86_64")]
impl Vector {
    /// Those of this processor, the fastest first.
    pub fn all() -> Vec<Self> {
        let ifma = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512ifma");
        let all = [(Set::Ifma, ifma), (Set::Avx2, is_x86_feature_detected!("avx2")), (Set::Sse2, true)];
        all.into_iter().filter(|(_, there)| *there).map(|(set, _)| Self(set)).collect()
    }

    fn name(self) -> &'static str {
        match self.0 {
            Set::Ifma => "AVX-512 IFMA",
            Set::Avx2 => "AVX2",
            Set::Sse2 => "SSE2",
        }
    }

    fn lanes(self) -> usize {
        match self.0 {
            Set::Ifma => wide::LANES,
            Set::Avx2 => narrow::avx2::LANES,
            Set::Sse2 => narrow::sse2::LANES,
        }
    }

    /// Bits of a limb.
    fn limb(self) -> usize {
        match self.0 {
            Set::Ifma => wide::WIDTH,
            Set::Avx2 | Set::Sse2 => narrow::WIDTH,
        }
    }

    /// Limbs of a number of so many bits.
    fn limbs(self, bits: usize) -> usize {
        lanes::limbs(bits, self.limb())
    }

    /// A number x of so many bits stands as 2^shift x mod n.
    fn shift(self, bits: usize) -> usize {
        self.limb() * self.limbs(bits)
    }

    fn fermat<const N: usize>(self, numbers: &[Number<N>]) -> Vec<bool> {
        let moduli = self.each(numbers, |n| self.split(n));
        let ones = self.each(numbers, |n| self.one(n));
        let passed = self.answer(&Question::Fermat { moduli: &moduli, ones: &ones, bits: 64 * N });
        (0..numbers.len()).map(|lane| passed >> lane & 1 == 1).collect()
    }

    fn rounds<const N: usize>(self, n: &Number<N>, bases: &[Number<N>]) -> bool {
        let moduli = self.each(&[*n], |n| self.split(n));
        let ones = self.each(&[*n], |n| self.one(n));
        let bases = self.each(bases, |base| self.split(base));
        let digits: Vec<usize> = digits(n).collect();
        let passed = self.answer(&Question::Round { moduli: &moduli, ones: &ones, bases: &bases, digits: &digits });
        passed.count_ones() as usize == self.lanes()
    }

    /// For each lane what belongs to one of the numbers, which are repeated where there are too few.
    fn each<const N: usize>(self, numbers: &[Number<N>], of: impl Fn(&Number<N>) -> Limbs) -> Vec<Limbs> {
        let all: Vec<Limbs> = numbers.iter().map(of).collect();
        all.iter().cycle().take(self.lanes()).cloned().collect()
    }

    /// What 1 is in a lane, mod n.
    fn one<const N: usize>(self, n: &Number<N>) -> Limbs {
        self.split(&power_of_two(self.shift(64 * N), n))
    }

    /// In the limbs of a lane.
    fn split<const N: usize>(self, number: &Number<N>) -> Limbs {
        let part = |limb: usize| u128::from(number.get(limb).copied().unwrap_or(0));
        let limb = |place: usize| {
            let (limb, shift) = (self.limb() * place / 64, self.limb() * place % 64);
            low((part(limb) | part(limb + 1) << 64) >> shift) & ((1 << self.limb()) - 1)
        };
        (0..self.limbs(64 * N)).map(limb).collect()
    }

    /// As many multiplications as one call of `fermat` makes for numbers of so many bits, without any that waits for
    /// another: the least time that it could take on this processor.
    pub fn multiplications(self, bits: usize) {
        let limbs = self.limbs(bits);
        let in_a_square = match self.0 {
            // a square, its halves and doubles together, and the multiples of n, both with lower and upper halves; factors
            Set::Ifma => 3 * limbs * limbs + limbs,
            Set::Avx2 | Set::Sse2 => limbs * (limbs + 1) / 2 + limbs * limbs + limbs,
        };
        std::hint::black_box(self.answer(&Question::Multiplications((bits * in_a_square) as u64)));
    }

    #[expect(unsafe_code, reason = "instructions that not every processor has can be called in no other way")]
    fn answer(self, question: &Question) -> u8 {
        // SAFETY: each function asks for the instructions by which its set is named, AVX-512F and AVX-512 IFMA, AVX2 or
        // SSE2, and for nothing else. `self` was made by `all`, which alone can make one, and which found them on this
        // processor; SSE2 is part of x86-64.
        unsafe {
            match self.0 {
                Set::Ifma => wide::answer(question),
                Set::Avx2 => narrow::avx2::answer(question),
                Set::Sse2 => narrow::sse2::answer(question),
            }
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
impl Vector {
    /// Those of this processor: none.
    pub fn all() -> Vec<Self> {
        Vec::new()
    }

    fn name(self) -> &'static str {
        match self.0 {}
    }

    fn lanes(self) -> usize {
        match self.0 {}
    }

    #[cfg(test)]
    fn shift(self, _bits: usize) -> usize {
        match self.0 {}
    }

    fn fermat<const N: usize>(self, _numbers: &[Number<N>]) -> Vec<bool> {
        match self.0 {}
    }

    fn rounds<const N: usize>(self, _n: &Number<N>, _bases: &[Number<N>]) -> bool {
        match self.0 {}
    }

    /// None, on no such processor.
    pub fn multiplications(self, _bits: usize) {
        match self.0 {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        number::{double, minus, plus_small, twice_plus_one},
        sample::{ffdhe, power, wide, Stream, PSEUDOPRIME},
    };

    fn one_answer<T: PartialEq + fmt::Debug>(ask: impl Fn(Arithmetic) -> T) -> T {
        let mut answers: Vec<T> = Arithmetic::all().into_iter().map(ask).collect();
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
    fn standing<const N: usize>(arithmetic: Arithmetic, base: &Number<N>, n: &Number<N>) -> Number<N> {
        let doublings = match arithmetic {
            Arithmetic::Vector(vector) => vector.shift(64 * N),
            Arithmetic::Portable => 64 * N,
        };
        let mut base = *base;
        (0..doublings).for_each(|_| double(&mut base, n));
        base
    }

    fn known_primes_pass_and_others_fail<const N: usize>() {
        let p: Number<N> = ffdhe();
        let q = p.map(|limb| limb >> 1);
        let q: Number<N> = std::array::from_fn(|place| q[place] | p.get(place + 1).map_or(0, |above| above << 63));
        assert_eq!(twice_plus_one(&q), p);
        let mut stream = Stream(1);
        let numbers = [p, modulus(&mut stream), q, q, modulus(&mut stream), p, modulus(&mut stream)];
        let answers = one_answer(|arithmetic| arithmetic.fermat::<N>(&numbers));
        assert_eq!(answers, [true, false, true, true, false, true, false]);
        let bases: Vec<Number<N>> = (0..5).map(|_| stream.number().map(|limb: u64| limb >> 2)).collect();
        for (prime, passes) in [(&p, true), (&q, true), (&numbers[1], false), (&numbers[4], false)] {
            for few in [&bases[..], &bases[..1]] {
                assert_eq!(one_answer(|arithmetic| arithmetic.rounds::<N>(prime, few)), passes);
            }
        }
    }

    #[test]
    fn primes_of_each_length_pass_and_others_fail() {
        known_primes_pass_and_others_fail::<32>();
        known_primes_pass_and_others_fail::<48>();
        known_primes_pass_and_others_fail::<64>();
    }

    #[test]
    fn rounds_find_what_fermat_does_not() {
        let n = PSEUDOPRIME;
        assert_eq!(one_answer(|arithmetic| arithmetic.fermat::<2>(&[n])), [true]);
        let bases: Vec<Number<2>> = (0..64).map(|seed| Stream(seed).number().map(|limb: u64| limb >> 1)).collect();
        let is_liar = |base: &&Number<2>| {
            let round = |arithmetic| Arithmetic::rounds::<2>(arithmetic, &n, &[standing::<2>(arithmetic, base, &n)]);
            let passes = one_answer(round);
            let plain = power(wide(**base), wide(n) / 2, wide(n));
            assert_eq!(passes, plain == 1 || plain == wide(n) - 1);
            passes
        };
        assert!((1..32).contains(&bases.iter().filter(is_liar).count()));
        assert!(!one_answer(|arithmetic| bases.chunks(8).all(|few| arithmetic.rounds::<2>(&n, few))));
    }

    /// The largest and the least prime of a length that are 3 mod 4, and their neighbours: limbs and columns as full, and as
    /// empty, as they can be.
    fn edges_of_a_length<const N: usize>(below: u64, above: u64) {
        let (mut highest, mut lowest) = ([u64::MAX; N], [0; N]);
        highest[0] = 0u64.wrapping_sub(below);
        (lowest[0], lowest[N - 1]) = (above, 1 << 62);
        for (prime, neighbour) in [(highest, highest[0] + 4), (lowest, lowest[0] - 4)] {
            let mut composite = prime;
            composite[0] = neighbour;
            assert_eq!(one_answer(|arithmetic| arithmetic.fermat(&[prime, composite])), [true, false]);
            for (n, passes) in [(prime, true), (composite, false)] {
                for base in [[u64::MAX >> 2; N], minus(&n, &plus_small(&[0; N], 2))] {
                    assert_eq!(one_answer(|arithmetic| arithmetic.rounds(&n, &[base])), passes);
                }
            }
        }
    }

    #[test]
    fn numbers_at_the_edge_are_reckoned_right() {
        edges_of_a_length::<2>(173, 7);
        edges_of_a_length::<32>(1557, 4147);
        edges_of_a_length::<48>(2165, 195);
        edges_of_a_length::<64>(2549, 11263);
    }

    proptest! {
        #[test]
        fn answers_are_those_of_plain_arithmetic(seed: u64) {
            let mut stream = Stream(seed);
            let numbers: Vec<Number<2>> = (0..8).map(|_| modulus(&mut stream)).collect();
            let plain: Vec<bool> = numbers.iter().map(|&n| power(2, wide(n) - 1, wide(n)) == 1).collect();
            prop_assert_eq!(one_answer(|arithmetic| arithmetic.fermat::<2>(&numbers)), plain);
        }
    }
}
