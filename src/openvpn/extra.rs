//! What may be added to a configuration by hand, and why the rest may not: a directive is refused, noted or let through.
//! Knows no setting's value.

use super::{
    connect,
    directive::{self, LineError},
};
use crate::inventory::Role;

/// Why a directive is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ExtraError {
    /// The line cannot be read by `OpenVPN`, or is read otherwise than meant.
    #[error(transparent)]
    Line(#[from] LineError),
    /// No directive at all.
    #[error("there is no directive in it")]
    Empty,
    /// A `#` or `;` outside quotes.
    #[error("`#` or `;` outside quotes begins a comment for some clients: put the word in double quotes")]
    Comment,
    /// Other bytes than ASCII, which not every importer reads alike.
    #[error("`{0}` is outside ASCII")]
    NotAscii(String),
    /// A first word that is no directive's name.
    #[error("`{0}` is no name of a directive: lower-case letters, digits and `-`, without leading `--`")]
    Name(String),
    /// The first word opens or closes an inline block.
    #[error("`{0}` would open or close an inline block")]
    Block(String),
    /// A directive that must not stand there.
    #[error("`{name}` cannot be added: {why}")]
    Refused {
        /// The directive.
        name: String,
        /// The reason, and where there is one the way.
        why: &'static str,
    },
}

/// Judges a line for one side's configuration: let through, perhaps with a note.
pub fn judge(side: Role, line: &str) -> Result<Option<String>, ExtraError> {
    if let Some(other) = line.chars().find(|character| !character.is_ascii()) {
        return Err(ExtraError::NotAscii(other.escape_default().to_string()));
    }
    let read = directive::read(line)?;
    if read.comment {
        return Err(ExtraError::Comment);
    }
    let words: Vec<&str> = read.words.iter().map(String::as_str).collect();
    let name = *words.first().ok_or(ExtraError::Empty)?;
    named(name)?;
    let refusal = refusal(name, &words, side);
    match refusal {
        Some(why) => Err(ExtraError::Refused { name: name.to_owned(), why }),
        None => Ok(note(&words, side).map(|why| format!("`{name}`: {why}"))),
    }
}

fn named(name: &str) -> Result<(), ExtraError> {
    let shown = || crate::name::escape(name);
    if name.starts_with('<') {
        return Err(ExtraError::Block(shown()));
    }
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.starts_with('-') || !name.bytes().all(allowed) || name.is_empty() {
        return Err(ExtraError::Name(shown()));
    }
    Ok(())
}

fn refusal(name: &str, words: &[&str], side: Role) -> Option<&'static str> {
    let own = match side {
        Role::Client => CLIENT_REFUSED,
        Role::Server => SERVER_REFUSED,
    };
    let by_name = |(names, why): &(&[&str], &'static str)| names.contains(&name).then_some(*why);
    BOTH_REFUSED.iter().chain(own).find_map(by_name).or_else(|| match (side, words) {
        (Role::Client, _) if name.starts_with("management") => Some(NOT_IN_CONNECT),
        (_, ["setenv" | "setenv-safe", variable, ..]) => variable_refusal(variable),
        (Role::Server, ["push", pushed, ..]) if pushed.contains(',') => {
            Some("OpenVPN refuses a comma in what is pushed (push.c)")
        }
        _ => None,
    })
}

fn variable_refusal(variable: &str) -> Option<&'static str> {
    match variable {
        "FRIENDLY_NAME" => Some("the profile has it already; it is the setting `vpn.name`"),
        "FORWARD_COMPATIBLE" => Some("it hides unknown directives, and OpenVPN Connect refuses those all the same"),
        "GENERIC_CONFIG" => Some("OpenVPN Connect refuses such a profile"),
        _ if variable.len() < 2 => Some("OpenVPN aborts on a variable of one letter"),
        _ => None,
    }
}

fn note(words: &[&str], side: Role) -> Option<&'static str> {
    match (side, words) {
        (_, ["cipher", cipher, ..]) if !cipher.to_ascii_uppercase().ends_with("-GCM") => {
            Some("NetworkManager takes it as the only data cipher, and servers from 2.6 on then refuse the client")
        }
        (_, ["auth", ..]) => {
            Some("with `tls-auth` both sides must agree on it, also clients that are configured by hand")
        }
        (_, ["comp-lzo" | "compress", ..]) => {
            Some("without the same line on the other side the tunnel carries nothing")
        }
        (Role::Client, ["data-ciphers" | "data-ciphers-fallback" | "allow-compression" | "dns", ..]) => {
            Some("OpenVPN 2.4 stops at a directive that it does not know")
        }
        (Role::Client, ["user" | "group", ..]) => Some("Linux only; without `persist-key` the client cannot reconnect"),
        (Role::Server, ["duplicate-cn", ..]) => Some("a copied profile is then never noticed"),
        (Role::Server, ["username-as-common-name" | "x509-username-field", ..]) => {
            Some("sessions then have other names than their certificates, and `kick` and `--prove` do not find them")
        }
        (_, ["verb" | "keepalive" | "resolv-retry", ..]) => Some("it stands after ours and wins"),
        _ => None,
    }
}

type Refusals = &'static [(&'static [&'static str], &'static str)];

/// Changes.rst, unsupported-options.rst: what stops one of `OpenVPN` 2.4 to 2.7, or what we write ourselves.
const BOTH_REFUSED: Refusals = &[
    (
        &[
            "tls-remote",
            "no-iv",
            "compat-names",
            "no-name-remapping",
            "client-cert-not-required",
            "ifconfig-pool-linear",
            "ncp-disable",
            "keysize",
            "prng",
            "inetd",
            "management-client-pf",
            "no-replay",
            "mtu-dynamic",
            "key-method",
            "use-prediction-resistance",
        ],
        "OpenVPN removed it; a current version stops there",
    ),
    (&["secret"], "a static key instead of certificates; OpenVPN 2.7 stops there"),
    (&["config"], "it would read another file, which bundles do not carry"),
    (&["ca", "cert", "key", "pkcs12", "capath", "extra-certs"], "the bundle brings the certificates and the key"),
    (&["tls-crypt", "tls-auth", "key-direction", "tls-crypt-v2"], "it is the setting `control-channel.mode`"),
    (
        &["tun-mtu", "link-mtu", "udp-mtu"],
        "it is the setting `client.tun-mtu`; `mssfix` mends most of what it is used for",
    ),
    (
        &["remote-cert-tls", "remote-cert-eku", "remote-cert-ku", "ns-cert-type"],
        "the configuration checks the peer's certificate already",
    ),
    (&["proto", "dev", "dev-type", "persist-tun"], "the configuration has it already; the template can be overridden"),
];

const CLIENT_REFUSED: Refusals = &[
    (&["client", "nobind", "auth-nocache"], "the profile has it already; the template can be overridden"),
    (&["remote", "port", "rport"], "it is the setting `client.remotes`"),
    (&["float"], "it is the setting `client.float`"),
    (&["remote-random"], "it is the setting `client.remote-random`"),
    (&["http-proxy"], "it is the setting `client.http-proxy`"),
    (&["verify-x509-name"], "the profile has it already; the prefix is the setting `server.name-prefix`"),
    (&["pull"], "`client` says it already, and OpenVPN Connect 3.8 stops at it"),
    (&["connection"], "NetworkManager cannot import it; several remotes are the setting `client.remotes`"),
    (&["peer-fingerprint"], "NetworkManager cannot import it"),
    (connect::SERVER_ONLY, "it belongs to servers; OpenVPN Connect refuses the whole profile"),
    (connect::PUSHED_ONLY, "the server pushes it; OpenVPN Connect refuses a profile that has it"),
    (connect::REMOVED, NOT_IN_CONNECT),
    (connect::NOT_IMPLEMENTED, NOT_IN_CONNECT),
    (&["mode"], NOT_IN_CONNECT),
    (
        &["block-outside-dns"],
        "OpenVPN on Linux stops at it; write `setenv opt block-outside-dns`, or push it from `server.extra`",
    ),
];

const SERVER_REFUSED: Refusals = &[
    (&["port", "lport"], "it is the setting `server.port`"),
    (&["server", "mode", "tls-server", "topology", "ifconfig", "server-bridge"], "it follows from `network.pool`"),
    (&["dh"], "it was chosen when the authority was made"),
    (&["crl-verify"], "the configuration has it already; without it nobody can be revoked"),
    (&["verify-client-cert", "peer-fingerprint"], "a client without a certificate of ours would get in"),
    (&["reneg-sec", "hand-window", "tran-window"], "it is a setting of this name under `[server]`"),
    (&["user", "group", "management", "persist-key"], "`user`, `group` and `management` are settings under `[server]`"),
    (&["explicit-exit-notify"], "the configuration has it already where the protocol is udp"),
    (&["max-packet-size"], "it follows from `client.tun-mtu`"),
    (&["daemon", "cd", "chroot"], "the unit starts the server in its directory, and files are named relative to it"),
    (&["client", "remote", "pull"], "it belongs to clients"),
];

const NOT_IN_CONNECT: &str = "OpenVPN Connect refuses a profile that has it";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn why(side: Role, line: &str) -> String {
        judge(side, line).unwrap_err().to_string()
    }

    #[test]
    fn useful_directives_go_through() {
        for (side, line) in [
            (Role::Client, "mssfix 1300"),
            (Role::Client, "setenv opt block-outside-dns"),
            (Role::Client, "dhcp-option DOMAIN example.com"),
            (Role::Client, "cipher AES-256-GCM"),
            (Role::Server, "push \"dhcp-option DOMAIN example.com\""),
            (Role::Server, "client-to-client"),
            (Role::Server, "max-clients 200"),
            (Role::Server, "status /run/openvpn/status.log"),
        ] {
            assert_eq!(judge(side, line), Ok(None), "{line}");
        }
    }

    #[test]
    fn some_go_through_with_a_note() {
        for (side, line, word) in [
            (Role::Client, "cipher AES-256-CBC", "NetworkManager"),
            (Role::Client, "data-ciphers AES-256-GCM", "2.4"),
            (Role::Server, "auth SHA256", "both sides"),
            (Role::Client, "verb 4", "wins"),
        ] {
            assert!(judge(side, line).unwrap().unwrap().contains(word), "{line}");
        }
    }

    #[test]
    fn what_would_break_a_bundle_is_refused_with_its_reason() {
        for (line, word) in [
            ("mssfix 1300\nscript-security 2", "control character"),
            ("<connection>", "inline block"),
            ("</ca>", "inline block"),
            ("# a remark", "begins a comment"),
            ("setenv UV_A b#c", "begins a comment"),
            ("   ", "no directive"),
            ("setenv UV_A \u{e9}", "outside ASCII"),
            ("--verb 3", "no name of a directive"),
            ("setenv X v", "one letter"),
            ("setenv FORWARD_COMPATIBLE 1", "hides unknown"),
            ("up C:\\script", "backslash"),
            ("dh dh.pem", "servers"),
            ("status x", "Connect"),
            ("daemon", "Connect"),
            ("management 127.0.0.1 7505", "Connect"),
            ("topology subnet", "pushes"),
            ("pull", "already"),
            ("remote other 1194", "client.remotes"),
            ("keysize 256", "removed"),
            ("block-outside-dns", "setenv opt"),
        ] {
            assert!(why(Role::Client, line).contains(word), "{line}: {}", why(Role::Client, line));
        }
    }

    #[test]
    fn what_would_break_a_server_is_refused_with_its_reason() {
        for (line, word) in [
            ("crl-verify other.pem", "revoked"),
            ("verify-client-cert none", "get in"),
            ("push \"route 1.2.3.4,route 5.6.7.8\"", "comma"),
            ("reneg-sec 0", "[server]"),
            ("user nobody", "[server]"),
            ("chroot /var/empty", "unit"),
        ] {
            assert!(why(Role::Server, line).contains(word), "{line}: {}", why(Role::Server, line));
        }
    }

    proptest! {
        #[test]
        fn no_line_panics_and_what_passes_is_one_line(line in ".{0,80}") {
            for side in [Role::Client, Role::Server] {
                if judge(side, &line).is_ok() {
                    prop_assert!(line.is_ascii() && !line.contains(['\n', '\r', '\0', '<']) || !line.trim_start().starts_with('<'));
                }
            }
        }
    }
}
