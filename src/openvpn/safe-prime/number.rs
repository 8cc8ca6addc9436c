//! Natural numbers of a fixed length, as little of their arithmetic as a search needs.
//! Knows no modulus but as a number to compare with.

/// A number of `N` limbs of 64 bits, the least first.
pub type Number<const N: usize> = [u64; N];

/// The number that the bytes are, the least first.
pub(crate) fn from_bytes<const N: usize>(bytes: &[u8]) -> Number<N> {
    let (limbs, _) = bytes.as_chunks();
    std::array::from_fn(|place| limbs.get(place).map_or(0, |limb| u64::from_le_bytes(*limb)))
}

/// The bytes of a number, the greatest first.
pub(crate) fn to_bytes<const N: usize>(number: &Number<N>) -> Vec<u8> {
    number.iter().rev().flat_map(|limb| limb.to_be_bytes()).collect()
}

/// number + small, mod 2^(64 N).
pub(crate) fn plus_small<const N: usize>(number: &Number<N>, small: u64) -> Number<N> {
    let mut carry = small;
    number.map(|limb| {
        let (sum, over) = limb.overflowing_add(carry);
        carry = u64::from(over);
        sum
    })
}

/// 2 number + 1, mod 2^(64 N).
pub(crate) fn twice_plus_one<const N: usize>(number: &Number<N>) -> Number<N> {
    let mut carry = 1;
    number.map(|limb| {
        let twice = (limb << 1) | carry;
        carry = limb >> 63;
        twice
    })
}

/// a - b, mod 2^(64 N).
pub(crate) fn minus<const N: usize>(a: &Number<N>, b: &Number<N>) -> Number<N> {
    let mut borrow = false;
    std::array::from_fn(|place| {
        let (difference, first) = a[place].overflowing_sub(b[place]);
        let (difference, second) = difference.overflowing_sub(u64::from(borrow));
        borrow = first || second;
        difference
    })
}

/// Whether a < b.
pub(crate) fn below<const N: usize>(a: &Number<N>, b: &Number<N>) -> bool {
    a.iter().rev().lt(b.iter().rev())
}

/// Whether the bit that stands for 2^place is set; none is beyond the end.
pub(crate) fn bit<const N: usize>(number: &Number<N>, place: usize) -> bool {
    place < 64 * N && number[place / 64] >> (place % 64) & 1 == 1
}

/// -1/n mod 2^64, for an odd n.
pub(crate) fn negative_inverse(n: u64) -> u64 {
    // each step of Newton's iteration doubles the number of right bits, 3 to begin with
    (0..5).fold(n, |x, _| x.wrapping_mul(2u64.wrapping_sub(n.wrapping_mul(x)))).wrapping_neg()
}

/// 2^e mod n, for an n above 2^(64 N - 2) and an e of at least 64 N - 2.
pub(crate) fn power_of_two<const N: usize>(e: usize, n: &Number<N>) -> Number<N> {
    let known = 64 * N - 2;
    let mut power = [0; N];
    power[N - 1] = 1 << 62;
    (known..e).for_each(|_| double(&mut power, n));
    power
}

/// 2 x mod n, for an x below n.
pub(crate) fn double<const N: usize>(x: &mut Number<N>, n: &Number<N>) {
    let over = bit(x, 64 * N - 1);
    for place in (1..N).rev() {
        x[place] = (x[place] << 1) | (x[place - 1] >> 63);
    }
    x[0] <<= 1;
    if over || !below(x, n) {
        *x = minus(x, n);
    }
}

/// The remainder by a small number.
pub(crate) fn remainder<const N: usize>(number: &Number<N>, divisor: u64) -> u64 {
    let divisor = u128::from(divisor);
    let rest = number.iter().rev().fold(0, |rest: u128, &limb| ((rest << 64) | u128::from(limb)) % divisor);
    low(rest)
}

/// A count, to reckon with.
pub(crate) fn real(count: usize) -> f64 {
    f64::from(u32::try_from(count).expect("nobody counts that far here"))
}

/// The lower half.
pub(crate) fn low(wide: u128) -> u64 {
    u64::try_from(wide & u128::from(u64::MAX)).expect("64 bits fit")
}

/// The upper half.
pub(crate) fn high(wide: u128) -> u64 {
    u64::try_from(wide >> 64).expect("64 bits fit")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sample::wide;

    fn number(wide: u128) -> Number<2> {
        [low(wide), high(wide)]
    }

    proptest! {
        #[test]
        fn two_limbs_reckon_as_128_bits_do(a: u128, b: u128, small: u64, place in 0usize..200) {
            prop_assert_eq!(wide(plus_small(&number(a), small)), a.wrapping_add(small.into()));
            prop_assert_eq!(wide(twice_plus_one(&number(a))), (a << 1) | 1);
            prop_assert_eq!(wide(minus(&number(a), &number(b))), a.wrapping_sub(b));
            prop_assert_eq!(below(&number(a), &number(b)), a < b);
            prop_assert_eq!(bit(&number(a), place), place < 128 && a >> place & 1 == 1);
            prop_assert_eq!(u128::from(remainder(&number(a), small | 1)), a % u128::from(small | 1));
            prop_assert_eq!(from_bytes(&a.to_le_bytes()), number(a));
            prop_assert_eq!(to_bytes(&number(a)), a.to_be_bytes());
        }

        #[test]
        fn powers_of_two_are_remainders(n: u128, more in 0u32..2) {
            let n = n | 1 | 1 << 126;
            let (mut doubled, n) = (wide(power_of_two(126, &number(n))), n);
            prop_assert_eq!(doubled, (1 << 126) % n);
            for _ in 0..more {
                doubled = if doubled >= n - doubled { doubled - (n - doubled) } else { 2 * doubled };
            }
            prop_assert_eq!(wide(power_of_two(126 + more as usize, &number(n))), doubled);
        }
    }
}
