//! What rules look for in a profile and the keys behind it, and how what they found is named to people.
//! Knows no program.

use super::{Facts, Holder, KeyKind};
use crate::pki::KeyLock;

/// What a rule looks for.
pub enum What {
    /// A directive of one of these names, or an inline block.
    Directive(&'static [&'static str]),
    /// A directive that is not known. `ignore-unknown-option` before it, or `setenv opt`, mends that.
    Unknown(&'static [&'static str]),
    /// The same for a program that looks for `ignore-unknown-option` in the whole profile.
    UnknownAnywhere(&'static [&'static str]),
    /// A directive whose name begins so.
    Prefix(&'static str),
    /// A directive outside this list.
    DirectiveOtherThan(&'static [&'static str]),
    /// An inline block outside this list.
    BlockOtherThan(&'static [&'static str]),
    /// A device that carries frames.
    Tap,
    /// A mode of one directive other than this one.
    OtherThan(&'static str, &'static str),
    /// A cipher for the data channel without authentication of its own.
    CipherNotGcm,
    /// A `tun-mtu` below this.
    MtuBelow(u32),
    /// Someone's key.
    Key(Holder, &'static [KeyKind]),
    /// The client's key, encrypted by one of these.
    Locked(&'static [KeyLock]),
    /// More bytes than this.
    Larger(usize),
}

impl What {
    /// What of it is there, as it is named to people.
    pub fn found(&self, facts: &Facts) -> Vec<String> {
        match self {
            Self::Directive(names) => named(facts, |name| names.contains(&name)),
            Self::Unknown(names) => unknown(facts, names, false),
            Self::UnknownAnywhere(names) => unknown(facts, names, true),
            Self::Prefix(begin) => named(facts, |name| name.starts_with(begin)),
            Self::DirectiveOtherThan(names) => named(facts, |name| !names.contains(&name)),
            Self::BlockOtherThan(names) => blocks(facts, names),
            Self::Tap => lines(
                facts,
                |words| matches!(words, [name, kind, ..] if (name == "dev" || name == "dev-type") && kind.starts_with("tap")),
            ),
            Self::OtherThan(name, value) => {
                lines(facts, |words| words[0] == *name && words.get(1).map(String::as_str) != Some(*value))
            }
            Self::CipherNotGcm => lines(
                facts,
                |words| matches!(words, [name, cipher, ..] if name == "cipher" && !cipher.to_ascii_uppercase().ends_with("-GCM")),
            ),
            Self::MtuBelow(least) => lines(
                facts,
                |words| matches!(words, [name, mtu, ..] if name == "tun-mtu" && mtu.parse::<u32>().is_ok_and(|mtu| mtu < *least)),
            ),
            Self::Key(holder, kinds) => keys(facts, *holder, kinds),
            Self::Locked(locks) => facts.lock.filter(|lock| locks.contains(lock)).map(locked).into_iter().collect(),
            Self::Larger(most) => {
                facts.bytes.filter(|bytes| bytes > most).map(|bytes| format!("{bytes} bytes")).into_iter().collect()
            }
        }
    }
}

fn named(facts: &Facts, wanted: impl Fn(&str) -> bool) -> Vec<String> {
    facts.directives.iter().filter(|words| wanted(name(words))).map(|words| format!("`{}`", name(words))).collect()
}

fn lines(facts: &Facts, wanted: impl Fn(&[String]) -> bool) -> Vec<String> {
    facts.directives.iter().filter(|words| wanted(words)).map(|words| format!("`{}`", words.join(" "))).collect()
}

fn unknown(facts: &Facts, names: &[&str], anywhere: bool) -> Vec<String> {
    let ignored =
        |words: &[String], name: &str| words[0] == "ignore-unknown-option" && words.iter().any(|word| word == name);
    let mut found = Vec::new();
    for (place, words) in facts.directives.iter().enumerate() {
        let before = if anywhere { facts.directives } else { &facts.directives[..place] };
        let name = name(words);
        if names.contains(&name) && !before.iter().any(|words| ignored(words, name)) {
            found.push(format!("`{name}`"));
        }
    }
    found
}

fn blocks(facts: &Facts, names: &[&str]) -> Vec<String> {
    let block = |words: &Vec<String>| words[0].starts_with('<') && !names.contains(&name(words));
    facts.directives.iter().filter(|words| block(words)).map(|words| format!("`{}`", words[0])).collect()
}

fn keys(facts: &Facts, holder: Holder, kinds: &[KeyKind]) -> Vec<String> {
    let whose = match holder {
        Holder::Client => "the client's key",
        Holder::Server => "the server's key",
        Holder::Ca => "the CA's key",
    };
    let found = facts.keys.iter().filter(|(other, kind)| *other == holder && kinds.contains(kind));
    found.map(|(_, kind)| format!("{whose} ({})", kind_title(*kind))).collect()
}

fn kind_title(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::Rsa => "RSA",
        KeyKind::Nist => "P-256 or P-384",
        KeyKind::P521 => "P-521",
        KeyKind::Edwards => "Ed25519",
        KeyKind::Other => "another curve",
    }
}

fn locked(lock: KeyLock) -> String {
    let scheme = match lock {
        KeyLock::DesEde3 => "3DES",
        KeyLock::Aes => "AES",
        KeyLock::Scrypt => "scrypt",
        KeyLock::Other => "another scheme than 3DES",
    };
    format!("the client's key (encrypted by {scheme})")
}

/// Of a directive or an inline block.
fn name(words: &[String]) -> &str {
    let word = words[0].as_str();
    word.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).unwrap_or(word)
}
