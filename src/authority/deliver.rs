//! Bundles on their way out: staged as unnamed files before the commit, put in place after it.
//! Knows nothing of what was decided; a failure here never undoes an act.

use std::path::PathBuf;

use serde::{Serialize, Serializer};

use crate::{
    authority::AuthorityError,
    bundle::{Order, Passphrase},
    files::{self, Overwrite, Staged, StagedDirectory},
    name::Name,
    secret::Secret,
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
    /// One path, and standard output, take one bundle.
    pub fn check_for(&self, bundles: usize) -> Result<(), AuthorityError> {
        match self.destination {
            Destination::Stdout | Destination::Path(_) if bundles != 1 => Err(AuthorityError::Usage(
                "one path takes one bundle; name a directory that exists, or one peer".to_owned(),
            )),
            _ => Ok(()),
        }
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
    let (mut files, mut named) = (Vec::new(), Vec::new());
    let mut made = Vec::new();
    for StagedBundle { name, path, content, new_passphrase } in staged {
        made.extend(new_passphrase.map(|passphrase| NewPassphrase { name: name.clone(), passphrase }));
        match content {
            Content::Stdout(bytes) => delivery.stdout = Some(bytes),
            Content::Directory(directory) => {
                let problem = directory.release().err().map(|error| error.to_string());
                delivery.note(name, path, problem);
            }
            Content::File(file) => {
                named.push((name, path, file.path()));
                files.push(file);
            }
        }
    }
    let failed = files::release_all(files).err().map_or_else(Vec::new, |unreleased| unreleased.failed);
    for (name, path, real) in named {
        let problem = failed.iter().find(|(failed, _)| *failed == real || real.parent() == Some(failed));
        delivery.note(name, path, problem.map(|(_, error)| error.to_string()));
    }
    made.retain(|new| !delivery.undelivered.iter().any(|failed| failed.name == new.name));
    delivery.passphrases = made;
    delivery
}

impl Delivery {
    fn note(&mut self, name: Name, path: PathBuf, problem: Option<String>) {
        match problem {
            None => self.bundles.push(Delivered { name, path }),
            Some(problem) => self.undelivered.push(Undelivered { name, path, problem }),
        }
    }

    /// Adds what became of more bundles.
    pub(super) fn extend(&mut self, more: Self) {
        self.bundles.extend(more.bundles);
        self.undelivered.extend(more.undelivered);
        self.stdout = more.stdout.or(self.stdout.take());
        self.passphrases.extend(more.passphrases);
    }
}

fn shown<S: Serializer>(passphrase: &Passphrase, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(passphrase.secret().expose_text().unwrap_or_default())
}
