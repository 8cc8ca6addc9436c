//! The user's side of `issue --csr`: a key that never travels, the request for it, and the answer put together with it.
//! Knows no authority; nothing is written before all of it is known to fit.

mod answer;

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::{
    bundle::{BundleError, Passphrase},
    files::{self, shown, FileError, Overwrite, Staged, Visibility},
    name::Name,
    pki::{self, Algorithm, KeyEncryption, KeyError, PrivateKey, SignError},
    secret::Secret,
};

pub use answer::Answer;

/// A key and a request that are to be made.
pub struct Enrolment<'a> {
    /// For whom.
    pub name: &'a Name,
    /// Its key.
    pub key: Source<'a>,
    /// What happens to files that are there.
    pub overwrite: Overwrite,
    /// Stop before anything is put in place.
    pub dry_run: bool,
}

/// Where the key of a request comes from.
pub enum Source<'a> {
    /// It is made.
    New {
        /// Its kind.
        algorithm: Algorithm,
        /// What encrypts it; without one it is in clear.
        passphrase: Option<&'a Passphrase>,
    },
    /// It is there, and only the request is made.
    There(KeyFile<'a>),
}

/// A private key that is there.
#[derive(Clone, Copy)]
pub struct KeyFile<'a> {
    /// Where it lies.
    pub path: &'a Path,
    /// What opens it, when it is encrypted.
    pub passphrase: Option<&'a Secret>,
}

/// A key and a request that were made.
#[derive(Debug, Serialize)]
pub struct Enrolled {
    /// Whether anything was written.
    pub changed: bool,
    /// For whom.
    pub name: Name,
    /// The kind of key.
    pub algorithm: Algorithm,
    /// The private key, which stays here.
    pub key: PathBuf,
    /// Whether it is encrypted with a passphrase.
    pub encrypted: bool,
    /// The request, which is sent.
    pub request: PathBuf,
}

/// An answer that is to be put together with its key.
pub struct Finish<'a> {
    /// The bundle without key, decrypted.
    pub bundle: &'a Secret,
    /// Where it lies.
    pub path: &'a Path,
    /// The private key, when it is not in `NAME.key`.
    pub key_file: Option<&'a Path>,
    /// What opens it, when it is encrypted.
    pub passphrase: Option<&'a Secret>,
    /// Where the whole profile goes, when not to where it is named after the bundle.
    pub out: Option<&'a Path>,
    /// What happens to a file that is there.
    pub overwrite: Overwrite,
    /// Stop before anything is put in place.
    pub dry_run: bool,
}

/// A profile that is whole.
#[derive(Debug, Serialize)]
pub struct Finished {
    /// Whether anything was written.
    pub changed: bool,
    /// Whose.
    pub name: Name,
    /// The profile, with the key in it.
    pub profile: PathBuf,
    /// The private key's file, which is not needed any more.
    pub key: PathBuf,
    /// Whether the key in the profile is encrypted with a passphrase.
    pub encrypted: bool,
}

/// Why nothing was made, or not all of it put in place.
#[derive(Debug, thiserror::Error)]
pub enum EnrollError {
    /// A file that cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// A key that cannot be used.
    #[error("`{}`: {source}", shown(.path))]
    Key {
        /// Its file.
        path: PathBuf,
        /// Why.
        source: KeyError,
    },
    /// A key whose passphrase is not known.
    #[error("nothing was written: `{}` is encrypted, and no passphrase was given", shown(.0))]
    Locked(PathBuf),
    /// A passphrase for a key that has none.
    #[error("nothing was written: `{}` is not encrypted, so that a passphrase protects nothing", shown(.0))]
    NotLocked(PathBuf),
    /// No key was made.
    #[error(transparent)]
    Made(#[from] KeyError),
    /// No request was made.
    #[error("no request was made: {0}")]
    Request(#[from] SignError),
    /// The key stands, and nothing asks for a certificate yet.
    #[error("the key is in `{}`, but the request for it is not in place", shown(.key))]
    KeyAlone {
        /// The key's file.
        key: PathBuf,
        /// What happened to the request.
        source: FileError,
    },
    /// Something that is no answer.
    #[error("nothing was written: `{}` {what}", shown(.path))]
    Answer {
        /// The bundle.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Another key's certificate.
    #[error(
        "nothing was written: the certificate in `{}` is for another key than the one in `{}`",
        shown(.bundle), shown(.key)
    )]
    Mismatch {
        /// The bundle.
        bundle: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// No importer would read it.
    #[error(transparent)]
    Profile(#[from] BundleError),
}

/// Makes `NAME.key` and `NAME.csr` in the working directory, or only the request for a key that is there.
pub fn begin(enrolment: &Enrolment<'_>) -> Result<Enrolled, EnrollError> {
    let Enrolment { name, key: source, overwrite, dry_run } = enrolment;
    let (private, csr) = (PathBuf::from(format!("{name}.key")), PathBuf::from(format!("{name}.csr")));
    let stage = |path: &Path, bytes: &[u8], visibility| files::stage(path, bytes, visibility, *overwrite, None);
    let (key, path, staged) = match source {
        Source::There(file) => (Kept::read(file)?, file.path.to_path_buf(), None),
        Source::New { algorithm, passphrase } => {
            let key = Kept::made(*algorithm, *passphrase)?;
            let staged = stage(&private, key.pem.expose(), Visibility::Private)?;
            (key, private, Some(staged))
        }
    };
    let Kept { key, encrypted, .. } = key;
    let request = stage(&csr, pki::request_pem(&key, name)?.as_bytes(), Visibility::Public)?;
    if !dry_run {
        // the key first, and no request when it is not in place: whoever answered that would answer nobody
        staged.map_or(Ok(()), Staged::release)?;
        request.release().map_err(|source| EnrollError::KeyAlone { key: path.clone(), source })?;
    }
    let (changed, algorithm) = (!dry_run, key.algorithm());
    Ok(Enrolled { changed, name: (*name).clone(), algorithm, key: path, encrypted, request: csr })
}

/// Puts the answer and its key together. `judge` says what keeps the whole profile from working.
pub fn finish(finish: &Finish<'_>, judge: impl Fn(&Secret) -> Option<String>) -> Result<Finished, EnrollError> {
    let unfit = |what: String| EnrollError::Answer { path: finish.path.to_owned(), what };
    let answer = Answer::read(finish.bundle).map_err(unfit)?;
    let name = Name::parse(&answer.leaf.common_name)
        .map_err(|error| unfit(format!("holds a certificate of nobody that we know: {error}")))?;
    let path = finish.key_file.map_or_else(|| PathBuf::from(format!("{name}.key")), Path::to_owned);
    let kept = Kept::read(&KeyFile { path: &path, passphrase: finish.passphrase })?;
    if !pki::belongs_to(&kept.key, &answer.leaf.spki) {
        return Err(EnrollError::Mismatch { bundle: finish.path.to_owned(), key: path });
    }
    let profile = answer.with_key(&name, &kept.pem);
    crate::bundle::check_profile(profile.expose())?;
    if let Some(why) = judge(&profile) {
        return Err(unfit(format!("would make no profile that works: {why}")));
    }
    let out = finish.out.map_or_else(|| profile_path(finish.path, &name), Path::to_owned);
    // everything in the answer is in the profile: it takes its place without loss
    let same = files::exists(&out)? && files::real_path(&out)? == files::real_path(finish.path)?;
    let overwrite = if same { Overwrite::Replace } else { finish.overwrite };
    let staged = files::stage(&out, profile.expose(), Visibility::Private, overwrite, None)?;
    if !finish.dry_run {
        staged.release()?;
    }
    Ok(Finished { changed: !finish.dry_run, name, profile: out, key: path, encrypted: kept.encrypted })
}

/// A private key, and how it is kept.
struct Kept {
    key: PrivateKey,
    /// As it lies in its file and goes into the profile.
    pem: Secret,
    encrypted: bool,
}

impl Kept {
    fn made(algorithm: Algorithm, passphrase: Option<&Passphrase>) -> Result<Self, KeyError> {
        let key = PrivateKey::generate(algorithm)?;
        let pem = match passphrase {
            Some(passphrase) => key.to_encrypted_pem(passphrase.secret(), KeyEncryption::Aes256)?,
            None => key.to_pem(),
        };
        Ok(Self { key, pem, encrypted: passphrase.is_some() })
    }

    /// What is encrypted is opened only to see whose it is.
    fn read(file: &KeyFile<'_>) -> Result<Self, EnrollError> {
        let path = file.path.to_path_buf();
        let text = files::read_secret(file.path)?;
        let unfit = |source| EnrollError::Key { path: path.clone(), source };
        match (PrivateKey::from_pem(text.expose()), file.passphrase) {
            (Ok(key), None) => Ok(Self { pem: key.to_pem(), key, encrypted: false }),
            (Ok(_), Some(_)) => Err(EnrollError::NotLocked(path)),
            (Err(KeyError::Encrypted), None) => Err(EnrollError::Locked(path)),
            (Err(KeyError::Encrypted), Some(passphrase)) => {
                let key = PrivateKey::from_encrypted_pem(text.expose(), passphrase).map_err(unfit)?;
                Ok(Self { key, pem: pki::encrypted_pem(text.expose()).map_err(unfit)?, encrypted: true })
            }
            (Err(source), _) => Err(unfit(source)),
        }
    }
}

/// In the working directory, named as the bundle is: a program may keep keys by the file's name.
fn profile_path(bundle: &Path, name: &Name) -> PathBuf {
    let file = bundle.file_name().and_then(|file| file.to_str()).unwrap_or_default();
    let file = file.strip_suffix(".age").unwrap_or(file);
    let stem = [".ovpn", ".zip"].iter().find_map(|extension| file.strip_suffix(extension));
    PathBuf::from(format!("{}.ovpn", stem.filter(|stem| !stem.is_empty()).unwrap_or(name.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_is_named_as_the_bundle() {
        let name = Name::parse("anna").unwrap();
        for (bundle, profile) in [
            ("in/anna-office.ovpn", "anna-office.ovpn"),
            ("anna.ovpn.age", "anna.ovpn"),
            ("anna.zip.age", "anna.ovpn"),
            ("answer", "anna.ovpn"),
            (".ovpn", "anna.ovpn"),
        ] {
            assert_eq!(profile_path(Path::new(bundle), &name), Path::new(profile), "{bundle}");
        }
    }
}
