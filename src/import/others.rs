//! Connections as NetworkManager and `ChromeOS` keep them, said in the words of a profile so that one reader is enough.
//! Knows no rule of `OpenVPN`; what has no word there is passed over.

use base64ct::{Base64, Encoding};
use serde_json::Value;

use crate::{import::Part, secret::Secret};

/// What was handed over, with a profile where it has none of `OpenVPN`'s.
pub fn said_as_profile(mut parts: Vec<Part>) -> Vec<Part> {
    let found = |parts: &[Part], extension: &str| parts.iter().position(|part| part.name.ends_with(extension));
    if let Some(place) = found(&parts, ".nmconnection") {
        parts.extend(keyfile(parts[place].bytes.expose()));
    } else if let Some(more) = found(&parts, ".onc").and_then(|place| onc(parts[place].bytes.expose())) {
        parts.extend(more);
    }
    parts
}

/// A NetworkManager keyfile: its items become directives, and the files it names by absolute paths are looked for below
/// the root of what was handed over (nm-service-defines.h has the items' names).
fn keyfile(bytes: &[u8]) -> Option<Part> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut section = "";
    let mut profile = String::from("client\n");
    let items: Vec<(&str, &str)> = text
        .lines()
        .filter_map(|line| {
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                section = name;
            }
            line.split_once('=').filter(|_| section == "vpn")
        })
        .collect();
    let value = |wanted: &str| items.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value);
    let direction = value("ta-dir").unwrap_or_default();
    for (name, value) in &items {
        let below = value.trim_start_matches('/');
        match *name {
            "remote" => {
                for remote in value.split(',') {
                    let remote = remote.trim();
                    let host = remote
                        .strip_prefix('[')
                        .map_or_else(|| remote.split(':').next(), |rest| rest.split(']').next());
                    profile.extend(["remote ", host?, "\n"]);
                }
            }
            "dev" => profile.extend(["dev ", value, "\n"]),
            "ca" | "cert" | "key" | "tls-crypt" | "tls-crypt-v2" => profile.extend([name, " ", below, "\n"]),
            "ta" => profile.extend(["tls-auth ", below, " ", direction, "\n"]),
            _ => {}
        }
    }
    Some(Part { name: "keyfile.ovpn".to_owned(), bytes: Secret::from(profile) })
}

/// An Open Network Configuration with one network: a profile and the credentials beside it (`onc_spec.md`).
fn onc(bytes: &[u8]) -> Option<Vec<Part>> {
    let whole: Value = serde_json::from_slice(bytes).ok()?;
    let vpn = whole.pointer("/NetworkConfigurations/0/VPN")?;
    let mut profile = String::from("client\ndev tun\nca ca.crt\npkcs12 client.p12\n");
    profile.extend(["remote ", vpn.get("Host")?.as_str()?, "\n"]);
    let mut parts = Vec::new();
    if let Some(key) = vpn.pointer("/OpenVPN/TLSAuthContents").and_then(Value::as_str) {
        let direction = vpn.pointer("/OpenVPN/KeyDirection").and_then(Value::as_str).unwrap_or_default();
        profile.extend(["tls-auth ta.key ", direction, "\n"]);
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
    parts.push(part("network.ovpn", profile.into_bytes()));
    Some(parts)
}

fn part(name: &str, bytes: Vec<u8>) -> Part {
    Part { name: name.to_owned(), bytes: Secret::new(bytes) }
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    Base64::decode_vec(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_keyfile_is_said_in_directives() {
        let text = "[connection]\nid=x\nca=/not/this\n[vpn]\nca=/etc/o/ca.crt\nta=/etc/o/ta.key\nta-dir=1\nremote=a:1194, [2001:db8::1]:443:tcp\n";
        let profile = keyfile(text.as_bytes()).unwrap();
        let lines = "client\nca etc/o/ca.crt\ntls-auth etc/o/ta.key 1\nremote a:1194\nremote 2001:db8::1\n";
        assert_eq!(profile.bytes.expose_text().unwrap(), lines.replace("a:1194", "a"));
    }

    #[test]
    fn a_network_of_chromeos_has_its_files_beside_it() {
        let text = r#"{"NetworkConfigurations":[{"VPN":{"Host":"a","OpenVPN":{"TLSAuthContents":"k","KeyDirection":"1"}}}],
            "Certificates":[{"X509":"AAAA"},{"PKCS12":"AQID"}]}"#;
        let parts = onc(text.as_bytes()).unwrap();
        let names: Vec<&str> = parts.iter().map(|part| part.name.as_str()).collect();
        assert_eq!(names, ["ta.key", "ca.crt", "client.p12", "network.ovpn"]);
        assert_eq!(parts[2].bytes.expose(), [1, 2, 3]);
        assert!(onc(b"{}").is_none() && onc(b"\xff").is_none());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "\\[vpn\\]\n(remote|ca|ta)=[:,\\[\\] a/]{0,20}\n") {
            let _ = (keyfile(&bytes), onc(&bytes), keyfile(text.as_bytes()));
        }
    }
}
