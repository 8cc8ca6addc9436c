//! The command line as users and scripts meet it: words, exit codes, files, refusals.
//! Needs no root, no peer and no network; what only real peers can prove is in `tests/peers`.

#![expect(clippy::disallowed_methods, reason = "tests touch the disk and the environment as a user would")]

#[path = "../common/mod.rs"]
mod common;

mod after;
mod backup;
mod bulk;
mod bundles;
mod database;
mod doctor;
mod encrypted;
mod encryption;
mod exits;
mod faults;
mod forget;
mod golden;
mod install;
mod json;
mod keyholders;
mod life;
mod live;
mod management;
mod mixed;
mod modes;
mod names;
mod passphrases;
mod plugins;
mod programs;
mod redact;
mod requests;
mod revocation;
mod rollback;
mod scripts;
mod settings;
mod site;
mod status;
mod systemd;
mod tampering;
mod templates;
mod terminal;
mod unlockers;
mod verify;
