//! Connections as NetworkManager and `ChromeOS` keep them, said in the words of a profile so that one reader is enough.
//! Knows no rule of `OpenVPN`; what has no word there is passed over.

use base64ct::{Base64, Encoding};
use serde_json::Value;

use crate::{
    import::{package::Origin, Part},
    openvpn::directive::quote,
    secret::Secret,
};

/// What was handed over, with a profile where it has none of `OpenVPN`'s, and whose it was.
pub fn said_as_profile(mut parts: Vec<Part>) -> (Vec<Part>, Origin) {
    let found = |parts: &[Part], extension: &str| parts.iter().position(|part| part.name.ends_with(extension));
    if let Some(place) = found(&parts, ".nmconnection") {
        parts.extend(keyfile(parts[place].bytes.expose()));
        return (parts, Origin::NetworkManager);
    }
    if let Some(more) = found(&parts, ".onc").and_then(|place| onc(parts[place].bytes.expose())) {
        parts.extend(more);
        return (parts, Origin::ChromeOs);
    }
    (parts, Origin::OpenVpn)
}

/// A profile that is being written; what no line can hold is left out.
struct Lines(String);

impl Lines {
    fn push(&mut self, words: &[&str]) {
        let quoted: Result<Vec<String>, _> = words.iter().map(|word| quote(word)).collect();
        if let Ok(quoted) = quoted {
            self.0.extend([&quoted.join(" "), "\n"]);
        }
    }

    fn into_part(self, name: &str) -> Part {
        part(name, self.0.into_bytes())
    }
}

/// A NetworkManager keyfile: its items become directives, and the files it names by absolute paths are looked for below
/// the root of what was handed over (nm-service-defines.h has the items' names).
fn keyfile(bytes: &[u8]) -> Option<Part> {
    let text = std::str::from_utf8(bytes).ok()?;
    let items = items(text);
    let value_of = |wanted: &str| items.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.as_str());
    let mut lines = Lines("client\n".to_owned());
    for (name, value) in items.iter().map(|(name, value)| (*name, value.as_str())) {
        let below = value.trim_start_matches('/');
        match name {
            "remote" => value.split(',').for_each(|remote| lines.push(&remote_words(remote.trim()))),
            "proto-tcp" if value == "yes" => lines.push(&["proto", "tcp"]),
            "verify-x509-name" => {
                let (kind, name) = value.split_once(':').unwrap_or(("subject", value));
                lines.push(&["verify-x509-name", name, kind]);
            }
            "ca" | "cert" | "key" | "tls-crypt" | "tls-crypt-v2" => lines.push(&[name, below]),
            "ta" => {
                let direction = value_of("ta-dir");
                lines.push(&[&["tls-auth", below][..], direction.as_slice()].concat());
            }
            "tunnel-mtu" => lines.push(&["tun-mtu", value]),
            name if SAME.contains(&name) => lines.push(&[name, value]),
            _ => {}
        }
    }
    Some(lines.into_part("keyfile.ovpn"))
}

/// The items of the section `[vpn]`, as `GLib` reads values (gkeyfile.c, `g_key_file_parse_value_as_string`).
fn items(text: &str) -> Vec<(&str, String)> {
    let mut section = "";
    let mut found = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name;
        } else if let Some((name, value)) = line.split_once('=').filter(|_| section == "vpn") {
            found.push((name.trim(), unescaped(value.trim_start())));
        }
    }
    found
}

fn unescaped(value: &str) -> String {
    let mut text = String::new();
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        text.push(match (character, character == '\\') {
            (character, false) => character,
            (_, true) => match characters.next() {
                Some('s') => ' ',
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some(other) => other,
                None => '\\',
            },
        });
    }
    text
}

/// `HOST[:PORT[:PROTO]]`, an address of IPv6 in brackets.
fn remote_words(remote: &str) -> Vec<&str> {
    let bracketed = remote.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (host, rest) = bracketed.unwrap_or_else(|| remote.split_at(remote.find(':').unwrap_or(remote.len())));
    ["remote", host].into_iter().chain(rest.split(':').filter(|word| !word.is_empty())).collect()
}

/// An Open Network Configuration with one network: a profile and the credentials beside it (`onc_spec.md`).
fn onc(bytes: &[u8]) -> Option<Vec<Part>> {
    let whole: Value = serde_json::from_slice(bytes).ok()?;
    let vpn = whole.pointer("/NetworkConfigurations/0/VPN")?;
    let field = |name: &str| vpn.get("OpenVPN")?.get(name);
    let text = |name: &str| field(name).and_then(Value::as_str);
    let mut lines = Lines("client\ndev tun\nca ca.crt\npkcs12 client.p12\n".to_owned());
    let port = field("Port").and_then(Value::as_u64).unwrap_or(1194).to_string();
    let more = field("ExtraHosts").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    for host in [vpn.get("Host")?.as_str()?].into_iter().chain(more) {
        lines.push(&["remote", host, &port, text("Proto").unwrap_or("udp")]);
    }
    for (name, directive) in [("Auth", "auth"), ("Cipher", "cipher"), ("TLSVersionMin", "tls-version-min")] {
        if let Some(value) = text(name) {
            lines.push(&[directive, value]);
        }
    }
    if text("RemoteCertTLS").unwrap_or("server") == "server" {
        lines.push(&["remote-cert-tls", "server"]);
    }
    let named = |what: &str| field("VerifyX509")?.get(what)?.as_str();
    if let Some(name) = named("Name") {
        lines.push(&["verify-x509-name", name, named("Type").unwrap_or("name")]);
    }
    let mut parts = Vec::new();
    if let Some(key) = text("TLSAuthContents") {
        lines.push(&[&["tls-auth", "ta.key"][..], text("KeyDirection").as_slice()].concat());
        parts.push(part("ta.key", key.as_bytes().to_vec()));
    }
    for certificate in whole.get("Certificates")?.as_array()? {
        let field = |name: &str| certificate.get(name).and_then(Value::as_str);
        if let Some(text) = field("X509") {
            parts.push(part("ca.crt", crate::pki::certificate_pem(&decoded(text)?).into_bytes()));
        }
        if let Some(text) = field("PKCS12") {
            parts.push(part("client.p12", decoded(text)?));
        }
    }
    parts.push(lines.into_part("network.ovpn"));
    Some(parts)
}

fn part(name: &str, bytes: Vec<u8>) -> Part {
    Part { name: name.to_owned(), bytes: Secret::new(bytes) }
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    Base64::decode_vec(text).ok()
}

/// The items that are named as the directives are.
const SAME: [&str; 10] = [
    "auth",
    "cipher",
    "comp-lzo",
    "compress",
    "data-ciphers",
    "dev",
    "port",
    "remote-cert-tls",
    "tls-cipher",
    "tls-version-min",
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The words of each line, however they are quoted.
    fn unquoted(profile: &Part) -> Vec<Vec<String>> {
        let text = profile.bytes.expose_text().unwrap();
        text.lines().map(|line| crate::openvpn::directive::read(line).unwrap().words).collect()
    }

    #[test]
    fn a_keyfile_is_said_in_directives() {
        let text = "[connection]\nid=x\nca=/not/this\n[vpn]\nca=/etc/o/ca.crt\nta=/etc/o/ta.key\nta-dir=1\nremote=a, b:1194, [2001:db8::1]:443:tcp\n\
                    proto-tcp=yes\ntunnel-mtu=1400\nverify-x509-name=name-prefix:a\\\\\\sb\nremote-cert-tls=server\nconnection-type=tls\n";
        let profile = keyfile(text.as_bytes()).unwrap();
        let lines =
            "client\nca etc/o/ca.crt\ntls-auth etc/o/ta.key 1\nremote a\nremote b 1194\nremote 2001:db8::1 443 tcp\n\
                     proto tcp\ntun-mtu 1400\nverify-x509-name \"a\\\\ b\" name-prefix\nremote-cert-tls server\n";
        assert_eq!(unquoted(&profile), unquoted(&part("", lines.as_bytes().to_vec())));
    }

    #[test]
    fn a_network_of_chromeos_has_its_files_beside_it() {
        let text = r#"{"NetworkConfigurations":[{"VPN":{"Host":"a","OpenVPN":{"TLSAuthContents":"k","KeyDirection":"1",
            "Port":443,"Proto":"tcp","ExtraHosts":["b"],"VerifyX509":{"Name":"c","Type":"name-prefix"},"Auth":"SHA256"}}}],
            "Certificates":[{"X509":"AAAA"},{"PKCS12":"AQID"}]}"#;
        let parts = onc(text.as_bytes()).unwrap();
        let names: Vec<&str> = parts.iter().map(|part| part.name.as_str()).collect();
        assert_eq!(names, ["ta.key", "ca.crt", "client.p12", "network.ovpn"]);
        assert_eq!(parts[2].bytes.expose(), [1, 2, 3]);
        let lines = "client\ndev tun\nca ca.crt\npkcs12 client.p12\nremote a 443 tcp\nremote b 443 tcp\nauth SHA256\n\
                     remote-cert-tls server\nverify-x509-name c name-prefix\ntls-auth ta.key 1\n";
        assert_eq!(unquoted(&parts[3]), unquoted(&part("", lines.as_bytes().to_vec())));
        assert!(onc(b"{}").is_none() && onc(b"\xff").is_none());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "\\[vpn\\]\n(remote|ca|ta)=[:,\\[\\] a/]{0,20}\n") {
            let _ = (keyfile(&bytes), onc(&bytes), keyfile(text.as_bytes()));
        }
    }
}
