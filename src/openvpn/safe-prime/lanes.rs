//! Tests of several numbers at once: one number in each 64-bit lane of a vector, multiplied by Montgomery's method without
//! final subtraction (S. Gueron, "Efficient software implementations of modular exponentiation", 2012).
//! Knows no prime and no search; the portable path gives the same answers.
//!
//! What is the same for every set of instructions stands here, as a macro: a function can use instructions only where they
//! are named in front of it. The modules below have what differs:
//! - `wide`: eight lanes with AVX-512 IFMA, limbs of 52 bits;
//! - `narrow`: four lanes with AVX2, two with SSE2, limbs of 27 bits.

pub mod narrow;
pub mod wide;

/// A number, the least limb first.
pub type Limbs = Vec<u64>;

/// What is asked of all lanes at once. Numbers have as many limbs as `limbs` says; moduli are odd, one in each lane. R is 2
/// to the number of bits in all limbs.
pub enum Question<'a> {
    /// Whether 2^(n-1) = 1. `ones` are R mod n.
    Fermat { moduli: &'a [Limbs], ones: &'a [Limbs], bits: usize },
    /// Whether base^((n-1)/2) is 1 or -1, n being the same in all lanes. `digits` are those of (n-1)/2 in base 16, the
    /// highest first; a base stands as R base mod n.
    Round { moduli: &'a [Limbs], ones: &'a [Limbs], bases: &'a [Limbs], digits: &'a [usize] },
    /// Nothing: so many multiplications out of registers, which is all that the processor can do in that time.
    Multiplications(u64),
}

/// How many limbs of `width` bits hold a number of so many bits: whole blocks, and R at least 16 times as large, since
/// nothing is subtracted.
pub fn limbs(bits: usize, width: usize) -> usize {
    (bits + 4).div_ceil(width).next_multiple_of(BLOCK)
}

/// Rows of a product that are added at once: a column is loaded and stored once for so many products.
const BLOCK: usize = 4;

/// The functions of a module for these instructions. It has a vector `V` of `LANES` lanes, limbs of `WIDTH` bits of which
/// `MASK` are the ones, and
/// - `lanes(of)`, the vector made of `of(lane)`, and `zeros(v)`, the lanes that are 0;
/// - `rows(columns, factors, limbs, upper)`, which adds `limbs` times the factors of a block to as many columns and `upper`
///   to the first of them; what belongs to the `UPPER` columns behind them is the next `upper`;
/// - `square_rows(columns, limbs)`, which adds the products of a block of limbs with itself and, twice, with those behind it;
/// - `multiples(columns, n, inverse)`, the multiples of n with which a block of columns vanishes, and the next `upper`;
/// - `multiplications(count)`.
macro_rules! functions {
    (
        $features:literal,
        $add:ident,
        $subtract:ident,
        $and:ident,
        $or:ident,
        $xor:ident,
        $right:ident,
        $by:ident,
        $set:ident,
        $zero:ident,
        $width:literal
    ) => {
        /// The lanes in which the answer is yes.
        #[target_feature(enable = $features)]
        pub fn answer(question: &Question) -> u8 {
            match question {
                Question::Fermat { moduli, ones, bits } => fermat(&Modulus::new(moduli), ones, *bits),
                Question::Round { moduli, ones, bases, digits } => round(&Modulus::new(moduli), ones, bases, digits),
                Question::Multiplications(count) => multiplications(*count),
            }
        }

        #[target_feature(enable = $features)]
        fn fermat(modulus: &Modulus, ones: &[Limbs], bits: usize) -> u8 {
            let mut x = spread(ones);
            let mut columns = vec![$zero(); 2 * x.len()];
            for place in (0..bits).rev() {
                // n is odd, so n - 1 has the same bits but for the last
                let double = if place == 0 { $zero() } else { modulus.bit(place) };
                modulus.square(&mut x, &mut columns, double);
            }
            modulus.divide(&mut x, &mut columns);
            equal(&x, &one(x.len()))
        }

        #[target_feature(enable = $features)]
        fn round(modulus: &Modulus, ones: &[Limbs], bases: &[Limbs], digits: &[usize]) -> u8 {
            let (mut x, base) = (spread(ones), spread(bases));
            let mut columns = vec![$zero(); 2 * x.len()];
            let mut powers = vec![x.clone()];
            for exponent in 1..16 {
                powers.push(base.clone());
                let (before, power) = powers.split_at_mut(exponent);
                modulus.multiply(&mut power[0], &before[exponent - 1], &mut columns);
            }
            for &digit in digits {
                for _ in 0..4 {
                    modulus.square(&mut x, &mut columns, $zero());
                }
                modulus.multiply(&mut x, &powers[digit], &mut columns);
            }
            modulus.divide(&mut x, &mut columns);
            let one = one(x.len());
            let mut minus_one = modulus.n.clone();
            // n is odd
            minus_one[0] = $subtract(minus_one[0], one[0]);
            equal(&x, &one) | equal(&x, &minus_one)
        }

        /// What is reckoned by in each lane.
        struct Modulus {
            n: Vec<V>,
            /// -1/n mod 2^WIDTH
            inverse: V,
        }

        impl Modulus {
            #[target_feature(enable = $features)]
            fn new(moduli: &[Limbs]) -> Self {
                Self { n: spread(moduli), inverse: lanes(|lane| number::negative_inverse(moduli[lane][0]) & MASK) }
            }

            /// All ones in the lanes where n has this bit.
            #[target_feature(enable = $features)]
            fn bit(&self, place: usize) -> V {
                let shift = _mm_cvtsi64_si128(((place % WIDTH) as u64).cast_signed());
                let bit = $and($by(self.n[place / WIDTH], shift), $set(1));
                $subtract($zero(), bit)
            }

            /// x becomes x²/R, twice that where `double` is all ones. From below 4 n it comes below 2 n, 4 n when doubled.
            #[target_feature(enable = $features)]
            fn square(&self, x: &mut [V], columns: &mut [V], double: V) {
                columns.fill($zero());
                for i in (0..x.len()).step_by(BLOCK) {
                    square_rows(&mut columns[2 * i..], &x[i..]);
                }
                self.reduce(columns, x, double);
            }

            /// x becomes x y/R. From below 2 n it comes below 2 n, as y must be.
            #[target_feature(enable = $features)]
            fn multiply(&self, x: &mut [V], y: &[V], columns: &mut [V]) {
                columns.fill($zero());
                for (i, factors) in x.as_chunks().0.iter().enumerate() {
                    add_rows(&mut columns[BLOCK * i..], *factors, y, [$zero(); UPPER]);
                }
                self.reduce(columns, x, $zero());
            }

            /// x becomes x/R mod n, below n but for n itself.
            #[target_feature(enable = $features)]
            fn divide(&self, x: &mut [V], columns: &mut [V]) {
                columns.fill($zero());
                columns[..x.len()].copy_from_slice(x);
                self.reduce(columns, x, $zero());
            }

            /// The columns of a product divided by R mod n, doubled where `double` is all ones.
            #[target_feature(enable = $features)]
            fn reduce(&self, columns: &mut [V], result: &mut [V], double: V) {
                for i in (0..result.len()).step_by(BLOCK) {
                    let (vanishing, others) = columns[i..].split_at_mut(BLOCK);
                    let (factors, upper) = multiples(vanishing, &self.n, self.inverse);
                    add_rows(others, factors, &self.n[BLOCK..], upper);
                }
                let mut carry = $zero();
                for (limb, &column) in result.iter_mut().zip(&columns[self.n.len()..]) {
                    let sum = $add($add(column, $and(column, double)), carry);
                    *limb = $and(sum, $set(MASK.cast_signed()));
                    carry = $right::<$width>(sum);
                }
            }
        }

        /// Adds rows, to the end.
        #[inline]
        #[target_feature(enable = $features)]
        fn add_rows(columns: &mut [V], factors: [V; BLOCK], limbs: &[V], upper: [V; UPPER]) {
            let (columns, end) = columns.split_at_mut(limbs.len());
            let upper = rows(columns, factors, limbs, upper);
            for (column, upper) in end.iter_mut().zip(upper) {
                *column = $add(*column, upper);
            }
        }

        #[target_feature(enable = $features)]
        fn spread(numbers: &[Limbs]) -> Vec<V> {
            let mut spread = vec![$zero(); numbers[0].len()];
            for (limb, lanes_of_it) in spread.iter_mut().enumerate() {
                *lanes_of_it = lanes(|lane| numbers[lane][limb]);
            }
            spread
        }

        #[target_feature(enable = $features)]
        fn one(length: usize) -> Vec<V> {
            let mut one = vec![$zero(); length];
            one[0] = $set(1);
            one
        }

        /// Lanes in which both are the same.
        #[target_feature(enable = $features)]
        fn equal(a: &[V], b: &[V]) -> u8 {
            let mut different = $zero();
            for (&a, &b) in a.iter().zip(b) {
                different = $or(different, $xor(a, b));
            }
            zeros(different)
        }
    };
}
use functions;
