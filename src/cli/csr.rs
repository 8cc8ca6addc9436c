//! A certificate request that somebody sent, as typed: a file, or standard input.
//! Judges nothing but whether it is one.

use std::{
    io::{self, Read},
    path::Path,
};

use crate::{
    cli::{failure::with_causes, Failure},
    files,
    pki::Request,
};

/// Reads the request in a file, or on standard input (`-`).
pub fn read(path: &Path) -> Result<Request, Failure> {
    let bytes = if path.as_os_str() == "-" { from_standard_input(LIMIT)? } else { files::read(path, LIMIT)? };
    Request::read(&bytes).map_err(|error| {
        Failure::refused(format!("nothing was issued: `{}` is refused: {}", files::shown(path), with_causes(&error)))
    })
}

/// All of standard input, when it has at most so many bytes.
pub fn from_standard_input(limit: usize) -> Result<Vec<u8>, Failure> {
    let (mut bytes, most) = (Vec::new(), limit as u64);
    let read = io::stdin().lock().take(most + 1).read_to_end(&mut bytes);
    read.map_err(|error| Failure::refused(format!("standard input could not be read: {error}")))?;
    if bytes.len() as u64 > most {
        return Err(Failure::refused(format!("nothing was issued: standard input has more than {most} bytes")));
    }
    Ok(bytes)
}

/// A request has a few thousand bytes.
const LIMIT: usize = 1 << 16;
