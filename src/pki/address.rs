//! Addresses of servers, as they stand in a certificate: host names and IP addresses.
//! Knows no resolver.

use std::{fmt, net::IpAddr};

use crate::name::escape;

/// What clients may call a server by.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub enum Address {
    /// A host name in the preferred syntax of RFC 1034, 3.5, digits allowed first (RFC 1123, 2.1). One label alone
    /// is a name by that syntax, and is used in small networks; pkilint reports it all the same.
    Dns(String),
    /// An IPv4 or IPv6 address.
    Ip(IpAddr),
}

/// Why a text is no address of a server.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum AddressError {
    /// No character at all.
    #[error("an address has at least one character")]
    Empty,
    /// More than RFC 1035, 2.3.4 allows.
    #[error("a host name has at most 253 characters, this one has {0}")]
    TooLong(usize),
    /// An internationalised name, which a dNSName cannot hold (RFC 5280, 7.2).
    #[error("`{0}` holds letters outside ASCII; write the name in its `xn--` form")]
    International(String),
    /// Something that is neither an IP address nor a host name.
    #[error("`{text}` is no address: {why}")]
    Refused {
        /// The text, escaped.
        text: String,
        /// The rule that it breaks.
        why: &'static str,
    },
}

impl Address {
    /// Parses an IP address or else a host name.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Ip(address));
        }
        check_host(text)?;
        Ok(Self::Dns(text.to_owned()))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(host) => f.pad(host),
            Self::Ip(address) => fmt::Display::fmt(address, f),
        }
    }
}

fn check_host(text: &str) -> Result<(), AddressError> {
    if text.is_empty() {
        return Err(AddressError::Empty);
    }
    if !text.is_ascii() {
        return Err(AddressError::International(escape(text)));
    }
    if text.len() > 253 {
        return Err(AddressError::TooLong(text.len()));
    }
    let fault = text.split('.').find_map(label_fault).or_else(|| number_fault(text));
    fault.map_or(Ok(()), |why| Err(AddressError::Refused { text: escape(text), why }))
}

fn label_fault(label: &str) -> Option<&'static str> {
    match label {
        "" => Some("between its dots, before the first or after the last, there is nothing"),
        _ if label.len() > 63 => Some("between its dots there are at most 63 characters"),
        _ if !label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') => {
            Some("a host name is made of letters, digits, hyphens and dots")
        }
        _ if label.starts_with('-') || label.ends_with('-') => Some("a part of it begins or ends in a hyphen"),
        _ => None,
    }
}

/// `10.8.0` and `1.2.3.256` are mistaken IP addresses: no top-level domain is a number (RFC 3696, 2).
fn number_fault(text: &str) -> Option<&'static str> {
    let last = text.rsplit('.').next()?;
    last.chars().all(|c| c.is_ascii_digit()).then_some("it ends in a number, but is no IP address")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hosts_and_addresses() {
        for text in ["vpn.example.com", "vpn", "a-b.c", "3com.example", "xn--bcher-kva.example", &"a".repeat(63)] {
            assert_eq!(Address::parse(text), Ok(Address::Dns(text.to_owned())));
        }
        for text in ["192.0.2.1", "2001:db8::1"] {
            assert_eq!(Address::parse(text), Ok(Address::Ip(text.parse().unwrap())));
            assert_eq!(Address::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_refused_says_why() {
        let [label, long] = ["a".repeat(64), ["a"; 128].join(".")];
        for (text, why) in [
            ("", "at least one"),
            (long.as_str(), "at most 253"),
            (label.as_str(), "at most 63"),
            ("b\u{fc}ro.example", "`xn--` form"),
            ("vpn.example.com.", "nothing"),
            (".example", "nothing"),
            ("a..b", "nothing"),
            ("*.example.com", "letters, digits"),
            ("a_b.example", "letters, digits"),
            ("a b", "letters, digits"),
            ("a\0.example", "letters, digits"),
            ("vpn:1194", "letters, digits"),
            ("-a.example", "hyphen"),
            ("a-.example", "hyphen"),
            ("1.2.3.256", "no IP address"),
            ("10.8.0", "no IP address"),
        ] {
            let error = Address::parse(text).unwrap_err().to_string();
            assert!(error.contains(why), "{text:?}: {error}");
            assert!(error.is_ascii() && !error.contains('\n'), "{error:?} could reach a terminal");
        }
    }

    proptest! {
        #[test]
        fn what_is_parsed_is_shown_as_it_was(text in "[a-z0-9.:-]{0,40}|.{0,40}") {
            if let Ok(address) = Address::parse(&text) {
                prop_assert_eq!(Address::parse(&address.to_string()), Ok(address));
            }
        }
    }
}
