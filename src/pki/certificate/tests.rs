//! Certificates as signed: compared with rcgen's, at the edges of serials and dates, and refused where they must be.

use super::*;
use crate::{pki::sample, time::DAY};
use proptest::prelude::*;

fn refusal(profile: &LeafProfile) -> SignError {
    let (issuer, key) = sample::issuer(Algorithm::P256);
    sign_leaf(profile, key.spki(), issuer, key).err().unwrap()
}

#[test]
fn rcgen_makes_the_same_authority() {
    for algorithm in Algorithm::ALL {
        let (issuer, key) = sample::issuer(algorithm);
        let theirs = sample::second_authority(&sample::authority(), key);
        assert_eq!(sample::contents(issuer.der()), sample::contents(&theirs), "{algorithm}");
    }
}

#[test]
fn rcgen_makes_the_same_leaves() {
    for issuer_algorithm in Algorithm::ALL {
        let (issuer, issuer_key) = sample::issuer(issuer_algorithm);
        for algorithm in Algorithm::ALL {
            for role in [Role::Server, Role::Client] {
                let (profile, key) = (sample::leaf("server1", role), sample::key(algorithm));
                let signed = sign_leaf(&profile, key.spki(), issuer, issuer_key).unwrap();
                let ours = signed.der();
                let theirs = sample::second_leaf(&profile, &sample::authority(), issuer_key, key);
                let what = format!("{role} with {algorithm} below {issuer_algorithm}");
                assert_eq!(sample::contents(ours), sample::contents(&theirs), "{what}");
            }
        }
    }
}

#[test]
fn every_first_octet_of_a_serial_is_kept() {
    for first in 0..=255 {
        let serial = Serial::from_octets(&[first, 0x80, 1]).unwrap();
        let der = sample::signed(Algorithm::P256, &LeafProfile { serial, ..sample::leaf("client1", Role::Client) });
        assert_eq!(crate::pki::read_leaf(&der).unwrap().serial, serial);
    }
}

#[test]
fn dates_change_their_form_in_2050() {
    let at = |text| Time::parse(text).unwrap();
    let key = sample::key(Algorithm::P256);
    let everything = CaProfile { validity: Validity::new(at("1950-01-01"), Time::END).unwrap(), ..sample::authority() };
    let issuer = IssuerCertificate::parse(&self_sign(&everything, key).unwrap()).unwrap();
    for (from, to, dates) in [
        ("1950-01-01", "9999-12-31T23:59:59Z", &b"\x17\x0d500101000000Z\x18\x0f99991231235959Z"[..]),
        ("2026-01-01", "2049-12-31T23:59:59Z", b"\x17\x0d260101000000Z\x17\x0d491231235959Z"),
        ("2049-12-31T23:59:59Z", "2050-01-01", b"\x17\x0d491231235959Z\x18\x0f20500101000000Z"),
        ("2050-01-01", "2050-01-01", b"\x18\x0f20500101000000Z\x18\x0f20500101000000Z"),
    ] {
        let validity = Validity::new(at(from), at(to)).unwrap();
        let profile = LeafProfile { validity, ..sample::leaf("client1", Role::Client) };
        let signed = sign_leaf(&profile, key.spki(), &issuer, key).unwrap();
        let der = signed.der();
        assert!(der.windows(dates.len()).any(|window| window == dates), "{from} to {to}");
        assert_eq!(crate::pki::read_leaf(der).unwrap().validity, validity);
        assert_eq!(sample::contents(der), sample::contents(&sample::second_leaf(&profile, &everything, key, key)));
    }
}

#[test]
fn the_name_of_a_ca_may_be_in_any_language_but_not_empty_long_or_dangerous() {
    let key = sample::key(Algorithm::P256);
    let sign = |name: &str| self_sign(&CaProfile { common_name: name.into(), ..sample::authority() }, key);
    for name in ["a", "\u{fc}ber \u{4f60}\u{597d}", "\u{4f60}".repeat(64).as_str()] {
        let issuer = IssuerCertificate::parse(&sign(name).unwrap()).unwrap();
        assert_eq!(issuer.common_name(), name);
    }
    for name in ["", "a\0b", "a\nb", "a\u{9b}b", "a".repeat(65).as_str()] {
        assert!(matches!(sign(name), Err(SignError::CommonName)), "{name:?}");
    }
}

#[test]
fn a_leaf_outside_its_issuer_is_refused() {
    let within = sample::authority().validity;
    let profile =
        |from, to| LeafProfile { validity: Validity::new(from, to).unwrap(), ..sample::leaf("client1", Role::Client) };
    let (start, end) = (within.not_before(), within.not_after());
    assert!(matches!(refusal(&profile(start.plus_seconds(-1), end)), SignError::OutsideIssuer { .. }));
    let error = refusal(&profile(start, end.plus_seconds(1)));
    assert!(error.to_string().contains("its issuer holds from 2026-11-21T10:00:00Z to 2036-"), "{error}");
    sample::signed(Algorithm::P256, &profile(start, end));
}

#[test]
fn another_key_signs_nothing() {
    let (issuer, key) = sample::issuer(Algorithm::P256);
    let other = sample::key(Algorithm::P384);
    let result = sign_leaf(&sample::leaf("client1", Role::Client), key.spki(), issuer, other);
    assert!(matches!(result, Err(SignError::WrongKey)));
}

#[test]
fn keys_that_are_none_are_not_certified() {
    let (issuer, key) = sample::issuer(Algorithm::P256);
    let profile = sample::leaf("client1", Role::Client);
    for spki in [&[][..], &key.spki()[1..], issuer.der()] {
        assert!(matches!(sign_leaf(&profile, spki, issuer, key), Err(SignError::PublicKey(_))));
    }
}

#[test]
fn addresses_are_for_servers_and_are_checked_again() {
    let addresses = vec![Address::Dns("vpn".into())];
    let client = LeafProfile { addresses, ..sample::leaf("client1", Role::Client) };
    assert!(matches!(refusal(&client), SignError::ClientAddresses));
    let addresses = vec![Address::Dns("vpn\0.example".into())];
    let server = LeafProfile { addresses, ..sample::leaf("server1", Role::Server) };
    assert!(matches!(refusal(&server), SignError::Address(_)));
}

proptest! {
    #[test]
    fn any_name_serial_and_dates_are_signed_as_asked(
        name in "[a-z0-9][A-Za-z0-9@_-]{0,63}",
        octets in prop::collection::vec(any::<u8>(), 1..20),
        days in 1..3649_u32,
        addresses in prop::collection::vec("[a-z]{1,30}(\\.[a-z]{1,20}){0,3}", 0..9),
    ) {
        let (Ok(name), Ok(serial)) = (name.parse(), Serial::from_octets(&octets)) else { return Ok(()) };
        let addresses: Vec<_> = addresses.into_iter().map(Address::Dns).collect();
        let validity = Validity::of_days(sample::now(), days, DAY);
        let profile = LeafProfile { name, serial, validity, addresses, role: Role::Server };
        let facts = crate::pki::read_leaf(&sample::signed(Algorithm::Ed25519, &profile)).unwrap();
        prop_assert_eq!(facts.common_name.as_str(), profile.name.as_str());
        prop_assert_eq!((facts.serial, facts.validity, facts.addresses), (serial, validity, profile.addresses));
    }
}
