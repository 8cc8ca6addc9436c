//! The reader of lists in the form in which we write them, piece by piece: a million entries never lie in memory.
//! Takes no other form. Whoever meets one reads it whole with [`Crl`](super::Crl), which also says what is wrong with it.

use std::io::{self, Read};

use aws_lc_rs::digest::SHA256;
use der::Encode;

use crate::{
    inventory::{Reason, Revocation},
    pki::{digesting::Digesting, gathered::Gathered, read, IssuerCertificate, RevokedEntry},
    serial::Serial,
    time::Time,
    validity::Validity,
};

/// A list that is being read: its head first, then its entries in the order of serials, then what stands below them.
pub struct CrlStream<'a, R> {
    octets: Octets<R>,
    signer: Option<&'a IssuerCertificate>,
    algorithm: Vec<u8>,
    validity: Validity,
    last: Option<Serial>,
    count: u64,
    /// Where the entries, what is signed, and the list end.
    ends: [u64; 3],
}

/// Whether an entry was passed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Passed {
    /// It was the next.
    It,
    /// This one is the next; none at the end.
    Not(Option<Serial>),
}

/// What a list was, once all of it was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CrlSum {
    /// Its number.
    pub number: u64,
    /// thisUpdate and nextUpdate.
    pub validity: Validity,
    /// How many serials it lists.
    pub entries: u64,
    /// How many octets it has.
    pub length: u64,
    /// SHA-256 of its DER.
    pub sha256: [u8; 32],
}

/// Why a list was not read piece by piece.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// What it comes from failed.
    #[error(transparent)]
    Source(#[from] io::Error),
    /// Not as we write lists.
    #[error("the revocation list is not in the form in which it is written here: {0}")]
    Form(&'static str),
    /// Name, key identifier or algorithm of another CA.
    #[error("the revocation list was signed by another CA")]
    Issuer,
    /// Not its signature.
    #[error("the signature of the revocation list is broken")]
    Signature,
}

impl<'a, R: Read> CrlStream<'a, R> {
    /// Reads the head. With a `signer` the list must be its own, which shows when it was read to its end.
    pub fn open(source: R, signer: Option<&'a IssuerCertificate>) -> Result<Self, StreamError> {
        let mut octets = Octets::new(source);
        let list = octets.header(SEQUENCE)?;
        octets.settle();
        octets.contents = signer.map(|signer| Gathered::new(signer.algorithm()));
        let contents = octets.header(SEQUENCE)?;
        if octets.take(3)? != [INTEGER, 1, V2] {
            return Err(StreamError::Form("it is not of version 2"));
        }
        let algorithm = octets.element(SEQUENCE, LONGEST_ALGORITHM)?;
        let name = octets.element(SEQUENCE, LONGEST_NAME)?;
        if signer.is_some_and(|signer| !is_named(signer, &algorithm, &name)) {
            return Err(StreamError::Issuer);
        }
        let (from, to) = (octets.moment()?, octets.moment()?);
        let validity = Validity::new(from, to).map_err(|_| StreamError::Form("its dates are out of order"))?;
        let entries = if octets.look(1)? == [SEQUENCE] { octets.header(SEQUENCE)? } else { octets.position };
        if !(entries < contents && contents < list) {
            return Err(StreamError::Form("one part of it reaches beyond another"));
        }
        Ok(Self { octets, signer, algorithm, validity, last: None, count: 0, ends: [entries, contents, list] })
    }

    /// thisUpdate and nextUpdate.
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// The next entry, none after the last.
    pub fn entry(&mut self) -> Result<Option<RevokedEntry>, StreamError> {
        let [end, ..] = self.ends;
        if self.octets.position == end {
            return Ok(None);
        }
        let [SEQUENCE, length @ 0..=0x7f] = *self.octets.look(2)? else { return Err(StreamError::Form(ENTRY)) };
        let entry = entry(&self.octets.take(2 + usize::from(length))?[2..]).ok_or(StreamError::Form(ENTRY))?;
        if self.octets.position > end {
            return Err(StreamError::Form(ENTRY));
        }
        if self.last.replace(entry.serial).is_some_and(|last| last >= entry.serial) {
            return Err(StreamError::Form("its entries are not in order, each once"));
        }
        self.count += 1;
        Ok(Some(entry))
    }

    /// Passes the next entry if it is that of `serial`, without reading the rest of it; else says which serial comes next. For
    /// a list whose hash is known.
    pub fn pass(&mut self, serial: &Serial) -> Result<Passed, StreamError> {
        let [end, ..] = self.ends;
        if self.octets.position == end {
            return Ok(Passed::Not(None));
        }
        let [SEQUENCE, length @ 0..=0x7f] = *self.octets.look(2)? else { return Err(StreamError::Form(ENTRY)) };
        let length = 2 + usize::from(length);
        let found = first(&self.octets.look(length)?[2..], INTEGER).and_then(|(contents, _)| read::serial(contents));
        let found = found.ok_or(StreamError::Form(ENTRY))?;
        if found != *serial {
            return Ok(Passed::Not(Some(found)));
        }
        self.octets.take(length)?;
        self.last = Some(found);
        self.count += 1;
        Ok(Passed::It)
    }

    /// Reads what is left, to the last octet.
    pub fn finish(mut self) -> Result<CrlSum, StreamError> {
        while self.entry()?.is_some() {}
        let [_, contents, list] = self.ends;
        let extensions = self.octets.element(EXTENSIONS, LONGEST_NAME)?;
        let (key_id, number) = extensions_of(&extensions).ok_or(StreamError::Form("its extensions are others"))?;
        if self.signer.is_some_and(|signer| signer.key_id() != key_id) {
            return Err(StreamError::Issuer);
        }
        if self.octets.position != contents {
            return Err(StreamError::Form("what is signed does not end where it says"));
        }
        self.octets.settle();
        let message = self.octets.contents.take();
        if self.octets.element(SEQUENCE, LONGEST_ALGORITHM)? != self.algorithm {
            return Err(StreamError::Form("it names two signature algorithms"));
        }
        let signature = self.octets.element(BIT_STRING, LONGEST_SIGNATURE)?;
        let Some([0, signature @ ..]) = value(&signature, BIT_STRING) else {
            return Err(StreamError::Form("its signature is no whole number of octets"));
        };
        if self.octets.position != list || self.octets.available(1)? {
            return Err(StreamError::Form("it does not end where it says"));
        }
        if let (Some(signer), Some(message)) = (self.signer, message) {
            if !message.message().is_signed(signer.algorithm(), signer.spki(), signature) {
                return Err(StreamError::Signature);
            }
        }
        self.octets.settle();
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(self.octets.whole.finish().as_ref());
        Ok(CrlSum { number, validity: self.validity, entries: self.count, length: list, sha256 })
    }
}

/// Name and algorithm as the issuer writes them.
fn is_named(signer: &IssuerCertificate, algorithm: &[u8], name: &[u8]) -> bool {
    let own = signer.algorithm().signature_identifier().to_der();
    name == signer.subject_der() && own.is_ok_and(|own| own == algorithm)
}

/// What is read, and the digests of what was.
struct Octets<R> {
    source: R,
    buffer: Vec<u8>,
    /// Up to where the buffer was taken, and up to where what was taken is in the digests.
    at: usize,
    digested: usize,
    /// How many octets were taken in all.
    position: u64,
    whole: Digesting,
    /// What is signed, while that is read and somebody wants to know.
    contents: Option<Gathered>,
}

impl<R: Read> Octets<R> {
    fn new(source: R) -> Self {
        let whole = Digesting::new(&SHA256);
        Self { source, buffer: Vec::new(), at: 0, digested: 0, position: 0, whole, contents: None }
    }

    /// Whether so many octets are left.
    fn available(&mut self, many: usize) -> io::Result<bool> {
        while self.buffer.len() - self.at < many {
            self.settle();
            self.buffer.drain(..self.at);
            (self.at, self.digested) = (0, 0);
            let kept = self.buffer.len();
            self.buffer.resize(kept + AT_ONCE, 0);
            let more = self.source.read(&mut self.buffer[kept..]);
            self.buffer.truncate(kept + *more.as_ref().unwrap_or(&0));
            match more {
                Ok(0) => return Ok(false),
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
        }
        Ok(true)
    }

    fn look(&mut self, many: usize) -> Result<&[u8], StreamError> {
        if self.available(many)? {
            Ok(&self.buffer[self.at..self.at + many])
        } else {
            Err(StreamError::Form("it is cut off"))
        }
    }

    fn take(&mut self, many: usize) -> Result<&[u8], StreamError> {
        self.look(many)?;
        self.at += many;
        self.position += many as u64;
        Ok(&self.buffer[self.at - many..self.at])
    }

    /// Brings what was taken into the digests.
    fn settle(&mut self) {
        let taken = &self.buffer[self.digested..self.at];
        self.whole.add(taken);
        if let Some(contents) = &mut self.contents {
            contents.add(taken);
        }
        self.digested = self.at;
    }

    /// Tag and length; where what follows will end.
    fn header(&mut self, tag: u8) -> Result<u64, StreamError> {
        let (head, inside) = self.look_at_header(tag)?;
        self.take(head)?;
        Ok(self.position + inside)
    }

    /// A whole element, header and all, of at most so many octets inside.
    fn element(&mut self, tag: u8, most: u64) -> Result<Vec<u8>, StreamError> {
        let (head, inside) = self.look_at_header(tag)?;
        match usize::try_from(inside) {
            Ok(length) if inside <= most => Ok(self.take(head + length)?.to_vec()),
            _ => Err(StreamError::Form(HEADER)),
        }
    }

    /// How long the header is that comes next, and what is inside; the length must be written in the fewest octets (X.690,
    /// 10.1). More than its six octets follow on every header here, since a signature is the last.
    fn look_at_header(&mut self, tag: u8) -> Result<(usize, u64), StreamError> {
        let octets = self.look(6)?;
        let (head, inside) = match octets[1] {
            length @ 1..=0x7f => (2, u64::from(length)),
            more @ 0x81..=0x84 => {
                let head = 2 + usize::from(more & 0x7f);
                let length = octets[2..head].iter().fold(0, |length, &octet| length << 8 | u64::from(octet));
                let fewest = octets[2] != 0 && length >= 0x80;
                (head, fewest.then_some(length).ok_or(StreamError::Form(HEADER))?)
            }
            _ => return Err(StreamError::Form(HEADER)),
        };
        (octets[0] == tag).then_some((head, inside)).ok_or(StreamError::Form(HEADER))
    }

    fn moment(&mut self) -> Result<Time, StreamError> {
        let head = self.look(2)?;
        let length = 2 + usize::from(head[1].min(15));
        let (moment, rest) = moment(self.take(length)?).ok_or(StreamError::Form("a date is none"))?;
        if rest.is_empty() {
            Ok(moment)
        } else {
            Err(StreamError::Form("a date is none"))
        }
    }
}

/// Serial, date, and a reason where there is one that makes sense for a leaf (RFC 5280, 5.3.1).
fn entry(inside: &[u8]) -> Option<RevokedEntry> {
    let (serial, rest) = first(inside, INTEGER)?;
    let (at, rest) = moment(rest)?;
    let reason = match rest.strip_prefix(&REASON_CODE) {
        None if rest.is_empty() => Reason::Unspecified,
        Some([code]) => Reason::ALL.into_iter().find(|reason| reason.code() == *code && *code > 0)?,
        _ => return None,
    };
    Some(RevokedEntry { serial: read::serial(serial)?, revocation: Revocation { at, reason } })
}

/// `UTCTime` through 2049, `GeneralizedTime` after, whole seconds, `Z` (RFC 5280, 5.1.2.4); and what follows it.
fn moment(der: &[u8]) -> Option<(Time, &[u8])> {
    let (century, rest) = match der {
        [UTC_TIME, 13, rest @ ..] => (None, rest),
        [GENERALIZED_TIME, 15, tens, ones, rest @ ..] => (Some(u16::from(number([*tens, *ones])?)), rest),
        _ => return None,
    };
    let ([digits @ .., b'Z'], rest) = rest.split_first_chunk::<13>()? else { return None };
    let mut parts = [0; 6];
    for (part, pair) in parts.iter_mut().zip(digits.as_chunks().0) {
        *part = number(*pair)?;
    }
    let [short, parts @ ..] = parts;
    let year = u16::from(short)
        + match century {
            None if short < 50 => 2000,
            None => 1900,
            Some(century) => century * 100,
        };
    let fits = century.is_none() || year >= 2050;
    Some((Time::from_calendar(year, parts).filter(|_| fits)?, rest))
}

/// Two decimal digits.
fn number(digits: [u8; 2]) -> Option<u8> {
    let [tens, ones] = digits.map(|digit| digit.wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| tens * 10 + ones)
}

/// The key identifier of the issuer and the CRL number, which are all of our extensions, neither critical.
fn extensions_of(element: &[u8]) -> Option<(&[u8], u64)> {
    let list = only(value(element, EXTENSIONS)?, SEQUENCE)?;
    let (authority, rest) = first(list, SEQUENCE)?;
    let number = only(rest, SEQUENCE)?;
    let [authority, number] = [(authority, AUTHORITY_KEY_ID), (number, CRL_NUMBER)].map(|(extension, id)| {
        let (found, rest) = first(extension, OBJECT_ID)?;
        (found == id).then_some(())?;
        only(rest, OCTET_STRING)
    });
    let key_id = only(only(authority?, SEQUENCE)?, KEY_ID)?;
    Some((key_id, positive(only(number?, INTEGER)?)?))
}

/// A number of at most 64 bits, in the fewest octets (X.690, 8.3).
fn positive(contents: &[u8]) -> Option<u64> {
    let magnitude = match contents {
        [0] => contents,
        [0, rest @ ..] => (rest[0] >= 0x80).then_some(rest)?,
        [first, ..] => (*first < 0x80).then_some(contents)?,
        [] => return None,
    };
    let fold = |number, &octet: &u8| number << 8 | u64::from(octet);
    (magnitude.len() <= 8).then(|| magnitude.iter().fold(0, fold))
}

/// The inside of an element that is all there is.
fn only(der: &[u8], tag: u8) -> Option<&[u8]> {
    first(der, tag).filter(|(_, rest)| rest.is_empty()).map(|(inside, _)| inside)
}

/// The inside of a short element, and what follows it.
fn first(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    match der {
        [found, length @ 0..=0x7f, rest @ ..] if *found == tag => rest.split_at_checked(usize::from(*length)),
        _ => None,
    }
}

/// The inside of an element whose header was read already.
fn value(element: &[u8], tag: u8) -> Option<&[u8]> {
    match element {
        [found, length @ 0..=0x7f, inside @ ..] if *found == tag && inside.len() == usize::from(*length) => {
            Some(inside)
        }
        [found, 0x81, _, inside @ ..] | [found, 0x82, _, _, inside @ ..] if *found == tag => Some(inside),
        _ => None,
    }
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OBJECT_ID: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// `[0] EXPLICIT` of a `TBSCertList`.
const EXTENSIONS: u8 = 0xa0;
/// `[0] IMPLICIT` of an `AuthorityKeyIdentifier`.
const KEY_ID: u8 = 0x80;
const V2: u8 = 1;
/// 2.5.29.35
const AUTHORITY_KEY_ID: &[u8] = &[0x55, 0x1d, 0x23];
/// 2.5.29.20
const CRL_NUMBER: &[u8] = &[0x55, 0x1d, 0x14];
/// crlEntryExtensions with one reasonCode (2.5.29.21), up to the code itself.
const REASON_CODE: [u8; 13] = [0x30, 12, 0x30, 10, 6, 3, 0x55, 0x1d, 0x15, 4, 3, 0x0a, 1];

const LONGEST_ALGORITHM: u64 = 64;
const LONGEST_NAME: u64 = 0xffff;
const LONGEST_SIGNATURE: u64 = 1024;
const AT_ONCE: usize = 64 * 1024;
const HEADER: &str = "a tag or a length is another";
const ENTRY: &str = "an entry is another";

#[cfg(test)]
mod tests;
