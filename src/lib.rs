//! `vpnpki` gives people access to an `OpenVPN` network and takes it back. This page is the map of its rooms; the program
//! itself is [`cli::main`]. `tests/map.rs` holds the map, and who may use whom, against the files.
//!
//! # The rooms
//!
//! Words, each parsed once at the edge; what cannot be, cannot be built:
//! - [`name`]: of a peer; safe at once as a CN, a file name and an `OpenVPN` token.
//! - [`serial`]: of a certificate, octets and never a number.
//! - [`time`]: seconds of UTC.
//! - [`validity`]: the first and the last second of something signed.
//! - [`secret`]: bytes that are wiped and never printed.
//!
//! Rooms that only compute; they read no clock, file or environment:
//! - [`inventory`]: peers, certificates and their status, what an act changes, the ledger's entries, what is due.
//! - [`pki`]: keys, certificates, CRLs, PKCS#12, and the check that reads back what was signed.
//! - [`settings`]: `vpnpki.toml`, every fault with its line.
//! - [`template`]: the configurations' templates, built in or a user's own.
//! - [`openvpn`]: directives and their quoting, `ta.key`, Diffie-Hellman groups, what configurations are made of.
//! - [`render`]: files for the host, such as units of systemd.
//! - [`bundle`]: what a peer needs, as one file, a zip, a directory or PKCS#12.
//! - [`import`]: profiles, archives and keys of other programs, and lists of people, read.
//! - [`handshake`]: TLS between two ends in memory, and who refuses whom.
//! - [`findings`]: what is due, wrong or worth knowing, and who is locked out when.
//!
//! Rooms with an effect each:
//! - [`vault`]: seals and unseals secrets as age files.
//! - [`store`]: the database, behind one trait; all of the SQL.
//! - [`files`]: the disk.
//! - [`sessions`]: the sockets, to `OpenVPN`'s management interface.
//! - [`publish`]: the directories in which servers read their CRL, reached through `files`, and the program that the
//!   settings name to be run after it.
//! - [`world`]: clock and randomness.
//!
//! Rooms that bring the others together:
//! - [`authority`]: the acts that end in a commit, one file each.
//! - [`enroll`]: a key that stays with its owner, and the answer to its request put together; without the authority.
//! - [`install`]: a CRL that was carried to a host without the authority.
//! - [`cli`]: arguments, prompts, reports and exit codes, one file for each command.
//!
//! # The life of `vpnpki issue laptop-7`
//!
//! 1. [`cli::main`] takes secrets out of the environment and parses `laptop-7` by [`Name::parse`](name::Name::parse).
//! 2. [`Authority::open`](authority::Authority::open) checks whose the directory is
//!    ([`files::check_authority_directory`]) and opens the database ([`store::open`]).
//! 3. [`Authority::issue`](authority::Authority::issue) is the act. It loads the settings ([`settings::load`]) and the
//!    templates ([`Templates::with_overrides`](template::Templates::with_overrides)); their faults end it here.
//! 4. In one consistent view ([`Store::snapshot`](store::Store::snapshot)) the name is free, or the act ends.
//! 5. [`Authority::unlock`](authority::Authority::unlock) opens the vault ([`vault::open_any`]) with what a
//!    [`Keyholder`](authority::Keyholder) brings: a passphrase or an identity.
//! 6. [`PrivateKey::generate`](pki::PrivateKey::generate) makes the key, and [`VaultKeys::seal`](vault::VaultKeys::seal)
//!    seals it to its [`Binding`](vault::Binding), before anyone else has to wait; [`World::random`](world::World::random)
//!    gives the bytes of [`Serial::fresh`](serial::Serial::fresh). For many names all cores do this, and steps 9 to 11, while
//!    the batches before are committed; what does not fit the store any more, step 7 makes anew.
//! 7. [`Store::begin`](store::Store::begin) opens the one writing transaction; the name is looked up again.
//! 8. [`trust::check`](authority::trust::check) holds the store against its ledger; on a mismatch nothing is issued.
//! 9. [`Unlocked`](authority::Unlocked) gives the CA's key, compared with its certificate.
//! 10. [`pki::sign_leaf`] signs, reads back what it signed, and holds it against every rule.
//! 11. [`bundle::client_ovpn`] makes the bundle, and [`files::Tray::stage`] writes it to the disk as a file without a name:
//!     a full disk or a file in the way is found now, and rolls everything back.
//! 12. [`Writing::record_issued`](store::Writing::record_issued) takes over each [`Change`](inventory::Change).
//! 13. [`Writing::commit`](store::Writing::commit) appends the ledger's [`Entry`](inventory::Entry) and makes all of it
//!     durable. From here on `laptop-7` has access, whatever happens.
//! 14. [`files::release_all`] links `laptop-7.ovpn` into place and syncs its directory.
//! 15. [`Authority::publish`](authority::Authority::publish) brings the CRL to servers that are behind ([`publish::put`]).
//! 16. [`Issued`](authority::issue::Issued) is what happened, for people or as JSON; [`cli::Exit`] is the exit code.

pub mod authority;
pub mod bundle;
pub mod cli;
pub mod enroll;
pub mod files;
pub mod findings;
pub mod handshake;
pub mod import;
pub mod install;
pub mod inventory;
pub mod name;
pub mod openvpn;
pub mod pki;
pub mod publish;
pub mod render;
pub mod secret;
pub mod serial;
pub mod sessions;
pub mod settings;
pub mod store;
pub mod template;
pub mod time;
pub mod validity;
pub mod vault;
pub mod world;
