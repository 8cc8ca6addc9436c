//! Bundles for one program: what is in each form, and that a refusal leaves nothing behind.
//! That the programs take them is proven in `tests/peers`.

use crate::site::Site;

/// Names, modes and texts of an archive's files, in their order.
fn entries(site: &Site, name: &str) -> Vec<(String, u32, String)> {
    let file = std::fs::File::open(site.path(name)).expect("an archive");
    let mut archive = zip::ZipArchive::new(file).expect("an archive");
    let mut found = Vec::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).expect("an entry");
        let mut text = String::new();
        std::io::Read::read_to_string(&mut entry, &mut text).expect("a text");
        let mode = entry.unix_mode().expect("a mode") & 0o7777;
        found.push((entry.name().expect("a name").into_owned(), mode, text));
    }
    found
}

fn names(entries: &[(String, u32, String)]) -> Vec<(&str, u32)> {
    entries.iter().map(|(name, mode, _)| (name.as_str(), *mode)).collect()
}

#[test]
fn a_package_holds_the_files_of_a_directory() {
    let site = Site::new();
    site.run("export client1 --format dir").succeeds();
    site.run("export client1 --for tunnelblick").succeeds();
    let entries = entries(&site, "client1.tblk.zip");
    let within = "client1.tblk/Contents/Resources/";
    assert_eq!(
        names(&entries),
        [
            ("client1.tblk/", 0o755),
            ("client1.tblk/Contents/", 0o755),
            (within, 0o755),
            ("client1.tblk/Contents/Resources/config.ovpn", 0o644),
            ("client1.tblk/Contents/Resources/ca.crt", 0o644),
            ("client1.tblk/Contents/Resources/client1.crt", 0o644),
            ("client1.tblk/Contents/Resources/client1.key", 0o600),
            ("client1.tblk/Contents/Resources/ta.key", 0o600),
        ]
    );
    for (name, _, text) in &entries[3..] {
        let file = name.strip_prefix(within).expect("a file of the package");
        assert_eq!(*text, site.text(&format!("client1/{file}")), "{file}");
    }
}

#[test]
fn a_router_gets_the_usual_profile() {
    let site = Site::new();
    site.run("export client1 --for openwrt").succeeds();
    let entries = entries(&site, "client1.uci.zip");
    assert_eq!(names(&entries), [("client1.ovpn", 0o600), ("openvpn.uci", 0o644), ("network.uci", 0o644)]);
    assert_eq!(entries[0].2, site.text("client1.ovpn"));
}

#[test]
fn a_keyfile_names_the_files_beside_it_and_is_for_root_alone() {
    let site = Site::new();
    site.set("#name", "name = \"a\\\\b = [c] #1\"");
    site.run("export client1 --for networkmanager --format nm").succeeds();
    let entries = entries(&site, "client1.nm.zip");
    let (keyfile, credentials) = entries.split_first().expect("a keyfile");
    assert_eq!((keyfile.0.as_str(), keyfile.1), ("etc/NetworkManager/system-connections/client1.nmconnection", 0o600));
    assert!(keyfile.2.contains("\nid=a\\\\b = [c] #1\n"), "{}", keyfile.2);
    for (item, (name, mode, _)) in ["ca", "cert", "key", "tls-crypt"].iter().zip(credentials) {
        assert!(keyfile.2.contains(&format!("\n{item}=/{name}\n")), "{item}:\n{}", keyfile.2);
        assert_eq!(*mode, if matches!(*item, "key" | "tls-crypt") { 0o600 } else { 0o644 }, "{item}");
    }
    assert_eq!(credentials.len(), 4);
}

#[test]
fn what_is_imported_again_has_the_same_identifier_and_nobody_else_has() {
    let site = Site::made("--issue client1 client2");
    let uuid = |name: &str| {
        site.run(&format!("export {name} --format nm --force")).succeeds();
        let text = entries(&site, &format!("{name}.nm.zip")).remove(0).2;
        text.lines().find(|line| line.starts_with("uuid=")).expect("a uuid").to_owned()
    };
    let first = uuid("client1");
    site.run("renew client1 --no-export").succeeds();
    assert_eq!(uuid("client1"), first);
    assert_ne!(uuid("client2"), first);
}

#[test]
fn the_usual_profile_is_what_every_program_gets_and_does_not_change() {
    let site = Site::made("--issue client1 --control-channel tls-auth --no-export");
    site.run("export client1 -o usual").succeeds();
    for program in [
        "openvpn",
        "openvpn25",
        "openvpn24",
        "windows",
        "networkmanager",
        "connect",
        "ios",
        "android",
        "ics-openvpn",
        "routeros",
    ] {
        site.run(&format!("export client1 --for {program} -o for --force")).succeeds();
        assert_eq!(site.read("for"), site.read("usual"), "{program}");
    }
}

#[test]
fn a_refusal_comes_before_a_key_is_made_and_leaves_nothing() {
    let site = Site::new();
    for (line, text) in [
        ("issue ben --for chromeos", "`tls-crypt`: ChromeOS has a place for `tls-auth` only"),
        ("issue ben --for routeros", "`tls-crypt`: RouterOS does not have it"),
        ("issue ben --for openwrt --key ed25519", "the client's key (Ed25519): OpenWrt"),
        ("issue ben carl --for ios --key ed25519 -o .", "the client's key (Ed25519): OpenVPN Connect"),
        ("renew client1 --for aws-client-vpn -o new.ovpn", "the client of AWS is made for endpoints of AWS"),
        ("export client1 --for aws-client-vpn -o new.ovpn", "`setenv`, `tls-crypt`: the client of AWS"),
    ] {
        site.refuses(line, 1, text);
    }
    for (line, text) in [
        ("issue ben --for ios --format uci", "`ios` does not import a `uci`; it takes `ovpn`, `ovpn12`"),
        ("issue server-b --role server --for openvpn", "`openvpn` is a program of clients"),
        ("export server --format nm -o new", "a server's bundle is a `dir` or a `zip`, not `nm`"),
    ] {
        site.refuses(line, 2, text);
    }
}

#[test]
fn a_chromebook_gets_one_file_that_holds_no_name_unescaped() {
    let site = Site::made("--control-channel tls-auth --issue client1");
    site.set("#name", "name = \"the \\\"VPN\\\" \\\\\"");
    site.run("export client1 --for chromeos").succeeds();
    let onc: serde_json::Value = serde_json::from_slice(&site.read("client1.onc")).expect("JSON");
    let network = &onc["NetworkConfigurations"][0];
    assert_eq!(network["Name"], "the \"VPN\" \\");
    assert_eq!(network["VPN"]["Host"], "vpn.example.com");
    let open_vpn = &network["VPN"]["OpenVPN"];
    assert_eq!(open_vpn["VerifyX509"], serde_json::json!({ "Name": "server", "Type": "name-prefix" }));
    let key = open_vpn["TLSAuthContents"].as_str().expect("a key");
    assert!(site.text("client1.ovpn").contains(&format!("<tls-auth>\n{key}</tls-auth>\n")));
    assert_eq!(open_vpn["ClientCertRef"], onc["Certificates"][1]["GUID"]);
    assert_eq!(open_vpn["ServerCARefs"][0], onc["Certificates"][0]["GUID"]);
    let guids =
        || [&network["GUID"], &open_vpn["ClientCertRef"], &open_vpn["ServerCARefs"][0]].map(ToString::to_string);
    let mut distinct = guids().to_vec();
    distinct.dedup();
    assert_eq!(distinct.len(), 3);
    site.run("renew client1 --no-export").succeeds();
    site.run("export client1 --for chromeos --force").succeeds();
    let again: serde_json::Value = serde_json::from_slice(&site.read("client1.onc")).expect("JSON");
    assert_eq!(again["NetworkConfigurations"][0]["GUID"], network["GUID"]);
}

#[test]
fn a_directive_without_a_place_in_a_keyfile_issues_nothing() {
    let site = Site::new();
    site.set("#extra", "extra = [\"dhcp-option DOMAIN example.com\"]");
    site.refuses("issue ben --format nm", 1, "a `nm` has no place for `dhcp-option DOMAIN example.com`");
    assert!(!site.json("list").to_string().contains("ben"));
}

#[test]
fn all_clients_are_for_the_program_and_servers_are_left_out() {
    let site = Site::made("--issue client1 client2");
    std::fs::create_dir(site.path("out")).expect("a directory");
    site.run("export --all --for tunnelblick -o out").succeeds();
    let mut made: Vec<String> =
        crate::common::tree(&site.path("out")).keys().map(|path| path.display().to_string()).collect();
    made.sort();
    assert_eq!(made, ["client1.tblk.zip", "client2.tblk.zip"]);
}
