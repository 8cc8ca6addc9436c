//! What only real peers can prove: that `OpenVPN`, `OpenSSL` and others accept what we write and refuse what we revoked.
//! Needs root, network namespaces and the programs that `tests/install` brings; `tests/run` runs it.

#![expect(clippy::disallowed_methods, reason = "tests touch the disk and the environment as a user would")]

#[path = "../common/mod.rs"]
mod common;

mod age;
mod bulk;
mod client_keys;
mod clock;
mod connect;
mod crash;
mod disk;
mod doctor;
mod durable;
mod encrypted;
mod formats;
mod kills;
mod life;
mod lints;
mod lockout;
mod made;
mod mount;
mod network;
mod openvpn;
mod paths;
mod profiles;
mod publishing;
mod races;
mod reference;
mod requests;
mod revocation;
mod serials;
mod sessions;
mod site;
mod state;
mod sticks;
mod stored;
mod strace;
mod together;
mod vault;
