//! Client programs: which bundle each takes, and what is known to fail with it, each with its reason, the way out and
//! where that is said.
//! Knows no settings and no key: a profile comes in as facts, so that profiles of others can be judged by the same table.

mod rules;
mod what;

use std::{fmt, str::FromStr};

use super::Format;
use crate::{
    openvpn::directive,
    pki::{KeyEncryption, KeyLock},
};

/// A program that a bundle is made for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Program {
    /// `OpenVPN` 2.4, of any system.
    Openvpn24,
    /// `OpenVPN` 2.5.
    Openvpn25,
    /// `OpenVPN` from 2.6 on.
    Openvpn,
    /// `OpenVPN` GUI.
    Windows,
    /// On macOS.
    Tunnelblick,
    /// With network-manager-openvpn.
    NetworkManager,
    /// `OpenVPN` Connect on a desktop.
    Connect,
    /// `OpenVPN` Connect.
    Ios,
    /// `OpenVPN` Connect.
    Android,
    /// `OpenVPN` for Android.
    IcsOpenvpn,
    /// The VPN client of `ChromeOS`.
    Chromeos,
    /// The build with mbed TLS.
    Openwrt,
    /// `MikroTik`'s.
    Routeros,
    /// The program that AWS gives to users of its endpoints.
    AwsClientVpn,
}

/// What is known of a profile and the keys behind it.
#[derive(Clone, Copy, Default)]
pub struct Facts<'f> {
    /// Its directives as words, in their order; an inline block is the one word `<ca>`.
    pub directives: &'f [Vec<String>],
    /// Whose key is of which kind, as far as that is known.
    pub keys: &'f [(Holder, KeyKind)],
    /// What the client's key is encrypted by, where it is.
    pub lock: Option<KeyLock>,
    /// How long it is.
    pub bytes: Option<usize>,
}

/// Whose key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Holder {
    /// The client's own.
    Client,
    /// Of a server that it connects to.
    Server,
    /// The CA's.
    Ca,
}

/// The kind of a key, as far as programs differ about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyKind {
    /// RSA of any size.
    Rsa,
    /// P-256 or P-384.
    Nist,
    /// P-521, which smaller builds leave out.
    P521,
    /// Ed25519 or Ed448.
    Edwards,
    /// Another curve.
    Other,
}

/// Something that a program is known to fail with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// What: a directive in backticks, a key, a size.
    pub what: String,
    /// What the program does with it.
    pub why: &'static str,
    /// What works instead.
    pub way: &'static str,
    /// Where that is said.
    pub source: &'static str,
}

/// Everything in the profile that the program is known to fail with.
pub fn refusals(program: Program, facts: &Facts) -> Vec<Refusal> {
    let mut found: Vec<Refusal> = Vec::new();
    for rule in rules::RULES.iter().filter(|rule| rule.whom.contains(&program)) {
        for what in rule.what.found(facts) {
            let refusal = Refusal { what, why: rule.why, way: rule.way, source: rule.source };
            if !found.iter().any(|other| other.what == refusal.what) {
                found.push(refusal);
            }
        }
    }
    found
}

/// Refusals as one sentence, each reason said once.
pub fn reasons(refusals: &[Refusal]) -> String {
    let mut reasons: Vec<(String, &str)> = Vec::new();
    for Refusal { what, why, .. } in refusals {
        match reasons.iter_mut().find(|(_, other)| other == why) {
            Some((whats, _)) => whats.extend([", ", what]),
            None => reasons.push((what.clone(), why)),
        }
    }
    reasons.iter().map(|(whats, why)| format!("{whats}: {why}")).collect::<Vec<_>>().join("; ")
}

/// The directives of a profile as facts have them. Lines that cannot be read are left out: whoever made the profile has
/// judged them already.
pub fn directives(profile: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut inside: Option<String> = None;
    for line in profile.lines() {
        if let Some(end) = &inside {
            if line.trim_start().starts_with(end.as_str()) {
                inside = None;
            }
        } else if let Some(tag) = line.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')) {
            inside = Some(format!("</{tag}>"));
            found.push(vec![line.to_owned()]);
        } else if let Ok(read) = directive::read(line) {
            found.extend((!read.words.is_empty()).then_some(read.words));
        }
    }
    found
}

impl Program {
    /// Every program, in the order in which they are named to people.
    pub const ALL: [Self; 14] = [
        Self::Openvpn,
        Self::Openvpn25,
        Self::Openvpn24,
        Self::Windows,
        Self::Tunnelblick,
        Self::NetworkManager,
        Self::Connect,
        Self::Ios,
        Self::Android,
        Self::IcsOpenvpn,
        Self::Chromeos,
        Self::Openwrt,
        Self::Routeros,
        Self::AwsClientVpn,
    ];

    /// As it is typed.
    pub fn word(self) -> &'static str {
        match self {
            Self::Openvpn24 => "openvpn24",
            Self::Openvpn25 => "openvpn25",
            Self::Openvpn => "openvpn",
            Self::Windows => "windows",
            Self::Tunnelblick => "tunnelblick",
            Self::NetworkManager => "networkmanager",
            Self::Connect => "connect",
            Self::Ios => "ios",
            Self::Android => "android",
            Self::IcsOpenvpn => "ics-openvpn",
            Self::Chromeos => "chromeos",
            Self::Openwrt => "openwrt",
            Self::Routeros => "routeros",
            Self::AwsClientVpn => "aws-client-vpn",
        }
    }

    /// What people call it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Openvpn24 => "OpenVPN 2.4",
            Self::Openvpn25 => "OpenVPN 2.5",
            Self::Openvpn => "OpenVPN 2.6 and later",
            Self::Windows => "OpenVPN GUI on Windows",
            Self::Tunnelblick => "Tunnelblick on macOS",
            Self::NetworkManager => "NetworkManager on Linux",
            Self::Connect => "OpenVPN Connect on Windows, macOS and Linux",
            Self::Ios => "OpenVPN Connect on iOS",
            Self::Android => "OpenVPN Connect on Android",
            Self::IcsOpenvpn => "OpenVPN for Android",
            Self::Chromeos => "ChromeOS",
            Self::Openwrt => "OpenWrt",
            Self::Routeros => "MikroTik RouterOS 7",
            Self::AwsClientVpn => "the client that AWS provides",
        }
    }

    /// The formats that it takes, the one that is made by default first. `OpenVPN` Connect, `OpenVPN` for Android and the
    /// importers of the others read one file (openvpn3, merge.hpp; ics-openvpn, `ConfigParser.java`), and a PKCS#12 beside
    /// it, which Connect on iOS takes by the name of `.ovpn12` only; the folder of `OpenVPN` GUI can be filled by hand.
    pub fn formats(self) -> &'static [Format] {
        match self {
            Self::Openvpn24 | Self::Openvpn25 | Self::Openvpn | Self::Windows => {
                &[Format::Ovpn, Format::Zip, Format::Dir, Format::P12]
            }
            Self::Tunnelblick => &[Format::Tblk, Format::Ovpn],
            Self::NetworkManager => &[Format::Ovpn, Format::Nm, Format::P12],
            Self::Connect | Self::Android | Self::IcsOpenvpn => &[Format::Ovpn, Format::P12],
            Self::Ios => &[Format::Ovpn, Format::Ovpn12],
            Self::Openwrt => &[Format::Uci, Format::Ovpn, Format::Zip, Format::Dir],
            Self::Chromeos => &[Format::Onc],
            Self::Routeros | Self::AwsClientVpn => &[Format::Ovpn],
        }
    }

    /// How a private key is encrypted for it where there is a passphrase.
    pub fn key_encryption(self) -> KeyEncryption {
        match self {
            // its mbed TLS reads nothing better, as is said there
            Self::Openwrt => KeyEncryption::DesEde3,
            _ => KeyEncryption::default(),
        }
    }
}

impl KeyKind {
    /// Of a key that is named as in certificates of the inventory: `p256`, `rsa2048`, `ed25519`.
    pub fn of(algorithm: &str) -> Self {
        match algorithm {
            "p256" | "p384" => Self::Nist,
            "p521" => Self::P521,
            "ed25519" | "ed448" => Self::Edwards,
            _ if algorithm.starts_with("rsa") => Self::Rsa,
            _ => Self::Other,
        }
    }
}

impl FromStr for Program {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|program| program.word() == text).ok_or_else(|| {
            let words = Self::ALL.map(Self::word).join(", ");
            format!("`{}` is no program; there are {words}", crate::name::escape(text))
        })
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// What programs with a configuration of their own say to `OpenVPN` by themselves, or what changes nothing that they could
/// be told: directives that need no place there.
pub(super) const OF_ANY_CLIENT: [&str; 10] = [
    "client",
    "nobind",
    "resolv-retry",
    "persist-tun",
    "persist-key",
    "auth-nocache",
    "verb",
    "mute",
    "explicit-exit-notify",
    "ignore-unknown-option",
];

#[cfg(test)]
mod tests;
