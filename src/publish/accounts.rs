//! Numbers of users and groups from `/etc/passwd` and `/etc/group`.
//! Knows nothing of directories over the network: who is only there is a stranger here.

use std::path::Path;

use crate::files::{self, FileError};

/// The number of a user, if the file has it.
pub(super) fn user(name: &str) -> Result<Option<u32>, FileError> {
    look_up(Path::new("/etc/passwd"), name)
}

/// The number of a group, if the file has it.
pub(super) fn group(name: &str) -> Result<Option<u32>, FileError> {
    look_up(Path::new("/etc/group"), name)
}

/// The home of a user by number, if the file has it.
pub(super) fn home(uid: u32) -> Result<Option<String>, FileError> {
    match files::read(Path::new("/etc/passwd"), LIMIT) {
        Ok(bytes) => Ok(home_in(&String::from_utf8_lossy(&bytes), uid)),
        Err(error) if error.not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// The third field is the number and the sixth the home (passwd(5)).
fn home_in(text: &str, uid: u32) -> Option<String> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':').skip(2);
        let found = fields.next()?.parse() == Ok(uid);
        found.then(|| fields.nth(2)).flatten().filter(|home| home.starts_with('/')).map(str::to_owned)
    })
}

fn look_up(path: &Path, name: &str) -> Result<Option<u32>, FileError> {
    match files::read(path, LIMIT) {
        Ok(bytes) => Ok(number(&String::from_utf8_lossy(&bytes), name)),
        Err(error) if error.not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// In both files the name is the first field and the number the third (passwd(5), group(5)).
fn number(text: &str, name: &str) -> Option<u32> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok()).flatten()
    })
}

const LIMIT: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_third_field_is_the_number() {
        let text = "root:x:0:0:root:/root:/bin/sh\nbroken:x\nnobody:x:65534:65534::/:/bin/false\n";
        assert_eq!(number(text, "nobody"), Some(65534));
        assert_eq!(number(text, "broken"), None);
        assert_eq!(number(text, "nob"), None);
        assert_eq!(number("nogroup:x:65534:\n", "nogroup"), Some(65534));
        assert_eq!(user("root").unwrap(), Some(0));
        assert_eq!(home_in(text, 0).as_deref(), Some("/root"));
        assert_eq!(home_in(text, 7), None);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[a:0-9\n]{0,60}", name in "[a]{0,3}") {
            let _ = (number(&text, &name), home_in(&text, 0));
        }
    }
}
