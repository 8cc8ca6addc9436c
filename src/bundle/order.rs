//! What can be asked of a bundle: its format and how it is made.
//! Knows no bundle's contents.

use std::{fmt, str::FromStr};

use crate::{
    bundle::BundleError,
    inventory::Role,
    name::escape,
    pki::{KeyEncryption, Pkcs12Encryption},
};

/// What is asked of a bundle, whosever it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// None: the role's own, `ovpn` for clients and `dir` for servers.
    pub format: Option<Format>,
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
    /// The key and the certificates as PKCS#12, without a profile.
    P12,
    /// A zip of a profile without certificate and key, and of both as PKCS#12: `OpenVPN` Connect on iOS asks for them.
    Ovpn12,
}

impl Order {
    /// The format of a bundle of this role.
    pub fn format(&self, role: Role) -> Format {
        self.format.unwrap_or(match role {
            Role::Client => Format::Ovpn,
            Role::Server => Format::Dir,
        })
    }

    /// Whether a bundle of this role can be like this.
    pub fn check(&self, role: Role) -> Result<(), BundleError> {
        match (role, self.format(role)) {
            (Role::Client, _) | (Role::Server, Format::Dir | Format::Zip) => Ok(()),
            (Role::Server, format) => Err(BundleError::NotForServers(format)),
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
    pub const ALL: [Self; 5] = [Self::Ovpn, Self::Zip, Self::Dir, Self::P12, Self::Ovpn12];

    /// As it is typed.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ovpn => "ovpn",
            Self::Zip => "zip",
            Self::Dir => "dir",
            Self::P12 => "p12",
            Self::Ovpn12 => "ovpn12",
        }
    }

    /// The extension of its file; none for a directory.
    pub fn extension(self) -> Option<&'static str> {
        match self {
            Self::Ovpn => Some("ovpn"),
            Self::Zip => Some("zip"),
            Self::Dir => None,
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
