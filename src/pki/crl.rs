//! Certificate revocation lists: read, and held against the CA beside them. `crl/sign.rs` writes them,
//! `crl/stream.rs` reads long ones.
//! Knows no clock and no inventory; whether a list is current or complete is asked elsewhere.

mod armour;
mod parts;
mod sign;
mod stream;

use der::Encode;
use x509_parser::{
    der_parser::asn1_rs::BitString,
    extensions::ParsedExtension,
    prelude::FromDer,
    revocation_list::{CertificateRevocationList, RevokedCertificate},
    verify::verify_signature,
    x509::{AlgorithmIdentifier, SubjectPublicKeyInfo},
};

pub use armour::{Armoured, Unarmoured};
pub use parts::{Parts, TakePart};
pub use sign::{sign_crl, sign_crl_in_parts, CrlProfile, Shelf};
pub use stream::{CrlStream, CrlSum, Passed, StreamError};

use crate::{
    inventory::{Reason, Revocation},
    pki::{certificate::framed, pem, read, IssuerCertificate, PemError},
    serial::Serial,
    validity::{Validity, ValidityError},
};

/// One revoked certificate on a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RevokedEntry {
    /// Which certificate.
    pub serial: Serial,
    /// Since when and why.
    pub revocation: Revocation,
}

/// A revocation list as it was read: whose it is, `verify` tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Crl {
    der: Vec<u8>,
    number: Option<u64>,
    validity: Validity,
    issuer_der: Vec<u8>,
    authority_key_id: Option<Vec<u8>>,
    entries: Vec<RevokedEntry>,
}

/// Why a list cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CrlError {
    /// No list in the text.
    #[error("it holds no revocation list")]
    Pem(#[source] PemError),
    /// No CRL in DER.
    #[error("it is no revocation list in DER")]
    Unreadable,
    /// No nextUpdate, which RFC 5280, 5.1.2.5 requires.
    #[error("the revocation list does not say when the next one is due")]
    NoNextUpdate,
    /// thisUpdate comes after nextUpdate.
    #[error("the dates of the revocation list are out of order")]
    Validity(#[source] ValidityError),
    /// A CRL number that is negative, unreadable or does not fit into 64 bits; ours count from 1.
    #[error("the revocation list has a number that is none of ours")]
    Number,
    /// An entry whose serial is no serial.
    #[error("the revocation list has an entry without a valid serial")]
    Serial,
    /// A critical extension: a delta or partial list, which must not be taken for a full one (RFC 5280, 5.2).
    #[error("the revocation list is partial or has a critical extension that is not understood: {0}")]
    Critical(String),
    /// The algorithm beside the signature is not the one that was signed (RFC 5280, 5.1.1.2).
    #[error("the revocation list names two signature algorithms")]
    Algorithms,
    /// Name or key identifier of another CA. `OpenVPN` would load the list and let everybody in.
    #[error("the revocation list was signed by another CA")]
    OtherIssuer,
    /// Our CA's name, but not its signature.
    #[error("the signature of the revocation list is broken")]
    Signature,
}

impl Crl {
    /// Reads the first list in a PEM file.
    pub fn from_pem(text: &[u8]) -> Result<Self, CrlError> {
        Self::from_der(&pem::decode(pem::CRL, text).map_err(CrlError::Pem)?)
    }

    /// Reads a list in DER. Its signature is not looked at yet.
    pub fn from_der(der: &[u8]) -> Result<Self, CrlError> {
        let list = parse(der)?;
        if let Some(critical) = list.extensions().iter().find(|extension| extension.critical) {
            return Err(CrlError::Critical(critical.oid.to_id_string()));
        }
        if list.signature_algorithm != list.tbs_cert_list.signature {
            return Err(CrlError::Algorithms);
        }
        let next = list.next_update().ok_or(CrlError::NoNextUpdate)?;
        Ok(Self {
            number: number(&list)?,
            validity: Validity::new(read::time(list.last_update()), read::time(next)).map_err(CrlError::Validity)?,
            issuer_der: list.issuer().as_raw().to_vec(),
            authority_key_id: authority_key_id(&list),
            entries: list.iter_revoked_certificates().map(entry).collect::<Result<_, _>>()?,
            der: der.to_vec(),
        })
    }

    /// Its number; none on lists that other programs made without one. Numbers beyond 64 bits are refused when read.
    pub fn number(&self) -> Option<u64> {
        self.number
    }

    /// thisUpdate and nextUpdate.
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// Its issuer's name as it is encoded.
    pub fn issuer_der(&self) -> &[u8] {
        &self.issuer_der
    }

    /// What it lists, in its own order. Reasons that make no sense for a leaf count as unspecified.
    pub fn entries(&self) -> &[RevokedEntry] {
        &self.entries
    }

    /// The list.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Whether `issuer` signed it. By name and key identifier first, as OpenSSL looks for the list of a CA: where
    /// they differ it finds none, and revokes nobody.
    pub fn verify(&self, issuer: &IssuerCertificate) -> Result<(), CrlError> {
        let other_key = self.authority_key_id.as_ref().is_some_and(|id| id != issuer.key_id());
        if self.issuer_der != issuer.subject_der() || issuer.states_key_id() && other_key {
            return Err(CrlError::OtherIssuer);
        }
        self.signed_by(issuer.spki()).ok_or(CrlError::Signature)
    }

    /// Without reading the entries once more: there may be a hundred thousand.
    fn signed_by(&self, spki: &[u8]) -> Option<()> {
        let signed = framed(&self.der)?;
        let contents = signed.contents.to_der().ok()?;
        let algorithm = signed.algorithm.to_der().ok()?;
        let (_, algorithm) = AlgorithmIdentifier::from_der(&algorithm).ok()?;
        let (_, key) = SubjectPublicKeyInfo::from_der(spki).ok()?;
        let signature = BitString::new(0, signed.signature.as_bytes()?);
        verify_signature(&key, &algorithm, &signature, &contents).ok()
    }
}

fn parse(der: &[u8]) -> Result<CertificateRevocationList<'_>, CrlError> {
    match CertificateRevocationList::from_der(der) {
        Ok((rest, list)) if rest.is_empty() && framed(der).is_some() => Ok(list),
        _ => Err(CrlError::Unreadable),
    }
}

fn number(list: &CertificateRevocationList<'_>) -> Result<Option<u64>, CrlError> {
    let wanted = |extension: &&x509_parser::extensions::X509Extension<'_>| {
        extension.oid == x509_parser::oid_registry::OID_X509_EXT_CRL_NUMBER
    };
    let Some(extension) = list.extensions().iter().find(wanted) else { return Ok(None) };
    // INTEGER, length, contents; a positive number that fits has at most 9 octets, the first then zero
    let [2, length, contents @ ..] = extension.value else { return Err(CrlError::Number) };
    let [first, ..] = contents else { return Err(CrlError::Number) };
    if usize::from(*length) != contents.len()
        || *first >= 0x80
        || contents.len() > 8 && (*first != 0 || contents.len() > 9)
    {
        return Err(CrlError::Number);
    }
    Ok(Some(contents.iter().fold(0, |number, &octet| number << 8 | u64::from(octet))))
}

fn authority_key_id(list: &CertificateRevocationList<'_>) -> Option<Vec<u8>> {
    list.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref().map(|id| id.0.to_vec()),
        _ => None,
    })
}

fn entry(found: &RevokedCertificate<'_>) -> Result<RevokedEntry, CrlError> {
    let serial = read::serial(found.raw_serial()).ok_or(CrlError::Serial)?;
    let reason = found.reason_code().map_or(Reason::Unspecified, |(_, code)| Reason::from_code(code.0));
    Ok(RevokedEntry { serial, revocation: Revocation { at: read::time(found.revocation_date), reason } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::{crl_pem, sample, self_sign, Algorithm, PrivateKey};
    use proptest::prelude::*;

    #[test]
    fn what_was_signed_is_read() {
        let (issuer, _) = sample::issuer(Algorithm::P256);
        let (profile, entries) = (sample::crl(7), sample::revoked(3));
        let der = sample::signed_crl(Algorithm::P256, &profile, &entries);
        let crl = Crl::from_pem(format!("noise\n{}", crl_pem(&der)).as_bytes()).unwrap();
        assert_eq!((crl.number(), crl.validity(), crl.der()), (Some(7), profile.validity, der.as_slice()));
        assert_eq!((crl.entries(), crl.issuer_der()), (entries.as_slice(), issuer.subject_der()));
        crl.verify(issuer).unwrap();
    }

    #[test]
    fn another_ca_and_a_broken_signature_are_told_apart() {
        let (issuer, _) = sample::issuer(Algorithm::P256);
        let der = sample::signed_crl(Algorithm::P256, &sample::crl(1), &sample::revoked(1));
        let crl = Crl::from_der(&der).unwrap();
        // the same name, another key: only the key identifier tells
        let twin = sample::issuer(Algorithm::P384).0;
        assert_eq!(twin.subject_der(), issuer.subject_der());
        assert!(matches!(crl.verify(twin), Err(CrlError::OtherIssuer)));
        // the same key, another name
        let profile = crate::pki::CaProfile { common_name: "other".into(), ..sample::authority() };
        let renamed = IssuerCertificate::parse(&self_sign(&profile, sample::key(Algorithm::P256)).unwrap()).unwrap();
        assert!(matches!(crl.verify(&renamed), Err(CrlError::OtherIssuer)));

        let mut broken = der;
        *broken.last_mut().unwrap() ^= 1;
        assert!(matches!(Crl::from_der(&broken).unwrap().verify(issuer), Err(CrlError::Signature)));
    }

    #[test]
    fn every_number_of_64_bits_is_read_and_no_other() {
        for number in [0, 1, 0x7f, 0x80, 0xff, 0x100, u64::MAX >> 1, u64::MAX] {
            let der = sample::signed_crl(Algorithm::P256, &sample::crl(number), &[]);
            assert_eq!(Crl::from_der(&der).unwrap().number(), Some(number));
        }
        let der = sample::signed_crl(Algorithm::P256, &sample::crl(u64::MAX), &[]);
        let at = der.windows(3).position(|octets| octets == [2, 9, 0]).unwrap();
        for first in [1, 0x80] {
            let mut changed = der.clone();
            changed[at + 2] = first;
            assert!(matches!(Crl::from_der(&changed), Err(CrlError::Number)));
        }
    }

    #[test]
    fn a_list_without_a_number_is_read_and_belongs_to_its_own_ca() {
        let crl = Crl::from_pem(BY_OPENSSL).unwrap();
        assert_eq!((crl.number(), crl.entries()), (None, &[][..]));
        assert_eq!(crl.validity().not_before().date(), "2026-11-22");
        assert!(matches!(crl.verify(sample::issuer(Algorithm::P256).0), Err(CrlError::OtherIssuer)));
    }

    #[test]
    fn a_new_key_is_another_ca() {
        let key = PrivateKey::generate(Algorithm::P256).ok().unwrap();
        let renewed = IssuerCertificate::parse(&self_sign(&sample::authority(), &key).unwrap()).unwrap();
        let crl = Crl::from_der(&sample::signed_crl(Algorithm::P256, &sample::crl(1), &[])).unwrap();
        assert!(matches!(crl.verify(&renewed), Err(CrlError::OtherIssuer)));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(Crl::from_pem(&bytes).is_err());
            prop_assert!(Crl::from_der(&bytes).is_err());
        }

        #[test]
        fn damage_never_passes(at in any::<prop::sample::Index>(), bit in 0..8_u8) {
            let (issuer, _) = sample::issuer(Algorithm::Ed25519);
            let mut der = sample::signed_crl(Algorithm::Ed25519, &sample::crl(1), &sample::revoked(2));
            let at = at.index(der.len());
            der[at] ^= 1 << bit;
            prop_assert!(Crl::from_der(&der).and_then(|crl| crl.verify(issuer)).is_err(), "octet {}", at);
        }
    }

    /// `openssl ca -gencrl` without a number: version 1, no extensions.
    const BY_OPENSSL: &[u8] = b"\
-----BEGIN X509 CRL-----
MIGQMDgwCgYIKoZIzj0EAwIwDDEKMAgGA1UEAwwBeBcNMjYxMTIyMTkzMTMyWhcN
MjYxMjIyMTkzMTMyWjAKBggqhkjOPQQDAgNIADBFAiAVucuRX0bLUAoVbPRTfSvW
wkGOnPNlQA/+3thiH52Y4wIhAJftv30QxmfctuxQd+qG6KdoYSm3mKRzi9OdJZ+q
I4QY
-----END X509 CRL-----
";
}
