//! What a made configuration says, line by line as `OpenVPN` splits it, against what the settings ask for and nothing else.
//! Knows the templates' directives by heart; whoever adds one adds it here.

use proptest::prelude::*;

use super::{server, *};
use crate::{
    openvpn::directive::{read, LONGEST},
    settings::Remote,
};

/// Every directive outside inline blocks; and the blocks' names.
fn lexed(config: &str) -> (Vec<Vec<String>>, Vec<String>) {
    let (mut directives, mut blocks) = (Vec::new(), Vec::new());
    let mut lines = config.lines();
    while let Some(line) = lines.next() {
        assert!(line.len() <= LONGEST, "{line}");
        let words = read(line).unwrap_or_else(|error| panic!("{line}: {error}")).words;
        match &words[..] {
            [] => {}
            [tag] if tag.starts_with('<') => {
                let end = tag.replace('<', "</");
                assert!(lines.any(|line| line == end), "{tag} is not closed");
                blocks.push(tag.trim_matches(['<', '>']).to_owned());
            }
            _ => directives.push(words),
        }
    }
    (directives, blocks)
}

/// Lines of words, one directive each; `VPN` stands for the VPN's name, which is one word.
fn expected(lines: &str, vpn: &str) -> Vec<Vec<String>> {
    let word = |word: &str| if word == "VPN" { vpn.to_owned() } else { word.to_owned() };
    lines.lines().map(|line| line.split(' ').map(word).collect()).collect()
}

/// The extra directives, each split by the same reader: that none is more than one line, and begins as it was typed.
fn extras(lines: &[String]) -> Vec<Vec<String>> {
    let split = |line: &String| {
        let words = read(line).expect("a directive that was let through").words;
        assert_eq!(Some(words[0].as_str()), line.split([' ', '\t']).next());
        words
    };
    lines.iter().map(split).collect()
}

fn client_directives(settings: &Settings) -> Vec<Vec<String>> {
    let client = &settings.client;
    let first = client.remotes[0].proto;
    let common = client.remotes.iter().all(|remote| remote.proto == first);
    let proto = |remote: &Remote| if common { String::new() } else { format!(" {}", remote.proto) };
    let remote = |remote: &Remote| format!("remote {} {}{}\n", remote.host, remote.port, proto(remote));
    let mut text = "client\ndev tun\n".to_owned();
    for (set, line) in [
        (common, format!("proto {first}\n")),
        (true, client.remotes.iter().map(remote).collect()),
        (client.remote_random, "remote-random\n".to_owned()),
        (client.remotes.len() > 1, "server-poll-timeout 10\n".to_owned()),
        (client.http_proxy.is_some(), "http-proxy proxy.example.com 8080 auto\n".to_owned()),
        (true, "nobind\nresolv-retry infinite\npersist-tun\n".to_owned()),
        (client.float, "float\n".to_owned()),
        (true, "remote-cert-tls server\n".to_owned()),
        (true, format!("verify-x509-name {} name-prefix\n", settings.server.name_prefix)),
        (true, "auth-nocache\nverb 3\nsetenv FRIENDLY_NAME VPN".to_owned()),
    ] {
        text += if set { &line } else { "" };
    }
    [expected(&text, &settings.vpn_name), extras(&client.extra)].concat()
}

fn server_directives(settings: &Settings) -> Vec<Vec<String>> {
    let listening = &settings.server;
    let ipv6 = settings.client.remotes.iter().any(|remote| remote.host.contains(':'));
    let proto = format!("{}{}", listening.proto, if ipv6 { "6" } else { "" });
    let bye = if listening.proto == crate::settings::Proto::Udp { "explicit-exit-notify 1\n" } else { "" };
    let text = format!(
        "port {}\nproto {proto}\ndev tun\ntopology subnet\nserver 10.8.0.0 255.255.255.0\nca ca.crt\ncert server.crt\n\
         key server.key\ndh none\ntls-crypt ta.key\ncrl-verify crl.pem\nremote-cert-tls client\ntls-version-min 1.2\n\
         tran-window 60\nkeepalive 10 120\npersist-tun\n{bye}verb 3",
        listening.port
    );
    [expected(&text, &settings.vpn_name), extras(&listening.extra)].concat()
}

/// A host name, an address, or what looks like one of them and perhaps like more.
const REMOTE: &str = "[a-z][a-z0-9.-]{0,12}(:[1-9][0-9]{0,3}(/(udp|tcp))?)?|\\[2001:db8::[1-9]\\](:443/tcp)?";

/// Directives, comments, quotes, blocks and escapes.
const EXTRA: &str = "[a-z<#;-][a-z>-]{0,9}([ \t][!-~]{1,9}){0,3}|mssfix \"[ -~]{0,9}\"|setenv [A-Z]{2,4} '[ -~]{0,9}'";

fn list(values: &[String]) -> String {
    values.iter().map(|value| toml_edit::Value::from(value.as_str())).collect::<toml_edit::Array>().to_string()
}

/// A VPN's name, remotes, extra directives and a prefix, as far as the settings take them together.
fn settings_of(vpn: &str, remotes: &[String], extra: &[String], prefix: &str, flags: [bool; 2]) -> Option<Settings> {
    let tcp = remotes.iter().all(|remote| remote.ends_with("/tcp"));
    let proxy = if tcp { "http-proxy = \"proxy.example.com:8080\"\n" } else { "" };
    let (name, [random, float]) = (toml_edit::Value::from(vpn), flags);
    let (remotes, extra) = (list(remotes), list(extra));
    let text = format!(
        "[vpn]\nname = {name}\n[client]\nremotes = {remotes}\nremote-random = {random}\nfloat = {float}\n{proxy}\
         extra = {extra}\n[server]\nname-prefix = \"{prefix}\"\nextra = {extra}\n"
    );
    load(&text, "x").ok()
}

proptest! {
    #[test]
    fn nothing_becomes_a_directive_that_is_not_meant(
        vpn in "[ -~]{1,64}|\\PC{1,20}|[a-z]{1,5}(\n|\r|\\\\|\"|'|#|;|</?ca>)[a-z ]{1,9}",
        remotes in prop::collection::vec(REMOTE, 1..4),
        extra in prop::collection::vec(EXTRA, 0..3),
        prefix in "[a-z][a-z0-9._@-]{0,9}",
        name in "[A-Za-z0-9][A-Za-z0-9._@-]{0,20}",
        flags: [bool; 2],
    ) {
        // what is refused for one of its extra directives is tried without them, so that much gets through
        let made = settings_of(&vpn, &remotes, &extra, &prefix, flags);
        let Some(settings) = made.or_else(|| settings_of(&vpn, &remotes, &[], &prefix, flags)) else { return Ok(()) };
        let templates = Templates::built_in();
        let Ok(name) = Name::parse(&name) else { return Ok(()) };
        let client = ClientMaterial { name, ..client("client1") };
        let profile = client_ovpn(&settings, &templates, &client).unwrap();
        let blocks = ["ca", "cert", "key", "tls-crypt"].map(str::to_owned).to_vec();
        prop_assert_eq!(lexed(text(&profile)), (client_directives(&settings), blocks));

        let config = client_parts(&settings, &templates, &client).unwrap().remove(0);
        let files = format!("ca ca.crt\ncert {0}.crt\nkey {0}.key\ntls-crypt ta.key", client.name);
        let directives = [client_directives(&settings), expected(&files, "")].concat();
        prop_assert_eq!(lexed(text(&config.bytes)), (directives, Vec::new()));

        let conf = server_parts(&settings, &templates, &server(false)).unwrap().remove(0);
        prop_assert_eq!(lexed(text(&conf.bytes)), (server_directives(&settings), Vec::new()));
    }
}

#[test]
fn the_property_above_sees_extra_directives_and_odd_names() {
    let extra = ["setenv AB 'a # b'".to_owned(), "mssfix \"1300\"".to_owned()];
    let remotes = ["a:443/tcp".to_owned(), "b:443/tcp".to_owned()];
    let settings = settings_of("a \"b\" # \\c", &remotes, &extra, "gate", [true, true]).unwrap();
    let (directives, _) = lexed(text(&client_ovpn(&settings, &Templates::built_in(), &client("client1")).unwrap()));
    assert_eq!(directives, client_directives(&settings));
    for line in [
        &["setenv", "FRIENDLY_NAME", "a \"b\" # \\c"][..],
        &["setenv", "AB", "a # b"],
        &["mssfix", "1300"],
        &["http-proxy", "proxy.example.com", "8080", "auto"],
        &["remote-random"],
    ] {
        assert!(directives.iter().any(|words| words == line), "{line:?} is not in {directives:?}");
    }
}
