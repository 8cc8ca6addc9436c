//! Encryption with a passphrase: PBES2 (RFC 8018, 6.2), and the 3DES scheme of PKCS#12 (RFC 7292, appendix C).
//! Knows nothing of what is encrypted. What opening costs is bounded before it is spent, since others write files, too.

mod kdf;

use std::num::NonZeroU32;

use aes::{Aes128, Aes192, Aes256};
use aws_lc_rs::{
    digest, pbkdf2,
    rand::{SecureRandom, SystemRandom},
};
use cbc::cipher::{block_padding::Pkcs7, BlockCipher, BlockDecryptMut, BlockEncryptMut, KeyInit, KeyIvInit};
use const_oid::ObjectIdentifier;
use der::{
    asn1::{Any, OctetString},
    Decode, Encode, Sequence,
};
use des::TdesEde3;
use spki::AlgorithmIdentifierOwned;
use zeroize::Zeroizing;

use super::KeyLock;

pub(super) use kdf::{derive as derive_pkcs12, Purpose};

/// How something is encrypted with a passphrase, and how many rounds one guess costs.
#[derive(Clone, Copy)]
pub(super) struct Lock {
    pub scheme: Scheme,
    pub rounds: NonZeroU32,
}

/// The schemes that are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    /// PBES2: PBKDF2 with HMAC-SHA-256, and AES-256-CBC.
    Aes256,
    /// PBES2: PBKDF2 with HMAC-SHA-256, and 3DES in CBC mode.
    DesEde3,
    /// `pbeWithSHAAnd3-KeyTripleDES-CBC` of PKCS#12.
    Pkcs12DesEde3,
}

/// Why a passphrase opened nothing, or locked nothing.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum LockError {
    /// Another passphrase, or other bytes than were written.
    #[error("the passphrase is wrong, or what it opens is damaged")]
    Wrong,
    /// A scheme that is not read.
    #[error("it is encrypted by {0}, which is not read here")]
    Unsupported(String),
    /// Parameters that make no sense.
    #[error("the parameters of its encryption are damaged")]
    Damaged,
    /// Meant to cost whoever reads it hours.
    #[error("its passphrase is hardened by more rounds than are spent here")]
    TooMuchWork,
    /// A failure of the cryptographic library that has no cause it would tell.
    #[error("internal error: nothing was encrypted, since {0}")]
    Library(&'static str),
}

/// How many more rounds may be spent on one file.
pub(super) struct Budget(u64);

#[derive(Sequence)]
struct Pbes2 {
    derivation: AlgorithmIdentifierOwned,
    cipher: AlgorithmIdentifierOwned,
}

#[derive(Sequence)]
struct Pbkdf2 {
    salt: OctetString,
    rounds: u32,
    length: Option<u32>,
    /// HMAC-SHA-1 when it is left out.
    prf: Option<AlgorithmIdentifierOwned>,
}

#[derive(Sequence)]
struct Scrypt {
    salt: OctetString,
    cost: u64,
    block: u32,
    parallel: u32,
    length: Option<u32>,
}

#[derive(Sequence)]
struct Pkcs12Pbe {
    salt: OctetString,
    rounds: u32,
}

/// Encrypts with a salt and an initialisation vector from the system's generator.
pub(super) fn seal(
    lock: Lock,
    passphrase: &[u8],
    clear: &[u8],
) -> Result<(AlgorithmIdentifierOwned, Vec<u8>), LockError> {
    let salt: [u8; 16] = random()?;
    match lock.scheme {
        Scheme::Aes256 => {
            let (key, iv) = (pbkdf2_sha256::<32>(passphrase, &salt, lock.rounds), random::<16>()?);
            Ok((pbes2(AES_256_CBC, &salt, lock.rounds, &iv)?, encrypt::<Aes256>(&*key, &iv, clear)?))
        }
        Scheme::DesEde3 => {
            let (key, iv) = (pbkdf2_sha256::<24>(passphrase, &salt, lock.rounds), random::<8>()?);
            Ok((pbes2(DES_EDE3_CBC, &salt, lock.rounds, &iv)?, encrypt::<TdesEde3>(&*key, &iv, clear)?))
        }
        Scheme::Pkcs12DesEde3 => {
            let (key, iv) = pkcs12_key_and_iv(passphrase, &salt, lock.rounds)?;
            let parameters = Pkcs12Pbe { salt: octets(&salt)?, rounds: lock.rounds.get() };
            let identifier = identifier(PKCS12_DES_EDE3_CBC, Some(&parameters))?;
            Ok((identifier, encrypt::<TdesEde3>(&*key, &*iv, clear)?))
        }
    }
}

/// Decrypts what was encrypted by a scheme that is read. A wrong passphrase is found by the padding, mostly: what comes
/// out has to be looked at.
pub(super) fn open(
    algorithm: &AlgorithmIdentifierOwned,
    passphrase: &[u8],
    sealed: &[u8],
    budget: &mut Budget,
) -> Result<Zeroizing<Vec<u8>>, LockError> {
    match algorithm.oid {
        PBES2 => {
            let Pbes2 { derivation, cipher } = parameters(algorithm)?;
            let length = key_length(cipher.oid)?;
            let key = derive(&derivation, passphrase, length, budget)?;
            let iv: OctetString = parameters(&cipher)?;
            decrypt_by(cipher.oid, &key, iv.as_bytes(), sealed)
        }
        PKCS12_DES_EDE3_CBC => {
            let Pkcs12Pbe { salt, rounds } = parameters(algorithm)?;
            let rounds = budget.spend(rounds)?;
            let (key, iv) = pkcs12_key_and_iv(passphrase, salt.as_bytes(), rounds)?;
            decrypt::<TdesEde3>(&*key, &*iv, sealed)
        }
        PKCS12_RC2_40_CBC => Err(LockError::Unsupported("RC2 with 40 bits".to_owned())),
        other => Err(LockError::Unsupported(named(other))),
    }
}

/// By which scheme something is encrypted.
pub(super) fn lock_of(algorithm: &AlgorithmIdentifierOwned) -> KeyLock {
    match algorithm.oid {
        PKCS12_DES_EDE3_CBC => KeyLock::DesEde3,
        PBES2 => match parameters(algorithm).map(|Pbes2 { derivation, cipher }| (derivation.oid, cipher.oid)) {
            Ok((SCRYPT, _)) => KeyLock::Scrypt,
            Ok((PBKDF2, DES_EDE3_CBC)) => KeyLock::DesEde3,
            Ok((PBKDF2, AES_128_CBC | AES_192_CBC | AES_256_CBC)) => KeyLock::Aes,
            _ => KeyLock::Other,
        },
        _ => KeyLock::Other,
    }
}

impl Budget {
    /// Of one file: some seconds at most. OWASP's count for PBKDF2 is 600,000, OpenSSL writes 2,048.
    pub fn of_a_file() -> Self {
        Self(10_000_000)
    }

    /// Takes so many rounds out of it.
    pub fn spend(&mut self, rounds: u32) -> Result<NonZeroU32, LockError> {
        let rounds = NonZeroU32::new(rounds).ok_or(LockError::Damaged)?;
        self.0 = self.0.checked_sub(rounds.get().into()).ok_or(LockError::TooMuchWork)?;
        Ok(rounds)
    }
}

/// Bytes from the system's generator: salts, initialisation vectors.
pub(super) fn random<const N: usize>() -> Result<[u8; N], LockError> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| LockError::Library("the system gave no random bytes"))?;
    Ok(bytes)
}

/// An `AlgorithmIdentifier` with these parameters, or NULL.
pub(super) fn identifier(
    oid: ObjectIdentifier,
    parameters: Option<&impl Encode>,
) -> Result<AlgorithmIdentifierOwned, LockError> {
    let parameters = match parameters {
        Some(parameters) => parameters.to_der().and_then(|der| Any::from_der(&der)),
        None => Ok(Any::null()),
    };
    Ok(AlgorithmIdentifierOwned { oid, parameters: Some(parameters.map_err(|_| UNWRITTEN)?) })
}

/// An OCTET STRING.
pub(super) fn octets(bytes: &[u8]) -> Result<OctetString, LockError> {
    OctetString::new(bytes).map_err(|_| UNWRITTEN)
}

fn pbes2(
    cipher: ObjectIdentifier,
    salt: &[u8],
    rounds: NonZeroU32,
    iv: &[u8],
) -> Result<AlgorithmIdentifierOwned, LockError> {
    let prf = Some(identifier(HMAC_SHA256, None::<&Any>)?);
    let derivation = Pbkdf2 { salt: octets(salt)?, rounds: rounds.get(), length: None, prf };
    let derivation = identifier(PBKDF2, Some(&derivation))?;
    let cipher = identifier(cipher, Some(&octets(iv)?))?;
    identifier(PBES2, Some(&Pbes2 { derivation, cipher }))
}

fn parameters<T: for<'a> Decode<'a>>(algorithm: &AlgorithmIdentifierOwned) -> Result<T, LockError> {
    let der = algorithm.parameters.as_ref().and_then(|any| any.to_der().ok()).ok_or(LockError::Damaged)?;
    T::from_der(&der).map_err(|_| LockError::Damaged)
}

/// The key that a passphrase gives by PBKDF2 or scrypt.
fn derive(
    derivation: &AlgorithmIdentifierOwned,
    passphrase: &[u8],
    length: usize,
    budget: &mut Budget,
) -> Result<Zeroizing<Vec<u8>>, LockError> {
    let mut key = Zeroizing::new(vec![0; length]);
    let stated = match derivation.oid {
        PBKDF2 => {
            let Pbkdf2 { salt, rounds, length, prf } = parameters(derivation)?;
            let algorithm = prf_of(prf.map(|prf| prf.oid))?;
            pbkdf2::derive(algorithm, budget.spend(rounds)?, salt.as_bytes(), passphrase, &mut key);
            length
        }
        SCRYPT => {
            let Scrypt { salt, cost, block, parallel, length } = parameters(derivation)?;
            let parameters = scrypt_parameters(cost, block, parallel, budget)?;
            scrypt::scrypt(passphrase, salt.as_bytes(), &parameters, &mut key).map_err(|_| LockError::Damaged)?;
            length
        }
        other => return Err(LockError::Unsupported(named(other))),
    };
    match stated.map(usize::try_from) {
        None => Ok(key),
        Some(Ok(stated)) if stated == length => Ok(key),
        Some(_) => Err(LockError::Damaged),
    }
}

/// OpenSSL reads what takes 32 MiB (`SCRYPT_MAX_MEM` in `crypto/evp/pbe_scrypt.c`); twice that is read here.
fn scrypt_parameters(cost: u64, block: u32, parallel: u32, budget: &mut Budget) -> Result<scrypt::Params, LockError> {
    let memory = u64::from(block).checked_mul(cost).and_then(|product| product.checked_mul(128));
    if memory.is_none_or(|memory| memory > 64 << 20) || parallel > 16 {
        return Err(LockError::TooMuchWork);
    }
    // with the usual 2^14, 8, 1 it takes about as long as 260,000 rounds of PBKDF2
    let rounds = cost.saturating_mul(u64::from(block)).saturating_mul(u64::from(parallel)).saturating_mul(2);
    budget.spend(u32::try_from(rounds).map_err(|_| LockError::TooMuchWork)?)?;
    if !cost.is_power_of_two() {
        return Err(LockError::Damaged);
    }
    let log = u8::try_from(cost.trailing_zeros()).map_err(|_| LockError::Damaged)?;
    scrypt::Params::new(log, block, parallel, scrypt::Params::RECOMMENDED_LEN).map_err(|_| LockError::Damaged)
}

fn prf_of(oid: Option<ObjectIdentifier>) -> Result<pbkdf2::Algorithm, LockError> {
    match oid {
        None | Some(HMAC_SHA1) => Ok(pbkdf2::PBKDF2_HMAC_SHA1),
        Some(HMAC_SHA256) => Ok(pbkdf2::PBKDF2_HMAC_SHA256),
        Some(HMAC_SHA384) => Ok(pbkdf2::PBKDF2_HMAC_SHA384),
        Some(HMAC_SHA512) => Ok(pbkdf2::PBKDF2_HMAC_SHA512),
        Some(other) => Err(LockError::Unsupported(named(other))),
    }
}

fn pbkdf2_sha256<const N: usize>(passphrase: &[u8], salt: &[u8], rounds: NonZeroU32) -> Zeroizing<[u8; N]> {
    let mut key = Zeroizing::new([0; N]);
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, salt, passphrase, &mut *key);
    key
}

type DesKeyAndIv = (Zeroizing<[u8; 24]>, Zeroizing<[u8; 8]>);

fn pkcs12_key_and_iv(passphrase: &[u8], salt: &[u8], rounds: NonZeroU32) -> Result<DesKeyAndIv, LockError> {
    let (mut key, mut iv) = (Zeroizing::new([0; 24]), Zeroizing::new([0; 8]));
    let sha1 = &digest::SHA1_FOR_LEGACY_USE_ONLY;
    derive_pkcs12(sha1, Purpose::Key, passphrase, salt, rounds, &mut *key)?;
    derive_pkcs12(sha1, Purpose::Iv, passphrase, salt, rounds, &mut *iv)?;
    Ok((key, iv))
}

fn key_length(cipher: ObjectIdentifier) -> Result<usize, LockError> {
    match cipher {
        AES_128_CBC => Ok(16),
        AES_192_CBC | DES_EDE3_CBC => Ok(24),
        AES_256_CBC => Ok(32),
        other => Err(LockError::Unsupported(named(other))),
    }
}

fn decrypt_by(cipher: ObjectIdentifier, key: &[u8], iv: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, LockError> {
    match cipher {
        AES_128_CBC => decrypt::<Aes128>(key, iv, sealed),
        AES_192_CBC => decrypt::<Aes192>(key, iv, sealed),
        AES_256_CBC => decrypt::<Aes256>(key, iv, sealed),
        DES_EDE3_CBC => decrypt::<TdesEde3>(key, iv, sealed),
        other => Err(LockError::Unsupported(named(other))),
    }
}

fn encrypt<C: BlockCipher + BlockEncryptMut + KeyInit>(
    key: &[u8],
    iv: &[u8],
    clear: &[u8],
) -> Result<Vec<u8>, LockError> {
    // clear text until it is encrypted in place
    let mut buffer = Zeroizing::new(vec![0; clear.len() + LARGEST_BLOCK]);
    buffer[..clear.len()].copy_from_slice(clear);
    let cipher =
        cbc::Encryptor::<C>::new_from_slices(key, iv).map_err(|_| LockError::Library("a key has another length"))?;
    let sealed = cipher.encrypt_padded_mut::<Pkcs7>(&mut buffer, clear.len());
    sealed.map(<[u8]>::to_vec).map_err(|_| LockError::Library("the padding has no room"))
}

fn decrypt<C: BlockCipher + BlockDecryptMut + KeyInit>(
    key: &[u8],
    iv: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, LockError> {
    let mut buffer = Zeroizing::new(sealed.to_vec());
    let cipher = cbc::Decryptor::<C>::new_from_slices(key, iv).map_err(|_| LockError::Damaged)?;
    let length = cipher.decrypt_padded_mut::<Pkcs7>(&mut buffer).map_err(|_| LockError::Wrong)?.len();
    buffer.truncate(length);
    Ok(buffer)
}

/// What a scheme is called, or its number.
pub(super) fn named(oid: ObjectIdentifier) -> String {
    const_oid::db::DB.by_oid(&oid).map_or_else(|| oid.to_string(), str::to_owned)
}

const UNWRITTEN: LockError = LockError::Library("it could not be written as DER");
const LARGEST_BLOCK: usize = 16;

const PBES2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.13");
const PBKDF2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.12");
const SCRYPT: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11591.4.11");
const HMAC_SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.7");
const HMAC_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.9");
const HMAC_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.10");
const HMAC_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.11");
const DES_EDE3_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.3.7");
const AES_128_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.2");
const AES_192_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.22");
const AES_256_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.42");
const PKCS12_DES_EDE3_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.1.3");
const PKCS12_RC2_40_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.1.6");

#[cfg(test)]
mod tests;
