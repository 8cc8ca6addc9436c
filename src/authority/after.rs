//! What the settings say is to be run after publishing: when, as whom, and what came of it.
//! Knows nothing of how a program is run.

use std::{path::PathBuf, time::Duration};

use serde::Serialize;

use crate::{
    authority::{publishing::Published, Authority, AuthorityError},
    files,
    publish::After,
    settings::Publishing,
};

/// What came of the program.
#[derive(Debug, Serialize)]
pub struct Ran {
    /// The program.
    pub program: PathBuf,
    /// Why publishing is not finished.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// When the program is run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Occasion {
    /// Something was written; or there is no target here, so that only the program knows what is behind.
    Written,
    /// Somebody asks for it: nothing remembers that the program failed the last time.
    Asked,
}

impl Authority {
    /// Puts the store's newest CRL into every target; where that wrote something, runs what the settings say.
    pub fn publish(&self, publishing: &Publishing) -> Result<Published, AuthorityError> {
        self.publish_on(publishing, Occasion::Written)
    }

    /// The same, with a say in when the program is run. The lock is let go before, so that the program may publish,
    /// too, and a slow one keeps no revocation waiting.
    pub fn publish_on(&self, publishing: &Publishing, occasion: Occasion) -> Result<Published, AuthorityError> {
        let mut published = self.put_everywhere(publishing)?;
        let due = occasion == Occasion::Asked || published.wrote() || published.targets.is_empty();
        if let Some(words) = publishing.after.as_ref().filter(|_| due) {
            published.after = Some(self.run_after(words, &published));
        }
        Ok(published)
    }

    fn run_after(&self, words: &[String], published: &Published) -> Ran {
        let reached = published.targets.iter().find(|target| target.reached());
        let file = reached.and_then(|target| files::real_path(target.file.as_deref()?).ok());
        // the lists are in place: whatever fails now is said of the program
        let dir = files::real_path(self.dir()).unwrap_or_else(|_| self.dir().to_owned());
        let after = After {
            words,
            dir: &dir,
            number: published.number,
            file: file.as_deref(),
            uid: self.actor.uid,
            becomes: self.owner.map(|owner| (owner.uid, owner.gid)),
            limit: LIMIT,
        };
        let problem = after.run().err().map(|error| error.to_string());
        Ran { program: words.first().map(PathBuf::from).unwrap_or_default(), problem }
    }
}

const LIMIT: Duration = Duration::from_secs(60);
