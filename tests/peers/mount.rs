//! Something mounted for one test.
//! Knows nothing of why.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::common::Outcome;

/// Something mounted; unmounted when dropped.
pub struct Mount(PathBuf);

impl Mount {
    /// `mount ARGUMENTS DIRECTORY`
    pub fn new(arguments: &str, at: &Path) -> Self {
        Outcome::of(Command::new("mount").args(arguments.split(' ')).arg(at)).succeeds();
        Self(at.to_owned())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // lazily, since a failed test may still hold a file open
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
