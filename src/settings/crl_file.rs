//! Where a server's configuration reads its CRL: a file in its directory or in one directory below, or a directory with a
//! file for each serial. Knows no disk.

use std::{fmt, path::Path, str::FromStr};

/// Where a server looks for whom it refuses, relative to its directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CrlPlace {
    /// In the signed list.
    File(CrlFile),
    /// Among the names of a directory of serials.
    Serials(CrlDirectory),
}

impl CrlPlace {
    /// The words after `crl-verify`; none needs quotes.
    pub fn words(&self) -> Vec<&str> {
        match self {
            Self::File(file) => vec![file.as_str()],
            Self::Serials(dir) => vec![dir.as_str(), "dir"],
        }
    }

    /// Where the signed list lies: among the serials it has a name that is no serial, and no server looks at it.
    pub fn list(&self) -> String {
        match self {
            Self::File(file) => file.to_string(),
            Self::Serials(dir) => format!("{dir}/crl.pem"),
        }
    }
}

impl Default for CrlPlace {
    fn default() -> Self {
        Self::File(CrlFile::default())
    }
}

/// A directory of serials such as `crl`, right in the server's directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CrlDirectory(String);

impl CrlDirectory {
    /// As it stands in `crl-verify`: no word of it needs quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CrlDirectory {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if !plain(text) {
            return Err("must be one plain name, such as `crl`, for a directory in the server's own".to_owned());
        }
        if is_taken(text) {
            return Err("names another file of the server's directory; `crl` is free".to_owned());
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for CrlDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A path such as `crl.pem` or `crl/crl.pem`, relative to the server's directory. A directory below can belong to
/// a user who publishes without being root, while everything else stays root's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CrlFile(String);

impl CrlFile {
    /// As it stands in `crl-verify`: no word of it needs quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for CrlFile {
    fn default() -> Self {
        Self("crl.pem".to_owned())
    }
}

impl FromStr for CrlFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split('/').collect();
        if parts.len() > 2 || !parts.iter().all(|part| plain(part)) {
            return Err(
                "must be `crl.pem`, or `DIR/crl.pem` in a directory of its own: plain names, no `..`".to_owned()
            );
        }
        if is_taken(text) {
            return Err("names another file of the server's directory; `crl.pem` and `crl/crl.pem` are free".to_owned());
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for CrlFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A `*.conf` would be taken for a configuration, by systemd's units as by `crl publish`.
fn is_taken(text: &str) -> bool {
    let first = text.split('/').next().unwrap_or_default();
    let configuration = Path::new(text).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("conf"));
    configuration || OTHERS.iter().any(|other| first.eq_ignore_ascii_case(other))
}

/// Hidden names are ours while a file is being replaced.
fn plain(part: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=64).contains(&part.len()) && part.bytes().all(allowed) && !part.starts_with(['.', '-'])
}

/// What else lies in a server's directory.
const OTHERS: [&str; 6] = ["server.conf", "ca.crt", "server.crt", "server.key", "dh.pem", "ta.key"];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_file_here_or_one_directory_below() {
        for good in ["crl.pem", "crl/crl.pem", "crl-1/list_2.pem", "crl"] {
            assert_eq!(good.parse::<CrlFile>().map(|file| file.to_string()), Ok(good.to_owned()));
        }
        assert_eq!(CrlFile::default().as_str(), "crl.pem");
    }

    #[test]
    fn nothing_else() {
        for bad in ["", "/crl.pem", "../crl.pem", "a/../crl.pem", "a/b/crl.pem", "crl/", "./crl.pem", "a b.pem", ".crl"]
        {
            assert!(bad.parse::<CrlFile>().unwrap_err().contains("plain names"), "{bad}");
        }
        for taken in ["ca.crt", "TA.key", "server.conf", "crl.conf", "crl/x.CONF", "server.key/crl.pem"] {
            assert!(taken.parse::<CrlFile>().unwrap_err().contains("another file"), "{taken}");
        }
    }

    #[test]
    fn a_directory_of_serials_is_one_plain_name() {
        let place = CrlPlace::Serials("crl".parse().unwrap());
        assert_eq!((place.words(), place.list().as_str()), (vec!["crl", "dir"], "crl/crl.pem"));
        assert_eq!(CrlPlace::default().words(), ["crl.pem"]);
        for bad in ["", "/crl", "a/b", "..", ".crl", "a b", "crl/"] {
            assert!(bad.parse::<CrlDirectory>().unwrap_err().contains("one plain name"), "{bad}");
        }
        for taken in ["ca.crt", "server.KEY", "crl.conf"] {
            assert!(taken.parse::<CrlDirectory>().unwrap_err().contains("another file"), "{taken}");
        }
    }

    proptest! {
        #[test]
        fn what_is_accepted_stays_inside_and_needs_no_quotes(text in "[a./ \"-]{0,8}|\\PC{0,8}") {
            if let Ok(file) = text.parse::<CrlFile>() {
                prop_assert_eq!(crate::openvpn::directive::quote(file.as_str()).unwrap(), file.as_str());
                let inside = |part| matches!(part, std::path::Component::Normal(_));
                prop_assert!(Path::new(file.as_str()).components().all(inside));
            }
        }
    }
}
