//! A `pki.db` put back from yesterday: what a published list knows and the store does not is taken over.
//! Nobody gets access back that way.

use std::fs;

use crate::{revocation::published, site::Site};

/// `client1` is revoked and the list published, then the store of before is put back.
fn put_back() -> (Site, String) {
    let site = Site::published("--issue client1 client2");
    let yesterday = site.read("pki/pki.db");
    site.run("revoke client1").succeeds();
    let serial = site.serial("client1");
    fs::write(site.path("pki/pki.db"), yesterday).expect("the store");
    assert_eq!(site.status("client1"), "valid");
    (site, serial)
}

/// After the next command: the number is above, the serial still on the list, and the ledger says so.
#[track_caller]
fn taken_over(site: &Site, serial: &str, others: usize) {
    let (number, serials) = published(site, "server/crl.pem");
    assert!(number > 2, "number {number}");
    assert!(serials.contains(serial) && serials.len() == 1 + others, "{serials:?}");
    assert_eq!(site.status("client1"), "revoked");
    site.run("log").succeeds().says("rolled-back: CRL 2 in");
    site.run("log verify").succeeds();
    site.run("status").succeeds();
}

#[test]
fn the_status_says_so() {
    let (site, _) = put_back();
    site.refuses("status", 3, "the store was put back");
    let outcome = site.run("status --json").exits(3);
    assert!(outcome.stdout.contains("\"state\":\"newer\""), "{outcome}");
}

#[test]
fn publishing_does_not_put_the_older_list_in_place() {
    let (site, serial) = put_back();
    let before = site.read("server/crl.pem");
    site.run("crl publish").exits(1).says("the store was put back").says("vpnpki crl refresh");
    assert_eq!(site.read("server/crl.pem"), before);
    site.run("crl refresh").succeeds();
    taken_over(&site, &serial, 0);
}

#[test]
fn the_next_issue_takes_over() {
    let (site, serial) = put_back();
    site.run("issue client3").succeeds().says("the store was put back; 1 revocations were taken over");
    taken_over(&site, &serial, 0);
    site.run("export client1 --force").exits(1).says("revoked since");
}

#[test]
fn the_next_revocation_takes_over() {
    let (site, serial) = put_back();
    site.run("revoke client2").succeeds().says("the store was put back");
    taken_over(&site, &serial, 1);
}

#[test]
fn revoking_the_same_again_takes_over() {
    let (site, serial) = put_back();
    site.run("revoke client1").succeeds().says("the store was put back");
    taken_over(&site, &serial, 0);
}

#[test]
fn a_certificate_that_the_store_never_knew_stays_revoked() {
    let site = Site::published("--issue client1");
    let yesterday = site.read("pki/pki.db");
    site.run("issue lost").succeeds();
    let serial = site.serial("lost");
    site.run("revoke lost").succeeds();
    fs::write(site.path("pki/pki.db"), yesterday).expect("the store");
    site.run("revoke client1").succeeds().says("the store was put back");
    let (number, serials) = published(&site, "server/crl.pem");
    assert!(number > 2 && serials.contains(&serial) && serials.len() == 2, "{number} {serials:?}");
    site.run(&format!("show serial:{serial}")).succeeds().says("learned from a published CRL");
    site.run("log verify").succeeds();
    // the name is free, the serial never
    site.run("issue lost --force").succeeds();
    assert!(published(&site, "server/crl.pem").1.contains(&serial));
}

#[test]
fn a_dry_run_takes_nothing_over() {
    let (site, _) = put_back();
    for line in ["issue client3 --dry-run", "revoke client2 --dry-run"] {
        site.refuses(line, 0, "would");
    }
}

#[test]
fn a_noted_head_finds_it_without_any_target() {
    let site = Site::made("--issue client1");
    let yesterday = site.read("pki/pki.db");
    site.run("revoke client1 --no-publish").succeeds();
    let verified = site.json("log verify");
    let head = verified["head"].as_str().expect("a head").to_owned();
    site.run(&format!("log verify --head {head}")).succeeds();
    fs::write(site.path("pki/pki.db"), yesterday).expect("the store");
    site.run("log verify").succeeds();
    site.run(&format!("log verify --head {head}")).exits(1).says("entries were lost, or this is another ledger");
}

#[test]
fn a_store_that_was_put_back_and_signed_under_the_same_number_does_not_take_the_other_list_away() {
    let (site, one) = put_back();
    // while that target cannot be reached, the store signs another CRL 2, and another CRL 3
    site.sh("mv server away").succeeds();
    site.run("revoke client2").exits(1);
    let two = site.serial("client2");
    for again in [false, true] {
        if again {
            site.run("crl refresh").exits(1);
        }
        site.sh("mv away server").succeeds();
        let before = site.read("server/crl.pem");
        site.run("crl publish").exits(1).says("the store was put back");
        assert_eq!(site.read("server/crl.pem"), before, "the list that knows of client1 stays");
        site.sh("mv server away").succeeds();
    }
    site.sh("mv away server").succeeds();
    site.run("issue client3").succeeds().says("1 revocations were taken over");
    assert_eq!(published(&site, "server/crl.pem").1, [one, two].into());
    assert_eq!(site.status("client1"), "revoked");
    site.run("log verify").succeeds();
}

#[test]
fn a_revocation_for_good_is_taken_over_although_the_store_knows_a_suspension() {
    let site = Site::published("--issue client1 client2");
    site.run("suspend client1").succeeds();
    let yesterday = site.read("pki/pki.db");
    site.run("revoke client1 --reason keyCompromise").succeeds();
    fs::write(site.path("pki/pki.db"), yesterday).expect("the store");
    assert_eq!(site.status("client1"), "suspended");
    site.run("resume client1").exits(1).says("cannot resume `client1`: its certificate is revoked since");
    site.run("crl refresh").succeeds().says("1 revocations were taken over");
    assert_eq!(site.status("client1"), "revoked");
    let serial = site.serial("client1");
    assert!(published(&site, "server/crl.pem").1.contains(&serial));
}

#[test]
fn a_suspension_that_was_ended_is_not_taken_over_from_an_older_list() {
    let site = Site::published("--issue client1 client2");
    site.run("suspend client1").succeeds();
    site.sh("mv server away").succeeds();
    site.run("resume client1").exits(1);
    site.sh("mv away server").succeeds();
    site.run("crl publish").succeeds();
    assert!(published(&site, "server/crl.pem").1.is_empty());
    assert_eq!(site.status("client1"), "valid");
}

#[test]
fn a_certificate_that_the_store_lost_is_revoked_by_its_serial() {
    let site = Site::published("--issue client1");
    let yesterday = site.read("pki/pki.db");
    site.run("issue client2").succeeds();
    let lost = site.serial("client2");
    fs::write(site.path("pki/pki.db"), yesterday).expect("the store");
    site.refuses(&format!("revoke serial:{lost}"), 1, "--unknown");
    site.refuses("revoke client2 --unknown", 1, "there is no `client2`");
    site.run(&format!("revoke serial:{lost} --unknown")).succeeds().says("published CRL 2");
    assert_eq!(published(&site, "server/crl.pem").1, [lost.clone()].into());
    site.run(&format!("show serial:{lost}")).succeeds().says("holder unknown");
    site.run("log verify").succeeds();
}
