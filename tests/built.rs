//! That the libraries in C were built as `.cargo/config.toml` says: without CPU jitter as the source of randomness, which
//! takes 24 ms in every process, and without the parts of SQLite that are not used. Proven by symbol and not by clock,
//! since machines are noisy.

#[test]
#[expect(clippy::disallowed_methods, reason = "a test reads the binary it tests")]
fn what_is_not_used_was_not_built() {
    let binary = std::fs::read(env!("CARGO_BIN_EXE_vpnpki")).unwrap();
    let text = String::from_utf8_lossy(&binary);
    let holds = |symbol: &str| text.contains(symbol);
    assert!(holds("get_entropy_source") && holds("sqlite3VdbeExec"), "the binary has no symbols to look for");
    for unused in ["jent_read_entropy", "fts3InitVtab", "fts5InitVtab", "rtreeConnect", "dbstat_module"] {
        assert!(!holds(unused), "{unused}: build with .cargo/config.toml: `cargo install --path .`, not `--git`");
    }
}
