//! How files of bundles are named: a text with `{name}` and perhaps `{vpn}` in it.
//! Knows no directory or extension.

use std::{fmt, str::FromStr};

use crate::name::{Name, NameError};

/// A pattern such as `{name}` or `{name}-{vpn}`, whose results are always safe as file names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileName(String);

impl FileName {
    /// The name without extension. What a VPN's name may hold and a file's may not becomes `-`.
    pub fn stem(&self, name: &Name, vpn: &str) -> String {
        let safe = |character| if allowed(character) { character } else { '-' };
        let vpn: String = vpn.chars().map(safe).collect();
        self.0.replace("{vpn}", vpn.trim_end_matches('.')).replace("{name}", name.as_str())
    }
}

impl Default for FileName {
    fn default() -> Self {
        Self("{name}".to_owned())
    }
}

impl FromStr for FileName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if !text.contains("{name}") {
            return Err("must contain `{name}`, or all clients would share one file".to_owned());
        }
        let literal = text.replace("{name}", "").replace("{vpn}", "");
        if literal.len() > 64 || !literal.chars().all(allowed) {
            return Err(
                "holds more than `{name}`, `{vpn}` and at most 64 of A-Z, a-z, 0-9, `.`, `_`, `@` and `-`".to_owned()
            );
        }
        // `{vpn}` comes from elsewhere and may hold anything that is allowed here
        let sample = text.replace("{name}", "x").replace("{vpn}", "x");
        match Name::parse(&sample) {
            Ok(_) | Err(NameError::TooLong(_)) if !begins_device(text) => Ok(Self(text.to_owned())),
            Ok(_) | Err(NameError::TooLong(_)) => Err("could become a name that Windows gives to a device".to_owned()),
            Err(error) => Err(format!("makes names that cannot be file names: {error}")),
        }
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn allowed(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '@' | '-')
}

/// `com{name}` with the name `1`: what stands before the first hole begins the name of a device.
fn begins_device(text: &str) -> bool {
    let before = text.split('{').next().unwrap_or_default().to_ascii_lowercase();
    !before.is_empty() && ["con", "prn", "aux", "nul", "com", "lpt"].iter().any(|device| device.starts_with(&before))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stem(pattern: &str, vpn: &str) -> String {
        pattern.parse::<FileName>().unwrap().stem(&Name::parse("laptop-7").unwrap(), vpn)
    }

    #[test]
    fn holes_are_filled_with_what_files_can_be_named() {
        assert_eq!(stem("{name}", "Example"), "laptop-7");
        assert_eq!(stem("{name}-{vpn}", "vpn.example.com"), "laptop-7-vpn.example.com");
        assert_eq!(stem("{vpn}_{name}", "Example GmbH / Köln"), "Example-GmbH---K-ln_laptop-7");
        assert_eq!(stem("acme.{name}", ""), "acme.laptop-7");
    }

    #[test]
    fn what_is_no_pattern_says_why() {
        for (pattern, why) in [
            ("client", "must contain"),
            ("", "must contain"),
            ("../{name}", "holds more"),
            ("{name}/{vpn}", "holds more"),
            ("{name}{host}", "holds more"),
            ("-{name}", "does not begin"),
            ("{name}.", "ends in a dot"),
            ("con.{name}", "Windows"),
            ("com{name}", "Windows"),
        ] {
            let error = pattern.parse::<FileName>().unwrap_err();
            assert!(error.contains(why), "{pattern}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_pattern_makes_an_unsafe_name(pattern in "[a-z./{}-]{0,9}\\{name\\}[a-z./-]{0,9}(\\{vpn\\})?", vpn in "\\PC{0,20}") {
            if let Ok(pattern) = pattern.parse::<FileName>() {
                let stem = pattern.stem(&Name::parse("n").unwrap(), &vpn);
                prop_assert!(stem.chars().all(allowed) && !stem.starts_with("..") && stem.contains('n'), "{}", stem);
            }
        }
    }
}
