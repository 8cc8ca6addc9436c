//! RSA private keys: whether they have two primes of full length that are far enough apart.
//! Makes none and computes with none: whether the numbers belong together is for the library to find.

use const_oid::db::rfc5912::RSA_ENCRYPTION;
use der::{
    asn1::{AnyRef, OctetStringRef, UintRef},
    Decode, Reader, Sequence,
};
use spki::AlgorithmIdentifierRef;

use crate::pki::{
    rsa_public::{self, bits},
    KeyError,
};

/// `RSAPrivateKey` of two primes (RFC 8017, A.1.2), where it lies: nothing is copied.
#[derive(Sequence)]
struct PrivateNumbers<'a> {
    version: u8,
    modulus: UintRef<'a>,
    public_exponent: UintRef<'a>,
    private_exponent: UintRef<'a>,
    prime1: UintRef<'a>,
    prime2: UintRef<'a>,
    exponent1: UintRef<'a>,
    exponent2: UintRef<'a>,
    coefficient: UintRef<'a>,
}

/// The `RSAPrivateKey` in a `PrivateKeyInfo` (RFC 5958, 2); none where it holds another key.
pub(super) fn within(pkcs8: &[u8]) -> Option<&[u8]> {
    let inside = AnyRef::from_der(pkcs8).ok()?.sequence(|reader| {
        let _version: u8 = reader.decode()?;
        let algorithm: AlgorithmIdentifierRef<'_> = reader.decode()?;
        let key: &OctetStringRef = reader.decode()?;
        // attributes, which nobody asks for
        reader.read_slice(reader.remaining_len())?;
        Ok::<_, der::Error>((algorithm.oid, key.as_bytes()))
    });
    inside.ok().filter(|(oid, _)| *oid == RSA_ENCRYPTION).map(|(_, key)| key)
}

/// Refuses an `RSAPrivateKey` that does not have the sizes of FIPS 186-5, A.1.1 and A.1.3: modulus, exponent, and two
/// primes p and q, each of half the modulus's length, with |p − q| > 2^(half − 100). The library asks none of this; it
/// finds p·q ≠ n, and exponents and coefficient that do not belong to them (`RSA_check_key` in aws-lc,
/// crypto/fipsmodule/rsa/rsa.c, called by `RSA_parse_private_key`), and takes a key whose primes are left out.
/// A few leading bits are compared in plain arithmetic, once for each reading.
pub(super) fn check(pkcs1: &[u8]) -> Result<(), KeyError> {
    let numbers = PrivateNumbers::from_der(pkcs1).map_err(|_| KeyError::Unsupported)?;
    let [modulus, exponent, one, other] =
        [&numbers.modulus, &numbers.public_exponent, &numbers.prime1, &numbers.prime2].map(UintRef::as_bytes);
    if numbers.version != 0 {
        return Err(KeyError::Unsupported);
    }
    rsa_public::algorithm(modulus, exponent).map_err(KeyError::Public)?;
    if [one, other].map(bits) != [bits(modulus) / 2; 2] {
        return Err(KeyError::PrimeLengths);
    }
    // of the leading 128 bits, 100 must tell the primes apart
    if leading(one).abs_diff(leading(other)) <= 1 << 28 {
        return Err(KeyError::ClosePrimes);
    }
    Ok(())
}

/// The leading 128 bits of a number that has more.
fn leading(number: &[u8]) -> u128 {
    number.iter().take(16).fold(0, |bits, octet| bits << 8 | u128::from(*octet))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::{pem, sample, Algorithm, PrivateKey, PublicKeyError};
    use proptest::prelude::*;

    type Expected = fn(&KeyError) -> bool;

    /// What each is refused for.
    fn weak() -> [(&'static str, Expected); 9] {
        [
            (include_str!("weak/2047-bits.key"), |e| matches!(e, KeyError::Public(PublicKeyError::Size(2047)))),
            (include_str!("weak/exponent-3.key"), |e| matches!(e, KeyError::Public(PublicKeyError::Exponent))),
            (include_str!("weak/unequal-primes.key"), |e| matches!(e, KeyError::PrimeLengths)),
            (include_str!("weak/no-primes.key"), |e| matches!(e, KeyError::PrimeLengths)),
            (include_str!("weak/same-primes.key"), |e| matches!(e, KeyError::ClosePrimes)),
            (include_str!("weak/close-primes.key"), |e| matches!(e, KeyError::ClosePrimes)),
            (include_str!("weak/swapped-crt.key"), |e| matches!(e, KeyError::Inconsistent)),
            (include_str!("weak/another-modulus.key"), |e| matches!(e, KeyError::Inconsistent)),
            (include_str!("weak/three-primes.key"), |e| matches!(e, KeyError::Unsupported)),
        ]
    }

    #[test]
    fn weak_keys_are_refused_with_their_weakness_in_either_form() {
        for (text, is_right) in weak() {
            let pkcs8 = pem::decode(pem::PRIVATE_KEY, text.as_bytes()).unwrap();
            let traditional = pem::encode(pem::RSA_PRIVATE_KEY, within(&pkcs8).unwrap());
            for text in [text, &traditional] {
                let error = PrivateKey::from_any_pem(text.as_bytes()).err().expect("a refusal");
                assert!(is_right(&error), "{error:?}: {text}");
            }
        }
    }

    #[test]
    fn a_difference_in_the_hundredth_bit_is_enough() {
        let prime = |leading: u128| [&leading.to_be_bytes()[..], &[0xff; 112]].concat();
        let modulus = [&[0x80][..], &[1; 255]].concat();
        let far = |one: u128, other: u128| {
            let (one, other) = (prime(one), prime(other));
            let uint = |octets| UintRef::new(octets).unwrap();
            let numbers = PrivateNumbers {
                version: 0,
                modulus: uint(&modulus),
                public_exponent: uint(&[1, 0, 1]),
                private_exponent: uint(&[1]),
                prime1: uint(&one),
                prime2: uint(&other),
                exponent1: uint(&[1]),
                exponent2: uint(&[1]),
                coefficient: uint(&[1]),
            };
            check(&der::Encode::to_der(&numbers).unwrap()).is_ok()
        };
        let first = 1 << 127;
        assert!(far(first, first + (1 << 28) + 1) && far(first + (1 << 100), first));
        assert!(!far(first, first + (1 << 28)) && !far(first, first));
        assert!(!far(first >> 1, first), "a bit short");
    }

    #[test]
    fn only_keys_for_rsa_are_looked_into() {
        for algorithm in Algorithm::ALL {
            let pkcs8 = sample::key(algorithm).pkcs8();
            assert_eq!(within(pkcs8).is_some(), algorithm.is_rsa(), "{algorithm}");
            assert!(within(pkcs8).is_none_or(|pkcs1| check(pkcs1).is_ok()));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            prop_assert!(within(&bytes).is_none());
            prop_assert!(check(&bytes).is_err());
        }

        #[test]
        fn a_damaged_key_is_never_read_as_another(at in any::<prop::sample::Index>(), octet in 1..=255_u8) {
            let mut pkcs8 = sample::key(Algorithm::Rsa2048).pkcs8().to_vec();
            let at = at.index(pkcs8.len());
            pkcs8[at] ^= octet;
            // only the version in front of the key may be overlooked
            if let Ok(read) = PrivateKey::from_pkcs8(&pkcs8) {
                prop_assert!(read.pkcs8() == sample::key(Algorithm::Rsa2048).pkcs8() && at == 6, "octet {}", at);
            }
        }
    }
}
