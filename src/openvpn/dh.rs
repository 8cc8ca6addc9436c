//! Diffie-Hellman parameters: the groups of RFC 7919, computed from the formula that the RFC gives for them, and fresh ones.
//! Knows not how a prime is searched for (`safe-prime`); a server without parameters (`dh none`) uses elliptic curves alone.

use std::{fmt, str::FromStr};

pub use safe_prime::{Arithmetic, Length, Means, Progress};

/// A group of RFC 7919, appendix A.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Group {
    /// 2048 bits.
    Ffdhe2048,
    /// 3072 bits.
    #[default]
    Ffdhe3072,
    /// 4096 bits.
    Ffdhe4096,
}

/// Whether an authority is to have Diffie-Hellman parameters, and which.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DhChoice {
    /// A group that is known beforehand.
    Group(Group),
    /// Fresh ones, which have to be searched for.
    Generate(Length),
    /// `dh none`.
    None,
}

/// A safe prime p, to which 2 is the generator of the group of order (p-1)/2.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Parameters {
    choice: DhChoice,
    prime: Vec<u8>,
}

/// Parameters that were searched for.
#[derive(Debug)]
pub struct Fresh {
    /// The parameters.
    pub parameters: Parameters,
    /// Candidates that were tested beyond the sieve.
    pub tested: u64,
}

impl Parameters {
    /// Searches for fresh ones. `random` fills bytes with random ones; `watch` is told after every few tests.
    ///
    /// # Panics
    /// When the search ends without a prime although there was randomness, which would be a bug.
    pub fn search<E>(
        length: Length,
        means: Means,
        mut random: impl FnMut(&mut [u8]) -> Result<(), E>,
        watch: &(dyn Fn(Progress) + Sync),
    ) -> Result<Fresh, E> {
        let mut fault = Ok(());
        let mut draw = |bytes: &mut [u8]| {
            fault = random(bytes);
            fault.is_ok().then_some(())
        };
        let found = safe_prime::search(length, means, &mut draw, watch);
        fault?;
        let found = found.expect("a search ends with a prime or without randomness");
        let parameters = Self { choice: DhChoice::Generate(length), prime: found.prime };
        Ok(Fresh { parameters, tested: found.tested })
    }

    /// What stands for fresh ones in a rehearsal, of which nothing stays.
    pub fn stand_in(length: Length) -> Self {
        Self { choice: DhChoice::Generate(length), prime: Group::of(length).prime() }
    }

    /// How they were asked for.
    pub fn choice(&self) -> DhChoice {
        self.choice
    }

    /// The parameters as `openssl dhparam` writes them: SEQUENCE { p, INTEGER 2 }.
    pub fn pem(&self) -> String {
        let armour = pem::Pem::new("DH PARAMETERS", self.der());
        pem::encode_config(&armour, pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF))
    }

    fn der(&self) -> Vec<u8> {
        let mut body = integer(&self.prime);
        body.extend(integer(&[2]));
        element(SEQUENCE, &body)
    }
}

impl From<Group> for Parameters {
    fn from(group: Group) -> Self {
        Self { choice: DhChoice::Group(group), prime: group.prime() }
    }
}

impl Group {
    fn of(length: Length) -> Self {
        match length {
            Length::Bits2048 => Self::Ffdhe2048,
            Length::Bits3072 => Self::Ffdhe3072,
            Length::Bits4096 => Self::Ffdhe4096,
        }
    }

    /// p = 2^b - 2^(b-64) + {[2^(b-130) e] + X} * 2^64 - 1, big-endian. The first and the last 64 bits are ones, and
    /// the final -1 borrows from the part between them.
    fn prime(self) -> Vec<u8> {
        let (bits, x) = match self {
            Self::Ffdhe2048 => (2048, 560_316),
            Self::Ffdhe3072 => (3072, 2_625_351),
            Self::Ffdhe4096 => (4096, 5_736_041),
        };
        let mut middle = quarter_of_e((bits - 128) / 32);
        add_small(&mut middle, x - 1);
        let ones = [u32::MAX; 2];
        ones.iter().chain(&middle).chain(&ones).flat_map(|limb| limb.to_be_bytes()).collect()
    }
}

impl Default for DhChoice {
    fn default() -> Self {
        Self::Group(Group::default())
    }
}

impl fmt::Display for DhChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Group(Group::Ffdhe2048) => "ffdhe2048",
            Self::Group(Group::Ffdhe3072) => "ffdhe3072",
            Self::Group(Group::Ffdhe4096) => "ffdhe4096",
            Self::Generate(Length::Bits2048) => "generate:2048",
            Self::Generate(Length::Bits3072) => "generate:3072",
            Self::Generate(Length::Bits4096) => "generate:4096",
            Self::None => "none",
        })
    }
}

impl FromStr for DhChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "generate" {
            return Ok(Self::Generate(Length::default()));
        }
        CHOICES.into_iter().find(|choice| choice.to_string() == text).ok_or_else(|| {
            let shown = crate::name::escape(text);
            format!(
                "`{shown}` are no Diffie-Hellman parameters; there are ffdhe2048, ffdhe3072, ffdhe4096, \
                 generate[:2048|3072|4096] and none"
            )
        })
    }
}

/// The first `limbs` times 32 bits behind the point of e/4, which is the sum of 1/(4 * k!).
fn quarter_of_e(limbs: usize) -> Vec<u32> {
    let mut term = vec![0; limbs + GUARD];
    term[0] = 1 << 30;
    let mut sum = term.clone();
    let mut k = 1;
    while term.iter().any(|&limb| limb != 0) {
        divide(&mut term, k);
        add(&mut sum, &term);
        k += 1;
    }
    sum.truncate(limbs);
    sum
}

fn divide(number: &mut [u32], divisor: u64) {
    let mut rest = 0;
    for limb in number {
        let dividend = (rest << 32) | u64::from(*limb);
        *limb = low_half(dividend / divisor);
        rest = dividend % divisor;
    }
}

fn add(number: &mut [u32], summand: &[u32]) {
    let mut carry = 0;
    for (limb, other) in number.iter_mut().zip(summand).rev() {
        let sum = u64::from(*limb) + u64::from(*other) + carry;
        *limb = low_half(sum);
        carry = sum >> 32;
    }
}

fn add_small(number: &mut [u32], summand: u32) {
    let mut whole = vec![0; number.len()];
    whole[number.len() - 1] = summand;
    add(number, &whole);
}

fn low_half(number: u64) -> u32 {
    u32::try_from(number & u64::from(u32::MAX)).expect("32 bits fit a u32")
}

/// A positive INTEGER: a zero before a first bit that would be a sign (X.690, 8.3).
fn integer(magnitude: &[u8]) -> Vec<u8> {
    let sign: &[u8] = if magnitude[0] >= 0x80 { &[0] } else { &[] };
    element(INTEGER, &[sign, magnitude].concat())
}

fn element(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).expect("no group here has 64 KiB").to_be_bytes();
    let header: &[u8] = match length {
        [0, short @ ..=0x7f] => &[tag, short],
        [0, medium] => &[tag, 0x81, medium],
        [high, low] => &[tag, 0x82, high, low],
    };
    [header, body].concat()
}

const CHOICES: [DhChoice; 7] = [
    DhChoice::Group(Group::Ffdhe2048),
    DhChoice::Group(Group::Ffdhe3072),
    DhChoice::Group(Group::Ffdhe4096),
    DhChoice::Generate(Length::Bits2048),
    DhChoice::Generate(Length::Bits3072),
    DhChoice::Generate(Length::Bits4096),
    DhChoice::None,
];

/// Limbs computed beyond those used: each term is cut off by less than one unit in the last place, and there are far
/// fewer than 2^64 terms.
const GUARD: usize = 2;

const INTEGER: u8 = 0x02;
const SEQUENCE: u8 = 0x30;

#[cfg(test)]
mod tests {
    use super::*;

    fn sha256(bytes: &[u8]) -> String {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
        digest.as_ref().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
    }

    #[test]
    fn the_groups_are_those_that_openssl_knows() {
        // SHA-256 of what `openssl genpkey -genparam -algorithm DH -pkeyopt group:NAME` writes
        for (group, digest) in [
            (Group::Ffdhe2048, "9ba6429597aeed2d8617a7705b56e96d044f64b07971659382e426675105654b"),
            (Group::Ffdhe3072, "c410cc9c4fd85d2c109f7ebe5930ca5304a52927c0ebcb1a11c5cf6b2386bbab"),
            (Group::Ffdhe4096, "64852d6890ff9e62eecd1ee89c72af9af244dfef5b853bcedea3dfd7aade22b3"),
        ] {
            assert_eq!(sha256(Parameters::from(group).pem().as_bytes()), digest, "{group:?}");
        }
    }

    #[test]
    fn the_prime_has_its_length_and_its_ends() {
        for (group, bytes) in [(Group::Ffdhe2048, 256), (Group::Ffdhe3072, 384), (Group::Ffdhe4096, 512)] {
            let prime = group.prime();
            assert_eq!(prime.len(), bytes);
            assert_eq!((&prime[..8], &prime[bytes - 8..]), (&[0xff; 8][..], &[0xff; 8][..]));
            // RFC 7919, appendix A: e is 2.b7e15162…, so e/4 begins with ad f8 54 58
            assert_eq!(prime[8..12], [0xad, 0xf8, 0x54, 0x58]);
        }
    }

    #[test]
    fn words_go_both_ways() {
        for choice in CHOICES {
            assert_eq!(choice.to_string().parse(), Ok(choice));
        }
        assert_eq!("generate".parse(), Ok(DhChoice::Generate(Length::Bits2048)));
        assert!("ffdhe1024".parse::<DhChoice>().unwrap_err().contains("ffdhe2048"));
        assert_eq!(DhChoice::default().to_string(), "ffdhe3072");
        for wrong in ["generate:", "generate:1024", "generate:2048 ", "2048", "Generate"] {
            assert!(wrong.parse::<DhChoice>().is_err(), "{wrong}");
        }
    }
}
