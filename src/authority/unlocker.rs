//! `unlocker`: what opens the vault is added, taken away, or given a new vault with every secret sealed anew.
//! Knows no terminal; what is asked of people comes through [`Keyholder`] and as an argument.

use std::path::PathBuf;

use serde::Serialize;

use crate::{
    authority::{
        trust,
        unlock::{KEY_FILE, PASSPHRASE, VAULT_KEY},
        Authority, AuthorityError, Keyholder,
    },
    files,
    inventory::{Change, Event, Unlocker as Row},
    store::View,
    time::Time,
    vault::{self, Unlocker},
};

mod rotate;

pub use rotate::{Rotated, Rotation};

/// What is to open the vault, too.
pub struct NewUnlocker {
    /// A passphrase or a recipient.
    pub unlocker: Unlocker,
    /// What people call it; made from the key when none is given.
    pub label: Option<String>,
    /// Stop before anything changes.
    pub dry_run: bool,
}

/// An unlocker as people know it: by its number, or by its label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Which(String);

/// An unlocker in a report.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct Listed {
    /// Its number.
    pub number: u32,
    /// `passphrase`, `recipient` or `key-file`.
    pub kind: String,
    /// What people call it.
    pub label: String,
    /// Since when.
    pub since: Option<Time>,
    /// The public key; none for a passphrase.
    pub recipient: Option<String>,
}

/// What `unlocker add` did.
#[derive(Debug, Serialize)]
pub struct Added {
    /// Whether it was recorded.
    pub changed: bool,
    /// What opens the vault, too.
    pub unlocker: Listed,
    /// What people should know.
    pub warnings: Vec<String>,
}

/// What `unlocker remove` did.
#[derive(Debug, Serialize)]
pub struct Removed {
    /// Whether it was recorded.
    pub changed: bool,
    /// What no longer opens the vault.
    pub unlocker: Listed,
    /// The clear key that was removed with it.
    pub removed_file: Option<PathBuf>,
    /// Why the clear key is still there.
    pub left_file: Option<String>,
    /// What people should know.
    pub warnings: Vec<String>,
}

impl Which {
    /// A number or a label.
    pub fn named(text: &str) -> Self {
        Self(text.to_owned())
    }

    fn is(&self, row: &Row) -> bool {
        self.0 == row.label || self.0 == row.number.to_string()
    }

    fn find<'r>(&self, rows: &'r [Row]) -> Result<&'r Row, AuthorityError> {
        rows.iter().find(|row| self.is(row)).ok_or_else(|| AuthorityError::UnknownUnlocker(self.0.clone()))
    }
}

impl Listed {
    fn of(row: &Row) -> Self {
        let Row { number, kind, label, recipient, since, wrapped: _ } = row.clone();
        Self { number, kind, label, since, recipient }
    }
}

/// Everything that opens the vault; needs no key.
pub fn list(view: &dyn View) -> Result<Vec<Listed>, AuthorityError> {
    Ok(view.unlockers()?.iter().map(Listed::of).collect())
}

/// A label is one line of printable ASCII that cannot be taken for a number.
pub fn check_label(label: &str) -> Result<(), String> {
    let plain = label.chars().all(|c| c.is_ascii_graphic() || c == ' ') && label.trim() == label;
    if !plain || label.is_empty() || label.len() > LONGEST_LABEL {
        return Err(format!("a label is 1 to {LONGEST_LABEL} characters of printable ASCII"));
    }
    if label.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("a label that is a number could be taken for another unlocker's".to_owned());
    }
    Ok(())
}

impl Authority {
    /// Locks the vault to one more passphrase or key.
    pub fn add_unlocker(&self, new: &NewUnlocker, keyholder: &dyn Keyholder) -> Result<Added, AuthorityError> {
        let unlocked = self.unlock(&*self.view()?, keyholder)?;
        check_new(&self.view()?.unlockers()?, new)?;
        // slow, or in the hands of a plugin: before anyone else has to wait
        let wrapped = vault::wrap(&unlocked.vault, &new.unlocker, &keyholder.plugins())?;
        let mut writing = self.begin()?;
        let rows = writing.unlockers()?;
        check_new(&rows, new)?;
        unlocked.refuse_mismatch(&*writing, rows.iter().cloned().map(Change::Unlocker).collect())?;
        let wanted = new.label.clone().unwrap_or_else(|| label(&new.unlocker));
        let row = row(&rows, &new.unlocker, wanted, self.now(), wrapped);
        let mut added = Added { changed: false, unlocker: Listed::of(&row), warnings: Vec::new() };
        if rows.iter().any(|row| row.kind == KEY_FILE) {
            added.warnings.push(format!("`{VAULT_KEY}` still opens the vault without being asked"));
        }
        if new.dry_run {
            return Ok(added);
        }
        let event = Event::UnlockerAdded { number: row.number, kind: row.kind.clone(), label: row.label.clone() };
        writing.record(&Change::Unlocker(row))?;
        self.commit(writing, "unlocker add", vec![event], false, Some(&unlocked))?;
        added.changed = true;
        added.warnings.extend(self.tended(&unlocked));
        Ok(added)
    }

    /// Takes a way into the vault away, with the clear key when it is that of `vault.key`. `agreed` is asked before the
    /// one that opened the vault just now is removed.
    pub fn remove_unlocker(
        &self,
        which: &Which,
        keyholder: &dyn Keyholder,
        dry_run: bool,
        agreed: &dyn Fn(&str) -> bool,
    ) -> Result<Removed, AuthorityError> {
        let rows = self.view()?.unlockers()?;
        check_removable(&rows, which.find(&rows)?)?;
        let mut unlocked = self.unlock(&*self.view()?, keyholder)?;
        let own = unlocked.by.as_ref().is_some_and(|by| which.is(by));
        if own && !dry_run {
            confirm(&which.find(&rows)?.label, agreed)?;
        }
        let mut writing = self.begin()?;
        let rows = writing.unlockers()?;
        let row = which.find(&rows)?.clone();
        check_removable(&rows, &row)?;
        if !unlocked.is_current(&*writing)? {
            return Err(AuthorityError::VaultChanged);
        }
        unlocked.by = None;
        unlocked.refuse_mismatch(&*writing, rows.iter().cloned().map(Change::Unlocker).collect())?;
        let mut removed = Removed {
            changed: false,
            unlocker: Listed::of(&row),
            removed_file: None,
            left_file: None,
            warnings: Vec::new(),
        };
        if dry_run {
            return Ok(removed);
        }
        let event = Event::UnlockerRemoved { number: row.number, label: row.label };
        writing.record(&Change::UnlockerRemoved(row.number))?;
        self.commit(writing, "unlocker remove", vec![event], false, Some(&unlocked))?;
        removed.changed = true;
        removed.warnings = self.tended(&unlocked);
        if row.kind == KEY_FILE {
            match self.remove_key_file() {
                Ok(path) => removed.removed_file = path,
                Err(error) => removed.left_file = Some(error.to_string()),
            }
        }
        Ok(removed)
    }

    fn remove_key_file(&self) -> Result<Option<PathBuf>, files::FileError> {
        let path = self.dir().join(VAULT_KEY);
        if !files::exists(&path)? {
            return Ok(None);
        }
        files::remove(&path)?;
        files::sync_dir(self.dir())?;
        Ok(Some(path))
    }
}

/// An unlocker as it is recorded beside those that are there. A label that is taken gets a number behind it.
pub(super) fn row(rows: &[Row], unlocker: &Unlocker, label: String, since: Time, wrapped: Vec<u8>) -> Row {
    let number = rows.iter().map(|row| row.number).max().unwrap_or(0).saturating_add(1);
    let taken = |label: &str| rows.iter().any(|row| row.label == label);
    // one of so many is free
    let free = (2..=rows.len() + 1).map(|place| format!("{label} {place}")).find(|label| !taken(label));
    let label = if taken(&label) { free.unwrap_or(label) } else { label };
    let recipient = unlocker.recipient().map(ToString::to_string);
    Row { number, kind: unlocker.kind().to_owned(), label, recipient, since: Some(since), wrapped }
}

/// What an unlocker is called when nobody says.
pub(super) fn label(unlocker: &Unlocker) -> String {
    unlocker.recipient().map_or_else(|| unlocker.kind().to_owned(), vault::Recipient::label)
}

fn check_new(rows: &[Row], new: &NewUnlocker) -> Result<(), AuthorityError> {
    if let Some(label) = new.label.as_ref().filter(|label| rows.iter().any(|row| row.label == **label)) {
        return Err(AuthorityError::LabelTaken(label.clone()));
    }
    let Some(key) = new.unlocker.recipient() else { return Ok(()) };
    let same = |row: &&Row| row.recipient.as_ref().is_some_and(|text| text.parse().as_ref() == Ok(key));
    match rows.iter().find(same) {
        Some(row) => Err(AuthorityError::KnownUnlocker(row.label.clone())),
        None => Ok(()),
    }
}

/// Whoever removes what they came in by should have another way in.
fn confirm(label: &str, agreed: &dyn Fn(&str) -> bool) -> Result<(), AuthorityError> {
    if agreed(&format!("`{label}` opened the vault just now; remove it?")) {
        return Ok(());
    }
    Err(AuthorityError::NotAgreed(format!(
        "`{label}` opened the vault just now and was not removed: nobody said that another way in is at hand"
    )))
}

fn check_removable(rows: &[Row], row: &Row) -> Result<(), AuthorityError> {
    if rows.len() == 1 {
        return Err(AuthorityError::LastUnlocker(row.label.clone()));
    }
    Ok(())
}

/// Refuses over a store that is not what was written, however many certificates it holds.
fn refuse_any_mismatch(view: &dyn View, vault: &vault::VaultKeys) -> Result<(), AuthorityError> {
    match trust::verify(view, Some(vault))?.problems {
        problems if problems.is_empty() => Ok(()),
        problems => Err(AuthorityError::Mismatch(problems)),
    }
}

/// Whether it opens by words alone, which nobody recorded.
fn is_passphrase(row: &Row) -> bool {
    row.kind == PASSPHRASE
}

const LONGEST_LABEL: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_cannot_be_taken_for_something_else() {
        for good in ["laptop", "jo@home", "2nd floor", "a=b"] {
            assert_eq!(check_label(good), Ok(()), "{good}");
        }
        for bad in ["", "2", "007", " a", "a ", "a\nb", "K\u{f6}ln", &"a".repeat(65)] {
            assert!(check_label(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_label_of_its_own_is_found() {
        let (unlocker, _) = Unlocker::fresh_key_file();
        let mut rows = Vec::new();
        for expected in [(1, "key"), (2, "key 2"), (3, "key 3")] {
            let row = row(&rows, &unlocker, "key".to_owned(), Time::from_unix(0), Vec::new());
            assert_eq!((row.number, row.label.as_str()), expected);
            rows.push(row);
        }
        rows.remove(1);
        let next = row(&rows, &unlocker, "key".to_owned(), Time::from_unix(0), Vec::new());
        assert_eq!((next.number, next.label.as_str()), (4, "key 2"));
    }
}
