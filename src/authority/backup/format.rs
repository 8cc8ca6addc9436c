//! What a backup file is made of. Bytes in, parts out; every fault of a damaged file is found before a key is asked for.
//! Knows nothing of stores, and opens nothing but its own body.
//!
//! One line `vpnpki-backup 1`; one line of JSON ([`Header`]); each unlocker's own age file, as it lies in the store; the
//! body, an age file to the vault's identity. The body's text is one line of JSON with names and lengths, then the files.
//! So `age -d -i` opens it, too: first an unlocker's part, which gives the identity, then the body.

use serde::{Deserialize, Serialize};

use crate::{
    inventory::{Digest, Head, Unlocker},
    time::Time,
    vault::{self, VaultError, VaultKeys},
};

/// What is known of a backup without opening it. Held against what is in it once it is open.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) authority: String,
    pub(super) created: Time,
    pub(super) head: HeadFacts,
    pub(super) recipient: String,
    pub(super) unlockers: Vec<Locked>,
    pub(super) body: Part,
}

/// The newest ledger entry.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct HeadFacts {
    pub(super) seq: u64,
    pub(super) hash: Digest,
}

/// A part that follows.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Part {
    length: u64,
    sha256: Digest,
}

/// One way into the vault.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Locked {
    number: u32,
    kind: String,
    pub(super) label: String,
    recipient: Option<String>,
    since: Option<Time>,
    file: Part,
}

/// Why a file is no backup that can be used. Nothing was changed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BackupFault {
    /// Something else.
    #[error("the file is no backup of this program")]
    Foreign,
    /// Of a later program.
    #[error("the backup has a format that this version does not know; use the newer program that wrote it")]
    Newer,
    /// Bytes were changed.
    #[error("the backup is damaged: {0} was changed")]
    Changed(&'static str),
    /// Bytes are missing.
    #[error("the backup is cut off: {0} bytes are missing")]
    CutOff(u64),
    /// Bytes were added.
    #[error("the backup goes on for {0} bytes after its end")]
    Extended(u64),
    /// A part that every backup has.
    #[error("the backup lacks {0}")]
    Incomplete(&'static str),
    /// A file that belongs nowhere.
    #[error("`{0}` is no file of an authority")]
    Name(String),
    /// Its parts are whole, but not of one backup.
    #[error("the backup was put together from several: its header does not say what is in it")]
    Mixed,
}

impl From<Head> for HeadFacts {
    fn from(Head { seq, hash }: Head) -> Self {
        Self { seq, hash }
    }
}

impl Part {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self { length: bytes.len() as u64, sha256: Digest::of(bytes) }
    }

    /// Takes its bytes from the front.
    fn take<'b>(&self, rest: &mut &'b [u8], what: &'static str) -> Result<&'b [u8], BackupFault> {
        let length = usize::try_from(self.length).map_err(|_| BackupFault::Changed(HEADER))?;
        let (bytes, after) = rest.split_at_checked(length).ok_or(BackupFault::Changed(HEADER))?;
        *rest = after;
        if Digest::of(bytes) == self.sha256 {
            Ok(bytes)
        } else {
            Err(BackupFault::Changed(what))
        }
    }
}

impl Locked {
    pub(super) fn of(row: &Unlocker) -> Self {
        let Unlocker { number, kind, label, recipient, since, wrapped } = row;
        Self {
            number: *number,
            kind: kind.clone(),
            label: label.clone(),
            recipient: recipient.clone(),
            since: *since,
            file: Part::of(wrapped),
        }
    }

    fn row(&self, wrapped: Vec<u8>) -> Unlocker {
        let Self { number, kind, label, recipient, since, file: _ } = self.clone();
        Unlocker { number, kind, label, recipient, since, wrapped }
    }
}

/// The file.
pub(super) fn encode(header: &Header, unlockers: &[Unlocker], body: &[u8]) -> Vec<u8> {
    let mut bytes = [MAGIC, VERSION, b"\n", line(header).as_bytes(), b"\n"].concat();
    for unlocker in unlockers {
        bytes.extend_from_slice(&unlocker.wrapped);
    }
    bytes.extend_from_slice(body);
    bytes
}

/// Header, unlockers and body of a file that is whole.
pub(super) fn decode(bytes: &[u8]) -> Result<(Header, Vec<Unlocker>, &[u8]), BackupFault> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(BackupFault::Foreign)?;
    let (version, rest) = first_line(rest, 8).ok_or(BackupFault::Changed(HEADER))?;
    if version != VERSION {
        return Err(BackupFault::Newer);
    }
    let (text, mut rest) = first_line(rest, LONGEST_HEADER).ok_or(BackupFault::Changed(HEADER))?;
    let header: Header = serde_json::from_slice(text).map_err(|_| BackupFault::Changed(HEADER))?;
    // there is one way to write it: a blank or a field that nobody reads is a change, too
    if line(&header).as_bytes() != text {
        return Err(BackupFault::Changed(HEADER));
    }
    let lengths = header.unlockers.iter().map(|locked| &locked.file).chain([&header.body]).map(|part| part.length);
    let expected = lengths.fold(0, u64::saturating_add);
    match (rest.len() as u64).cmp(&expected) {
        std::cmp::Ordering::Less => return Err(BackupFault::CutOff(expected - rest.len() as u64)),
        std::cmp::Ordering::Greater => return Err(BackupFault::Extended(rest.len() as u64 - expected)),
        std::cmp::Ordering::Equal => {}
    }
    let mut unlockers = Vec::new();
    for locked in &header.unlockers {
        unlockers.push(locked.row(locked.file.take(&mut rest, "an unlocker")?.to_vec()));
    }
    let body = header.body.take(&mut rest, "its sealed part")?;
    Ok((header, unlockers, body))
}

/// The files in a backup, one behind the other.
#[derive(Default)]
pub(super) struct Contents {
    names: Vec<(String, usize)>,
    bytes: Vec<u8>,
}

/// The first line of the body.
#[derive(Serialize, Deserialize)]
struct Manifest {
    created: Time,
    files: Vec<(String, usize)>,
}

impl Contents {
    pub(super) fn add(&mut self, name: &str, bytes: &[u8]) {
        self.names.push((name.to_owned(), bytes.len()));
        self.bytes.extend_from_slice(bytes);
    }

    pub(super) fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let mut rest = self.bytes.as_slice();
        self.names.iter().map(move |(name, length)| {
            let (bytes, after) = rest.split_at_checked(*length).unwrap_or_default();
            rest = after;
            (name.as_str(), bytes)
        })
    }

    pub(super) fn file(&self, wanted: &str) -> Option<&[u8]> {
        self.files().find(|(name, _)| *name == wanted).map(|(_, bytes)| bytes)
    }

    pub(super) fn seal(&self, recipient: &str, created: Time) -> Result<Vec<u8>, VaultError> {
        let manifest = line(&Manifest { created, files: self.names.clone() });
        vault::seal_for(recipient, &[manifest.as_bytes(), b"\n", &self.bytes])
    }

    pub(super) fn open(vault: &VaultKeys, body: &[u8]) -> Result<(Self, Time), super::AuthorityError> {
        let text = vault.open_sealed(body)?;
        let (manifest, bytes) = first_line(text.expose(), usize::MAX).ok_or(BackupFault::Mixed)?;
        let Manifest { created, files } = serde_json::from_slice(manifest).map_err(|_| BackupFault::Mixed)?;
        let all = files.iter().fold(0usize, |all, (_, length)| all.saturating_add(*length));
        if all != bytes.len() {
            return Err(BackupFault::Mixed.into());
        }
        Ok((Self { names: files, bytes: bytes.to_vec() }, created))
    }
}

/// A struct of texts, numbers and lists always has a JSON form.
fn line(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn first_line(bytes: &[u8], longest: usize) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().take(longest).position(|&byte| byte == b'\n')?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

const MAGIC: &[u8] = b"vpnpki-backup ";
const VERSION: &[u8] = b"1";
const HEADER: &str = "its header";
const LONGEST_HEADER: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> Vec<u8> {
        let row = |number: u32| Unlocker {
            number,
            kind: "recipient".to_owned(),
            label: format!("key {number}"),
            recipient: Some("age1".to_owned()),
            since: Some(Time::from_unix(7)),
            wrapped: vec![9; 30],
        };
        let unlockers = [row(1), row(2)];
        let header = Header {
            authority: "ab".to_owned(),
            created: Time::from_unix(8),
            head: HeadFacts { seq: 3, hash: Digest::of(b"head") },
            recipient: "age1".to_owned(),
            unlockers: unlockers.iter().map(Locked::of).collect(),
            body: Part::of(b"body"),
        };
        encode(&header, &unlockers, b"body")
    }

    #[test]
    fn what_was_written_is_read() {
        let bytes = sample();
        let (header, unlockers, body) = decode(&bytes).unwrap();
        assert_eq!((header.head.seq, unlockers.len(), body), (3, 2, b"body".as_slice()));
        assert_eq!(encode(&header, &unlockers, body), bytes);
    }

    #[test]
    fn every_cut_and_every_tail_is_found() {
        let bytes = sample();
        for end in 0..bytes.len() {
            assert!(decode(&bytes[..end]).is_err(), "cut at {end}");
        }
        assert_eq!(decode(&[&bytes[..], b"x"].concat()).unwrap_err(), BackupFault::Extended(1));
        assert_eq!(decode(&bytes[..bytes.len() - 1]).unwrap_err(), BackupFault::CutOff(1));
    }

    /// A letter of the header that is another letter is found when the backup is opened; here, all else is.
    #[test]
    fn every_flipped_bit_of_the_parts_is_found() {
        let bytes = sample();
        for place in bytes.len() - 64..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[place] ^= 1;
            assert!(matches!(decode(&flipped), Err(BackupFault::Changed(_))), "byte {place}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "(\\{|\\}|\"|[a-z0-9:,]){0,60}") {
            prop_assert!(decode(&bytes).is_err());
            prop_assert!(decode(&[b"vpnpki-backup 1\n", &bytes[..]].concat()).is_err());
            let with_header = format!("vpnpki-backup 1\n{{{text}\n");
            prop_assert!(decode(with_header.as_bytes()).is_err());
        }
    }
}
