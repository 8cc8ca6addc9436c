//! A bundle against the certificates of the server that answers: each side's chain, and what the client asks of a server.
//! Knows no address and no socket.

use super::{
    identity::{ended, hangs_from, Subjects},
    Faults, OtherSide, Place, Severity,
};
use crate::{
    import::Profile,
    name::escape,
    pki::{
        inspect::{Signed, DIGITAL_SIGNATURE, KEY_AGREEMENT, KEY_ENCIPHERMENT},
        Inspected,
    },
    time::Time,
};

pub(super) fn check(profile: &Profile<'_>, subjects: &Subjects<'_>, other: &OtherSide, now: Time, faults: &mut Faults) {
    check_client(subjects, other, now, faults);
    if !other.certificates.is_empty() {
        answers(profile, subjects, other, now, faults);
        named(profile, other, faults);
    }
}

/// Whether the server takes the client.
pub(super) fn check_client(subjects: &Subjects<'_>, other: &OtherSide, now: Time, faults: &mut Faults) {
    if let (Some((certificate, place)), false) = (&subjects.own, other.authorities.is_empty()) {
        match hangs_from(certificate, &other.authorities, &subjects.extra, now, None) {
            Signed::Yes => {}
            Signed::Unverified => {
                faults.notes(*place, "the signature of the certificate is of a kind that was not verified here");
            }
            Signed::No => {
                faults.fails(*place, format!("no CA by which {} knows clients signed the certificate", other.whose));
            }
        }
    }
    for authority in other.authorities.iter().filter(|authority| !subjects.authorities.contains(authority)) {
        if let Some(ended) = ended(authority, now) {
            let why = format!("the CA `{}` of {} {ended}", escape(&authority.subject), other.whose);
            faults.warns(Place::WHOLE, why);
        }
    }
    asked_of_clients(subjects, other, faults);
}

/// `remote-cert-tls client` on the server makes two warnings about the certificate true.
fn asked_of_clients(subjects: &Subjects<'_>, other: &OtherSide, faults: &mut Faults) {
    let Some((certificate, place)) = &subjects.own else { return };
    if other.value("remote-cert-tls") != Some("client") {
        return;
    }
    if certificate.purposes.is_none() {
        faults.fails(
            *place,
            format!("the certificate has no extendedKeyUsage, and {} says `remote-cert-tls client`", other.whose),
        );
    }
    if certificate.key_usage.is_none() {
        faults.fails(
            *place,
            format!("the certificate has no keyUsage, and {} says `remote-cert-tls client`", other.whose),
        );
    }
}

/// Whether the client takes at least one server's certificate, and what it would refuse of each.
fn answers(profile: &Profile<'_>, subjects: &Subjects<'_>, other: &OtherSide, now: Time, faults: &mut Faults) {
    let place = profile.last("ca").map_or(Place::WHOLE, |directive| Place::line(directive.line));
    let asks = profile.last("remote-cert-tls").is_some_and(|directive| directive.parameter(1) == Some("server"));
    for server in &other.certificates {
        let name = escape(server.common_names.last().map_or("", String::as_str));
        if !subjects.authorities.is_empty() && hangs_from(server, &subjects.authorities, &[], now, None) == Signed::No {
            match ended(server, now) {
                Some(ended) => faults.fails(place, format!("the certificate of the server `{name}` {ended}")),
                None => faults.fails(place, format!("no CA in `ca` signed the certificate of the server `{name}`")),
            }
        } else if let Some(ended) = ended(server, now) {
            faults.fails(place, format!("the certificate of the server `{name}` {ended}"));
        }
        if server.purposes.is_some_and(|purposes| !purposes.server) {
            faults.fails(
                place,
                format!(
                    "the certificate of the server `{name}` is not for servers: its extendedKeyUsage lacks serverAuth"
                ),
            );
        } else if asks && (server.purposes.is_none() || server.key_usage.is_none()) {
            faults.fails(place, format!("the certificate of the server `{name}` lacks keyUsage or extendedKeyUsage, which `remote-cert-tls server` wants"));
        }
        if asks && !connect_takes(server) {
            let why = format!("the keyUsage of the server `{name}` is neither digitalSignature with keyEncipherment nor with keyAgreement");
            faults.on(Severity::Warning, vec!["OpenVPN Connect"], place, why);
        }
    }
}

/// Connect's core compares for equality (openvpn3: kuparse.hpp, sslctx.hpp `verify_x509_cert_ku`).
fn connect_takes(server: &Inspected) -> bool {
    let exact = [DIGITAL_SIGNATURE | KEY_ENCIPHERMENT, DIGITAL_SIGNATURE | KEY_AGREEMENT];
    server.key_usage.is_none_or(|usage| exact.contains(&usage))
}

/// `verify-x509-name` against the servers' names (`verify_peer_cert`, `ssl_verify.c`).
fn named(profile: &Profile<'_>, other: &OtherSide, faults: &mut Faults) {
    let Some(directive) = profile.last("verify-x509-name") else { return };
    let Some(wanted) = directive.parameter(1) else { return };
    if !other.certificates.iter().any(|server| fits(directive.parameter(2), wanted, server)) {
        let names: Vec<String> =
            other.certificates.iter().map(|server| format!("`{}`", escape(&server.subject))).collect();
        let why = format!(
            "`verify-x509-name {}` fits no server: {}",
            escape(&directive.words[1..].join(" ")),
            names.join(", ")
        );
        faults.fails(Place::line(directive.line), why);
    }
}

/// Whether a server's certificate has the name that is wanted, by the type that stands behind it.
pub(super) fn fits(kind: Option<&str>, wanted: &str, server: &Inspected) -> bool {
    let name = server.common_names.last().map_or("", String::as_str);
    match kind {
        Some("name") => name == wanted,
        Some("name-prefix") => name.starts_with(wanted),
        _ => server.subject == wanted,
    }
}
