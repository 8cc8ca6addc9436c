//! Tests of eight numbers at once with AVX-512 IFMA: limbs of 52 bits, one number in each 64-bit lane,
//! multiplied by Montgomery's method without final subtraction (S. Gueron, "Efficient software implementations of modular
//! exponentiation", 2012).
//! Knows no prime and no search; the portable path gives the same answers.

use std::arch::x86_64::{
    __m512i, _mm512_add_epi64, _mm512_and_si512, _mm512_cmpeq_epi64_mask, _mm512_madd52hi_epu64, _mm512_madd52lo_epu64,
    _mm512_set1_epi64, _mm512_set_epi64, _mm512_setzero_si512, _mm512_sllv_epi64, _mm512_srli_epi64, _mm512_srlv_epi64,
    _mm512_sub_epi64,
};

/// Eight numbers of `L` limbs of 52 bits.
type Wide<const L: usize> = [__m512i; L];

/// What is asked of eight lanes at once. Numbers have `L` limbs of 52 bits, and moduli are odd and below 2^(52 L - 5).
pub enum Question<'a, const L: usize> {
    /// Whether 2^(n-1) = 1, for each of eight moduli n. `ones` are 2^(52 L) mod n.
    Fermat { moduli: &'a [[u64; L]; 8], ones: &'a [[u64; L]; 8], bits: usize },
    /// Whether base^((n-1)/2) is 1 or -1, for each of eight bases below the one modulus n. `digits` are those of (n-1)/2
    /// in base 16, the highest first; a base stands as 2^(52 L) base mod n.
    Round { modulus: &'a [u64; L], one: &'a [u64; L], bases: &'a [[u64; L]; 8], digits: &'a [usize] },
    /// Nothing: so many multiplications out of registers, which is all that the processor can do in that time.
    Multiplications(u64),
}

/// The lanes in which the answer is yes.
#[target_feature(enable = "avx512f,avx512ifma")]
pub fn answer<const L: usize>(question: &Question<L>) -> u8 {
    match question {
        Question::Fermat { moduli, ones, bits } => fermat(moduli, ones, *bits),
        Question::Round { modulus, one, bases, digits } => round(modulus, one, bases, digits),
        Question::Multiplications(count) => multiplications(*count),
    }
}

#[target_feature(enable = "avx512f,avx512ifma")]
fn fermat<const L: usize>(moduli: &[[u64; L]; 8], ones: &[[u64; L]; 8], bits: usize) -> u8 {
    let n = spread(moduli);
    let inverse = negative_inverse(n[0]);
    let mut x = spread(ones);
    for place in (0..bits).rev() {
        // n is odd, so n - 1 has the same bits but for the last
        let limb = _mm512_srlv_epi64(n[place / 52], _mm512_set1_epi64(((place % 52) as u64).cast_signed()));
        let bit = _mm512_and_si512(limb, _mm512_set1_epi64(i64::from(place > 0)));
        x = square(&x, &n, inverse, bit);
    }
    let plain = divided(&x, &n, inverse);
    equal(&plain, &one())
}

#[target_feature(enable = "avx512f,avx512ifma")]
fn round<const L: usize>(modulus: &[u64; L], one_here: &[u64; L], bases: &[[u64; L]; 8], digits: &[usize]) -> u8 {
    let n = spread(&[*modulus; 8]);
    let inverse = negative_inverse(n[0]);
    let base = spread(bases);
    let mut powers = [spread(&[*one_here; 8]); 16];
    for exponent in 1..powers.len() {
        powers[exponent] = multiply(&powers[exponent - 1], &base, &n, inverse);
    }
    let mut x = powers[0];
    for &digit in digits {
        for _ in 0..4 {
            x = square(&x, &n, inverse, _mm512_setzero_si512());
        }
        x = multiply(&x, &powers[digit], &n, inverse);
    }
    let plain = divided(&x, &n, inverse);
    let mut minus_one = n;
    // n is odd
    minus_one[0] = subtract(n[0], _mm512_set1_epi64(1));
    equal(&plain, &one()) | equal(&plain, &minus_one)
}

#[target_feature(enable = "avx512f,avx512ifma")]
fn multiplications(count: u64) -> u8 {
    let factor = _mm512_set1_epi64(MASK);
    // more sums than multiplications under way, and none like another
    let mut sums: [_; 16] = std::array::from_fn(|place| _mm512_set1_epi64((place as u64).cast_signed()));
    for _ in 0..count / 16 {
        sums = sums.map(|sum| _mm512_madd52lo_epu64(sum, factor, factor));
    }
    sums.iter().fold(0, |answer, sum| answer | _mm512_cmpeq_epi64_mask(*sum, factor))
}

#[target_feature(enable = "avx512f,avx512ifma")]
fn spread<const L: usize>(numbers: &[[u64; L]; 8]) -> Wide<L> {
    let mut wide = [_mm512_setzero_si512(); L];
    for (limb, lanes) in wide.iter_mut().enumerate() {
        let of = |lane: usize| numbers[lane][limb].cast_signed();
        *lanes = _mm512_set_epi64(of(7), of(6), of(5), of(4), of(3), of(2), of(1), of(0));
    }
    wide
}

/// -1/n mod 2^52, by Newton's iteration: each step doubles the number of right bits, 3 to begin with.
#[target_feature(enable = "avx512f,avx512ifma")]
fn negative_inverse(n: __m512i) -> __m512i {
    let zero = _mm512_setzero_si512();
    let two = _mm512_set1_epi64(2);
    let mut inverse = n;
    for _ in 0..5 {
        let product = _mm512_madd52lo_epu64(zero, n, inverse);
        inverse = _mm512_madd52lo_epu64(zero, inverse, subtract(two, product));
    }
    subtract(zero, inverse)
}

/// a - b mod 2^52.
#[target_feature(enable = "avx512f,avx512ifma")]
fn subtract(a: __m512i, b: __m512i) -> __m512i {
    let mask = _mm512_set1_epi64(MASK);
    _mm512_and_si512(_mm512_sub_epi64(a, b), mask)
}

/// x²/R, doubled where `double` is 1. x below 4 n gives a result below 2 n, 4 n when doubled.
#[target_feature(enable = "avx512f,avx512ifma")]
fn square<const L: usize>(x: &Wide<L>, n: &Wide<L>, inverse: __m512i, double: __m512i) -> Wide<L> {
    let zero = _mm512_setzero_si512();
    let mut halves = [[zero; L]; 2];
    let columns = halves.as_flattened_mut();
    for i in (0..L).step_by(2) {
        let (a, b) = (x[i], x[i + 1]);
        columns[2 * i + 1] = _mm512_madd52lo_epu64(columns[2 * i + 1], a, b);
        columns[2 * i + 2] = _mm512_madd52hi_epu64(columns[2 * i + 2], a, b);
        rows(&mut columns[2 * i + 2..i + L + 2], [a, b], &x[i + 2..], [zero, zero]);
    }
    for (pair, &limb) in columns.chunks_exact_mut(2).zip(x) {
        // products of different limbs stand twice in a square
        pair[0] = _mm512_madd52lo_epu64(_mm512_add_epi64(pair[0], pair[0]), limb, limb);
        pair[1] = _mm512_madd52hi_epu64(_mm512_add_epi64(pair[1], pair[1]), limb, limb);
    }
    reduce(&mut halves, n, inverse, double)
}

/// x y/R. x and y below 2 n give a result below 2 n.
#[target_feature(enable = "avx512f,avx512ifma")]
fn multiply<const L: usize>(x: &Wide<L>, y: &Wide<L>, n: &Wide<L>, inverse: __m512i) -> Wide<L> {
    let zero = _mm512_setzero_si512();
    let mut halves = [[zero; L]; 2];
    let columns = halves.as_flattened_mut();
    for i in (0..L).step_by(2) {
        rows(&mut columns[i..i + L + 2], [x[i], x[i + 1]], y, [zero, zero]);
    }
    reduce(&mut halves, n, inverse, zero)
}

/// Adds two rows of a product, so that a column is loaded once for four products: `limbs` times `factors`, the second one
/// column higher. `before` are the limbs before the first, the last one first; their low halves are added already.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn rows(columns: &mut [__m512i], factors: [__m512i; 2], limbs: &[__m512i], before: [__m512i; 2]) {
    let [first, second] = factors;
    let [mut one_back, mut two_back] = before;
    let (inner, end) = columns.split_at_mut(limbs.len());
    for (column, &limb) in inner.iter_mut().zip(limbs) {
        let sum = _mm512_madd52lo_epu64(*column, first, limb);
        let sum = _mm512_madd52hi_epu64(sum, first, one_back);
        let sum = _mm512_madd52lo_epu64(sum, second, one_back);
        *column = _mm512_madd52hi_epu64(sum, second, two_back);
        two_back = one_back;
        one_back = limb;
    }
    let sum = _mm512_madd52hi_epu64(end[0], first, one_back);
    let sum = _mm512_madd52lo_epu64(sum, second, one_back);
    end[0] = _mm512_madd52hi_epu64(sum, second, two_back);
    end[1] = _mm512_madd52hi_epu64(end[1], second, one_back);
}

/// The columns of a product divided by R mod n, doubled where `double` is 1.
#[target_feature(enable = "avx512f,avx512ifma")]
fn reduce<const L: usize>(halves: &mut [Wide<L>; 2], n: &Wide<L>, inverse: __m512i, double: __m512i) -> Wide<L> {
    let zero = _mm512_setzero_si512();
    let columns = halves.as_flattened_mut();
    let mut carry = zero;
    for i in (0..L).step_by(2) {
        // the multiples of n with which this column and the next vanish
        let column = _mm512_add_epi64(columns[i], carry);
        let first = _mm512_madd52lo_epu64(zero, column, inverse);
        carry = _mm512_srli_epi64::<52>(_mm512_madd52lo_epu64(column, first, n[0]));
        let next = _mm512_add_epi64(columns[i + 1], carry);
        let next = _mm512_madd52hi_epu64(next, first, n[0]);
        let next = _mm512_madd52lo_epu64(next, first, n[1]);
        let second = _mm512_madd52lo_epu64(zero, next, inverse);
        carry = _mm512_srli_epi64::<52>(_mm512_madd52lo_epu64(next, second, n[0]));
        rows(&mut columns[i + 2..i + L + 2], [first, second], &n[2..], [n[1], n[0]]);
    }
    let mask = _mm512_set1_epi64(MASK);
    let mut result = halves[1];
    result[0] = _mm512_add_epi64(result[0], carry);
    carry = zero;
    for limb in &mut result {
        let sum = _mm512_add_epi64(_mm512_sllv_epi64(*limb, double), carry);
        *limb = _mm512_and_si512(sum, mask);
        carry = _mm512_srli_epi64::<52>(sum);
    }
    result
}

/// x/R mod n, below n but for n itself.
#[target_feature(enable = "avx512f,avx512ifma")]
fn divided<const L: usize>(x: &Wide<L>, n: &Wide<L>, inverse: __m512i) -> Wide<L> {
    let zero = _mm512_setzero_si512();
    reduce(&mut [*x, [zero; L]], n, inverse, zero)
}

#[target_feature(enable = "avx512f,avx512ifma")]
fn one<const L: usize>() -> Wide<L> {
    let mut one = [_mm512_setzero_si512(); L];
    one[0] = _mm512_set1_epi64(1);
    one
}

/// Lanes in which both are the same.
#[target_feature(enable = "avx512f,avx512ifma")]
fn equal<const L: usize>(a: &Wide<L>, b: &Wide<L>) -> u8 {
    a.iter().zip(b).fold(0xff, |equal, (a, b)| equal & _mm512_cmpeq_epi64_mask(*a, *b))
}

const MASK: i64 = (1 << 52) - 1;
