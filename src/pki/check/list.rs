//! Holds a CRL that was signed against what it was to say.
//! Knows no clock: the profile tells when it was signed.

use std::cmp::Ordering;

use x509_parser::{
    extensions::X509Extension,
    prelude::FromDer,
    revocation_list::{CertificateRevocationList, RevokedCertificate},
    x509::{SubjectPublicKeyInfo, X509Version},
};

use crate::{
    inventory::Reason,
    pki::{
        check::{self, Expected, Violation},
        read, CrlProfile, IssuerCertificate, RevokedEntry,
    },
    serial::Serial,
};

/// Holds a CRL against its profile, its issuer and the exact set of what is revoked, in any order.
pub fn crl(
    der: &[u8],
    profile: &CrlProfile,
    revoked: &[RevokedEntry],
    issuer: &IssuerCertificate,
) -> Result<(), Violation> {
    check::check_outline(der)?;
    let (rest, list) = CertificateRevocationList::from_der(der).map_err(|_| Violation::Unreadable)?;
    if !rest.is_empty() {
        return Err(Violation::Unreadable);
    }
    check_fields(&list, profile)?;
    check_issuer(&list, issuer)?;
    let number = element_of_number(profile.number);
    check::check_extensions(
        list.extensions(),
        &[
            Expected::new(&check::AUTHORITY_KEY_ID, false, check::authority_key_id(issuer.key_id())),
            Expected::new(&check::CRL_NUMBER, false, number),
        ],
    )?;
    check_entries(&list, profile, revoked)
}

fn check_fields(list: &CertificateRevocationList<'_>, profile: &CrlProfile) -> Result<(), Violation> {
    if list.version() != Some(X509Version::V2) {
        return Err(Violation::Version);
    }
    let next = list.next_update().ok_or(Violation::Dates)?;
    check::check_date(list.last_update(), profile.validity.not_before())?;
    check::check_date(next, profile.validity.not_after())
}

fn check_issuer(list: &CertificateRevocationList<'_>, issuer: &IssuerCertificate) -> Result<(), Violation> {
    if list.issuer().as_raw() != issuer.subject_der() {
        return Err(Violation::Issuer);
    }
    check::check_algorithm(&list.tbs_cert_list.signature, issuer.algorithm())?;
    check::check_algorithm(&list.signature_algorithm, issuer.algorithm())?;
    let (_, key) = SubjectPublicKeyInfo::from_der(issuer.spki()).map_err(|_| Violation::Unreadable)?;
    list.verify_signature(&key).map_err(|_| Violation::Signature)
}

/// Both sides in the order of serials, so that one walk finds what is missing and what is too much.
fn check_entries(
    list: &CertificateRevocationList<'_>,
    profile: &CrlProfile,
    revoked: &[RevokedEntry],
) -> Result<(), Violation> {
    let mut wanted: Vec<&RevokedEntry> = revoked.iter().collect();
    wanted.sort_unstable_by_key(|entry| entry.serial);
    let mut wanted = wanted.into_iter();
    let mut before: Option<Serial> = None;
    for entry in list.iter_revoked_certificates() {
        let serial = read::serial(entry.raw_serial()).ok_or(Violation::EntrySerial)?;
        if before.replace(serial).is_some_and(|before| before >= serial) {
            return Err(Violation::Order);
        }
        let recorded = wanted.next().ok_or(Violation::NotRevoked(serial))?;
        match recorded.serial.cmp(&serial) {
            Ordering::Less => return Err(Violation::LeftOut(recorded.serial)),
            Ordering::Greater => return Err(Violation::NotRevoked(serial)),
            Ordering::Equal => check_entry(entry, recorded, profile)?,
        }
    }
    wanted.next().map_or(Ok(()), |left_out| Err(Violation::LeftOut(left_out.serial)))
}

fn check_entry(found: &RevokedCertificate<'_>, recorded: &RevokedEntry, profile: &CrlProfile) -> Result<(), Violation> {
    let date = found.revocation_date;
    if date.timestamp() > profile.signed_at.unix() {
        return Err(Violation::Future(recorded.serial));
    }
    check::check_date(date, recorded.revocation.at.min(profile.signed_at))?;
    let reason = match (recorded.revocation.reason, found.extensions()) {
        (Reason::Unspecified, []) => true,
        (Reason::Unspecified, _) => false,
        (reason, [extension]) => is_reason(extension, reason),
        _ => false,
    };
    reason.then_some(()).ok_or(Violation::Entry(recorded.serial))
}

/// reasonCode, not critical, an ENUMERATED of one octet (RFC 5280, 5.3.1).
fn is_reason(extension: &X509Extension<'_>, reason: Reason) -> bool {
    extension.oid == x509_parser::der_parser::oid!(2.5.29 .21)
        && !extension.critical
        && extension.value == [0x0a, 1, reason.code()]
}

/// The number as an INTEGER: no octet more than needed, the highest bit clear (X.690, 8.3).
fn element_of_number(number: u64) -> Vec<u8> {
    let padded = [[0].as_slice(), &number.to_be_bytes()].concat();
    let spare = padded.windows(2).take_while(|pair| pair[0] == 0 && pair[1] < 0x80).count();
    check::element(2, &padded[spare..])
}
