//! RSA public keys: whether size and exponent are such as we certify, and whether a stranger's modulus can be factored
//! at once.
//! Knows no private key.

use der::{asn1::UintRef, Decode, Sequence};
use rsa::BigUint;
use spki::SubjectPublicKeyInfoRef;

use crate::pki::{Algorithm, PublicKeyError};

/// `RSAPublicKey` (RFC 8017, A.1.1).
#[derive(Sequence)]
struct PublicNumbers<'a> {
    modulus: UintRef<'a>,
    exponent: UintRef<'a>,
}

/// The algorithm of a key by its public numbers, unsigned and big-endian without leading zeros.
pub(super) fn algorithm(modulus: &[u8], exponent: &[u8]) -> Result<Algorithm, PublicKeyError> {
    if exponent != EXPONENT {
        return Err(PublicKeyError::Exponent);
    }
    if modulus.last().is_none_or(|octet| octet % 2 == 0) {
        return Err(PublicKeyError::Invalid("RSA"));
    }
    match bits(modulus) {
        2048 => Ok(Algorithm::Rsa2048),
        3072 => Ok(Algorithm::Rsa3072),
        4096 => Ok(Algorithm::Rsa4096),
        bits => Err(PublicKeyError::Size(bits)),
    }
}

/// The same of the bits in a `SubjectPublicKeyInfo`.
pub(super) fn algorithm_of(key_bits: &[u8]) -> Result<Algorithm, PublicKeyError> {
    let PublicNumbers { modulus, exponent } = numbers(key_bits)?;
    algorithm(modulus.as_bytes(), exponent.as_bytes())
}

/// What can be found out about a stranger's key without its primes; other keys than RSA pass. None of this finds a key
/// that was made as it should be: what is found has come out of a broken generator.
pub(super) fn examine(spki: &[u8]) -> Result<(), PublicKeyError> {
    let info = SubjectPublicKeyInfoRef::from_der(spki).map_err(|_| PublicKeyError::Unknown)?;
    if info.algorithm != Algorithm::Rsa2048.key_identifier() {
        return Ok(());
    }
    let modulus = numbers(info.subject_public_key.raw_bytes())?.modulus.as_bytes();
    let broken = if small_primes().any(|prime| residue(modulus, prime) == 0) {
        "a small number divides its modulus"
    } else if has_roca_form(modulus) {
        "its primes have the form that CVE-2017-15361 (ROCA) makes known"
    } else if has_near_primes(modulus) {
        "its primes are equal or next to each other"
    } else {
        return Ok(());
    };
    Err(PublicKeyError::Broken(broken))
}

/// How many bits an unsigned big-endian number has.
pub(super) fn bits(number: &[u8]) -> usize {
    number.first().map_or(0, |first| number.len() * 8 - first.leading_zeros() as usize)
}

fn numbers(key_bits: &[u8]) -> Result<PublicNumbers<'_>, PublicKeyError> {
    PublicNumbers::from_der(key_bits).map_err(|_| PublicKeyError::Invalid("RSA"))
}

/// Up to the largest by which public CAs divide (letsencrypt/boulder, `goodkey/good_key.go`, `smallPrimeInts`).
fn small_primes() -> impl Iterator<Item = u32> {
    let is_prime = |number: &u32| (3..).step_by(2).take_while(|n| n * n <= *number).all(|n| !number.is_multiple_of(n));
    (3..=751).step_by(2).filter(is_prime)
}

fn residue(number: &[u8], divisor: u32) -> u32 {
    number.iter().fold(0, |rest, octet| (rest << 8 | u32::from(*octet)) % divisor)
}

/// Primes k·M + 65537^a mod M leave their mark on the modulus: modulo every factor of M it is a power of 65537 (Nemec and
/// others, The Return of Coppersmith's Attack, 2017, 2.3). For our sizes M has at least the primes up to 701. Another
/// modulus has a chance below 2^-150.
fn has_roca_form(modulus: &[u8]) -> bool {
    let powers =
        |prime| std::iter::successors(Some(1), move |power| Some(power * 65537 % prime).filter(|&next| next != 1));
    small_primes()
        .take_while(|prime| *prime <= 701)
        .all(|prime| powers(prime).any(|power| power == residue(modulus, prime)))
}

/// Fermat's way to factor: n = a² − b² with a right above the root, tried as often as public CAs do
/// (letsencrypt/boulder, `goodkey/good_key.go`, `checkPrimeFactorsTooClose`).
fn has_near_primes(modulus: &[u8]) -> bool {
    let modulus = BigUint::from_bytes_be(modulus);
    let root = modulus.sqrt();
    (0..=110_u32).map(|step| &root + step).any(|a| {
        let square = &a * &a;
        square >= modulus && is_square(&(square - &modulus))
    })
}

fn is_square(number: &BigUint) -> bool {
    let root = number.sqrt();
    &root * &root == *number
}

/// 65537: what OpenSSL and everybody else makes, and within what FIPS 186-5 allows (A.1.1). Smaller ones invite attacks,
/// readers refuse large ones.
const EXPONENT: [u8; 3] = [1, 0, 1];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::{sample, Request, RequestError};
    use proptest::prelude::*;

    #[test]
    fn a_request_for_a_weak_key_is_refused_with_its_weakness() {
        for (request, error) in [
            (&include_bytes!("weak/2047-bits.csr")[..], PublicKeyError::Size(2047)),
            (include_bytes!("weak/exponent-3.csr"), PublicKeyError::Exponent),
            (include_bytes!("weak/small-factor.csr"), PublicKeyError::Broken("a small number divides its modulus")),
            (
                include_bytes!("weak/roca.csr"),
                PublicKeyError::Broken("its primes have the form that CVE-2017-15361 (ROCA) makes known"),
            ),
            (
                include_bytes!("weak/same-primes.csr"),
                PublicKeyError::Broken("its primes are equal or next to each other"),
            ),
            (
                include_bytes!("weak/near-primes.csr"),
                PublicKeyError::Broken("its primes are equal or next to each other"),
            ),
        ] {
            assert_eq!(Request::read(request), Err(RequestError::Key(error)));
        }
    }

    #[test]
    fn nothing_is_found_in_keys_of_ours() {
        for algorithm in Algorithm::ALL {
            assert_eq!(examine(sample::key(algorithm).spki()), Ok(()), "{algorithm}");
        }
    }

    #[test]
    fn sizes_count_from_the_first_bit() {
        let odd = |length: usize, first: u8| [vec![first], vec![1; length - 1]].concat();
        for (modulus, found) in [
            (odd(256, 0x80), Ok(Algorithm::Rsa2048)),
            (odd(384, 0xff), Ok(Algorithm::Rsa3072)),
            (odd(512, 0x80), Ok(Algorithm::Rsa4096)),
            (odd(256, 0x7f), Err(PublicKeyError::Size(2047))),
            (odd(257, 0x01), Err(PublicKeyError::Size(2049))),
            (odd(1024, 0x80), Err(PublicKeyError::Size(8192))),
            (vec![0xfe; 256], Err(PublicKeyError::Invalid("RSA"))),
            (vec![], Err(PublicKeyError::Invalid("RSA"))),
        ] {
            assert_eq!(algorithm(&modulus, &EXPONENT), found);
        }
        for exponent in [&[3][..], &[0xff, 0xff], &[1, 0, 3], &[1, 0, 0, 1], &[]] {
            assert_eq!(algorithm(&odd(256, 0x80), exponent), Err(PublicKeyError::Exponent));
        }
    }

    #[test]
    fn small_primes_are_those_of_the_table() {
        let all: Vec<u32> = small_primes().collect();
        // the 126th prime is 701, the 133rd 751 (OEIS A000040); 2 divides nothing odd
        assert_eq!((all.len(), &all[..6], all[124], all[131]), (132, &[3, 5, 7, 11, 13, 17][..], 701, 751));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = (has_near_primes(&bytes), has_roca_form(&bytes));
            prop_assert!(algorithm_of(&bytes).is_err() && examine(&bytes).is_err());
        }
    }
}
