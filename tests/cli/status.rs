//! `status` in its other forms: what scrapers and calendars read, and how the file is written.
//! Knows the formats by small readers of its own, not by the code that writes them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
};

use crate::site::Site;

/// Every sample by name and labels; each must stand behind its HELP and TYPE.
fn gauges(text: &str) -> BTreeMap<String, i64> {
    let (mut known, mut samples) = (BTreeSet::new(), BTreeMap::new());
    assert!(text.ends_with('\n'), "the last line has no end");
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let name = help.split(' ').next().expect("a name");
            assert!(help.len() > name.len() + 10 && known.insert(name.to_owned()), "{line}");
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').expect("a name and a type");
            assert!(known.contains(name) && kind == "gauge", "{line}");
        } else {
            let (sample, value) = line.rsplit_once(' ').expect("a value");
            let name = sample.split('{').next().expect("a name");
            assert!(known.contains(name) && name.starts_with("vpnpki_"), "{line}");
            assert!(samples.insert(sample.to_owned(), value.parse().expect("a number")).is_none(), "twice: {line}");
        }
    }
    samples
}

#[test]
fn prometheus_reads_what_json_says() {
    let site = Site::published("--issue client1 client2 client3");
    site.run("revoke client1").succeeds();
    site.run("renew client2 --force").succeeds();
    let (text, told) = (site.run("status --format prometheus").exits(0).stdout, site.json("status"));
    let read = gauges(&text);
    assert_eq!(read["vpnpki_clients{status=\"valid\"}"], 2);
    assert_eq!(read["vpnpki_clients{status=\"revoked\"}"], 1);
    assert_eq!((read["vpnpki_superseded"], read["vpnpki_crl_entries"]), (1, 1));
    assert_eq!(read["vpnpki_crl_number"], told["crl"]["number"].as_i64().expect("a number"));
    assert_eq!(read["vpnpki_ledger_entries"], told["ledger_entries"].as_i64().expect("a number"));
    let end = vpnpki::time::Time::parse(told["ca"]["not_after"].as_str().expect("a time")).expect("a time");
    assert_eq!(read["vpnpki_ca_not_after_seconds"], end.unix());
    assert!(read.contains_key("vpnpki_server_not_after_seconds{server=\"server\"}"));
    assert_eq!((read["vpnpki_targets{state=\"current\"}"], read["vpnpki_targets{state=\"behind\"}"]), (1, 0));
    assert_eq!((read["vpnpki_due"], read["vpnpki_problems"]), (0, 0));
    // people's names only where they are wanted, and only of those who have access
    assert!(!text.contains("client2"), "{text}");
    let named = gauges(&site.run("status --format prometheus --names").exits(0).stdout);
    let people: Vec<&String> = named.keys().filter(|sample| sample.contains("{name=")).collect();
    assert_eq!(people.len(), 2, "{people:?}");
}

#[test]
fn a_file_is_replaced_whole_and_readable_and_the_exit_code_stays() {
    let site = Site::published("--issue client1");
    site.write("vpn.prom", "old");
    fs::set_permissions(site.path("vpn.prom"), fs::Permissions::from_mode(0o600)).expect("our file");
    let before = fs::metadata(site.path("vpn.prom")).expect("a file").ino();
    let outcome = site.run("status --format prometheus -o vpn.prom").exits(0);
    assert!(outcome.stdout.is_empty(), "{outcome}");
    let after = fs::metadata(site.path("vpn.prom")).expect("a file");
    assert!(after.ino() != before && after.mode() & 0o7777 == 0o644, "it was not replaced");
    site.run("revoke client1 --no-publish").succeeds();
    site.run("status --format prometheus -o vpn.prom").exits(3);
    assert_eq!(gauges(&site.text("vpn.prom"))["vpnpki_problems"], 1);
    site.run("status -o screen.txt").exits(3);
    assert!(site.text("screen.txt").contains("does NOT have it"));
    site.refuses("status --format prometheus -o nowhere/vpn.prom", 1, "nowhere");
}

/// The lines of a calendar, unfolded.
fn unfolded(text: &str) -> Vec<String> {
    assert!(text.ends_with("\r\n") && !text.replace("\r\n", "").contains(['\r', '\n']), "not all lines end with CRLF");
    assert!(text.split("\r\n").all(|line| line.len() <= 75), "a line is too long");
    text.replace("\r\n ", "").split_terminator("\r\n").map(str::to_owned).collect()
}

/// The events of a calendar, each with its properties; components must be closed as they were opened.
fn events(text: &str) -> Vec<BTreeMap<String, String>> {
    let (mut open, mut events, mut alarms) = (Vec::new(), Vec::new(), 0);
    for line in unfolded(text) {
        let (name, value) = line.split_once(':').expect("a property");
        match name {
            "BEGIN" => {
                match value {
                    "VEVENT" => events.push(BTreeMap::new()),
                    "VALARM" => alarms += 1,
                    other => assert_eq!(other, "VCALENDAR"),
                }
                open.push(value.to_owned());
            }
            "END" => assert_eq!(open.pop().as_deref(), Some(value)),
            _ if open.last().is_some_and(|inner| inner == "VEVENT") => {
                let event: &mut BTreeMap<String, String> = events.last_mut().expect("an event");
                assert!(event.insert(name.to_owned(), value.to_owned()).is_none(), "twice: {line}");
            }
            _ => {}
        }
    }
    assert!(open.is_empty());
    assert_eq!(alarms, 2 * events.len(), "two reminders each");
    events
}

#[test]
fn a_calendar_has_one_event_for_every_end() {
    let site = Site::published("--issue client1 client2 client3");
    site.run("revoke client3").succeeds();
    let text = site.run("status --format ics").exits(0).stdout;
    let events = events(&text);
    let summaries: BTreeSet<&str> = events.iter().map(|event| event["SUMMARY"].as_str()).collect();
    assert_eq!((events.len(), summaries.len()), (5, 5), "{summaries:?}");
    for expected in ["CRL ends", "server server ends", "client client1 ends", "client client2 ends"] {
        assert!(summaries.contains(expected), "{summaries:?}");
    }
    let uids: BTreeSet<&String> = events.iter().map(|event| &event["UID"]).collect();
    assert_eq!(uids.len(), 5, "{uids:?}");
    let client = events.iter().find(|event| event["SUMMARY"].contains("client1")).expect("an event");
    assert!(client["UID"].contains(&site.serial("client1")), "{client:?}");
    let shown = site.json("show client1");
    let end = shown["certificates"][0]["not_after"].as_str().expect("a time")[..10].replace('-', "");
    assert_eq!(client["DTSTART;VALUE=DATE"], end);
    // the same event in the next calendar
    let again = site.run("status --format ics").stdout;
    let uids_again: BTreeSet<String> = self::events(&again).into_iter().map(|event| event["UID"].clone()).collect();
    assert!(uids.iter().all(|uid| uids_again.contains(*uid)));
}

#[test]
fn forms_that_exclude_each_other_are_usage() {
    let site = Site::published("--issue client1");
    site.refuses("status --names", 2, "belongs to");
    site.refuses("status --format ics --json", 2, "cannot be used with");
    site.refuses("status -o x --json", 2, "cannot be used with");
    site.refuses("status --format xml", 2, "invalid value");
}

#[test]
fn rows_of_crls_and_overlaps_are_on_the_screen() {
    let site = Site::published("--issue client1 client2");
    site.run("renew client1 --force").succeeds();
    let outcome = site.run("status").exits(0).says("overlap  client1, the old certificate is accepted until");
    assert!(outcome.stdout.contains("1 signed in advance"), "{outcome}");
    let json = site.json("status");
    assert_eq!(
        (json["superseded"][0]["name"].as_str(), json["crl"]["in_advance"].as_u64()),
        (Some("client1"), Some(1))
    );
    site.write("pki/vpnpki.toml", &site.text("pki/vpnpki.toml").replace("[crl]\n", "[crl]\ndays = 14\n"));
    site.run("crl ladder --weeks 10").succeeds();
    let json = site.json("status");
    let (next, last) = (json["crl"]["next_update"].as_str(), json["crl"]["coverage_ends"].as_str());
    assert!(next < last && json["crl"]["in_advance"].as_u64() > Some(9), "{json:#}");
    site.run("status").exits(0);
}
