//! What can be asked of a bundle: its format and how it is made.
//! Knows no bundle's contents.

use std::{fmt, str::FromStr};

use super::{BundleError, Program};
use crate::{inventory::Role, name::escape};

/// What is asked of a bundle, whosever it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// None: the program's, or the role's own: `ovpn` for clients and `dir` for servers.
    pub format: Option<Format>,
    /// The program that it is for; none: it works with all of them.
    pub program: Option<Program>,
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

    /// Whether such a bundle can be there at all for someone of this role.
    pub fn check(&self, role: Role) -> Result<(), BundleError> {
        let format = self.format(role);
        match self.program {
            Some(program) if role == Role::Server => Err(BundleError::ProgramOfServer(program)),
            Some(program) if !program.formats().contains(&format) => {
                Err(BundleError::ForeignFormat { program, format })
            }
            _ => Ok(()),
        }
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
    pub const ALL: [Self; 6] = [Self::Ovpn, Self::Zip, Self::Dir, Self::Tblk, Self::Nm, Self::Uci];

    /// As it is typed.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ovpn => "ovpn",
            Self::Zip => "zip",
            Self::Dir => "dir",
            Self::Tblk => "tblk",
            Self::Nm => "nm",
            Self::Uci => "uci",
        }
    }

    /// What it is, for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Ovpn => "one profile with everything in it",
            Self::Zip => "config.ovpn and the files it names, zipped",
            Self::Dir => "the same files in a directory",
            Self::Tblk => "a package for Tunnelblick, zipped",
            Self::Nm => "for NetworkManager: `unzip -d /` as root, then `nmcli connection reload`",
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
        }
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
