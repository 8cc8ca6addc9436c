//! What the search for Diffie-Hellman parameters costs: `dh measure [BITS]` in parts, `dh search N vector|portable [BITS]`
//! whole, on one thread. Each prints one JSON object. Under plain `cargo bench` it has nothing to do.
//!
//! Of `measure`: `bits`, `candidates_per_hit`, and for `vector` (null where the processor cannot) and `portable` an object:
//! - `depth`, `left`: where the sieve ends, and the part of the candidates that it leaves
//! - `tests`: Fermat tests that a search takes on the average, those of p included
//! - `test_ms`: one of them; `sieve_ms`: the sieve of a window; `rounds_ms`: the 64 rounds of Miller and Rabin
//! - `expected_s`: seconds of a whole search on one core, on the average
//! - `limit_ms`, `of_limit`, only of `vector`: what a test's multiplications alone take, out of registers, and the part of
//!   `test_ms` that this is
//!
//! Of `search`: `bits`, `arithmetic` (both null where it is not to be had), `searches`, `tested` and `seconds`, which are the
//! means, `tested_error` and `seconds_error`, their standard errors, and `tested_expected`.
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
use serde_json::{json, Value};
use vpnpki::world::World;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let printed = match words[..] {
        ["measure", ref bits @ ..] => match length(bits)? {
            Length::Bits2048 => measured::<32, 40>(Length::Bits2048),
            Length::Bits3072 => measured::<48, 60>(Length::Bits3072),
            Length::Bits4096 => measured::<64, 80>(Length::Bits4096),
        },
        ["search", count, arithmetic, ref bits @ ..] => searched(count.parse()?, arithmetic, length(bits)?)?,
        _ => {
            println!("usage: dh measure [BITS] | dh search N vector|portable [BITS]");
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

fn measured<const N: usize, const L: usize>(length: Length) -> Value {
    let vector = Vector::detect().map(|vector| {
        let mut parts = parts::<N, L>(length, Arithmetic::Vector(vector));
        let limit = milliseconds(least(|| vector.multiplications::<N, L>())) / 8.0;
        parts["limit_ms"] = json!(limit);
        parts["of_limit"] = json!(limit / parts["test_ms"].as_f64().expect("a time"));
        parts
    });
    json!({
        "bits": length.bits(),
        "candidates_per_hit": expected_tests(length.bits(), 1.0),
        "vector": vector,
        "portable": parts::<N, L>(length, Arithmetic::Portable),
    })
}

fn parts<const N: usize, const L: usize>(length: Length, arithmetic: Arithmetic) -> Value {
    let depth = depth(length, arithmetic);
    let numbers: Vec<[u64; N]> = (0..arithmetic.width()).map(|_| odd()).collect();
    let bases = [numbers[0].map(|limb| limb >> 2); ROUNDS];
    let n = numbers[0].map(|limb| limb | 3);
    let test = milliseconds(least(|| arithmetic.fermat::<N, L>(&numbers))) / real(numbers.len());
    let round = || bases.chunks(arithmetic.width()).filter(|few| arithmetic.rounds::<N, L>(&n, few)).count();
    let rounds = milliseconds(least(round));
    let sieve = milliseconds(least(|| sieve::survivors(&numbers[0], WINDOW, depth, 1)));
    let left = sieve::survivors(&numbers[0], WINDOW, depth, 1);
    let window = real(left.places.len());
    let left = left.part;
    let candidates = expected_tests(length.bits(), left);
    // the part of what the sieve leaves that is prime (Mertens 1874): each has its p tested too
    let prime = 1.781_07 * f64::from(depth).ln() / (real(length.bits()) * std::f64::consts::LN_2);
    let tests = candidates * (1.0 + prime);
    // a window without a hit is followed by another
    let windows = 1.0 / (1.0 - (-window / candidates).exp());
    json!({
        "depth": depth,
        "left": left,
        "tests": tests,
        "test_ms": test,
        "sieve_ms": sieve,
        "rounds_ms": rounds,
        "expected_s": (tests * test + windows * sieve + rounds) / 1000.0,
    })
}

fn searched(count: u32, arithmetic: &str, length: Length) -> Result<Value, Box<dyn Error>> {
    let arithmetic = match arithmetic {
        "portable" => Some(Arithmetic::Portable),
        "vector" => Vector::detect().map(Arithmetic::Vector),
        other => return Err(format!("no arithmetic: {other}").into()),
    };
    let Some(arithmetic) = arithmetic else { return Ok(json!({ "bits": null, "arithmetic": null })) };
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
        "arithmetic": arithmetic.to_string(),
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

fn least<T>(mut work: impl FnMut() -> T) -> Duration {
    let once = |work: &mut dyn FnMut() -> T| {
        let begin = Instant::now();
        black_box(work());
        begin.elapsed()
    };
    (0..RUNS).map(|_| once(&mut work)).min().expect("a run")
}

fn real(count: usize) -> f64 {
    f64::from(u32::try_from(count).expect("a small count"))
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

const RUNS: usize = 15;
