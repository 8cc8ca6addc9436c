//! Makes one private key, with every check, and drops it: `keys ALGORITHM`. `benches/figures` times the process;
//! under plain `cargo bench` it has nothing to do.

use vpnpki::pki::{Algorithm, KeyError, PrivateKey};

fn main() -> Result<(), KeyError> {
    match std::env::args().nth(1).and_then(|word| word.parse::<Algorithm>().ok()) {
        Some(algorithm) => drop(PrivateKey::generate(algorithm)?),
        None => println!("usage: keys ALGORITHM"),
    }
    Ok(())
}
