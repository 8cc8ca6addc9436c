//! The credentials of a profile, wherever they stand: in its blocks or in the files beside it.
//! Knows not whether they are any good.

use crate::import::{
    package::{self, Package, FILES, INLINE},
    Profile,
};

/// What a profile brings, and what it names and does not bring.
pub struct Credentials<'a> {
    pieces: Vec<(&'static str, Piece<'a>)>,
    /// Files that are named and not there: line, directive, path.
    pub missing: Vec<(usize, String, String)>,
}

/// One credential, such as the certificates of `<ca>`.
#[derive(Clone, Copy)]
pub struct Piece<'a> {
    /// The file it stands in; none for the profile itself.
    pub part: Option<&'a str>,
    /// Where in the profile it stands, or is named.
    pub line: usize,
    /// As it is written.
    pub bytes: &'a [u8],
}

impl<'a> Credentials<'a> {
    /// The credentials of a package whose profile was read.
    pub fn of(package: &'a Package, profile: &Profile<'a>) -> Self {
        let mut found = Self { pieces: Vec::new(), missing: Vec::new() };
        for directive in &profile.directives {
            let Some(name) = FILES.into_iter().find(|name| *name == directive.name()) else { continue };
            if let Some(bytes) = directive.block {
                found.pieces.push((name, Piece { part: None, line: directive.line, bytes }));
            }
        }
        for (line, name, path) in package::references(profile) {
            match (FILES.into_iter().find(|known| *known == name), package.beside(path)) {
                (Some(name), Some(part)) => {
                    let piece = Piece { part: Some(&part.name), line, bytes: part.bytes.expose() };
                    found.pieces.push((name, piece));
                }
                _ => found.missing.push((line, name.to_owned(), path.to_owned())),
            }
        }
        found.take_pkcs12(package);
        for directive in profile.directives.iter().filter(|directive| directive.parameter(1) == Some(INLINE)) {
            if FILES.contains(&directive.name()) && found.piece(directive.name()).is_none() {
                found.missing.push((directive.line, directive.name().to_owned(), INLINE.to_owned()));
            }
        }
        found
    }

    /// A profile without certificate whose PKCS#12 lies beside it, as Connect on iOS wants it: imported apart.
    fn take_pkcs12(&mut self, package: &'a Package) {
        let has = |name: &str| self.piece(name).is_some() || self.lacks(name);
        let mut beside = package.parts.iter().filter(|part| package::is_pkcs12(&part.name));
        if let (false, Some(part), None) = (has("cert") || has("pkcs12"), beside.next(), beside.next()) {
            self.pieces.push(("pkcs12", Piece { part: Some(&part.name), line: 1, bytes: part.bytes.expose() }));
        }
    }

    /// The piece of this directive that counts: the last in the profile.
    pub fn piece(&self, name: &str) -> Option<&Piece<'a>> {
        self.pieces.iter().filter(|(found, _)| *found == name).map(|(_, piece)| piece).max_by_key(|piece| piece.line)
    }

    /// Whether the profile names a file for this directive that is not there.
    pub fn lacks(&self, name: &str) -> bool {
        self.missing.iter().any(|(_, missing, _)| missing == name)
    }
}
