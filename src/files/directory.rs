//! Directories of several files that appear whole, or are filled file by file where they are there already.
//! Knows nothing of what a server or a client needs in one.
//!
//! The last name of the path must not be a link: a link would let whoever may change it choose where keys go.
//! Links higher in the path are followed, as every program does.

use std::{
    ffi::OsString,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use super::{
    fault::FileError,
    folder::Folder,
    hidden::{hidden_name, HiddenFolder},
    modes,
    stage::{release, stage_in, Bytes, Content, OnFailure, Shape, Staged, Unreleased},
    Kind, Overwrite, Owner, Standing, Visibility,
};

/// One file of a directory.
#[derive(Clone, Copy)]
pub struct Part<'a> {
    /// Its name, with at most one slash: `crl/crl.pem` lies in a directory below.
    pub name: &'a str,
    /// Its bytes.
    pub bytes: &'a [u8],
    /// Who may read it.
    pub visibility: Visibility,
}

/// The files of a directory, written and durable, without names.
#[must_use]
pub struct StagedDirectory(Plan);

enum Plan {
    /// The directory is made under a hidden name and renamed.
    New { home: Folder, name: OsString, contents: Contents, visibility: Visibility, owner: Option<Owner> },
    /// The directory is there; those below it come first, then its files in the order given.
    Fill { below: Vec<StagedDirectory>, files: Vec<Staged> },
}

/// What is in a directory that does not exist yet.
struct Contents {
    files: Vec<(OsString, Content)>,
    below: Vec<(OsString, Contents)>,
}

/// Stages the files of a directory. One that is missing will be made, with the mode of `visibility`, in a directory
/// that must be there; one that is there keeps its mode, and with [`Overwrite::Refuse`] none of the files may be in it.
/// Give the file that makes the others take effect last: a server reads its configuration first.
pub fn stage_directory(
    dir: &Path,
    parts: &[Part],
    visibility: Visibility,
    overwrite: Overwrite,
    owner: Option<Owner>,
) -> Result<StagedDirectory, FileError> {
    check_names(dir, parts)?;
    let shape = Shape { owner, ..Shape::default() };
    stage_shaped(dir, parts, visibility, overwrite, shape)
}

impl StagedDirectory {
    /// Where those of its files will be that are for their owner alone.
    pub fn private_paths(&self) -> Vec<PathBuf> {
        match &self.0 {
            Plan::Fill { below, files } => {
                let here = files.iter().filter_map(Staged::private_path);
                here.chain(below.iter().flat_map(Self::private_paths)).collect()
            }
            Plan::New { home, name, contents, .. } => contents.private_paths(&home.path.join(name)),
        }
    }

    /// Puts the directory, or its files, in place and makes that durable. A new directory appears whole or not at all;
    /// in one that was there, what follows a file that failed is left out.
    pub fn release(self) -> Result<(), Unreleased> {
        match self.0 {
            Plan::Fill { below, files } => {
                below.into_iter().try_for_each(Self::release)?;
                release(files, OnFailure::Stop)
            }
            Plan::New { home, name, contents, visibility, owner } => {
                let path = home.path.join(&name);
                build(home, &name, &contents, visibility, owner)
                    .map_err(|error| Unreleased { released: Vec::new(), failed: vec![(path, error)] })
            }
        }
    }
}

fn stage_shaped(
    dir: &Path,
    parts: &[Part],
    visibility: Visibility,
    overwrite: Overwrite,
    shape: Shape,
) -> Result<StagedDirectory, FileError> {
    stage_at(open_unless_missing(dir)?, parts, visibility, overwrite, shape)
}

fn stage_at(
    target: Target,
    parts: &[Part],
    visibility: Visibility,
    overwrite: Overwrite,
    shape: Shape,
) -> Result<StagedDirectory, FileError> {
    match target {
        Target::There(folder) => fill(&Arc::new(folder), parts, visibility, overwrite, shape),
        Target::Missing { home, name } => {
            let contents = prepare(&home, &home.path.join(&name), parts, shape)?;
            Ok(StagedDirectory(Plan::New { home, name, contents, visibility, owner: shape.owner }))
        }
    }
}

fn fill(
    folder: &Arc<Folder>,
    parts: &[Part],
    visibility: Visibility,
    overwrite: Overwrite,
    shape: Shape,
) -> Result<StagedDirectory, FileError> {
    let (here, below) = by_directory(parts);
    let stage_below = |(name, parts): &(&str, Vec<Part>)| {
        let home = Folder { path: folder.path.clone(), ..folder.enter(".".as_ref())? };
        stage_at(look_for(home, name.into())?, parts, visibility, overwrite, shape)
    };
    let stage_part = |part: &Part| {
        stage_in(
            folder,
            part.name.as_ref(),
            Bytes::Here(part.bytes),
            Shape { visibility: part.visibility, ..shape },
            overwrite,
        )
    };
    let below = below.iter().map(stage_below).collect::<Result<_, _>>()?;
    Ok(StagedDirectory(Plan::Fill { below, files: here.iter().map(stage_part).collect::<Result<_, _>>()? }))
}

/// Writes into the file system of `home` what will be in the directory `dir`.
fn prepare(home: &Folder, dir: &Path, parts: &[Part], shape: Shape) -> Result<Contents, FileError> {
    let (here, below) = by_directory(parts);
    let prepare_part = |part: &Part| {
        let content = Content::prepare(home, Bytes::Here(part.bytes), Shape { visibility: part.visibility, ..shape })
            .map_err(|error| error.about(dir.to_owned()))?;
        Ok((OsString::from(part.name), content))
    };
    let prepare_below =
        |(name, parts): &(&str, Vec<Part>)| Ok((OsString::from(name), prepare(home, &dir.join(name), parts, shape)?));
    Ok(Contents {
        files: here.iter().map(prepare_part).collect::<Result<_, FileError>>()?,
        below: below.iter().map(prepare_below).collect::<Result<_, FileError>>()?,
    })
}

/// Those right in the directory, and those of each directory below it by their names there.
fn by_directory<'a>(parts: &[Part<'a>]) -> (Vec<Part<'a>>, Vec<(&'a str, Vec<Part<'a>>)>) {
    let (mut here, mut below): (Vec<Part>, Vec<(&str, Vec<Part>)>) = (Vec::new(), Vec::new());
    for part in parts {
        let Some((dir, name)) = part.name.split_once('/') else {
            here.push(*part);
            continue;
        };
        let part = Part { name, ..*part };
        match below.iter_mut().find(|(known, _)| *known == dir) {
            Some((_, parts)) => parts.push(part),
            None => below.push((dir, vec![part])),
        }
    }
    (here, below)
}

fn build(
    home: Folder,
    name: &OsString,
    contents: &Contents,
    visibility: Visibility,
    owner: Option<Owner>,
) -> Result<(), FileError> {
    let mut hidden = HiddenFolder::create(home, hidden_name(name))?;
    contents.enter(&hidden.folder, &hidden.home.path.join(name), visibility, owner)?;
    hidden.home.take(&hidden.home, &hidden.name, name)?;
    hidden.settle();
    hidden.home.sync()
}

impl Contents {
    fn private_paths(&self, dir: &Path) -> Vec<PathBuf> {
        let here = self.files.iter().filter(|(_, content)| content.is_private()).map(|(name, _)| dir.join(name));
        here.chain(self.below.iter().flat_map(|(name, below)| below.private_paths(&dir.join(name)))).collect()
    }

    /// Puts everything into a directory that nobody else looks into yet, `path` once it has its name; those below first,
    /// so that each is durable when the one around it is.
    fn enter(
        &self,
        folder: &Folder,
        path: &Path,
        visibility: Visibility,
        owner: Option<Owner>,
    ) -> Result<(), FileError> {
        for (name, contents) in &self.below {
            contents.enter(&folder.create_folder(name)?, &path.join(name), visibility, owner)?;
        }
        for (name, content) in &self.files {
            content.enter(folder, name)?;
        }
        modes::set(&folder.descriptor, owner, visibility.directory_mode())
            .map_err(|errno| FileError::from_errno(path, "create", errno))?;
        folder.sync()
    }
}

/// What an output directory is now.
pub(super) enum Target {
    There(Folder),
    Missing { home: Folder, name: OsString },
}

pub(super) fn open_unless_missing(dir: &Path) -> Result<Target, FileError> {
    // `.`, `..` and `/` have no name that could be a link
    if dir.file_name().is_none() {
        return Folder::open(dir).map(Target::There);
    }
    let (home, name) = Folder::beside(dir)?;
    match look_for(home, name)? {
        Target::There(folder) => Ok(Target::There(Folder { path: dir.to_owned(), ..folder })),
        missing @ Target::Missing { .. } => Ok(missing),
    }
}

/// A directory by its name in another, not through a link.
fn look_for(home: Folder, name: OsString) -> Result<Target, FileError> {
    let Some(stat) = home.look(&name)? else { return Ok(Target::Missing { home, name }) };
    let path = home.path.join(&name);
    match Standing::from(&stat).kind {
        Kind::Symlink => Err(FileError::Symlink { path }),
        Kind::Directory => Ok(Target::There(home.enter(&name)?)),
        Kind::File | Kind::Special => Err(FileError::NotADirectory { path }),
    }
}

fn check_names(dir: &Path, parts: &[Part]) -> Result<(), FileError> {
    let plain = |name: &str| {
        let mut components = Path::new(name).components();
        matches!((components.next(), components.next()), (Some(Component::Normal(only)), None) if only == name)
    };
    let fits = |name: &str| match name.split_once('/') {
        None => plain(name),
        Some((below, name)) => plain(below) && plain(name),
    };
    match parts.iter().find(|part| !fits(part.name)) {
        None => Ok(()),
        Some(part) => Err(FileError::NotAFile { path: PathBuf::from(format!("{}/{}", dir.display(), part.name)) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{list, standing};
    use proptest::prelude::*;
    use rustix::fs::Mode;
    use std::os::unix::fs::{symlink, PermissionsExt};

    const PARTS: [Part; 3] = [
        Part { name: "ca.crt", bytes: b"ca", visibility: Visibility::Public },
        Part { name: "server.key", bytes: b"key", visibility: Visibility::Private },
        Part { name: "server.conf", bytes: b"conf", visibility: Visibility::Public },
    ];

    fn staged(dir: &Path, overwrite: Overwrite) -> Result<StagedDirectory, FileError> {
        stage_directory(dir, &PARTS, Visibility::Public, overwrite, None)
    }

    fn names(dir: &Path) -> Vec<OsString> {
        list(dir).unwrap()
    }

    #[test]
    fn a_new_directory_appears_whole_with_its_modes() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("server");
        let ready = staged(&dir, Overwrite::Refuse).unwrap();
        assert!(names(home.path()).is_empty());
        ready.release().unwrap();
        assert_eq!(names(home.path()), ["server"]);
        assert_eq!(names(&dir), ["ca.crt", "server.conf", "server.key"]);
        assert_eq!(standing(&dir).unwrap().unwrap().mode, 0o755);
        assert_eq!(standing(&dir.join("server.key")).unwrap().unwrap().mode, 0o600);
        assert_eq!(standing(&dir.join("ca.crt")).unwrap().unwrap().mode, 0o644);
    }

    #[test]
    fn without_unnamed_files_it_appears_whole_all_the_same() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("server");
        let shape = Shape { unnamed: false, ..Shape::default() };
        stage_shaped(&dir, &PARTS, Visibility::Private, Overwrite::Refuse, shape).unwrap().release().unwrap();
        assert_eq!(names(home.path()), ["server"]);
        assert_eq!(names(&dir), ["ca.crt", "server.conf", "server.key"]);
        assert_eq!(standing(&dir).unwrap().unwrap().mode, 0o700);
        assert_eq!(standing(&dir.join("server.key")).unwrap().unwrap().mode, 0o600);
    }

    #[test]
    fn dropped_it_was_never_there() {
        let home = tempfile::tempdir().unwrap();
        drop(staged(&home.path().join("server"), Overwrite::Refuse).unwrap());
        assert!(names(home.path()).is_empty());
    }

    const BELOW: [Part; 2] = [Part { name: "crl/crl.pem", bytes: b"crl", visibility: Visibility::Public }, PARTS[2]];

    #[test]
    fn a_file_below_lies_in_a_directory_of_its_own() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("server");
        let stage = |overwrite| stage_directory(&dir, &BELOW, Visibility::Public, overwrite, None);
        stage(Overwrite::Refuse).unwrap().release().unwrap();
        assert_eq!(
            (names(&dir), names(&dir.join("crl"))),
            (vec!["crl".into(), "server.conf".into()], vec!["crl.pem".into()])
        );
        assert_eq!(standing(&dir.join("crl")).unwrap().unwrap().mode, 0o755);
        assert_eq!(crate::files::read(&dir.join("crl/crl.pem"), 9).unwrap(), b"crl");
        // one that is there keeps its mode, and what is in it counts
        rustix::fs::chmod(dir.join("crl"), Mode::from_raw_mode(0o750)).unwrap();
        assert!(stage(Overwrite::Refuse).is_err_and(|error| error.exists()));
        stage(Overwrite::Replace).unwrap().release().unwrap();
        assert_eq!(standing(&dir.join("crl")).unwrap().unwrap().mode, 0o750);
    }

    #[test]
    fn a_directory_below_is_made_in_one_that_is_there_and_never_through_a_link() {
        let home = tempfile::tempdir().unwrap();
        let stage = || stage_directory(home.path(), &BELOW, Visibility::Public, Overwrite::Refuse, None);
        drop(stage().unwrap());
        assert!(names(home.path()).is_empty());
        stage().unwrap().release().unwrap();
        assert_eq!(names(home.path()), ["crl", "server.conf"]);
        let other = tempfile::tempdir().unwrap();
        symlink(home.path(), other.path().join("crl")).unwrap();
        let linked = stage_directory(other.path(), &BELOW, Visibility::Public, Overwrite::Replace, None);
        assert!(matches!(linked, Err(FileError::Symlink { .. })));
        assert_eq!(names(other.path()), ["crl"]);
    }

    #[test]
    fn one_that_is_there_keeps_its_mode_and_its_other_files() {
        let home = tempfile::tempdir().unwrap();
        rustix::fs::chmod(home.path(), Mode::from_raw_mode(0o750)).unwrap();
        crate::files::create_private(&home.path().join("mine")).unwrap();
        staged(home.path(), Overwrite::Refuse).unwrap().release().unwrap();
        assert_eq!(names(home.path()), ["ca.crt", "mine", "server.conf", "server.key"]);
        assert_eq!(home.path().metadata().unwrap().permissions().mode() & 0o777, 0o750);
        assert!(staged(home.path(), Overwrite::Refuse).is_err_and(|error| error.exists()));
        staged(home.path(), Overwrite::Replace).unwrap().release().unwrap();
        assert_eq!(names(home.path()), ["ca.crt", "mine", "server.conf", "server.key"]);
    }

    #[test]
    fn one_file_in_the_way_keeps_all_out() {
        let home = tempfile::tempdir().unwrap();
        crate::files::create_private(&home.path().join("server.conf")).unwrap();
        assert!(staged(home.path(), Overwrite::Refuse).is_err_and(|error| error.exists()));
        assert_eq!(names(home.path()), ["server.conf"]);
    }

    #[test]
    fn a_file_that_comes_in_the_way_stops_what_follows() {
        let home = tempfile::tempdir().unwrap();
        let ready = staged(home.path(), Overwrite::Refuse).unwrap();
        crate::files::create_private(&home.path().join("server.key")).unwrap();
        let error = ready.release().unwrap_err();
        assert_eq!(error.released, [home.path().join("ca.crt")]);
        assert!(error.to_string().contains("server.key` is not in place"), "{error}");
        assert_eq!(names(home.path()), ["ca.crt", "server.key"]);
    }

    #[test]
    fn a_directory_that_comes_in_the_way_is_left_as_it_is() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("server");
        let ready = staged(&dir, Overwrite::Replace).unwrap();
        rustix::fs::mkdir(&dir, Mode::from_raw_mode(0o755)).unwrap();
        assert!(ready.release().unwrap_err().failed[0].1.exists());
        assert_eq!(names(home.path()), ["server"]);
        assert!(names(&dir).is_empty());
    }

    #[test]
    fn what_a_kill_left_is_removed_and_foreign_things_are_not() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("server");
        let left = home.path().join(".server.vpnpki-new");
        rustix::fs::mkdir(&left, Mode::from_raw_mode(0o700)).unwrap();
        crate::files::create_private(&left.join("server.key")).unwrap();
        staged(&dir, Overwrite::Refuse).unwrap().release().unwrap();
        assert_eq!(names(home.path()), ["server"]);
        let other = home.path().join("other");
        symlink("/etc", home.path().join(".other.vpnpki-new")).unwrap();
        assert!(staged(&other, Overwrite::Refuse).unwrap().release().is_err());
        assert_eq!(names(home.path()), [".other.vpnpki-new", "server"]);
    }

    #[test]
    fn links_files_and_missing_parents_are_refused() {
        let home = tempfile::tempdir().unwrap();
        symlink(home.path(), home.path().join("link")).unwrap();
        crate::files::create_private(&home.path().join("file")).unwrap();
        let refused = |name: &str| staged(&home.path().join(name), Overwrite::Replace).err().unwrap();
        assert!(matches!(refused("link"), FileError::Symlink { .. }));
        assert!(matches!(refused("link/"), FileError::Symlink { .. }));
        assert!(matches!(refused("file"), FileError::NotADirectory { .. }));
        assert!(matches!(refused("file/x"), FileError::NotADirectory { .. }));
        assert!(matches!(refused("none/x"), FileError::NotFound { .. }));
        assert_eq!(names(home.path()), ["file", "link"]);
    }

    proptest! {
        #[test]
        fn a_part_never_leaves_its_directory(name in "[a./]{0,4}|\\PC{0,8}") {
            let part = Part { name: &name, bytes: b"", visibility: Visibility::Public };
            if check_names(Path::new("d"), &[part]).is_ok() {
                let words: Vec<&str> = name.split('/').collect();
                prop_assert!(words.len() <= 2 && words.iter().all(|word| !["", ".", ".."].contains(word)));
            }
        }
    }
}
