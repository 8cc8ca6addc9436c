//! What is wrong in a settings file, and where: every fault with its line and its field.
//! Knows nothing of what settings mean.

use std::fmt;

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// Counted from 1.
    pub line: usize,
    /// The setting, such as `network.routes`; empty when the file is no TOML at all.
    pub field: String,
    /// What is wrong and how to mend it.
    pub what: String,
}

/// Everything that is wrong in one file, in the order of its lines. Shown as one `file:line: field: what` per line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Faults {
    /// The file as it was named.
    pub file: String,
    /// At least one.
    pub faults: Vec<Fault>,
}

impl std::error::Error for Faults {}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{}:{fault}", self.file)?;
        }
        Ok(())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() {
            write!(f, "{}: {}", self.line, self.what)
        } else {
            write!(f, "{}: {}: {}", self.line, self.field, self.what)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_for_each() {
        let fault = |line, field: &str| Fault { line, field: field.to_owned(), what: "is wrong".to_owned() };
        let faults = Faults { file: "pki/vpnpki.toml".to_owned(), faults: vec![fault(3, "vpn.name"), fault(9, "")] };
        assert_eq!(faults.to_string(), "pki/vpnpki.toml:3: vpn.name: is wrong\npki/vpnpki.toml:9: is wrong");
    }
}
