//! The person in front of an age plugin: what it says goes to standard error, what it asks is answered at a terminal.
//! Knows nothing of keys.

use crate::{
    cli::{failure, terminal},
    name::escape,
    secret::Secret,
    vault::Interview,
};

/// Who runs the program, as far as plugins may reach them.
pub struct Person {
    batch: bool,
    json: bool,
}

impl Person {
    /// With `--batch` nobody answers; with `--json` standard error holds one object and no talk.
    pub fn new(batch: bool, json: bool) -> Self {
        Self { batch, json }
    }
}

impl Interview for Person {
    fn tell(&self, message: &str) {
        if !self.json {
            failure::say(&format!("{}\n", safe(message)));
        }
    }

    fn confirm(&self, question: &str, yes: &str, no: Option<&str>) -> Option<bool> {
        if self.batch {
            return None;
        }
        let answers = no.map_or_else(|| safe(yes), |no| format!("y: {}, n: {}", safe(yes), safe(no)));
        terminal::ask(&format!("{} ({answers})", safe(question)))
    }

    fn text(&self, prompt: &str) -> Option<String> {
        if self.batch {
            return None;
        }
        terminal::ask_text(&safe(prompt))
    }

    fn secret(&self, prompt: &str) -> Option<Secret> {
        if self.batch {
            return None;
        }
        terminal::ask_passphrase(&format!("{} ", safe(prompt)))
    }
}

/// Anybody's text: what could move a cursor is escaped, word by word, since one escaped text is cut at 80 characters.
fn safe(text: &str) -> String {
    text.split_whitespace().map(escape).collect::<Vec<_>>().join(" ")
}
