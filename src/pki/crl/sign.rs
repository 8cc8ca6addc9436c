//! The writer of revocation lists: entries go straight into one buffer, so that a hundred thousand stay cheap.
//! Knows no inventory: it signs what it is given, and proves that it signed just that.

use der::{
    asn1::{Any, AnyRef, Uint},
    Decode, Encode, Sequence, Tag,
};
use spki::AlgorithmIdentifierRef;
use x509_cert::ext::{pkix::CrlNumber, Extension};

use crate::{
    inventory::Reason,
    pki::{
        certificate::{moment, sign, write_moment},
        check, profile, IssuerCertificate, PrivateKey, RevokedEntry, SignError,
    },
    time::Time,
    validity::Validity,
};

/// What a list says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CrlProfile {
    /// Above that of every list before it (RFC 5280, 5.2.3).
    pub number: u64,
    /// thisUpdate, which may be back-dated, and nextUpdate.
    pub validity: Validity,
    /// The moment of signing. A revocation that was recorded later, by a clock that was ahead, is dated to this one:
    /// it is never left out, and never dated to the future.
    pub signed_at: Time,
}

/// Signs the list of what is revoked, in the order of serials, reads it back and compares it with `revoked`.
pub fn sign_crl(
    profile: &CrlProfile,
    revoked: &[RevokedEntry],
    issuer: &IssuerCertificate,
    key: &PrivateKey,
) -> Result<Vec<u8>, SignError> {
    if !issuer.matches(key) {
        return Err(SignError::WrongKey);
    }
    let revoked = in_order(revoked)?;
    let entries = entries(&revoked, profile.signed_at);
    let list = ToBeSigned {
        version: V2,
        signature: key.algorithm().signature_identifier(),
        issuer: AnyRef::from_der(issuer.subject_der())?,
        this_update: moment(profile.validity.not_before())?,
        next_update: moment(profile.validity.not_after())?,
        revoked: if entries.is_empty() { None } else { Some(AnyRef::new(Tag::Sequence, &entries)?) },
        extensions: vec![
            profile::authority_key_id(issuer.key_id())?,
            profile::extension(false, &CrlNumber(Uint::new(&profile.number.to_be_bytes())?))?,
        ],
    };
    let der = sign(&list.to_der()?, key)?;
    check::crl(&der, profile, &revoked, issuer)?;
    Ok(der)
}

/// `TBSCertList` (RFC 5280, 5.1). revokedCertificates is absent when nothing is revoked (5.1.2.6).
#[derive(Sequence)]
struct ToBeSigned<'a> {
    version: u8,
    signature: AlgorithmIdentifierRef<'a>,
    issuer: AnyRef<'a>,
    this_update: Any,
    next_update: Any,
    revoked: Option<AnyRef<'a>>,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    extensions: Vec<Extension>,
}

/// By serial, each once.
fn in_order(revoked: &[RevokedEntry]) -> Result<Vec<RevokedEntry>, SignError> {
    let mut ordered = revoked.to_vec();
    ordered.sort_unstable_by_key(|entry| entry.serial);
    let twice = ordered.windows(2).find(|pair| pair[0].serial == pair[1].serial);
    twice.map_or(Ok(()), |pair| Err(SignError::Duplicate(pair[0].serial)))?;
    Ok(ordered)
}

/// The contents of `revokedCertificates`.
fn entries(revoked: &[RevokedEntry], signed_at: Time) -> Vec<u8> {
    let mut der = Vec::with_capacity(revoked.len() * USUAL_ENTRY);
    for entry in revoked {
        write_entry(&mut der, entry, signed_at);
    }
    der
}

/// An entry has at most 55 octets, so its length is known once it is written, and has one octet.
fn write_entry(der: &mut Vec<u8>, entry: &RevokedEntry, signed_at: Time) {
    let start = der.len();
    let serial = entry.serial.der_octets();
    der.extend([SEQUENCE, 0, INTEGER, short(serial.len())]);
    der.extend(serial);
    write_moment(der, entry.revocation.at.min(signed_at));
    if entry.revocation.reason != Reason::Unspecified {
        der.extend(REASON_CODE);
        der.push(entry.revocation.reason.code());
    }
    der[start + 1] = short(der.len() - start - 2);
}

/// A length below 128. Serials have at most 20 octets, dates 17, the reason 14.
fn short(length: usize) -> u8 {
    u8::try_from(length).unwrap_or(u8::MAX)
}

const V2: u8 = 1;
const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
/// SEQUENCE and INTEGER of 16 octets, `UTCTime`, reason.
const USUAL_ENTRY: usize = 2 + 18 + 15 + 14;
/// crlEntryExtensions with one reasonCode (2.5.29.21), not critical, up to the code itself (RFC 5280, 5.3.1).
const REASON_CODE: [u8; 13] = [0x30, 12, 0x30, 10, 6, 3, 0x55, 0x1d, 0x15, 4, 3, 0x0a, 1];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        inventory::Revocation,
        pki::{sample, Algorithm, Crl, Violation},
        serial::Serial,
    };
    use proptest::prelude::*;

    fn list(revoked: &[RevokedEntry]) -> Vec<u8> {
        sample::signed_crl(Algorithm::P256, &sample::crl(1), revoked)
    }

    fn serials(der: &[u8]) -> Vec<Serial> {
        Crl::from_der(der).unwrap().entries().iter().map(|entry| entry.serial).collect()
    }

    #[test]
    fn rcgen_makes_the_same_list() {
        for algorithm in Algorithm::ALL {
            let (issuer, key) = sample::issuer(algorithm);
            let mut profile = sample::crl(0x80);
            for count in [0, 1, 9] {
                let revoked = sample::revoked(count);
                let ours = sign_crl(&profile, &revoked, issuer, key).unwrap();
                let theirs = sample::second_crl(&profile, &revoked, issuer, key);
                assert_eq!(sample::list_contents(&ours), sample::list_contents(&theirs), "{algorithm}, {count}");
            }
            profile.number = 1;
            let ours = sign_crl(&profile, &[], issuer, key).unwrap();
            assert_eq!(
                sample::list_contents(&ours),
                sample::list_contents(&sample::second_crl(&profile, &[], issuer, key))
            );
        }
    }

    #[test]
    fn no_entry_one_and_a_thousand() {
        for count in [0, 1, 1000] {
            let revoked = sample::revoked(count);
            let wanted: Vec<_> = revoked.iter().map(|entry| entry.serial).collect();
            assert_eq!(serials(&list(&revoked)), wanted);
        }
        // version, signature, issuer, two dates, and then at once the extensions
        let empty = list(&[]);
        let contents = sample::list_contents(&empty);
        // found from the front, where nothing is random: what looks like a date may stand in the key identifier
        let first_date = contents.windows(2).position(|header| header == [0x17, 13]).unwrap();
        assert_eq!(contents[first_date + 15..][..2], [0x17, 13]);
        assert_eq!(contents[first_date + 30], 0xa0);
    }

    #[test]
    fn order_does_not_matter_and_twice_is_refused() {
        let mut revoked = sample::revoked(50);
        let ordered = serials(&list(&revoked));
        revoked.reverse();
        assert_eq!(serials(&list(&revoked)), ordered);
        let (issuer, key) = sample::issuer(Algorithm::P256);
        revoked.push(revoked[7]);
        let error = sign_crl(&sample::crl(1), &revoked, issuer, key).unwrap_err();
        assert!(matches!(error, SignError::Duplicate(serial) if serial == revoked[7].serial));
    }

    #[test]
    fn every_first_octet_is_listed() {
        let serial = |first| Serial::from_octets(&[first, 0x5a, 0xff]).unwrap();
        let revocation = Revocation { at: sample::now(), reason: Reason::KeyCompromise };
        let revoked: Vec<_> = (0..=255).map(|first| RevokedEntry { serial: serial(first), revocation }).collect();
        let listed = serials(&list(&revoked));
        assert_eq!(listed, (0..=255).map(serial).collect::<Vec<_>>());
    }

    #[test]
    fn a_serial_of_twenty_octets_is_listed() {
        let revocation = Revocation { at: Time::END, reason: Reason::Superseded };
        let serial = Serial::from_octets(&[0x7f; 20]).unwrap();
        let profile = CrlProfile { signed_at: Time::END, ..sample::crl(1) };
        let der = sample::signed_crl(Algorithm::P256, &profile, &[RevokedEntry { serial, revocation }]);
        assert_eq!(Crl::from_der(&der).unwrap().entries(), [RevokedEntry { serial, revocation }]);
    }

    #[test]
    fn what_was_recorded_by_a_clock_ahead_is_dated_to_now() {
        let mut revoked = sample::revoked(2);
        revoked[0].revocation.at = sample::now().plus_days(400);
        let crl = Crl::from_der(&list(&revoked)).unwrap();
        assert_eq!(crl.entries()[0].revocation.at, sample::now());
        assert_eq!(crl.entries()[1], revoked[1]);
    }

    #[test]
    fn dates_change_their_form_in_2050() {
        let at = |text| Time::parse(text).unwrap();
        for (text, form) in [
            ("1950-01-01T00:00:00Z", &b"\x17\x0d500101000000Z"[..]),
            ("1999-12-31T23:59:59Z", b"\x17\x0d991231235959Z"),
            ("2049-12-31T23:59:59Z", b"\x17\x0d491231235959Z"),
            ("2050-01-01T00:00:00Z", b"\x18\x0f20500101000000Z"),
            ("9999-12-31T23:59:59Z", b"\x18\x0f99991231235959Z"),
        ] {
            let mut der = vec![];
            write_moment(&mut der, at(text));
            assert_eq!(der, form);
            let revocation = Revocation { at: at(text), reason: Reason::Unspecified };
            let serial = Serial::fresh([1; 16]);
            let validity = Validity::new(at("1950-01-01"), at(text)).unwrap();
            let profile = CrlProfile { number: 1, validity, signed_at: Time::END };
            let signed = sample::signed_crl(Algorithm::P256, &profile, &[RevokedEntry { serial, revocation }]);
            assert_eq!(
                signed.windows(form.len()).filter(|window| *window == form).count(),
                if text.starts_with("1950") { 3 } else { 2 }
            );
        }
    }

    #[test]
    fn another_key_signs_nothing() {
        let (issuer, _) = sample::issuer(Algorithm::P256);
        let other = sample::key(Algorithm::Ed25519);
        assert!(matches!(sign_crl(&sample::crl(1), &[], issuer, other), Err(SignError::WrongKey)));
    }

    #[test]
    fn the_check_finds_each_difference() {
        let (issuer, _) = sample::issuer(Algorithm::P256);
        let (profile, revoked) = (sample::crl(5), sample::revoked(4));
        let der = sample::signed_crl(Algorithm::P256, &profile, &revoked);
        let check = |profile, revoked: &[RevokedEntry]| check::crl(&der, &profile, revoked, issuer);
        assert_eq!(check(profile, &revoked), Ok(()));
        assert_eq!(check(sample::crl(6), &revoked), Err(Violation::Extension("CRL number")));
        assert_eq!(check(profile, &revoked[..3]), Err(Violation::NotRevoked(revoked[3].serial)));
        assert_eq!(check(profile, &revoked[1..]), Err(Violation::NotRevoked(revoked[0].serial)));
        assert_eq!(check(profile, &sample::revoked(5)), Err(Violation::LeftOut(sample::revoked(5)[4].serial)));
        let later = CrlProfile { validity: issuer.validity(), ..profile };
        assert_eq!(check(later, &revoked), Ok(()), "the sample's list is as long as its CA");
        let shorter = Validity::new(profile.validity.not_before(), sample::now()).unwrap();
        assert_eq!(check(CrlProfile { validity: shorter, ..profile }, &revoked), Err(Violation::Dates));
        let earlier = CrlProfile { signed_at: sample::now().plus_days(-1), ..profile };
        assert_eq!(check(earlier, &revoked), Err(Violation::Future(revoked[0].serial)));
        let mut changed = revoked.clone();
        changed[1].revocation.reason = Reason::PrivilegeWithdrawn;
        assert_eq!(check(profile, &changed), Err(Violation::Entry(changed[1].serial)));
        let twin = sample::issuer(Algorithm::P384).0;
        assert_eq!(check::crl(&der, &profile, &revoked, twin), Err(Violation::Algorithm));
    }

    proptest! {
        #[test]
        fn any_set_of_serials_is_listed_as_it_is(octets in prop::collection::btree_set(prop::collection::vec(any::<u8>(), 1..20), 0..30)) {
            let revocation = Revocation { at: sample::now(), reason: Reason::Unspecified };
            let serials: std::collections::BTreeSet<_> = octets.iter().filter_map(|octets| Serial::from_octets(octets).ok()).collect();
            let revoked: Vec<_> = serials.iter().map(|&serial| RevokedEntry { serial, revocation }).collect();
            let der = sample::signed_crl(Algorithm::Ed25519, &sample::crl(1), &revoked);
            let listed = Crl::from_der(&der).unwrap();
            prop_assert_eq!(listed.entries(), revoked.as_slice());
        }
    }
}
