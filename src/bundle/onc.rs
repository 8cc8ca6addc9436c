//! A bundle for `ChromeOS`: an Open Network Configuration (Chromium, `onc_spec.md`), not encrypted.
//! Knows no settings but the VPN's name: the directives of a profile come in, and one without a field is refused.

use base64ct::{Base64, Encoding};
use serde::Serialize;
use serde_json::{json, Map, Value};

use super::{client_parts, guid::guid, pkcs12, program, BundleError, ClientMaterial, Format};
use crate::{pki::Pkcs12Encryption, secret::Secret, settings::Settings, template::Templates};

/// The network, the CA's certificate, and certificate and key as PKCS#12, whose passphrase must be empty: whoever has the
/// file has the key, as with a profile. Identifiers stay the same, so that a newer one replaces it.
pub fn configuration(
    settings: &Settings,
    templates: &Templates,
    client: &ClientMaterial,
) -> Result<Secret, BundleError> {
    let [network, ca, own] =
        ["network", "ca", "client"].map(|what| format!("{{{}}}", guid(&client.ca_pem, &client.name, what)));
    let mut vpn = Vpn::of(&directives(settings, templates, client)?)?;
    vpn.field("ClientCertType", "Ref");
    vpn.field("ClientCertRef", own.as_str());
    vpn.field("ServerCARefs", json!([ca]));
    vpn.field("UserAuthenticationType", "None");
    let authority = base64(&pkcs12::only(&client.ca_pem, "the CA's certificate")?);
    let key = base64(pkcs12::sealed(client, &Secret::new(Vec::new()), Pkcs12Encryption::Modern)?.expose());
    let tls_auth = vpn.has_tls_auth.then(|| client.control_key.expose_text().unwrap_or_default());
    let certificates = [
        Certificate { guid: &ca, kind: "Authority", x509: authority.expose_text(), pkcs12: None },
        Certificate { guid: &own, kind: "Client", x509: None, pkcs12: key.expose_text() },
    ];
    let open_vpn = OpenVpn { fields: &vpn.fields, tls_auth };
    let vpn = VpnSection { host: vpn.hosts.first().map_or("", String::as_str), kind: "OpenVPN", open_vpn };
    let network = Network { guid: &network, name: &settings.vpn_name, kind: "VPN", vpn };
    let whole = Configuration { kind: "UnencryptedConfiguration", networks: [network], certificates };
    // twice what is copied as it is, since JSON writes the lines' ends of a key as two characters
    let room = key.expose().len() + authority.expose().len() + 2 * client.control_key.expose().len() + REST;
    let mut bytes = Vec::with_capacity(room);
    serde_json::to_writer_pretty(&mut bytes, &whole).map_err(|_| BundleError::NotPem("the configuration"))?;
    bytes.push(b'\n');
    Ok(Secret::new(bytes))
}

/// Whether each directive has its field.
pub fn check(directives: &[Vec<String>]) -> Result<(), BundleError> {
    Vpn::of(directives).map(drop)
}

fn directives(
    settings: &Settings,
    templates: &Templates,
    client: &ClientMaterial,
) -> Result<Vec<Vec<String>>, BundleError> {
    let parts = client_parts(settings, templates, client)?;
    let config = parts.iter().find(|part| part.name == "config.ovpn");
    Ok(program::directives(config.and_then(|part| part.bytes.expose_text()).unwrap_or_default()))
}

/// What was read from directives.
#[derive(Default)]
struct Vpn {
    hosts: Vec<String>,
    fields: Map<String, Value>,
    has_tls_auth: bool,
    proto: Option<String>,
}

impl Vpn {
    fn of(directives: &[Vec<String>]) -> Result<Self, BundleError> {
        let mut vpn = Self::default();
        for words in directives {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            vpn.take(&words)?;
        }
        Ok(vpn)
    }

    fn take(&mut self, words: &[&str]) -> Result<(), BundleError> {
        let no_place = || BundleError::NoPlace { format: Format::Onc, directive: words.join(" ") };
        match *words {
            [name, ..] if program::OF_ANY_CLIENT.contains(&name) => {}
            // the files are inside
            ["ca" | "cert" | "key", ..] | ["setenv", "FRIENDLY_NAME" | "opt", ..] | ["dev", "tun"] => {}
            ["proto", proto] => self.proto = Some(proto.to_owned()),
            ["remote", host, port] => {
                let proto = self.proto.clone().unwrap_or_else(|| "udp".to_owned());
                self.remote(host, port, &proto).ok_or_else(no_place)?;
            }
            ["remote", host, port, proto] => self.remote(host, port, proto).ok_or_else(no_place)?,
            ["tls-auth", _, direction] => {
                self.has_tls_auth = true;
                self.field("KeyDirection", direction);
            }
            ["verify-x509-name", name, kind] => self.field("VerifyX509", json!({ "Name": name, "Type": kind })),
            [name @ ("reneg-sec" | "server-poll-timeout"), seconds] => {
                let field = if name == "reneg-sec" { "RenegSec" } else { "ServerPollTimeout" };
                self.field(field, seconds.parse::<u32>().map_err(|_| no_place())?);
            }
            [name, value] => {
                let (_, field) = FIELDS.iter().find(|(directive, _)| *directive == name).ok_or_else(no_place)?;
                self.field(field, value);
            }
            _ => return Err(no_place()),
        }
        Ok(())
    }

    /// One port and protocol serves all hosts.
    fn remote(&mut self, host: &str, port: &str, proto: &str) -> Option<()> {
        let port: u16 = port.parse().ok()?;
        let same = |field: &str, value: Value| self.fields.get(field).is_none_or(|other| *other == value);
        if !same("Port", json!(port)) || !same("Proto", json!(proto)) {
            return None;
        }
        self.field("Port", port);
        self.field("Proto", proto);
        self.hosts.push(host.to_owned());
        if self.hosts.len() > 1 {
            self.field("ExtraHosts", json!(self.hosts[1..]));
        }
        Some(())
    }

    fn field(&mut self, name: &str, value: impl Into<Value>) {
        self.fields.insert(name.to_owned(), value.into());
    }
}

#[derive(Serialize)]
struct Configuration<'c> {
    #[serde(rename = "Type")]
    kind: &'static str,
    #[serde(rename = "NetworkConfigurations")]
    networks: [Network<'c>; 1],
    #[serde(rename = "Certificates")]
    certificates: [Certificate<'c>; 2],
}

#[derive(Serialize)]
struct Network<'c> {
    #[serde(rename = "GUID")]
    guid: &'c str,
    #[serde(rename = "Name")]
    name: &'c str,
    #[serde(rename = "Type")]
    kind: &'static str,
    #[serde(rename = "VPN")]
    vpn: VpnSection<'c>,
}

#[derive(Serialize)]
struct VpnSection<'c> {
    #[serde(rename = "Host")]
    host: &'c str,
    #[serde(rename = "Type")]
    kind: &'static str,
    #[serde(rename = "OpenVPN")]
    open_vpn: OpenVpn<'c>,
}

#[derive(Serialize)]
struct OpenVpn<'c> {
    #[serde(flatten)]
    fields: &'c Map<String, Value>,
    #[serde(rename = "TLSAuthContents", skip_serializing_if = "Option::is_none")]
    tls_auth: Option<&'c str>,
}

#[derive(Serialize)]
struct Certificate<'c> {
    #[serde(rename = "GUID")]
    guid: &'c str,
    #[serde(rename = "Type")]
    kind: &'static str,
    #[serde(rename = "X509", skip_serializing_if = "Option::is_none")]
    x509: Option<&'c str>,
    #[serde(rename = "PKCS12", skip_serializing_if = "Option::is_none")]
    pkcs12: Option<&'c str>,
}

fn base64(bytes: &[u8]) -> Secret {
    let mut text = vec![0; Base64::encoded_len(bytes)];
    Base64::encode(bytes, &mut text).expect("there is room for all of it");
    Secret::new(text)
}

/// Directives with one value, and the fields that hold it.
const FIELDS: [(&str, &str); 4] = [
    ("auth", "Auth"),
    ("cipher", "Cipher"),
    ("remote-cert-tls", "RemoteCertTLS"),
    ("tls-version-min", "TLSVersionMin"),
];

/// More than the names of fields, the identifiers and 64 hosts of 255 bytes take.
const REST: usize = 32 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn vpn(lines: &str) -> Result<Vpn, BundleError> {
        Vpn::of(&program::directives(lines))
    }

    #[test]
    fn each_directive_gets_its_field() {
        let vpn =
            vpn("client\ndev tun\nproto tcp\nremote a 443\nremote b 443 tcp\nremote c 443\nauth SHA256\nreneg-sec 7\nserver-poll-timeout 10\n\
                       setenv FRIENDLY_NAME x\nverify-x509-name server name-prefix\ntls-auth ta.key 1\n")
            .unwrap();
        assert_eq!(vpn.hosts, ["a", "b", "c"]);
        assert!(vpn.has_tls_auth);
        assert_eq!(
            Value::Object(vpn.fields),
            json!({
                "Auth": "SHA256", "ExtraHosts": ["b", "c"], "KeyDirection": "1", "Port": 443, "Proto": "tcp", "RenegSec": 7, "ServerPollTimeout": 10,
                "VerifyX509": { "Name": "server", "Type": "name-prefix" },
            })
        );
    }

    #[test]
    fn a_directive_without_a_field_is_not_dropped() {
        for line in [
            "float",
            "http-proxy p 1",
            "tun-mtu 1400",
            "tls-crypt ta.key",
            "route 10.0.0.0 255.0.0.0",
            "reneg-sec x",
            "dev tap",
        ] {
            let error = vpn(&format!("client\n{line}\n")).err().unwrap().to_string();
            assert_eq!(error, format!("no bundle was made: a `onc` has no place for `{line}`"));
        }
        for second in ["remote b 2 udp", "remote b 1 tcp"] {
            assert!(vpn(&format!("remote a 1\n{second}\n")).is_err(), "{second}");
        }
    }
}
