//! Holds what was signed against its profile, rule by rule, with another reader than the encoder's.
//! Knows nothing of how it was made: what it expects is written out here once more, octet for octet.

mod list;
mod outline;

use std::net::IpAddr;

use x509_parser::{
    certificate::X509Certificate,
    der_parser::{
        asn1_rs::{Any, Tag},
        oid, Oid,
    },
    extensions::X509Extension,
    prelude::FromDer,
    time::ASN1Time,
    x509::{AlgorithmIdentifier, SubjectPublicKeyInfo, X509Version},
};

use crate::{
    inventory::Role,
    pki::{certificate::framed, key_id, read, Address, Algorithm, CaProfile, IssuerCertificate, LeafProfile},
    serial::Serial,
    time::Time,
    validity::Validity,
};

pub use list::crl;

/// A rule that a certificate or CRL breaks.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum Violation {
    /// The second reader cannot read it.
    #[error("it cannot be read back")]
    Unreadable,
    /// Readable, but not distinguished encoding.
    #[error("it is not DER as RFC 5280 wants it: {0}")]
    Encoding(&'static str),
    /// Not version 3, or for a CRL version 2 (4.1.2.1, 5.1.2.1).
    #[error("its version is wrong (RFC 5280, 4.1.2.1, 5.1.2.1)")]
    Version,
    /// Another serial than asked for, or one of more than 20 octets.
    #[error("its serial number is not the one asked for (RFC 5280, 4.1.2.2)")]
    Serial,
    /// Not the issuer's algorithm, or not the same inside and outside, or with wrong parameters.
    #[error("its signature algorithm is not the issuer's, inside and outside alike (RFC 5280, 4.1.1.2)")]
    Algorithm,
    /// Not the octets of the issuer's subject.
    #[error("its issuer is not the issuer's subject, octet for octet (RFC 5280, 4.1.2.4)")]
    Issuer,
    /// Other dates than asked for.
    #[error("its dates are not the ones asked for (RFC 5280, 4.1.2.5, 5.1.2.4)")]
    Dates,
    /// `GeneralizedTime` before 2050 or `UTCTime` after.
    #[error("a date is not UTCTime through 2049 and GeneralizedTime after (RFC 5280, 4.1.2.5)")]
    DateForm,
    /// It holds when its issuer does not.
    #[error("it holds when its issuer does not")]
    Outlives,
    /// Anything but one CN in `UTF8String` with the text asked for.
    #[error("its subject is not the one name asked for (RFC 5280, 4.1.2.6)")]
    Subject,
    /// Another key, or other octets for it.
    #[error("its public key is not the one asked for")]
    PublicKey,
    /// A field from version 2 (4.1.2.8).
    #[error("it has a unique identifier (RFC 5280, 4.1.2.8)")]
    UniqueId,
    /// A required extension is not there, or there twice.
    #[error("its {0} is missing or there twice (RFC 5280, 4.2)")]
    Missing(&'static str),
    /// An extension that the profile does not have.
    #[error("it has an extension that its profile has not: {0}")]
    Unasked(String),
    /// An extension that is critical and should not be, or the other way round.
    #[error("its {0} has the wrong criticality (RFC 5280, 4.2)")]
    Criticality(&'static str),
    /// An extension that says something else than the profile.
    #[error("its {0} is not what its profile says (RFC 5280, 4.2.1, 5.2)")]
    Extension(&'static str),
    /// The signature is not by the issuer's key.
    #[error("its signature is not the issuer's")]
    Signature,
    /// The list is not strictly in the order of serials, so that one may be there twice.
    #[error("its entries are not in order, each once")]
    Order,
    /// The list, read back in parts, does not list just what it was to list.
    #[error("its entries are not the ones asked for")]
    Listed,
    /// The list leaves out a revoked serial.
    #[error("it leaves out revoked serial {0}")]
    LeftOut(Serial),
    /// The list names a serial that is not revoked.
    #[error("it lists serial {0}, which is not revoked")]
    NotRevoked(Serial),
    /// An entry says something else than the revocation: reason, date or extensions.
    #[error("its entry for serial {0} is not what was recorded (RFC 5280, 5.3)")]
    Entry(Serial),
    /// An entry with a serial that no certificate of ours can have.
    #[error("one of its entries has no valid serial (RFC 5280, 4.1.2.2)")]
    EntrySerial,
    /// Something revoked later than now.
    #[error("its entry for serial {0} lies in the future")]
    Future(Serial),
}

/// Holds a self-signed CA certificate against its profile.
pub fn authority(der: &[u8], profile: &CaProfile) -> Result<(), Violation> {
    check_outline(der)?;
    let certificate = read::certificate(der).map_err(|_| Violation::Unreadable)?;
    let key = certificate.public_key();
    let id = key_id(&key.subject_public_key.data);
    let algorithm = Algorithm::of(key.raw).map_err(|_| Violation::PublicKey)?;
    check_fields(&certificate, profile.serial, profile.validity, &profile.common_name)?;
    check_issuer(&certificate, certificate.subject().as_raw(), algorithm, key)?;
    check_extensions(
        certificate.extensions(),
        &[
            Expected::new(&AUTHORITY_KEY_ID, false, authority_key_id(&id)),
            Expected::new(&KEY_USAGE, true, vec![3, 2, 1, 0x06]), // keyCertSign, cRLSign
            Expected::new(&SUBJECT_KEY_ID, false, element(4, &id)),
            Expected::new(&BASIC_CONSTRAINTS, true, vec![0x30, 6, 1, 1, 0xff, 2, 1, 0]), // CA:TRUE, pathlen 0
        ],
    )
}

/// Holds a leaf certificate against its profile, the key it was asked for and its issuer.
pub fn leaf(der: &[u8], profile: &LeafProfile, spki: &[u8], issuer: &IssuerCertificate) -> Result<(), Violation> {
    check_outline(der)?;
    let certificate = read::certificate(der).map_err(|_| Violation::Unreadable)?;
    let (_, issuer_key) = SubjectPublicKeyInfo::from_der(issuer.spki()).map_err(|_| Violation::Unreadable)?;
    check_fields(&certificate, profile.serial, profile.validity, profile.name.as_str())?;
    check_issuer(&certificate, issuer.subject_der(), issuer.algorithm(), &issuer_key)?;
    let held = read::validity(&certificate).map_err(|_| Violation::Dates)?;
    if held.inside(issuer.validity()) != Ok(held) {
        return Err(Violation::Outlives);
    }
    let key = certificate.public_key();
    if key.raw != spki {
        return Err(Violation::PublicKey);
    }
    let algorithm = Algorithm::of(spki).map_err(|_| Violation::PublicKey)?;
    let id = key_id(&key.subject_public_key.data);
    check_extensions(certificate.extensions(), &leaf_extensions(profile, algorithm, &id, issuer.key_id()))
}

fn leaf_extensions(profile: &LeafProfile, key: Algorithm, id: &[u8], issuer_id: &[u8]) -> Vec<Expected> {
    let (usage, purpose) = match profile.role {
        Role::Client => ([3, 2, 7, 0x80], CLIENT_AUTH),
        Role::Server if key.is_rsa() => ([3, 2, 5, 0xa0], SERVER_AUTH), // digitalSignature, keyEncipherment
        Role::Server if key == Algorithm::Ed25519 => ([3, 2, 7, 0x80], SERVER_AUTH), // digitalSignature
        Role::Server => ([3, 2, 3, 0x88], SERVER_AUTH),                 // digitalSignature, keyAgreement
    };
    let mut expected = vec![
        Expected::new(&AUTHORITY_KEY_ID, false, authority_key_id(issuer_id)),
        Expected::new(&KEY_USAGE, true, usage.to_vec()),
        Expected::new(&EXTENDED_KEY_USAGE, false, element(0x30, &element(6, &purpose))),
        Expected::new(&SUBJECT_KEY_ID, false, element(4, id)),
    ];
    if !profile.addresses.is_empty() {
        let names: Vec<u8> = profile.addresses.iter().flat_map(general_name).collect();
        expected.push(Expected::new(&SUBJECT_ALT_NAME, false, element(0x30, &names)));
    }
    expected
}

/// What no reader of ours may be lenient about.
fn check_outline(der: &[u8]) -> Result<(), Violation> {
    outline::check(der).map_err(Violation::Encoding)?;
    framed(der).map(|_| ()).ok_or(Violation::Unreadable)
}

/// What the profile alone decides.
fn check_fields(
    certificate: &X509Certificate<'_>,
    serial: Serial,
    validity: Validity,
    common_name: &str,
) -> Result<(), Violation> {
    if certificate.version() != X509Version::V3 {
        return Err(Violation::Version);
    }
    if certificate.raw_serial() != serial.der_octets() || certificate.raw_serial().len() > 20 {
        return Err(Violation::Serial);
    }
    let dates = certificate.validity();
    check_date(dates.not_before, validity.not_before())?;
    check_date(dates.not_after, validity.not_after())?;
    if certificate.issuer_uid.is_some() || certificate.subject_uid.is_some() {
        return Err(Violation::UniqueId);
    }
    check_subject(certificate, common_name)
}

/// What the issuer decides.
fn check_issuer(
    certificate: &X509Certificate<'_>,
    issuer_der: &[u8],
    algorithm: Algorithm,
    key: &SubjectPublicKeyInfo<'_>,
) -> Result<(), Violation> {
    if certificate.issuer().as_raw() != issuer_der {
        return Err(Violation::Issuer);
    }
    check_algorithm(&certificate.signature, algorithm)?;
    check_algorithm(&certificate.signature_algorithm, algorithm)?;
    certificate.verify_signature(Some(key)).map_err(|_| Violation::Signature)
}

/// One CN, `UTF8String`, nothing that a terminal or a string in C would not survive.
fn check_subject(certificate: &X509Certificate<'_>, common_name: &str) -> Result<(), Violation> {
    let attributes: Vec<_> = certificate.subject().iter_attributes().collect();
    let [attribute] = attributes[..] else { return Err(Violation::Subject) };
    let value = attribute.attr_value();
    let as_asked = *attribute.attr_type() == oid!(2.5.4 .3)
        && value.tag() == Tag::Utf8String
        && value.data == common_name.as_bytes()
        && !common_name.contains(char::is_control);
    as_asked.then_some(()).ok_or(Violation::Subject)
}

fn check_date(found: ASN1Time, asked: Time) -> Result<(), Violation> {
    if found.timestamp() != asked.unix() {
        return Err(Violation::Dates);
    }
    (found.is_utctime() == (asked.unix() < YEAR_2050)).then_some(()).ok_or(Violation::DateForm)
}

fn check_algorithm(found: &AlgorithmIdentifier<'_>, issuer: Algorithm) -> Result<(), Violation> {
    let oid = match issuer {
        Algorithm::P256 => oid!(1.2.840 .10045 .4 .3 .2),
        Algorithm::P384 => oid!(1.2.840 .10045 .4 .3 .3),
        Algorithm::Ed25519 => oid!(1.3.101 .112),
        Algorithm::Rsa2048 | Algorithm::Rsa3072 | Algorithm::Rsa4096 => oid!(1.2.840 .113549 .1 .1 .11),
    };
    let null = |any: &Any<'_>| any.tag() == Tag::Null && any.data.is_empty();
    let parameters = match &found.parameters {
        Some(any) => issuer.is_rsa() && null(any),
        None => !issuer.is_rsa(),
    };
    (found.algorithm == oid && parameters).then_some(()).ok_or(Violation::Algorithm)
}

/// Each expected extension once, with its criticality and octets, and no other.
fn check_extensions(found: &[X509Extension<'_>], expected: &[Expected]) -> Result<(), Violation> {
    for Expected { kind, critical, value } in expected {
        let mut same = found.iter().filter(|extension| extension.oid == kind.oid);
        let (Some(extension), None) = (same.next(), same.next()) else { return Err(Violation::Missing(kind.name)) };
        if extension.critical != *critical {
            return Err(Violation::Criticality(kind.name));
        }
        if extension.value != value {
            return Err(Violation::Extension(kind.name));
        }
    }
    let unasked = found.iter().find(|extension| expected.iter().all(|known| known.kind.oid != extension.oid));
    unasked.map_or(Ok(()), |extension| Err(Violation::Unasked(extension.oid.to_id_string())))
}

struct Kind {
    oid: Oid<'static>,
    name: &'static str,
}

struct Expected {
    kind: &'static Kind,
    critical: bool,
    value: Vec<u8>,
}

impl Expected {
    fn new(kind: &'static Kind, critical: bool, value: Vec<u8>) -> Self {
        Self { kind, critical, value }
    }
}

fn authority_key_id(id: &[u8]) -> Vec<u8> {
    element(0x30, &element(0x80, id))
}

fn general_name(address: &Address) -> Vec<u8> {
    match address {
        Address::Dns(host) => element(0x82, host.as_bytes()),
        Address::Ip(IpAddr::V4(address)) => element(0x87, &address.octets()),
        Address::Ip(IpAddr::V6(address)) => element(0x87, &address.octets()),
    }
}

/// Tag, length and contents (X.690, 10.1).
fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = contents.len().to_be_bytes();
    let significant = &length[length.iter().take_while(|&&octet| octet == 0).count()..];
    let mut der = vec![tag];
    match significant {
        [] => der.push(0),
        [short @ ..=0x7f] => der.push(*short),
        // a usize has at most 8 octets
        long => {
            der.push(0x80 | u8::try_from(long.len()).unwrap_or(u8::MAX));
            der.extend(long);
        }
    }
    der.extend(contents);
    der
}

static AUTHORITY_KEY_ID: Kind = Kind { oid: oid!(2.5.29 .35), name: "authority key identifier" };
static SUBJECT_KEY_ID: Kind = Kind { oid: oid!(2.5.29 .14), name: "subject key identifier" };
static KEY_USAGE: Kind = Kind { oid: oid!(2.5.29 .15), name: "key usage" };
static EXTENDED_KEY_USAGE: Kind = Kind { oid: oid!(2.5.29 .37), name: "extended key usage" };
static BASIC_CONSTRAINTS: Kind = Kind { oid: oid!(2.5.29 .19), name: "basic constraints" };
static SUBJECT_ALT_NAME: Kind = Kind { oid: oid!(2.5.29 .17), name: "subject alternative name" };
static CRL_NUMBER: Kind = Kind { oid: oid!(2.5.29 .20), name: "CRL number" };

/// 2050-01-01T00:00:00Z.
const YEAR_2050: i64 = 2_524_608_000;
/// 1.3.6.1.5.5.7.3.1 and .2 (RFC 5280, 4.2.1.12).
const SERVER_AUTH: [u8; 8] = [0x2b, 6, 1, 5, 5, 7, 3, 1];
const CLIENT_AUTH: [u8; 8] = [0x2b, 6, 1, 5, 5, 7, 3, 2];

#[cfg(test)]
mod tests;
