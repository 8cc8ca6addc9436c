//! A bundle for NetworkManager: a keyfile, and the credentials that it names.
//! Knows no settings: the directives of a profile come in, and one for which NetworkManager has no place is refused.

use super::{program, BundleError, Format, Part};
use crate::secret::Secret;

/// What the connection is called, and what tells it from every other.
pub struct Identity<'i> {
    /// What the VPN is called.
    pub vpn: &'i str,
    /// The name of the bundle, without extension.
    pub stem: &'i str,
    /// The same whenever the bundle is made, so that a newer one replaces it.
    pub uuid: &'i str,
}

/// A client's files as they lie on the host, below `/`: `NAME.nmconnection` among the system's connections, since a
/// keyfile names its files by absolute paths, and the credentials where `OpenVPN`'s own configurations lie, which it may
/// read also under `SELinux`. Only root can read the keyfile, or NetworkManager passes over it.
pub fn files(identity: &Identity, parts: Vec<Part>) -> Result<Vec<Part>, BundleError> {
    let home = format!("etc/openvpn/client/{}", identity.stem);
    let mut keyfile = Keyfile::default();
    let mut placed = Vec::new();
    for part in parts {
        if part.name == "config.ovpn" {
            let profile = part.bytes.expose_text().unwrap_or_default();
            keyfile.take_all(&program::directives(profile), &home)?;
        } else {
            placed.push(Part { name: format!("{home}/{}", part.name), ..part });
        }
    }
    let name = format!("etc/NetworkManager/system-connections/{}.nmconnection", identity.stem);
    placed.insert(0, Part { name, bytes: Secret::from(keyfile.text(identity)), private: true });
    Ok(placed)
}

/// Whether each directive has its place.
pub fn check(directives: &[Vec<String>]) -> Result<(), BundleError> {
    Keyfile::default().take_all(directives, "")
}

/// What was read from directives.
#[derive(Default)]
struct Keyfile {
    remotes: Vec<String>,
    items: Vec<(&'static str, String)>,
    routes: Vec<String>,
}

impl Keyfile {
    fn take_all(&mut self, directives: &[Vec<String>], home: &str) -> Result<(), BundleError> {
        for words in directives {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            self.take(&words, home)?;
        }
        Ok(())
    }

    /// The items that NetworkManager's own importer makes (NetworkManager-openvpn, import-export.c, `do_import`; their
    /// names are in nm-service-defines.h).
    fn take(&mut self, words: &[&str], home: &str) -> Result<(), BundleError> {
        match *words {
            [name, ..] if program::OF_ANY_CLIENT.contains(&name) => {}
            ["pull", ..] | ["setenv", "FRIENDLY_NAME" | "opt", ..] | ["proto", "udp"] => {}
            ["remote", host, port] if host.contains(':') => self.remotes.push(format!("[{host}]:{port}:")),
            ["remote", host, port, proto] if host.contains(':') => {
                self.remotes.push(format!("[{host}]:{port}:{proto}"));
            }
            ["remote", host, port] => self.remotes.push(format!("{host}:{port}")),
            ["remote", host, port, proto] => self.remotes.push(format!("{host}:{port}:{proto}")),
            ["proto", "tcp" | "tcp-client"] => self.item("proto-tcp", "yes"),
            ["ca" | "cert" | "key" | "tls-crypt" | "tls-crypt-v2" | "tls-auth", file, ref rest @ ..] => {
                self.file(words[0], &format!("/{home}/{file}"), rest);
            }
            ["verify-x509-name", name, kind] => self.item("verify-x509-name", &format!("{kind}:{name}")),
            ["route", network, mask] => self.routes.push(route(network, mask).ok_or_else(|| no_place(words))?),
            ["http-proxy", host, port] | ["http-proxy", host, port, "auto"] => {
                for (item, value) in [("proxy-type", "http"), ("proxy-server", host), ("proxy-port", port)] {
                    self.item(item, value);
                }
            }
            [name, value] => self.valued(name, value).ok_or_else(|| no_place(words))?,
            [name] => self.flag(name).ok_or_else(|| no_place(words))?,
            _ => return Err(no_place(words)),
        }
        Ok(())
    }

    fn file(&mut self, directive: &str, path: &str, rest: &[&str]) {
        let item = ["ca", "cert", "key", "tls-crypt", "tls-crypt-v2"].into_iter().find(|item| *item == directive);
        self.item(item.unwrap_or("ta"), path);
        if let [direction] = rest {
            self.item("ta-dir", direction);
        }
    }

    fn valued(&mut self, name: &str, value: &str) -> Option<()> {
        let (_, item) = VALUED.iter().find(|(directive, _)| *directive == name)?;
        self.item(item, value);
        Some(())
    }

    fn flag(&mut self, name: &str) -> Option<()> {
        let item = FLAGS.into_iter().find(|flag| *flag == name)?;
        self.item(item, "yes");
        Some(())
    }

    /// The later one wins, as in `OpenVPN`.
    fn item(&mut self, name: &'static str, value: &str) {
        self.items.retain(|(other, _)| *other != name);
        self.items.push((name, value.to_owned()));
    }

    fn text(mut self, identity: &Identity) -> String {
        self.item("connection-type", "tls");
        let remotes = self.remotes.join(", ");
        self.item("remote", &remotes);
        self.items.sort_unstable();
        let Identity { vpn, uuid, .. } = identity;
        let mut text = format!("[connection]\nid={}\nuuid={uuid}\ntype=vpn\n\n[vpn]\n", escape(vpn));
        for (name, value) in &self.items {
            text.extend([name, "=", &escape(value), "\n"]);
        }
        text.push_str("service-type=org.freedesktop.NetworkManager.openvpn\n\n[ipv4]\nmethod=auto\n");
        for (place, route) in self.routes.iter().enumerate() {
            text.extend(["route", &(place + 1).to_string(), "=", route, "\n"]);
        }
        text.push_str("\n[ipv6]\nmethod=auto\n");
        text
    }
}

/// A network and its mask as `network/prefix`.
fn route(network: &str, mask: &str) -> Option<String> {
    let network: std::net::Ipv4Addr = network.parse().ok()?;
    let prefix = ipnet::ipv4_mask_to_prefix(mask.parse().ok()?).ok()?;
    Some(format!("{network}/{prefix}"))
}

fn no_place(words: &[&str]) -> BundleError {
    BundleError::NoPlace { format: Format::Nm, directive: words.join(" ") }
}

/// As `GLib` reads a value: a backslash begins an escape, and blanks at its beginning are not part of it (gkeyfile.c,
/// `g_key_file_parse_value_as_string`).
fn escape(value: &str) -> String {
    let escaped = value.replace('\\', "\\\\");
    match escaped.strip_prefix(' ') {
        Some(rest) => format!("\\s{rest}"),
        None => escaped,
    }
}

/// Directives with one value, and the items that hold it.
const VALUED: [(&str, &str); 16] = [
    ("allow-compression", "allow-compression"),
    ("auth", "auth"),
    ("cipher", "cipher"),
    ("connect-timeout", "connect-timeout"),
    ("data-ciphers", "data-ciphers"),
    ("dev", "dev"),
    ("mssfix", "mssfix"),
    ("ping", "ping"),
    ("ping-exit", "ping-exit"),
    ("ping-restart", "ping-restart"),
    ("remote-cert-tls", "remote-cert-tls"),
    ("reneg-sec", "reneg-seconds"),
    ("server-poll-timeout", "connect-timeout"),
    ("tls-cipher", "tls-cipher"),
    ("tls-version-min", "tls-version-min"),
    ("tun-mtu", "tunnel-mtu"),
];

/// Directives without a value, whose items are named like them.
const FLAGS: [&str; 4] = ["float", "mssfix", "push-peer-info", "remote-random"];

#[cfg(test)]
mod tests {
    use super::*;

    fn keyfile(lines: &str) -> Result<String, BundleError> {
        let config = Part { name: "config.ovpn".to_owned(), bytes: Secret::from(lines.to_owned()), private: false };
        let identity = Identity { vpn: " a\\b=[#1]", stem: "anna", uuid: "u" };
        let files = files(&identity, vec![config])?;
        assert_eq!(files[0].name, "etc/NetworkManager/system-connections/anna.nmconnection");
        Ok(files[0].bytes.expose_text().unwrap().to_owned())
    }

    #[test]
    fn each_directive_gets_its_item() {
        let text = keyfile(
            "client\ndev tun\nremote a 1 udp\nremote 2001:db8::1 2 tcp\nfloat\ntun-mtu 1400\nmssfix 1300\nroute 10.1.0.0 255.255.0.0\n\
             http-proxy p 8080 auto\nverify-x509-name \"server\" name-prefix\ncipher A\ncipher B\nsetenv opt block-outside-dns\ntls-auth ta.key 1\n",
        )
        .unwrap();
        assert_eq!(
            text,
            "[connection]\nid=\\s a\\\\b=[#1]\n".replace("\\s ", "\\s")
                + "uuid=u\ntype=vpn\n\n[vpn]\ncipher=B\nconnection-type=tls\ndev=tun\nfloat=yes\nmssfix=1300\n\
                   proxy-port=8080\nproxy-server=p\nproxy-type=http\n\
                   remote=a:1:udp, [2001:db8::1]:2:tcp\nta=/etc/openvpn/client/anna/ta.key\nta-dir=1\ntunnel-mtu=1400\n\
                   verify-x509-name=name-prefix:server\nservice-type=org.freedesktop.NetworkManager.openvpn\n\n\
                   [ipv4]\nmethod=auto\nroute1=10.1.0.0/16\n\n[ipv6]\nmethod=auto\n"
        );
    }

    #[test]
    fn a_directive_without_a_place_is_not_dropped() {
        for line in
            ["dhcp-option DNS 1.1.1.1", "redirect-gateway def1", "route a b", "block-outside-dns", "setenv UV_A b"]
        {
            let error = keyfile(&format!("client\n{line}\n")).unwrap_err().to_string();
            assert_eq!(error, format!("no bundle was made: a `nm` has no place for `{line}`"));
        }
    }
}
