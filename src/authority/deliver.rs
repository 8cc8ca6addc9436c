//! Bundles on their way out: staged as unnamed files before the commit, put in place after it.
//! Knows nothing of what was decided; a failure here never undoes an act.

use std::{
    collections::{BTreeSet, HashSet},
    path::{Path, PathBuf},
};

use serde::{Serialize, Serializer};

use crate::{
    authority::{crew::AHEAD, AuthorityError, Sealing},
    bundle::{Format, Order, Passphrase},
    files::{self, Overwrite, Staged, StagedDirectory},
    name::Name,
    secret::Secret,
    vault::Form,
};

/// Where bundles go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Into this directory, under their own names.
    Into(PathBuf),
    /// To this path.
    Path(PathBuf),
    /// To standard output.
    Stdout,
    /// Nowhere.
    Nowhere,
}

/// How bundles are written.
pub struct Outputs {
    /// What is asked of each bundle.
    pub order: Order,
    /// Where to.
    pub destination: Destination,
    /// What happens to a file that is there.
    pub overwrite: Overwrite,
    /// Whether and for whom they are encrypted.
    pub sealing: Sealing,
    /// How encrypted ones are written.
    pub form: Form,
    /// What their owners type.
    pub passphrases: Passphrases,
}

/// The passphrases of clients' bundles. None of them is kept.
pub enum Passphrases {
    /// None: private keys are in clear.
    None,
    /// This one for every bundle.
    Given(Passphrase),
    /// A new one for each.
    Generated,
}

/// A bundle that is in place.
#[derive(Debug, Serialize, Clone)]
pub struct Delivered {
    /// Whose.
    pub name: Name,
    /// File or directory.
    pub path: PathBuf,
    /// Who can decrypt it: public keys, or a passphrase; none for a bundle in clear.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub encrypted_to: Vec<String>,
}

/// A bundle that is not in place although the act stands.
#[derive(Debug, Serialize)]
pub struct Undelivered {
    /// Whose.
    pub name: Name,
    /// Where it was to be.
    pub path: PathBuf,
    /// Why it is not.
    pub problem: String,
}

/// The passphrase that was made for a bundle.
#[derive(Serialize)]
pub struct NewPassphrase {
    /// Whose.
    pub name: Name,
    /// What is typed: the one secret that a report holds, since nobody would learn it otherwise.
    #[serde(serialize_with = "shown")]
    pub passphrase: Passphrase,
}

/// What became of all bundles of an act.
#[derive(Default, Serialize)]
pub struct Delivery {
    /// In place.
    pub bundles: Vec<Delivered>,
    /// Not in place.
    pub undelivered: Vec<Undelivered>,
    /// Directories in which others can read private files after all.
    #[serde(skip)]
    pub exposed: BTreeSet<PathBuf>,
    /// The one bundle for standard output.
    #[serde(skip)]
    pub stdout: Option<Secret>,
    /// Made for bundles that are in place; kept nowhere.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub passphrases: Vec<NewPassphrase>,
}

/// One bundle, durable and without a name.
pub(super) struct StagedBundle {
    pub name: Name,
    pub path: PathBuf,
    pub encrypted_to: Vec<String>,
    pub content: Content,
    /// The passphrase that was made for it.
    pub new_passphrase: Option<Passphrase>,
}

/// What was staged.
pub(super) enum Content {
    File(Staged),
    Directory(StagedDirectory),
    Stdout(Secret),
}

impl Outputs {
    /// No bundles.
    pub fn nowhere() -> Self {
        Self {
            order: Order::default(),
            destination: Destination::Nowhere,
            overwrite: Overwrite::Refuse,
            sealing: Sealing::default(),
            form: Form::Binary,
            passphrases: Passphrases::None,
        }
    }

    /// One path, and standard output, take one bundle.
    pub fn check_for(&self, bundles: usize) -> Result<(), AuthorityError> {
        match self.destination {
            Destination::Stdout | Destination::Path(_) if bundles != 1 => Err(AuthorityError::Usage(
                "one path takes one bundle; name a directory that exists, or one peer".to_owned(),
            )),
            _ => Ok(()),
        }
    }

    /// How many bundles a batch may have: each holds descriptors until it is in place, and other batches are made ahead.
    pub(super) fn most_at_once(&self) -> usize {
        let held = match self.order.format {
            _ if self.destination == Destination::Nowhere => return usize::MAX,
            // a directory holds its files, itself and the one it goes into
            Some(Format::Dir) | None => 12,
            Some(_) => 1,
        };
        (files::spare_descriptors() / held / (1 + AHEAD)).max(1)
    }

    /// What people should know of so many clients' bundles that are made like this.
    pub(super) fn notes(&self, clients: usize) -> Vec<String> {
        if clients == 0 || self.destination == Destination::Nowhere || matches!(self.passphrases, Passphrases::None) {
            return Vec::new();
        }
        let mut notes = self.order.notes_on_passphrase();
        if clients > 1 && matches!(self.passphrases, Passphrases::Given(_)) {
            notes.push(format!(
                "{clients} bundles have the same passphrase; `--generate-passphrase` gives each its own"
            ));
        }
        notes
    }
}

/// Puts bundles in place. One that fails does not keep back the others.
pub(super) fn release(staged: Vec<StagedBundle>) -> Delivery {
    let mut delivery = Delivery::default();
    let (mut files, mut named, mut private) = (Vec::new(), Vec::new(), Vec::new());
    let mut made = Vec::new();
    for StagedBundle { name, path, encrypted_to, content, new_passphrase } in staged {
        made.extend(new_passphrase.map(|passphrase| NewPassphrase { name: name.clone(), passphrase }));
        match content {
            Content::Stdout(bytes) => delivery.stdout = Some(bytes),
            Content::Directory(directory) => {
                private.extend(directory.private_paths());
                let problem = directory.release().err().map(|error| error.to_string());
                delivery.note(Delivered { name, path, encrypted_to }, problem);
            }
            Content::File(file) => {
                private.extend(file.private_path());
                named.push((Delivered { name, path, encrypted_to }, file.path()));
                files.push(file);
            }
        }
    }
    let failed = files::release_all(files).err().map_or_else(Vec::new, |unreleased| unreleased.failed);
    for (bundle, real) in named {
        let problem = failed.iter().find(|(failed, _)| *failed == real || real.parent() == Some(failed));
        delivery.note(bundle, problem.map(|(_, error)| error.to_string()));
    }
    delivery.note_exposed(&private);
    let lacking = delivery.lacking();
    made.retain(|new| !lacking.contains(&new.name));
    delivery.passphrases = made;
    delivery
}

/// What is said of a private file in a directory whose file system keeps no modes.
fn exposure(dir: &Path) -> String {
    let shown = if dir.as_os_str().is_empty() { ".".to_owned() } else { files::shown(dir) };
    format!(
        "the file system of `{shown}` keeps no file modes: everybody with access to it can read the private keys that were \
         written there"
    )
}

impl Delivery {
    /// Looks whether others can read these: at one in each directory, since modes are a file system's. What cannot be looked
    /// at was not put in place, and that is said elsewhere.
    pub(super) fn note_exposed(&mut self, private: &[PathBuf]) {
        let mut seen = BTreeSet::new();
        for (path, dir) in private.iter().filter_map(|path| Some((path, path.parent()?))) {
            if seen.contains(dir) {
                continue;
            }
            if let Ok(Some(exposed)) = files::is_exposed(path) {
                seen.insert(dir);
                self.exposed.extend(exposed.then(|| dir.to_owned()));
            }
        }
    }

    /// What people should know of where the bundles are.
    pub(super) fn warnings(&self) -> impl Iterator<Item = String> + '_ {
        self.exposed.iter().map(|dir| exposure(dir))
    }

    fn note(&mut self, bundle: Delivered, problem: Option<String>) {
        match (problem, bundle) {
            (None, bundle) => self.bundles.push(bundle),
            (Some(problem), Delivered { name, path, .. }) => self.undelivered.push(Undelivered { name, path, problem }),
        }
    }

    /// These bundles were not made, and others are in place.
    pub(super) fn give_up(&mut self, left: impl Iterator<Item = (Name, PathBuf)>, error: &AuthorityError) {
        let problem = error.to_string();
        self.undelivered.extend(left.map(|(name, path)| Undelivered { name, path, problem: problem.clone() }));
    }

    /// Whose bundles are not in place.
    pub(super) fn lacking(&self) -> HashSet<Name> {
        self.undelivered.iter().map(|failed| failed.name.clone()).collect()
    }

    /// Adds what became of more bundles.
    pub fn extend(&mut self, more: Self) {
        self.bundles.extend(more.bundles);
        self.undelivered.extend(more.undelivered);
        self.exposed.extend(more.exposed);
        self.stdout = more.stdout.or(self.stdout.take());
        self.passphrases.extend(more.passphrases);
    }
}

fn shown<S: Serializer>(passphrase: &Passphrase, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(passphrase.secret().expose_text().unwrap_or_default())
}
