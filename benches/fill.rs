//! Fills an authority that was made with `--no-passphrase` with many clients, some of them revoked:
//! `fill PKI-DIRECTORY COUNT [REVOKED]`. Their names and serials are in no order. `benches/figures` runs it; under plain `cargo bench` it has nothing to do. Signs nothing.
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
        [dir, count, revoked] => (dir, count, revoked.as_str()),
        _ => {
            println!("usage: fill PKI-DIRECTORY COUNT [REVOKED]");
            return Ok(());
        }
    };
    fill(Path::new(dir), count.parse()?, revoked.parse()?)
}

/// The revoked ones are spread evenly over all of them.
fn fill(dir: &Path, count: u32, revoked: u32) -> Result<(), Box<dyn Error>> {
    let identity = IdentityFile::parse(&std::fs::read(dir.join("vault.key"))?)?;
    let store = store::open(dir, Access::Write)?;
    let unlockers = store.snapshot()?.unlockers()?;
    let vault = vault::open_any(unlockers.iter().map(|one| &*one.wrapped), &Key::Identities(&identity))?;
    let mac = |hash: &[u8]| vault.mac(hash);
    for from in (0..count).step_by(AT_ONCE) {
        facts::issue(&*store, from, count.min(from + u32::try_from(AT_ONCE)?), &mac)?;
    }
    let revoked = revoked.min(count);
    let spread = |one: u32| u32::try_from(u64::from(one) * u64::from(count) / u64::from(revoked));
    let all: Vec<u32> = (0..revoked).map(spread).collect::<Result<_, _>>()?;
    for some in all.chunks(AT_ONCE) {
        facts::revoke(&*store, some, &mac)?;
    }
    Ok(())
}

/// Clients in one act: a commit for each of a million would take an hour.
const AT_ONCE: usize = 500;
