//! Four lanes with AVX2, or two with SSE2, which every x86-64 processor has. Their multiplier takes 32 bits; limbs have 27,
//! so that all products of a column, 304 of them with 4096 bits, are added before there is a carry.
//! Knows no modulus.

/// Bits of a limb.
pub const WIDTH: usize = 27;

const MASK: u64 = (1 << WIDTH) - 1;

/// Columns that rows reach beyond their limbs.
const UPPER: usize = 3;

/// What both have, with these instructions.
macro_rules! products {
    ($features:literal, $multiply:ident, $add:ident, $and:ident, $right:ident, $set:ident, $zero:ident) => {
        #[inline]
        #[target_feature(enable = $features)]
        fn rows(columns: &mut [V], factors: [V; BLOCK], limbs: &[V], mut upper: [V; UPPER]) -> [V; UPPER] {
            for (columns, limbs) in columns.as_chunks_mut::<BLOCK>().0.iter_mut().zip(limbs.as_chunks::<BLOCK>().0) {
                let mut sums = sums(columns, upper);
                for (place, &limb) in limbs.iter().enumerate() {
                    add_products(&mut sums[place..], limb, factors);
                }
                columns.copy_from_slice(&sums[..BLOCK]);
                upper = [sums[4], sums[5], sums[6]];
            }
            upper
        }

        #[inline]
        #[target_feature(enable = $features)]
        fn sums(columns: &[V], upper: [V; UPPER]) -> [V; BLOCK + UPPER] {
            let [u0, u1, u2] = upper;
            [$add(columns[0], u0), $add(columns[1], u1), $add(columns[2], u2), columns[3], $zero(), $zero(), $zero()]
        }

        #[inline]
        #[target_feature(enable = $features)]
        fn add_products(sums: &mut [V], limb: V, factors: [V; BLOCK]) {
            for (sum, factor) in sums.iter_mut().zip(factors) {
                *sum = $add(*sum, $multiply(factor, limb));
            }
        }

        #[inline]
        #[target_feature(enable = $features)]
        fn square_rows(columns: &mut [V], limbs: &[V]) {
            let [a, b, c, d] = [limbs[0], limbs[1], limbs[2], limbs[3]];
            // products of different limbs stand twice in a square
            let twice = [$add(a, a), $add(b, b), $add(c, c), $add(d, d)];
            let mut sums = sums(columns, [$zero(); UPPER]);
            let products = [
                (0, a, a),
                (1, twice[0], b),
                (2, twice[0], c),
                (2, b, b),
                (3, twice[0], d),
                (3, twice[1], c),
                (4, twice[1], d),
                (4, c, c),
                (5, twice[2], d),
                (6, d, d),
            ];
            for (place, x, y) in products {
                sums[place] = $add(sums[place], $multiply(x, y));
            }
            columns[..BLOCK].copy_from_slice(&sums[..BLOCK]);
            add_rows(&mut columns[BLOCK..], twice, &limbs[BLOCK..], [sums[4], sums[5], sums[6]]);
        }

        #[inline]
        #[target_feature(enable = $features)]
        fn multiples(columns: &[V], n: &[V], inverse: V) -> ([V; BLOCK], [V; UPPER]) {
            let mut sums = sums(columns, [$zero(); UPPER]);
            let mut factors = [$zero(); BLOCK];
            for place in 0..BLOCK {
                factors[place] = $and($multiply(sums[place], inverse), $set(MASK.cast_signed()));
                add_products(&mut sums[place..], factors[place], [n[0], n[1], n[2], n[3]]);
                sums[place + 1] = $add(sums[place + 1], $right::<27>(sums[place]));
            }
            (factors, [sums[4], sums[5], sums[6]])
        }

        #[target_feature(enable = $features)]
        fn multiplications(count: u64) -> u8 {
            // not known when this is compiled: a product of constants is none
            let factor = $set(black_box(MASK.cast_signed()));
            // more than are under way at once, and none like another
            let mut products: [_; 12] = std::array::from_fn(|place| $set((place as u64).cast_signed()));
            for _ in 0..count / 12 {
                // of the upper half, so that all of the product is wanted
                products = products.map(|product| $right::<27>($multiply(product, factor)));
            }
            zeros(products.into_iter().fold(factor, |sum, product| $add(sum, product)))
        }
    };
}

pub mod avx2 {
    //! Four lanes.

    use std::{
        arch::x86_64::{
            __m256i, _mm256_add_epi64, _mm256_and_si256, _mm256_castsi256_pd, _mm256_cmpeq_epi64, _mm256_movemask_pd,
            _mm256_mul_epu32, _mm256_or_si256, _mm256_set1_epi64x, _mm256_set_epi64x, _mm256_setzero_si256,
            _mm256_srl_epi64, _mm256_srli_epi64, _mm256_sub_epi64, _mm256_xor_si256, _mm_cvtsi64_si128,
        },
        hint::black_box,
    };

    use super::{
        super::{functions, Limbs, Question, BLOCK},
        MASK, UPPER, WIDTH,
    };
    use crate::number;

    type V = __m256i;

    /// Numbers at once.
    pub const LANES: usize = 4;

    functions!(
        "avx2",
        _mm256_add_epi64,
        _mm256_sub_epi64,
        _mm256_and_si256,
        _mm256_or_si256,
        _mm256_xor_si256,
        _mm256_srli_epi64,
        _mm256_srl_epi64,
        _mm256_set1_epi64x,
        _mm256_setzero_si256,
        27
    );

    products!(
        "avx2",
        _mm256_mul_epu32,
        _mm256_add_epi64,
        _mm256_and_si256,
        _mm256_srli_epi64,
        _mm256_set1_epi64x,
        _mm256_setzero_si256
    );

    #[target_feature(enable = "avx2")]
    fn lanes(of: impl Fn(usize) -> u64) -> V {
        let of = |lane| of(lane).cast_signed();
        _mm256_set_epi64x(of(3), of(2), of(1), of(0))
    }

    #[target_feature(enable = "avx2")]
    fn zeros(v: V) -> u8 {
        let zero = _mm256_cmpeq_epi64(v, _mm256_setzero_si256());
        _mm256_movemask_pd(_mm256_castsi256_pd(zero)).to_le_bytes()[0]
    }
}

pub mod sse2 {
    //! Two lanes.

    use std::{
        arch::x86_64::{
            __m128i, _mm_add_epi64, _mm_and_si128, _mm_cvtsi128_si64, _mm_cvtsi64_si128, _mm_mul_epu32, _mm_or_si128,
            _mm_set1_epi64x, _mm_set_epi64x, _mm_setzero_si128, _mm_srl_epi64, _mm_srli_epi64, _mm_sub_epi64,
            _mm_unpackhi_epi64, _mm_xor_si128,
        },
        hint::black_box,
    };

    use super::{
        super::{functions, Limbs, Question, BLOCK},
        MASK, UPPER, WIDTH,
    };
    use crate::number;

    type V = __m128i;

    /// Numbers at once.
    pub const LANES: usize = 2;

    functions!(
        "sse2",
        _mm_add_epi64,
        _mm_sub_epi64,
        _mm_and_si128,
        _mm_or_si128,
        _mm_xor_si128,
        _mm_srli_epi64,
        _mm_srl_epi64,
        _mm_set1_epi64x,
        _mm_setzero_si128,
        27
    );

    products!("sse2", _mm_mul_epu32, _mm_add_epi64, _mm_and_si128, _mm_srli_epi64, _mm_set1_epi64x, _mm_setzero_si128);

    #[target_feature(enable = "sse2")]
    fn lanes(of: impl Fn(usize) -> u64) -> V {
        _mm_set_epi64x(of(1).cast_signed(), of(0).cast_signed())
    }

    #[target_feature(enable = "sse2")]
    fn zeros(v: V) -> u8 {
        let halves = [v, _mm_unpackhi_epi64(v, v)].map(|half| u8::from(_mm_cvtsi128_si64(half) == 0));
        halves[0] | halves[1] << 1
    }
}
