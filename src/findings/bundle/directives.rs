//! The directives of a profile: what a client cannot do without, and what does not fit the server's.
//! Knows no certificate.

use super::{Faults, OtherSide, Place};
use crate::{
    import::{Directive, Profile},
    name::escape,
    openvpn::known,
};

pub(super) fn check(profile: &Profile<'_>, other: Option<&OtherSide>, faults: &mut Faults) {
    needed(profile, faults);
    unknown(profile, faults);
    peer_checks(profile, faults);
    if let Some(other) = other {
        remotes(profile, other, faults);
        compression(profile, other, faults);
        ciphers(profile, other, faults);
        digest(profile, other, faults);
        versions(profile, other, faults);
    }
}

fn needed(profile: &Profile<'_>, faults: &mut Faults) {
    let has = |name: &str| profile.last(name).is_some();
    if !has("client") && !has("tls-client") {
        faults.fails(Place::WHOLE, "there is no `client`, so it is none");
    }
    if !has("remote") {
        faults.fails(Place::WHOLE, "there is no `remote`: nobody knows where the server is");
    }
    if !has("dev") {
        faults.fails(Place::WHOLE, "there is no `dev`, without which OpenVPN does not start");
    }
    if let Some(directive) = profile.last("config") {
        faults.notes(Place::line(directive.line), "`config` names another file, which was not read");
    }
}

/// What no version knows stops every one, unless `ignore-unknown-option` stands before it (`add_option`, options.c).
fn unknown(profile: &Profile<'_>, faults: &mut Faults) {
    let lenient = profile.all("setenv").any(|directive| directive.parameter(1) == Some("FORWARD_COMPATIBLE"));
    for (place, directive) in profile.directives.iter().enumerate() {
        let name = directive.name();
        let ignored = |earlier: &Directive<'_>| {
            earlier.name() == "ignore-unknown-option" && earlier.words[1..].iter().any(|word| word == name)
        };
        if known::is_known(name) || lenient || profile.directives[..place].iter().any(ignored) {
            continue;
        }
        let why = format!("`{}` is no directive of OpenVPN, which stops there", escape(name));
        faults.fails(Place::line(directive.line), why);
    }
}

/// Whatever stops another client's certificate from answering (tls-options.rst, `--remote-cert-tls`).
fn peer_checks(profile: &Profile<'_>, faults: &mut Faults) {
    let checks =
        ["remote-cert-tls", "remote-cert-eku", "verify-x509-name", "peer-fingerprint", "verify-hash", "ns-cert-type"];
    if !checks.iter().any(|name| profile.last(name).is_some()) {
        faults.warns(
            Place::WHOLE,
            "there is no `remote-cert-tls server`: whoever has a client's certificate can pose as the server",
        );
    }
    if let Some(directive) = profile.last("verify-x509-name").filter(|directive| directive.parameter(2).is_none()) {
        let why = "`verify-x509-name` without a type compares the whole subject; say `name` or `name-prefix` where a CN is meant";
        faults.notes(Place::line(directive.line), why);
    }
}

fn remotes(profile: &Profile<'_>, other: &OtherSide, faults: &mut Faults) {
    let (port, proto) =
        (other.value("port").or(other.value("lport")).unwrap_or(PORT), other.value("proto").unwrap_or(UDP));
    let default_port =
        profile.last("port").or(profile.last("rport")).and_then(|directive| directive.parameter(1)).unwrap_or(PORT);
    for remote in profile.all("remote") {
        let asked = remote.parameter(2).unwrap_or(default_port);
        let by = remote.parameter(3).or(proto_of(profile, remote)).unwrap_or(UDP);
        if asked != port || family(by) != family(proto) {
            let why = format!(
                "asks for {} port {}, {} listens on {} port {port}: it works only where something in between translates",
                escape(family(by)), escape(asked), other.whose, family(proto)
            );
            faults.warns(Place::line(remote.line), why);
        }
    }
}

/// `proto` of the same place: within `<connection>` it counts for its block, else for all.
fn proto_of<'p>(profile: &'p Profile<'_>, remote: &Directive<'_>) -> Option<&'p str> {
    let near = profile.all("proto").filter(|proto| proto.within_connection == remote.within_connection);
    let chosen =
        if remote.within_connection { near.min_by_key(|proto| proto.line.abs_diff(remote.line)) } else { near.last() };
    chosen.or_else(|| profile.last("proto")).and_then(|proto| proto.parameter(1))
}

/// A packet with compression's framing is noise to a side without (comp.c); `stub` and `no` frame too.
fn compression(profile: &Profile<'_>, other: &OtherSide, faults: &mut Faults) {
    let theirs = COMPRESSION.iter().any(|name| other.says(name));
    match (COMPRESSION.iter().find(|name| profile.last(name).is_some()), theirs) {
        (Some(name), false) => {
            let line = profile.last(name).map_or(1, |directive| directive.line);
            faults.fails(
                Place::line(line),
                format!("`{name}`, and {} has no compression: the tunnel carries nothing", other.whose),
            );
        }
        (None, true) => {
            let why = format!(
                "{} has compression and the profile none: the tunnel carries nothing unless it is pushed",
                other.whose
            );
            faults.warns(Place::WHOLE, why);
        }
        _ => {}
    }
}

fn ciphers(profile: &Profile<'_>, other: &OtherSide, faults: &mut Faults) {
    let Some(own) = profile.last("data-ciphers").or(profile.last("ncp-ciphers")) else { return };
    let theirs = other.value("data-ciphers").or(other.value("ncp-ciphers")).unwrap_or(DATA_CIPHERS);
    let names = |list: &str| -> Vec<String> {
        let expanded = list.replace("DEFAULT", DATA_CIPHERS);
        expanded.split(':').map(|name| name.trim_start_matches('?').to_ascii_uppercase()).collect()
    };
    let (wanted, offered) = (names(own.parameter(1).unwrap_or_default()), names(theirs));
    if !wanted.iter().any(|name| offered.contains(name)) {
        let why = format!("none of its ciphers is one of {} ({})", other.whose, escape(theirs));
        faults.fails(Place::line(own.line), why);
    }
}

/// With `tls-auth` the digest of `auth` is in every packet of the handshake (crypto.c, `write_control_auth`).
fn digest(profile: &Profile<'_>, other: &OtherSide, faults: &mut Faults) {
    if profile.last("tls-auth").is_none() || !other.says("tls-auth") {
        return;
    }
    let own = profile.last("auth").and_then(|directive| directive.parameter(1)).unwrap_or(DIGEST);
    let theirs = other.value("auth").unwrap_or(DIGEST);
    if !own.eq_ignore_ascii_case(theirs) {
        let place = profile.last("auth").map_or(Place::WHOLE, |directive| Place::line(directive.line));
        let why = format!(
            "`auth {}`, and {} has `auth {}`: with `tls-auth` no packet is accepted",
            escape(own),
            other.whose,
            escape(theirs)
        );
        faults.fails(place, why);
    }
}

fn versions(profile: &Profile<'_>, other: &OtherSide, faults: &mut Faults) {
    let own = |name: &str| profile.last(name).and_then(|directive| directive.parameter(1));
    let (least, most) = (own("tls-version-min"), own("tls-version-max"));
    let (their_least, their_most) = (other.value("tls-version-min").or(Some("1.2")), other.value("tls-version-max"));
    let above =
        |least: Option<&str>, most: Option<&str>| matches!((least, most), (Some(least), Some(most)) if least > most);
    for (name, clash) in [("tls-version-min", above(least, their_most)), ("tls-version-max", above(their_least, most))]
    {
        if clash {
            let line = profile.last(name).map_or(1, |directive| directive.line);
            faults.fails(Place::line(line), format!("`{name}` leaves no TLS version that {} has", other.whose));
        }
    }
}

fn family(proto: &str) -> &str {
    if proto.starts_with("tcp") {
        "tcp"
    } else if proto.starts_with(UDP) {
        UDP
    } else {
        proto
    }
}

const PORT: &str = "1194";
const UDP: &str = "udp";

/// `OpenVPN`'s own defaults (options.c): 2.6 and later.
const DATA_CIPHERS: &str = "AES-256-GCM:AES-128-GCM:CHACHA20-POLY1305";
const DIGEST: &str = "SHA1";
const COMPRESSION: [&str; 2] = ["comp-lzo", "compress"];
