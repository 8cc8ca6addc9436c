//! The zip of a bundle: the same parts give the same bytes, whenever and wherever it is made.
//! Knows no bundle's contents.

use std::io::{Cursor, Write};

use zip::{write::SimpleFileOptions, CompressionMethod, DateTime, System, ZipWriter};

use super::{BundleError, Part};
use crate::secret::Secret;

/// The parts in their order, each with its mode, dated 1980-01-01. Stored and not deflated: the bytes must not change
/// with the version of a compressor, and keys and certificates hardly shrink.
pub fn zip(parts: &[Part]) -> Result<Secret, BundleError> {
    // room for all of it at once, since a buffer that moves leaves a copy behind
    let entry = |part: &Part| {
        let names: usize = directories(&part.name).map(|dir| 2 * dir.len() + ENTRY).sum();
        part.bytes.expose().len() + 2 * part.name.len() + names + ENTRY
    };
    let room = parts.iter().map(entry).sum::<usize>() + ENTRY;
    let mut archive = ZipWriter::new(Cursor::new(Vec::with_capacity(room)));
    let mut made: Vec<&str> = Vec::new();
    for part in parts {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .system(System::Unix)
            .last_modified_time(DateTime::default())
            .unix_permissions(if part.private { 0o600 } else { 0o644 });
        for dir in directories(&part.name) {
            if !made.contains(&dir) {
                archive.add_directory(dir, options.unix_permissions(0o755))?;
                made.push(dir);
            }
        }
        archive.start_file(part.name.as_str(), options)?;
        archive.write_all(part.bytes.expose()).map_err(zip::result::ZipError::from)?;
    }
    Ok(Secret::new(archive.finish()?.into_inner()))
}

/// The directories above a file, the outermost first. Those of the host have modes of their own and are not named.
fn directories(name: &str) -> impl Iterator<Item = &str> {
    let above = if name.starts_with(HOST) { "" } else { name };
    above.match_indices('/').map(|(end, _)| &above[..end])
}

/// Where files of the host itself lie, in an archive that is unpacked at its root.
const HOST: &str = "etc/";

/// More than the headers of one entry, or the end of the archive, take (APPNOTE 4.3: 30 + 46 + 16, and 22).
const ENTRY: usize = 256;
