//! Live sessions: shown, ended, and proven to be gone; what a server's management interface may do wrong.
//! That `OpenVPN` itself ends them is proven in `tests/peers`.

use std::{fs, io::Write, net::TcpListener, os::unix::net::UnixListener, thread};

use vpnpki::pki::Crl;

use crate::{
    management::{Fake, Killed},
    site::Site,
};

/// An authority whose CRLs go to `server`, and whose server has a management interface at `socket`.
#[track_caller]
fn site(names: &str) -> Site {
    let site = Site::published(&format!("--issue {names}"));
    manage(&site, &format!("{} unix", site.path("socket").display()));
    site
}

/// Sets `management` of `[server]`.
#[track_caller]
fn manage(site: &Site, at: &str) {
    site.set("#management", &format!("management = \"{at}\""));
}

/// Adds a server of `[[servers]]`.
fn add(site: &Site, name: &str, at: &str, password_file: Option<&str>) {
    let file = password_file.map_or_else(String::new, |file| format!("management-password-file = \"{file}\"\n"));
    let text = site.text("pki/vpnpki.toml");
    site.write("pki/vpnpki.toml", &format!("{text}\n[[servers]]\nname = \"{name}\"\nmanagement = \"{at}\"\n{file}"));
}

/// A file that only its owner reads.
fn secret(site: &Site, name: &str, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    site.write(name, text);
    fs::set_permissions(site.path(name), fs::Permissions::from_mode(0o600)).expect("a file of ours");
}

fn kills(fake: &Fake) -> Vec<String> {
    fake.state().heard.iter().filter(|line| line.starts_with("kill")).cloned().collect()
}

#[test]
fn sessions_tells_who_is_connected_and_who_should_not_be() {
    let site = site("client1 client2 client3");
    let fake = Fake::new(&["stranger", "client3", "client1", "UNDEF", "\u{1b}[31m"]);
    fake.on_socket(&site.path("socket"));
    site.run("revoke client3").succeeds();
    let before = site.state();
    let outcome = site.run("sessions").succeeds();
    site.expect_state(&before, &outcome);
    let rows: Vec<Vec<&str>> = outcome.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["NAME", "SERVER", "STATUS", "ADDRESS", "SINCE", "FROM"], "{outcome}");
    assert_eq!(rows[1][..3], ["\\u{1b}[31m", "server", "unknown"], "{outcome}");
    let expected = ["client1", "server", "valid", "10.8.0.4", "2026-11-22T22:26:52Z", "192.0.2.1:40002"];
    assert_eq!(rows[2], expected, "{outcome}");
    assert_eq!(rows[3][..3], ["client3", "server", "revoked"], "{outcome}");
    assert_eq!(rows[4][..3], ["stranger", "server", "unknown"], "{outcome}");
    assert_eq!(rows.len(), 5, "{outcome}");

    let all = site.json("sessions");
    let statuses: Vec<_> = all["sessions"].as_array().expect("rows").iter().map(|row| row["status"].clone()).collect();
    assert_eq!(serde_json::json!(statuses), serde_json::json!([null, "valid", "revoked", null]), "{all}");
    assert_eq!((&all["sessions"][1]["name"], &all["sessions"][1]["id"]), (&"client1".into(), &2.into()), "{all}");
    assert_eq!(all["servers"][0]["server"], "server", "{all}");
    let one = site.json("sessions client1");
    assert_eq!(one["sessions"].as_array().map(Vec::len), Some(1), "{one}");
    assert_eq!(site.json("sessions client2")["sessions"], serde_json::json!([]));
    site.refuses("sessions client9", 1, "there is no `client9`");
}

#[test]
fn kick_ends_the_sessions_of_those_who_are_named() {
    let site = site("client1 client2 client3");
    let fake = Fake::new(&["client1", "client2", "client1", "client3"]);
    fake.on_socket(&site.path("socket"));
    let outcome = site.refuses("kick client1 client3 --dry-run", 0, "would end the session of client3 on server");
    assert_eq!(outcome.stdout.lines().count(), 3, "{outcome}");
    assert_eq!(kills(&fake), Vec::<String>::new());
    site.refuses("kick client1 client9", 1, "there is no `client9`");
    assert_eq!(fake.connected().len(), 4, "somebody was kicked");

    let outcome =
        site.refuses("kick client1 client3", 0, "ended the session of client3 on server, from 192.0.2.1:40003");
    assert_eq!(outcome.stdout.lines().filter(|line| line.starts_with("ended ")).count(), 3, "{outcome}");
    assert!(outcome.stdout.contains("may connect again"), "{outcome}");
    assert_eq!(fake.connected(), ["client2"]);
    assert_eq!(kills(&fake), ["kill client1", "kill client3"]);

    let again = site.json("kick client1");
    assert_eq!((&again["changed"], &again["servers"][0]["ended"]), (&false.into(), &serde_json::json!([])), "{again}");
    let last = site.json("kick client2");
    assert_eq!(
        (&last["changed"], &last["servers"][0]["ended"][0]["name"]),
        (&true.into(), &"client2".into()),
        "{last}"
    );
}

#[test]
fn kick_needs_no_passphrase_and_no_other_setting() {
    let site = Site::empty();
    let init =
        "printf 'correct horse' >pass; vpnpki --passphrase-file pass init --remote vpn.example.com --issue client1";
    site.sh(init).succeeds();
    manage(&site, &format!("{} unix", site.path("socket").display()));
    site.set("remotes", "remotes = [\"vpn.example.com]");
    let fake = Fake::new(&["client1"]);
    fake.on_socket(&site.path("socket"));
    site.run("kick client1 --batch").succeeds().says("this is no TOML");
    assert_eq!(fake.connected(), Vec::<String>::new());
}

#[test]
fn a_session_that_goes_on_is_said_and_one_that_is_new_is_told_apart() {
    let site = site("client1");
    let fake = Fake::new(&["client1"]);
    fake.on_socket(&site.path("socket"));
    fake.state().killed = Killed::Stays;
    site.refuses("kick client1", 1, "`client1` is still connected 3s after");
    fake.state().killed = Killed::Back;
    let outcome = site.refuses("kick client1", 0, "connected again: the session of client1");
    assert!(outcome.stdout.contains("ended the session of client1"), "{outcome}");
    // who is revoked must not be let in again
    site.run("revoke client1 --kick").exits(1).says("let in again: the session of client1 on server");
    assert_eq!(site.status("client1"), "revoked");
}

#[test]
fn a_port_with_a_password() {
    let site = Site::published("--issue client1");
    let fake = Fake::new(&["client1"]);
    fake.state().password = Some("right one".to_owned());
    let port = fake.on_port();
    add(&site, "server", &format!("127.0.0.1 {port}"), Some("../management.password"));
    let expect = |text: &str| {
        let outcome = site.refuses("kick client1", 1, text);
        assert_eq!(fake.connected(), ["client1"], "{outcome}");
        assert!(!outcome.stderr.contains("right one") && !outcome.stderr.contains("wrong one"), "{outcome}");
    };
    expect("the password of its management interface was not read");
    secret(&site, "management.password", "\nx\n");
    expect("begins with an empty line");
    secret(&site, "management.password", "wrong one\n");
    expect("does not take the password");
    let settings = site.text("pki/vpnpki.toml");
    site.write("pki/vpnpki.toml", &settings.replace("management-password-file = \"../", "#\""));
    expect("asks for a password, and `management-password-file` is not set");
    site.write("pki/vpnpki.toml", &settings);
    // an editor's line ends are not part of it
    site.write("management.password", "right one\r\nsomething else\n");
    let outcome = site.run("kick client1").succeeds();
    assert!(outcome.stderr.is_empty(), "{outcome}");
    assert_eq!(fake.connected(), Vec::<String>::new());
    site.sh("chmod 0640 management.password").succeeds();
    site.run("sessions").succeeds().says("can be read by others; `chmod 0600");
}

#[test]
fn a_server_that_does_not_answer_is_said_and_the_others_are_reached() {
    let site = Site::published("--issue client1");
    let socket = |name: &str| format!("{} unix", site.path(name).display());
    let _silent = UnixListener::bind(site.path("silent")).expect("a socket");
    let port = TcpListener::bind("127.0.0.1:0").expect("a port");
    let closed = port.local_addr().expect("its number").port();
    drop(port);
    says_and_ends(&site, "web", b"HTTP/1.1 400 Bad Request\r\n\r\n");
    says_and_ends(&site, "early", b">INFO:OpenVPN Management Interface Version 5\r\nTITLE\tx\r\n");
    says_and_ends(&site, "noise", &[0xff, 0, b'\r', b'\n', 0x1b]);
    says_and_ends(&site, "client", b">INFO:OpenVPN Management Interface\r\nOpenVPN STATISTICS\r\nEND\r\n");
    let _full = full(&site, "full");
    let fake = Fake::new(&["client1"]);
    fake.on_socket(&site.path("good"));
    for (name, at) in [
        ("server1", socket("silent")),
        ("server2", format!("127.0.0.1 {closed}")),
        ("server3", socket("web")),
        ("server4", socket("early")),
        ("server5", socket("noise")),
        ("server6", socket("client")),
        ("server7", socket("full")),
        ("server8", socket("missing")),
        ("server9", socket("good")),
    ] {
        add(&site, name, &at, None);
    }
    let begin = std::time::Instant::now();
    let outcome = site.refuses("kick client1", 1, "ended the session of client1 on server9");
    assert!(begin.elapsed().as_secs() < 15, "they were asked one after the other\n{outcome}");
    assert_eq!(fake.connected(), Vec::<String>::new());
    for (name, why) in [
        ("server1", "does not answer within 5s; it serves one program at a time"),
        ("server2", "cannot be reached: Connection refused"),
        ("server3", "no management interface of OpenVPN: it said `HTTP/1.1 400 Bad Request`"),
        ("server4", "ended the connection"),
        ("server5", "no management interface of OpenVPN"),
        ("server6", "this is no server"),
        ("server7", "does not answer within 5s"),
        ("server8", "cannot be reached: No such file or directory"),
    ] {
        let told = outcome.stderr.lines().any(|line| line.contains(&format!("`{name}` was not")) && line.contains(why));
        assert!(told, "{name}: {why}\n{outcome}");
    }
    let all = site.json("sessions");
    let problems = all["servers"].as_array().expect("servers").iter().filter(|server| server["problem"].is_string());
    assert_eq!(problems.count(), 8, "{all}");
}

/// Listens, says this to everybody, and hangs up.
fn says_and_ends(site: &Site, socket: &str, text: &'static [u8]) {
    let listener = UnixListener::bind(site.path(socket)).expect("a socket");
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.write_all(text);
            let _ = stream.shutdown(std::net::Shutdown::Write);
            // until the other side has read it
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        }
    });
}

/// A socket whose queue is full: a usual connect would wait there without end.
fn full(site: &Site, name: &str) -> Vec<std::os::fd::OwnedFd> {
    use rustix::net::{bind, connect, listen, socket_with, AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
    let socket =
        || socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::NONBLOCK, None).expect("a socket");
    let address = SocketAddrUnix::new(site.path(name)).expect("an address");
    let listener = socket();
    bind(&listener, &address).expect("a free name");
    listen(&listener, 0).expect("a socket that listens");
    let mut held = vec![listener];
    loop {
        let waiting = socket();
        if connect(&waiting, &address).is_err() {
            return held;
        }
        held.push(waiting);
    }
}

#[test]
fn without_a_management_interface_the_hint_works_when_it_is_followed() {
    let site = Site::published("--issue client1");
    for line in ["kick client1", "sessions", "kick client1 --dry-run"] {
        let outcome = site.refuses(line, 1, "the settings name no server's management interface");
        assert!(outcome.stderr.contains("`vpnpki export server --force -o DIR`"), "{outcome}");
    }
    manage(&site, "/run/openvpn-server/management.sock unix");
    site.run("export server --force -o server").succeeds();
    assert!(site.text("server/server.conf").contains("\nmanagement /run/openvpn-server/management.sock unix\n"));
    site.set("management =", "management = \"127.0.0.1 7505\"\nmanagement-password-file = \"/etc/my vpn/word\"");
    site.run("export server --force -o server").succeeds();
    assert!(site.text("server/server.conf").contains("\nmanagement 127.0.0.1 7505 \"/etc/my vpn/word\"\n"));
    site.set("management-password-file", "management-password-file = \"word\"");
    site.refuses("export server --force -o server", 1, "server.management-password-file: must be an absolute path");
    site.set("management =", "");
    site.set("management-password-file", "management-password-file = \"/etc/word\"");
    site.refuses("export server --force -o server", 1, "is the password of `management`, which is not set");
}

#[test]
fn a_server_that_cannot_be_read_is_said_and_the_others_are_told() {
    for fault in [
        "[[servers]]\nname = \"server2\"\nmanagement = \"0.0.0.0 1\"\n",
        "[[servers]]\nmanagement = \"127.0.0.1 1\"\n",
        "[[servers]]\nname = \"server2\"\nmanagement = \"127.0.0.1 1\"\nmanagement-password-file = 1\n",
        "[[severs]]\nname = \"server2\"\nmanagement = \"127.0.0.1 1\"\n[[serves]]\n",
        "[[servers]]\nname = \"server2\nmanagement = \"127.0.0.1 1\"\n",
    ] {
        let site = Site::published("--issue client1");
        let fake = Fake::new(&["client1"]);
        fake.on_socket(&site.path("socket"));
        if fault.contains("server2\n") {
            manage(&site, &format!("{} unix", site.path("socket").display()));
        } else {
            add(&site, "server", &format!("{} unix", site.path("socket").display()), None);
        }
        let text = site.text("pki/vpnpki.toml");
        site.write("pki/vpnpki.toml", &format!("{text}\n{fault}"));
        let outcome = site.refuses("kick client1", 1, "perhaps a server was not asked");
        assert_eq!(fake.connected(), Vec::<String>::new(), "{fault}\n{outcome}");
        assert!(outcome.stderr.contains("warning: vpnpki.toml:"), "{fault}\n{outcome}");
    }
}

#[test]
fn revoke_kicks_once_the_crl_is_published() {
    let site = site("client1 client2 client3");
    let fake = Fake::new(&["client1", "client2", "client3"]);
    fake.state().watched = Some(site.path("server/crl.pem"));
    fake.on_socket(&site.path("socket"));
    let serial = site.serial("client1");
    let outcome = site.run("revoke client1 client3 --kick").succeeds().says("ended the session of client1 on server");
    assert!(!outcome.stdout.contains("a live session ends within"), "{outcome}");
    assert_eq!(fake.connected(), ["client2"]);
    for list in &fake.state().seen {
        let crl = Crl::from_pem(list).expect("a published list");
        assert!(crl.entries().iter().any(|entry| entry.serial.to_string() == serial), "kicked before it was published");
    }
    assert_eq!(fake.state().seen.len(), 2);
    // again: of someone revoked already
    fake.state().clients.push(("client1".to_owned(), 9));
    let again = site.json("revoke client1 --kick");
    assert_eq!(again["kicked"]["servers"][0]["ended"][0]["id"], 9, "{again}");
    assert_eq!(again["changed"], false, "{again}");
    site.refuses("revoke client2 --kick --dry-run", 0, "would revoke client2");
    site.refuses("revoke client2 --kick --no-publish", 2, "cannot be used with");
    assert_eq!(fake.connected(), ["client2"]);
}

#[test]
fn a_suspension_kicks_and_is_proven_alike() {
    let site = site("client1 client2");
    let fake = Fake::new(&["client1", "client2"]);
    fake.on_socket(&site.path("socket"));
    site.refuses("suspend client1 --kick --dry-run", 0, "would suspend client1");
    let outcome = site.run("suspend client1 --kick --prove").succeeds().says("ended the session of client1 on server");
    assert!(outcome.stdout.contains("proven: no session is left on server"), "{outcome}");
    assert!(!outcome.stdout.contains("a live session ends within"), "{outcome}");
    assert_eq!(fake.connected(), ["client2"]);
    assert_eq!(site.json("sessions")["sessions"][0]["status"], "valid");
    let object = site.json("suspend client2 --kick");
    assert_eq!(object["kicked"]["servers"][0]["ended"][0]["name"], "client2", "{object}");
    fake.state().clients.push(("client1".to_owned(), 7));
    assert_eq!(site.json("sessions")["sessions"][0]["status"], "suspended");
    fs::remove_file(site.path("socket")).expect("a socket");
    site.run("suspend client1 --kick").exits(1).says("`server` was not reached");
    assert_eq!(site.status("client1"), "suspended");
}

#[test]
fn a_server_that_cannot_be_kicked_keeps_nobody_in() {
    let site = site("client1 client2");
    let outcome = site.run("revoke client1 --kick").exits(1).says("`server` was not reached");
    assert!(outcome.stdout.contains("a live session ends within 3660 s"), "{outcome}");
    assert_eq!(site.status("client1"), "revoked");
    assert_eq!(crate::revocation::published(&site, "server/crl.pem").1.len(), 1);
    site.set("management =", "");
    site.run("revoke client2 --kick").exits(1).says("the settings name no server's management interface");
    assert_eq!(site.status("client2"), "revoked");
}

#[test]
fn prove_reads_back_that_nothing_is_left() {
    let site = site("client1 client2");
    let fake = Fake::new(&["client1", "client2"]);
    fake.on_socket(&site.path("socket"));
    let live = site.run("revoke client1 --prove").exits(1).says("not proven: the session of client1 on server");
    assert!(live.stderr.contains("hint: `vpnpki kick client1` ends it"), "{live}");
    assert!(live.stdout.contains("server/crl.pem is the newest CRL"), "{live}");
    assert_eq!(kills(&fake), Vec::<String>::new(), "proving only looks");
    let done = site.run("revoke client1 --kick --prove").succeeds().says("proven: no session is left on server");
    assert!(done.stderr.is_empty(), "{done}");
    let object = site.json("revoke client1 --prove");
    assert_eq!(object["proof"]["lists"][0]["proven"], true, "{object}");
    // an older list, put back after it was published
    site.sh("cp server/crl.pem older.pem").succeeds();
    let before = fs::read(site.path("server/crl.pem")).expect("a list");
    site.run("revoke client2 --kick --prove").succeeds();
    assert_ne!(fs::read(site.path("server/crl.pem")).expect("a list"), before);
}

#[test]
fn whoever_has_another_certificate_may_come_back() {
    let site = site("client1");
    let fake = Fake::new(&["client1"]);
    fake.on_socket(&site.path("socket"));
    fake.state().killed = Killed::Back;
    let old = site.serial("client1");
    site.run("renew client1 --force").succeeds();
    let outcome =
        site.run(&format!("revoke serial:{old} --kick")).succeeds().says("connected again: the session of client1");
    assert!(!outcome.stdout.contains("a live session ends within"), "{outcome}");
    assert_eq!(site.json("sessions")["sessions"][0]["status"], "valid");
    site.run(&format!("revoke serial:{old} --prove"))
        .exits(1)
        .says("whether with a certificate that is accepted, no server says");
    site.run("revoke client1 --kick").exits(1).says("let in again: the session of client1");
}

#[test]
fn what_is_missing_is_not_proven() {
    let site = site("client1 client2");
    Fake::new(&[]).on_socket(&site.path("socket"));
    // publishing would mend an older list: what it cannot mend is left for the proof
    site.sh("cp -r server open; sed -i 's/^crl-verify.*//' open/server.conf").succeeds();
    let text = site.text("pki/vpnpki.toml");
    site.write("pki/vpnpki.toml", &format!("{text}\n[[publish]]\ndir = \"../open\"\n"));
    let outcome = site.run("revoke client1 --prove").exits(1);
    let failures: Vec<&str> = outcome.stderr.lines().filter(|line| line.starts_with("error: not proven")).collect();
    assert_eq!(failures.len(), 1, "{outcome}");
    assert!(failures[0].contains("open: ") && failures[0].contains("reads no CRL") && failures[0].contains("lacks"));
    assert!(outcome.stdout.contains("proven: no session is left"), "{outcome}");
    // no directory at all, and no server to ask
    let bare = Site::made("--issue client1");
    let outcome = bare.run("revoke client1 --prove").exits(1);
    for text in ["not proven: no directory is known", "not proven: no session can be seen"] {
        assert!(outcome.stderr.contains(text), "{text}\n{outcome}");
    }
    assert_eq!(bare.status("client1"), "revoked");
}

#[test]
fn a_list_that_the_servers_user_cannot_read_proves_nothing() {
    let site = site("client1");
    Fake::new(&[]).on_socket(&site.path("socket"));
    site.set("#user", "user = \"nobody\"");
    site.sh("chmod 0700 server").succeeds();
    let outcome = site.run("revoke client1 --prove").exits(1).says("not proven: ").says("`nobody` cannot enter");
    assert!(!outcome.stdout.contains("is the newest CRL"), "{outcome}");
}

#[test]
fn manual_publishing_is_proven_only_once_the_list_is_there() {
    let site = Site::made("--issue client1");
    manage(&site, &format!("{} unix", site.path("socket").display()));
    Fake::new(&[]).on_socket(&site.path("socket"));
    let text = site.text("pki/vpnpki.toml");
    site.write("pki/vpnpki.toml", &format!("{text}\n[publish]\nmode = \"manual\"\ndirs = [\"../server\"]\n"));
    let outcome = site.run("revoke client1 --prove").exits(1);
    assert!(outcome.stderr.contains("it is not the newest CRL; it lacks serial:"), "{outcome}");
    site.run("crl publish").succeeds();
    site.run("revoke client1 --prove").succeeds();
}
