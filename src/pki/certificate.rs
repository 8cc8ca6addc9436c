//! The one encoder of certificates, and the acts of signing: refuse what may not be signed, encode, sign, check.
//! Knows no clock: a profile brings its dates and its serial.

use der::{
    asn1::{Any, AnyRef, BitStringRef, UintRef, Utf8StringRef},
    Decode, Encode, Sequence, Tag, Tagged,
};
use spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};
use x509_cert::{
    attr::AttributeTypeAndValue,
    ext::Extension,
    name::{RdnSequence, RelativeDistinguishedName},
};

use crate::{
    inventory::Role,
    pki::{
        check, key_id, profile, Address, AddressError, Algorithm, CaProfile, IssuerCertificate, KeyError, LeafProfile,
        PrivateKey, PublicKeyError, Violation,
    },
    serial::Serial,
    time::Time,
    validity::Validity,
};

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The key does not belong to the issuer's certificate.
    #[error("nothing was signed: the private key is not that of the issuer's certificate")]
    WrongKey,
    /// The certificate would hold when its issuer's does not.
    #[error(
        "nothing was signed: the certificate would hold from {} to {}, its issuer holds from {} to {}",
        .asked.not_before(), .asked.not_after(), .issuer.not_before(), .issuer.not_after()
    )]
    OutsideIssuer {
        /// When the certificate was to hold.
        asked: Validity,
        /// When the issuer's certificate holds.
        issuer: Validity,
    },
    /// The name of a CA that X.509 or a terminal could not carry.
    #[error("nothing was signed: the name of a CA has 1 to 64 characters and no control character")]
    CommonName,
    /// A client was given addresses, which nobody would look at.
    #[error("nothing was signed: a client's certificate carries no addresses")]
    ClientAddresses,
    /// An address that is no host name.
    #[error("nothing was signed: one of the addresses is none")]
    Address(#[source] AddressError),
    /// The same serial is revoked twice.
    #[error("nothing was signed: serial {0} is on the list twice")]
    Duplicate(Serial),
    /// The public key to be certified is not one that we certify.
    #[error("nothing was signed: the public key cannot be certified")]
    PublicKey(#[source] PublicKeyError),
    /// The key could not be used.
    #[error("nothing was signed")]
    Key(#[source] KeyError),
    /// A value did not fit into DER.
    #[error("internal error: nothing was signed, since it could not be encoded")]
    Encoding(#[from] der::Error),
    /// What was signed does not pass our own check, and was thrown away.
    #[error("internal error: what was signed breaks a rule and was thrown away")]
    Refused(#[from] Violation),
}

/// Signs a CA's certificate with its own key.
pub fn self_sign(profile: &CaProfile, key: &PrivateKey) -> Result<Vec<u8>, SignError> {
    let length = profile.common_name.chars().count();
    if !(1..=64).contains(&length) || profile.common_name.contains(char::is_control) {
        return Err(SignError::CommonName);
    }
    let subject = name(&profile.common_name)?;
    let key_id = key_id(key_bits(key.spki())?);
    let tbs = ToBeSigned {
        version: V3,
        serial: UintRef::new(profile.serial.octets())?,
        signature: key.algorithm().signature_identifier(),
        issuer: AnyRef::from_der(&subject)?,
        validity: Dates::new(profile.validity)?,
        subject: AnyRef::from_der(&subject)?,
        public_key: AnyRef::from_der(key.spki())?,
        extensions: profile::authority_extensions(&key_id)?,
    };
    let der = sign(&tbs.to_der()?, key)?;
    check::authority(&der, profile)?;
    Ok(der)
}

/// A certificate of a server or client that was signed and held against every rule, its signature among them.
#[derive(Clone)]
pub struct SignedLeaf {
    der: Vec<u8>,
    issuer_der: Vec<u8>,
}

impl SignedLeaf {
    /// The certificate.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The certificate alone.
    pub fn into_der(self) -> Vec<u8> {
        self.der
    }

    /// Whether it is this certificate, and was verified by the key in this certificate of its issuer: octet for octet.
    pub fn is_verified(&self, certificate_der: &[u8], issuer_der: &[u8]) -> bool {
        self.der == certificate_der && self.issuer_der == issuer_der
    }
}

/// Signs the certificate of a server or client. `spki` is the public key that is certified, `key` the issuer's own.
pub fn sign_leaf(
    profile: &LeafProfile,
    spki: &[u8],
    issuer: &IssuerCertificate,
    key: &PrivateKey,
) -> Result<SignedLeaf, SignError> {
    may_sign(profile, issuer, key)?;
    let algorithm = Algorithm::of(spki).map_err(SignError::PublicKey)?;
    let key_id = key_id(key_bits(spki)?);
    let subject = name(profile.name.as_str())?;
    let tbs = ToBeSigned {
        version: V3,
        serial: UintRef::new(profile.serial.octets())?,
        signature: key.algorithm().signature_identifier(),
        issuer: AnyRef::from_der(issuer.subject_der())?,
        validity: Dates::new(profile.validity)?,
        subject: AnyRef::from_der(&subject)?,
        public_key: AnyRef::from_der(spki)?,
        extensions: profile::leaf_extensions(profile, algorithm, &key_id, issuer.key_id())?,
    };
    let der = sign(&tbs.to_der()?, key)?;
    check::leaf(&der, profile, spki, issuer)?;
    Ok(SignedLeaf { der, issuer_der: issuer.der().to_vec() })
}

fn may_sign(profile: &LeafProfile, issuer: &IssuerCertificate, key: &PrivateKey) -> Result<(), SignError> {
    let (asked, within) = (profile.validity, issuer.validity());
    if !issuer.matches(key) {
        return Err(SignError::WrongKey);
    }
    if !within.contains(asked.not_before()) || !within.contains(asked.not_after()) {
        return Err(SignError::OutsideIssuer { asked, issuer: within });
    }
    if profile.role == Role::Client && !profile.addresses.is_empty() {
        return Err(SignError::ClientAddresses);
    }
    // the variants of Address are open, so a host name may not have come through `parse`
    profile
        .addresses
        .iter()
        .try_for_each(|address| Address::parse(&address.to_string()).map(|_| ()))
        .map_err(SignError::Address)
}

/// `TBSCertificate` (RFC 5280, 4.1). Names and keys go in as they are encoded, never decoded and encoded again.
#[derive(Sequence)]
pub(super) struct ToBeSigned<'a> {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    pub(super) version: u8,
    pub(super) serial: UintRef<'a>,
    pub(super) signature: AlgorithmIdentifierRef<'a>,
    pub(super) issuer: AnyRef<'a>,
    pub(super) validity: Dates,
    pub(super) subject: AnyRef<'a>,
    pub(super) public_key: AnyRef<'a>,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT")]
    pub(super) extensions: Vec<Extension>,
}

/// Validity (RFC 5280, 4.1.2.5).
#[derive(Sequence)]
pub(super) struct Dates {
    pub(super) not_before: Any,
    pub(super) not_after: Any,
}

impl Dates {
    pub(super) fn new(validity: Validity) -> der::Result<Self> {
        Ok(Self { not_before: moment(validity.not_before())?, not_after: moment(validity.not_after())? })
    }
}

/// SIGNED{} (RFC 5280, appendix A.1): Certificate and `CertificateList` alike.
#[derive(Sequence)]
pub(super) struct Signed<'a> {
    pub(super) contents: AnyRef<'a>,
    pub(super) algorithm: AlgorithmIdentifierRef<'a>,
    pub(super) signature: BitStringRef<'a>,
}

/// Puts a signature and its algorithm below what is to be signed.
pub(super) fn sign(contents: &[u8], key: &PrivateKey) -> Result<Vec<u8>, SignError> {
    let signature = key.sign(contents).map_err(SignError::Key)?;
    let signed = Signed {
        contents: AnyRef::from_der(contents)?,
        algorithm: key.algorithm().signature_identifier(),
        signature: BitStringRef::from_bytes(&signature)?,
    };
    Ok(signed.to_der()?)
}

/// Contents, algorithm and signature, where they stand in DER: what is around the contents is not signed, and the
/// second reader takes tags there that OpenSSL refuses. Parameters are NULL, or the SEQUENCE of RSASSA-PSS.
pub(super) fn framed(der: &[u8]) -> Option<Signed<'_>> {
    let signed = Signed::from_der(der).ok()?;
    let parameters = signed.algorithm.parameters.map(|parameters| parameters.tag());
    let known = matches!(parameters, None | Some(Tag::Null | Tag::Sequence));
    (known && signed.signature.as_bytes().is_some()).then_some(signed)
}

/// A moment as X.509 writes it.
pub(super) fn moment(time: Time) -> der::Result<Any> {
    let mut der = Vec::with_capacity(17);
    write_moment(&mut der, time);
    Any::from_der(&der)
}

/// `UTCTime` through 2049, `GeneralizedTime` after, whole seconds, `Z` (RFC 5280, 4.1.2.5).
pub(super) fn write_moment(der: &mut Vec<u8>, time: Time) {
    let (year, rest) = time.calendar();
    let [century, year] = [year / 100, year % 100].map(|part| part.to_le_bytes()[0]);
    if (century, year) < (20, 50) {
        der.extend_from_slice(&[UTC_TIME, 13]);
    } else {
        der.extend_from_slice(&[GENERALIZED_TIME, 15, b'0' + century / 10, b'0' + century % 10]);
    }
    let mut digits = *b"000000000000Z";
    for (pair, part) in digits.chunks_exact_mut(2).zip([year].into_iter().chain(rest)) {
        pair.copy_from_slice(&[b'0' + part / 10, b'0' + part % 10]);
    }
    der.extend_from_slice(&digits);
}

/// A name of one CN in `UTF8String` (RFC 5280, 4.1.2.4).
pub(super) fn name(common_name: &str) -> der::Result<Vec<u8>> {
    let oid = const_oid::db::rfc4519::CN;
    let value = Any::from(AnyRef::from(Utf8StringRef::new(common_name)?));
    let attributes = vec![AttributeTypeAndValue { oid, value }];
    let mut names = RdnSequence::default();
    names.push(RelativeDistinguishedName::try_from(attributes)?);
    names.to_der()
}

fn key_bits(spki: &[u8]) -> der::Result<&[u8]> {
    Ok(SubjectPublicKeyInfoRef::from_der(spki)?.subject_public_key.raw_bytes())
}

pub(super) const V3: u8 = 2;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

#[cfg(test)]
mod tests;
