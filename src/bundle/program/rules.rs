//! What is known to fail with which program: one row for each reason. Whoever adds a row names where it is said.
//! Knows no command line.

use super::{
    Facts, Holder, KeyKind,
    Program::{
        self, Android, AwsClientVpn, Chromeos, Connect, IcsOpenvpn, Ios, NetworkManager, Openvpn, Openvpn24, Openvpn25,
        Openwrt, Routeros, Tunnelblick, Windows,
    },
};

/// One reason why a profile fails.
pub struct Rule {
    pub whom: &'static [Program],
    pub what: What,
    pub why: &'static str,
    pub way: &'static str,
    pub source: &'static str,
}

/// What a rule looks for.
pub enum What {
    /// A directive of one of these names, or an inline block.
    Directive(&'static [&'static str]),
    /// A directive that is not known. `ignore-unknown-option` before it, or `setenv opt`, mends that.
    Unknown(&'static [&'static str]),
    /// The same for a program that looks for `ignore-unknown-option` in the whole profile.
    UnknownAnywhere(&'static [&'static str]),
    /// A directive whose name begins so.
    Prefix(&'static str),
    /// A directive outside this list.
    DirectiveOtherThan(&'static [&'static str]),
    /// An inline block outside this list.
    BlockOtherThan(&'static [&'static str]),
    /// A device that carries frames.
    Tap,
    /// A mode of one directive other than this one.
    OtherThan(&'static str, &'static str),
    /// A cipher for the data channel without authentication of its own.
    CipherNotGcm,
    /// A `tun-mtu` below this.
    MtuBelow(u32),
    /// Someone's key.
    Key(Holder, &'static [KeyKind]),
    /// More bytes than this.
    Larger(usize),
}

impl What {
    /// What of it is there, as it is named to people.
    pub fn found(&self, facts: &Facts) -> Vec<String> {
        match self {
            Self::Directive(names) => named(facts, |name| names.contains(&name)),
            Self::Unknown(names) => unknown(facts, names, false),
            Self::UnknownAnywhere(names) => unknown(facts, names, true),
            Self::Prefix(begin) => named(facts, |name| name.starts_with(begin)),
            Self::DirectiveOtherThan(names) => named(facts, |name| !names.contains(&name)),
            Self::BlockOtherThan(names) => blocks(facts, names),
            Self::Tap => lines(
                facts,
                |words| matches!(words, [name, kind, ..] if (name == "dev" || name == "dev-type") && kind.starts_with("tap")),
            ),
            Self::OtherThan(name, value) => {
                lines(facts, |words| words[0] == *name && words.get(1).map(String::as_str) != Some(*value))
            }
            Self::CipherNotGcm => lines(
                facts,
                |words| matches!(words, [name, cipher, ..] if name == "cipher" && !cipher.to_ascii_uppercase().ends_with("-GCM")),
            ),
            Self::MtuBelow(least) => lines(
                facts,
                |words| matches!(words, [name, mtu, ..] if name == "tun-mtu" && mtu.parse::<u32>().is_ok_and(|mtu| mtu < *least)),
            ),
            Self::Key(holder, kinds) => keys(facts, *holder, kinds),
            Self::Larger(most) => {
                facts.bytes.filter(|bytes| bytes > most).map(|bytes| format!("{bytes} bytes")).into_iter().collect()
            }
        }
    }
}

fn named(facts: &Facts, wanted: impl Fn(&str) -> bool) -> Vec<String> {
    facts.directives.iter().filter(|words| wanted(name(words))).map(|words| format!("`{}`", name(words))).collect()
}

fn lines(facts: &Facts, wanted: impl Fn(&[String]) -> bool) -> Vec<String> {
    facts.directives.iter().filter(|words| wanted(words)).map(|words| format!("`{}`", words.join(" "))).collect()
}

fn unknown(facts: &Facts, names: &[&str], anywhere: bool) -> Vec<String> {
    let ignored =
        |words: &[String], name: &str| words[0] == "ignore-unknown-option" && words.iter().any(|word| word == name);
    let mut found = Vec::new();
    for (place, words) in facts.directives.iter().enumerate() {
        let before = if anywhere { facts.directives } else { &facts.directives[..place] };
        let name = name(words);
        if names.contains(&name) && !before.iter().any(|words| ignored(words, name)) {
            found.push(format!("`{name}`"));
        }
    }
    found
}

fn blocks(facts: &Facts, names: &[&str]) -> Vec<String> {
    let block = |words: &Vec<String>| words[0].starts_with('<') && !names.contains(&name(words));
    facts.directives.iter().filter(|words| block(words)).map(|words| format!("`{}`", words[0])).collect()
}

fn keys(facts: &Facts, holder: Holder, kinds: &[KeyKind]) -> Vec<String> {
    let whose = match holder {
        Holder::Client => "the client's key",
        Holder::Server => "the server's key",
        Holder::Ca => "the CA's key",
    };
    let found = facts.keys.iter().filter(|(other, kind)| *other == holder && kinds.contains(kind));
    found.map(|(_, kind)| format!("{whose} ({})", kind_title(*kind))).collect()
}

fn kind_title(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::Rsa => "RSA",
        KeyKind::Nist => "P-256 or P-384",
        KeyKind::P521 => "P-521",
        KeyKind::Edwards => "Ed25519",
        KeyKind::Other => "another curve",
    }
}

/// Of a directive or an inline block.
fn name(words: &[String]) -> &str {
    let word = words[0].as_str();
    word.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).unwrap_or(word)
}

/// Each with its source. Facts marked "seen" were met with the programs themselves.
pub const RULES: &[Rule] = &[
    // the control channel
    Rule {
        whom: &[Openvpn24],
        what: What::Directive(&["tls-crypt-v2"]),
        why: "OpenVPN knows it from 2.5 on",
        way: "`mode = \"tls-crypt\"` or `\"tls-auth\"` under `[control-channel]`",
        source: "OpenVPN, Changes.rst, 2.5",
    },
    Rule {
        whom: &[Chromeos],
        what: What::Directive(&["tls-crypt", "tls-crypt-v2"]),
        why: "ChromeOS has a place for `tls-auth` only",
        way: "`mode = \"tls-auth\"` under `[control-channel]`",
        source: "Chromium, onc_spec.md, OpenVPN type: TLSAuthContents",
    },
    Rule {
        whom: &[Routeros],
        what: What::Directive(&["tls-crypt", "tls-crypt-v2"]),
        why: "RouterOS does not have it",
        way: "`mode = \"tls-auth\"` under `[control-channel]`",
        source: "help.mikrotik.com, OpenVPN; belykhk/mikrotik-ovpn-client-tls-crypt",
    },
    // keys
    Rule {
        whom: NO_EDWARDS,
        what: What::Key(Holder::Client, &[KeyKind::Edwards]),
        why: NO_EDWARDS_WHY,
        way: "`--key p256` makes one that every program reads",
        source: NO_EDWARDS_SOURCE,
    },
    Rule {
        whom: NO_EDWARDS,
        what: What::Key(Holder::Server, &[KeyKind::Edwards]),
        why: NO_EDWARDS_WHY,
        way: "`vpnpki renew server --key p256` gives the server one that every program reads",
        source: NO_EDWARDS_SOURCE,
    },
    Rule {
        whom: NO_EDWARDS,
        what: What::Key(Holder::Ca, &[KeyKind::Edwards]),
        why: NO_EDWARDS_WHY,
        way: "`vpnpki init --key p256` in another directory makes an authority that every program reads",
        source: NO_EDWARDS_SOURCE,
    },
    Rule {
        whom: &[Openwrt],
        what: What::Key(Holder::Client, &[KeyKind::P521]),
        why: "OpenWrt builds mbed TLS without P-521",
        way: "a P-256 key",
        source: "openwrt/openwrt#13774",
    },
    // sizes
    Rule {
        whom: CONNECT,
        what: What::Larger(256 * 1024),
        why: "OpenVPN Connect reads at most 262144 bytes of a profile",
        way: "fewer or smaller CA certificates, fewer directives",
        source: "openvpn3, cliconstants.hpp, MAX_PROFILE_SIZE",
    },
    Rule {
        whom: &[Openvpn24, Openvpn25],
        what: What::MtuBelow(1100),
        why: "up to OpenVPN 2.5 no tunnel comes up with servers from 2.6 on",
        way: "`extra = [\"mssfix 1300\"]` under `[client]` instead of `tun-mtu`",
        source: "seen: 2.3 to 2.5 against 2.6 and 2.7",
    },
    // directives that came later
    Rule {
        whom: &[Openvpn24],
        what: What::Unknown(&[
            "allow-compression",
            "auth-gen-token-secret",
            "bind-dev",
            "block-ipv6",
            "data-ciphers",
            "data-ciphers-fallback",
            "windows-driver",
        ]),
        why: "OpenVPN knows it from 2.5 on, and 2.4 stops there",
        way: "`ignore-unknown-option` with its name before it lets 2.4 pass over it",
        source: "OpenVPN, Changes.rst, 2.5",
    },
    Rule {
        whom: &[Openvpn24, Openvpn25],
        what: What::Unknown(&[
            "compat-mode",
            "disable-dco",
            "dns",
            "max-packet-size",
            "peer-fingerprint",
            "providers",
            "session-timeout",
            "tun-mtu-max",
        ]),
        why: "OpenVPN knows it from 2.6 on, and earlier versions stop there",
        way: "`ignore-unknown-option` with its name before it lets them pass over it",
        source: "OpenVPN, Changes.rst, 2.6",
    },
    Rule {
        whom: &[Openvpn24, Openvpn25, Openvpn, Openwrt],
        what: What::Unknown(&["block-outside-dns", "register-dns"]),
        why: "OpenVPN knows it on Windows only and stops there elsewhere",
        way: "`setenv opt` before it lets other systems pass over it",
        source: "OpenVPN, options.c, under _WIN32",
    },
    // directives that are gone
    Rule {
        whom: &[Openvpn24, Openvpn25, Openvpn, Windows, Openwrt],
        what: What::Unknown(&["tls-remote"]),
        why: "OpenVPN removed it with 2.4 and stops there",
        way: "`verify-x509-name` says the same",
        source: "OpenVPN, Changes.rst, 2.4",
    },
    Rule {
        whom: &[Openvpn25, Openvpn, Windows, Openwrt],
        what: What::Unknown(&["compat-names", "no-iv", "no-name-remapping"]),
        why: "OpenVPN removed it with 2.5 and stops there",
        way: "leave it out",
        source: "OpenVPN, Changes.rst, 2.5",
    },
    Rule {
        whom: &[Openvpn, Windows, Openwrt],
        what: What::Unknown(&["inetd", "keysize", "ncp-disable", "no-replay"]),
        why: "OpenVPN removed it with 2.6 or 2.7 and stops there",
        way: "leave it out",
        source: "OpenVPN, Changes.rst, 2.6 and 2.7",
    },
    Rule {
        whom: &[Openwrt, Connect, Ios, Android],
        what: What::Directive(&["pkcs12"]),
        why: "it reads PEM only",
        way: "the CA, the certificate and the key each in its own block",
        source: "OpenVPN, options.c, under ENABLE_CRYPTO_MBEDTLS; openvpn3, merge.hpp",
    },
    // OpenVPN Connect
    Rule {
        whom: CONNECT,
        what: What::Directive(&[
            "auth-gen-token",
            "auth-gen-token-secret",
            "auth-token",
            "auth-token-user",
            "auth-user-pass-optional",
            "auth-user-pass-verify",
            "ccd-exclusive",
            "client-config-dir",
            "client-connect",
            "client-disconnect",
            "client-to-client",
            "compat-names",
            "connect-freq",
            "dh",
            "disable",
            "duplicate-cn",
            "echo",
            "fragment",
            "ifconfig",
            "ifconfig-ipv6",
            "ifconfig-pool",
            "ifconfig-pool-persist",
            "ifconfig-push",
            "iroute",
            "iroute-ipv6",
            "max-clients",
            "mtu-dynamic",
            "ncp-disable",
            "no-iv",
            "no-name-remapping",
            "no-replay",
            "peer-id",
            "ping",
            "ping-exit",
            "ping-restart",
            "push",
            "push-remove",
            "push-reset",
            "route-gateway",
            "secret",
            "server",
            "server-bridge",
            "server-ipv6",
            "tls-crypt-v2-verify",
            "topology",
            "username-as-common-name",
            "verify-client-cert",
            "vlan-accept",
            "vlan-pvid",
            "vlan-tagging",
        ]),
        why: "OpenVPN Connect refuses a profile that has it",
        way: "leave it out of the profile; what concerns all clients, the server pushes",
        source: "openvpn3, cliopt.hpp, settings_serverOnlyOptions, settings_pushonlyoptions, settings_removedOptions",
    },
    Rule {
        whom: CONNECT,
        what: What::UnknownAnywhere(&[
            "askpass",
            "capath",
            "cd",
            "chroot",
            "client-nat",
            "cryptoapicert",
            "daemon",
            "errors-to-stderr",
            "lladdr",
            "log",
            "log-append",
            "max-packet-size",
            "memstats",
            "msg-channel",
            "ping-timer-rem",
            "single-session",
            "socks-proxy",
            "status",
            "status-version",
            "syslog",
            "tls-server",
            "verify-hash",
            "win-sys",
            "writepid",
            "x509-username-field",
        ]),
        why: "OpenVPN Connect refuses a profile that has it",
        way: "`ignore-unknown-option` with its name lets Connect pass over it",
        source: "openvpn3, cliopt.hpp, settings_feature_not_implemented_fatal",
    },
    Rule {
        whom: CONNECT,
        what: What::Prefix("management"),
        why: "OpenVPN Connect has no management interface and refuses the profile",
        way: "leave it out of the profile",
        source: "openvpn3, cliopt.hpp, handle_unused_options",
    },
    Rule {
        whom: CONNECT,
        what: What::OtherThan("mode", "p2p"),
        why: "OpenVPN Connect is a client only",
        way: "leave it out of the profile",
        source: "openvpn3, cliopt.hpp, check_for_incompatible_options",
    },
    Rule {
        whom: &[Connect, Ios, Android, IcsOpenvpn],
        what: What::Tap,
        why: "it carries packets only, no frames",
        way: "`dev tun`",
        source: "openvpn3, cliopt.hpp, TAP_NOT_SUPPORTED; ics-openvpn, ConfigParser.java",
    },
    Rule {
        whom: &[IcsOpenvpn],
        what: What::Directive(&["config", "tls-server"]),
        why: "OpenVPN for Android does not import a profile that has it",
        way: "leave it out of the profile",
        source: "ics-openvpn, ConfigParser.java, unsupportedOptions",
    },
    // others
    Rule {
        whom: &[NetworkManager],
        what: What::BlockOtherThan(&[
            "ca",
            "cert",
            "crl-verify",
            "extra-certs",
            "key",
            "pkcs12",
            "secret",
            "tls-auth",
            "tls-crypt",
            "tls-crypt-v2",
        ]),
        why: "NetworkManager does not import a profile that has such a block",
        way: "`remotes` under `[client]` names several servers without one",
        source: "NetworkManager-openvpn, import-export.c, do_import",
    },
    Rule {
        whom: &[NetworkManager],
        what: What::CipherNotGcm,
        why: "NetworkManager takes it as the only cipher for data, and servers from 2.6 on then refuse the client",
        way: "leave it out, or write `cipher AES-256-GCM`",
        source: "seen: NetworkManager-openvpn 1.10 against 2.6; nm-openvpn-service.c",
    },
    Rule {
        whom: &[Tunnelblick],
        what: What::Directive(&["config", "log", "log-append", "syslog"]),
        why: "Tunnelblick keeps it for itself and does not install a profile that has it",
        way: "leave it out of the profile",
        source: "Tunnelblick, defines.h, OPENVPN_OPTIONS_THAT_CAN_ONLY_BE_USED_BY_TUNNELBLICK",
    },
    Rule {
        whom: &[Tunnelblick],
        what: What::Unknown(&[
            "allow-nonadmin",
            "cryptoapicert",
            "dhcp-release",
            "dhcp-renew",
            "pause-exit",
            "register-dns",
            "service",
            "tap-sleep",
            "win-sys",
            "windows-driver",
        ]),
        why: "it is for Windows, and Tunnelblick does not install a profile that has it",
        way: "`ignore-unknown-option` with its name before it lets Tunnelblick pass over it",
        source: "Tunnelblick, defines.h, OPENVPN_OPTIONS_THAT_ARE_WINDOWS_ONLY",
    },
    Rule {
        whom: &[AwsClientVpn],
        what: What::DirectiveOtherThan(&[
            "auth-federate",
            "auth-nocache",
            "auth-retry",
            "auth-user-pass",
            "ca",
            "cert",
            "cipher",
            "client",
            "connect-retry",
            "connect-retry-max",
            "cryptoapicert",
            "data-ciphers",
            "dev",
            "dev-type",
            "dhcp-option",
            "ifconfig-ipv6",
            "inactive",
            "keepalive",
            "key",
            "mssfix",
            "nobind",
            "persist-key",
            "persist-tun",
            "ping",
            "ping-exit",
            "ping-restart",
            "proto",
            "pull",
            "pull-filter",
            "rcvbuf",
            "remote",
            "remote-cert-tls",
            "remote-random-hostname",
            "reneg-sec",
            "resolv-retry",
            "route",
            "route-ipv6",
            "server-poll-timeout",
            "static-challenge",
            "tap-sleep",
            "tun-mtu",
            "tun-mtu-extra",
            "verb",
            "verify-x509-name",
        ]),
        why: "it is none of the directives that the client of AWS supports; it is made for endpoints of AWS",
        way: "`--for connect` or `--for openvpn`: a program that reads every profile",
        source: "AWS Client VPN user guide, AWS provided client, OpenVPN directives, and its release notes",
    },
];

const CONNECT: &[Program] = &[Connect, Ios, Android];

/// `OpenVPN` 2.4 is usually built with OpenSSL 1.0.2 or 1.1.0.
const NO_EDWARDS: &[Program] = &[Openvpn24, Connect, Ios, Android, Openwrt, Routeros];

const NO_EDWARDS_WHY: &str = "its TLS library may not know Ed25519, and then no profile with such a key connects";

const NO_EDWARDS_SOURCE: &str =
    "Mbed-TLS/mbedtls#10653, OpenVPN/openvpn3#192, OpenSSL CHANGES 1.1.1, help.mikrotik.com, Certificates: key-size";
