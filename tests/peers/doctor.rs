//! What `doctor --at` says of a date, held against what `OpenVPN` does on it: servers and clients with their clocks set.
//! Knows who should be out; the reasons are `OpenVPN`'s own.

use std::{collections::BTreeSet, process::Command};

use serde_json::Value;
use vpnpki::time::Time;

use crate::{
    clock,
    common::{vpnpki, Outcome},
    network::{Network, INSIDE},
    openvpn::OpenVpn,
    site::Site,
};

/// Whose log says why nobody gets in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Refuses {
    Server,
    Client,
}

/// What `doctor` says of a date; the clients in question are `clients`.
#[track_caller]
fn said(site: &Site, time: Time, clients: &[&str]) -> (BTreeSet<String>, Value) {
    let outcome = site.run(&format!("doctor --at {time} --json"));
    let object: Value = serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}\n{outcome}"));
    let rows = object["locked_out"].as_array().expect("rows");
    let everybody = rows.iter().any(|row| row["everybody"] == true);
    assert!(!everybody || outcome.status.code() == Some(3), "nobody gets in, and that is not due\n{outcome}");
    let named = rows.iter().filter_map(|row| row["name"].as_str());
    let out = if everybody {
        clients.iter().map(|name| (*name).to_owned()).collect()
    } else {
        named.map(str::to_owned).collect()
    };
    (out, object)
}

/// On that date exactly `out` of `clients` are locked out, says `doctor`, and so it is.
#[track_caller]
fn holds(site: &Site, days: i64, clients: &[&str], out: &[&str], refuses: Refuses) -> Value {
    let time = clock::in_days(days);
    let (locked_out, object) = said(site, time, clients);
    assert_eq!(locked_out, out.iter().map(|name| (*name).to_owned()).collect(), "day {days}: {object:#}");
    let network = Network::new(1);
    let mut server = OpenVpn::start_at(&network.server, &site.path("served/server.conf"), time);
    server.wait_for("Initialization Sequence Completed", 0);
    for name in clients {
        let before = server.log().len();
        let mut client = OpenVpn::start_at(&network.clients[0], &site.path(&format!("{name}.ovpn")), time);
        if !locked_out.contains(*name) {
            client.wait_for("Initialization Sequence Completed", 0);
            assert!(network.clients[0].pings(INSIDE), "day {days}: {name} does not get through\n{}", client.log());
            continue;
        }
        match refuses {
            Refuses::Server => server.wait_for("VERIFY ERROR", before),
            Refuses::Client => client.wait_for("VERIFY ERROR", 0),
        }
        assert!(!network.clients[0].pings(INSIDE), "day {days}: {name} gets through\n{}", client.log());
        assert!(!client.is_up(), "day {days}: {name} is connected\n{}", client.log());
    }
    object
}

fn whys(object: &Value) -> String {
    let rows = object["locked_out"].as_array().expect("rows");
    rows.iter().map(|row| row["why"].to_string()).collect::<Vec<_>>().join("\n")
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn a_client_is_out_after_its_end_or_its_revocation_and_everybody_after_the_end_of_the_ca() {
    let site = Site::with_authority("--publish served --ca-days 300 --issue client1 --issue client3");
    site.run("issue client2 --days 40").succeeds();
    let clients = ["client1", "client2", "client3"];
    holds(&site, 10, &clients, &[], Refuses::Server);
    site.run("revoke client3").succeeds();
    holds(&site, 10, &clients, &["client3"], Refuses::Server);
    let later = holds(&site, 60, &clients, &["client2", "client3"], Refuses::Server);
    assert!(whys(&later).contains("its certificate ends") && whys(&later).contains("revoked"), "{later:#}");
    let over = holds(&site, 310, &clients, &clients, Refuses::Client);
    assert!(whys(&over).contains("the CA ends"), "{over:#}");
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn everybody_is_out_after_the_end_of_the_servers_certificate() {
    let site = Site::with_authority("--publish served --issue client1");
    site.run("renew server --days 50 --overlap 0").succeeds();
    holds(&site, 40, &["client1"], &[], Refuses::Server);
    let over = holds(&site, 60, &["client1"], &["client1"], Refuses::Client);
    assert_eq!(over["locked_out"][0]["everybody"], true, "{over:#}");
    assert!(whys(&over).contains("its certificate ends") && !whys(&over).contains("CA"), "{over:#}");
    // the directory counts, not what the store knows: a renewal that never arrived changes nothing
    site.run("renew server --overlap 0 -o elsewhere").succeeds();
    let drifted = holds(&site, 60, &["client1"], &["client1"], Refuses::Client);
    let drift = drifted["findings"].as_array().expect("rows").iter().find(|row| row["kind"] == "server-certificate");
    let mend = drift.expect("the drift")["mend"].as_str().expect("a command").to_owned();
    site.run(mend.strip_prefix("vpnpki ").expect("a command of ours")).succeeds();
    holds(&site, 60, &["client1"], &[], Refuses::Server);
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn everybody_is_out_after_the_end_of_the_crl() {
    let site = Site::with_authority("--publish served --issue client1");
    site.set("crl", "days", 20);
    site.run("crl refresh").succeeds();
    holds(&site, 15, &["client1"], &[], Refuses::Server);
    let over = holds(&site, 30, &["client1"], &["client1"], Refuses::Server);
    assert!(whys(&over).contains("the CRL that it reads ends"), "{over:#}");
    // a target that was not reached goes on with its own, whatever the store has
    site.set("crl", "days", 200);
    site.run("crl refresh --no-publish").succeeds();
    holds(&site, 30, &["client1"], &["client1"], Refuses::Server);
    site.run("crl publish").succeeds();
    holds(&site, 30, &["client1"], &[], Refuses::Server);
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn with_a_ladder_one_unlock_carries_servers_through_a_year() {
    let site = Site::with_authority("--publish served --issue client1");
    site.set("crl", "days", 14);
    site.run("crl ladder --weeks 52").succeeds();
    site.tool("mv pki/vault.key elsewhere").succeeds();
    for days in (0..=364).step_by(13) {
        let time = clock::in_days(days);
        assert_eq!(said(&site, time, &[]).0.len(), 0, "day {days}");
        assert_eq!(said(&site, time, &["client1"]).0, BTreeSet::new(), "day {days}");
        published_at(&site, time).succeeds();
        verified_at(&site, time).succeeds();
        if days == 182 || days == 364 {
            holds(&site, days, &["client1"], &[], Refuses::Server);
        }
    }
    let after = clock::in_days(52 * 7 + 15);
    assert_eq!(said(&site, after, &["client1"]).0.len(), 1, "nothing was signed for that day");
    published_at(&site, after).succeeds();
    assert!(verified_at(&site, after).stderr.contains("CRL has expired"));
    // a clock that is right again puts no older one in its place
    let last = std::fs::read(site.path("served/crl.pem")).expect("a CRL");
    site.run("crl publish").succeeds().says("a CRL that was signed in advance is in");
    assert_eq!(std::fs::read(site.path("served/crl.pem")).expect("a CRL"), last);
}

fn published_at(site: &Site, time: Time) -> Outcome {
    let mut publish = vpnpki(site.dir(), "crl publish");
    clock::set(&mut publish, time);
    Outcome::of(&mut publish)
}

/// What OpenSSL says of the server's certificate with the CRL beside it, at that time.
fn verified_at(site: &Site, time: Time) -> Outcome {
    let mut verify = Command::new("openssl");
    verify.args(["verify", "-crl_check", "-CAfile", "ca.crt", "-CRLfile", "crl.pem"]);
    verify.args(["-attime", &time.unix().to_string(), "server.crt"]).current_dir(site.path("served"));
    Outcome::of(&mut verify)
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn a_clock_that_was_set_back_is_named() {
    let site = Site::with_authority("--publish served --issue client1");
    let mut doctor = vpnpki(site.dir(), "doctor");
    clock::set(&mut doctor, clock::in_days(-2));
    Outcome::of(&mut doctor).exits(3).says("it is behind");
    let mut doctor = vpnpki(site.dir(), "doctor");
    clock::set(&mut doctor, clock::in_days(402));
    Outcome::of(&mut doctor).exits(3).says("it may be ahead");
    site.run("doctor").exits(0);
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn a_calendar_library_reads_our_calendar() {
    let site = Site::with_authority("--publish served --issue client1 --ca-name \u{dc}ber;all,\\hier");
    site.run("status --format ics -o vpn.ics").succeeds();
    let mut python = Command::new("python3");
    python.args(["-c", READ_CALENDAR]).current_dir(site.dir());
    let read = Outcome::of(&mut python).succeeds().stdout;
    assert_eq!(read.lines().count(), 4, "{read}");
    assert!(
        read.contains("CA \u{dc}ber;all,\\hier ends -30 -7") && read.contains("client client1 ends -30 -7"),
        "{read}"
    );
}

/// Prints each event's summary and the days of its reminders; a fault in any of them ends it.
const READ_CALENDAR: &str = "
import datetime, icalendar
calendar = icalendar.Calendar.from_ical(open('vpn.ics', 'rb').read())
for event in calendar.walk('VEVENT'):
    assert not event.errors and type(event['DTSTART'].dt) is datetime.date and event['UID'] and event['DTSTAMP'].dt
    print(event['SUMMARY'], *(alarm['TRIGGER'].dt.days for alarm in event.walk('VALARM')))
";
