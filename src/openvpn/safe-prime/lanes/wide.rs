//! Eight lanes with AVX-512 IFMA, whose multiplier takes 52 bits and adds the lower or the upper 52 of the product.
//! Knows no modulus.

use std::{
    arch::x86_64::{
        __m512i, _mm512_add_epi64, _mm512_and_si512, _mm512_cmpeq_epi64_mask, _mm512_madd52hi_epu64,
        _mm512_madd52lo_epu64, _mm512_or_si512, _mm512_set1_epi64, _mm512_set_epi64, _mm512_setzero_si512,
        _mm512_srl_epi64, _mm512_srli_epi64, _mm512_sub_epi64, _mm512_xor_si512, _mm_cvtsi64_si128,
    },
    array::from_fn,
    hint::black_box,
};

use super::{functions, Limbs, Question, BLOCK};
use crate::number;

type V = __m512i;

/// Numbers at once.
pub const LANES: usize = 8;

/// Bits of a limb.
pub const WIDTH: usize = 52;

const MASK: u64 = (1 << WIDTH) - 1;

/// Columns that rows reach beyond their limbs.
const UPPER: usize = 4;

functions!(
    "avx512f,avx512ifma",
    _mm512_add_epi64,
    _mm512_sub_epi64,
    _mm512_and_si512,
    _mm512_or_si512,
    _mm512_xor_si512,
    _mm512_srli_epi64,
    _mm512_srl_epi64,
    _mm512_set1_epi64,
    _mm512_setzero_si512,
    52
);

#[target_feature(enable = "avx512f,avx512ifma")]
fn lanes(of: impl Fn(usize) -> u64) -> V {
    let of = |lane| of(lane).cast_signed();
    _mm512_set_epi64(of(7), of(6), of(5), of(4), of(3), of(2), of(1), of(0))
}

#[target_feature(enable = "avx512f,avx512ifma")]
fn zeros(v: V) -> u8 {
    _mm512_cmpeq_epi64_mask(v, _mm512_setzero_si512())
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn rows(columns: &mut [V], factors: [V; BLOCK], limbs: &[V], mut upper: [V; UPPER]) -> [V; UPPER] {
    for (columns, limbs) in columns.as_chunks_mut::<BLOCK>().0.iter_mut().zip(limbs.as_chunks::<BLOCK>().0) {
        let mut sums = sums(columns, upper);
        for (place, &limb) in limbs.iter().enumerate() {
            add_products(&mut sums[place..], limb, factors);
        }
        columns.copy_from_slice(&sums[..BLOCK]);
        upper = [sums[4], sums[5], sums[6], sums[7]];
    }
    upper
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn sums(columns: &[V], upper: [V; UPPER]) -> [V; BLOCK + UPPER] {
    let mut sums = [_mm512_setzero_si512(); BLOCK + UPPER];
    for (sum, (&column, upper)) in sums.iter_mut().zip(columns.iter().zip(upper)) {
        *sum = _mm512_add_epi64(column, upper);
    }
    sums
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn add_products(sums: &mut [V], limb: V, factors: [V; BLOCK]) {
    for (place, factor) in factors.into_iter().enumerate() {
        sums[place] = _mm512_madd52lo_epu64(sums[place], factor, limb);
        sums[place + 1] = _mm512_madd52hi_epu64(sums[place + 1], factor, limb);
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn square_rows(columns: &mut [V], limbs: &[V]) {
    let [a, b, c, d] = [limbs[0], limbs[1], limbs[2], limbs[3]];
    let mut sums = sums(&columns[..BLOCK], [_mm512_setzero_si512(); UPPER]);
    for (place, x, y) in [(1, a, b), (2, a, c), (3, a, d), (3, b, c), (4, b, d), (5, c, d)] {
        sums[place] = _mm512_madd52lo_epu64(sums[place], x, y);
        sums[place + 1] = _mm512_madd52hi_epu64(sums[place + 1], x, y);
    }
    columns[..BLOCK].copy_from_slice(&sums[..BLOCK]);
    add_rows(&mut columns[BLOCK..], [a, b, c, d], &limbs[BLOCK..], [sums[4], sums[5], sums[6], sums[7]]);
    // no later row reaches these columns
    for (pair, limb) in columns.as_chunks_mut::<2>().0.iter_mut().zip([a, b, c, d]) {
        // products of different limbs stand twice in a square
        pair[0] = _mm512_madd52lo_epu64(_mm512_add_epi64(pair[0], pair[0]), limb, limb);
        pair[1] = _mm512_madd52hi_epu64(_mm512_add_epi64(pair[1], pair[1]), limb, limb);
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn multiples(columns: &[V], n: &[V], inverse: V) -> ([V; BLOCK], [V; UPPER]) {
    let zero = _mm512_setzero_si512();
    let mut sums = sums(columns, [zero; UPPER]);
    let mut factors = [zero; BLOCK];
    for place in 0..BLOCK {
        factors[place] = _mm512_madd52lo_epu64(zero, sums[place], inverse);
        add_products(&mut sums[place..], factors[place], [n[0], n[1], n[2], n[3]]);
        sums[place + 1] = _mm512_add_epi64(sums[place + 1], _mm512_srli_epi64::<52>(sums[place]));
    }
    (factors, [sums[4], sums[5], sums[6], sums[7]])
}

#[target_feature(enable = "avx512f,avx512ifma")]
fn multiplications(count: u64) -> u8 {
    // not known when this is compiled: a product of constants is none
    let factor = _mm512_set1_epi64(black_box(MASK.cast_signed()));
    // more sums than multiplications under way, and none like another
    let mut sums: [_; 16] = from_fn(|place| _mm512_set1_epi64((place as u64).cast_signed()));
    for _ in 0..count / 16 {
        sums = sums.map(|sum| _mm512_madd52lo_epu64(sum, factor, factor));
    }
    sums.iter().fold(0, |answer, sum| answer | _mm512_cmpeq_epi64_mask(*sum, factor))
}
