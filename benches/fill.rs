//! Fills an authority that was made with `--no-passphrase` with many clients: `fill PKI-DIRECTORY COUNT [REVOKED]`.
//! `benches/figures` runs it; under plain `cargo bench` it has nothing to do. Signs nothing.
#![expect(clippy::disallowed_methods, reason = "this is a tool of benchmarks, not of the program")]

mod facts;

use std::{error::Error, path::Path};

use vpnpki::{
    store::{self, Access},
    vault::{self, IdentityFile, Key},
};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let (dir, count, revoked) = match &arguments[..] {
        [dir, count] => (dir, count, "0"),
        [dir, count, revoked] => (dir, count, &**revoked),
        _ => {
            println!("usage: fill PKI-DIRECTORY COUNT [REVOKED]");
            return Ok(());
        }
    };
    fill(Path::new(dir), count.parse()?, revoked.parse()?)
}

fn fill(dir: &Path, count: u32, revoked: u32) -> Result<(), Box<dyn Error>> {
    let identity = IdentityFile::parse(&std::fs::read(dir.join("vault.key"))?)?;
    let store = store::open(dir, Access::Write)?;
    let unlockers = store.snapshot()?.unlockers()?;
    let vault = vault::open_any(unlockers.iter().map(|one| &*one.wrapped), &Key::Identities(&identity))?;
    for from in (0..count).step_by(AT_ONCE) {
        facts::issue(&*store, from, count.min(from + 100), revoked, &|hash| vault.mac(hash))?;
    }
    Ok(())
}

/// Clients in one act: a commit for each of 100,000 would take minutes.
const AT_ONCE: usize = 100;
