//! What the search for Diffie-Hellman parameters costs on one thread: `dh measure [BITS]` in parts, `dh search N PATH [BITS]`
//! whole. Each prints one JSON object. Under plain `cargo bench` it has nothing to do.
//!
//! Of `measure`: `bits`, `candidates_per_hit`, and `paths`, an object for each arithmetic that this processor has, under its
//! name, which is the PATH of `search`:
//! - `at_once`: how many numbers are tested at once
//! - `depth`, `left`: where the sieve ends, and the part of the candidates that it leaves
//! - `tests`: Fermat tests that a search takes on the average, those of p included; `windows`: how often it sieves
//! - `test_ms`: one test; `sieve_ms`: the sieve of a window; `rounds_ms`: the 64 rounds of Miller and Rabin
//! - `limit_ms`: what a test's multiplications alone take, out of registers; null of `portable`
//!
//! A whole search takes `tests` of `test_ms`, `windows` of `sieve_ms` and once `rounds_ms` on the average.
//!
//! Of `search`: `bits`, `searches`, `tested` and `seconds`, which are the means, `tested_error` and `seconds_error`, their
//! standard errors, and `tested_expected`.
//!
//! Times are the least of several runs: other processes only add to them.

use std::{
    error::Error,
    hint::black_box,
    num::NonZeroUsize,
    time::{Duration, Instant},
};

use safe_prime::{
    arithmetic::{Arithmetic, Vector},
    search::{depth, expected_tests, search, Length, Means, ROUNDS, WINDOW},
    sieve,
};
use serde_json::{json, Map, Value};
use vpnpki::world::World;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let printed = match words[..] {
        ["measure", ref bits @ ..] => match length(bits)? {
            Length::Bits2048 => measured::<32>(Length::Bits2048),
            Length::Bits3072 => measured::<48>(Length::Bits3072),
            Length::Bits4096 => measured::<64>(Length::Bits4096),
        },
        ["search", count, path, ref bits @ ..] => searched(count.parse()?, arithmetic(path)?, length(bits)?)?,
        _ => {
            println!("usage: dh measure [BITS] | dh search N PATH [BITS]");
            return Ok(());
        }
    };
    println!("{printed}");
    Ok(())
}

fn length(words: &[&str]) -> Result<Length, String> {
    let all = [Length::Bits2048, Length::Bits3072, Length::Bits4096];
    let Some(bits) = words.first() else { return Ok(all[0]) };
    all.into_iter().find(|length| length.bits().to_string() == **bits).ok_or_else(|| format!("no length: {bits}"))
}

fn arithmetic(path: &str) -> Result<Arithmetic, String> {
    let named = |arithmetic: &Arithmetic| arithmetic.to_string() == path;
    Arithmetic::all().into_iter().find(named).ok_or_else(|| format!("not on this processor: {path}"))
}

fn measured<const N: usize>(length: Length) -> Value {
    let path = |arithmetic: Arithmetic| (arithmetic.to_string(), parts::<N>(length, arithmetic));
    json!({
        "bits": length.bits(),
        "candidates_per_hit": expected_tests(length.bits(), 1.0),
        "paths": Arithmetic::all().into_iter().map(path).collect::<Map<_, _>>(),
    })
}

fn parts<const N: usize>(length: Length, arithmetic: Arithmetic) -> Value {
    let depth = depth(length, arithmetic);
    let numbers: Vec<[u64; N]> = (0..arithmetic.width()).map(|_| odd()).collect();
    let bases = vec![numbers[0].map(|limb| limb >> 2); numbers.len()];
    let n = numbers[0].map(|limb| limb | 3);
    let test = milliseconds(least(RUNS, || arithmetic.fermat(&numbers))) / real(numbers.len());
    let rounds = milliseconds(least(RUNS, || arithmetic.rounds(&n, &bases))) * real(ROUNDS / bases.len());
    let limit = |vector: Vector| milliseconds(least(RUNS, || vector.multiplications(length.bits())));
    let limit = match arithmetic {
        Arithmetic::Vector(vector) => json!(limit(vector) / real(numbers.len())),
        Arithmetic::Portable => Value::Null,
    };
    let left = sieve::survivors(&numbers[0], WINDOW, depth, 1);
    let candidates = expected_tests(length.bits(), left.part);
    // the part of what the sieve leaves that is prime (Mertens 1874): each has its p tested too
    let prime = 1.781_07 * f64::from(depth).ln() / (real(length.bits()) * std::f64::consts::LN_2);
    json!({
        "at_once": numbers.len(),
        "depth": depth,
        "left": left.part,
        "tests": candidates * (1.0 + prime),
        // a window without a hit is followed by another
        "windows": 1.0 / (1.0 - (-real(left.places.len()) / candidates).exp()),
        "test_ms": test,
        "sieve_ms": milliseconds(least(FEW_RUNS, || sieve::survivors(&numbers[0], WINDOW, depth, 1))),
        "rounds_ms": rounds,
        "limit_ms": limit,
    })
}

fn searched(count: u32, arithmetic: Arithmetic, length: Length) -> Result<Value, Box<dyn Error>> {
    let (world, means) = (World::real(), Means { arithmetic, cores: NonZeroUsize::MIN });
    let (mut tested, mut seconds) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let begin = Instant::now();
        let found = search(length, means, &mut |bytes| world.fill(bytes).ok(), &|_| ()).ok_or("no randomness")?;
        seconds.push(begin.elapsed().as_secs_f64());
        tested.push(real(usize::try_from(found.tested)?));
    }
    let start: [u64; 32] = odd();
    let left = sieve::survivors(&start, WINDOW, depth(length, arithmetic), 1).part;
    let ((tested, tested_error), (seconds, seconds_error)) = (mean(&tested), mean(&seconds));
    Ok(json!({
        "bits": length.bits(),
        "searches": count,
        "tested": tested,
        "tested_error": tested_error,
        "tested_expected": expected_tests(length.bits(), left),
        "seconds": seconds,
        "seconds_error": seconds_error,
    }))
}

/// The mean and its standard error.
fn mean(values: &[f64]) -> (f64, f64) {
    let count = real(values.len());
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
    (mean, (variance / count).sqrt())
}

/// A random odd number with its highest bit set.
fn odd<const N: usize>() -> [u64; N] {
    let mut number: [u64; N] = std::array::from_fn(|_| u64::from_le_bytes(World::real().random().expect("randomness")));
    number[0] |= 1;
    number[N - 1] |= 1 << 63;
    number
}

fn least<T>(runs: usize, mut work: impl FnMut() -> T) -> Duration {
    let mut once = || {
        let begin = Instant::now();
        black_box(work());
        begin.elapsed()
    };
    (0..runs).map(|_| once()).min().expect("a run")
}

fn real(count: usize) -> f64 {
    f64::from(u32::try_from(count).expect("a small count"))
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

const RUNS: usize = 60;

/// Of a sieve, which takes longer.
const FEW_RUNS: usize = 3;
