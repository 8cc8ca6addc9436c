//! The directives at which `OpenVPN` Connect's core refuses a whole profile (openvpn3, client/cliopt.hpp).
//! Knows no parameters, and no other program.

/// For servers (`settings_serverOnlyOptions`).
pub const SERVER_ONLY: &[&str] = &[
    "auth-gen-token",
    "auth-gen-token-secret",
    "auth-user-pass-optional",
    "auth-user-pass-verify",
    "ccd-exclusive",
    "client-config-dir",
    "client-connect",
    "client-disconnect",
    "client-to-client",
    "connect-freq",
    "dh",
    "disable",
    "duplicate-cn",
    "ifconfig-pool",
    "ifconfig-pool-persist",
    "ifconfig-push",
    "iroute",
    "iroute-ipv6",
    "max-clients",
    "push",
    "push-remove",
    "push-reset",
    "server",
    "server-bridge",
    "server-ipv6",
    "tls-crypt-v2-verify",
    "username-as-common-name",
    "verify-client-cert",
    "vlan-accept",
    "vlan-pvid",
    "vlan-tagging",
];

/// Pushed by servers, not read from a file (`settings_pushonlyoptions`).
pub const PUSHED_ONLY: &[&str] = &[
    "auth-token",
    "auth-token-user",
    "echo",
    "ifconfig",
    "ifconfig-ipv6",
    "peer-id",
    "ping",
    "ping-exit",
    "ping-restart",
    "route-gateway",
    "topology",
];

/// Of earlier versions (`settings_removedOptions`), and what else no profile of today has.
pub const REMOVED: &[&str] =
    &["compat-names", "fragment", "mtu-dynamic", "ncp-disable", "no-iv", "no-name-remapping", "no-replay", "secret"];

/// Not there (`settings_feature_not_implemented_fatal`); `ignore-unknown-option` passes over these.
pub const NOT_IMPLEMENTED: &[&str] = &[
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
];
