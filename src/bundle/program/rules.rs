//! What is known to fail with which program: one row for each reason. Whoever adds a row names where it is said.
//! Knows no command line.

use super::{
    what::What,
    Holder, KeyKind,
    Program::{
        self, Android, AwsClientVpn, Chromeos, Connect, IcsOpenvpn, Ios, NetworkManager, Openvpn, Openvpn24, Openvpn25,
        Openwrt, Routeros, Tunnelblick, Windows,
    },
};
use crate::{openvpn::connect, pki::KeyLock};

/// One reason why a profile fails.
pub struct Rule {
    pub whom: &'static [Program],
    pub what: What,
    pub why: &'static str,
    pub way: &'static str,
    pub source: &'static str,
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
    no_edwards(Holder::Client, &LIBRARIES[0]),
    no_edwards(Holder::Server, &LIBRARIES[0]),
    no_edwards(Holder::Ca, &LIBRARIES[0]),
    no_edwards(Holder::Client, &LIBRARIES[1]),
    no_edwards(Holder::Server, &LIBRARIES[1]),
    no_edwards(Holder::Ca, &LIBRARIES[1]),
    no_edwards(Holder::Client, &LIBRARIES[2]),
    no_edwards(Holder::Server, &LIBRARIES[2]),
    no_edwards(Holder::Ca, &LIBRARIES[2]),
    no_edwards(Holder::Client, &LIBRARIES[3]),
    no_edwards(Holder::Server, &LIBRARIES[3]),
    no_edwards(Holder::Ca, &LIBRARIES[3]),
    Rule {
        whom: &[Openwrt],
        what: What::Key(Holder::Client, &[KeyKind::P521]),
        why: "OpenWrt builds mbed TLS without P-521",
        way: "a P-256 key",
        source: "openwrt/openwrt#13774",
    },
    Rule {
        whom: &[Openwrt],
        what: What::Locked(&[KeyLock::Aes, KeyLock::Scrypt, KeyLock::Other]),
        why: "mbed TLS before 3.6 knows only DES and 3DES there, and OpenVPN does not start",
        way: "`export --for openwrt` encrypts it by 3DES",
        source: "mbed TLS, library/pkcs5.c, mbedtls_pkcs5_pbes2, and library/oid.c, oid_cipher_alg, up to 3.5; seen: 2.28 and 3.5",
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
    not_in_connect(connect::SERVER_ONLY, "openvpn3, cliopt.hpp, settings_serverOnlyOptions"),
    not_in_connect(connect::PUSHED_ONLY, "openvpn3, cliopt.hpp, settings_pushonlyoptions"),
    not_in_connect(connect::REMOVED, "openvpn3, cliopt.hpp, settings_removedOptions"),
    Rule {
        whom: CONNECT,
        what: What::UnknownAnywhere(connect::NOT_IMPLEMENTED),
        why: REFUSED_BY_CONNECT,
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
            "block-outside-dns",
            "ca",
            "cert",
            "cipher",
            "client",
            "connect-retry",
            "connect-retry-max",
            "cryptoapicert",
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
            "remote",
            "remote-cert-tls",
            "remote-random-hostname",
            "reneg-sec",
            "resolv-retry",
            "route",
            "route-ipv6",
            "server-poll-timeout",
            "static-challenge",
            "tun-mtu",
            "verb",
            "verify-x509-name",
        ]),
        why: "the client of AWS is made for endpoints of AWS and supports only what their profiles hold",
        way: "another program, such as OpenVPN Connect",
        source: "AWS Client VPN user guide, AWS provided client, OpenVPN directives, as of version 6.0",
    },
];

const CONNECT: &[Program] = &[Connect, Ios, Android];

/// The programs of one library for TLS that does not read Ed25519.
type Library = (&'static [Program], &'static str, &'static str);

const LIBRARIES: [Library; 4] = [
    (
        &[Openvpn24],
        "OpenSSL reads Ed25519 from 1.1.1 on, and OpenVPN 2.4 often comes with an earlier one",
        "OpenSSL, CHANGES, 1.1.1",
    ),
    (CONNECT, "OpenVPN Connect does not read Ed25519", "OpenVPN/openvpn3#192"),
    (&[Openwrt], "OpenWrt's OpenVPN comes with mbed TLS, which has no Ed25519", "Mbed-TLS/mbedtls#10653"),
    (&[Routeros], "RouterOS knows RSA keys and the NIST curves only", "help.mikrotik.com, Certificates, key-size"),
];

/// Whose key it is decides the way out.
const fn not_in_connect(directives: &'static [&'static str], source: &'static str) -> Rule {
    let way = "leave it out of the profile; what concerns all clients, the server pushes";
    Rule { whom: CONNECT, what: What::Directive(directives), why: REFUSED_BY_CONNECT, way, source }
}

const REFUSED_BY_CONNECT: &str = "OpenVPN Connect refuses a profile that has it";

const fn no_edwards(holder: Holder, library: &Library) -> Rule {
    let way = match holder {
        Holder::Client => "`issue` and `renew` with `--key p256` make a key that every program reads",
        Holder::Server => "`renew` of the server with `--key p256` gives it a key that every program reads",
        Holder::Ca => "an authority that was made with `--key p256` works with every program",
    };
    Rule { whom: library.0, what: What::Key(holder, &[KeyKind::Edwards]), why: library.1, way, source: library.2 }
}
