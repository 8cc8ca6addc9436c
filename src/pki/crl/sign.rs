//! The writer of revocation lists: entries come one by one and go out in parts, so that a million of them are never in
//! memory. Knows no inventory: it signs what it is given, and proves that it signed just that.
//!
//! The length of all entries stands before the first of them, and the length of the signature before everything. So the
//! entries are laid down first, then read again to be signed, and the head, the first part, is laid down last.

use std::{cmp::Ordering, io, ops::ControlFlow};

use aws_lc_rs::digest::SHA256;
use der::{
    asn1::{BitStringRef, ContextSpecific, Uint},
    Encode, Header, Length, Tag, TagMode, TagNumber,
};
use x509_cert::ext::pkix::CrlNumber;

use crate::{
    inventory::Reason,
    pki::{
        certificate::write_moment,
        check,
        crl::{CrlStream, CrlSum, Parts, StreamError, TakePart},
        digesting::Digesting,
        gathered::Gathered,
        profile, IssuerCertificate, PrivateKey, RevokedEntry, SignError, Violation,
    },
    serial::Serial,
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

/// Where the DER of a list is laid down in parts, and read again. Its errors are also those of signing.
pub trait Shelf {
    /// Why a part could not be laid down or read, or nothing was signed.
    type Error: From<SignError>;
    /// Lays down a part, counted from 0; the first one comes last.
    fn put(&self, part: u32, der: &[u8]) -> Result<(), Self::Error>;
    /// Hands over the parts from one on as they were laid down.
    fn get(&self, from: u32, take: &mut TakePart<'_>) -> Result<(), Self::Error>;
}

/// Signs the list of what is revoked, in the order of serials, reads it back and compares it with `revoked`.
pub fn sign_crl(
    profile: &CrlProfile,
    revoked: &[RevokedEntry],
    issuer: &IssuerCertificate,
    key: &PrivateKey,
) -> Result<Vec<u8>, SignError> {
    let mut ordered = revoked.to_vec();
    ordered.sort_unstable_by_key(|entry| entry.serial);
    let shelf = Memory::default();
    sign_crl_in_parts(profile, |list| ordered.into_iter().try_for_each(list), issuer, key, &shelf)?;
    Ok(shelf.parts.into_inner().concat())
}

/// The same of entries that `revoked` hands over in the order of serials, each once; the list goes to a shelf. In memory are
/// a few parts at most; under an Ed25519 CA the whole list, since that signature needs it twice.
pub fn sign_crl_in_parts<E: From<SignError>>(
    profile: &CrlProfile,
    revoked: impl FnOnce(&mut dyn FnMut(RevokedEntry) -> Result<(), E>) -> Result<(), E>,
    issuer: &IssuerCertificate,
    key: &PrivateKey,
    shelf: &dyn Shelf<Error = E>,
) -> Result<CrlSum, E> {
    if !issuer.matches(key) {
        return Err(SignError::WrongKey.into());
    }
    let mut entries = Entries::new(profile.signed_at);
    revoked(&mut |entry| {
        entries.add(entry)?;
        if entries.rest.len() > FULL {
            let part = entries.next_part();
            shelf.put(part, &entries.rest)?;
            entries.rest.clear();
        }
        Ok(())
    })?;
    let head = Head::of(profile, entries.length, issuer, key).map_err(SignError::from)?;
    let mut contents = Gathered::new(key.algorithm());
    contents.add(&head.contents);
    shelf.get(1, &mut |part| {
        contents.add(part);
        ControlFlow::Continue(())
    })?;
    contents.add(&entries.rest);
    contents.add(&head.extensions);
    let signature = key.sign_gathered(&contents.message()).map_err(SignError::Key)?;
    let (first, last) = head.around(&entries, &signature).map_err(SignError::from)?;
    if entries.parts == 0 {
        let all = [first, last].concat();
        check::crl(&all, profile, &entries.few, issuer).map_err(SignError::from)?;
        shelf.put(0, &all)?;
    } else {
        shelf.put(entries.next_part(), &last)?;
        shelf.put(0, &first)?;
    }
    read_back(profile, entries.sum, issuer, shelf)
}

/// The entries so far: those that are on the shelf are counted, the others are still here.
struct Entries {
    signed_at: Time,
    /// DER of those that are not on the shelf.
    rest: Vec<u8>,
    /// The octets of all of them, and the parts on the shelf.
    length: u64,
    parts: u32,
    last: Option<Serial>,
    sum: EntrySum,
    /// All of them, while they fit into one part.
    few: Vec<RevokedEntry>,
}

impl Entries {
    fn new(signed_at: Time) -> Self {
        let (rest, few, sum) = (Vec::new(), Vec::new(), EntrySum::new());
        Self { signed_at, rest, length: 0, parts: 0, last: None, sum, few }
    }

    fn add(&mut self, mut entry: RevokedEntry) -> Result<(), SignError> {
        match self.last.replace(entry.serial).map(|last| last.cmp(&entry.serial)) {
            Some(Ordering::Equal) => return Err(SignError::Duplicate(entry.serial)),
            Some(Ordering::Greater) => return Err(SignError::Refused(Violation::Order)),
            Some(Ordering::Less) | None => {}
        }
        entry.revocation.at = entry.revocation.at.min(self.signed_at);
        let before = self.rest.len();
        write_entry(&mut self.rest, &entry);
        self.length += (self.rest.len() - before) as u64;
        self.sum.add(&entry);
        if self.parts == 0 {
            self.few.push(entry);
        }
        Ok(())
    }

    fn next_part(&mut self) -> u32 {
        self.few = Vec::new();
        self.parts += 1;
        self.parts
    }
}

/// What stands around the entries (RFC 5280, 5.1).
struct Head {
    /// All of `TBSCertList` before the first entry, and after the last.
    contents: Vec<u8>,
    extensions: Vec<u8>,
    algorithm: Vec<u8>,
}

impl Head {
    fn of(profile: &CrlProfile, entries: u64, issuer: &IssuerCertificate, key: &PrivateKey) -> der::Result<Self> {
        let extensions = ContextSpecific {
            tag_number: TagNumber(0),
            tag_mode: TagMode::Explicit,
            value: vec![
                profile::authority_key_id(issuer.key_id())?,
                profile::extension(false, &CrlNumber(Uint::new(&profile.number.to_be_bytes())?))?,
            ],
        };
        let (extensions, algorithm) = (extensions.to_der()?, key.algorithm().signature_identifier().to_der()?);
        let mut inside = vec![INTEGER, 1, V2];
        inside.extend_from_slice(&algorithm);
        inside.extend_from_slice(issuer.subject_der());
        write_moment(&mut inside, profile.validity.not_before());
        write_moment(&mut inside, profile.validity.not_after());
        // revokedCertificates is absent when nothing is revoked (5.1.2.6)
        if entries > 0 {
            inside.extend(sequence(entries)?);
        }
        let mut contents = sequence(inside.len() as u64 + entries + extensions.len() as u64)?;
        contents.extend(inside);
        Ok(Self { contents, extensions, algorithm })
    }

    /// What comes before the entries that are on the shelf, and what comes after them.
    fn around(self, entries: &Entries, signature: &[u8]) -> der::Result<(Vec<u8>, Vec<u8>)> {
        let below = [self.algorithm, BitStringRef::from_bytes(signature)?.to_der()?].concat();
        let signed = (self.contents.len() + self.extensions.len() + below.len()) as u64 + entries.length;
        let first = [sequence(signed)?, self.contents].concat();
        Ok((first, [&entries.rest[..], &self.extensions, &below].concat()))
    }
}

/// A SEQUENCE up to its contents.
fn sequence(length: u64) -> der::Result<Vec<u8>> {
    let length = u32::try_from(length).map_err(|_| der::ErrorKind::Overflow)?;
    Header::new(Tag::Sequence, Length::new(length)).to_der()
}

/// Reads what is on the shelf with the other reader, to its signature: it must list just what it was to list.
fn read_back<E: From<SignError>>(
    profile: &CrlProfile,
    wanted: EntrySum,
    issuer: &IssuerCertificate,
    shelf: &dyn Shelf<Error = E>,
) -> Result<CrlSum, E> {
    let (mut fault, mut listed) = (None, EntrySum::new());
    let parts = Parts::new(|from, take| {
        shelf.get(from, take).map_err(|error| {
            fault = Some(error);
            io::ErrorKind::Other.into()
        })
    });
    let read = CrlStream::open(parts, Some(issuer)).and_then(|mut stream| {
        while let Some(entry) = stream.entry()? {
            listed.add(&entry);
        }
        stream.finish()
    });
    if let Some(fault) = fault {
        return Err(fault);
    }
    let violation = match read {
        Err(error) => violation(&error),
        Ok(sum) if sum.number != profile.number => Violation::Extension("CRL number"),
        Ok(sum) if sum.validity != profile.validity => Violation::Dates,
        Ok(_) if listed.finish() != wanted.finish() => Violation::Listed,
        Ok(sum) => return Ok(sum),
    };
    Err(SignError::from(violation).into())
}

fn violation(error: &StreamError) -> Violation {
    match error {
        StreamError::Source(_) => Violation::Unreadable,
        StreamError::Form(what) => Violation::Encoding(what),
        StreamError::Issuer => Violation::Issuer,
        StreamError::Signature => Violation::Signature,
    }
}

/// A digest of entries, by which two rows of them are compared without keeping either.
struct EntrySum(Digesting);

impl EntrySum {
    fn new() -> Self {
        Self(Digesting::new(&SHA256))
    }

    fn add(&mut self, entry: &RevokedEntry) {
        let mut octets = [0; 32];
        let serial = entry.serial.octets();
        // at most 20; the length tells serials apart that only differ by zeros behind them
        octets[..serial.len()].copy_from_slice(serial);
        octets[20] = serial.len().to_le_bytes()[0];
        octets[21] = entry.revocation.reason.code();
        octets[24..].copy_from_slice(&entry.revocation.at.unix().to_be_bytes());
        self.0.add(&octets);
    }

    fn finish(self) -> Vec<u8> {
        self.0.finish().as_ref().to_vec()
    }
}

/// A shelf in memory.
#[derive(Default)]
struct Memory {
    parts: std::cell::RefCell<Vec<Vec<u8>>>,
}

impl Shelf for Memory {
    type Error = SignError;

    fn put(&self, part: u32, der: &[u8]) -> Result<(), SignError> {
        let (mut parts, place) = (self.parts.borrow_mut(), part as usize);
        if parts.len() <= place {
            parts.resize(place + 1, Vec::new());
        }
        parts[place] = der.to_vec();
        Ok(())
    }

    fn get(&self, from: u32, take: &mut TakePart<'_>) -> Result<(), SignError> {
        let _ = self.parts.borrow().iter().skip(from as usize).try_for_each(|part| take(part));
        Ok(())
    }
}

/// An entry has at most 55 octets, so its length is known once it is written, and has one octet.
fn write_entry(der: &mut Vec<u8>, entry: &RevokedEntry) {
    let start = der.len();
    let serial = entry.serial.octets();
    // a zero octet goes before a first octet of 0x80 or more (X.690, 8.3)
    let sign = usize::from(serial[0] >= 0x80);
    der.extend_from_slice(&[SEQUENCE, 0, INTEGER, short(serial.len() + sign)]);
    der.extend_from_slice(&[0][..sign]);
    der.extend_from_slice(serial);
    write_moment(der, entry.revocation.at);
    if entry.revocation.reason != Reason::Unspecified {
        der.extend_from_slice(&REASON_CODE);
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
/// crlEntryExtensions with one reasonCode (2.5.29.21), not critical, up to the code itself (RFC 5280, 5.3.1).
const REASON_CODE: [u8; 13] = [0x30, 12, 0x30, 10, 6, 3, 0x55, 0x1d, 0x15, 4, 3, 0x0a, 1];
/// A part with more than so many octets is laid down; with what stands around the entries the last one has below 256 KiB.
const FULL: usize = 254 * 1024;

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
