mod lexed;

use super::*;
use crate::{openvpn::StaticKey, settings::load};

/// `reference-deployment`: tls-auth, RSA, float, a small MTU, three routes.
const REFERENCE: &str = r#"
[client]
remotes = ["198.51.100.7"]
tun-mtu = 1000
float = true
[network]
routes = ["172.16.0.0/16", "172.18.0.0/16", "172.20.0.0/16"]
[keys]
algorithm = "rsa2048"
[control-channel]
mode = "tls-auth"
"#;

const PLAIN: &str = "[client]\nremotes = [\"vpn.example.com\"]\n";

fn pem(label: &str, body: &str) -> String {
    format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
}

fn settings(text: &str) -> Settings {
    load(text, "vpnpki.toml").unwrap()
}

fn client(name: &str) -> ClientMaterial {
    ClientMaterial {
        name: Name::parse(name).unwrap(),
        ca_pem: pem("CERTIFICATE", "Q0E="),
        certificate_pem: pem("CERTIFICATE", "Y2VydA=="),
        key: Key::Here(Secret::from(pem("PRIVATE KEY", "a2V5"))),
        control_key: StaticKey::from_random([0xab; 256]).to_pem(),
        passphrase: None,
    }
}

fn server(dh: bool) -> ServerMaterial {
    let ClientMaterial { ca_pem, certificate_pem, control_key, .. } = client("unused");
    let crl_pem = pem("X509 CRL", "Y3Js");
    ServerMaterial {
        ca_pem,
        certificate_pem,
        key_pem: Secret::from(pem("PRIVATE KEY", "a2V5")),
        control_key,
        dh_pem: dh.then(|| pem("DH PARAMETERS", "ZGg=")),
        crl_pem,
    }
}

fn text(bytes: &Secret) -> &str {
    bytes.expose_text().unwrap()
}

fn ovpn(toml: &str) -> String {
    text(&client_ovpn(&settings(toml), &Templates::built_in(), &client("client1")).unwrap()).to_owned()
}

fn files(toml: &str) -> Vec<Part> {
    client_parts(&settings(toml), &Templates::built_in(), &client("client1")).unwrap()
}

fn server_conf(toml: &str, dh: bool) -> String {
    text(&server_parts(&settings(toml), &Templates::built_in(), &server(dh)).unwrap()[0].bytes).to_owned()
}

/// Without comments and empty lines.
fn directives(config: &str) -> Vec<&str> {
    config.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

#[test]
fn a_profile_with_defaults() {
    let ta = text(&client("x").control_key).to_owned();
    let expected = format!(
        r#"# OpenVPN profile of client1, made by vpnpki.
client
dev tun
proto udp
remote vpn.example.com 1194
nobind
resolv-retry infinite
persist-tun

# Only a certificate that was issued to a server may answer.
remote-cert-tls server
verify-x509-name "server" name-prefix
auth-nocache

verb 3
setenv FRIENDLY_NAME vpn.example.com

<ca>
-----BEGIN CERTIFICATE-----
Q0E=
-----END CERTIFICATE-----
</ca>
<cert>
-----BEGIN CERTIFICATE-----
Y2VydA==
-----END CERTIFICATE-----
</cert>
<key>
-----BEGIN PRIVATE KEY-----
a2V5
-----END PRIVATE KEY-----
</key>
<tls-crypt>
{ta}</tls-crypt>
"#
    );
    assert_eq!(ovpn(PLAIN), expected);
}

#[test]
fn the_reference_deployment() {
    let parts = files(REFERENCE);
    assert_eq!(
        directives(text(&parts[0].bytes)),
        [
            "client",
            "dev tun",
            "proto udp",
            "remote 198.51.100.7 1194",
            "nobind",
            "resolv-retry infinite",
            "persist-tun",
            "float",
            "tun-mtu 1000",
            "remote-cert-tls server",
            "verify-x509-name \"server\" name-prefix",
            "auth-nocache",
            "verb 3",
            "setenv FRIENDLY_NAME 198.51.100.7",
            "ca ca.crt",
            "cert client1.crt",
            "key client1.key",
            "tls-auth ta.key 1",
        ]
    );
    assert!(ovpn(REFERENCE).contains("\nkey-direction 1\n<ca>\n"));
    assert!(ovpn(REFERENCE).ends_with("</tls-auth>\n"));
    assert_eq!(
        directives(&server_conf(REFERENCE, true)),
        [
            "port 1194",
            "proto udp",
            "dev tun",
            "topology subnet",
            "server 10.8.0.0 255.255.255.0",
            "ca ca.crt",
            "cert server.crt",
            "key server.key",
            "dh dh.pem",
            "tls-auth ta.key 0",
            "crl-verify crl.pem",
            "remote-cert-tls client",
            "tls-version-min 1.2",
            "tran-window 60",
            "keepalive 10 120",
            "push \"route 172.16.0.0 255.255.0.0\"",
            "push \"route 172.18.0.0 255.255.0.0\"",
            "push \"route 172.20.0.0 255.255.0.0\"",
            "tun-mtu 1000",
            "ignore-unknown-option max-packet-size",
            "max-packet-size 1000",
            "persist-tun",
            "explicit-exit-notify 1",
            "verb 3",
        ]
    );
}

#[test]
fn every_setting_of_the_server_has_its_line() {
    let text = "[client]\nremotes = [\"a:443/tcp\"]\ntun-mtu = 1400\n\
                [server]\nuser = \"nobody\"\ngroup = \"nogroup\"\nmanagement = \"/run/m.sock unix\"\nextra = [\"max-clients 9\"]\n\
                reneg-sec = 10\nhand-window = 5\ntran-window = 6\n\
                [network]\npool = \"10.9.0.0/22\"\ndns = [\"172.20.0.2\"]\nredirect-gateway = true\n";
    let conf = server_conf(text, false);
    for line in [
        "port 443",
        "proto tcp",
        "server 10.9.0.0 255.255.252.0",
        "dh none",
        "tls-crypt ta.key",
        "reneg-sec 10",
        "hand-window 5",
        "tran-window 6",
        "push \"dhcp-option DNS 172.20.0.2\"",
        "push \"redirect-gateway def1 bypass-dhcp\"",
        "tun-mtu 1400",
        "persist-key",
        "user nobody",
        "group nogroup",
        "management /run/m.sock unix",
        "max-clients 9",
    ] {
        assert!(directives(&conf).contains(&line), "{line}:\n{conf}");
    }
    assert!(!conf.contains("explicit-exit-notify"), "an error with tcp up to OpenVPN 2.5");
    assert!(!conf.contains("max-packet-size"), "the default is smaller");
}

#[test]
fn privileges_are_kept_by_default() {
    let conf = server_conf(PLAIN, true);
    for word in ["user", "group", "persist-key", "management", "auth", "cipher", "status", "log", "daemon", "reneg-sec"]
    {
        assert!(!directives(&conf).iter().any(|line| line.split(' ').next() == Some(word)), "{word}:\n{conf}");
    }
}

#[test]
fn remotes_of_different_protocols_carry_their_own() {
    let mixed =
        ovpn("[client]\nremotes = [\"a\", \"a:443/tcp\"]\nextra = [\"mssfix 1300\"]\n[vpn]\nname = \"The #1 VPN\"\n");
    assert!(mixed.contains("\nremote a 1194 udp\nremote a 443 tcp\n"), "{mixed}");
    assert!(!mixed.contains("\nproto "), "{mixed}");
    assert!(mixed.contains("\nsetenv FRIENDLY_NAME \"The #1 VPN\"\nmssfix 1300\n"), "{mixed}");
    let ipv6 = "[client]\nremotes = [\"[2001:db8::1]\"]\n";
    assert!(ovpn(ipv6).contains("\nremote 2001:db8::1 1194\n"));
    assert!(server_conf(ipv6, true).contains("\nproto udp6\n"));
    assert!(server_conf(ipv6, true).contains("\nexplicit-exit-notify 1\n"));
}

#[test]
fn a_bundle_of_files_has_exactly_these() {
    let shape = |parts: &[Part]| parts.iter().map(|part| (part.name.clone(), part.private)).collect::<Vec<_>>();
    let names =
        |list: &[(&str, bool)]| list.iter().map(|(name, private)| ((*name).to_owned(), *private)).collect::<Vec<_>>();
    assert_eq!(
        shape(&files(PLAIN)),
        names(&[
            ("config.ovpn", false),
            ("ca.crt", false),
            ("client1.crt", false),
            ("client1.key", true),
            ("ta.key", true)
        ])
    );
    let all = [
        ("server.conf", false),
        ("ca.crt", false),
        ("server.crt", false),
        ("server.key", true),
        ("dh.pem", false),
        ("ta.key", true),
        ("crl.pem", false),
    ];
    let parts = |dh| server_parts(&settings(PLAIN), &Templates::built_in(), &server(dh)).unwrap();
    assert_eq!(shape(&parts(true)), names(&all));
    let without: Vec<_> = all.into_iter().filter(|(name, _)| *name != "dh.pem").collect();
    assert_eq!(shape(&parts(false)), names(&without));
}

#[test]
fn a_list_in_a_directory_of_its_own_is_there_in_each_form() {
    let settings = settings(&format!("{PLAIN}[server]\ncrl-file = \"crl/crl.pem\"\n"));
    let parts = server_parts(&settings, &Templates::built_in(), &server(false)).unwrap();
    assert!(text(&parts[0].bytes).contains("\ncrl-verify crl/crl.pem\n"));
    assert!(parts.iter().any(|part| part.name == "crl/crl.pem" && !part.private));
    let archive = zip(&parts).unwrap();
    let mut read = ::zip::ZipArchive::new(std::io::Cursor::new(archive.expose())).unwrap();
    let mode = |entry: &::zip::read::ZipFile<_>| entry.unix_mode().map(|mode| mode & 0o7777);
    assert_eq!(mode(&read.by_name("crl/").unwrap()), Some(0o755));
    assert_eq!(mode(&read.by_name("crl/crl.pem").unwrap()), Some(0o644));
}

#[test]
fn a_zip_is_the_same_every_time() {
    let archive = zip(&files(PLAIN)).unwrap();
    assert_eq!(zip(&files(PLAIN)).unwrap().expose(), archive.expose());
    let mut read = ::zip::ZipArchive::new(std::io::Cursor::new(archive.expose())).unwrap();
    let parts = files(PLAIN);
    assert_eq!(read.len(), parts.len());
    for (index, part) in parts.iter().enumerate() {
        let mut entry = read.by_index(index).unwrap();
        assert_eq!(entry.name().unwrap(), part.name);
        assert_eq!(entry.unix_mode().map(|mode| mode & 0o7777), Some(if part.private { 0o600 } else { 0o644 }));
        assert_eq!(entry.last_modified().unwrap().to_string(), "1980-01-01 00:00:00");
        let mut bytes = Vec::new();
        std::io::copy(&mut entry, &mut bytes).unwrap();
        assert_eq!(bytes, part.bytes.expose());
    }
}

#[test]
fn a_zip_fits_the_room_made_for_it() {
    let parts: Vec<Part> = (0..5)
        .map(|index| Part { name: format!("{}{index}", "n".repeat(64)), bytes: Secret::new(Vec::new()), private: true })
        .collect();
    let room: usize = parts.iter().map(|part| 2 * part.name.len() + 256).sum::<usize>() + 256;
    assert!(zip(&parts).unwrap().expose().len() < room);
}

#[test]
fn credentials_that_are_no_plain_pem_are_a_bug() {
    let dumped =
        ClientMaterial { certificate_pem: format!("Certificate:\n{}", pem("CERTIFICATE", "YQ==")), ..client("a") };
    let error = |result: Result<Secret, BundleError>| result.err().unwrap().to_string();
    let templates = Templates::built_in();
    assert_eq!(
        error(client_ovpn(&settings(PLAIN), &templates, &dumped)),
        "internal error: the certificate is no plain PEM"
    );
    let crlf = ClientMaterial { control_key: Secret::from("#\r\n".to_owned()), ..client("a") };
    assert!(error(client_ovpn(&settings(PLAIN), &templates, &crlf)).contains("printable ASCII"));
    let huge = ClientMaterial { ca_pem: pem("CERTIFICATE", "YWFh").repeat(6000), ..client("a") };
    assert!(error(client_ovpn(&settings(PLAIN), &templates, &huge)).contains("clients read at most 262144"));
}

#[test]
fn bundles_are_named_as_the_settings_say() {
    let name = Name::parse("laptop-7").unwrap();
    assert_eq!(file_stem(&settings(PLAIN), &name), "laptop-7");
    let named = settings(&format!("{PLAIN}file-name = \"{{name}}-{{vpn}}\"\n"));
    assert_eq!(file_stem(&named, &name), "laptop-7-vpn.example.com");
}

#[test]
fn formats_go_both_ways() {
    for format in Format::ALL {
        assert_eq!(format.to_string().parse(), Ok(format));
    }
    assert!("p7b".parse::<Format>().unwrap_err().contains("`ovpn`, `zip`, `dir`, `p12`, `ovpn12`"));
    assert_eq!((Format::Zip.extension(), Format::Dir.extension()), (Some("zip"), None));
    let order = Order { format: Some(Format::Ovpn12), ..Order::default() };
    assert_eq!(order.file_name("laptop-7", Role::Client), "laptop-7.ovpn12.zip");
}

#[test]
fn servers_get_files_only() {
    for format in Format::ALL {
        let order = Order { format: Some(format), ..Order::default() };
        assert!(order.check(Role::Client).is_ok());
        assert_eq!(order.check(Role::Server).is_ok(), matches!(format, Format::Dir | Format::Zip), "{format}");
    }
    assert!(Order::default().check(Role::Server).is_ok());
}

#[test]
fn a_pkcs12_needs_a_passphrase() {
    for format in [Format::P12, Format::Ovpn12] {
        let order = Order { format: Some(format), ..Order::default() };
        let refused =
            super::client(&settings(PLAIN), &Templates::built_in(), &client("client1"), &order).err().unwrap();
        assert_eq!(refused.to_string(), format!("the format `{format}` needs a passphrase"));
    }
}

#[test]
fn what_is_weaker_than_usual_is_said() {
    let notes = |order: Order| order.notes_on_passphrase().join("; ");
    let p12 = Some(Format::P12);
    assert_eq!(notes(Order { format: p12, ..Order::default() }), "");
    let legacy = Order { format: p12, pkcs12: crate::pki::Pkcs12Encryption::Legacy, ..Order::default() };
    assert!(notes(legacy).contains("3DES and SHA-1"));
    assert!(notes(Order::default()).contains("`askpass FILE`") && !notes(Order::default()).contains("3DES"));
    let mbed = Order { key_encryption: crate::pki::KeyEncryption::DesEde3, ..Order::default() };
    assert!(notes(mbed.clone()).contains("`askpass FILE`") && notes(mbed).contains("3DES"));
}

#[test]
fn a_key_that_stays_with_its_owner_is_named_and_not_there() {
    let material = ClientMaterial { key: Key::WithOwner, ..client("client1") };
    let (settings, templates) = (settings(REFERENCE), Templates::built_in());
    let profile = client_ovpn(&settings, &templates, &material).unwrap();
    let profile = text(&profile);
    assert!(!profile.contains("PRIVATE KEY") && !profile.contains("<key>"), "{profile}");
    assert_eq!(profile.matches("\nkey client1.key\n").count(), 1, "{profile}");
    assert!(
        profile.contains("# client1.key, and stays there after an import, or `vpnpki enroll --finish`"),
        "{profile}"
    );
    let parts = client_parts(&settings, &templates, &material).unwrap();
    let names: Vec<&str> = parts.iter().map(|part| part.name.as_str()).collect();
    assert_eq!(names, ["config.ovpn", "ca.crt", "client1.crt", "ta.key"]);
    assert!(text(&parts[0].bytes).contains("\nkey client1.key\n"));
}

#[test]
fn a_format_that_holds_the_key_is_refused_without_it() {
    assert!(Key::Here(Secret::from("x".to_owned())).here(Format::Zip).is_ok());
    let error = Key::WithOwner.here(Format::Zip).err().expect("a refusal").to_string();
    assert!(error.contains("a `zip` holds the private key, and its owner keeps this one"), "{error}");
}
