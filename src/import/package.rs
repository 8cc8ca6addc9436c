//! What somebody was handed: a profile and the files beside it, out of a directory or an archive.
//! Knows not what is in them, except by name which of them is the profile.

use crate::{
    import::{others::said_as_profile, Profile},
    name::escape,
    secret::Secret,
};

/// One file, under its path within what was handed over.
pub struct Part {
    /// With `/` between its parts.
    pub name: String,
    /// What is in it.
    pub bytes: Secret,
}

/// A profile and the files beside it.
pub struct Package {
    /// Whose profile it is.
    pub origin: Origin,
    /// The configuration.
    pub profile: Part,
    /// Everything else.
    pub parts: Vec<Part>,
}

/// Whose words a profile was in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// `OpenVPN`'s: its lines are there.
    OpenVpn,
    /// A keyfile of NetworkManager, of which a profile was made.
    NetworkManager,
    /// A configuration of `ChromeOS`, of which one was made.
    ChromeOs,
}

/// Why files are no bundle.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PackageError {
    /// No configuration among them.
    #[error("there is no profile in it: no file whose name ends in .ovpn or .conf")]
    None,
    /// Several, of which none is named as ours is.
    #[error("there are several profiles in it: {}; name one of them", .0.join(", "))]
    Several(Vec<String>),
}

impl Package {
    /// Picks the profile among files: the only `.ovpn`, else the only `.conf`, else the `config.ovpn` of all.
    /// Connections of NetworkManager and `ChromeOS` count where there is none of these.
    pub fn of(parts: Vec<Part>) -> Result<Self, PackageError> {
        let is_there = parts.iter().any(|part| is_profile(&part.name));
        let (mut parts, origin) = if is_there { (parts, Origin::OpenVpn) } else { said_as_profile(parts) };
        let place = [PROFILES[0], PROFILES[1]].into_iter().find_map(|extension| chosen(&parts, extension));
        match place {
            None => Err(PackageError::None),
            Some(Err(several)) => Err(PackageError::Several(several)),
            Some(Ok(place)) => {
                let profile = parts.remove(place);
                Ok(Self { origin, profile, parts })
            }
        }
    }

    /// The file that a directive of the profile names.
    pub fn beside(&self, reference: &str) -> Option<&Part> {
        let wanted = joined(&self.profile.name, reference);
        self.parts.iter().find(|part| part.name == wanted)
    }
}

/// Whether a name is that of a configuration.
pub fn is_profile(name: &str) -> bool {
    PROFILES.iter().any(|extension| ends_in(name, extension))
}

/// Whether a name is that of a connection as another program keeps it.
pub fn is_connection(name: &str) -> bool {
    [".nmconnection", ".onc"].iter().any(|extension| ends_in(name, extension))
}

/// Whether a name is that of a PKCS#12 file.
pub fn is_pkcs12(name: &str) -> bool {
    [".p12", ".pfx", ".ovpn12"].iter().any(|extension| ends_in(name, extension))
}

/// Where a directive of the configuration `profile` points: relative to its directory, as Connect, Tunnelblick,
/// `OpenVPN` GUI and `systemd`'s units have it.
pub fn joined(profile: &str, reference: &str) -> String {
    if reference.starts_with('/') {
        return reference.to_owned();
    }
    let mut path: Vec<&str> = profile.split('/').collect();
    path.pop();
    for step in reference.split('/') {
        match step {
            "" | "." => {}
            ".." if path.last().is_some_and(|last| *last != "..") => drop(path.pop()),
            step => path.push(step),
        }
    }
    path.join("/")
}

/// The files that a configuration names: line, directive and path.
pub fn references<'p>(profile: &'p Profile<'_>) -> Vec<(usize, &'p str, &'p str)> {
    let named = |directive: &'p crate::import::Directive<'_>| {
        let path = directive.parameter(1).filter(|path| *path != INLINE)?;
        let names_a_file = FILES.contains(&directive.name()) && directive.block.is_none() && !of_serials(directive);
        names_a_file.then_some((directive.line, directive.name(), path))
    };
    profile.directives.iter().filter_map(named).collect()
}

/// The directory in which a server looks for a file with the name of each serial (`crl-verify DIR dir`).
pub fn serials<'p>(profile: &'p Profile<'_>) -> Option<&'p str> {
    profile.last("crl-verify").filter(|directive| of_serials(directive))?.parameter(1)
}

fn of_serials(directive: &crate::import::Directive<'_>) -> bool {
    directive.name() == "crl-verify" && directive.parameter(2) == Some("dir")
}

fn chosen(parts: &[Part], extension: &str) -> Option<Result<usize, Vec<String>>> {
    let found: Vec<usize> = (0..parts.len()).filter(|&place| ends_in(&parts[place].name, extension)).collect();
    match found.as_slice() {
        [] => None,
        [only] => Some(Ok(*only)),
        several => {
            let ours = several.iter().find(|&&place| parts[place].name == "config.ovpn");
            let names = || several.iter().map(|&place| format!("`{}`", escape(&parts[place].name))).collect();
            Some(ours.copied().ok_or_else(names))
        }
    }
}

fn ends_in(name: &str, extension: &str) -> bool {
    let start = name.len().checked_sub(extension.len()).filter(|&start| name.is_char_boundary(start));
    start.is_some_and(|start| start > 0 && name[start..].eq_ignore_ascii_case(extension))
}

const PROFILES: [&str; 2] = [".ovpn", ".conf"];

/// That the contents stand in a block (`INLINE_FILE_TAG`, common.h).
pub const INLINE: &str = "[inline]";

/// The directives whose first parameter is a file of credentials (inline-files.rst).
pub const FILES: [&str; 9] =
    ["ca", "cert", "key", "extra-certs", "pkcs12", "crl-verify", "tls-auth", "tls-crypt", "tls-crypt-v2"];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn package(names: &[&str]) -> Result<String, PackageError> {
        let part = |name: &&str| Part { name: (*name).to_owned(), bytes: Secret::new(Vec::new()) };
        Package::of(names.iter().map(part).collect()).map(|package| package.profile.name)
    }

    #[test]
    fn the_profile_is_found_by_its_name() {
        assert_eq!(package(&["ca.crt", "config.ovpn"]), Ok("config.ovpn".to_owned()));
        assert_eq!(package(&["server.conf", "ca.crt"]), Ok("server.conf".to_owned()));
        assert_eq!(package(&["x.conf", "A.OVPN"]), Ok("A.OVPN".to_owned()));
        assert_eq!(package(&["b.ovpn", "config.ovpn"]), Ok("config.ovpn".to_owned()));
        assert_eq!(package(&["ca.crt", ".ovpn"]), Err(PackageError::None));
        assert!(matches!(package(&["a.ovpn", "b.ovpn"]), Err(PackageError::Several(names)) if names.len() == 2));
    }

    #[test]
    fn references_are_relative_to_the_profile() {
        for (reference, path) in [
            ("ca.crt", "a/b/ca.crt"),
            ("./x/../ca.crt", "a/b/ca.crt"),
            ("../ca.crt", "a/ca.crt"),
            ("/etc/ca.crt", "/etc/ca.crt"),
        ] {
            assert_eq!(joined("a/b/config.ovpn", reference), path);
        }
        assert_eq!(joined("config.ovpn", "../../ca.crt"), "../../ca.crt");
        let profile =
            Profile::read(b"ca ca.crt\ncert [inline]\n<key>\nx\n</key>\ntls-auth ta.key 1\ncrl-verify d dir\nverb 3\n");
        assert_eq!(references(&profile), [(1, "ca", "ca.crt"), (6, "tls-auth", "ta.key")]);
        assert_eq!(serials(&profile), Some("d"));
        assert_eq!(serials(&Profile::read(b"crl-verify d dir\ncrl-verify crl.pem\n")), None);
    }

    proptest! {
        #[test]
        fn no_name_panics(profile in "[./a\u{e9}]{0,12}", reference in "[./a\u{e9}]{0,12}") {
            let _ = (joined(&profile, &reference), package(&[&profile, &reference]).is_ok());
        }
    }
}
