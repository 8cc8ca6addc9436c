//! A bundle for Tunnelblick: a package of files, `NAME.tblk/Contents/Resources`.
//! Knows no credentials; it puts files where Tunnelblick looks for them.

use super::Part;

/// The files of a client as a package, without `Info.plist`, as Tunnelblick itself makes one of an `.ovpn`. Only files of
/// the kinds that it knows may lie there: ours end in `.crt` and `.key` (defines.h, `TBLK_INSTALL_EXTENSIONS`), and the
/// characters of a bundle's name are all allowed (`PROHIBITED_DISPLAY_NAME_CHARACTERS_CSTRING`).
pub fn package(stem: &str, parts: Vec<Part>) -> Vec<Part> {
    parts
        .into_iter()
        .map(|part| Part { name: format!("{stem}.tblk/Contents/Resources/{}", part.name), ..part })
        .collect()
}
