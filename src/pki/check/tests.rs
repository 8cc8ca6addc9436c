//! Each rule bites: certificates and lists that break just one are made with the encoder's own parts.

use der::{
    asn1::{Any, AnyRef, OctetString, UintRef},
    Decode, Encode,
};
use x509_cert::ext::Extension;

use super::*;
use crate::pki::{
    certificate::{sign, Dates, ToBeSigned, V3},
    profile, sample, PrivateKey,
};

/// A leaf of the sample's server profile after `change`, signed by its CA.
fn forged(change: impl FnOnce(&mut ToBeSigned<'static>)) -> Vec<u8> {
    let (issuer, key) = sample::issuer(Algorithm::P256);
    forged_by(key, |tbs| {
        tbs.issuer = AnyRef::from_der(issuer.subject_der()).unwrap();
        change(tbs);
    })
}

fn forged_by(signer: &PrivateKey, change: impl FnOnce(&mut ToBeSigned<'static>)) -> Vec<u8> {
    let (issuer, key) = sample::issuer(Algorithm::P256);
    let profile = server();
    let mut tbs = ToBeSigned {
        version: V3,
        serial: UintRef::new(profile.serial.octets().to_vec().leak()).unwrap(),
        signature: signer.algorithm().signature_identifier(),
        issuer: AnyRef::from_der(issuer.subject_der()).unwrap(),
        validity: Dates::new(profile.validity).unwrap(),
        subject: AnyRef::from_der(SUBJECT).unwrap(),
        public_key: AnyRef::from_der(key.spki()).unwrap(),
        extensions: profile::leaf_extensions(&profile, Algorithm::P256, issuer.key_id(), issuer.key_id()).unwrap(),
    };
    change(&mut tbs);
    sign(&tbs.to_der().unwrap(), signer).unwrap()
}

fn server() -> LeafProfile {
    sample::leaf("server1", Role::Server)
}

fn verdict(der: &[u8]) -> Result<(), Violation> {
    let (issuer, key) = sample::issuer(Algorithm::P256);
    leaf(der, &server(), key.spki(), issuer)
}

/// Lives as long as the test run, so that any field can hold it.
fn any(der: Vec<u8>) -> AnyRef<'static> {
    AnyRef::from_der(der.leak()).unwrap()
}

fn extension<'a>(tbs: &'a mut ToBeSigned<'_>, oid: &str) -> &'a mut Extension {
    tbs.extensions.iter_mut().find(|extension| extension.extn_id.to_string() == oid).unwrap()
}

fn with_value(oid: &str, value: &[u8]) -> Result<(), Violation> {
    verdict(&forged(|tbs| extension(tbs, oid).extn_value = OctetString::new(value).unwrap()))
}

#[test]
fn what_nothing_was_done_to_passes() {
    assert_eq!(verdict(&forged(|_| {})), Ok(()));
}

#[test]
fn fields_other_than_the_profiles_are_found() {
    let other = Validity::of_days(sample::now(), 824, 86_400);
    assert_eq!(verdict(&forged(|tbs| tbs.version = 1)), Err(Violation::Version));
    assert_eq!(verdict(&forged(|tbs| tbs.serial = UintRef::new(&[5]).unwrap())), Err(Violation::Serial));
    assert_eq!(verdict(&forged(|tbs| tbs.validity = Dates::new(other).unwrap())), Err(Violation::Dates));
    let other_key = sample::key(Algorithm::P384).spki();
    assert_eq!(
        verdict(&forged(|tbs| tbs.public_key = AnyRef::from_der(other_key).unwrap())),
        Err(Violation::PublicKey)
    );
}

#[test]
fn generalized_time_before_2050_is_found() {
    let text = |time: Time| time.to_string().replace(['-', ':', 'T'], "").into_bytes();
    let der = forged(|tbs| {
        let end = text(server().validity.not_after());
        tbs.validity.not_after = Any::new(der::Tag::GeneralizedTime, end).unwrap();
    });
    assert_eq!(verdict(&der), Err(Violation::DateForm));
}

#[test]
fn names_that_read_alike_are_found() {
    let (issuer, _) = sample::issuer(Algorithm::P256);
    // PrintableString instead of UTF8String: the same text, other octets
    let printable: Vec<u8> = SUBJECT.iter().map(|&octet| if octet == 0x0c { 0x13 } else { octet }).collect();
    assert_eq!(verdict(&forged(|tbs| tbs.subject = any(printable))), Err(Violation::Subject));
    let with_nul: Vec<u8> = SUBJECT.iter().map(|&octet| if octet == b'1' { 0 } else { octet }).collect();
    assert_eq!(verdict(&forged(|tbs| tbs.subject = any(with_nul))), Err(Violation::Subject));
    let twice = [&[0x30, 36][..], &SUBJECT[2..], &SUBJECT[2..]].concat();
    assert_eq!(verdict(&forged(|tbs| tbs.subject = any(twice))), Err(Violation::Subject));

    let at = issuer.subject_der().iter().position(|&octet| octet == 0x0c).unwrap();
    let mut retyped = issuer.subject_der().to_vec();
    retyped[at] = 0x13;
    assert_eq!(verdict(&forged(|tbs| tbs.issuer = any(retyped))), Err(Violation::Issuer));
}

#[test]
fn extensions_that_say_something_else_are_found() {
    for (oid, value, name) in [
        (KEY_USAGE_OID, &[3, 2, 7, 0x80][..], "key usage"), // keyAgreement missing
        (KEY_USAGE_OID, &[3, 2, 1, 0x8e], "key usage"),     // keyCertSign and cRLSign added
        (KEY_USAGE_OID, &[3, 2, 0, 0x88], "key usage"),     // trailing zero bits
        (PURPOSE_OID, &[0x30, 10, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 2], "extended key usage"), // clientAuth
        (PURPOSE_OID, &[0x30, 0], "extended key usage"),
        (SUBJECT_KEY_OID, &[4, 2, 1, 2], "subject key identifier"),
        (AUTHORITY_KEY_OID, &[0x30, 4, 0x80, 2, 1, 2], "authority key identifier"),
        (ALT_NAME_OID, &[0x30, 3, 0x82, 1, b'x'], "subject alternative name"),
    ] {
        assert_eq!(with_value(oid, value), Err(Violation::Extension(name)), "{value:02x?}");
    }
}

#[test]
fn an_authority_key_identifier_with_issuer_and_serial_is_found() {
    let (issuer, _) = sample::issuer(Algorithm::P256);
    let issuer_name = element(0xa1, &element(0xa4, issuer.subject_der()));
    let parts = [element(0x80, issuer.key_id()), issuer_name, element(0x82, &issuer.serial().der_octets())].concat();
    assert_eq!(
        with_value(AUTHORITY_KEY_OID, &element(0x30, &parts)),
        Err(Violation::Extension("authority key identifier"))
    );
}

#[test]
fn extensions_too_many_too_few_or_wrongly_critical_are_found() {
    for (oid, name) in
        [(KEY_USAGE_OID, "key usage"), (PURPOSE_OID, "extended key usage"), (SUBJECT_KEY_OID, "subject key identifier")]
    {
        let without = forged(|tbs| tbs.extensions.retain(|extension| extension.extn_id.to_string() != oid));
        assert_eq!(verdict(&without), Err(Violation::Missing(name)));
        let twice = forged(|tbs| {
            let same = extension(tbs, oid).clone();
            tbs.extensions.push(same);
        });
        assert_eq!(verdict(&twice), Err(Violation::Missing(name)));
        let flipped = forged(|tbs| extension(tbs, oid).critical ^= true);
        assert_eq!(verdict(&flipped), Err(Violation::Criticality(name)));
    }
    let ca = forged(|tbs| {
        tbs.extensions.push(Extension {
            extn_id: der::oid::ObjectIdentifier::new_unwrap("2.5.29.19"),
            critical: true,
            extn_value: OctetString::new([0x30, 3, 1, 1, 0xff]).unwrap(),
        });
    });
    assert_eq!(verdict(&ca), Err(Violation::Unasked("2.5.29.19".into())));
}

#[test]
fn another_signer_is_found() {
    let stranger = PrivateKey::generate(Algorithm::P256).ok().unwrap();
    assert_eq!(verdict(&forged_by(&stranger, |_| {})), Err(Violation::Signature));
    assert_eq!(verdict(&forged_by(sample::key(Algorithm::Ed25519), |_| {})), Err(Violation::Algorithm));
    let inside = forged(|tbs| tbs.signature = Algorithm::P384.signature_identifier());
    assert_eq!(verdict(&inside), Err(Violation::Algorithm));
}

#[test]
fn a_leaf_that_outlives_its_ca_is_found() {
    let (issuer, key) = sample::issuer(Algorithm::P256);
    let end = issuer.validity().not_after().plus_seconds(1);
    let profile = LeafProfile { validity: Validity::new(sample::now(), end).unwrap(), ..server() };
    let der = forged(|tbs| tbs.validity = Dates::new(profile.validity).unwrap());
    assert_eq!(leaf(&der, &profile, key.spki(), issuer), Err(Violation::Outlives));
}

#[test]
fn an_authority_with_another_profile_is_found() {
    let (issuer, _) = sample::issuer(Algorithm::P256);
    let profile = sample::authority();
    assert_eq!(authority(issuer.der(), &profile), Ok(()));
    let renamed = CaProfile { common_name: "other".into(), ..profile.clone() };
    assert_eq!(authority(issuer.der(), &renamed), Err(Violation::Subject));
    let renumbered = CaProfile { serial: Serial::fresh([1; 16]), ..profile.clone() };
    assert_eq!(authority(issuer.der(), &renumbered), Err(Violation::Serial));
    assert!(authority(&forged(|_| {}), &profile).is_err(), "a leaf is no authority");
}

#[test]
fn a_damaged_certificate_is_refused_wherever_it_is_damaged() {
    for algorithm in [Algorithm::P256, Algorithm::Rsa2048, Algorithm::Ed25519] {
        let (issuer, key) = sample::issuer(algorithm);
        let whole = sample::signed(algorithm, &server());
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut der = whole.clone();
                der[at] ^= 1 << bit;
                assert!(leaf(&der, &server(), key.spki(), issuer).is_err(), "{algorithm}: octet {at}, bit {bit}");
            }
        }
        for length in 0..whole.len() {
            assert!(leaf(&whole[..length], &server(), key.spki(), issuer).is_err());
        }
    }
}

/// CN=server1 in `UTF8String`.
const SUBJECT: &[u8] = b"\x30\x12\x31\x10\x30\x0e\x06\x03\x55\x04\x03\x0c\x07server1";
const KEY_USAGE_OID: &str = "2.5.29.15";
const PURPOSE_OID: &str = "2.5.29.37";
const SUBJECT_KEY_OID: &str = "2.5.29.14";
const AUTHORITY_KEY_OID: &str = "2.5.29.35";
const ALT_NAME_OID: &str = "2.5.29.17";
