//! What can be asked of a bundle: its format and how it is made.
//! Knows no bundle's contents.

use std::{fmt, str::FromStr};

use super::{BundleError, Program};
use crate::{
    inventory::Role,
    name::escape,
    pki::{KeyEncryption, Pkcs12Encryption},
};

/// What is asked of a bundle, whosever it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// None: the program's, or the role's own: `ovpn` for clients and `dir` for servers.
    pub format: Option<Format>,
    /// The program that it is for; none: it works with all of them.
    pub program: Option<Program>,
    /// How a private key is encrypted where the bundle has a passphrase.
    pub key_encryption: KeyEncryption,
    /// How a PKCS#12 is.
    pub pkcs12: Pkcs12Encryption,
}

/// The shape of a bundle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// One profile with everything inline.
    Ovpn,
    /// A zip of the files.
    Zip,
    /// A directory of the files.
    Dir,
    /// A package for Tunnelblick, zipped.
    Tblk,
    /// A keyfile for NetworkManager and what it names, zipped.
    Nm,
    /// A profile for `OpenWrt` and what has it started, zipped.
    Uci,
    /// A configuration for `ChromeOS`.
    Onc,
    /// The key and the certificates as PKCS#12, without a profile.
    P12,
    /// A zip of a profile without certificate and key, and of both as PKCS#12: `OpenVPN` Connect on iOS asks for them.
    Ovpn12,
}

impl Order {
    /// The format of a bundle of this role.
    pub fn format(&self, role: Role) -> Format {
        self.format.unwrap_or(match (role, self.program) {
            (Role::Client, Some(program)) => program.formats()[0],
            (Role::Client, None) => Format::Ovpn,
            (Role::Server, _) => Format::Dir,
        })
    }

    /// Whether a bundle of this role can be like this.
    pub fn check(&self, role: Role) -> Result<(), BundleError> {
        match (role, self.format(role), self.program) {
            (Role::Server, _, Some(program)) => Err(BundleError::ProgramOfServer(program)),
            (Role::Server, Format::Dir | Format::Zip, None) => Ok(()),
            (Role::Server, format, None) => Err(BundleError::NotForServers(format)),
            (Role::Client, format, Some(program)) if !program.formats().contains(&format) => {
                Err(BundleError::ForeignFormat { program, format })
            }
            (Role::Client, ..) => Ok(()),
        }
    }

    /// Whether a client's bundle can be like this without the private key, which its owner keeps.
    pub fn check_without_key(&self) -> Result<(), BundleError> {
        match self.format(Role::Client) {
            Format::Ovpn | Format::Zip | Format::Dir => Ok(()),
            format => Err(BundleError::KeyElsewhere(format)),
        }
    }

    /// What people should know of clients' bundles that have a passphrase.
    pub fn notes_on_passphrase(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.format(Role::Client).holds_pkcs12() {
            if self.pkcs12 == Pkcs12Encryption::Legacy {
                notes.push(
                    "the PKCS#12 is encrypted by 3DES and SHA-1, weaker than usual: only for importers that read nothing newer"
                        .to_owned(),
                );
            }
            return notes;
        }
        notes.push(
            "OpenVPN asks for the bundle's passphrase at each start; where nobody is there to type it, `askpass FILE` in the profile reads it from a file"
                .to_owned(),
        );
        if self.key_encryption == KeyEncryption::DesEde3 {
            notes.push(
                "the private key is encrypted by 3DES, since mbed TLS before 3.6 reads nothing better: a guess costs a sixth of what it usually does, so `--generate-passphrase` is better than one made up"
                    .to_owned(),
            );
        }
        notes
    }

    /// The name of a bundle whose name begins like this.
    pub fn file_name(&self, stem: &str, role: Role) -> String {
        match self.format(role).extension() {
            Some(extension) => format!("{stem}.{extension}"),
            None => stem.to_owned(),
        }
    }
}

impl Format {
    /// Every format, in the order in which they are named to people.
    pub const ALL: [Self; 9] =
        [Self::Ovpn, Self::Zip, Self::Dir, Self::P12, Self::Ovpn12, Self::Tblk, Self::Nm, Self::Uci, Self::Onc];

    /// As it is typed.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ovpn => "ovpn",
            Self::Zip => "zip",
            Self::Dir => "dir",
            Self::P12 => "p12",
            Self::Ovpn12 => "ovpn12",
            Self::Tblk => "tblk",
            Self::Nm => "nm",
            Self::Uci => "uci",
            Self::Onc => "onc",
        }
    }

    /// What it is, for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Ovpn => "one profile with everything in it",
            Self::Zip => "config.ovpn and the files it names, zipped",
            Self::Dir => "the same files in a directory",
            Self::P12 => "key and certificates alone, as PKCS#12 for a keychain",
            Self::Ovpn12 => "a profile without key and a PKCS#12, zipped, for OpenVPN Connect on iOS",
            Self::Tblk => "a package for Tunnelblick, zipped",
            Self::Nm => "for NetworkManager: `unzip -d /` as root, then `nmcli connection reload`",
            Self::Onc => "for ChromeOS: chrome://network imports it",
            Self::Uci => "for OpenWrt: NAME.ovpn goes to /etc/openvpn, then `uci batch < openvpn.uci`",
        }
    }

    /// The extension of its file; none for a directory.
    pub fn extension(self) -> Option<&'static str> {
        match self {
            Self::Ovpn => Some("ovpn"),
            Self::Zip => Some("zip"),
            Self::Dir => None,
            Self::Tblk => Some("tblk.zip"),
            Self::Nm => Some("nm.zip"),
            Self::Uci => Some("uci.zip"),
            Self::Onc => Some("onc"),
            Self::P12 => Some("p12"),
            Self::Ovpn12 => Some("ovpn12.zip"),
        }
    }

    /// Whether there is a PKCS#12 in it, which is nothing without a passphrase.
    pub fn holds_pkcs12(self) -> bool {
        matches!(self, Self::P12 | Self::Ovpn12)
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|format| format.word() == text).ok_or_else(|| {
            let words = Self::ALL.map(|format| format!("`{format}`"));
            let (last, others) = words.split_last().expect("there are formats");
            format!("`{}` is no format; there are {} and {last}", escape(text), others.join(", "))
        })
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}
