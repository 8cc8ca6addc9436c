//! `renew`, `suspend`, `resume` and `crl ladder`: access over its life, and the CRLs that are signed in advance for it.
//! Days go by with faketime, where it is installed with the peers (`tests/peers/life.rs`); here only what is recorded.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{database::Database, revocation::published, site::Site};

/// The statuses of all certificates of a name, newest first.
fn statuses(site: &Site, name: &str) -> Vec<String> {
    let shown = site.json(&format!("show {name}"));
    let list = shown["certificates"].as_array().expect("certificates");
    list.iter().map(|one| one["status"].as_str().expect("a status").to_owned()).collect()
}

fn serials(site: &Site, name: &str) -> Vec<String> {
    let shown = site.json(&format!("show {name}"));
    let list = shown["certificates"].as_array().expect("certificates");
    list.iter().map(|one| one["serial"].as_str().expect("a serial").to_owned()).collect()
}

#[test]
fn a_renewal_leaves_the_old_certificate_accepted_until_a_day() {
    let site = Site::published("--issue client1");
    let old = site.serial("client1");
    let renewed = site.json("renew client1 -o new.ovpn");
    assert_eq!(renewed["renewed"][0]["replaced"][0]["serial"], Value::from(old.clone()));
    assert_eq!(renewed["renewed"][0]["formerly"], Value::Null);
    assert_eq!(statuses(&site, "client1"), ["valid", "superseded"]);
    let until = site.json("show client1")["certificates"][1]["accepted_until"].as_str().expect("a day").to_owned();
    assert!(until.ends_with("T00:00:00Z"), "{until}");
    site.run("show client1").says(&format!("superseded, accepted until {until}, then revoked"));
    site.run("list --history --status superseded").says(&old);
    assert!(published(&site, "server/crl.pem").1.is_empty(), "nobody is refused yet");
    assert_ne!(site.read("new.ovpn"), site.read("client1.ovpn"));
    site.run("log").says("superseded client1").says("signed in advance");
    site.run("log verify").succeeds();
}

#[test]
fn without_an_overlap_the_old_certificate_is_revoked_at_once() {
    let site = Site::published("--issue client1");
    let old = site.serial("client1");
    site.run("renew client1 --overlap 0 --force").succeeds().says("is revoked").says("published CRL 2");
    assert_eq!(published(&site, "server/crl.pem").1, [old].into());
    assert_eq!(statuses(&site, "client1"), ["valid", "revoked"]);
    let copy = Site::new();
    copy.run("renew client1 --overlap 0 --force").exits(1).says("no server knows yet");
    assert_eq!(statuses(&copy, "client1"), ["valid", "revoked"], "the renewal stands");
}

#[test]
fn revoking_a_name_revokes_every_certificate_that_is_accepted_and_a_serial_only_itself() {
    let site = Site::published("--issue client1 client2");
    site.run("renew client1 client2 --no-export").succeeds();
    let [new, old] = <[String; 2]>::try_from(serials(&site, "client1")).expect("two");
    site.run(&format!("revoke serial:{old}")).succeeds();
    assert_eq!(statuses(&site, "client1"), ["valid", "revoked"]);
    site.run("revoke client1 client2").succeeds();
    let everyone: BTreeSet<String> = [vec![new, old], serials(&site, "client2")].concat().into_iter().collect();
    assert_eq!(published(&site, "server/crl.pem").1, everyone);
    site.run("log verify").succeeds();
}

#[test]
fn a_second_renewal_does_not_lengthen_the_overlap_of_the_first() {
    let site = Site::published("--issue client1");
    site.run("renew client1 --no-export --overlap 3").succeeds();
    let until = |index: usize| site.json("show client1")["certificates"][index]["accepted_until"].clone();
    let first = until(1);
    site.run("renew client1 --no-export --overlap 30").succeeds();
    assert_eq!(until(2), first);
    assert_ne!(until(1), first);
    assert_eq!(statuses(&site, "client1"), ["valid", "superseded", "superseded"]);
}

#[test]
fn whoever_has_no_access_is_not_renewed_and_nothing_is_done() {
    let site = Site::published("--issue client1 client2 client3");
    site.run("revoke client1").succeeds();
    site.run("suspend client2").succeeds();
    site.refuses("renew client1 -o new.ovpn", 1, "cannot renew `client1`: its certificate is revoked since");
    site.refuses("renew client3 client2 --force", 1, "cannot renew `client2`: its certificate is suspended");
    site.refuses("renew client3 nobody --force", 1, "there is no `nobody`");
    site.refuses("renew client3 client3 --force", 2, "`client3` is named twice");
    site.refuses("renew client3", 1, "client3.ovpn");
    site.refuses("renew", 2, "NAME");
    site.refuses("renew client3 --due", 2, "--due");
    site.refuses("renew client3 --overlap 400", 2, "0..=366");
}

#[test]
fn what_is_due_is_renewed_and_nothing_else() {
    let site = Site::published("--issue client1");
    site.run("issue client2 --days 20 --no-export").succeeds();
    site.run("issue client3 --days 60 --no-export").succeeds();
    site.run("renew --due --no-export").succeeds().says("nothing is due");
    assert_eq!(site.json("renew --due --no-export")["changed"], Value::from(false));
    site.run("renew --due --within 30 --no-export --dry-run").succeeds().says("would renew client2");
    assert_eq!(statuses(&site, "client2"), ["valid"]);
    site.run("renew --due --within 30 --no-export").succeeds().says("renewed client2");
    assert_eq!(statuses(&site, "client2"), ["valid", "superseded"]);
    assert_eq!(statuses(&site, "client3"), ["valid"]);
    assert_eq!(statuses(&site, "client1"), ["valid"]);
}

#[test]
fn a_server_gets_its_new_certificate_where_it_runs_and_its_configuration_stays() {
    let site = Site::published("--issue client1");
    site.write("server/server.conf", &format!("{}# mine\n", site.text("server/server.conf")));
    let (conf, key) = (site.read("server/server.conf"), site.read("server/server.key"));
    site.run("renew server").succeeds().says("restart OpenVPN on server").says("a reload keeps the old certificate");
    assert_eq!(site.read("server/server.conf"), conf);
    assert_ne!(site.read("server/server.key"), key);
    assert_eq!(statuses(&site, "server"), ["valid", "superseded"]);
    let elsewhere = Site::new();
    elsewhere.refuses("renew server", 1, "`--force` replaces it");
    elsewhere.run("renew server --force").succeeds();
}

#[test]
fn suspended_and_resumed() {
    let site = Site::published("--issue client1 client2");
    let serial = site.serial("client1");
    let suspended = site.json("suspend client1");
    assert_eq!(suspended["suspended"][0]["reason"], Value::from("certificateHold"));
    assert_eq!(site.status("client1"), "suspended");
    assert_eq!(published(&site, "server/crl.pem").1, [serial].into());
    site.run("list --status suspended -q").succeeds().says("client1");
    site.run("suspend client1").succeeds().says("is suspended since");
    site.refuses("export client1 -o again.ovpn", 1, "`--force` makes a bundle that works after that");
    site.run("export client1 --force").succeeds();
    site.refuses("issue client1", 1, "`vpnpki resume client1` gives access back");
    site.run("resume client1").succeeds().says("resumed client1");
    assert_eq!(site.status("client1"), "valid");
    assert!(published(&site, "server/crl.pem").1.is_empty());
    site.run("resume client2").succeeds().says("client2").says("is not suspended");
    site.run("log").says("resumed client1");
    site.run("log verify").succeeds();
    // what was resumed does not come back on the list by itself
    site.run("crl refresh").succeeds();
    assert!(published(&site, "server/crl.pem").1.is_empty());
}

#[test]
fn a_suspension_can_become_a_revocation_and_never_the_other_way_round() {
    let site = Site::published("--issue client1");
    site.run("suspend client1").succeeds();
    site.run("revoke client1 --reason keyCompromise").succeeds().says("revoked client1");
    site.run("crl show").says("keyCompromise");
    site.refuses("resume client1", 1, "cannot resume `client1`: its certificate is revoked since");
    site.refuses("suspend client1", 1, "cannot suspend `client1`: its certificate is revoked since");
    assert_eq!(site.status("client1"), "revoked");
}

#[test]
fn a_hold_that_was_taken_out_of_the_store_is_put_back() {
    let site = Site::published("--issue client1 client2");
    site.run("suspend client1").succeeds();
    let serial = site.serial("client1");
    Database::of(&site).change("UPDATE certificate SET revoked = NULL, reason = NULL WHERE reason = 6", []);
    site.run("log verify").exits(1);
    site.run("revoke client2").exits(0).says("the store is not what was written");
    assert!(published(&site, "server/crl.pem").1.contains(&serial));
}

#[test]
fn an_overlap_that_was_taken_out_of_the_store_is_found() {
    let site = Site::published("--issue client1");
    site.run("renew client1 --no-export").succeeds();
    Database::of(&site).change("UPDATE certificate SET overlap_ends = NULL WHERE overlap_ends IS NOT NULL", []);
    site.refuses("log verify", 1, "is not what the ledger says it is");
    site.refuses("issue client2", 1, "the store is not what was written");
}

#[test]
fn several_names_are_one_crl_and_an_entry_each() {
    let site = Site::published("--issue client1 client2 client3");
    site.run("revoke client1 client2 client3").succeeds().says("published CRL 2");
    let log = site.run("log").stdout;
    let entries: Vec<&str> = log.lines().filter(|line| line.contains(" revoke: ")).collect();
    assert_eq!(entries.len(), 3, "{log}");
    for (entry, name) in entries.iter().zip(["client1", "client2", "client3"]) {
        assert_eq!(entry.matches("revoked client").count(), 1, "{entry}");
        assert!(entry.contains(&format!("revoked {name} ")), "{entry}");
    }
    site.run("log verify").succeeds();
    site.refuses("revoke client1 nobody", 1, "there is no `nobody`");
}

#[test]
fn a_ladder_is_signed_in_one_unlock_and_a_revocation_replaces_it() {
    let site = Site::published("--issue client1");
    site.refuses("crl ladder --weeks 4", 1, "set `days = 14` under `[crl]`");
    let text = site.text("pki/vpnpki.toml");
    site.write("pki/vpnpki.toml", &text.replace("[crl]\n", "[crl]\ndays = 14\n"));
    let laddered = site.json("crl ladder --weeks 10");
    assert_eq!((&laddered["rungs"], &laddered["crl"]["number"]), (&Value::from(10), &Value::from(2)));
    site.run("crl show").says("CRL 2 from");
    site.run("revoke client1").succeeds().says("published CRL 13");
    site.run("log").says("CRLs 14 to 23 signed in advance");
    site.run("crl ladder --weeks 0").succeeds().says("no CRLs are signed in advance any more");
    site.run("crl refresh").succeeds().says("signed CRL 25");
    site.run("log verify").succeeds();
}

#[test]
fn a_rung_changed_from_outside_is_found() {
    let site = Site::published("--issue client1");
    site.run("renew client1 --no-export").succeeds();
    Database::of(&site).change("UPDATE crl SET due = due + 86400 WHERE rung = 1", []);
    site.refuses("log verify", 1, "`ladder/1` is not what the ledger says it is");
}

#[test]
fn a_note_is_shown_and_stays() {
    let site = Site::empty();
    site.run("init --remote vpn.example.com --no-passphrase --no-export").succeeds();
    site.sh("vpnpki issue laptop-7 --no-export --note 'Front desk, room 2'").succeeds();
    site.run("show laptop-7").says("Front desk, room 2");
    site.run("renew laptop-7 --no-export").succeeds();
    assert_eq!(site.json("show laptop-7")["peer"]["note"], Value::from("Front desk, room 2"));
    let mut line = site.shell("vpnpki issue laptop-8 --no-export --note $'two\\nlines'");
    site.leaves(&mut line, 2, "a note is one line");
}

#[test]
fn a_renewed_bundle_that_does_not_arrive_is_told_and_the_renewal_stands() {
    let site = Site::published("--issue client1");
    site.sh("vpnpki renew client1 -o - | false; exit ${PIPESTATUS[0]}")
        .exits(1)
        .says("`client1` is renewed, but the result was not delivered")
        .says("`vpnpki export client1` makes it again");
    assert_eq!(statuses(&site, "client1"), ["valid", "superseded"]);
}
