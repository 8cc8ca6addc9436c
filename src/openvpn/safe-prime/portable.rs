//! Arithmetic modulo an odd number of `N` limbs of 64 bits, by Montgomery's method, on any processor.
//! Knows no prime and no search.

use super::number::{below, bit, double, high, low, minus, negative_inverse, power_of_two, Number};

/// An odd number to reckon by, above 2^(64 N - 2).
pub struct Modulus<const N: usize> {
    n: Number<N>,
    /// -1/n mod 2^64
    inverse: u64,
    /// 2^(64 N) mod n: what 1 is here
    one: Number<N>,
}

impl<const N: usize> Modulus<N> {
    /// Of an odd number with its highest or second highest bit set.
    pub fn new(n: &Number<N>) -> Self {
        Self { n: *n, inverse: negative_inverse(n[0]), one: power_of_two(64 * N, n) }
    }

    /// Fermat's test with base 2: whether 2^(n-1) = 1.
    pub fn passes_fermat(&self) -> bool {
        let mut x = self.one;
        for place in (0..64 * N).rev() {
            x = self.square(&x);
            // n is odd, so n - 1 has the same bits but for the last
            if place > 0 && bit(&self.n, place) {
                double(&mut x, &self.n);
            }
        }
        x == self.one
    }

    /// A round of Miller and Rabin for n = 3 mod 4: whether base^((n-1)/2) is 1 or -1. The base is below n and stands as
    /// 2^(64 N) base mod n, which makes no random one less random.
    pub fn passes_round(&self, base: &Number<N>) -> bool {
        let mut powers = [self.one; 1 << WINDOW];
        for place in 1..powers.len() {
            powers[place] = self.multiply(&powers[place - 1], base);
        }
        let mut x = self.one;
        for digit in digits(&self.n) {
            for _ in 0..WINDOW {
                x = self.square(&x);
            }
            x = self.multiply(&x, &powers[digit]);
        }
        x == self.one || x == minus(&self.n, &self.one)
    }

    fn square(&self, x: &Number<N>) -> Number<N> {
        let mut halves = [[0; N]; 2];
        let columns = halves.as_flattened_mut();
        for i in (0..N).step_by(2) {
            let sum = u128::from(x[i]) * u128::from(x[i + 1]) + u128::from(columns[2 * i + 1]);
            columns[2 * i + 1] = low(sum);
            add_rows(&mut columns[2 * i + 2..i + N + 2], [x[i], x[i + 1]], &x[i + 2..], 0, [high(sum), 0]);
        }
        let (mut shifted, mut carry) = (0, 0);
        for (pair, &limb) in columns.chunks_exact_mut(2).zip(x) {
            // products of different limbs stand twice in a square
            let own = u128::from(limb) * u128::from(limb);
            let twice = (u128::from(pair[1]) << 65) | (u128::from(pair[0]) << 1) | shifted;
            shifted = u128::from(pair[1] >> 63);
            let (sum, over) = twice.overflowing_add(own);
            let (sum, again) = sum.overflowing_add(carry);
            carry = u128::from(over) + u128::from(again);
            pair[0] = low(sum);
            pair[1] = high(sum);
        }
        self.reduce(&mut halves)
    }

    fn multiply(&self, x: &Number<N>, y: &Number<N>) -> Number<N> {
        let mut halves = [[0; N]; 2];
        let columns = halves.as_flattened_mut();
        for i in (0..N).step_by(2) {
            add_rows(&mut columns[i..i + N + 2], [x[i], x[i + 1]], y, 0, [0, 0]);
        }
        self.reduce(&mut halves)
    }

    /// The columns divided by 2^(64 N) mod n.
    fn reduce(&self, halves: &mut [Number<N>; 2]) -> Number<N> {
        let n = &self.n;
        let columns = halves.as_flattened_mut();
        let mut over = false;
        for i in (0..N).step_by(2) {
            // the multiples of n with which this column and the next vanish
            let first = columns[i].wrapping_mul(self.inverse);
            let sum = u128::from(first) * u128::from(n[0]) + u128::from(columns[i]);
            let sum = u128::from(first) * u128::from(n[1]) + u128::from(columns[i + 1]) + u128::from(high(sum));
            let second = low(sum).wrapping_mul(self.inverse);
            let next = u128::from(second) * u128::from(n[0]) + u128::from(low(sum));
            let carries = [high(sum), high(next)];
            over = add_rows_over(&mut columns[i + 2..i + N + 2], [first, second], &n[2..], n[1], carries, over);
        }
        let result = halves[1];
        if over || !below(&result, n) {
            minus(&result, n)
        } else {
            result
        }
    }
}

fn add_rows(columns: &mut [u64], factors: [u64; 2], limbs: &[u64], before: u64, carries: [u64; 2]) {
    add_rows_over(columns, factors, limbs, before, carries, false);
}

/// Adds two rows of a product, so that a column is loaded once for two products: `limbs` times `factors`, the second one
/// column higher. `before` is the limb before the first.
#[inline(never)]
fn add_rows_over(
    columns: &mut [u64],
    factors: [u64; 2],
    limbs: &[u64],
    before: u64,
    carries: [u64; 2],
    over: bool,
) -> bool {
    let [first, second] = factors.map(u128::from);
    let [mut carry, mut higher] = carries;
    let mut one_back = before;
    let (inner, end) = columns.split_at_mut(limbs.len());
    for (column, &limb) in inner.iter_mut().zip(limbs) {
        let sum = first * u128::from(limb) + u128::from(*column) + u128::from(carry);
        carry = high(sum);
        let sum = second * u128::from(one_back) + u128::from(low(sum)) + u128::from(higher);
        higher = high(sum);
        *column = low(sum);
        one_back = limb;
    }
    // the last product of the second row, with what both rows carry
    let sum = second * u128::from(one_back) + u128::from(carry) + u128::from(higher);
    let here = u128::from(end[0]) + u128::from(low(sum)) + u128::from(over);
    end[0] = low(here);
    let above = u128::from(end[1]) + u128::from(high(sum)) + u128::from(high(here));
    end[1] = low(above);
    high(above) != 0
}

/// (n-1)/2 in digits of `WINDOW` bits, the highest first.
pub fn digits<const N: usize>(n: &Number<N>) -> impl Iterator<Item = usize> + '_ {
    (0..64 * N / WINDOW).rev().map(move |place| {
        let first = place * WINDOW + 1;
        (first..first + WINDOW).rev().fold(0, |digit, place| digit << 1 | usize::from(place < 64 * N && bit(n, place)))
    })
}

/// Bits of the exponent for one multiplication.
pub const WINDOW: usize = 4;
