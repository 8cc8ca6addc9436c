//! Memory that does not grow with the revocation list: every command that reads or writes it, within a bound that one list in
//! memory would break. No clock is looked at.

use crate::{database::Database, keyholders, site::Site};

/// So many revoked certificates that their list alone has three megabytes; whoever reads it whole needs ten times that.
const MANY: u32 = 60_000;

/// Kilobytes of heap and other data of its own that a process may have: `RLIMIT_DATA`, which Linux holds against all of it.
const BOUND: u32 = 16 * 1024;

/// `client1` and `MANY` others are revoked, `client2` is not; CRLs go to `server`.
fn crowd() -> Site {
    let site = keyholders::locked();
    site.run("issue client2 --identity key").succeeds();
    site.run("revoke client1 --identity key").succeeds();
    let sql = "WITH RECURSIVE row (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM row WHERE n < ?1)
               INSERT INTO certificate (serial, issuer, not_before, not_after, issued, revoked, reason, entry)
               SELECT unhex(printf('4%07x%024x', (n * 2654435761) & 268435455, n)), 1, 1700000000, 4000000000, 1700000000,
                      1700000000 + n, CASE WHEN n % 3 = 0 THEN 1 ELSE 0 END, 1 FROM row";
    Database::of(&site).change(sql, [MANY]);
    site
}

#[test]
fn no_command_holds_the_whole_list() {
    let site = crowd();
    let listed = u64::from(MANY) + 1;
    for line in [
        "crl refresh --no-publish --identity key",
        "crl publish",
        "crl refresh --identity key",
        "suspend client2 --identity key",
        "resume client2 --identity key",
        "revoke client2 --prove --identity key",
        "crl show",
        "crl publish -o list.pem",
        "crl publish -o -",
        "status",
        "doctor",
    ] {
        let outcome = site.sh(&format!("ulimit -d {BOUND}; vpnpki {line} > out"));
        // nobody's sessions can be asked for here, and that is all that is not proven
        let only_unproven = outcome.stderr.contains("not proven: no session can be seen");
        assert!(matches!(outcome.status.code(), Some(0 | 3)) || only_unproven, "{line}: {outcome}");
    }
    assert_eq!(site.json("crl show")["entries"].as_array().expect("entries").len() as u64, listed + 1);
    assert_eq!(site.read("list.pem"), site.read("server/crl.pem"));
}
