//! The reader of long lists and the writer of parts, held against the readers and the writer of others.
//! Their own rules are tested beside them.

use std::{cell::RefCell, io};

use proptest::prelude::*;

use super::*;
use crate::pki::{sample, sign_crl, sign_crl_in_parts, Algorithm, Crl, Parts, Shelf, SignError, TakePart, Violation};

/// Gives few octets at a time.
struct Slow<'a>(&'a [u8], usize);

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let many = self.1.min(buffer.len());
        self.0.read(&mut buffer[..many])
    }
}

fn read(source: impl Read, signer: Option<&IssuerCertificate>) -> Result<(Vec<RevokedEntry>, CrlSum), StreamError> {
    let mut stream = CrlStream::open(source, signer)?;
    let mut entries = Vec::new();
    while let Some(entry) = stream.entry()? {
        entries.push(entry);
    }
    Ok((entries, stream.finish()?))
}

fn entries(octets: impl IntoIterator<Item = Vec<u8>>) -> Vec<RevokedEntry> {
    let serials: std::collections::BTreeSet<_> =
        octets.into_iter().filter_map(|octets| Serial::from_octets(&octets).ok()).collect();
    let revocation = |index: usize| Revocation {
        at: sample::now().plus_days(-i64::try_from(index).unwrap()),
        reason: Reason::ALL[index % Reason::ALL.len()],
    };
    serials
        .into_iter()
        .enumerate()
        .map(|(index, serial)| RevokedEntry { serial, revocation: revocation(index) })
        .collect()
}

/// A shelf whose parts can be looked at and changed.
#[derive(Default)]
struct Rack {
    parts: RefCell<Vec<Vec<u8>>>,
    /// Which octet of which part is another when it is read.
    broken: Option<(usize, usize)>,
}

impl Shelf for Rack {
    type Error = SignError;

    fn put(&self, part: u32, der: &[u8]) -> Result<(), SignError> {
        let (mut parts, place) = (self.parts.borrow_mut(), part as usize);
        let length = parts.len().max(place + 1);
        parts.resize(length, Vec::new());
        parts[place] = der.to_vec();
        Ok(())
    }

    fn get(&self, from: u32, take: &mut TakePart<'_>) -> Result<(), SignError> {
        let mut parts = self.parts.borrow().clone();
        if let Some(der) = self.broken.and_then(|(place, at)| parts.get_mut(place)?.get_mut(at)) {
            *der ^= 1;
        }
        hand_over(parts.iter().skip(from as usize), take);
        Ok(())
    }
}

fn hand_over<'a>(mut parts: impl Iterator<Item = &'a Vec<u8>>, take: &mut TakePart<'_>) {
    let _ = parts.try_for_each(|part| take(part));
}

fn in_parts(algorithm: Algorithm, revoked: &[RevokedEntry], rack: &Rack) -> Result<CrlSum, SignError> {
    let (issuer, key) = sample::issuer(algorithm);
    sign_crl_in_parts(&sample::crl(1), |list| revoked.iter().try_for_each(|entry| list(*entry)), issuer, key, rack)
}

#[test]
fn every_kind_of_key_signs_what_every_reader_reads() {
    for algorithm in Algorithm::ALL {
        let (issuer, _) = sample::issuer(algorithm);
        for count in [0, 1, 300] {
            let revoked = sample::revoked(count);
            let der = sample::signed_crl(algorithm, &sample::crl(7), &revoked);
            let (listed, sum) = read(&der[..], Some(issuer)).unwrap();
            assert_eq!((listed, sum.number, sum.entries), (revoked, 7, u64::from(count)), "{algorithm}");
            assert_eq!((sum.length, sum.sha256), (der.len() as u64, crate::pki::sha256(&der)));
            Crl::from_der(&der).unwrap().verify(issuer).unwrap();
        }
    }
}

/// More than two parts, of which none is longer than a row of the store may be.
#[test]
fn a_list_in_parts_is_the_one_that_rcgen_makes() {
    let revoked = sample::revoked(12_000);
    for algorithm in [Algorithm::P256, Algorithm::Ed25519] {
        let (issuer, key) = sample::issuer(algorithm);
        let rack = Rack::default();
        let sum = in_parts(algorithm, &revoked, &rack).unwrap();
        let parts = rack.parts.into_inner();
        assert!(parts.len() > 3 && parts.iter().all(|part| part.len() <= 256 * 1024));
        let ours = parts.concat();
        assert_eq!((sum.length, sum.sha256), (ours.len() as u64, crate::pki::sha256(&ours)));
        let theirs = sample::second_crl(&sample::crl(1), &revoked, issuer, key);
        assert!(sample::list_contents(&ours) == sample::list_contents(&theirs), "{algorithm}");
        let crl = Crl::from_der(&ours).unwrap();
        crl.verify(issuer).unwrap();
        assert!(crl.entries() == revoked);
    }
}

#[test]
fn damage_in_any_part_is_found() {
    let revoked = sample::revoked(12_000);
    let rack = Rack::default();
    in_parts(Algorithm::P256, &revoked, &rack).unwrap();
    let (issuer, _) = sample::issuer(Algorithm::P256);
    let mut parts = rack.parts.into_inner();
    for place in 0..parts.len() {
        for at in [0, parts[place].len() / 2, parts[place].len() - 1] {
            parts[place][at] ^= 1;
            let source = Parts::new(|from, take| {
                hand_over(parts.iter().skip(from as usize), take);
                Ok(())
            });
            assert!(read(source, Some(issuer)).is_err(), "octet {at} of part {place}");
            parts[place][at] ^= 1;
        }
        let source = Parts::new(|from, take| {
            hand_over(parts[..place].iter().skip(from as usize), take);
            Ok(())
        });
        assert!(read(source, Some(issuer)).is_err(), "part {place} is missing");
    }
}

/// What is signed is what was laid down, so a shelf that gives something else back is found by comparing entries.
#[test]
fn what_does_not_come_back_from_the_shelf_is_not_signed() {
    let revoked = sample::revoked(12_000);
    let whole = Rack::default();
    in_parts(Algorithm::P256, &revoked, &whole).unwrap();
    let first = &whole.parts.borrow()[1];
    // inside of a serial, and of a reason code
    let inside_serial = 4 + 10;
    let code = first.windows(3).position(|octets| octets == [3, 0x0a, 1]).unwrap() + 3;
    for at in [inside_serial, code] {
        let rack = Rack { broken: Some((1, at)), ..Rack::default() };
        let error = in_parts(Algorithm::P256, &revoked, &rack).unwrap_err();
        assert!(matches!(error, SignError::Refused(Violation::Listed | Violation::Encoding(_))), "{error:?}");
    }
    let rack = Rack { broken: Some((0, whole.parts.borrow()[0].len() - 9)), ..Rack::default() };
    assert!(in_parts(Algorithm::P256, &revoked, &rack).is_err());
}

#[test]
fn entries_out_of_order_are_not_signed() {
    let mut revoked = sample::revoked(3);
    revoked.swap(0, 2);
    let error = in_parts(Algorithm::P256, &revoked, &Rack::default()).unwrap_err();
    assert!(matches!(error, SignError::Refused(Violation::Order)));
}

#[test]
fn another_ca_is_told_from_a_broken_signature() {
    let (issuer, _) = sample::issuer(Algorithm::P256);
    let mut der = sample::signed_crl(Algorithm::P256, &sample::crl(1), &sample::revoked(2));
    assert!(matches!(read(&der[..], Some(sample::issuer(Algorithm::P384).0)), Err(StreamError::Issuer)));
    *der.last_mut().unwrap() ^= 1;
    assert!(matches!(read(&der[..], Some(issuer)), Err(StreamError::Signature)));
    assert!(read(&der[..], None).is_ok());
}

/// Readable to others, and so left to the one that reads everything.
#[test]
fn no_other_form_is_taken() {
    let (issuer, key) = sample::issuer(Algorithm::Ed25519);
    let der = sign_crl(&sample::crl(1), &sample::revoked(2), issuer, key).unwrap();
    for (more, what) in [(&[0][..], "an octet behind it"), (&der[..], "another list behind it")] {
        assert!(read(&[&der, more].concat()[..], None).is_err(), "{what}");
    }
    let version_1 = b"\x30\x81\x90\x30\x38\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02";
    assert!(matches!(read(&version_1[..], None), Err(StreamError::Form("it is not of version 2"))));
}

proptest! {
    /// What is passed is what is read, whoever is asked for between: those of the list, and numbers around them.
    #[test]
    fn whoever_is_passed_is_whoever_is_listed(octets in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..21), 1..40), piece in 1_usize..80) {
        let all = entries(octets);
        let revoked: Vec<_> = all.iter().copied().step_by(2).collect();
        let der = sample::signed_crl(Algorithm::Ed25519, &sample::crl(3), &revoked);
        let mut stream = CrlStream::open(Slow(&der, piece), None).unwrap();
        let mut left = revoked.iter().map(|entry| entry.serial).peekable();
        for asked in all.iter().map(|entry| entry.serial) {
            let found = stream.pass(&asked).unwrap();
            let wanted = left.next_if_eq(&asked).map_or(Passed::Not(left.peek().copied()), |_| Passed::It);
            prop_assert_eq!(found, wanted);
        }
        let whole = read(&der[..], None).unwrap().1;
        prop_assert_eq!(stream.finish().unwrap(), whole);
    }

    #[test]
    fn no_bytes_panic_when_passed(at in any::<prop::sample::Index>(), octet in any::<u8>()) {
        let revoked = sample::revoked(3);
        let mut der = sample::signed_crl(Algorithm::Ed25519, &sample::crl(1), &revoked);
        let at = at.index(der.len());
        prop_assume!(der[at] != octet);
        let before = crate::pki::sha256(&der);
        der[at] = octet;
        if let Ok(mut stream) = CrlStream::open(&der[..], None) {
            let _ = revoked.iter().try_for_each(|entry| stream.pass(&entry.serial).map(drop));
            prop_assert!(stream.finish().map_or(true, |sum| sum.sha256 != before));
        }
    }

    #[test]
    fn any_serials_in_any_pieces(octets in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..21), 0..40), piece in 1_usize..80) {
        let revoked = entries(octets);
        let (issuer, _) = sample::issuer(Algorithm::Ed25519);
        let der = sample::signed_crl(Algorithm::Ed25519, &sample::crl(3), &revoked);
        let (listed, sum) = read(Slow(&der, piece), Some(issuer)).unwrap();
        prop_assert_eq!(&listed, &revoked);
        let whole = Crl::from_der(&der).unwrap();
        prop_assert_eq!((whole.entries(), whole.number(), whole.validity()), (&listed[..], Some(sum.number), sum.validity));
        prop_assert_eq!((sum.entries, sum.length, sum.sha256), (revoked.len() as u64, der.len() as u64, crate::pki::sha256(&der)));
    }

    /// What this reader takes, the other one takes and reads alike.
    #[test]
    fn damage_never_passes(at in any::<prop::sample::Index>(), octet in any::<u8>()) {
        let (issuer, _) = sample::issuer(Algorithm::Ed25519);
        let mut der = sample::signed_crl(Algorithm::Ed25519, &sample::crl(1), &sample::revoked(4));
        let at = at.index(der.len());
        prop_assume!(der[at] != octet);
        der[at] = octet;
        prop_assert!(read(&der[..], Some(issuer)).is_err(), "octet {}", at);
        if let Ok((listed, sum)) = read(&der[..], None) {
            let whole = Crl::from_der(&der).unwrap();
            prop_assert_eq!((whole.entries(), whole.number()), (&listed[..], Some(sum.number)));
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), piece in 1_usize..40) {
        prop_assert!(read(Slow(&bytes, piece), None).is_err());
    }
}
