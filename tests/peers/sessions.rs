//! Live sessions through the management interface of a real `OpenVPN`: shown, ended at once, and not begun again.
//! Knows the settings and the commands, not the protocol.

use std::{
    fs,
    net::Shutdown,
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use crate::{
    common::{vpnpki, Outcome},
    network::{Network, INSIDE},
    openvpn::OpenVpn,
    site::{chmod, under, Site},
};

/// An authority with two clients, whose server has a management interface on `socket` here and runs from `served`.
fn managed(options: &str) -> Site {
    let site = Site::with_authority(&format!("--issue client1 --issue client2 {options}"));
    site.set("server", "management", format!("{} unix", site.path("socket").display()));
    site.run("export server --publish -o served").succeeds();
    site
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn a_kick_ends_the_session_at_once_and_the_client_cannot_come_back() {
    let site = managed("");
    let network = Network::new(3);
    let mut server = site.server(&network, "served");
    let live = site.connects(&network, 0, "client1.ovpn");
    let _stays = site.connects(&network, 1, "client2.ovpn");
    let listed = site.run("sessions").succeeds();
    for (name, from) in [("client1", "10.99.0.2:"), ("client2", "10.99.0.3:")] {
        let row = listed.stdout.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{listed}"));
        assert!(row.contains("valid") && row.contains("10.8.0.") && row.contains(from), "{row}");
        let since = row.split_whitespace().find(|word| word.ends_with('Z')).expect("a time");
        let since = vpnpki::time::Time::parse(since).expect("a time").unix();
        let now = std::time::UNIX_EPOCH.elapsed().expect("a clock").as_secs();
        assert!(now.abs_diff(u64::try_from(since).expect("after 1970")) < 60, "{row}");
    }

    let begin = Instant::now();
    site.run("revoke client1 --kick").succeeds().says("ended the session of client1 on server");
    println!("recorded, published and kicked after {:?}", begin.elapsed());
    assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
    assert!(!network.clients[0].pings(INSIDE), "the session goes on:\n{}", server.log());

    let left = site.run("sessions").succeeds().stdout;
    assert!(!left.contains("client1") && left.contains("client2"), "{left}");
    site.run("revoke client1 --prove").succeeds().says("no session is left on server");
    site.is_refused(&network, &mut server, 2, "client1.ovpn");
    drop(live);
    site.is_refused(&network, &mut server, 0, "client1.ovpn");
    assert!(network.clients[1].pings(INSIDE), "client2 lost its session:\n{}", server.log());
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn who_still_has_access_comes_back_and_is_told_to_be_connected() {
    let site = Site::with_authority("--remote 10.99.0.1:443/tcp --issue client1");
    let word = site.path("word");
    fs::write(&word, "a word of its own\n").expect("a file");
    chmod(&word, 0o600);
    site.set("server", "management", "127.0.0.1 7505");
    site.set("server", "management-password-file", word.display().to_string());
    site.run("export server --publish -o served").succeeds();
    let network = Network::new(1);
    let mut server = site.server(&network, "served");
    let mut client = site.connects(&network, 0, "client1.ovpn");
    // the port is the server's namespace's own
    let there = |line: &str| Outcome::of(&mut under(network.server.command("env"), &vpnpki(site.dir(), line)));
    site.run("sessions").exits(1).says("cannot be reached");
    there("sessions").succeeds().says("client1");

    let before = client.log().len();
    there("kick client1").succeeds().says("ended the session of client1").says("may connect again");
    client.wait_for("Initialization Sequence Completed", before);
    assert!(network.clients[0].pings(INSIDE), "{}", client.log());
    there("revoke client1 --prove").exits(1).says("not proven: the session of client1 on server");
    there("revoke client1 --kick --prove").succeeds();
    assert!(!network.clients[0].pings(INSIDE), "{}", client.log());
    drop(client);
    site.is_refused(&network, &mut server, 0, "client1.ovpn");

    fs::write(&word, "another\n").expect("a file");
    there("sessions").exits(1).says("does not take the password");
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn who_is_suspended_is_out_at_once_and_comes_back_when_resumed() {
    let site = managed("");
    let network = Network::new(1);
    let mut server = site.server(&network, "served");
    let live = site.connects(&network, 0, "client1.ovpn");
    site.run("suspend client1 --kick --prove").succeeds().says("ended the session of client1 on server");
    assert!(!network.clients[0].pings(INSIDE), "the session goes on:\n{}", server.log());
    drop(live);
    site.is_refused(&network, &mut server, 0, "client1.ovpn");
    site.run("resume client1").succeeds();
    let _again = site.connects(&network, 0, "client1.ovpn");
    site.run("sessions client1").succeeds().says("valid");
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn every_server_is_told() {
    let site = managed("");
    let network = Network::new(3);
    site.tool("cp -a served second").succeeds();
    let conf = site.path("second/server.conf");
    let text = fs::read_to_string(&conf).expect("a configuration");
    let [one, other] = ["socket", "second.socket"].map(|name| format!("{} unix", site.path(name).display()));
    fs::write(&conf, text.replace(&one, &other)).expect("written");
    site.run("crl publish --add second").succeeds();
    let settings = site.path("pki/vpnpki.toml");
    let text = fs::read_to_string(&settings).expect("settings");
    let entry = |name: &str, at: &str| format!("\n[[servers]]\nname = \"{name}\"\nmanagement = \"{at}\"\n");
    fs::write(&settings, text + &entry("server", &one) + &entry("server-2", &other)).expect("written");

    // the second runs where the third client would be
    let _first = site.server(&network, "served");
    let second = OpenVpn::up(&network.clients[2], &conf);
    let profile = fs::read_to_string(site.path("client1.ovpn")).expect("a profile");
    fs::write(site.path("there.ovpn"), profile.replace("10.99.0.1", "10.99.0.4")).expect("written");
    let _here = site.connects(&network, 0, "client1.ovpn");
    let _there = site.connects(&network, 1, "there.ovpn");

    let outcome = site.run("revoke client1 --kick --prove").succeeds();
    for server in ["server", "server-2"] {
        assert!(outcome.stdout.contains(&format!("ended the session of client1 on {server},")), "{outcome}");
    }
    assert!(!network.clients[0].pings(INSIDE) && !network.clients[1].pings(INSIDE), "{}", second.log());
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn a_server_that_is_down_keeps_nobody_in() {
    let site = managed("");
    let network = Network::new(1);
    drop(site.server(&network, "served"));
    site.run("revoke client1 --kick").exits(1).says("`server` was not reached").says("published CRL 2");
    site.run("show client1").succeeds().says("revoked");
    let mut server = site.server(&network, "served");
    site.is_refused(&network, &mut server, 0, "client1.ovpn");
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn an_interface_that_another_program_holds_is_said_to_be_held() {
    let site = Site::with_authority("--issue client1");
    let word = site.path("word");
    fs::write(&word, "a word of its own\n").expect("a file");
    chmod(&word, 0o600);
    site.set("server", "management", format!("{} unix", site.path("socket").display()));
    site.set("server", "management-password-file", word.display().to_string());
    site.run("export server --publish -o served").succeeds();
    let network = Network::new(0);
    let _server = site.server(&network, "served");
    site.run("sessions").succeeds();
    let holder = UnixStream::connect(site.path("socket")).expect("a socket");
    site.run("sessions").exits(1).says("does not answer within 5s").says("another may hold it");
    holder.shutdown(Shutdown::Both).expect("a connection");
    drop(holder);
    site.run("kick client1").succeeds().says("no session on server");
}
