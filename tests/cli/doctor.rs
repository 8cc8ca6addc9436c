//! `doctor` and what it looks at: everything that is wrong is named with a mend that works when typed, and then is gone.
//! That its dates are `OpenVPN`'s is proven in `tests/peers`.

use std::{fs, os::unix::fs::PermissionsExt};

use serde_json::Value;
use vpnpki::time::Time;

use crate::{database::Database, site::Site};

fn findings(site: &Site, options: &str) -> Vec<Value> {
    site.json(&format!("doctor {options}"))["findings"].as_array().expect("findings").clone()
}

/// The one finding of this kind that somebody has to act on.
#[track_caller]
fn found(site: &Site, kind: &str) -> Value {
    let all = findings(site, "");
    let of_kind: Vec<&Value> = all.iter().filter(|row| row["kind"] == kind && row["severity"] != "note").collect();
    assert_eq!(of_kind.len(), 1, "{kind}: {all:#?}");
    of_kind[0].clone()
}

/// What it says of this kind; typing its mend makes all well.
#[track_caller]
fn mends(site: &Site, kind: &str, why: &str) {
    let row = found(site, kind);
    assert!(row["why"].as_str().expect("a reason").contains(why), "{row:#}");
    let before = site.state();
    let outcome = site.run("doctor").exits(3).says(row["subject"].as_str().expect("a subject"));
    site.expect_state(&before, &outcome);
    let mend = row["mend"].as_str().expect("a command").replace("DIR", ".");
    site.sh(&mend).succeeds();
    site.run("doctor").exits(0).says("nothing is due or wrong");
}

fn chmod(site: &Site, name: &str, mode: u32) {
    fs::set_permissions(site.path(name), fs::Permissions::from_mode(mode)).expect("our file");
}

fn rows<'a>(object: &'a Value, list: &str) -> Vec<(&'a str, &'a str)> {
    let rows = object[list].as_array().expect("rows").iter();
    rows.map(|row| (row["name"].as_str().unwrap_or("everybody"), row["why"].as_str().expect("a reason"))).collect()
}

fn time(value: &Value) -> Time {
    Time::parse(value.as_str().expect("a time")).expect("a time")
}

#[test]
fn what_was_just_made_is_well_and_nothing_is_changed_by_looking() {
    let site = Site::published("--issue client1");
    site.refuses("doctor", 0, "nothing is due or wrong");
    let object = site.json("doctor");
    assert_eq!((object["locked_out"].clone(), object["coming"].clone()), (Value::Array(vec![]), Value::Array(vec![])));
    let kinds: Vec<Value> = findings(&site, "").iter().map(|row| row["kind"].clone()).collect();
    assert_eq!(kinds, ["vault-key", "one-unlocker", "exported", "ledger", "management"]);
    site.refuses("doctor --at yesterday", 2, "is no date");
    site.refuses("--pki nowhere doctor", 1, "there is no authority");
}

#[test]
fn whoever_is_out_is_named_with_the_day_and_the_reason() {
    let site = Site::published("--issue client1 client2 client3");
    site.run("issue client4 --days 40").succeeds();
    site.run("revoke client2 --reason keyCompromise").succeeds();
    site.run("suspend client3").succeeds();
    let object = site.json("doctor");
    let mut out = rows(&object, "locked_out");
    out.sort_unstable();
    assert_eq!(out, [("client2", "revoked (keyCompromise)"), ("client3", "suspended")]);
    let coming = &object["coming"][0];
    assert_eq!((coming["name"].as_str(), coming["mend"].as_str()), (Some("client4"), Some("vpnpki renew client4")));
    let end = time(&coming["since"]);
    assert!((39..=40).contains(&time(&object["at"]).days_until(end)), "{object:#}");
    assert_eq!(rows(&site.json("doctor --within 30"), "coming"), []);
    // who is out because somebody decided so is no fault
    site.run("doctor").exits(0).says("LOCKED OUT client2");
    let later = site.json(&format!("doctor --at {end}"));
    assert_eq!(rows(&later, "locked_out").len(), 3);
    site.run(&format!("doctor --at {end}")).exits(3).says("LOCKED OUT client4").says("client4: ended on");
    // after a month it is only listed
    let month_later = end.plus_days(32);
    site.run(&format!("doctor --at {month_later}")).exits(0).says("LOCKED OUT client4");
    let over = site.json("doctor --at 2090-01-01");
    assert_eq!(over["locked_out"][0]["everybody"], true);
    assert!(rows(&over, "locked_out")[0].1.starts_with("the CA ends on"), "{over:#}");
}

#[test]
fn an_old_bundle_is_out_when_its_overlap_ends() {
    let site = Site::published("--issue client1");
    let old = site.serial("client1");
    site.run("renew client1 --force").succeeds();
    let object = site.json("doctor");
    let coming = rows(&object, "coming");
    assert_eq!(coming.len(), 1, "{object:#}");
    assert!(coming[0].0 == "client1" && coming[0].1.contains(&old), "{object:#}");
    let ends = time(&object["coming"][0]["since"]);
    site.run(&format!("doctor --at {ends}")).says("was replaced, and its overlap ends");
    assert_eq!(rows(&site.json(&format!("doctor --at {}", ends.plus_days(31))), "locked_out"), []);
}

#[test]
fn many_are_counted_for_people_and_all_there_for_scripts() {
    let site = Site::published("");
    let names: Vec<String> = (0..25).map(|number| format!("c{number}")).collect();
    site.run(&format!("issue {} --no-export --days 20", names.join(" "))).succeeds();
    let outcome = site.run("doctor").exits(0).says("and 5 more; `--json` has all of them");
    assert_eq!(outcome.stdout.lines().filter(|line| line.starts_with("COMING")).count(), 21);
    assert_eq!(site.json("doctor")["coming"].as_array().expect("rows").len(), 25);
}

#[test]
fn a_revoked_client_that_a_server_still_lets_in_is_named() {
    let site = Site::published("--issue client1 client2");
    site.run("revoke client1 --no-publish").succeeds();
    site.run("status").exits(3).says("until then it lets in client1 (revoked");
    assert_eq!(rows(&site.json("doctor"), "locked_out"), [], "nobody keeps it out");
    // one of two servers has the list
    site.sh("cp -r server copy && rm copy/*.key && vpnpki crl publish --add copy").succeeds();
    site.run("revoke client2 --no-publish").succeeds();
    site.sh("vpnpki crl publish -o copy/crl.pem").succeeds();
    let object = site.json("doctor");
    let why = rows(&object, "locked_out").into_iter().map(|row| row.1).collect::<Vec<_>>();
    assert!(why.iter().any(|why| why.contains("; but let in at") && why.ends_with("/server")), "{why:?}");
    mends(&site, "crl-behind", "until then it lets in client2 (revoked");
}

#[test]
fn a_server_that_no_directory_is_known_of_is_due() {
    let site = Site::made("--issue client1");
    assert_eq!(found(&site, "no-target")["subject"], "server");
    site.run("doctor").exits(3);
    site.run("export server --publish -o live").succeeds();
    site.run("doctor").exits(0);
}

#[test]
fn an_older_certificate_in_a_servers_directory_is_drift() {
    let site = Site::published("--issue client1");
    site.sh("cp server/server.crt server/server.key .").succeeds();
    site.run("renew server").succeeds();
    site.run("doctor").exits(0);
    site.sh("mv server.crt server.key server/").succeeds();
    mends(&site, "server-certificate", "`server` was renewed, but its old certificate");
    site.sh("sed -n '/BEGIN CERT/,/END CERT/p' client1.ovpn > server/server.crt").succeeds();
    assert!(found(&site, "server-certificate")["why"].as_str().expect("a reason").contains("is no server's"));
}

#[test]
fn modes_that_let_others_in_are_named() {
    for (name, mode, kind, why) in [
        ("server/server.key", 0o640, "readable", "can be read by others (mode 0640)"),
        ("server/ta.key", 0o604, "readable", "can be read by others (mode 0604)"),
        ("server", 0o775, "writable", "can be written by others (mode 0775)"),
        ("server/server.conf", 0o666, "writable", "can be written by others (mode 0666)"),
        ("pki", 0o770, "directory", "every other command refuses"),
        ("pki/pki.db", 0o644, "directory", "can be read by others (mode 0644)"),
        ("client1.ovpn", 0o644, "exported", "holds a private key and can be read by others"),
    ] {
        let site = Site::published("--issue client1");
        chmod(&site, name, mode);
        mends(&site, kind, why);
    }
}

#[test]
fn bundles_that_are_older_than_the_settings_are_counted() {
    let site = Site::published("--issue client1 client2");
    site.run("issue client3 --no-export").succeeds();
    site.set("dns = ", "dns = [\"10.8.0.1\"]");
    assert!(found(&site, "stale-bundles")["why"].as_str().expect("a reason").starts_with("1 bundle was made"));
    // a renewal leaves the configuration there as it is
    site.run("renew server").succeeds();
    assert!(found(&site, "stale-bundles")["why"].as_str().expect("a reason").contains("server"));
    site.run("export server --force -o server").succeeds();
    site.run("doctor").exits(0);
    site.set("#float = false", "float = true");
    site.run("revoke client2").succeeds();
    // a server's configuration says nothing of it, and who is revoked needs no bundle
    mends(&site, "stale-bundles", "1 bundle was made with other settings or templates than those of now: client1");
}

#[test]
fn every_fault_of_settings_and_templates_is_named() {
    let site = Site::published("--issue client1");
    site.write("pki/vpnpki.toml", &(site.text("pki/vpnpki.toml") + "[vpn2]\n"));
    site.set("#ca-days = 365", "ca-days = 0");
    site.set("#port = 1194", "port = 0");
    let faults: Vec<Value> = findings(&site, "").into_iter().filter(|row| row["severity"] == "check").collect();
    assert_eq!(faults.len(), 3, "{faults:#?}");
    assert!(faults.iter().all(|row| row["subject"].as_str().expect("a place").starts_with("vpnpki.toml:")));
    site.run("doctor").exits(3).says("due.ca-days");
    let site = Site::published("--issue client1");
    site.sh("mkdir pki/templates && echo '{{ nothing }}' > pki/templates/client.conf").succeeds();
    assert!(found(&site, "template")["why"].as_str().expect("a reason").contains("client.conf"));
}

#[test]
fn exported_private_files_are_known_by_what_is_in_them() {
    for mode in ["tls-crypt", "tls-crypt-v2"] {
        exported_private_files_are_known(mode);
    }
}

fn exported_private_files_are_known(control_channel: &str) {
    let site = Site::published(&format!("--issue client1 --control-channel {control_channel}"));
    let exported = |site: &Site| -> Vec<String> {
        let all = findings(site, "").into_iter().filter(|row| row["kind"] == "exported");
        all.map(|row| row["subject"].as_str().expect("a path").to_owned()).collect()
    };
    site.run("export client1 --format zip -o laptop.zip").succeeds();
    site.run("export client1 --format dir -o laptop").succeeds();
    site.sh("cp -r server copy; echo nothing > notes.zip; echo text > other.key; sed '/<ca>/,/<\\/ca>/d' client1.ovpn > other.ovpn")
        .succeeds();
    let all = ["client1.ovpn", "copy/server.key", "copy/ta.key", "laptop.zip", "laptop/client1.key", "laptop/ta.key"];
    assert_eq!(exported(&site), all);
    site.sh("rm -r client1.ovpn laptop laptop.zip copy").succeeds();
    assert_eq!(exported(&site), Vec::<String>::new());
    // also beside the PKI directory, when one stands elsewhere
    site.run("export client1").succeeds();
    let home = site.dir().display().to_string();
    site.sh(&format!(
        "mkdir away && cd away && vpnpki --pki ../pki doctor > ../said; grep -F '{home}/client1.ovpn' ../said"
    ))
    .succeeds();
}

#[test]
fn a_store_that_is_not_what_was_written_is_due() {
    let site = Site::published("--issue client1 client2");
    Database::of(&site).change("UPDATE certificate SET not_after = not_after + 1", []);
    let all = findings(&site, "");
    assert!(all.iter().any(|row| row["kind"] == "ledger" && row["severity"] == "due"), "{all:#?}");
    site.run("doctor").exits(3).says("is not what the ledger says it is");
}

#[test]
fn how_long_before_an_end_it_is_due_is_a_setting() {
    let site = Site::published("--issue client1");
    let shown = site.json("show client1");
    let end = time(&shown["certificates"][0]["not_after"]);
    let early = end.plus_days(-50);
    let due = |site: &Site| findings(site, &format!("--at {early}")).iter().any(|row| row["kind"] == "client-ends");
    assert!(!due(&site));
    site.set("#client-days = 30", "client-days = 60");
    assert!(due(&site));
    // never more than a tenth of its life
    site.set("client-days = 60", "client-days = 800");
    let earlier = end.plus_days(-90);
    assert!(!findings(&site, &format!("--at {earlier}")).iter().any(|row| row["kind"] == "client-ends"));
}

#[test]
fn commands_name_the_directory_that_was_named() {
    let site = Site::published("--issue client1");
    site.run("revoke client1 --no-publish").succeeds();
    site.run("--pki ./pki doctor").exits(3).says("`vpnpki --pki ./pki crl publish`");
    site.run("crl publish").succeeds();
    let object = site.json("--pki ./pki doctor");
    assert_eq!(object["locked_out"][0]["mend"], "vpnpki --pki ./pki issue client1");
}
