//! The bundle that comes back: a profile, or a zip of one with its files, in which only the private key is missing.
//! Judges only what is needed to put it together; `verify` looks at the rest.

use std::collections::BTreeMap;

use crate::{
    bundle::key_is_elsewhere,
    import::archive::{self, ArchiveError},
    name::Name,
    openvpn::directive,
    pki::{self, LeafFacts},
    secret::Secret,
};

/// A profile with every credential but the key.
pub struct Answer {
    pieces: Vec<Piece>,
    /// What the certificate in it says.
    pub leaf: LeafFacts,
}

/// A part of the profile that is written, or left out, as a whole.
enum Piece {
    /// A line of its own.
    Line(String),
    /// `<tag>`, its lines, `</tag>`.
    Block(String, Secret),
    /// Where the key is named that is not there.
    Key,
}

impl Answer {
    /// Reads a profile or a zip; the error goes on from the file's name.
    pub fn read(bytes: &Secret) -> Result<Self, String> {
        let zipped = bytes.expose().starts_with(b"PK");
        let mut files = if zipped { unzipped(bytes.expose())? } else { BTreeMap::new() };
        let profile = if zipped { only_profile(&mut files)? } else { Secret::new(bytes.expose().to_vec()) };
        let text = profile.expose_text().ok_or("is no profile: it is no text")?;
        let pieces = pieces(text, &files)?;
        let block = |tag: &str| pieces.iter().find_map(|piece| piece.block(tag));
        if block("key").is_some() {
            return Err("holds a private key already: there is nothing to finish".to_owned());
        }
        let names = |word: &str| pieces.iter().any(|piece| piece.is_directive(word));
        let missing = |what: &str| format!("is not whole: its {what} is missing");
        for (there, what) in [(block("ca").is_some(), "CA"), (names("remote"), "`remote`")] {
            if !there {
                return Err(missing(what));
            }
        }
        let certificate = block("cert").ok_or_else(|| missing("certificate"))?;
        let ders = pki::certificates_from_pem(certificate.expose())
            .map_err(|error| format!("holds no certificate that can be read: {error}"))?;
        let leaf = ders.first().map(|der| pki::read_leaf(der));
        match leaf {
            Some(Ok(leaf)) => Ok(Self { pieces, leaf }),
            Some(Err(error)) => Err(format!("holds no certificate that can be read: {error}")),
            None => Err(missing("certificate")),
        }
    }

    /// The whole profile, with the key in the place where it was named, or at the end.
    pub fn with_key(&self, name: &Name, key: &Secret) -> Secret {
        let note = key_is_elsewhere(name);
        let body = |piece: &Piece| match piece {
            Piece::Line(line) => line.len() + 1,
            Piece::Block(tag, body) => 2 * tag.len() + body.expose().len() + 8,
            Piece::Key => 0,
        };
        // room for all of it at once, since a buffer that moves leaves a copy behind
        let room = self.pieces.iter().map(body).sum::<usize>() + key.expose().len() + 32;
        let mut bytes = Vec::with_capacity(room);
        let mut placed = false;
        for piece in &self.pieces {
            match piece {
                Piece::Line(line) if note.lines().any(|noted| noted == line) => (),
                Piece::Line(line) => bytes.extend([line.as_bytes(), b"\n"].into_iter().flatten()),
                Piece::Block(tag, body) => write_block(&mut bytes, tag, body),
                Piece::Key if placed => (),
                Piece::Key => {
                    write_block(&mut bytes, "key", key);
                    placed = true;
                }
            }
        }
        if !placed {
            write_block(&mut bytes, "key", key);
        }
        Secret::new(bytes)
    }
}

impl Piece {
    fn block(&self, wanted: &str) -> Option<&Secret> {
        match self {
            Self::Block(tag, body) if tag == wanted => Some(body),
            _ => None,
        }
    }

    fn is_directive(&self, word: &str) -> bool {
        let first = |line: &str| directive::read(line).ok().and_then(|line| line.words.into_iter().next());
        matches!(self, Self::Line(line) if first(line).as_deref() == Some(word))
    }
}

fn write_block(bytes: &mut Vec<u8>, tag: &str, body: &Secret) {
    for piece in [b"<", tag.as_bytes(), b">\n", body.expose(), b"</", tag.as_bytes(), b">\n"] {
        bytes.extend_from_slice(piece);
    }
}

/// The profile line by line: inline blocks as they are, credentials in files as blocks, the key as a gap.
fn pieces(text: &str, files: &BTreeMap<String, Secret>) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(tag) = line.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')) {
            pieces.push(Piece::Block(tag.to_owned(), block(tag, &mut lines, text.len())?));
            continue;
        }
        let words =
            directive::read(line).map_err(|error| format!("has a line that OpenVPN does not read: {error}"))?.words;
        match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["key", ..] => pieces.push(Piece::Key),
            [word, file, ..] if FILES.contains(&word) => {
                let body = files
                    .get(file)
                    .ok_or_else(|| format!("names a file that did not come with it: {}", crate::name::escape(file)))?;
                // inline, the direction of tls-auth is a directive of its own
                if let Some(direction) = words.get(2) {
                    pieces.push(Piece::Line(format!("key-direction {direction}")));
                }
                pieces.push(Piece::Block(word.to_owned(), Secret::new(body.expose().to_vec())));
            }
            _ => pieces.push(Piece::Line(line.to_owned())),
        }
    }
    Ok(pieces)
}

/// The lines until the end of the block.
fn block(tag: &str, lines: &mut std::str::Lines<'_>, room: usize) -> Result<Secret, String> {
    let end = format!("</{tag}>");
    let mut body = Vec::with_capacity(room);
    for line in lines {
        if line.trim_end() == end {
            return Ok(Secret::new(body));
        }
        body.extend([line.as_bytes(), b"\n"].into_iter().flatten());
    }
    Err(format!("is cut off: `<{}>` does not end", crate::name::escape(tag)))
}

/// The files of an archive by name. What is no small archive of a few files is refused.
fn unzipped(bytes: &[u8]) -> Result<BTreeMap<String, Secret>, String> {
    let files = archive::files(bytes).map_err(|error| match error {
        ArchiveError::Unreadable(_) => "is no zip that can be read".to_owned(),
        ArchiveError::Entries(many) => too_many(many),
        ArchiveError::TooLarge(_) => too_large(),
        ArchiveError::Name(_) => "has a file whose name leads out of its directory".to_owned(),
        ArchiveError::Entry { .. } => "is a damaged zip".to_owned(),
    })?;
    if files.len() > MOST_FILES {
        return Err(too_many(files.len()));
    }
    if files.iter().any(|file| file.bytes.expose().len() >= MOST_BYTES) {
        return Err(too_large());
    }
    Ok(files.into_iter().map(|file| (file.name, file.bytes)).collect())
}

fn too_many(files: usize) -> String {
    format!("has {files} files, a bundle has at most {MOST_FILES}")
}

fn too_large() -> String {
    format!("has a file of {MOST_BYTES} bytes or more")
}

fn only_profile(files: &mut BTreeMap<String, Secret>) -> Result<Secret, String> {
    let mut profiles = files.keys().filter(|name| name.strip_suffix(".ovpn").is_some()).cloned();
    match (profiles.next(), profiles.next()) {
        (Some(one), None) => files.remove(&one).ok_or_else(|| "holds no profile".to_owned()),
        (None, _) => Err("holds no profile (`*.ovpn`)".to_owned()),
        (Some(_), Some(_)) => Err("holds more than one profile".to_owned()),
    }
}

/// Credentials that may come as files.
const FILES: [&str; 5] = ["ca", "cert", "tls-crypt", "tls-crypt-v2", "tls-auth"];
const MOST_FILES: usize = 32;
/// Twice what clients read of a profile (`MAX_PROFILE_SIZE`, cliconstants.hpp).
const MOST_BYTES: usize = 512 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refusal(text: &str) -> String {
        Answer::read(&Secret::from(text.to_owned())).err().expect("a refusal")
    }

    #[test]
    fn what_is_no_answer_says_why() {
        for (text, why) in [
            ("", "its CA is missing"),
            ("remote a\n<ca>\nx\n", "`<ca>` does not end"),
            ("<ca>\nx\n</ca>\n", "its `remote` is missing"),
            ("remote a\n<ca>\nx\n</ca>\n", "its certificate is missing"),
            ("remote a\n<ca>\nx\n</ca>\n<cert>\nx\n</cert>\n", "holds no certificate that can be read"),
            ("remote a\n<key>\nx\n</key>\n", "holds a private key already"),
            ("remote a\nca ca.crt\n", "names a file that did not come with it: ca.crt"),
            ("remote \"a\n", "has a line that OpenVPN does not read"),
            ("PK", "is no zip"),
        ] {
            let error = refusal(text);
            assert!(error.contains(why), "{why}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,200}") {
            prop_assert!(Answer::read(&Secret::new(bytes.clone())).is_err());
            prop_assert!(Answer::read(&Secret::new([b"PK\x03\x04".as_slice(), &bytes].concat())).is_err());
            prop_assert!(Answer::read(&Secret::from(text)).is_err());
        }
    }
}
