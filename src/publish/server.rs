//! What a server's directory says of itself: that its authority is ours, and which file its servers read the CRL from.
//! Knows nothing of what is in a CRL; looks, and writes nothing.

use std::{
    ffi::{OsStr, OsString},
    path::{Component, Path, PathBuf},
};

use serde::Serialize;

use super::{
    directives::{parse, Directive},
    serials::{list_in, next_in},
    PublishError,
};
use crate::files::{self, FileError};

/// A directory from which servers of our authority start.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServerDirectory {
    /// The directory, as it was named.
    pub dir: PathBuf,
    /// The configurations whose servers read a CRL from here; at least one, sorted by name.
    pub readers: Vec<Reader>,
    /// Configurations for our authority whose servers will not see what is published here, and why.
    pub blind: Vec<(PathBuf, String)>,
}

/// A server that reads its CRL from a file in the directory, or from a directory in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reader {
    /// Its configuration.
    pub config: PathBuf,
    /// Where it looks for whom it refuses.
    pub crl: Place,
    /// The user that it becomes, by name.
    pub user: Option<String>,
    /// The group that it becomes, by name.
    pub group: Option<String>,
    /// The file with the certificate that it shows; none where that stands inside the configuration.
    pub certificate: Option<PathBuf>,
    /// The files with keys that it reads.
    pub secrets: Vec<PathBuf>,
}

/// Where a server looks for whom it refuses, and in which form.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Place {
    /// The file, or the directory of serials.
    pub path: PathBuf,
    /// Which of the two.
    pub form: Form,
}

/// The forms of a revocation list that a server reads.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// `crl-verify FILE`: the signed list.
    File,
    /// `crl-verify DIR dir`: a file for each serial.
    Serials,
}

impl Place {
    /// Where the signed list lies: it is the place, or lies among the serials.
    pub fn list(&self) -> PathBuf {
        match self.form {
            Form::File => self.path.clone(),
            Form::Serials => list_in(&self.path),
        }
    }

    /// All lists that can lie there, the one in force first.
    pub fn lists(&self) -> Vec<PathBuf> {
        std::iter::once(self.list()).chain(self.unfinished()).collect()
    }

    /// Where the list lies that was being put there when a kill came, if there can be one.
    pub fn unfinished(&self) -> Option<PathBuf> {
        (self.form == Form::Serials).then(|| next_in(&self.path))
    }
}

impl ServerDirectory {
    /// Every place that a CRL must be put at, once each.
    pub fn crls(&self) -> Vec<&Place> {
        let mut places: Vec<&Place> = self.readers.iter().map(|reader| &reader.crl).collect();
        places.sort_unstable();
        places.dedup();
        places
    }
}

/// Looks whether a CRL put into `dir` would be read by a server of the authority whose certificate, in DER, is `ca`:
/// `ca.crt` there must hold it, and a `*.conf` there must name a file in the directory in `crl-verify`.
/// Configurations of clients and of servers of other authorities are passed over.
pub fn inspect(dir: &Path, ca: &[u8]) -> Result<ServerDirectory, PublishError> {
    let names = names(dir)?;
    check_ca(dir, ca)?;
    examine_all(dir, &names, ca)
}

/// The same where `ca.crt` may be missing, since the caller has the certificate from elsewhere; one that is there counts.
pub fn inspect_without_ca(dir: &Path, ca: &[u8]) -> Result<ServerDirectory, PublishError> {
    let names = names(dir)?;
    match check_ca(dir, ca) {
        Ok(()) | Err(PublishError::NoCa { .. }) => examine_all(dir, &names, ca),
        Err(fault) => Err(fault),
    }
}

fn names(dir: &Path) -> Result<Vec<OsString>, PublishError> {
    files::list(dir).map_err(|error| match error {
        FileError::NotFound { .. } => PublishError::Missing { dir: dir.to_owned() },
        other => other.into(),
    })
}

fn examine_all(dir: &Path, names: &[OsString], ca: &[u8]) -> Result<ServerDirectory, PublishError> {
    let mut found = ServerDirectory { dir: dir.to_owned(), readers: Vec::new(), blind: Vec::new() };
    let mut first_fault = None;
    for name in names.iter().filter(|name| Path::new(name).extension() == Some(OsStr::new("conf"))) {
        match examine(dir, &dir.join(name), ca) {
            Ok(Some(reader)) => found.readers.push(reader),
            Ok(None) => {}
            Err(PublishError::AnotherCa { path }) => {
                first_fault.get_or_insert(PublishError::AnotherCa { path });
            }
            Err(fault) => {
                found.blind.push((dir.join(name), fault.to_string()));
                first_fault.get_or_insert(fault);
            }
        }
    }
    if found.readers.is_empty() {
        return Err(first_fault.unwrap_or_else(|| PublishError::NoConfig { dir: dir.to_owned() }));
    }
    Ok(found)
}

fn check_ca(dir: &Path, ca: &[u8]) -> Result<(), PublishError> {
    let path = dir.join("ca.crt");
    match files::read(&path, TEXT_LIMIT) {
        Ok(pem) => holds(&path, &pem, ca),
        Err(FileError::NotFound { .. }) => Err(PublishError::NoCa { dir: dir.to_owned() }),
        Err(other) => Err(other.into()),
    }
}

/// Several certificates may stand in one file; ours must be one of them.
fn holds(path: &Path, text: &[u8], ca: &[u8]) -> Result<(), PublishError> {
    let blocks = pem::parse_many(text).map_err(|source| PublishError::BrokenCa { path: path.to_owned(), source })?;
    if blocks.iter().any(|block| block.tag().ends_with("CERTIFICATE") && block.contents() == ca) {
        Ok(())
    } else {
        Err(PublishError::AnotherCa { path: path.to_owned() })
    }
}

/// What one configuration reads; none when it is a client's.
fn examine(dir: &Path, config: &Path, ca: &[u8]) -> Result<Option<Reader>, PublishError> {
    let bytes = files::read(config, TEXT_LIMIT)?;
    let directives = parse(&String::from_utf8_lossy(&bytes));
    // the last of several counts, as in the server
    let last = |name: &str| directives.iter().rev().find(|directive| directive.name() == name);
    if last("client").is_some() || last("tls-client").is_some() {
        return Ok(None);
    }
    check_own_ca(dir, config, last("ca"), ca)?;
    let line = last("crl-verify").ok_or_else(|| PublishError::NoCrlVerify { config: config.to_owned() })?;
    for directive in ["chroot", "cd"] {
        if last(directive).is_some() {
            return Err(PublishError::Moved { config: config.to_owned(), directive });
        }
    }
    let word = |name: &str| last(name).and_then(|directive| directive.argument(1)).map(str::to_owned);
    let (user, group) = (word("user"), word("group"));
    // every line counts for the form: nothing takes the flag back that one of them sets (`options.c`, `add_option`)
    let says_dir = |line: &Directive| line.name() == "crl-verify" && line.argument(2) == Some("dir");
    let form = if directives.iter().any(says_dir) { Form::Serials } else { Form::File };
    let crl = Place { path: crl_path(dir, config, line)?, form };
    let file = |name: &str| last(name).and_then(|directive| own_file(dir, directive));
    let secrets = SECRETS.into_iter().filter_map(file).collect();
    Ok(Some(Reader { config: config.to_owned(), crl, user, group, certificate: file("cert"), secrets }))
}

/// A configuration may name another file than `ca.crt`; then its CRL is another authority's, and not to be replaced.
fn check_own_ca(dir: &Path, config: &Path, line: Option<&Directive>, ca: &[u8]) -> Result<(), PublishError> {
    let Some(line) = line else { return Ok(()) };
    match (&line.inline, line.argument(1)) {
        (Some(text), _) => holds(config, text.as_bytes(), ca),
        (None, Some(file)) => {
            let path = dir.join(file);
            holds(&path, &files::read(&path, TEXT_LIMIT)?, ca)
        }
        (None, None) => Ok(()),
    }
}

/// The file that a directive names; none when its text stands inside the configuration.
fn own_file(dir: &Path, directive: &Directive) -> Option<PathBuf> {
    let named = directive.argument(1).filter(|file| directive.inline.is_none() && *file != "[inline]");
    named.map(|file| dir.join(file))
}

fn crl_path(dir: &Path, config: &Path, line: &Directive) -> Result<PathBuf, PublishError> {
    let config = || config.to_owned();
    if line.inline.is_some() || line.argument(1) == Some("[inline]") {
        return Err(PublishError::Inline { config: config() });
    }
    let Some(file) = line.argument(1).filter(|file| !file.is_empty()) else {
        return Err(PublishError::NoCrlVerify { config: config() });
    };
    inside(dir, Path::new(file))?.ok_or_else(|| PublishError::Outside { config: config(), crl: PathBuf::from(file) })
}

/// The path of a file or directory, if it lies in the directory by its words alone.
fn inside(dir: &Path, file: &Path) -> Result<Option<PathBuf>, PublishError> {
    let relative = if file.is_absolute() {
        let real = files::real_path(dir)?;
        match file.strip_prefix(dir).or_else(|_| file.strip_prefix(&real)) {
            Ok(rest) => rest,
            Err(_) => return Ok(None),
        }
    } else {
        file
    };
    let stays = relative.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    let named = relative.file_name().is_some();
    Ok((stays && named).then(|| dir.join(relative.components().collect::<PathBuf>())))
}

/// Directives whose files hold a private or shared key.
const SECRETS: [&str; 5] = ["key", "tls-crypt", "tls-auth", "tls-crypt-v2", "pkcs12"];

const TEXT_LIMIT: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{Overwrite, Visibility};
    use proptest::prelude::*;

    const OURS: &[u8] = b"our certificate";

    fn write(dir: &Path, name: &str, text: &str) {
        files::stage(&dir.join(name), text.as_bytes(), Visibility::Public, Overwrite::Replace, None)
            .unwrap()
            .release()
            .unwrap();
    }

    fn armoured(der: &[u8]) -> String {
        pem::encode(&pem::Pem::new("CERTIFICATE", der))
    }

    fn server(config: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "ca.crt", &armoured(OURS));
        write(dir.path(), "server.conf", config);
        dir
    }

    fn paths(found: &ServerDirectory) -> Vec<PathBuf> {
        found.crls().into_iter().map(|place| place.path.clone()).collect()
    }

    fn looked(config: &str) -> Result<ServerDirectory, PublishError> {
        inspect(server(config).path(), OURS)
    }

    #[test]
    fn the_file_the_user_and_the_group_are_read() {
        let dir = server("ca ca.crt\n# crl-verify no.pem\ncrl-verify \"crl.pem\"\nuser nobody\ngroup \"nogroup\"\n");
        let found = inspect(dir.path(), OURS).unwrap();
        assert_eq!(paths(&found), [dir.path().join("crl.pem")]);
        assert_eq!(found.readers[0].user.as_deref(), Some("nobody"));
        assert_eq!(found.readers[0].group.as_deref(), Some("nogroup"));
        assert!(found.blind.is_empty());
    }

    #[test]
    fn both_forms_are_told_apart_also_beside_each_other() {
        let dir = server("ca ca.crt\ncrl-verify \"crl\" dir\n");
        write(dir.path(), "second.conf", "ca ca.crt\ncrl-verify crl.pem");
        write(dir.path(), "third.conf", "ca ca.crt\ncrl-verify crl/ 'dir'");
        let found = inspect(dir.path(), OURS).unwrap();
        let places: Vec<(PathBuf, Form)> = found.crls().iter().map(|place| (place.path.clone(), place.form)).collect();
        assert_eq!(places, [(dir.path().join("crl"), Form::Serials), (dir.path().join("crl.pem"), Form::File)]);
        assert_eq!(found.crls()[0].list(), dir.path().join("crl/crl.pem"));
        let twice = looked("crl-verify crl dir\ncrl-verify other\n").unwrap();
        assert!(twice.crls()[0].path.ends_with("other") && twice.crls()[0].form == Form::Serials);
    }

    #[test]
    fn the_files_with_certificate_and_keys_are_read() {
        let dir = server(
            "ca ca.crt\ncert server.crt\nkey /keys/server.key\n<tls-crypt>\nx\n</tls-crypt>\ncrl-verify crl.pem\n",
        );
        let found = inspect(dir.path(), OURS).unwrap();
        assert_eq!(found.readers[0].certificate, Some(dir.path().join("server.crt")));
        assert_eq!(found.readers[0].secrets, [PathBuf::from("/keys/server.key")]);
    }

    #[test]
    fn an_absolute_path_must_lie_inside() {
        let dir = server("");
        let here = files::real_path(dir.path()).unwrap();
        write(dir.path(), "server.conf", &format!("crl-verify {}/crl.pem", here.display()));
        assert_eq!(paths(&inspect(dir.path(), OURS).unwrap()), [dir.path().join("crl.pem")]);
        for outside in ["/etc/openvpn/crl.pem", "../crl.pem", "keys/../../crl.pem"] {
            let error = looked(&format!("crl-verify {outside}")).unwrap_err();
            assert!(matches!(error, PublishError::Outside { .. }), "{error}");
        }
    }

    #[test]
    fn each_fault_is_told_apart_and_says_what_to_do() {
        let empty = tempfile::tempdir().unwrap();
        let missing = inspect(&empty.path().join("none"), OURS).unwrap_err();
        assert!(matches!(missing, PublishError::Missing { .. }));
        assert!(matches!(inspect(empty.path(), OURS), Err(PublishError::NoCa { .. })));
        write(empty.path(), "ca.crt", &armoured(b"other"));
        assert!(matches!(inspect(empty.path(), OURS), Err(PublishError::AnotherCa { .. })));
        write(empty.path(), "ca.crt", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n");
        assert!(matches!(inspect(empty.path(), OURS), Err(PublishError::BrokenCa { .. })));
        write(empty.path(), "ca.crt", &format!("{}{}", armoured(b"other"), armoured(OURS)));
        assert!(matches!(inspect(empty.path(), OURS), Err(PublishError::NoConfig { .. })));
        let error = looked("ca ca.crt\n").unwrap_err();
        assert!(error.to_string().contains("add the line `crl-verify crl.pem`"), "{error}");
        assert!(matches!(looked("crl-verify . dir"), Err(PublishError::Outside { .. })));
        assert!(matches!(looked("<crl-verify>\nx\n</crl-verify>"), Err(PublishError::Inline { .. })));
        let moved = looked("crl-verify crl.pem\nchroot /var/empty");
        assert!(matches!(moved, Err(PublishError::Moved { directive: "chroot", .. })));
    }

    #[test]
    fn a_directory_without_ca_crt_is_looked_into_only_where_the_certificate_is_known() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "server.conf", &format!("<ca>\n{}</ca>\ncrl-verify crl/crl.pem", armoured(OURS)));
        assert!(matches!(inspect(dir.path(), OURS), Err(PublishError::NoCa { .. })));
        assert_eq!(paths(&inspect_without_ca(dir.path(), OURS).unwrap()), [dir.path().join("crl/crl.pem")]);
        assert!(matches!(inspect_without_ca(dir.path(), b"another"), Err(PublishError::AnotherCa { .. })));
        write(dir.path(), "ca.crt", &armoured(b"other"));
        assert!(matches!(inspect_without_ca(dir.path(), OURS), Err(PublishError::AnotherCa { .. })));
        assert!(matches!(inspect_without_ca(&dir.path().join("none"), OURS), Err(PublishError::Missing { .. })));
    }

    #[test]
    fn another_authoritys_server_beside_ours_is_passed_over() {
        let dir = server("ca ca.crt\ncrl-verify crl.pem");
        write(dir.path(), "other.crt", &armoured(b"other"));
        write(dir.path(), "other.conf", "ca other.crt\ncrl-verify other.pem");
        write(dir.path(), "laptop.conf", "client\nca ca.crt");
        write(dir.path(), "inline.conf", &format!("<ca>\n{}</ca>\ncrl-verify second.pem", armoured(OURS)));
        write(dir.path(), "open.conf", "ca ca.crt");
        let found = inspect(dir.path(), OURS).unwrap();
        assert_eq!(paths(&found), [dir.path().join("crl.pem"), dir.path().join("second.pem")]);
        assert_eq!(found.blind.len(), 1);
        assert_eq!(found.blind[0].0, dir.path().join("open.conf"));
        let alone = server("ca other.crt\ncrl-verify crl.pem");
        write(alone.path(), "other.crt", &armoured(b"other"));
        assert!(matches!(inspect(alone.path(), OURS), Err(PublishError::AnotherCa { .. })));
    }

    proptest! {
        #[test]
        fn no_path_leaves_the_directory(file in "[a./]{1,8}") {
            if let Some(path) = inside(Path::new("/nonexistent/d"), Path::new(&file)).ok().flatten() {
                prop_assert!(path.starts_with("/nonexistent/d"));
                prop_assert!(!path.components().any(|part| part == Component::ParentDir));
            }
        }
    }
}
