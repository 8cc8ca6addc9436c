//! What an authority says of itself, and whether that agrees with its CRL and with every file around it.
//! Knows the words of `list --json`; judges no single command.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Read,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use serde_json::Value;
use vpnpki::serial::Serial;
use x509_parser::{parse_x509_certificate, parse_x509_crl};

use crate::common::{tree, vpnpki, Outcome};

/// The inventory and the newest CRL, asked from the commands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct State {
    /// Name and status of every certificate that was ever issued.
    pub certificates: BTreeMap<Serial, (String, String)>,
}

impl State {
    /// Asks the authority in `dir/pki`, and holds its answers against each other, against the ledger, and against every
    /// certificate in any file under `dir`.
    pub fn sound(dir: &Path) -> Result<Self, String> {
        answer(dir, "log verify")?;
        let state = Self { certificates: rows(&answer(dir, "list --history --json")?)? };
        let on_crl = crl_serials(answer(dir, "crl publish -o -")?.as_bytes())?;
        if on_crl != state.revoked() {
            return Err(format!("on the CRL: {on_crl:?}; revoked: {:?}", state.revoked()));
        }
        match certificates_in_files(dir)?.into_iter().find(|(serial, _)| !state.certificates.contains_key(serial)) {
            Some((serial, file)) => Err(format!("{serial} in {} is unknown to the inventory", file.display())),
            None => Ok(state),
        }
    }

    /// The serials that must be refused.
    pub fn revoked(&self) -> BTreeSet<Serial> {
        self.certificates
            .iter()
            .filter(|(_, (_, status))| status == "revoked" || status == "suspended")
            .map(|(&serial, _)| serial)
            .collect()
    }

    /// Names with their status, without the serials, which differ from run to run.
    pub fn names(&self) -> Vec<(String, String)> {
        let mut names: Vec<_> = self.certificates.values().cloned().collect();
        names.sort();
        names
    }

    /// The status of the certificates of one name.
    pub fn of(&self, name: &str) -> Vec<&str> {
        self.certificates.values().filter(|(holder, _)| holder == name).map(|(_, status)| status.as_str()).collect()
    }
}

/// The serials on the CRL in a file, or none when there is no file; torn bytes are an error.
pub fn published(file: &Path) -> Result<Option<BTreeSet<Serial>>, String> {
    match fs::read(file) {
        Ok(bytes) => crl_serials(&bytes).map(Some),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

/// The serials that a server refuses by the names in a directory, or none when there is no such directory: those whose file
/// everybody may open.
pub fn named(dir: &Path) -> Result<Option<BTreeSet<Serial>>, String> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let mut serials = BTreeSet::new();
    for entry in entries {
        let entry = entry.map_err(|error| error.to_string())?;
        let found = entry.metadata().map_err(|error| error.to_string())?;
        if found.is_file() && found.permissions().mode() & 0o444 == 0o444 {
            serials.extend(entry.file_name().to_str().and_then(Serial::from_decimal));
        }
    }
    Ok(Some(serials))
}

fn answer(dir: &Path, line: &str) -> Result<String, String> {
    let outcome = Outcome::of(&mut vpnpki(dir, line));
    if outcome.status.success() {
        Ok(outcome.stdout)
    } else {
        Err(outcome.to_string())
    }
}

fn rows(json: &str) -> Result<BTreeMap<Serial, (String, String)>, String> {
    let listing: Value = serde_json::from_str(json).map_err(|error| format!("{error} in {json}"))?;
    let rows = listing["certificates"].as_array().ok_or_else(|| format!("no certificates in {json}"))?;
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or("-").to_owned();
    rows.iter()
        .map(|row| {
            let serial = text(row, "serial").parse().map_err(|error| format!("{error} in {row}"))?;
            Ok((serial, (text(row, "name"), text(row, "status"))))
        })
        .collect()
}

fn crl_serials(bytes: &[u8]) -> Result<BTreeSet<Serial>, String> {
    let block = pem::parse(bytes).map_err(|error| format!("torn CRL: {error}"))?;
    let (_, crl) = parse_x509_crl(block.contents()).map_err(|error| format!("torn CRL: {error}"))?;
    crl.iter_revoked_certificates().map(|entry| serial(entry.raw_serial())).collect()
}

/// Every end-entity certificate in every file under `dir` but the database, also inside archives.
fn certificates_in_files(dir: &Path) -> Result<Vec<(Serial, PathBuf)>, String> {
    let mut found = Vec::new();
    for path in tree(dir).into_keys().map(|name| dir.join(name)).filter(|path| path.is_file()) {
        if path.file_name().is_some_and(|name| name == "pki.db") {
            continue;
        }
        for text in texts(&path)? {
            let serials = certificates_in_text(&text).map_err(|error| format!("{}: {error}", path.display()))?;
            found.extend(serials.into_iter().map(|serial| (serial, path.clone())));
        }
    }
    Ok(found)
}

/// The file, or the files in it when it is an archive.
fn texts(path: &Path) -> Result<Vec<Vec<u8>>, String> {
    let told = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let bytes = fs::read(path).map_err(|error| told(&error))?;
    if !bytes.starts_with(b"PK") {
        return Ok(vec![bytes]);
    }
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes)).map_err(|error| told(&error))?;
    let mut texts = Vec::new();
    for index in 0..archive.len() {
        let mut text = Vec::new();
        archive.by_index(index).map_err(|error| told(&error))?.read_to_end(&mut text).map_err(|error| told(&error))?;
        texts.push(text);
    }
    Ok(texts)
}

fn certificates_in_text(text: &[u8]) -> Result<Vec<Serial>, String> {
    let blocks = pem::parse_many(text).map_err(|error| format!("torn: {error}"))?;
    let mut serials = Vec::new();
    for block in blocks.iter().filter(|block| block.tag() == "CERTIFICATE") {
        let (_, certificate) = parse_x509_certificate(block.contents()).map_err(|error| format!("torn: {error}"))?;
        if !certificate.is_ca() {
            serials.push(serial(certificate.raw_serial())?);
        }
    }
    Ok(serials)
}

fn serial(octets: &[u8]) -> Result<Serial, String> {
    Serial::from_octets(octets).map_err(|error| error.to_string())
}
