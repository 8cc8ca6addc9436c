//! Names of peers: safe at once as X.509 CN, file stem, OpenVPN token and client-config-dir file.
//! Knows nothing of who has which name.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A peer's name: `[A-Za-z0-9][A-Za-z0-9._@-]{0,63}`, not ending in a dot, not reserved.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Name(String);

/// Why a text is no name. The text itself is shown escaped and cut, since it may hold anything.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone)]
pub enum NameError {
    /// No character at all.
    #[error("a name has at least one character")]
    Empty,
    /// More than X.509's ub-common-name (RFC 5280, appendix A.1), which is also OpenVPN's `TLS_USERNAME_LEN`.
    #[error("a name has at most 64 characters, this one has {0}")]
    TooLong(usize),
    /// A first character other than a letter or digit.
    #[error("`{0}` does not begin with a letter or a digit (A-Z, a-z, 0-9)")]
    Start(String),
    /// A character outside the set.
    #[error("`{text}` holds `{character}`; letters A-Z and a-z, digits, `.`, `_`, `@` and `-` are allowed")]
    Character {
        /// The text, escaped.
        text: String,
        /// The first character that is not allowed, escaped.
        character: String,
    },
    /// Windows drops a final dot, so two names would be one file.
    #[error("`{0}` ends in a dot")]
    FinalDot(String),
    /// A word with a meaning to OpenVPN, to Windows or to our own file names.
    #[error("`{text}` is reserved: {why}")]
    Reserved {
        /// The text.
        text: String,
        /// Whose word it is.
        why: &'static str,
    },
}

impl Name {
    /// Parses a name; the only door.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let first = text.chars().next().ok_or(NameError::Empty)?;
        let shown = || escape(text);
        if !first.is_ascii_alphanumeric() {
            return Err(NameError::Start(shown()));
        }
        if let Some(character) = text.chars().find(|&character| !allowed(character)) {
            return Err(NameError::Character { text: shown(), character: character.escape_default().to_string() });
        }
        if text.len() > LONGEST {
            return Err(NameError::TooLong(text.len()));
        }
        if text.ends_with('.') {
            return Err(NameError::FinalDot(shown()));
        }
        match reserved(text) {
            Some(why) => Err(NameError::Reserved { text: shown(), why }),
            None => Ok(Self(text.to_owned())),
        }
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form in which two names that differ only in case are one.
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }

    /// Whether it begins with `prefix`, without regard to case: servers' names must, clients' must not,
    /// since bundles say `verify-x509-name PREFIX name-prefix`.
    pub fn has_prefix(&self, prefix: &str) -> bool {
        self.folded().starts_with(&prefix.to_ascii_lowercase())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// Text from outside made safe for a terminal: control and non-ASCII characters escaped, at most 80 characters.
pub fn escape(text: &str) -> String {
    let mut shown = escape_whole(&text.chars().take(80).collect::<String>());
    if text.chars().nth(80).is_some() {
        shown.push_str("...");
    }
    shown
}

/// The same for a text that must not be cut.
pub fn escape_whole(text: &str) -> String {
    let shown: String = text.chars().flat_map(char::escape_default).collect();
    // `escape_default` also escapes quotes, which are harmless here and easier to read plain
    shown.replace("\\\"", "\"").replace("\\'", "'")
}

fn allowed(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '@' | '-')
}

fn reserved(text: &str) -> Option<&'static str> {
    let folded = text.to_ascii_lowercase();
    let stem = folded.split('.').next().unwrap_or_default();
    match stem {
        "ca" | "ta" | "dh" | "crl" | "config" => Some("bundles have files of this name"),
        "default" | "undef" => Some("OpenVPN gives this word a meaning of its own"),
        _ if device(stem) => Some("Windows gives this name to a device"),
        _ => None,
    }
}

fn device(stem: &str) -> bool {
    let numbered = |port: &str| {
        stem.strip_prefix(port).is_some_and(|number| number.len() == 1 && number.as_bytes()[0].is_ascii_digit())
    };
    matches!(stem, "con" | "prn" | "aux" | "nul" | "conin$" | "conout$") || numbered("com") || numbered("lpt")
}

const LONGEST: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_people_call_their_machines() {
        for text in ["client1", "laptop-7", "a", "jo@example.com", "node_3.lab", "CA1", "canada", "0", "ca-1"] {
            assert_eq!(Name::parse(text).unwrap().as_str(), text);
        }
        assert!(Name::parse(&"a".repeat(64)).is_ok());
    }

    #[test]
    fn what_is_refused_says_why() {
        let long = "a".repeat(65);
        for (text, why) in [
            ("", "at least one"),
            (long.as_str(), "at most 64"),
            ("../evil", "does not begin"),
            ("-x", "does not begin"),
            (".hidden", "does not begin"),
            ("a/b", "holds `/`"),
            ("a\0b", "holds `\\u{0}`"),
            ("a\nb", "holds `\\n`"),
            ("a'b", "holds `\\'`"),
            ("a\"b", "holds"),
            ("a b", "holds ` `"),
            ("x$(id)", "holds `$`"),
            ("trailing.", "ends in a dot"),
            ("\u{430}dmin", "does not begin"),
            ("adm\u{456}n", "holds `\\u{456}`"),
            ("CON", "Windows"),
            ("con.txt", "Windows"),
            ("Com1.log", "Windows"),
            ("ca", "bundles"),
            ("TA", "bundles"),
            ("config", "bundles"),
            ("Default", "OpenVPN"),
            ("UNDEF", "OpenVPN"),
        ] {
            let error = Name::parse(text).unwrap_err().to_string();
            assert!(error.contains(why), "{text:?}: {error}");
            assert!(error.is_ascii() && !error.contains('\n'), "{error:?} could reach a terminal");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics_and_no_error_carries_control_characters(text in "\\PC{0,80}|.{0,80}") {
            if let Err(error) = Name::parse(&text) {
                prop_assert!(error.to_string().chars().all(|c| c.is_ascii() && !c.is_ascii_control()));
            }
        }

        #[test]
        fn a_name_comes_back_as_it_was(text in "[A-Za-z0-9][A-Za-z0-9._@-]{0,63}") {
            if let Ok(name) = Name::parse(&text) {
                prop_assert_eq!(name.as_str(), text.as_str());
                prop_assert_eq!(name.folded(), text.to_ascii_lowercase());
            }
        }
    }
}
