//! That the programs which a form of bundle is for take it: by their own code where that can be had here, by `OpenVPN` with
//! what they would give it.
//! Knows the bundles only as files.

use std::{fs, process::Command};

use crate::{common::Outcome, network::Network, site::Site};

/// What NetworkManager imports from the profile is what it reads from the keyfile, files and all.
#[track_caller]
fn is_the_same_connection(options: &str, settings: &[(&str, &str, toml_edit::Value)]) -> Outcome {
    let site = Site::with_authority(&format!("{options} --issue anna --no-export"));
    for (table, key, value) in settings {
        site.set(table, key, value.clone());
    }
    site.run("export anna --for networkmanager").succeeds();
    site.run("export anna --for networkmanager --format nm").succeeds();
    site.tool("unzip -q anna.nm.zip -d root").succeeds();
    networkmanager(&site, &["anna.ovpn", "root", "anna"]).says("the same connection")
}

/// What NetworkManager's code says of a profile, and of a keyfile beside it.
#[track_caller]
fn networkmanager(site: &Site, arguments: &[&str]) -> Outcome {
    // the interpreter of the system, which knows its libraries
    let mut python = Command::new("/usr/bin/python3");
    python.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/networkmanager.py"));
    python.args(arguments).current_dir(site.dir()).env("HOME", site.dir());
    Outcome::of(&mut python).succeeds()
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn networkmanager_reads_the_keyfile_as_it_imports_the_profile() {
    is_the_same_connection("", &[]).says("verify-x509-name = name-prefix:server").says("remote = 10.99.0.1:1194");
    let many = "--control-channel tls-auth --remote a.example.com:1194/udp --remote b.example.com:443/tcp";
    let extra = ["mssfix 1300", "reneg-sec 77", "cipher AES-256-GCM", "route 10.1.0.0 255.255.0.0"];
    let extra: toml_edit::Array = extra.into_iter().collect();
    is_the_same_connection(
        &format!("{many} --remote [2001:db8::1]:1195"),
        &[
            ("client", "extra", extra.into()),
            ("client", "float", true.into()),
            ("client", "remote-random", true.into()),
            ("client", "tun-mtu", 1400.into()),
            ("vpn", "name", "a\\b = [c] #1; \"d\"".into()),
        ],
    )
    .says("remote = a.example.com:1194:udp, b.example.com:443:tcp, [2001:db8::1]:1195:udp")
    .says("ta-dir = 1")
    .says("a\\b = [c] #1; \"d\"");
    let proxy = [("client", "http-proxy", "p.example.com:8080".into())];
    is_the_same_connection("--remote vpn.example.com:443/tcp", &proxy)
        .says("proto-tcp = yes")
        .says("proxy-server = p.example.com")
        .says("proxy-type = http");
    is_the_same_connection("--remote [2001:db8::1]:1195", &[]).says("remote = [2001:db8::1]:1195:");
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn networkmanager_reads_a_key_that_its_owner_keeps_where_it_lies_or_takes_it_in() {
    let site = Site::with_authority("");
    site.run("enroll anna").succeeds();
    site.run("issue anna --csr anna.csr --for networkmanager").succeeds();
    // it does not look whether the key is there, and keeps no copy of it
    let beside = format!("key = {}\n", site.path("anna.key").display());
    let taken_in =
        |name: &str| format!("{} = {}", name, site.path(&format!(".cert/nm-openvpn/anna-{name}.pem")).display());
    let profile = site.path("anna.ovpn").display().to_string();
    let imported = networkmanager(&site, &[&profile]).says("connection-type = tls").says(&beside);
    imported.says(&taken_in("cert"));
    assert!(!site.path(".cert/nm-openvpn/anna-key.pem").exists());
    site.run("enroll --finish anna.ovpn").succeeds();
    fs::remove_dir_all(site.path(".cert")).expect("what was imported");
    networkmanager(&site, &[&profile]).says(&taken_in("cert")).says(&taken_in("key"));
    let copied = fs::read(site.path(".cert/nm-openvpn/anna-key.pem")).expect("its copy");
    assert_eq!(copied, fs::read(site.path("anna.key")).expect("a key"));
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn a_package_connects_from_where_it_is_unpacked() {
    for control in ["tls-crypt", "tls-auth"] {
        let site = Site::with_authority(&format!("--control-channel {control} --issue client1"));
        let network = Network::new(1);
        let _server = site.server(&network, "server");
        site.run("export client1 --for tunnelblick").succeeds();
        site.tool("unzip -q client1.tblk.zip").succeeds();
        site.connects(&network, 0, "client1.tblk/Contents/Resources/config.ovpn");
    }
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn the_profile_for_a_program_connects() {
    for (control, program) in [("tls-crypt", "openvpn"), ("tls-crypt", "ios"), ("tls-auth", "routeros")] {
        let site = Site::with_authority(&format!("--control-channel {control} --issue client1"));
        let network = Network::new(1);
        let _server = site.server(&network, "server");
        site.run(&format!("export client1 --for {program} -o profile.ovpn")).succeeds();
        site.connects(&network, 0, "profile.ovpn");
    }
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn what_uci_is_told_starts_a_profile_that_connects() {
    let site = Site::with_authority("--issue client-1.a");
    let network = Network::new(1);
    let _server = site.server(&network, "server");
    site.run("export client-1.a --for openwrt").succeeds();
    site.tool("unzip -q client-1.a.uci.zip -d unpacked").succeeds();
    let batch = |name: &str| batch(&fs::read_to_string(site.path(&format!("unpacked/{name}"))).expect("a batch"));
    let config = ("config".to_owned(), "/etc/openvpn/client-1.a.ovpn".to_owned());
    let option = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let section = ("openvpn".to_owned(), "client_1_a".to_owned(), "openvpn".to_owned());
    assert_eq!(batch("openvpn.uci"), (section, vec![option("enabled", "1"), config.clone()]));
    let interface = ("network".to_owned(), "client_1_a".to_owned(), "interface".to_owned());
    assert_eq!(batch("network.uci"), (interface, vec![option("proto", "openvpn"), config]));
    site.connects(&network, 0, "unpacked/client-1.a.ovpn");
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn a_network_configuration_is_what_chromium_specifies() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/onc.py");
    for (options, said) in [
        ("--remote vpn.example.com", "valid: the \"VPN\" vpn.example.com 1194 udp []"),
        ("--key rsa2048 --remote a:443/tcp --remote b:443/tcp", "valid: the \"VPN\" a 443 tcp ['b']"),
    ] {
        let site = Site::with_authority(&format!("--control-channel tls-auth {options} --issue anna --no-export"));
        site.set("vpn", "name", "the \"VPN\"");
        site.run("export anna --for chromeos").succeeds();
        site.run("export anna --format dir").succeeds();
        let files = "anna.onc anna/ca.crt anna/anna.crt anna/anna.key anna/ta.key";
        site.tool(&format!("python3 {script} {files}")).succeeds().says(said);
        // ChromeOS keeps its keys with NSS
        site.tool("mkdir nss").succeeds();
        site.tool("certutil -N -d sql:nss --empty-password").succeeds();
        fs::write(site.path("none"), "\n").expect("a file");
        site.tool("pk12util -i client.p12 -d sql:nss -w none -k none").succeeds().says("PKCS12 IMPORT SUCCESSFUL");
        site.tool("certutil -K -d sql:nss -f none").succeeds().says("anna");
    }
}

/// A section, as its package, name and type.
type Section = (String, String, String);

/// What `uci batch` makes of its lines: one section and its options, committed at the end.
fn batch(text: &str) -> (Section, Vec<(String, String)>) {
    let lines: Vec<&str> = text.lines().collect();
    let (last, sets) = lines.split_last().expect("lines");
    let mut sets = sets.iter().map(|line| line.strip_prefix("set ").expect("a set").split_once('=').expect("a value"));
    let (path, kind) = sets.next().expect("a section");
    let (package, name) = path.split_once('.').expect("a section of a package");
    assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "{name}");
    assert_eq!(*last, format!("commit {package}"));
    let option = |(path, value): (&str, &str)| {
        let name = path.strip_prefix(&format!("{package}.{name}.")).expect("an option of the section");
        let value = value.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')).expect("a value in quotes");
        assert!(!value.contains('\''), "{value}");
        (name.to_owned(), value.to_owned())
    };
    let options = sets.map(option).collect();
    ((package.to_owned(), name.to_owned(), kind.to_owned()), options)
}
