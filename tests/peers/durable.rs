//! The order in which one `issue` makes things durable, and what it costs, read from its calls.
//! Knows the rule: recorded before released.

use crate::{
    site::Site,
    strace::{trace, Call},
};

fn calls_of_issue() -> Vec<Call> {
    let site = Site::with_authority("");
    let (outcome, calls) = trace(site.dir(), "issue client1");
    outcome.succeeds();
    calls
}

fn is_sync(call: &Call) -> bool {
    call.name == "fsync" || call.name == "fdatasync"
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn the_database_is_durable_before_a_file_appears_and_its_directory_after() {
    let calls = calls_of_issue();
    let shown = || calls.iter().map(|call| call.text.as_str()).collect::<Vec<_>>().join("\n");
    let first = calls.iter().position(|call| call.name == "linkat").expect("a bundle appears by a link");
    let last = calls.iter().rposition(|call| call.name == "linkat").expect("as before");
    let database = |call: &&Call| call.text.contains("/pki.db");
    let before = calls[..first]
        .iter()
        .rfind(|call| is_sync(call) && database(call) || call.name == "pwrite64" && database(call));
    assert!(before.is_some_and(is_sync), "the database has writes that are not durable at the link:\n{}", shown());
    let directory = |call: &Call| is_sync(call) && !call.text.contains("/pki");
    assert!(calls[last..].iter().any(directory), "the directory is not made durable after the link:\n{}", shown());
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn one_issue_waits_for_the_disk_at_most_seven_times() {
    let syncs: Vec<_> = calls_of_issue().into_iter().filter(is_sync).map(|call| call.text).collect();
    assert!(syncs.len() <= 7, "{} waits:\n{}", syncs.len(), syncs.join("\n"));
}
