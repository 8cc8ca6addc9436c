//! Files of recipients: one public key a line, with comments and blank lines, as `age -R` and SSH's `authorized_keys`.
//! Refuses to pass over a line that it does not understand: somebody would be missing.

use super::{Recipient, RecipientError};

/// A line of a file that is no recipient.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RecipientListError {
    /// Which line, and what is wrong with it.
    #[error("line {line}: {fault}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        fault: RecipientError,
    },
    /// A key that signs others' keys; nobody holds it to read with.
    #[error("line {0}: a key marked `cert-authority` vouches for others' keys and is nobody's own")]
    Authority(usize),
    /// No key at all.
    #[error("it holds no public key")]
    Empty,
    /// Bytes that are no text.
    #[error("it is no text; a file of `age1...` or SSH public keys, one a line, is expected")]
    NotText,
}

/// Every recipient in a file, in its order; at least one.
pub fn recipients_in(bytes: &[u8]) -> Result<Vec<Recipient>, RecipientListError> {
    let text = std::str::from_utf8(bytes).map_err(|_| RecipientListError::NotText)?;
    let mut found = Vec::new();
    for (index, line) in text.lines().map(str::trim).enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (options, key) = without_options(line);
        if options.split(',').any(|option| option.trim() == "cert-authority") {
            return Err(RecipientListError::Authority(index + 1));
        }
        found.push(Recipient::parse(key).map_err(|fault| RecipientListError::Line { line: index + 1, fault })?);
    }
    if found.is_empty() {
        return Err(RecipientListError::Empty);
    }
    Ok(found)
}

/// `authorized_keys` has options before the kind of key (sshd(8)): words without spaces, except in double quotes.
fn without_options(line: &str) -> (&str, &str) {
    let begins = |text: &str| ["age1", "ssh-", "ecdsa-", "sk-"].iter().any(|kind| text.starts_with(kind));
    if begins(line) {
        return ("", line);
    }
    let (mut quoted, mut escaped) = (false, false);
    for (place, character) in line.char_indices() {
        match character {
            ' ' | '\t' if !quoted => {
                let key = line[place..].trim_start();
                return if begins(key) { (&line[..place], key) } else { ("", line) };
            }
            '"' if !escaped => quoted = !quoted,
            _ => (),
        }
        escaped = character == '\\';
    }
    ("", line)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const AGE: &str = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";
    const ED25519: &str = include_str!("fixtures/ed25519.pub");
    const RSA: &str = include_str!("fixtures/rsa.pub");

    fn kinds(text: &str) -> Vec<&'static str> {
        recipients_in(text.as_bytes()).unwrap().iter().map(Recipient::kind).collect()
    }

    #[test]
    fn comments_and_blank_lines_are_passed_over() {
        let text = format!("# people\n\n{AGE}\r\n  # jo\n{ED25519}\n{RSA}");
        assert_eq!(kinds(&text), ["age", "ssh-ed25519", "ssh-rsa"]);
        assert_eq!(kinds(ED25519), ["ssh-ed25519"]);
    }

    #[test]
    fn options_of_authorized_keys_are_passed_over() {
        for options in ["restrict", "no-pty,command=\"echo \\\"ssh-rsa x\\\"\",from=\"10.0.0.0/8\"", "from=\"a b\""] {
            assert_eq!(kinds(&format!("{options} {ED25519}")), ["ssh-ed25519"], "{options}");
        }
    }

    #[test]
    fn a_line_that_is_no_recipient_is_named() {
        let ecdsa = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBA== jo";
        for (text, why) in [
            (format!("{AGE}\n{ecdsa}\n"), "line 2: SSH keys of type `ecdsa-sha2-nistp256`"),
            (format!("\n\nrestrict {ecdsa}\n"), "line 3: SSH keys of type"),
            (format!("{AGE}\nhunter2\n"), "line 2: what was given as recipient is neither"),
            ("AGE-SECRET-KEY-1QQ".to_owned(), "line 1: a private key was given"),
            (format!("cert-authority {ED25519}"), "line 1: a key marked `cert-authority`"),
            ("# nobody\n".to_owned(), "it holds no public key"),
        ] {
            let error = recipients_in(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(why) && !error.contains("hunter2"), "{error}");
        }
        assert_eq!(recipients_in(b"\xff"), Err(RecipientListError::NotText));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,80}", options in "[a-z=\",\\\\ ]{0,20}") {
            let _ = recipients_in(text.as_bytes());
            let _ = recipients_in(format!("{options} {ED25519}").as_bytes());
        }
    }
}
