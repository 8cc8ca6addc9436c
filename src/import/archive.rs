//! A zip, ours or anybody's: its files, as long as they are few and small.
//! Knows no bundle, and writes nothing to any disk.

use std::io::{Cursor, Read};

use zip::ZipArchive;

use crate::{import::Part, name::escape, secret::Secret};

/// Why an archive is not read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ArchiveError {
    /// No zip, or a damaged one.
    #[error("it is no zip that can be read: {0}")]
    Unreadable(String),
    /// More entries than a bundle has.
    #[error("it has {0} entries, a bundle has at most {MOST_ENTRIES}")]
    Entries(usize),
    /// More bytes than a bundle has, perhaps a bomb.
    #[error("`{0}` in it holds more than {LARGEST} bytes, together with what comes before")]
    TooLarge(String),
    /// A name that leads out of the directory in which the zip is unpacked.
    #[error("`{0}` in it leads out of the directory in which it is unpacked")]
    Name(String),
    /// An entry that needs a password, or is packed in a way that is not read here.
    #[error("`{name}` in it cannot be unpacked: {why}")]
    Entry {
        /// Its name, escaped.
        name: String,
        /// What the reader says.
        why: String,
    },
}

/// Whether these bytes begin as a zip does (APPNOTE 4.3.7, 4.3.16).
pub fn is_zip(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06")
}

/// The files in an archive, in its order.
pub fn files(bytes: &[u8]) -> Result<Vec<Part>, ArchiveError> {
    let unreadable = |error: zip::result::ZipError| ArchiveError::Unreadable(escape(&error.to_string()));
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(unreadable)?;
    if archive.len() > MOST_ENTRIES {
        return Err(ArchiveError::Entries(archive.len()));
    }
    let (mut found, mut room) = (Vec::new(), LARGEST);
    for index in 0..archive.len() {
        if let Some(part) = file(&mut archive, index, room)? {
            room -= part.bytes.expose().len();
            found.push(part);
        }
    }
    Ok(found)
}

/// One entry; none for a directory. What it says of its size is not believed.
fn file(archive: &mut ZipArchive<Cursor<&[u8]>>, index: usize, room: usize) -> Result<Option<Part>, ArchiveError> {
    let failed = |name: &str, why: String| ArchiveError::Entry { name: escape(name), why: escape(&why) };
    let mut entry =
        archive.by_index(index).map_err(|error| failed(&format!("entry {}", index + 1), error.to_string()))?;
    let name = entry.name().map_err(|error| failed(&format!("entry {}", index + 1), error.to_string()))?.into_owned();
    if entry.enclosed_name().is_none() || name.contains('\\') {
        return Err(ArchiveError::Name(escape(&name)));
    }
    if entry.is_dir() {
        return Ok(None);
    }
    let said = usize::try_from(entry.size()).unwrap_or(usize::MAX);
    if said > room {
        return Err(ArchiveError::TooLarge(escape(&name)));
    }
    // room for what it says it has, so that a key is not left behind by a buffer that grows
    let mut bytes = Vec::with_capacity(said + 1);
    let read = (&mut entry).take(said as u64 + 1).read_to_end(&mut bytes);
    let bytes = Secret::new(bytes);
    read.map_err(|error| failed(&name, error.to_string()))?;
    if bytes.expose().len() > said {
        return Err(ArchiveError::TooLarge(escape(&name)));
    }
    Ok(Some(Part { name, bytes }))
}

/// More than any bundle of any program has.
const MOST_ENTRIES: usize = 64;

/// Bytes of all entries together: a revocation list of some hundred thousand serials fits.
const LARGEST: usize = 32 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle;
    use proptest::prelude::*;

    fn part(name: &str, bytes: &[u8]) -> bundle::Part {
        bundle::Part { name: name.to_owned(), bytes: Secret::new(bytes.to_vec()), private: true }
    }

    fn packed(parts: &[bundle::Part]) -> Vec<u8> {
        bundle::zip(parts).ok().unwrap().expose().to_vec()
    }

    #[test]
    fn what_we_pack_is_unpacked() {
        let archive = packed(&[part("config.ovpn", b"client\n"), part("crl/crl.pem", b"list")]);
        assert!(is_zip(&archive));
        let found = files(&archive).ok().unwrap();
        let found: Vec<_> = found.iter().map(|part| (part.name.as_str(), part.bytes.expose())).collect();
        assert_eq!(found, [("config.ovpn", &b"client\n"[..]), ("crl/crl.pem", b"list")]);
    }

    #[test]
    fn what_leads_out_is_refused() {
        for name in ["../evil.ovpn", "/etc/passwd", "a/../../b", "a\\..\\b"] {
            let refused = files(&packed(&[part(name, b"x")])).err();
            // the writer may normalise a name; then it leads nowhere any more
            let harmless = files(&packed(&[part(name, b"x")])).is_ok_and(|found| !found[0].name.contains(".."));
            assert!(matches!(refused, Some(ArchiveError::Name(_))) || harmless, "{name}: {refused:?}");
        }
    }

    #[test]
    fn too_many_and_too_much_are_refused() {
        let many: Vec<_> = (0..=MOST_ENTRIES).map(|number| part(&number.to_string(), b"")).collect();
        assert_eq!(files(&packed(&many)).err(), Some(ArchiveError::Entries(MOST_ENTRIES + 1)));
        let large = [part("a", &vec![0; LARGEST - 5]), part("b", &[0; 6])];
        assert_eq!(files(&packed(&large)).err(), Some(ArchiveError::TooLarge("b".to_owned())));
        assert!(matches!(files(b"PK\x03\x04").err(), Some(ArchiveError::Unreadable(_))));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), at in any::<prop::sample::Index>(), octet: u8) {
            let _ = files(&bytes).is_ok();
            let mut damaged = packed(&[part("config.ovpn", b"client\n"), part("ca.crt", b"x")]);
            let at = at.index(damaged.len());
            damaged[at] = octet;
            let _ = files(&damaged).is_ok();
        }
    }
}
