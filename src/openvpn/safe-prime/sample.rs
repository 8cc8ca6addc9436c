//! Numbers for tests: known ones, and such as look random and are the same every time.
//! Knows no arithmetic but that of 128 bits.

use super::number::Number;

/// The primes of RFC 7919, appendix A, with 2048, 3072 and 4096 bits; `safe` ones, and 23 mod 24.
pub fn ffdhe<const N: usize>() -> Number<N> {
    let line = include_str!("ffdhe.txt").lines().find(|line| line.len() == 16 * N).expect("a group of this length");
    std::array::from_fn(|place| {
        let end = line.len() - 16 * place;
        u64::from_str_radix(&line[end - 16..end], 16).expect("a limb")
    })
}

/// p (4p - 3) with both prime: passes Fermat's test with base 2, and a third of the rounds of Miller and Rabin.
pub const PSEUDOPRIME: Number<2> = [0xfd48_bcaa_a3cc_7493, 0x9219_35bf_f43b_3508];

/// A stream that follows from its seed (Steele, Lea and Flood 2014, `SplitMix64`).
pub struct Stream(pub u64);

impl Stream {
    pub fn limb(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    pub fn number<const N: usize>(&mut self) -> Number<N> {
        std::array::from_fn(|_| self.limb())
    }
}

/// The same as a search takes its randomness.
pub fn random(seed: u64) -> impl FnMut(&mut [u8]) -> Option<()> {
    let mut stream = Stream(seed);
    move |bytes| {
        bytes.fill_with(|| stream.limb().to_le_bytes()[0]);
        Some(())
    }
}

pub fn wide(number: Number<2>) -> u128 {
    u128::from(number[1]) << 64 | u128::from(number[0])
}

/// base^exponent mod n, bit by bit with nothing but additions.
pub fn power(base: u128, exponent: u128, n: u128) -> u128 {
    let times = |a: u128, b: u128| {
        (0..128).rev().fold(0, |sum, place| {
            let doubled = plus(sum, sum, n);
            if b >> place & 1 == 1 {
                plus(doubled, a, n)
            } else {
                doubled
            }
        })
    };
    (0..128).rev().fold(1, |power, place| {
        let square = times(power, power);
        if exponent >> place & 1 == 1 {
            times(square, base % n)
        } else {
            square
        }
    })
}

fn plus(a: u128, b: u128, n: u128) -> u128 {
    let (sum, over) = a.overflowing_add(b);
    if over || sum >= n {
        sum.wrapping_sub(n)
    } else {
        sum
    }
}
