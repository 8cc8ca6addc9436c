//! That the cryptography was built without CPU jitter as its source of randomness (`.cargo/config.toml`): gathering it
//! takes 24 ms in every process. Proven by symbol and not by clock, since machines are noisy.

#[test]
#[expect(clippy::disallowed_methods, reason = "a test reads the binary it tests")]
fn no_jitter_is_gathered() {
    let binary = std::fs::read(env!("CARGO_BIN_EXE_vpnpki")).unwrap();
    let holds = |symbol: &str| binary.windows(symbol.len()).any(|window| window == symbol.as_bytes());
    assert!(holds("get_entropy_source"), "the binary has no symbols to look for");
    assert!(!holds("jent_read_entropy"), "build with .cargo/config.toml: `cargo install --path .`, not `--git`");
}
