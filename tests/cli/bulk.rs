//! Many at once: lists of people, everything that can be wrong with one, batches, and every bundle made again.
//! Knows no kill; those are in `tests/peers`.

use std::{collections::BTreeSet, fmt::Write as _, io::Write as _, process::Stdio};

use serde_json::Value;

use crate::{common::Outcome, site::Site};

/// `vpnpki LINE` with a text on standard input.
#[track_caller]
fn fed(site: &Site, line: &str, text: &str) -> Outcome {
    let mut command = site.vpnpki(line);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a process");
    child.stdin.take().expect("its input").write_all(text.as_bytes()).expect("a list is read");
    let output = child.wait_with_output().expect("its end");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Outcome { line: line.to_owned(), status: output.status, stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

/// `user0`, `user1`, …, one a line.
fn users(many: usize) -> String {
    (0..many).fold(String::new(), |mut text, number| {
        let _ = writeln!(text, "user{number}");
        text
    })
}

#[track_caller]
fn object(outcome: &Outcome) -> Value {
    serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("no JSON object: {error}\n{outcome}"))
}

fn names(rows: &Value) -> Vec<&str> {
    rows.as_array().expect("a list").iter().map(|row| row["name"].as_str().expect("a name")).collect()
}

/// Every entry of the ledger that an `issue` of a list left, as how many it issued.
fn batches(site: &Site) -> Vec<usize> {
    let log = site.json("log");
    let issues = log["entries"].as_array().expect("entries").iter().filter(|entry| entry["operation"] == "issue");
    issues.map(|entry| entry["events"].as_array().expect("events").len()).collect()
}

#[test]
fn a_list_of_names_gives_everybody_access_in_batches() {
    let site = Site::made("");
    site.write("people", &format!("# the lab\n\n{}", users(300)));
    std::fs::create_dir(site.path("out")).expect("a directory");
    let outcome = site.run("issue --from people -o out").succeeds().says("issued user299 until");
    assert!(outcome.stdout.contains("out/user7.ovpn") && outcome.stderr.is_empty(), "{outcome}");
    assert_eq!(batches(&site), [256, 44]);
    site.run("log verify").succeeds();
    let served = site.json("list --role client");
    assert_eq!(names(&served["certificates"]).len(), 300);
    let serials: BTreeSet<&str> =
        served["certificates"].as_array().unwrap().iter().map(|row| row["serial"].as_str().unwrap()).collect();
    assert_eq!(serials.len(), 300);
    for name in ["user0", "user255", "user256", "user299"] {
        site.run(&format!("verify out/{name}.ovpn")).succeeds();
    }
    // all of them again, on every core
    site.run("export --all -o out").exits(1).says("exists");
    std::fs::remove_file(site.path("out/user9.ovpn")).unwrap();
    let old = std::fs::read(site.path("out/user8.ovpn")).unwrap();
    let finish = "export --all -o out --skip-existing";
    site.run(&format!("{finish} --dry-run")).succeeds().says("nothing was written");
    assert!(!site.path("out/user9.ovpn").exists() && !site.path("out/server").exists());
    let outcome = site.run(finish).succeeds().says("299 bundles are at their place already");
    assert_eq!(outcome.stdout.matches("out/").count(), 2, "a client and the server: {outcome}");
    site.run("verify out/user9.ovpn").succeeds();
    assert_eq!(std::fs::read(site.path("out/user8.ovpn")).unwrap(), old);
    let nothing = site.json(finish);
    assert_eq!((&nothing["changed"], nothing["unchanged"].as_array().unwrap().len()), (&Value::Bool(false), 301));
    site.refuses(&format!("{finish} --force"), 2, "cannot be used with");
    let exported = site.json("export --all -o out --force");
    assert_eq!((exported["bundles"].as_array().unwrap().len(), &exported["changed"]), (301, &Value::Bool(true)));
    site.run("verify out/user9.ovpn").succeeds();
}

#[test]
fn names_on_the_command_line_are_batches_too() {
    let site = Site::made("");
    let line = format!("issue {} --no-export", users(260).replace('\n', " "));
    let report = site.json(&line);
    assert_eq!(names(&report["issued"]).len(), 260);
    assert_eq!(batches(&site), [256, 4]);
}

#[test]
fn a_table_says_what_differs_and_options_what_is_usual() {
    let site = Site::made("");
    site.write(
        "people.csv",
        "\u{feff}note,name,key,days,role,san\r\n\
         \"anna, the lab\",anna,,,,\r\n\
         ,ben,rsa2048,30,client,\r\n\
         ,server-b,,,server,b.example;192.0.2.7\r\n",
    );
    site.refuses(
        "issue --from people.csv --no-export",
        1,
        "people.csv:4: the role `server` needs `--allow-role server`",
    );
    let line = "issue --from people.csv --no-export --allow-role server --days 9 --key ed25519 --note desk --json";
    let report = object(&site.run(line).succeeds());
    assert_eq!(names(&report["issued"]), ["anna", "ben", "server-b"]);
    let keys: Vec<_> = report["issued"].as_array().unwrap().iter().map(|row| row["algorithm"].clone()).collect();
    assert_eq!(keys, ["ed25519", "rsa2048", "ed25519"]);
    let note = |name: &str| site.json(&format!("show {name}"))["peer"]["note"].clone();
    assert_eq!((note("anna"), note("ben")), ("anna, the lab".into(), "desk".into()));
    let days = |name: &str| {
        let listed = site.json("list --expiring 10");
        names(&listed["certificates"]).contains(&name)
    };
    assert!(days("anna") && days("server-b") && !days("ben"));
}

#[test]
fn every_fault_is_told_with_its_line_and_nothing_is_done() {
    let site = Site::made("--issue taken gone");
    site.run("revoke gone --no-publish").succeeds();
    std::fs::remove_file(site.path("gone.ovpn")).unwrap();
    site.write("there.ovpn", "somebody else's");
    site.write(
        "people.csv",
        "name,role,days,key,san,note\n\
         fine,,,,,\n\
         ca,,,,,\n\
         taken,,,,,\n\
         Taken,,,,,\n\
         server9,,,,,\n\
         long,,20000,,,\n\
         odd,,x,p255,,\n\
         FINE,,,,,\n\
         there,,,,,\n\
         addressed,,,,a.example,\n\
         gone,,,,,\n",
    );
    let lines = [3, 4, 5, 6, 7, 8, 8, 9, 10, 11];
    let outcome = site.refuses("issue --from people.csv", 1, "error: nothing was issued: the list has 10 faults");
    let told: Vec<u64> = outcome
        .stderr
        .lines()
        .filter_map(|line| line.strip_prefix("people.csv:")?.split(':').next()?.parse().ok())
        .collect();
    assert_eq!(told, lines, "{outcome}");
    for words in [
        "people.csv:3: `ca` is reserved",
        "people.csv:4: cannot issue `taken`: a valid certificate",
        "people.csv:5: `Taken` is on line 4 already",
        "people.csv:6: cannot issue `server9`: names that begin with `server` are servers'",
        "people.csv:7: cannot issue for 20000 days: the CA ends on",
        "people.csv:8: `p255` is no key algorithm",
        "people.csv:9: `FINE` is on line 2 already",
        "people.csv:10: `./there.ovpn` exists",
        "people.csv:11: `san` is for servers",
    ] {
        assert!(outcome.stderr.contains(words), "{words}\n{outcome}");
    }
    let json = site.refuses("issue --from people.csv --json", 1, "\"faults\"");
    let object: Value = serde_json::from_str(&json.stderr).expect("one object");
    let faults = object["error"]["faults"].as_array().expect("faults");
    assert_eq!(faults.iter().map(|fault| fault["line"].as_u64().unwrap()).collect::<Vec<_>>(), lines);
    assert!(json.stdout.is_empty() && object["exit"] == 1, "{json}");
}

#[test]
fn bundles_of_one_name_are_told_with_the_line() {
    let site = Site::made("");
    site.set("#file-name", "file-name = \"{vpn}\"");
    site.write("people", "anna\nben\n");
    let outcome = site.run("issue --from people");
    assert_ne!(outcome.status.code(), Some(0), "{outcome}");
    assert_eq!(site.run("list -q --role client").succeeds().stdout, "");
}

#[test]
fn a_list_that_cannot_be_one_is_refused() {
    let site = Site::made("");
    for (text, code, says) in [
        ("", 1, "the list names nobody"),
        ("# nobody\n", 1, "the list names nobody"),
        ("name,mail\nanna,a@example.com\n", 1, "standard input:1: `mail` is no column"),
        ("role,days\nclient,9\n", 1, "the header has no column `name`"),
        ("name;days\nanna;9\n", 1, "separated by commas"),
    ] {
        let before = site.state();
        let outcome = fed(&site, "issue --from - --no-export", text).exits(code).says(says);
        site.expect_state(&before, &outcome);
    }
    site.write("people", "anna\n");
    for (line, says) in [
        ("issue anna --from people", "cannot be used with"),
        ("issue --from people --csr people", "cannot be used with"),
        ("issue --from people --if-missing --skip-existing", "cannot be used with"),
        ("issue anna --allow-role server", "`--allow-role` is about the list of `--from`"),
        ("issue --from people --role server", "`--allow-role server`"),
        ("issue --from people --san a.example", "`--san` is for servers"),
        ("issue --from people -o nowhere", "one path takes one bundle"),
        ("issue --from people -o -", "one path takes one bundle"),
    ] {
        site.refuses(line, 2, says);
    }
    site.refuses("issue --from nothing.csv", 1, "nothing.csv");
}

#[test]
fn what_was_cut_short_is_finished_and_nothing_is_double() {
    let site = Site::made("--issue anna");
    fed(&site, "issue --from - --no-export", "ben\ncleo\n").succeeds();
    site.refuses("issue anna --skip-existing", 0, "anna has access already");
    let before = (site.serial("anna"), site.serial("ben"));
    let outcome = fed(&site, "issue --from - --skip-existing", "anna\nben\ncleo\ndora\n").succeeds();
    assert!(outcome.stdout.contains("issued dora") && outcome.stdout.contains("3 have access already"), "{outcome}");
    assert!(!outcome.stdout.contains("issued ben"), "{outcome}");
    assert_eq!((site.serial("anna"), site.serial("ben")), before);
    for name in ["anna", "ben", "cleo", "dora"] {
        site.run(&format!("verify {name}.ovpn")).succeeds();
    }
    // whole now: nothing changes, and nobody needs to open the vault
    let before = site.state();
    let again = fed(&site, "issue --from - --skip-existing --json", "anna\nben\ncleo\ndora\n").succeeds();
    site.expect_state(&before, &again);
    let report = object(&again);
    assert_eq!((&report["changed"], report["unchanged"].as_array().unwrap().len()), (&Value::Bool(false), 4));
    assert_eq!((report["issued"].as_array().unwrap().len(), report["completed"].as_array().unwrap().len()), (0, 0));
    site.refuses("issue anna", 1, "a valid certificate with this name exists");
}

#[test]
fn a_bundle_alone_that_is_missing_is_told_as_completed() {
    let site = Site::made("--issue anna ben");
    std::fs::remove_file(site.path("ben.ovpn")).unwrap();
    let outcome = fed(&site, "issue --from - --skip-existing --json --dry-run", "anna\nben\n").succeeds();
    assert!(object(&outcome)["completed"].as_array().unwrap().is_empty() && !site.path("ben.ovpn").exists());
    let report = object(&fed(&site, "issue --from - --skip-existing --json", "anna\nben\n").succeeds());
    assert_eq!((names(&report["completed"]), &report["completed"][0]["path"]), (vec!["ben"], &"./ben.ovpn".into()));
    assert_eq!(report["changed"], true);
    site.run("verify ben.ovpn").succeeds();
}

#[test]
fn a_bundle_whose_key_is_not_kept_is_told_and_keeps_back_nobody() {
    let site = Site::made("");
    site.set("#keep", "keep = \"never\"");
    site.run("issue anna --no-export").succeeds();
    let outcome = fed(&site, "issue --from - --skip-existing", "anna\nben\n").exits(1);
    assert!(outcome.stderr.contains("`anna`") && outcome.stderr.contains("not kept"), "{outcome}");
    assert!(site.path("ben.ovpn").exists() && !site.path("anna.ovpn").exists());
}

#[test]
fn a_dry_run_of_a_list_says_who_and_changes_nothing() {
    let site = Site::made("");
    site.write("people", &users(3));
    let outcome = site.refuses("issue --from people --dry-run", 0, "would issue user2");
    assert!(!outcome.stdout.contains("serial:"), "{outcome}");
    let report = object(&site.refuses("issue --from people --dry-run --json", 0, "\"dry_run\":true"));
    assert_eq!((names(&report["issued"]).len(), &report["changed"]), (3, &Value::Bool(false)));
}

#[test]
fn each_row_of_json_is_whole() {
    let site = Site::made("");
    site.write("people", &users(3));
    let outcome = site.run("issue --from people --format zip --generate-passphrase --json").succeeds();
    let report = object(&outcome);
    assert!(outcome.stderr.is_empty() && report["command"] == "issue" && report["vpnpki"] == 1, "{outcome}");
    for (row, number) in report["issued"].as_array().unwrap().iter().zip(0..) {
        assert_eq!(row["name"], format!("user{number}"));
        assert_eq!(row["path"], format!("./user{number}.zip"));
        for field in ["serial", "algorithm", "not_before", "not_after", "role", "passphrase"] {
            assert!(row[field].is_string(), "{field}\n{outcome}");
        }
        assert!(site.path(&format!("user{number}.zip")).exists());
    }
    let quiet = site.run("issue user9 --generate-passphrase -q").succeeds();
    assert!(quiet.stdout.starts_with("user9 "), "{quiet}");
    let quiet = fed(&site, "issue --from - --generate-passphrase -q", "user7\nuser8\n").succeeds();
    assert_eq!(quiet.stdout.lines().count(), 2, "{quiet}");
}

#[test]
fn a_list_is_encrypted_to_whom_it_says() {
    let site = Site::made("");
    let line = format!("issue --from - --recipient {} --json", crate::keyholders::AGE);
    let report = object(&fed(&site, &line, &users(2)).succeeds());
    assert_eq!(report["issued"][1]["encrypted_to"][0], crate::keyholders::AGE);
    assert!(site.path("user1.ovpn.age").exists() && !site.path("user1.ovpn").exists());
}

#[test]
fn somebody_whose_access_ended_gets_it_again_by_a_list() {
    let site = Site::published("--issue anna");
    site.run("revoke anna").succeeds();
    let report = object(&fed(&site, "issue --from - --force --json", "anna\nben\n").succeeds());
    assert_eq!(report["issued"][0]["formerly"]["status"], "revoked");
    assert_eq!((site.status("anna"), site.status("ben")), ("valid".to_owned(), "valid".to_owned()));
}

#[test]
fn two_lists_at_once_give_everybody_one_certificate() {
    let site = Site::made("");
    site.write("one", &users(40));
    let other: Vec<String> = (20..60).map(|number| format!("user{number}")).collect();
    site.write("other", &other.join("\n"));
    let outcome = site.sh("vpnpki issue --from one --no-export --skip-existing > 1 2>&1 & \
         vpnpki issue --from other --no-export --skip-existing > 2 2>&1; second=$?; wait $! && test $second = 0 || \
         { cat 1 2 >&2; exit 1; }");
    outcome.succeeds();
    let history = site.json("list --history --role client");
    let mut all = names(&history["certificates"]);
    assert_eq!(all.len(), 60);
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 60);
    site.run("log verify").succeeds();
}

#[test]
fn a_terminal_shows_how_far_it_is_and_how_long_it_takes() {
    let site = Site::made("");
    site.write("people", &users(300));
    let on_a_terminal =
        |line: &str| site.sh(&format!("TERM=xterm script -qec '{line}' /dev/null < /dev/null")).succeeds().stdout;
    let seen = on_a_terminal("vpnpki issue --from people --no-export");
    assert!(
        seen.contains("issuing ") && seen.contains("256/300") && seen.contains("/s, ") && seen.contains(" left"),
        "{seen}"
    );
    assert!(seen.contains("issued user299 until"), "{seen}");
    let seen = on_a_terminal("vpnpki issue --from people --no-export --skip-existing --json");
    assert!(seen.starts_with('{') && seen.trim_end().ends_with('}'), "{seen}");
}
