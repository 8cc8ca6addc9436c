//! Keys, profiles and certificates that the tests of this room share, and the same ones as rcgen makes them.
//! Knows nothing of what is tested with them.

use std::sync::LazyLock;

use ::time::OffsetDateTime;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CustomExtension, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevocationReason, RevokedCertParams,
    SanType,
};
use x509_parser::{prelude::FromDer, revocation_list::CertificateRevocationList};

use crate::{
    inventory::{Reason, Revocation, Role},
    pki::{
        read, self_sign, sign_crl, sign_leaf, Address, Algorithm, CaProfile, CrlProfile, IssuerCertificate,
        LeafProfile, PrivateKey, RevokedEntry,
    },
    serial::Serial,
    time::{Time, DAY},
    validity::Validity,
};

/// A key of each kind, made once.
pub(super) fn key(algorithm: Algorithm) -> &'static PrivateKey {
    static KEYS: LazyLock<Vec<PrivateKey>> =
        LazyLock::new(|| Algorithm::ALL.map(|algorithm| PrivateKey::generate(algorithm).ok().unwrap()).into());
    KEYS.iter().find(|key| key.algorithm() == algorithm).unwrap()
}

/// A moment in 2026.
pub(super) fn now() -> Time {
    Time::parse("2026-11-22T10:00:00Z").unwrap()
}

pub(super) fn authority() -> CaProfile {
    CaProfile {
        common_name: "openvpn vpn.example.com 2026-11-22".into(),
        serial: Serial::fresh([0xca; 16]),
        validity: Validity::of_days(now(), 3650, DAY),
    }
}

pub(super) fn leaf(name: &str, role: Role) -> LeafProfile {
    let addresses = ["vpn.example.com", "192.0.2.1", "2001:db8::1"].map(|text| Address::parse(text).unwrap());
    LeafProfile {
        name: name.parse().unwrap(),
        role,
        serial: Serial::fresh([0x1e; 16]),
        validity: Validity::of_days(now(), 825, DAY),
        addresses: if role == Role::Server { addresses.into() } else { vec![] },
    }
}

/// A CA of [`authority`] with the key of this kind.
pub(super) fn issuer(algorithm: Algorithm) -> (&'static IssuerCertificate, &'static PrivateKey) {
    static ISSUERS: LazyLock<Vec<IssuerCertificate>> = LazyLock::new(|| {
        Algorithm::ALL
            .map(|algorithm| IssuerCertificate::parse(&self_sign(&authority(), key(algorithm)).unwrap()).unwrap())
            .into()
    });
    (ISSUERS.iter().find(|issuer| issuer.algorithm() == algorithm).unwrap(), key(algorithm))
}

/// A certificate of this profile under the CA of this kind, whose key it has, too.
pub(super) fn signed(algorithm: Algorithm, profile: &LeafProfile) -> Vec<u8> {
    let (issuer, key) = issuer(algorithm);
    sign_leaf(profile, key.spki(), issuer, key).unwrap().der().to_vec()
}

pub(super) fn crl(number: u64) -> CrlProfile {
    let validity = Validity::new(now().plus_days(-1), authority().validity.not_after()).unwrap();
    CrlProfile { number, validity, signed_at: now() }
}

/// So many revoked serials in order, with every reason.
pub(super) fn revoked(count: u32) -> Vec<RevokedEntry> {
    let entry = |index: u32| {
        let mut random = [0; 16];
        random[1..5].copy_from_slice(&index.to_be_bytes());
        let reason = Reason::ALL[index as usize % Reason::ALL.len()];
        let at = now().plus_seconds(-i64::from(index));
        RevokedEntry { serial: Serial::fresh(random), revocation: Revocation { at, reason } }
    };
    (0..count).map(entry).collect()
}

pub(super) fn signed_crl(algorithm: Algorithm, profile: &CrlProfile, revoked: &[RevokedEntry]) -> Vec<u8> {
    let (issuer, key) = issuer(algorithm);
    sign_crl(profile, revoked, issuer, key).unwrap()
}

/// What is signed in a certificate.
pub(super) fn contents(der: &[u8]) -> Vec<u8> {
    read::certificate(der).unwrap().tbs_certificate.as_ref().to_vec()
}

/// What is signed in a list.
pub(super) fn list_contents(der: &[u8]) -> Vec<u8> {
    CertificateRevocationList::from_der(der).unwrap().1.tbs_cert_list.as_ref().to_vec()
}

/// The CA of a profile, made by rcgen.
pub(super) fn second_authority(profile: &CaProfile, key: &PrivateKey) -> Vec<u8> {
    let params = second_authority_params(profile, key);
    params.self_signed(&second_key(key)).unwrap().der().to_vec()
}

/// The leaf of a profile, made by rcgen.
pub(super) fn second_leaf(profile: &LeafProfile, ca: &CaProfile, ca_key: &PrivateKey, key: &PrivateKey) -> Vec<u8> {
    let mut params = second_params(profile.name.as_str(), profile.serial, profile.validity);
    params.subject_alt_names = profile.addresses.iter().map(second_address).collect();
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    if profile.role == Role::Server {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.key_usages.extend(match key.algorithm() {
            Algorithm::P256 | Algorithm::P384 => Some(KeyUsagePurpose::KeyAgreement),
            Algorithm::Ed25519 => None,
            _ => Some(KeyUsagePurpose::KeyEncipherment),
        });
    }
    // without basicConstraints rcgen writes no subject key identifier of its own
    let id = [&[4, 20], second_key_id(key).as_slice()].concat();
    params.custom_extensions = vec![CustomExtension::from_oid_content(&[2, 5, 29, 14], id)];
    let issuer = Issuer::new(second_authority_params(ca, ca_key), second_key(ca_key));
    params.signed_by(&second_key(key), &issuer).unwrap().der().to_vec()
}

/// The list of a profile, made by rcgen.
pub(super) fn second_crl(
    profile: &CrlProfile,
    revoked: &[RevokedEntry],
    issuer: &IssuerCertificate,
    key: &PrivateKey,
) -> Vec<u8> {
    let entry = |entry: &RevokedEntry| RevokedCertParams {
        serial_number: entry.serial.octets().to_vec().into(),
        revocation_time: second_time(entry.revocation.at),
        reason_code: Some(second_reason(entry.revocation.reason)),
        invalidity_date: None,
    };
    let params = CertificateRevocationListParams {
        this_update: second_time(profile.validity.not_before()),
        next_update: second_time(profile.validity.not_after()),
        crl_number: profile.number.into(),
        issuing_distribution_point: None,
        revoked_certs: revoked.iter().map(entry).collect(),
        key_identifier_method: KeyIdMethod::PreSpecified(issuer.key_id().to_vec()),
    };
    let issuer = Issuer::new(second_authority_params(&authority(), key), second_key(key));
    params.signed_by(&issuer).unwrap().der().to_vec()
}

fn second_authority_params(profile: &CaProfile, key: &PrivateKey) -> CertificateParams {
    let mut params = second_params(&profile.common_name, profile.serial, profile.validity);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.key_identifier_method = KeyIdMethod::PreSpecified(second_key_id(key));
    params
}

fn second_params(common_name: &str, serial: Serial, validity: Validity) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.serial_number = Some(serial.octets().to_vec().into());
    params.not_before = second_time(validity.not_before());
    params.not_after = second_time(validity.not_after());
    params.use_authority_key_identifier_extension = true;
    params
}

fn second_key(key: &PrivateKey) -> KeyPair {
    KeyPair::from_pem(key.to_pem().expose_text().unwrap()).unwrap()
}

/// SHA-1 of the public key's bits, as rcgen knows them.
fn second_key_id(key: &PrivateKey) -> Vec<u8> {
    let digest = aws_lc_rs::digest::digest(
        &aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY,
        rcgen::PublicKeyData::der_bytes(&second_key(key)),
    );
    digest.as_ref().to_vec()
}

fn second_address(address: &Address) -> SanType {
    match address {
        Address::Dns(host) => SanType::DnsName(host.as_str().try_into().unwrap()),
        Address::Ip(address) => SanType::IpAddress(*address),
    }
}

fn second_time(time: Time) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(time.unix()).unwrap()
}

fn second_reason(reason: Reason) -> RevocationReason {
    match reason {
        Reason::Unspecified => RevocationReason::Unspecified,
        Reason::KeyCompromise => RevocationReason::KeyCompromise,
        Reason::AffiliationChanged => RevocationReason::AffiliationChanged,
        Reason::Superseded => RevocationReason::Superseded,
        Reason::CessationOfOperation => RevocationReason::CessationOfOperation,
        Reason::CertificateHold => RevocationReason::CertificateHold,
        Reason::PrivilegeWithdrawn => RevocationReason::PrivilegeWithdrawn,
    }
}
