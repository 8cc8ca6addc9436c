//! What a sealed secret is and whose: the first line of every sealed text, held against when it is unsealed.
//! Refuses to know the secret.

use std::fmt::Write;

use super::{Content, VaultError};
use crate::{
    name::{escape, Name},
    serial::Serial,
};

/// What a secret is sealed as. A sealed secret that was moved to another place of the store no longer opens there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Binding {
    kind: &'static str,
    authority: String,
    peer: Option<Name>,
    serial: Option<Serial>,
}

impl Binding {
    /// The private key of the issuer whose certificate has this serial.
    pub fn ca_key(authority: &str, serial: &Serial) -> Self {
        Self { kind: "ca-key", authority: authority.to_owned(), peer: None, serial: Some(*serial) }
    }

    /// The private key to a peer's certificate.
    pub fn private_key(authority: &str, peer: &Name, serial: &Serial) -> Self {
        Self { kind: "private-key", authority: authority.to_owned(), peer: Some(peer.clone()), serial: Some(*serial) }
    }

    /// The control channel key that all share (`ta.key`), or that of one peer.
    pub fn control_channel_key(authority: &str, peer: Option<&Name>) -> Self {
        Self { kind: "control-channel-key", authority: authority.to_owned(), peer: peer.cloned(), serial: None }
    }

    /// `vpnpki-sealed 1 kind=… authority=… peer=… serial=…`, without line end; what is absent is left out.
    pub(super) fn line(&self) -> String {
        let mut line = format!("{MARK}{VERSION} kind={} authority={}", self.kind, one_word(&self.authority));
        // writing to a String cannot fail
        if let Some(peer) = &self.peer {
            let _ = write!(line, " peer={peer}");
        }
        if let Some(serial) = &self.serial {
            let _ = write!(line, " serial={serial}");
        }
        line
    }

    /// Holds the first line of an unsealed text against this.
    pub(super) fn check(&self, found: &[u8]) -> Result<(), VaultError> {
        let wanted = self.line();
        if found == wanted.as_bytes() {
            return Ok(());
        }
        let Some(claim) = std::str::from_utf8(found).ok().and_then(|line| line.strip_prefix(MARK)) else {
            // not our line, so it may be the secret itself: not shown
            return Err(VaultError::Misplaced { wanted, found: "a text that does not say what it is".to_owned() });
        };
        match claim.split(' ').next() {
            Some(VERSION) => Err(VaultError::Misplaced { wanted, found: escape_line(MARK, claim) }),
            _ => Err(VaultError::NewerFormat(Content::Secret)),
        }
    }
}

/// Keeps the line one line of words that each say one thing: an authority's id is hexadecimal, and anything else
/// is written so that two ids cannot give one line.
fn one_word(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// As [`escape`], which shows 80 characters, but long enough for every line of ours.
fn escape_line(mark: &str, claim: &str) -> String {
    claim.split(' ').take(6).fold(mark.trim_end().to_owned(), |line, word| line + " " + &escape(word))
}

const MARK: &str = "vpnpki-sealed ";
const VERSION: &str = "1";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    #[test]
    fn lines_say_what_where_and_whose() {
        let serial = Serial::from_octets(&[0x41, 0xff]).unwrap();
        assert_eq!(Binding::ca_key("ab12", &serial).line(), "vpnpki-sealed 1 kind=ca-key authority=ab12 serial=41FF");
        assert_eq!(
            Binding::private_key("ab12", &name("jo@home"), &serial).line(),
            "vpnpki-sealed 1 kind=private-key authority=ab12 peer=jo@home serial=41FF"
        );
        assert_eq!(
            Binding::control_channel_key("ab12", None).line(),
            "vpnpki-sealed 1 kind=control-channel-key authority=ab12"
        );
    }

    #[test]
    fn no_authority_can_pretend_to_be_more() {
        let line = Binding::control_channel_key("ab peer=x\n%", None).line();
        assert_eq!(line, "vpnpki-sealed 1 kind=control-channel-key authority=ab%20peer%3Dx%0A%25");
    }

    #[test]
    fn a_line_that_is_not_ours_is_not_repeated() {
        let error = Binding::control_channel_key("ab", None).check(b"hunter2").unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
    }

    proptest! {
        #[test]
        fn only_the_same_binding_passes(
            kinds in (0..3, 0..3),
            authorities in ("[ab %]{0,2}", "[ab %]{0,2}"),
            peers in ("[ab]", "[ab]"),
            serials in (1u8..3, 1u8..3),
        ) {
            let make = |kind: i32, authority: &str, peer: &str, serial: u8| {
                let serial = Serial::from_octets(&[serial]).unwrap();
                match kind {
                    0 => Binding::ca_key(authority, &serial),
                    1 => Binding::private_key(authority, &name(peer), &serial),
                    _ => Binding::control_channel_key(authority, Some(&name(peer))),
                }
            };
            let one = make(kinds.0, &authorities.0, &peers.0, serials.0);
            let other = make(kinds.1, &authorities.1, &peers.1, serials.1);
            prop_assert_eq!(one.check(other.line().as_bytes()).is_ok(), one == other);
        }

        #[test]
        fn no_line_panics_or_reaches_a_terminal(
            line in prop::collection::vec(any::<u8>(), 0..60),
            text in "vpnpki-sealed 1 .{0,40}",
        ) {
            let binding = Binding::control_channel_key("ab", None);
            prop_assert!(binding.check(&line).is_err());
            let message = binding.check(text.as_bytes()).unwrap_err().to_string();
            prop_assert!(message.chars().all(|c| c.is_ascii() && !c.is_ascii_control()), "{}", message);
        }
    }
}
