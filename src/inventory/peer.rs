//! Peers: the named endpoints of the network.
//! Knows nothing of keys or files.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{inventory::Digest, name::Name, serial::Serial, time::Time};

/// A named endpoint with a role. Its name stays its own for ever; its certificates come and go.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Peer {
    /// As first spelled.
    pub name: Name,
    /// What its certificates are for.
    pub role: Role,
    /// When the name was first given.
    pub created: Time,
    /// The certificate in bundles made now.
    pub current: Serial,
    /// How to reach whoever has it, in a person's words; at most one line.
    pub note: Option<String>,
    /// The digest of what settings and templates put into its newest bundle; none where no bundle was made.
    pub bundle: Option<Digest>,
    /// The public keys (age, SSH, plugin) to which bundles are encrypted, one line each; none for bundles in clear.
    #[serde(default)]
    pub recipients: Vec<String>,
}

/// Which end of a connection a certificate is for: its extended key usage.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// EKU clientAuth.
    Client,
    /// EKU serverAuth.
    Server,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Client => "client",
            Self::Server => "server",
        })
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "client" => Ok(Self::Client),
            "server" => Ok(Self::Server),
            _ => Err(format!("`{}` is no role; there are `client` and `server`", crate::name::escape(text))),
        }
    }
}
