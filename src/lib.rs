//! vpnpki: gives people access to an `OpenVPN` network and takes it back.

pub mod authority;
pub mod bundle;
pub mod cli;
pub mod files;
pub mod inventory;
pub mod name;
pub mod openvpn;
pub mod pki;
pub mod publish;
pub mod secret;
pub mod serial;
pub mod settings;
pub mod store;
pub mod template;
pub mod time;
pub mod validity;
pub mod vault;
pub mod world;
