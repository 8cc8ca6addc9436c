//! What lies at a path, as `import` takes it: a profile with the files it names, or what an archive or directory holds.
//! Judges nothing; why something cannot be read is for people.

use std::path::Path;

use crate::{
    files::{self, Kind},
    import::{
        archive,
        package::{is_connection, is_pkcs12, is_profile, joined, references, serials},
        Origin, Package, Part, Profile,
    },
    secret::Secret,
    vault,
};

/// What was handed over.
pub enum Given {
    /// One profile; what it names was looked for beside it.
    Profile(Package),
    /// A profile and more, in a directory or an archive.
    Several(Package),
    /// A PKCS#12 file alone.
    Pkcs12(Secret),
}

/// Reads a path.
pub fn load(path: &Path) -> Result<Given, String> {
    let kind = files::standing(path).map_err(|error| error.to_string())?.map(|standing| standing.kind);
    match kind {
        None => Err("there is no such file".to_owned()),
        Some(Kind::Directory) => directory(path).map(Given::Several),
        Some(_) => file(path),
    }
}

fn file(path: &Path) -> Result<Given, String> {
    let bytes = files::read(path, LARGEST).map(Secret::new).map_err(|error| error.to_string())?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if vault::is_envelope(bytes.expose()) {
        return Err(encrypted(path, bytes.expose()));
    }
    if archive::is_zip(bytes.expose()) {
        let parts = archive::files(bytes.expose()).map_err(|error| error.to_string())?;
        return packed(parts);
    }
    if is_pkcs12(&name) {
        return Ok(Given::Pkcs12(bytes));
    }
    if is_connection(&name) {
        return connection(Part { name, bytes }).map(Given::Several);
    }
    let mut package = Package { origin: Origin::OpenVpn, profile: Part { name, bytes }, parts: Vec::new() };
    package.parts = beside(path.parent().unwrap_or(Path::new("")), &package.profile);
    Ok(Given::Profile(package))
}

/// A connection of another program alone: a keyfile names files of this host.
fn connection(part: Part) -> Result<Package, String> {
    let mut package = Package::of(vec![part]).map_err(|error| error.to_string())?;
    if package.origin == Origin::NetworkManager {
        package.parts.extend(beside(Path::new("/"), &package.profile));
    }
    Ok(package)
}

/// Why an encrypted bundle is not read: whom it is for is not known here.
fn encrypted(path: &Path, bytes: &[u8]) -> String {
    let (by, clear) = (if vault::wants_passphrase(bytes) { "" } else { " -i KEY" }, path.with_extension(""));
    let (path, clear) = (files::shown(path), files::shown(&clear));
    format!("it is encrypted, so nothing in it was looked at; `age -d{by} -o {clear} {path}` decrypts it")
}

/// A PKCS#12 may be all there is in an archive.
fn packed(mut parts: Vec<Part>) -> Result<Given, String> {
    if let [only] = parts.as_slice() {
        if is_pkcs12(&only.name) {
            return Ok(Given::Pkcs12(parts.remove(0).bytes));
        }
    }
    Package::of(parts).map(Given::Several).map_err(|error| error.to_string())
}

/// The directory's profile, the files it names and a PKCS#12 beside it; nothing else there is read.
pub fn directory(path: &Path) -> Result<Package, String> {
    let names = files::list(path).map_err(|error| error.to_string())?;
    let (mut profiles, mut beside_it) = (Vec::new(), Vec::new());
    for name in names.iter().filter_map(|name| name.to_str()) {
        let wanted = if is_profile(name) { &mut profiles } else { &mut beside_it };
        if is_profile(name) || is_pkcs12(name) {
            let bytes = files::read(&path.join(name), LARGEST).map_err(|error| error.to_string())?;
            wanted.push(Part { name: name.to_owned(), bytes: Secret::new(bytes) });
        }
    }
    let mut package = Package::of(profiles).map_err(|error| error.to_string())?;
    package.parts = beside(path, &package.profile);
    let known = |part: &Part| package.parts.iter().all(|found| found.name != part.name);
    beside_it.retain(known);
    package.parts.extend(beside_it);
    Ok(package)
}

/// The files that a profile names, as far as they are there.
fn beside(dir: &Path, profile: &Part) -> Vec<Part> {
    let read = Profile::read(profile.bytes.expose());
    let mut found: Vec<Part> = Vec::new();
    for (_, _, reference) in references(&read) {
        let name = joined(&profile.name, reference);
        if found.iter().all(|part| part.name != name) {
            let bytes = files::read(&dir.join(reference), LARGEST);
            found.extend(bytes.ok().map(|bytes| Part { name, bytes: Secret::new(bytes) }));
        }
    }
    found.extend(serials(&read).into_iter().flat_map(|reference| named_in(dir, reference, &profile.name)));
    found
}

/// What lies in a directory of serials, by name alone: whatever is in the files, no server looks at it.
fn named_in(dir: &Path, reference: &str, profile: &str) -> Vec<Part> {
    let names = files::list(&dir.join(reference)).unwrap_or_default();
    let part =
        |name: &str| Part { name: joined(profile, &format!("{reference}/{name}")), bytes: Secret::new(Vec::new()) };
    names.iter().filter_map(|name| name.to_str()).map(part).collect()
}

/// A revocation list of some hundred thousand serials may be inline.
const LARGEST: usize = 32 << 20;
