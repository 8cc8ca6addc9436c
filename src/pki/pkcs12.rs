//! PKCS#12 (RFC 7292): a key, its certificate and its CA's in one file that a passphrase opens, written and read.
//! Knows no file and no peer; other keys, CRLs and secrets that such files may hold are passed over.

use std::num::NonZeroU32;

use aws_lc_rs::{digest, hmac};
use const_oid::ObjectIdentifier;
use der::{
    asn1::{Any, BmpString, OctetString, SetOfVec},
    Decode, Encode, Reader, Sequence, SliceReader, Tag, TagNumber, Tagged,
};
use spki::AlgorithmIdentifierOwned;
use x509_cert::attr::Attribute;
use zeroize::Zeroizing;

use crate::{
    name::Name,
    pki::{
        ber, encrypted,
        pbe::{self, Budget, Lock, LockError, Purpose, Scheme},
        KeyError, PrivateKey,
    },
    secret::Secret,
};

/// What goes into a file.
pub struct Pkcs12Contents<'a> {
    /// The name under which importers show the key and its certificate.
    pub name: &'a Name,
    /// The key.
    pub key: &'a PrivateKey,
    /// Its certificate in DER.
    pub certificate: &'a [u8],
    /// The CA's certificate in DER.
    pub ca: &'a [u8],
}

/// How a file is encrypted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Pkcs12Encryption {
    /// PBES2 with AES-256-CBC and PBKDF2 with HMAC-SHA-256, and a MAC with HMAC-SHA-256. 300,000 rounds each: more is
    /// refused by .NET since 9 (`Pkcs12LoaderLimits`: 300,000 for the MAC and for each derivation, 1,000,000 in all).
    #[default]
    Modern,
    /// 3DES by the scheme of PKCS#12, for the key and for the certificates, and a MAC with HMAC-SHA-1: what importers read
    /// that know no AES here, and also OpenSSL 3 without `-legacy`. Never RC2, which it does not read. 100,000 rounds, since
    /// such machines are slow.
    Legacy,
}

/// What was read from a file.
pub struct Pkcs12 {
    /// The key.
    pub key: PrivateKey,
    /// Every X.509 certificate in DER, in the file's order.
    pub certificates: Vec<Vec<u8>>,
}

/// Why a file was not read, or not written.
#[derive(Debug, thiserror::Error)]
pub enum Pkcs12Error {
    /// Not PKCS#12.
    #[error("it is no PKCS#12 file, or a damaged one")]
    Damaged,
    /// Longer than any key and its chain.
    #[error("it has {0} bytes; a key and its certificates have less than {LARGEST}")]
    TooLarge(usize),
    /// Nothing tells whether the passphrase is right.
    #[error("it is protected by {0}, which is not read here")]
    Protection(String),
    /// The passphrase opens nothing.
    #[error(transparent)]
    Locked(#[from] LockError),
    /// No key.
    #[error("it holds no private key")]
    NoKey,
    /// More than one key.
    #[error("it holds {0} private keys")]
    Keys(usize),
    /// A key that is none of ours.
    #[error(transparent)]
    Key(KeyError),
    /// It could not be written.
    #[error("internal error: the PKCS#12 file could not be written")]
    Unwritten(#[source] der::Error),
}

#[derive(Sequence)]
struct Pfx {
    version: u8,
    auth_safe: ContentInfo,
    mac: Option<MacData>,
}

#[derive(Sequence)]
struct ContentInfo {
    content_type: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    content: Any,
}

#[derive(Sequence)]
struct MacData {
    mac: DigestInfo,
    salt: OctetString,
    #[asn1(default = "one")]
    rounds: u32,
}

#[derive(Sequence)]
struct DigestInfo {
    algorithm: AlgorithmIdentifierOwned,
    digest: OctetString,
}

#[derive(Sequence)]
struct EncryptedData {
    version: u8,
    content: EncryptedContentInfo,
}

#[derive(Sequence)]
struct EncryptedContentInfo {
    content_type: ObjectIdentifier,
    algorithm: AlgorithmIdentifierOwned,
    /// `[0] IMPLICIT OCTET STRING`, whole or in pieces.
    content: Any,
}

#[derive(Sequence)]
struct SafeBag {
    kind: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    value: Any,
    /// A SET of attributes. Not looked at when read: not everybody sorts it as DER asks.
    attributes: Option<Any>,
}

#[derive(Sequence)]
struct CertBag {
    kind: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    value: OctetString,
}

/// Writes a file: the certificates in an encrypted part, the key encrypted by itself, as OpenSSL orders them.
pub fn write_pkcs12(
    contents: &Pkcs12Contents,
    passphrase: &Secret,
    encryption: Pkcs12Encryption,
) -> Result<Secret, Pkcs12Error> {
    let (passphrase, lock) = (passphrase.expose(), encryption.lock());
    let attributes = attributes(contents)?;
    let certificates =
        vec![certificate_bag(contents.certificate, Some(attributes.clone()))?, certificate_bag(contents.ca, None)?];
    let key = encrypted::seal_pkcs8(lock, passphrase, contents.key.pkcs8())?;
    let key = SafeBag { kind: SHROUDED_KEY_BAG, value: Any::from_der(&key)?, attributes: Some(attributes) };
    let safe = vec![encrypted_part(lock, passphrase, &certificates.to_der()?)?, clear_part(&vec![key].to_der()?)?];
    let safe = safe.to_der()?;
    let mac = Some(encryption.mac(passphrase, &safe)?);
    let file = Pfx { version: 3, auth_safe: clear_part(&safe)?, mac };
    Ok(Secret::new(file.to_der()?))
}

/// Reads a file, after its MAC has shown that the passphrase is right.
pub fn read_pkcs12(bytes: &[u8], passphrase: &Secret) -> Result<Pkcs12, Pkcs12Error> {
    if bytes.len() > LARGEST {
        return Err(Pkcs12Error::TooLarge(bytes.len()));
    }
    let (passphrase, budget) = (passphrase.expose(), &mut Budget::of_a_file());
    let file: Pfx = decoded(bytes)?;
    if file.version != 3 || file.auth_safe.content_type != DATA {
        return Err(Pkcs12Error::Damaged);
    }
    let safe = file.auth_safe.data()?;
    match &file.mac {
        Some(mac) => mac.check(passphrase, safe.as_bytes(), budget)?,
        None => return Err(Pkcs12Error::Protection("no password or a signature".to_owned())),
    }
    let (mut keys, mut certificates) = (Vec::new(), Vec::new());
    for part in decoded::<Vec<ContentInfo>>(safe.as_bytes())? {
        let clear = part.open(passphrase, budget)?;
        for bag in decoded::<Vec<SafeBag>>(&clear)? {
            bag.take(passphrase, budget, &mut keys, &mut certificates)?;
        }
    }
    match (keys.pop(), keys.len()) {
        (None, _) => Err(Pkcs12Error::NoKey),
        (Some(key), 0) => Ok(Pkcs12 { key, certificates }),
        (Some(_), more) => Err(Pkcs12Error::Keys(more + 1)),
    }
}

impl Pkcs12Encryption {
    fn lock(self) -> Lock {
        let (scheme, rounds) = match self {
            Self::Modern => (Scheme::Aes256, 300_000),
            Self::Legacy => (Scheme::Pkcs12DesEde3, 100_000),
        };
        Lock { scheme, rounds: NonZeroU32::new(rounds).expect("rounds are more than none") }
    }

    fn mac(self, passphrase: &[u8], safe: &[u8]) -> Result<MacData, Pkcs12Error> {
        let oid = match self {
            Self::Modern => SHA256,
            Self::Legacy => SHA1,
        };
        let (salt, rounds) = (pbe::random::<16>()?, self.lock().rounds);
        let tag = hmac::sign(&mac_key(oid, passphrase, &salt, rounds)?, safe);
        let mac = DigestInfo { algorithm: pbe::identifier(oid, None::<&Any>)?, digest: pbe::octets(tag.as_ref())? };
        Ok(MacData { mac, salt: pbe::octets(&salt)?, rounds: rounds.get() })
    }
}

impl MacData {
    fn check(&self, passphrase: &[u8], safe: &[u8], budget: &mut Budget) -> Result<(), Pkcs12Error> {
        let rounds = budget.spend(self.rounds)?;
        let key = mac_key(self.mac.algorithm.oid, passphrase, self.salt.as_bytes(), rounds)?;
        hmac::verify(&key, safe, self.mac.digest.as_bytes()).map_err(|_| Pkcs12Error::Locked(LockError::Wrong))
    }
}

impl ContentInfo {
    fn data(&self) -> Result<OctetString, Pkcs12Error> {
        self.content.decode_as().map_err(|_: der::Error| Pkcs12Error::Damaged)
    }

    /// The bags of one part, in clear.
    fn open(&self, passphrase: &[u8], budget: &mut Budget) -> Result<Zeroizing<Vec<u8>>, Pkcs12Error> {
        match self.content_type {
            DATA => Ok(Zeroizing::new(self.data()?.into_bytes().into())),
            ENCRYPTED_DATA => {
                let EncryptedData { content, .. } =
                    self.content.decode_as().map_err(|_: der::Error| Pkcs12Error::Damaged)?;
                Ok(pbe::open(&content.algorithm, passphrase, &content.sealed()?, budget)?)
            }
            _ => Err(Pkcs12Error::Protection("a public key".to_owned())),
        }
    }
}

impl EncryptedContentInfo {
    /// What is encrypted. An implicit tag hides from whoever makes DER that there are pieces of a string behind it.
    fn sealed(&self) -> Result<Vec<u8>, Pkcs12Error> {
        let number = TagNumber(0);
        match self.content.tag() {
            Tag::ContextSpecific { constructed: false, number: found } if found == number => {
                Ok(self.content.value().to_vec())
            }
            Tag::ContextSpecific { constructed: true, number: found } if found == number => {
                let mut reader = SliceReader::new(self.content.value())?;
                let mut sealed = Vec::with_capacity(self.content.value().len());
                while !reader.is_finished() {
                    let piece = OctetString::decode(&mut reader).map_err(|_| Pkcs12Error::Damaged)?;
                    sealed.extend_from_slice(piece.as_bytes());
                }
                Ok(sealed)
            }
            _ => Err(Pkcs12Error::Damaged),
        }
    }
}

impl SafeBag {
    fn take(
        &self,
        passphrase: &[u8],
        budget: &mut Budget,
        keys: &mut Vec<PrivateKey>,
        certificates: &mut Vec<Vec<u8>>,
    ) -> Result<(), Pkcs12Error> {
        let der = Zeroizing::new(self.value.to_der()?);
        match self.kind {
            KEY_BAG => keys.push(PrivateKey::from_pkcs8(&der).map_err(Pkcs12Error::Key)?),
            SHROUDED_KEY_BAG => keys.push(encrypted::open_pkcs8(&der, passphrase, budget).map_err(keyed)?),
            CERT_BAG => {
                let bag: CertBag = decoded(&der)?;
                if bag.kind == X509_CERTIFICATE {
                    certificates.push(bag.value.into_bytes().into());
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl From<der::Error> for Pkcs12Error {
    fn from(error: der::Error) -> Self {
        Self::Unwritten(error)
    }
}

fn keyed(error: KeyError) -> Pkcs12Error {
    match error {
        KeyError::Locked(error) => Pkcs12Error::Locked(error),
        error => Pkcs12Error::Key(error),
    }
}

/// Every layer may be BER.
fn decoded<T: for<'a> Decode<'a>>(bytes: &[u8]) -> Result<T, Pkcs12Error> {
    let der = ber::to_der(bytes).ok_or(Pkcs12Error::Damaged)?;
    T::from_der(&der).map_err(|_| Pkcs12Error::Damaged)
}

fn mac_key(
    oid: ObjectIdentifier,
    passphrase: &[u8],
    salt: &[u8],
    rounds: NonZeroU32,
) -> Result<hmac::Key, Pkcs12Error> {
    let (hash, algorithm) = match oid {
        SHA1 => (&digest::SHA1_FOR_LEGACY_USE_ONLY, hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
        SHA256 => (&digest::SHA256, hmac::HMAC_SHA256),
        SHA384 => (&digest::SHA384, hmac::HMAC_SHA384),
        SHA512 => (&digest::SHA512, hmac::HMAC_SHA512),
        other => return Err(Pkcs12Error::Protection(pbe::named(other))),
    };
    let mut key = Zeroizing::new(vec![0; hash.output_len()]);
    pbe::derive_pkcs12(hash, Purpose::Mac, passphrase, salt, rounds, &mut key)?;
    Ok(hmac::Key::new(algorithm, &key))
}

/// What ties key and certificate together, and what both are called.
fn attributes(contents: &Pkcs12Contents) -> Result<Any, Pkcs12Error> {
    let name = Any::encode_from(&BmpString::from_utf8(contents.name.as_str())?)?;
    // as OpenSSL makes it; an identifier, not a protection
    let id = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, contents.certificate);
    let id = Any::encode_from(&OctetString::new(id.as_ref())?)?;
    let attribute = |oid, value| Ok::<_, der::Error>(Attribute { oid, values: SetOfVec::try_from(vec![value])? });
    let set = SetOfVec::try_from(vec![attribute(FRIENDLY_NAME, name)?, attribute(LOCAL_KEY_ID, id)?])?;
    Ok(Any::encode_from(&set)?)
}

fn certificate_bag(der: &[u8], attributes: Option<Any>) -> Result<SafeBag, Pkcs12Error> {
    let bag = CertBag { kind: X509_CERTIFICATE, value: OctetString::new(der)? };
    Ok(SafeBag { kind: CERT_BAG, value: Any::encode_from(&bag)?, attributes })
}

fn clear_part(der: &[u8]) -> Result<ContentInfo, Pkcs12Error> {
    Ok(ContentInfo { content_type: DATA, content: Any::encode_from(&OctetString::new(der)?)? })
}

fn encrypted_part(lock: Lock, passphrase: &[u8], der: &[u8]) -> Result<ContentInfo, Pkcs12Error> {
    let (algorithm, sealed) = pbe::seal(lock, passphrase, der)?;
    let tag = Tag::ContextSpecific { constructed: false, number: TagNumber(0) };
    let content = EncryptedContentInfo { content_type: DATA, algorithm, content: Any::new(tag, sealed)? };
    let content = Any::encode_from(&EncryptedData { version: 0, content })?;
    Ok(ContentInfo { content_type: ENCRYPTED_DATA, content })
}

fn one() -> u32 {
    1
}

/// More than any key with its chain.
const LARGEST: usize = 1 << 20;

const DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");
const ENCRYPTED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.6");
const KEY_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.1");
const SHROUDED_KEY_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.2");
const CERT_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.3");
const X509_CERTIFICATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.22.1");
const FRIENDLY_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.20");
const LOCAL_KEY_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.21");
const SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
const SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");

#[cfg(test)]
mod tests;
