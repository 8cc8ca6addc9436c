//! Public keys that the vault can be locked to: age's X25519 keys, SSH keys and keys of age plugins.
//! Refuses to know private keys, and never repeats one that was given by mistake.

use std::{fmt, str::FromStr};

use age::{plugin, ssh::ParseRecipientKeyError};

use super::{plugin::Plugins, ssh, x25519, VaultError};
use crate::name::escape;

/// A public key: `age1…`, `ssh-ed25519 …`, `ssh-rsa …` or `age1NAME1…` of a plugin.
#[derive(Clone)]
pub struct Recipient {
    key: PublicKey,
    text: String,
    comment: Option<String>,
}

/// Why a text is no recipient. The text is shown only where it cannot be a secret.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RecipientError {
    /// No text.
    #[error("a recipient is missing: give `age1...` or the line of an SSH public key")]
    Empty,
    /// Somebody's secret, now on a command line or in a file of recipients.
    #[error(
        "a private key was given where a recipient belongs, and was not used; \
             `age-keygen -y FILE` or `ssh-keygen -y -f FILE` prints the public one"
    )]
    PrivateKey,
    /// More than one line.
    #[error("several lines were given as one recipient; give each line as a recipient of its own")]
    SeveralLines,
    /// Neither age's nor SSH's; not shown, since it may be a passphrase.
    #[error(
        "what was given as recipient is neither `age1...` nor the line of an `ssh-ed25519` or `ssh-rsa` \
             public key; the key in a file is given as `\"$(cat FILE)\"`"
    )]
    Unknown,
    /// A mistyped or cut key.
    #[error("`{0}` is no whole public key: characters are missing or wrong; copy it again")]
    Malformed(String),
    /// A key that age knows but this program does not.
    #[error("{0} are not supported as recipients; use `age1...` as `age-keygen` makes it, `ssh-ed25519` or `ssh-rsa`")]
    Unsupported(String),
    /// An RSA key of a size that protects nothing, or that takes too long.
    #[error("an `ssh-rsa` key has 2048 to 4096 bits, this one has {0}")]
    RsaSize(&'static str),
}

impl Recipient {
    /// Parses a recipient; the only door.
    pub fn parse(text: &str) -> Result<Self, RecipientError> {
        let text = text.trim();
        if text.to_ascii_uppercase().contains("AGE-SECRET-KEY-") || text.contains("PRIVATE KEY") {
            Err(RecipientError::PrivateKey)
        } else if text.is_empty() {
            Err(RecipientError::Empty)
        } else if text.contains(['\n', '\r']) {
            Err(RecipientError::SeveralLines)
        } else if text.starts_with("age1") {
            age_key(text)
        } else {
            ssh_key(text)
        }
    }

    /// `age`, `ssh-ed25519`, `ssh-rsa` or `plugin`.
    pub fn kind(&self) -> &'static str {
        match &self.key {
            PublicKey::Age(_) => "age",
            PublicKey::Ssh(age::ssh::Recipient::SshEd25519(..)) => "ssh-ed25519",
            PublicKey::Ssh(age::ssh::Recipient::SshRsa(..)) => "ssh-rsa",
            PublicKey::Plugin(_) => "plugin",
        }
    }

    /// How people know it: the SSH key's comment, or else the key's first and last characters.
    pub fn label(&self) -> String {
        self.comment.clone().unwrap_or_else(|| shortened(&self.text))
    }

    /// Whether a program of somebody else is run to lock something to it.
    pub fn needs_plugin(&self) -> bool {
        matches!(self.key, PublicKey::Plugin(_))
    }

    /// That of this private key.
    pub(super) fn of(identity: &x25519::Identity) -> Self {
        let key = PublicKey::Age(identity.recipient().clone());
        Self { key, text: identity.recipient_text(), comment: None }
    }

    pub(super) fn key(&self, plugins: &Plugins) -> Result<Box<dyn age::Recipient + '_>, VaultError> {
        Ok(match &self.key {
            PublicKey::Age(key) => Box::new(key.clone()),
            PublicKey::Ssh(key) => Box::new(key.clone()),
            PublicKey::Plugin(key) => Box::new(
                plugins.recipient(key).map_err(|_| VaultError::PluginMissing(super::plugin::binary(key.plugin())))?,
            ),
        })
    }
}

impl fmt::Display for Recipient {
    /// One line that parses back to the same.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        self.comment.as_ref().map_or(Ok(()), |comment| write!(f, " {comment}"))
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Two recipients are one when the key is; comments do not count.
impl PartialEq for Recipient {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Recipient {}

impl FromStr for Recipient {
    type Err = RecipientError;

    fn from_str(text: &str) -> Result<Self, RecipientError> {
        Self::parse(text)
    }
}

#[derive(Clone)]
enum PublicKey {
    Age(x25519::Recipient),
    Ssh(age::ssh::Recipient),
    Plugin(plugin::Recipient),
}

fn age_key(text: &str) -> Result<Recipient, RecipientError> {
    if let Ok(key) = text.parse::<x25519::Recipient>() {
        return Ok(Recipient { key: PublicKey::Age(key), text: text.to_owned(), comment: None });
    }
    // `age1NAME1…` in Bech32: the last `1` ends the prefix, since no `1` is among the data characters
    let inner = text.rfind('1').and_then(|end| text.get("age1".len()..end)).unwrap_or_default();
    let kind = match inner {
        "" => return Err(RecipientError::Malformed(shortened(text))),
        "pq" | "tagpq" => "age's post-quantum keys".to_owned(),
        "tag" => "age's hardware keys".to_owned(),
        _ => return plugin_key(text),
    };
    Err(RecipientError::Unsupported(kind))
}

/// Whether the key is one its plugin knows shows when something is locked to it.
fn plugin_key(text: &str) -> Result<Recipient, RecipientError> {
    let key: plugin::Recipient = text.parse().map_err(|_| RecipientError::Malformed(shortened(text)))?;
    Ok(Recipient { key: PublicKey::Plugin(key), text: text.to_owned(), comment: None })
}

fn ssh_key(text: &str) -> Result<Recipient, RecipientError> {
    let mut words = text.split_ascii_whitespace();
    let kind = words.next().unwrap_or_default();
    if !["ssh-", "ecdsa-", "sk-"].iter().any(|prefix| kind.starts_with(prefix)) {
        return Err(RecipientError::Unknown);
    }
    if !matches!(kind, "ssh-ed25519" | "ssh-rsa") {
        return Err(RecipientError::Unsupported(format!("SSH keys of type `{}`", escape(kind))));
    }
    let malformed = || RecipientError::Malformed(shortened(kind));
    let blob = words.next().filter(|blob| ssh::is_sound_public(blob)).ok_or_else(malformed)?;
    let line = format!("{kind} {blob}");
    let key: age::ssh::Recipient = line.parse().map_err(|error| match error {
        ParseRecipientKeyError::RsaModulusTooLarge => RecipientError::RsaSize("more"),
        ParseRecipientKeyError::RsaModulusTooSmall => RecipientError::RsaSize("fewer"),
        _ => malformed(),
    })?;
    // age reads as far as it understands; a key with something behind it is another key to SSH
    if key.to_string() != line {
        return Err(malformed());
    }
    let comment: Vec<&str> = words.collect();
    Ok(Recipient { key: PublicKey::Ssh(key), text: line, comment: printable(&comment.join(" ")) })
}

/// A comment is anybody's text: cut, and what is not printable ASCII replaced.
fn printable(comment: &str) -> Option<String> {
    let plain = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
    let shown: String = comment.chars().take(COMMENT).map(plain).collect();
    let shown = shown.trim_end();
    (!shown.is_empty()).then(|| shown.to_owned())
}

fn shortened(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    match characters.len() {
        0..=24 => escape(text),
        length => {
            let piece = |range: &[char]| escape(&range.iter().collect::<String>());
            format!("{}...{}", piece(&characters[..12]), piece(&characters[length - 6..]))
        }
    }
}

const COMMENT: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const AGE: &str = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";
    const PLUGIN: &str = "age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t";
    const ED25519: &str = include_str!("fixtures/ed25519.pub");
    const RSA: &str = include_str!("fixtures/rsa.pub");

    fn refusal(text: &str) -> String {
        Recipient::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn the_kinds_are_read_and_written_back() {
        for (text, kind, label) in [
            (AGE, "age", "age1t7rxyev2...vpy7pa"),
            (ED25519, "ssh-ed25519", "throw-away key of the tests"),
            (RSA, "ssh-rsa", "throw-away key of the tests"),
            (PLUGIN, "plugin", "age1yubikey1...3rhl3t"),
        ] {
            let recipient = Recipient::parse(text).unwrap();
            assert_eq!((recipient.kind(), recipient.label().as_str()), (kind, label));
            assert_eq!(recipient.to_string(), text.trim());
        }
    }

    #[test]
    fn comments_are_not_the_key() {
        let line = ED25519.split(" throw").next().unwrap();
        let bare = Recipient::parse(line).unwrap();
        assert_eq!(bare, Recipient::parse(ED25519).unwrap());
        assert_eq!(bare.label(), format!("ssh-ed25519 ...{}", &line[line.len() - 6..]));
        assert_ne!(bare, Recipient::parse(RSA).unwrap());
        let odd = Recipient::parse(&format!("{line}  j\u{fc}rgen\u{1b}[31m  b\\c")).unwrap();
        assert_eq!(odd.label(), "j?rgen?[31m b\\c");
    }

    #[test]
    fn a_private_key_is_refused_and_not_repeated() {
        let age_key = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33";
        for text in [age_key, &age_key.to_lowercase(), include_str!("fixtures/ed25519"), include_str!("fixtures/rsa")] {
            assert_eq!(Recipient::parse(text), Err(RecipientError::PrivateKey));
        }
        assert!(!refusal(age_key).contains("GQ97"));
        assert!(!refusal("correct horse battery staple").contains("horse"), "it may be a passphrase");
    }

    #[test]
    fn what_is_refused_says_why() {
        let ecdsa = include_str!("fixtures/ecdsa.pub");
        let short_rsa = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC7";
        let zero = "ssh-rsa AAAAB3NzaC1yc2EAAAABAAAAAAEA";
        for (text, why) in [
            ("", "missing"),
            ("laptop.pub", "neither"),
            (&AGE[..40], "characters are missing"),
            (&AGE.replace("t7rx", "t7rr"), "characters are missing"),
            ("age1pq1qqqq", "post-quantum"),
            (&PLUGIN.replace("qwt5", "qwtt"), "characters are missing"),
            (include_str!("fixtures/rsa-1024.pub"), "this one has fewer"),
            (ecdsa, "`ecdsa-sha2-nistp256`"),
            ("sk-ssh-ed25519@openssh.com AAAA", "sk-ssh-ed25519@openssh.com"),
            (&format!("{ED25519}\n{RSA}"), "several lines"),
            (&ED25519[..60], "characters are missing"),
            ("ssh-ed25519", "characters are missing"),
            (short_rsa, "characters are missing"),
            (zero, "characters are missing"),
        ] {
            let message = refusal(text);
            assert!(message.contains(why), "{text:?}: {message}");
        }
    }

    #[test]
    fn a_key_with_something_behind_it_is_another_key() {
        let blob = ED25519.split(' ').nth(1).unwrap();
        assert!(refusal(&format!("ssh-ed25519 {blob}AAAA")).contains("characters are missing or wrong"));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(age1|ssh-rsa |ssh-ed25519 |sk-)?.{0,80}") {
            if let Err(error) = Recipient::parse(&text) {
                prop_assert!(error.to_string().chars().all(|c| c.is_ascii() && !c.is_ascii_control()), "{}", error);
            }
        }

        #[test]
        fn no_changed_key_panics(place in 0usize..360, with in "[A-Za-z0-9+/=]") {
            let mut text = RSA.to_owned();
            text.replace_range(place..=place, &with);
            if let Ok(recipient) = Recipient::parse(&text) {
                prop_assert_eq!(Recipient::parse(&recipient.to_string()), Ok(recipient));
            }
        }
    }
}
