//! `--json`: exactly one object, always with the same four fields; errors as one object on standard error.
//! The objects themselves are in `golden/json.txt`.

use serde_json::Value;

use crate::{common::Outcome, site::Site};

#[track_caller]
fn one_object(text: &str, outcome: &Outcome) -> Value {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let first = values.next().unwrap_or_else(|| panic!("nothing was printed\n{outcome}"));
    let first = first.unwrap_or_else(|error| panic!("no JSON: {error}\n{outcome}"));
    assert!(first.is_object() && values.next().is_none(), "not exactly one object\n{outcome}");
    assert!(text.ends_with("}\n") && text.matches('\n').count() == 1, "not one line\n{outcome}");
    first
}

#[track_caller]
fn result(site: &Site, line: &str, command: &str, changed: bool) -> Value {
    let outcome = site.run(&format!("{line} --json")).succeeds();
    let object = one_object(&outcome.stdout, &outcome);
    assert_eq!(object["vpnpki"], 1, "{outcome}");
    assert_eq!(object["command"], command, "{outcome}");
    assert_eq!(object["changed"], changed, "{outcome}");
    assert!(object["warnings"].is_array(), "{outcome}");
    assert_eq!(outcome.stderr, "", "{outcome}");
    object
}

#[test]
fn every_command_prints_one_object_with_its_name_and_whether_it_changed_something() {
    let site = Site::empty();
    let init = "init --remote vpn.example.com --issue client1 --publish server --no-passphrase";
    result(&site, &format!("{init} --dry-run"), "init", false);
    result(&site, init, "init", true);
    result(&site, &format!("{init} --if-missing"), "init", false);
    for (line, command, changed) in [
        ("issue client2 --dry-run", "issue", false),
        ("issue client2", "issue", true),
        ("issue client2 --if-missing", "issue", false),
        ("issue client2 client3 --if-missing", "issue", true),
        ("export client2 --force --dry-run", "export", false),
        ("export client2 --force", "export", true),
        ("revoke client2 --dry-run", "revoke", false),
        ("revoke client2", "revoke", true),
        ("revoke client2", "revoke", false),
        ("list", "list", false),
        ("list --status suspended", "list", false),
        ("list --history --sort expiry", "list", false),
        ("show client2", "show", false),
        ("status", "status", false),
        ("doctor", "doctor", false),
        ("crl show", "crl show", false),
        ("crl publish", "crl publish", false),
        ("crl refresh", "crl refresh", true),
        ("crl publish -o list.pem", "crl publish", true),
        ("crl publish --add server", "crl publish", false),
        ("forget client2 --dry-run", "forget", false),
        ("crl install server --ca server/ca.crt --crl list.pem", "crl install", false),
        ("log", "log", false),
        ("log -n 0", "log", false),
        ("log verify", "log verify", false),
        ("generate systemd", "generate", false),
        ("generate systemd -o .", "generate", true),
        ("generate man", "generate", false),
        ("generate completions bash", "generate", false),
        ("generate man -o .", "generate", true),
    ] {
        result(&site, line, command, changed);
    }
}

#[test]
fn every_error_is_one_object_on_standard_error() {
    let site = Site::new();
    for (line, code, kind, command) in [
        ("issue client1", 1, "refused", "issue"),
        ("show client9", 1, "refused", "show"),
        ("--pki nowhere list", 1, "refused", "list"),
        ("--pki nowhere crl show", 1, "refused", "crl show"),
        ("forget client1 --yes", 1, "refused", "forget"),
        ("crl install server --ca server/ca.crt", 1, "refused", "crl install"),
        ("crl install server", 2, "usage", "crl install"),
        ("issue a -o -", 2, "usage", "issue"),
        ("issue a a", 2, "usage", "issue"),
        ("issue", 2, "usage", "issue"),
        ("issue a --frobnicate", 2, "usage", "issue"),
        ("crl publish --frobnicate", 2, "usage", "crl publish"),
        ("list --jsonl", 2, "usage", "list"),
        ("frobnicate", 2, "usage", ""),
        ("generate man -o nowhere", 1, "refused", "generate"),
    ] {
        let outcome = site.run(&format!("{line} --json")).exits(code);
        let object = one_object(&outcome.stderr, &outcome);
        assert_eq!((&object["vpnpki"], &object["exit"]), (&1.into(), &code.into()), "{outcome}");
        assert_eq!(object["command"], command, "{outcome}");
        assert_eq!(object["error"]["kind"], kind, "{outcome}");
        assert!(object["error"]["message"].as_str().is_some_and(|text| !text.is_empty()), "{outcome}");
        assert!(object["error"]["hints"].is_array() && outcome.stdout.is_empty(), "{outcome}");
    }
}

#[test]
fn what_is_missing_is_named() {
    let outcome = Site::new().run("issue --json").exits(2);
    let object = one_object(&outcome.stderr, &outcome);
    assert!(object["error"]["message"].as_str().is_some_and(|text| text.contains("<NAME>")), "{outcome}");
}

#[test]
fn an_act_that_stands_and_did_not_arrive_prints_a_result_and_one_error() {
    let site = Site::new();
    let outcome = site.run("revoke client1 --json").exits(1);
    assert_eq!(one_object(&outcome.stdout, &outcome)["changed"], true);
    let error = one_object(&outcome.stderr, &outcome);
    assert!(error["error"]["message"].as_str().is_some_and(|text| text.contains("no server knows yet")), "{outcome}");
}

#[test]
fn several_servers_that_were_not_reached_are_one_error() {
    let site = Site::published("--issue client1");
    site.sh("for at in west east; do cp -r server $at; vpnpki crl publish --add $at; rm -r $at; done").succeeds();
    let outcome = site.run("revoke client1 --json").exits(1);
    let error = one_object(&outcome.stderr, &outcome);
    let message = error["error"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("west") && message.contains("east"), "{outcome}");
    assert_eq!(one_object(&outcome.stdout, &outcome)["published"]["targets"].as_array().map(Vec::len), Some(3));
}

#[test]
fn json_lines_are_one_object_a_row() {
    let site = Site::made("--issue client1 client2");
    for (line, rows) in
        [("list --jsonl", 3), ("list --history --jsonl", 3), ("log --jsonl", 1), ("crl show --jsonl", 0)]
    {
        let outcome = site.run(line).succeeds();
        let objects: Vec<Value> = outcome
            .stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}\n{outcome}")))
            .collect();
        assert_eq!(objects.len(), rows, "{outcome}");
        assert!(objects.iter().all(Value::is_object), "{outcome}");
    }
}

#[test]
fn warnings_are_in_the_object_and_not_beside_it() {
    let site = Site::published("--issue client1");
    site.set("routes", "routes = [\"10.0.0.0/8\"]");
    let object = result(&site, "issue client2", "issue", true);
    assert!(object["warnings"][0].as_str().is_some_and(|text| text.contains("contains the pool")), "{object}");
}
