//! The order in which `issue` and `revoke` make things durable, and what that costs, read from their calls.
//! Knows the rule: recorded before released.

use crate::{
    site::Site,
    strace::{trace, Call},
};

fn calls_of(line: &str) -> Vec<Call> {
    let site = Site::with_authority("--publish served --issue client0");
    let (outcome, calls) = trace(site.dir(), line);
    outcome.succeeds();
    calls
}

fn is_sync(call: &Call) -> bool {
    call.name == "fsync" || call.name == "fdatasync"
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn the_database_is_durable_before_a_file_appears_and_its_directory_after() {
    for line in ["issue client1", "revoke client0"] {
        let calls = calls_of(line);
        let shown = || calls.iter().map(|call| call.text.as_str()).collect::<Vec<_>>().join("\n");
        let appears = |call: &Call| call.name.starts_with("link") || call.name.starts_with("rename");
        let first = calls.iter().position(appears).expect("a bundle appears by a link, a CRL by a rename");
        let last = calls.iter().rposition(appears).expect("as before");
        let database = |call: &&Call| call.text.contains("/pki.db");
        let before = calls[..first]
            .iter()
            .rfind(|call| is_sync(call) && database(call) || call.name == "pwrite64" && database(call));
        assert!(before.is_some_and(is_sync), "{line}: the database is not durable when a file appears:\n{}", shown());
        let directory = |call: &Call| is_sync(call) && !call.text.contains("/pki");
        assert!(calls[last..].iter().any(directory), "{line}: the name of the file is not durable:\n{}", shown());
    }
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn one_issue_waits_for_the_disk_at_most_seven_times() {
    let syncs: Vec<_> = calls_of("issue client1").into_iter().filter(is_sync).map(|call| call.text).collect();
    assert!(syncs.len() <= 7, "{} waits:\n{}", syncs.len(), syncs.join("\n"));
}
