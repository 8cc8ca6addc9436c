//! Revocation lists that are read any number of times and never lie in memory: those of the store, and those that servers
//! read. One in a form that we do not write is read whole. Decides nothing about them.

use std::io::{self, Read};

use crate::{
    authority::AuthorityError,
    files::FileError,
    inventory::Digest,
    pki::{Armoured, Crl, CrlError, CrlStream, IssuerCertificate, Parts, RevokedEntry, StreamError, Unarmoured},
    publish::PublishedCrl,
    serial::Serial,
    store::{CrlFacts, StoreError, View},
    time::Time,
    validity::Validity,
};

/// A CRL of the store. Nothing is known yet of its bytes.
#[derive(Clone, Copy)]
pub struct StoredCrl<'a> {
    view: &'a dyn View,
    issuer: u32,
    /// Number, dates and count.
    pub facts: CrlFacts,
}

/// A list that can be read: of our CA, where that was asked.
pub struct Listing<'a> {
    source: Box<Source<'a>>,
    /// Its number; none on lists that other programs made without one.
    pub number: Option<u64>,
    /// thisUpdate and nextUpdate.
    pub validity: Validity,
    /// SHA-256 of its DER; none of one that is not in our form.
    pub(super) sha256: Option<Digest>,
    /// The entries of one that is not in our form.
    whole: Option<Vec<RevokedEntry>>,
}

/// Gives the DER of a list from its beginning.
type Source<'a> = dyn Fn() -> Box<dyn Read + 'a> + 'a;

/// The entries of a list, in the order of serials.
pub type Entries<'a> = Box<dyn Iterator<Item = Result<RevokedEntry, AuthorityError>> + 'a>;

impl<'a> StoredCrl<'a> {
    /// The newest that is due at `now`; none where somebody took it out of the store.
    pub(super) fn newest(view: &'a dyn View, issuer: u32, now: Time) -> Result<Option<Self>, AuthorityError> {
        Ok(view.crl_facts(issuer, now)?.map(|facts| Self { view, issuer, facts }))
    }

    /// One that was laid down in the store, recorded or not.
    pub(super) fn laid_down(view: &'a dyn View, issuer: u32, facts: CrlFacts) -> Self {
        Self { view, issuer, facts }
    }

    /// The DER of several, one after the other.
    pub(super) fn in_a_row(
        view: &'a dyn View,
        issuer: u32,
        crls: impl Iterator<Item = CrlFacts>,
    ) -> Box<dyn Read + 'a> {
        let nothing: Box<dyn Read + 'a> = Box::new(io::empty());
        crls.fold(nothing, |before, facts| Box::new(before.chain(Self { view, issuer, facts }.der())))
    }

    /// Its DER.
    pub fn der(&self) -> Box<dyn Read + 'a> {
        let (view, issuer, number) = (self.view, self.issuer, self.facts.number);
        Box::new(Parts::new(move |from, take| view.crl_parts(issuer, number, from, take).map_err(io::Error::other)))
    }

    /// The text that is published.
    pub fn pem(&self) -> Box<dyn Read + 'a> {
        Box::new(Armoured::new(self.der()))
    }

    /// Reads it, and holds it against the CA that is to have signed it.
    pub fn listing(&self, signer: Option<&IssuerCertificate>) -> Result<Listing<'a>, AuthorityError> {
        let (stored, mut der) = (*self, Vec::new());
        Listing::read(Box::new(move || stored.der()), signer, || {
            stored.der().read_to_end(&mut der).map_err(fault)?;
            Ok(Crl::from_der(&der)?)
        })
    }
}

impl<'a> Listing<'a> {
    /// The list in a target, when `signer` signed it; an error says why it is none.
    pub(super) fn published(there: &'a PublishedCrl, signer: &IssuerCertificate) -> Result<Self, AuthorityError> {
        Self::of_target(there, Some(signer))
    }

    /// The list in a target, whoever signed it.
    pub(super) fn of_anyone(there: &'a PublishedCrl) -> Result<Self, AuthorityError> {
        Self::of_target(there, None)
    }

    fn of_target(there: &'a PublishedCrl, signer: Option<&IssuerCertificate>) -> Result<Self, AuthorityError> {
        let source = Box::new(|| -> Box<dyn Read + 'a> { Box::new(Unarmoured::new(there.text())) });
        Self::read(source, signer, || {
            let mut text = Vec::new();
            there.text().read_to_end(&mut text).map_err(fault)?;
            Ok(Crl::from_pem(&text)?)
        })
    }

    /// What is not read piece by piece is read whole: that reader knows every form, and its word is what people are told.
    fn read(
        source: Box<Source<'a>>,
        signer: Option<&IssuerCertificate>,
        whole: impl FnOnce() -> Result<Crl, AuthorityError>,
    ) -> Result<Self, AuthorityError> {
        if let Ok(sum) = CrlStream::open(source(), signer).and_then(CrlStream::finish) {
            let (number, sha256) = (Some(sum.number), Some(Digest(sum.sha256)));
            return Ok(Self { source, number, validity: sum.validity, sha256, whole: None });
        }
        let crl = whole()?;
        signer.map_or(Ok(()), |signer| crl.verify(signer))?;
        let mut entries = crl.entries().to_vec();
        entries.sort_by_key(|entry| entry.serial);
        Ok(Self { source, number: crl.number(), validity: crl.validity(), sha256: None, whole: Some(entries) })
    }

    /// What it lists, in the order of serials.
    pub fn entries(&self) -> Result<Entries<'a>, AuthorityError> {
        if let Some(entries) = &self.whole {
            return Ok(Box::new(entries.clone().into_iter().map(Ok)));
        }
        let mut stream = CrlStream::open((self.source)(), None).map_err(stream_fault)?;
        Ok(Box::new(std::iter::from_fn(move || stream.entry().map_err(stream_fault).transpose())))
    }

    /// The serials of that.
    pub(super) fn serials(&self) -> Result<impl Iterator<Item = Result<Serial, AuthorityError>> + 'a, AuthorityError> {
        Ok(self.entries()?.map(|entry| entry.map(|entry| entry.serial)))
    }
}

/// The entries of a list whose serials another one lacks.
pub(super) fn lacking<'a>(
    entries: Entries<'a>,
    other: impl Iterator<Item = Result<Serial, AuthorityError>> + 'a,
) -> impl Iterator<Item = Result<RevokedEntry, AuthorityError>> + 'a {
    let mut other = other.peekable();
    let mut lacks = move |serial: Serial| -> Result<bool, AuthorityError> {
        while let Some(next) = other.next_if(|next| next.as_ref().map_or(true, |next| *next <= serial)) {
            if next? == serial {
                return Ok(false);
            }
        }
        Ok(true)
    };
    entries.filter_map(move |entry| match entry.and_then(|entry| Ok((entry, lacks(entry.serial)?))) {
        Ok((entry, lacks)) => lacks.then_some(Ok(entry)),
        Err(error) => Some(Err(error)),
    })
}

/// The entries of a list and some more, in the order of serials; where both have a serial, the list's.
pub(super) fn merged(entries: Entries<'_>, more: Vec<RevokedEntry>) -> Entries<'_> {
    let (mut entries, mut more) = (entries.peekable(), more.into_iter().peekable());
    Box::new(std::iter::from_fn(move || {
        let listed = match entries.peek() {
            Some(Ok(entry)) => Some(entry.serial),
            Some(Err(_)) => return entries.next(),
            None => None,
        };
        if let (Some(listed), Some(entry)) = (listed, more.peek()) {
            if entry.serial == listed {
                more.next();
            }
        }
        match (listed, more.peek()) {
            (Some(listed), Some(entry)) if entry.serial > listed => entries.next(),
            (Some(_), None) => entries.next(),
            _ => more.next().map(Ok),
        }
    }))
}

/// What was read through `Read` keeps its own words.
pub(super) fn fault(error: io::Error) -> AuthorityError {
    let error = match error.downcast::<StoreError>() {
        Ok(error) => return error.into(),
        Err(error) => error,
    };
    match error.downcast::<FileError>() {
        Ok(error) => error.into(),
        Err(_) => CrlError::Unreadable.into(),
    }
}

fn stream_fault(error: StreamError) -> AuthorityError {
    match error {
        StreamError::Source(error) => fault(error),
        StreamError::Form(_) | StreamError::Issuer | StreamError::Signature => CrlError::Unreadable.into(),
    }
}
