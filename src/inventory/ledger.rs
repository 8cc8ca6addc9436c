//! The ledger: the append-only, hash-chained record of every act. Each entry commits to the entry before it and to
//! digests of all that changed; made with the vault open it carries a MAC. Knows nothing of where it is kept.

use std::{fmt, io};

use aws_lc_rs::digest::{self, SHA256};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    inventory::{Certificate, Revocation, SignedCrl},
    name::{escape, Name},
    serial::Serial,
    time::Time,
    validity::Validity,
};

/// SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Digest(pub [u8; 32]);

/// The random id of one act, by which its outcome can be asked again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ActId(pub [u8; 16]);

/// One entry. Its JSON text, exactly as stored, is what is hashed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// Counted from 1 without gaps.
    pub seq: u64,
    /// The hash of the entry before; zeros before the first.
    pub previous: Digest,
    /// The act's id.
    pub act: ActId,
    /// When.
    pub at: Time,
    /// The operating system's name of who did it, as reported.
    pub by: String,
    /// The command.
    pub operation: String,
    /// What happened, for people and for rebuilding.
    pub events: Vec<Event>,
    /// Every fact that changed and the digest of its new state; none when it is gone.
    pub changed: Vec<(String, Option<Digest>)>,
    /// How many certificates the store holds after the act.
    pub certificates: u64,
    /// How many of them are revoked.
    pub revoked: u64,
    /// That a mismatch was known when this was written: trust does not come back by appending.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspect: bool,
}

/// What happened to whom.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// An authority was made.
    Initialised {
        /// The CA's common name.
        ca: String,
    },
    /// A certificate was issued.
    Issued {
        /// To whom.
        name: Name,
        /// Its serial.
        serial: Serial,
    },
    /// A certificate was revoked.
    Revoked {
        /// Whose, when known.
        name: Option<Name>,
        /// Its serial.
        serial: Serial,
        /// When it ends by itself, needed to rebuild a CRL.
        not_after: Time,
        /// Since when and why.
        revocation: Revocation,
    },
    /// Bundles were made with settings that those before did not have.
    Exported {
        /// How many.
        many: u64,
    },
    /// A suspended certificate is accepted again.
    Resumed {
        /// Whose, when known.
        name: Option<Name>,
        /// Its serial.
        serial: Serial,
    },
    /// A certificate was replaced by a new one of the same peer, and is accepted until the overlap ends.
    Superseded {
        /// Whose.
        name: Name,
        /// Its serial.
        serial: Serial,
        /// When it ends by itself.
        not_after: Time,
        /// The end of the overlap.
        overlap_ends: Time,
    },
    /// For how long CRLs are signed in advance.
    LadderSet {
        /// From each signing on.
        weeks: u32,
    },
    /// CRLs were signed in advance, each due at its day.
    LadderSigned {
        /// The first number.
        first: u64,
        /// The last number.
        last: u64,
        /// nextUpdate of the last.
        until: Time,
        /// SHA-256 of their DER, one after the other.
        sha256: Digest,
    },
    /// A CRL was signed.
    CrlSigned {
        /// Its number.
        number: u64,
        /// thisUpdate and nextUpdate.
        validity: Validity,
        /// How many serials it lists.
        entries: u64,
        /// SHA-256 of its DER.
        sha256: Digest,
    },
    /// The private keys and the note of a peer without access were dropped.
    Forgotten {
        /// Whose.
        name: Name,
    },
    /// To whom a peer's bundles are encrypted was changed.
    RecipientsSet {
        /// Whose bundles.
        name: Name,
        /// How many recipients are on record now.
        many: u64,
    },
    /// A server's directory was named as one to publish to.
    TargetAdded {
        /// Absolute path.
        dir: String,
    },
    /// A way into the vault was added.
    UnlockerAdded {
        /// Its number.
        number: u32,
        /// `passphrase` or `recipient`.
        kind: String,
        /// What people call it.
        label: String,
    },
    /// A way into the vault was taken away.
    UnlockerRemoved {
        /// Its number.
        number: u32,
        /// What people called it.
        label: String,
    },
    /// The vault has a new identity; every secret was sealed anew.
    VaultRotated {
        /// How many secrets that were.
        secrets: u64,
    },
    /// The authority was put back from a backup.
    Restored {
        /// When the backup was made.
        made: Time,
        /// The newest entry in it.
        seq: u64,
    },
    /// A published CRL was newer than the store: the store had been put back.
    RolledBack {
        /// Where the newer CRL was found.
        dir: String,
        /// Its number.
        number: u64,
        /// How many serials were taken over from it.
        learned: u64,
    },
}

/// The newest entry as stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head {
    /// Its place.
    pub seq: u64,
    /// Its hash, which commits to the whole chain.
    pub hash: Digest,
}

/// An entry as it lies in the store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredEntry {
    /// Its place, as stored beside the body.
    pub seq: u64,
    /// JSON.
    pub body: String,
    /// SHA-256 of the body.
    pub hash: Digest,
    /// HMAC-SHA256 of the hash under the vault's MAC key; none when the vault was closed.
    pub mac: Option<Digest>,
}

/// An entry without what happened to whom, which takes longer to read the more it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
pub struct Gist {
    /// Its place.
    pub seq: u64,
    /// The hash of the entry before.
    pub previous: Digest,
    /// When.
    pub at: Time,
    /// How many certificates the store holds after the act.
    pub certificates: u64,
    /// How many of them are revoked.
    pub revoked: u64,
    /// That a mismatch was known.
    #[serde(default)]
    pub suspect: bool,
}

/// What is wrong with an entry.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone)]
pub enum EntryFault {
    /// The body is no entry.
    #[error("entry {0} cannot be read")]
    Unreadable(u64),
    /// The body does not have the hash beside it.
    #[error("entry {0} was changed: its hash does not match")]
    Hash(u64),
    /// It does not follow the entry before it.
    #[error("entry {0} does not follow the entry before it")]
    Chain(u64),
    /// It was not written by someone with the vault open.
    #[error("entry {0} was not written with this vault: its MAC does not match")]
    Mac(u64),
    /// Without a MAC, yet it changes what only the vault may change.
    #[error("entry {0} changes `{1}` without a MAC")]
    Unproven(u64, String),
}

impl Event {
    /// Whether a CRL could not be rebuilt without it.
    pub fn bears_on_crl(&self) -> bool {
        matches!(self, Self::Revoked { .. } | Self::Resumed { .. } | Self::Superseded { .. })
    }

    /// That this certificate was revoked; none while it is not.
    pub fn revoked(certificate: &Certificate) -> Option<Self> {
        Some(Self::Revoked {
            name: certificate.holder.as_ref().map(|holder| holder.name.clone()),
            serial: certificate.serial,
            not_after: certificate.validity.not_after(),
            revocation: certificate.revocation?,
        })
    }

    /// That this CRL was signed.
    pub fn signed(crl: &SignedCrl) -> Self {
        Self::CrlSigned {
            number: crl.number,
            validity: crl.validity,
            entries: crl.entries,
            sha256: Digest::of(&crl.der),
        }
    }
}

impl StoredEntry {
    /// The entry, when body and hash belong together and it stands at its place.
    pub fn read(&self) -> Result<Entry, EntryFault> {
        self.parsed(|entry: &Entry| entry.seq)
    }

    /// The same without what happened to whom: enough for whoever trusts the entry by its MAC, or looks at its date.
    pub fn gist(&self) -> Result<Gist, EntryFault> {
        self.parsed(|gist: &Gist| gist.seq)
    }

    fn parsed<'a, T: Deserialize<'a>>(&'a self, place: impl Fn(&T) -> u64) -> Result<T, EntryFault> {
        if Digest::of(self.body.as_bytes()) != self.hash {
            return Err(EntryFault::Hash(self.seq));
        }
        let read = serde_json::from_str(&self.body).map_err(|_| EntryFault::Unreadable(self.seq))?;
        if place(&read) == self.seq {
            Ok(read)
        } else {
            Err(EntryFault::Chain(self.seq))
        }
    }
}

impl Entry {
    /// The entry without what happened to whom.
    pub fn gist(&self) -> Gist {
        let Self { seq, previous, at, certificates, revoked, suspect, .. } = *self;
        Gist { seq, previous, at, certificates, revoked, suspect }
    }

    /// What an entry without a MAC may change: where to publish, nothing that decides who has access.
    pub fn unproven_change(&self) -> Option<&str> {
        self.changed.iter().map(|(key, _)| key.as_str()).find(|key| !key.starts_with("target/"))
    }

    /// The text that is stored and hashed.
    pub fn body(&self) -> String {
        // a struct of strings, numbers and lists always has a JSON form
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl fmt::Display for Event {
    /// One line for people; text from outside is escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Initialised { ca } => write!(f, "authority `{}`", escape(ca)),
            Self::Issued { name, serial } => write!(f, "issued {name} serial:{serial}"),
            Self::Revoked { name, serial, revocation, .. } => {
                let whose = name.as_ref().map_or_else(|| "unknown holder".to_owned(), ToString::to_string);
                write!(f, "revoked {whose} serial:{serial} ({})", revocation.reason)
            }
            Self::Exported { many } => write!(f, "{many} bundles made with new settings"),
            Self::Resumed { name, serial } => {
                let whose = name.as_ref().map_or_else(|| "unknown holder".to_owned(), ToString::to_string);
                write!(f, "resumed {whose} serial:{serial}")
            }
            Self::Superseded { name, serial, overlap_ends, .. } => {
                write!(f, "superseded {name} serial:{serial}, accepted until {overlap_ends}")
            }
            Self::LadderSet { weeks } => write!(f, "CRLs are signed {weeks} weeks in advance"),
            Self::LadderSigned { first, last, until, .. } if first == last => {
                write!(f, "CRL {first} signed in advance until {}", until.date())
            }
            Self::LadderSigned { first, last, until, .. } => {
                write!(f, "CRLs {first} to {last} signed in advance until {}", until.date())
            }
            Self::CrlSigned { number, entries, validity, .. } => {
                write!(f, "CRL {number} with {entries} serials until {}", validity.not_after().date())
            }
            Self::Forgotten { name } => write!(f, "dropped what was kept of {name}"),
            Self::RecipientsSet { name, many: 0 } => write!(f, "bundles of {name} are no longer encrypted"),
            Self::RecipientsSet { name, many } => write!(f, "bundles of {name} are encrypted to {many} recipients"),
            Self::TargetAdded { dir } => write!(f, "publishes to {}", escape(dir)),
            Self::UnlockerAdded { number, kind, label } => write!(f, "unlocker {number} `{}` ({kind})", escape(label)),
            Self::UnlockerRemoved { number, label } => write!(f, "removed unlocker {number} `{}`", escape(label)),
            Self::VaultRotated { secrets } => write!(f, "new vault identity, {secrets} secrets sealed anew"),
            Self::Restored { made, seq } => write!(f, "restored from a backup made {made} (entry {seq})"),
            Self::RolledBack { dir, number, learned } => {
                write!(f, "rolled-back: CRL {number} in {} was newer, {learned} serials taken over", escape(dir))
            }
        }
    }
}

impl Digest {
    /// SHA-256 of the bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self::taken(&digest::digest(&SHA256, bytes))
    }

    /// SHA-256 of all that is read.
    pub fn of_reader(mut source: impl io::Read) -> io::Result<Self> {
        let (mut context, mut piece) = (digest::Context::new(&SHA256), vec![0; 64 * 1024]);
        loop {
            match source.read(&mut piece)? {
                0 => return Ok(Self::taken(&context.finish())),
                many => context.update(&piece[..many]),
            }
        }
    }

    /// From 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        parse_hex(text).map(Self)
    }

    fn taken(digest: &digest::Digest) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.as_ref());
        Self(bytes)
    }
}

impl ActId {
    /// From 32 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        parse_hex(text).map(Self)
    }
}

/// Digests of facts: each field with its length, under the fact's key, so that no two facts share a digest.
pub struct Hasher(digest::Context);

impl Hasher {
    /// For the fact of this key.
    pub fn new(key: &str) -> Self {
        let mut hasher = Self(digest::Context::new(&SHA256));
        hasher.text("vpnpki fact 1").text(key);
        hasher
    }

    /// A field of bytes.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.long(bytes.len() as u64).piece(bytes)
    }

    /// The beginning of a field of so many bytes, whose pieces follow.
    pub fn long(&mut self, length: u64) -> &mut Self {
        self.piece(&length.to_be_bytes())
    }

    /// The next piece of a long field.
    pub fn piece(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.update(bytes);
        self
    }

    /// A field of text.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    /// A number.
    pub fn number(&mut self, number: u64) -> &mut Self {
        self.bytes(&number.to_be_bytes())
    }

    /// A moment.
    pub fn time(&mut self, time: Time) -> &mut Self {
        self.bytes(&time.unix().to_be_bytes())
    }

    /// An interval.
    pub fn validity(&mut self, validity: Validity) -> &mut Self {
        self.time(validity.not_before()).time(validity.not_after())
    }

    /// The digest of all fields.
    pub fn finish(self) -> Digest {
        Digest::taken(&self.0.finish())
    }
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

macro_rules! as_hex {
    ($type:ty) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                // at once: an entry of many certificates holds a thousand of them
                let mut digits = [0; 2 * size_of::<$type>()];
                for (pair, octet) in digits.chunks_exact_mut(2).zip(self.0) {
                    pair.copy_from_slice(&[DIGITS[usize::from(octet >> 4)], DIGITS[usize::from(octet & 15)]]);
                }
                // digits are ASCII
                f.write_str(std::str::from_utf8(&digits).unwrap_or_default())
            }
        }
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not hexadecimal of the right length"))
            }
        }
    };
}

as_hex!(Digest);
as_hex!(ActId);

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn parse_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry() -> Entry {
        Entry {
            seq: 3,
            previous: Digest::of(b"before"),
            act: ActId([9; 16]),
            at: Time::from_unix(0),
            by: "root".to_owned(),
            operation: "issue".to_owned(),
            events: vec![Event::Issued { name: Name::parse("a").unwrap(), serial: Serial::fresh([0; 16]) }],
            changed: vec![("peer/a".to_owned(), Some(Digest::of(b"a"))), ("key/1".to_owned(), None)],
            certificates: 2,
            revoked: 0,
            suspect: false,
        }
    }

    fn stored(entry: &Entry) -> StoredEntry {
        let body = entry.body();
        StoredEntry { seq: entry.seq, hash: Digest::of(body.as_bytes()), body, mac: None }
    }

    #[test]
    fn an_entry_comes_back_and_a_changed_one_does_not() {
        let mut kept = stored(&entry());
        assert_eq!((kept.read(), kept.gist()), (Ok(entry()), Ok(entry().gist())));
        kept.body = kept.body.replace("issue", "renew");
        assert_eq!((kept.read(), kept.gist()), (Err(EntryFault::Hash(3)), Err(EntryFault::Hash(3))));
        let moved = StoredEntry { seq: 4, ..stored(&entry()) };
        assert_eq!((moved.read(), moved.gist()), (Err(EntryFault::Chain(4)), Err(EntryFault::Chain(4))));
    }

    #[test]
    fn the_gist_says_what_the_entry_says() {
        let entry = Entry { suspect: true, certificates: 7, revoked: 5, at: Time::from_unix(9), ..entry() };
        let gist = stored(&entry).gist().unwrap();
        assert_eq!(gist, entry.gist());
        assert_eq!((gist.seq, gist.previous, gist.at), (3, entry.previous, Time::from_unix(9)));
        assert_eq!((gist.certificates, gist.revoked, gist.suspect), (7, 5, true));
    }

    #[test]
    fn only_targets_change_without_a_mac() {
        let mut entry = entry();
        assert_eq!(entry.unproven_change(), Some("peer/a"));
        entry.changed = vec![("target//etc/openvpn/server".to_owned(), None)];
        assert_eq!(entry.unproven_change(), None);
    }

    #[test]
    fn fields_do_not_run_into_each_other() {
        let digest = |fields: [&str; 2]| {
            let mut hasher = Hasher::new("k");
            hasher.text(fields[0]).text(fields[1]);
            hasher.finish()
        };
        assert_ne!(digest(["ab", "c"]), digest(["a", "bc"]));
    }

    proptest! {
        #[test]
        fn no_body_panics(body in ".{0,200}") {
            let hash = Digest::of(body.as_bytes());
            let stored = StoredEntry { seq: 1, body, hash, mac: None };
            prop_assert!(stored.read().is_err() || stored.gist().is_ok(), "{}", stored.body);
        }
    }
}
