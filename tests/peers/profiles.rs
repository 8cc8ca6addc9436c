//! The reader of profiles against `OpenVPN`'s own: both accept and refuse the same lines. And profiles as other programs
//! write them: `verify` says that they work, and `OpenVPN` takes each line.

use std::{fs, path::Path, process::Command};

use vpnpki::import::{Profile, Reader};

use crate::site::Site;

/// Whether `OpenVPN` reads a file to its end: `--show-digests` makes it stop behind the options (`openvpn.c`,
/// `print_openssl_info`), before it looks at what they mean together.
fn openvpn_reads(dir: &Path, bytes: &[u8]) -> (bool, String) {
    let file = dir.join("lines.conf");
    fs::write(&file, bytes).expect("a file");
    let output = Command::new("openvpn").arg("--config").arg(&file).arg("--show-digests").output().expect("openvpn");
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether our reader finds nothing that stops it, and each `setenv` has the words that `OpenVPN` takes (options.c).
fn we_read(bytes: &[u8]) -> bool {
    let profile = Profile::read(bytes);
    let fatal =
        profile.faults.iter().any(|fault| fault.fatal && matches!(fault.reader, Reader::Everybody | Reader::OpenVpn));
    !fatal
        && profile.all("setenv").all(|directive| directive.block.is_some() || (2..=3).contains(&directive.words.len()))
}

#[track_caller]
fn agree(dir: &Path, bytes: &[u8]) -> bool {
    let (theirs, said) = openvpn_reads(dir, bytes);
    let said = said.lines().next().unwrap_or_default();
    assert_eq!(we_read(bytes), theirs, "{:?}\nOpenVPN: {said}", String::from_utf8_lossy(bytes));
    theirs
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn our_reader_takes_what_openvpn_takes() {
    let site = Site::new();
    let long = |length: usize| format!("# {}", "a".repeat(length - 2));
    let refused: Vec<Vec<u8>> = [
        "setenv UV_A \\n",
        "setenv UV_A \"b",
        "setenv UV_A 'b",
        "setenv UV_A b\\",
        "setenv UV_A b c",
        "</ca>\n",
        "<>\n",
        "<ca>\nabc\n",
        "<ca>\nabc\n</cert>\n",
        "<connection>\nremote a 1 udp\n",
        &format!("{}\n", long(255)),
        &format!("{}\nverb 3\n", long(300)),
    ]
    .map(|text| text.as_bytes().to_vec())
    .into();
    let accepted: Vec<Vec<u8>> = [
        "",
        "\n\n",
        "verb 3",
        "\u{feff}verb 3\r\nverb 4\r\n",
        "  verb\t3 # remark",
        "--verb 3\n",
        "\"verb\" '3'\n",
        "setenv UV_A \"b c\"\nsetenv UV_A b\\ c\nsetenv UV_A 'b\\c'\nsetenv UV_A \"b\\\\\\\"c\"\n",
        "setenv UV_A b#c\nsetenv UV_A b;c\n",
        "setenv UV_A b \\",
        "setenv UV_A b\\\nverb 3\n",
        "setenv UV_A \\;b\n",
        "; all of it \"\n# 'and this\n",
        "<ca>\nabc\n</ca>\n",
        " <ca>\nabc\n  </ca> and more\nverb 3\n",
        "<ca>\n<cert>\n\"\n\\n\n</ca>\n",
        "<connection>\nremote a 1 udp\n</connection>\nverb 3\n",
        "verb 3\u{c}\n",
        &format!("{}\nverb 3\n", long(254)),
        &format!("<ca>\n{}\n</ca>\n", "a".repeat(600)),
    ]
    .map(|text| text.as_bytes().to_vec())
    .into();
    for bytes in &refused {
        assert!(!agree(site.dir(), bytes), "OpenVPN takes {:?}", String::from_utf8_lossy(bytes));
    }
    for bytes in &accepted {
        assert!(agree(site.dir(), bytes), "OpenVPN refuses {:?}", String::from_utf8_lossy(bytes));
    }
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn lines_made_of_quotes_and_backslashes_are_read_alike() {
    let site = Site::new();
    let alphabet = ['a', ' ', '"', '\'', '\\', '#', ';', '\t', 'b', '\\', '"'];
    // the same lines in every run: a generator of our own, whose seed is fixed
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..400 {
        let length = next() % 9;
        let tail: String = (0..length).map(|_| alphabet[(next() % 11) as usize]).collect();
        if agree(site.dir(), format!("setenv UV_A {tail}\n").as_bytes()) {
            taken += 1;
        } else {
            refused += 1;
        }
    }
    assert!(taken > 50 && refused > 50, "{taken} taken, {refused} refused: the lines do not try both");
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn every_directive_that_openvpn_names_is_known() {
    let site = Site::new();
    let help = Command::new("openvpn").arg("--help").output().expect("openvpn").stdout;
    let help = String::from_utf8_lossy(&help).into_owned();
    let name = |line: &'_ str| -> Option<String> {
        Some(line.strip_prefix("--")?.split_whitespace().next()?.trim_end_matches(':').to_owned())
    };
    let names: Vec<String> = help.lines().filter_map(name).collect();
    assert!(names.len() > 200, "{help}");
    for name in names {
        assert!(vpnpki::openvpn::known::is_known(&name), "{name}");
    }
    for name in ["no-such-directive", "Client", "\u{feff}verb"] {
        let (taken, said) = openvpn_reads(site.dir(), format!("\n{name}\n").as_bytes());
        assert!(
            !taken && said.contains("Unrecognized option") && !vpnpki::openvpn::known::is_known(name),
            "{name}: {said}"
        );
    }
}

/// Profiles in the manner of programs that people come from; `BLOCKS` stands for the credentials.
const FIELD: [(&str, &str); 4] = [
    (
        "installer.ovpn",
        "client\ndev tun\nproto udp\nremote vpn.example.com 1194\nresolv-retry infinite\nnobind\npersist-key\npersist-tun\n\
         remote-cert-tls server\nauth SHA512\nignore-unknown-option block-outside-dns\nblock-outside-dns\nverb 3\nBLOCKS",
    ),
    (
        "hardened.ovpn",
        "client\nproto udp\nexplicit-exit-notify\nremote vpn.example.com 1194\ndev tun\nresolv-retry infinite\nnobind\n\
         persist-key\npersist-tun\nremote-cert-tls server\nverify-x509-name server name\nauth SHA256\nauth-nocache\n\
         cipher AES-128-GCM\ntls-client\ntls-version-min 1.2\ntls-cipher TLS-ECDHE-ECDSA-WITH-AES-128-GCM-SHA256\n\
         ignore-unknown-option block-outside-dns\nsetenv opt block-outside-dns # keeps names inside\nverb 3\nBLOCKS",
    ),
    (
        "appliance.ovpn",
        "# Automatically generated client config file\r\n# Generated on a day\r\n# OVPN_ACCESS_SERVER_PROFILE=anna@vpn\r\n\
         # OVPN_ACCESS_SERVER_ALLOW_WEB_IMPORT=True\r\n# OVPN_ACCESS_SERVER_WEB_CA_BUNDLE_START\r\n# -----BEGIN CERTIFICATE-----\r\n\
         # OVPN_ACCESS_SERVER_WEB_CA_BUNDLE_STOP\r\nsetenv FORWARD_COMPATIBLE 1\r\nclient\r\nserver-poll-timeout 4\r\nnobind\r\n\
         remote vpn.example.com 1194 udp\r\nremote vpn.example.com 1194 udp\r\ndev tun\r\ndev-type tun\r\n\
         remote-cert-tls server\r\ntls-version-min 1.2\r\nreneg-sec 604800\r\nverb 3\r\npush-peer-info\r\nBLOCKS\
         ## -----BEGIN RSA SIGNATURE-----\r\n## AAAA\r\n## -----END RSA SIGNATURE-----\r\n",
    ),
    (
        "commented.ovpn",
        "##############################################\n# Sample client-side OpenVPN 2.0 config file #\n\
         ##############################################\nclient\n;dev tap\ndev tun\n;proto tcp\nproto udp\n\
         remote vpn.example.com 1194\n;remote my-server-2 1194\n;remote-random\nresolv-retry infinite\nnobind\n;user nobody\n\
         persist-key\npersist-tun\n;http-proxy-retry # retry on connection failures\nremote-cert-tls server\n;mute 20\nverb 3\nBLOCKS",
    ),
];

#[test]
#[ignore = "needs root and peers: tests/run"]
fn profiles_of_other_programs_are_verified() {
    let site = Site::with_authority("--issue client1 --remote vpn.example.com");
    let own = fs::read_to_string(site.path("client1.ovpn")).expect("the profile");
    let blocks = &own[own.find("<ca>").expect("the credentials")..];
    // easy-rsa writes the text of a certificate before it
    fs::write(site.path("client1.crt"), &blocks[blocks.find("<cert>").expect("one")..]).expect("a file");
    let text = site.tool("openssl x509 -in client1.crt -text").succeeds().stdout;
    let begin = blocks.find("<cert>\n").expect("a certificate") + "<cert>\n".len();
    let end = blocks.find("</cert>").expect("its end");
    let blocks = format!("{}{text}{}", &blocks[..begin], &blocks[end..]);
    for (name, text) in FIELD {
        let ending = if text.contains("\r\n") { "\r\n" } else { "\n" };
        let whole = text.replace("BLOCKS", &blocks.replace('\n', ending));
        fs::write(site.path(name), &whole).expect("a file");
        site.run(&format!("verify {name} --handshake --for openvpn")).succeeds().says(&format!("{name}: works"));
        let (taken, said) = openvpn_reads(site.dir(), whole.as_bytes());
        assert!(taken, "{name}: {said}");
    }
    site.run("verify hardened.ovpn --for openvpn24").succeeds();
}
