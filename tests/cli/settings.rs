//! `vpnpki.toml`: checked before anything is done, needed by no revocation, changed without issuing, never written.
//! What each fault says is in `golden/settings.txt`.

use std::fs;

use crate::{
    common::Outcome,
    keyholders::{self, IDENTITY},
    revocation::published,
    site::Site,
};

/// The certificate in a profile.
fn certificate(profile: &str) -> &str {
    let (_, rest) = profile.split_once("<cert>\n").expect("a certificate");
    rest.split_once("</cert>").expect("its end").0
}

#[test]
fn a_typing_error_in_a_route_refuses_issue_and_not_revoke() {
    let site = Site::published("--issue client1 client2");
    site.set("routes", "routes = [\"172.16.0.1/16\"]");
    let line = 1 + site.text("pki/vpnpki.toml").lines().take_while(|line| !line.starts_with("routes")).count();
    let place = &format!("vpnpki.toml:{line}: network.routes: `172.16.0.1/16` is no network address");
    for line in ["issue client3", "export client1 --force", "export --all --force", "export server --force"] {
        site.refuses(line, 1, place);
    }
    site.run("revoke client1").exits(0).says(place);
    site.run("crl refresh").exits(0).says(place);
    site.run("crl publish").exits(0).says(place);
    site.run("status").exits(0).says(place);
    site.run("list").exits(0);
}

#[test]
fn a_revocation_needs_no_settings_that_can_be_read() {
    let site = Site::published("--issue client1 client2 client3");
    // what cannot be read may have named a directory: that is said, after all that are known were reached
    site.write("pki/vpnpki.toml", "this is [no TOML\n");
    site.run("revoke client1").exits(1).says("no TOML").says("perhaps a server was not reached");
    assert_eq!(published(&site, "server/crl.pem").1.len(), 1);
    fs::remove_file(site.path("pki/vpnpki.toml")).expect("a file");
    site.run("revoke client2").exits(0).says("the settings were not read");
    fs::write(site.path("pki/vpnpki.toml"), b"\xff\xfe").expect("a file");
    site.run("revoke client3").exits(1);
    assert_eq!(published(&site, "server/crl.pem").1.len(), 3);
    assert_eq!(site.run("list -q --status revoked").stdout, "client1\nclient2\nclient3\n");
}

#[test]
fn every_fault_is_told_at_once_with_its_line() {
    let site = Site::new();
    let bad =
        "[client]\nremotes = []\ntun-mtu = 1\n\n[server]\nprot = \"udp\"\n[network]\nroutes = [\"x\"]\n[colour]\n";
    site.write("pki/vpnpki.toml", bad);
    let outcome = site.refuses("issue client2", 1, "vpnpki.toml:");
    let lines: Vec<&str> = outcome.stderr.lines().collect();
    for (line, begin) in lines.iter().zip([
        "error: vpnpki.toml:2: client.remotes: ",
        "vpnpki.toml:3: client.tun-mtu: ",
        "vpnpki.toml:6: server.prot: there is no such setting; did you mean `proto`?",
        "vpnpki.toml:8: network.routes: ",
        "vpnpki.toml:9: colour: there is no such section",
    ]) {
        assert!(line.starts_with(begin), "`{line}` is not `{begin}…`\n{outcome}");
    }
    assert_eq!(lines.len(), 5, "{outcome}");
}

#[test]
fn faults_come_before_the_vault_is_opened() {
    let site = keyholders::locked();
    site.set("routes", "routes = [\"172.16.0.1/16\"]");
    site.write("wrong", keyholders::OTHER_IDENTITY);
    for line in ["issue client2", "export client1 --force"] {
        site.refuses(line, 1, "network.routes");
        site.refuses(&format!("{line} --identity wrong"), 1, "network.routes");
    }
}

#[test]
fn changed_settings_make_new_bundles_without_issuing() {
    let site = Site::made("--issue client1 client2");
    let before = site.text("client1.ovpn");
    let list = site.run("list --history --json").stdout;
    let log = site.run("log").stdout;
    for (begin, line) in [
        ("remotes", "remotes = [\"new.example.com:443/tcp\", \"[2001:db8::7]:443/tcp\"]"),
        ("routes", "routes = [\"172.16.0.0/16\", \"172.18.0.0/16\"]"),
        ("dns", "dns = [\"172.16.0.2\"]"),
        ("#float", "float = true"),
        ("#tun-mtu", "tun-mtu = 1400"),
        ("#extra", "extra = [\"mssfix 1300\"]"),
        ("#extra", "extra = [\"max-clients 50\"]"),
        ("#redirect-gateway", "redirect-gateway = true"),
        ("#user", "user = \"nobody\""),
        ("#group", "group = \"nogroup\""),
        ("#management", "management = \"127.0.0.1 7505\""),
    ] {
        site.set(begin, line);
    }
    site.run("export --all --force").succeeds();
    let after = site.text("client1.ovpn");
    assert_eq!(certificate(&before), certificate(&after));
    for line in ["remote new.example.com 443", "remote 2001:db8::7 443", "float", "tun-mtu 1400", "mssfix 1300"] {
        assert!(after.lines().any(|found| found.starts_with(line)), "`{line}` is missing\n{after}");
    }
    let server = site.text("server/server.conf");
    for line in [
        "proto tcp6",
        "port 443",
        "push \"route 172.16.0.0 255.255.0.0\"",
        "push \"route 172.18.0.0 255.255.0.0\"",
        "push \"dhcp-option DNS 172.16.0.2\"",
        "push \"redirect-gateway def1 bypass-dhcp\"",
        "tun-mtu 1400",
        "max-clients 50",
        "user nobody",
        "group nogroup",
        "persist-key",
        "management 127.0.0.1 7505",
    ] {
        assert!(server.lines().any(|found| found == line), "`{line}` is missing\n{server}");
    }
    assert_eq!(site.run("list --history --json").stdout, list, "something was issued");
    let longer = site.run("log").stdout;
    let new: Vec<&str> = longer.strip_prefix(&log).expect("the entries of before").lines().collect();
    assert!(matches!(new[..], [one] if one.contains("export: 3 bundles made with new settings")), "{new:?}");
    site.run("export --all --force").succeeds();
    assert_eq!(site.run("log").stdout, longer, "bundles with the same settings are nothing new");
}

#[test]
fn no_command_after_init_writes_the_settings() {
    let site = Site::published("--issue client1");
    let odd = format!("{}\n# mine\n   \n", site.text("pki/vpnpki.toml").replace('\n', "\r\n"));
    site.write("pki/vpnpki.toml", &odd);
    let inode = || std::os::unix::fs::MetadataExt::ino(&fs::metadata(site.path("pki/vpnpki.toml")).expect("settings"));
    let first = inode();
    site.sh("cp -r server west").succeeds();
    for line in [
        "init --remote other.example.com --no-passphrase --if-missing",
        "issue client2",
        "issue server2 --role server",
        "export --all --force",
        "export server --publish -o server --force",
        "revoke client1",
        "list",
        "show client1",
        "status",
        "crl refresh",
        "crl show",
        "crl publish",
        "crl publish --add west",
        "log",
        "log verify",
    ] {
        site.run(line).succeeds();
        assert_eq!((site.text("pki/vpnpki.toml"), inode()), (odd.clone(), first), "`{line}` wrote the settings");
    }
}

#[test]
fn settings_and_templates_that_are_there_before_init_are_taken() {
    let site = Site::empty();
    fs::create_dir_all(site.path("pki/templates")).expect("a directory");
    let text = "[client]\nremotes = [\"vpn.example.com:443/tcp\"]\n[keys]\nalgorithm = \"p384\"\n[ca]\ndays = 100\n";
    site.write("pki/vpnpki.toml", text);
    let template = include_str!("../../templates/client.conf").replace("verb 3", "verb 4");
    site.write("pki/templates/client.conf", &template);
    site.run("init --no-passphrase --issue client1").succeeds().says("p384");
    assert_eq!(site.text("pki/vpnpki.toml"), text);
    assert!(site.text("client1.ovpn").contains("\nverb 4\n"));
    assert!(site.text("server/server.conf").contains("\nproto tcp\n"));
}

#[test]
fn a_setting_that_an_option_contradicts_is_refused() {
    for option in ["--remote a.example.com", "--pool 10.9.0.0/24", "--key p384", "--control-channel tls-auth"] {
        let site = Site::empty();
        fs::create_dir(site.path("pki")).expect("a directory");
        site.write("pki/vpnpki.toml", "[client]\nremotes = [\"vpn.example.com\"]\n");
        site.refuses(&format!("init --no-passphrase {option}"), 2, "has no effect");
    }
}

#[test]
fn keys_are_kept_as_the_settings_say() {
    let site = Site::published("--issue client1");
    site.set("#keep", "keep = \"never\"");
    site.run("issue client2").succeeds();
    site.run("export client2 --force").exits(1).says("its private key is not kept");
    site.set("keep", "keep = \"always\"");
    site.run("issue client3").succeeds();
    site.run("revoke client1 client3").succeeds();
    let kept = |name: &str| site.json(&format!("show {name}"))["certificates"][0]["key_kept"] == true;
    assert!(kept("client3") && kept("client1") && !kept("client2"));
    site.set("keep", "#keep = \"until-revoked\"");
    site.run("issue client4").succeeds();
    site.run("revoke client4").succeeds();
    assert!(!kept("client4"));
}

#[test]
fn lifetimes_end_with_the_ca() {
    let site = Site::made("--ca-days 100");
    site.run("issue client1").succeeds().says("shortened from 825 days: the CA ends on");
    site.refuses("issue client2 --days 101", 1, "cannot issue for 101 days: the CA ends on");
    site.run("issue client2 --days 99").succeeds();
}

#[test]
fn the_control_channel_is_as_the_settings_say() {
    let site = Site::made("--control-channel tls-auth --issue client1");
    let profile = site.text("client1.ovpn");
    assert!(profile.contains("\nkey-direction 1\n") && profile.contains("<tls-auth>"), "{profile}");
    assert!(site.text("server/server.conf").contains("\ntls-auth ta.key 0\n"));
    site.set("mode", "mode = \"tls-crypt\"");
    site.run("export --all --force").succeeds();
    assert!(site.text("client1.ovpn").contains("<tls-crypt>"));
    assert!(site.text("server/server.conf").contains("\ntls-crypt ta.key\n"));
}

#[test]
fn a_vault_key_of_another_authority_opens_nothing_here() {
    let site = Site::new();
    site.write("other", IDENTITY);
    site.refuses("issue client2 --identity other", 4, "stays locked");
    Outcome::of(&mut site.vpnpki("issue client2")).succeeds();
}
