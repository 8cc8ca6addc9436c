//! `crl-verify DIR dir` with a running server: what it does with the names, and when it cannot see them.
//! Knows `OpenVPN`'s habits; what lies in the directory is for the other tests.

use std::{fs, process::Command, thread, time::Duration};

use vpnpki::serial::Serial;

use crate::{
    common::Outcome,
    network::{Network, INSIDE},
    openvpn::OpenVpn,
    site::{chmod, Site},
};

/// An authority whose servers read names and become nobody.
fn of_names(options: &str) -> Site {
    let site = Site::with_authority(options);
    site.set("server", "crl-dir", "crl");
    site.set("server", "user", "nobody");
    site.set("server", "group", "nogroup");
    site
}

/// The server refuses by the name of a file.
#[track_caller]
fn is_refused(site: &Site, network: &Network, server: &mut OpenVpn, client: usize, profile: &str) {
    site.is_refused_with(network, server, client, profile, "is revoked");
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn a_running_server_without_its_privileges_follows_the_names() {
    let site = of_names("--issue client1 client2 client3");
    for (key, seconds) in [("reneg-sec", 10), ("hand-window", 5), ("tran-window", 5)] {
        site.set("server", key, seconds);
    }
    site.run("export server --publish -o served").succeeds();
    let network = Network::new(4);
    let mut server = site.server(&network, "served");
    assert!(server.log().contains("UID set to nobody"), "{}", server.log());
    let live = site.connects(&network, 0, "client1.ovpn");
    let _stays = site.connects(&network, 1, "client2.ovpn");

    site.run("revoke client1").succeeds().says("served/crl").says("15 s");
    is_refused(&site, &network, &mut server, 2, "client1.ovpn");
    site.run("suspend client3").succeeds();
    is_refused(&site, &network, &mut server, 3, "client3.ovpn");
    site.run("resume client3").succeeds();
    drop(site.connects(&network, 3, "client3.ovpn"));

    thread::sleep(Duration::from_secs(20));
    assert!(!network.clients[0].pings(INSIDE), "the live session goes on:\n{}\n{}", live.log(), server.log());
    assert!(network.clients[1].pings(INSIDE), "client2 lost its session:\n{}", server.log());
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn a_name_is_the_number_that_openssl_and_python_read() {
    let site = of_names("--no-export");
    site.run("export server --publish -o served").succeeds();
    site.run("issue client1 --format dir -o client1").succeeds();
    site.run("revoke client1").succeeds();
    let shown = site.tool("openssl x509 -in client1/client1.crt -noout -serial").succeeds().stdout;
    let own = shown.trim().trim_start_matches("serial=").to_owned();
    // every first octet, in every length that a certificate of anybody's can have
    let lengths = (1..=20_u8).flat_map(|length| (1..=255_u8).map(move |first| (first, length)));
    let octets = lengths.map(|(first, length)| (1..=length).map(|at| first.wrapping_mul(at)).collect::<Vec<_>>());
    let serials: Vec<Serial> = octets.filter_map(|octets| Serial::from_octets(&octets).ok()).collect();
    assert!(serials.len() > 4_900, "{}", serials.len());
    let hex: Vec<String> = serials.iter().map(ToString::to_string).chain([own]).collect();
    fs::write(site.path("hex"), hex.join("\n")).expect("our file");
    fs::write(site.path("read.py"), "for line in open('hex'): print(int(line, 16))").expect("our file");
    let read = site.tool("python3 read.py").succeeds().stdout;
    let mut numbers = read.lines();
    for serial in serials {
        assert_eq!(numbers.next(), Some(&*serial.decimal()), "{serial}");
    }
    assert!(site.path("served/crl").join(numbers.next().expect("client1's")).exists(), "{shown}");
}

/// Why `doctor` and `status` say of a directory that is gone or shut whom it lets in: `platform_open` fails, and that is all
/// that `verify_check_crl_dir` asks (`ssl_verify.c`).
#[test]
#[ignore = "needs root and peers: tests/run"]
fn a_server_that_cannot_see_the_names_lets_everybody_in_and_we_say_so() {
    let site = of_names("--issue client1 client2");
    site.run("export server --publish -o served").succeeds();
    site.run("revoke client1").succeeds();
    let network = Network::new(1);
    let mut server = site.server(&network, "served");
    is_refused(&site, &network, &mut server, 0, "client1.ovpn");

    chmod(&site.path("served/crl"), 0o700);
    drop(site.connects(&network, 0, "client1.ovpn"));
    let told = site.run("doctor").exits(3).says("`nobody` cannot enter").says("until then it lets in client1");
    let mend = told.stdout.split('`').find(|words| words.starts_with("ch")).expect("a command as the mend").to_owned();
    Outcome::of(Command::new("sh").args(["-c", &mend]).current_dir(site.dir())).succeeds();
    is_refused(&site, &network, &mut server, 0, "client1.ovpn");

    site.tool("mv served/crl gone").succeeds();
    drop(site.connects(&network, 0, "client1.ovpn"));
    site.run("status").exits(3).says("until then it lets in client1");
    site.run("crl publish").succeeds().says("served/crl");
    is_refused(&site, &network, &mut server, 0, "client1.ovpn");
    site.connects(&network, 0, "client2.ovpn");
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn a_server_does_not_start_where_the_directory_is_missing_and_needs_no_date() {
    let site = of_names("--issue client1");
    site.run("export server -o served").succeeds();
    let network = Network::new(1);
    // no server looks at the list: an ended or torn one locks nobody out
    fs::write(site.path("served/crl/crl.pem"), "torn").expect("our file");
    let server = site.server(&network, "served");
    drop(site.connects(&network, 0, "client1.ovpn"));
    drop(server);
    site.tool("rm -r served/crl").succeeds();
    let mut refused = OpenVpn::start(&network.server, &site.path("served/server.conf"));
    refused.wait_for("--crl-verify directory fails with 'crl'", 0);
    refused.wait_for("Please correct these errors", 0);
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn whoever_owns_the_directory_of_names_alone_publishes_to_a_running_server() {
    let site = of_names("--issue client1 client2");
    site.run("export server --publish -o served").succeeds();
    site.tool("chown -R 4711:4711 served/crl pki").succeeds();
    fs::copy(env!("CARGO_BIN_EXE_vpnpki"), site.path("vpnpki")).expect("a copy of the program");
    let network = Network::new(1);
    let mut server = site.server(&network, "served");
    drop(site.connects(&network, 0, "client1.ovpn"));
    let stranger = "setpriv --reuid 4711 --regid 4711 --clear-groups --";
    site.tool(&format!("{stranger} ./vpnpki revoke client1")).succeeds().says("published CRL 2 to");
    is_refused(&site, &network, &mut server, 0, "client1.ovpn");
    // root acts for the owner, who takes away what root has put there
    site.run("suspend client2").succeeds();
    is_refused(&site, &network, &mut server, 0, "client2.ovpn");
    site.tool(&format!("{stranger} ./vpnpki resume client2")).succeeds().says("published CRL 4 to");
    site.connects(&network, 0, "client2.ovpn");
}
