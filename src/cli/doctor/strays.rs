//! Private files that were exported and still lie beside the PKI directory or where `doctor` was started.
//! Knows them by what is in them; looks one level deep, and changes nothing.

use std::path::{Path, PathBuf};

use crate::{
    cli::Failure,
    files::{self, Kind},
    findings::place::Stray,
};

/// Each of them once. `served` are directories that servers run from: what is there belongs there. `ca` is our
/// certificate in PEM, by which our own profiles are known.
pub fn near(dir: &Path, served: &[&Path], ca: &str) -> Result<Vec<Stray>, Failure> {
    let pki = files::real_path(dir)?;
    let served: Vec<PathBuf> = served.iter().filter_map(|dir| files::real_path(dir).ok()).collect();
    let search = Search { ca, apart: served.into_iter().chain([pki.clone()]).collect() };
    let here = files::real_path(Path::new(".")).ok();
    let mut found = Vec::new();
    if let Some(parent) = pki.parent().filter(|parent| Some(*parent) != here.as_deref()) {
        search.folder(parent, parent, &mut found);
    }
    if let Some(here) = here {
        search.folder(&here, Path::new(""), &mut found);
    }
    found.sort();
    Ok(found)
}

struct Search<'a> {
    ca: &'a str,
    /// Directories that are not searched.
    apart: Vec<PathBuf>,
}

impl Search<'_> {
    /// A directory and those right in it. What cannot be read is no file that this user exported.
    fn folder(&self, dir: &Path, shown: &Path, found: &mut Vec<Stray>) {
        if self.apart.iter().any(|apart| apart == dir) {
            return;
        }
        for name in files::list(dir).unwrap_or_default() {
            let (path, as_said) = (dir.join(&name), shown.join(&name));
            match files::standing(&path) {
                Ok(Some(standing)) if standing.kind == Kind::File => {
                    found.extend(self.file(&path, &as_said, standing.mode));
                }
                Ok(Some(standing)) if standing.kind == Kind::Directory && !self.apart.contains(&path) => {
                    self.keys_in(&path, &as_said, found);
                }
                _ => (),
            }
        }
    }

    /// Keys in a directory, such as an unpacked bundle or a server's copy.
    fn keys_in(&self, dir: &Path, shown: &Path, found: &mut Vec<Stray>) {
        for name in files::list(dir).unwrap_or_default() {
            let path = dir.join(&name);
            if extension(&path) != Some("key") {
                continue;
            }
            if let Ok(Some(standing)) = files::standing(&path) {
                if standing.kind == Kind::File {
                    found.extend(self.file(&path, &shown.join(&name), standing.mode));
                }
            }
        }
    }

    fn file(&self, path: &Path, shown: &Path, mode: u32) -> Option<Stray> {
        let ours = match extension(path)? {
            "p12" | "pfx" => true,
            "ovpn" => {
                let text = text(path)?;
                text.contains(PRIVATE) && text.contains(self.ca.trim_end())
            }
            "key" => {
                let text = text(path)?;
                text.contains(PRIVATE) || text.contains(CONTROL)
            }
            "zip" => {
                let names = text(path)?;
                names.starts_with("PK") && names.contains("ca.crt") && names.contains(".key")
            }
            _ => false,
        };
        ours.then(|| Stray { path: files::quoted(shown), mode })
    }
}

fn extension(path: &Path) -> Option<&str> {
    path.extension()?.to_str()
}

fn text(path: &Path) -> Option<String> {
    let bytes = files::read_unfollowed(path, LIMIT).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

const PRIVATE: &str = "PRIVATE KEY-----";
/// Static keys and those of tls-crypt-v2.
const CONTROL: &str = "-----BEGIN OpenVPN ";

/// Bundles are some kilobytes.
const LIMIT: usize = 1 << 20;
