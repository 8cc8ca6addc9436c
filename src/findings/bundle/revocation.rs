//! Revocation lists: the server's about this client, the client's own about servers, and what the inventory knows.
//! Knows no disk; a list comes read.

use super::{identity::Subjects, other::Revocations, Against, Faults, Place};
use crate::{
    import::Credentials,
    inventory::Status,
    name::escape,
    pki::{inspect::Signed, Inspected},
    serial::Serial,
    time::Time,
};

pub(super) fn check(
    credentials: Option<&Credentials<'_>>,
    subjects: &Subjects<'_>,
    against: &Against,
    faults: &mut Faults,
) {
    if let Some(piece) = credentials.and_then(|credentials| credentials.piece("crl-verify")) {
        match Revocations::read(piece.bytes, &subjects.authorities) {
            Ok(list) => {
                current(&list, "the CRL in the profile", Place::of(piece), against.now, faults);
                if let Some((certificate, place)) = &subjects.own {
                    refused(certificate, &list, *place, faults);
                }
                servers_refused(&list, against, Place::of(piece), faults);
            }
            Err(why) => faults.fails(Place::of(piece), format!("the CRL in the profile is of no use: {why}")),
        }
    }
    let place = subjects.own.as_ref().map_or(Place::WHOLE, |(_, place)| *place);
    match against.other.and_then(|other| Some((other, other.revocations.as_ref()?))) {
        Some((other, Ok(list))) => {
            current(list, &format!("the CRL of {}", other.whose), place, against.now, faults);
            if let Some((certificate, place)) = &subjects.own {
                refused(certificate, list, *place, faults);
            }
        }
        Some((other, Err(why))) => faults.fails(place, format!("the CRL of {} is of no use: {why}", other.whose)),
        None => {}
    }
    named(subjects, against, faults);
    known(subjects, against, faults);
}

/// A server with a directory of serials refuses by name. Since when and why only an inventory can say.
fn named(subjects: &Subjects<'_>, against: &Against, faults: &mut Faults) {
    let (Some(other), Some((certificate, place))) = (against.other, &subjects.own) else { return };
    let told = |serial: &Serial| {
        let known = against.inventory.and_then(|inventory| inventory(serial));
        known.is_some_and(|known| known.refusal(against.now).is_some())
    };
    if let Some(serial) = certificate.serial.filter(|serial| other.names(serial) && !told(serial)) {
        let why = format!("the certificate is refused by {}: `{}` is among its serials", other.whose, serial.decimal());
        faults.fails(*place, why);
    }
}

/// What the inventory says of a certificate of its own CA. The list decides who gets in; what it does not say yet, the
/// next one will.
fn known(subjects: &Subjects<'_>, against: &Against, faults: &mut Faults) {
    let (Some(inventory), Some((certificate, place)), Some(other)) = (against.inventory, &subjects.own, against.other)
    else {
        return;
    };
    let ours = other.authorities.iter().any(|ca| certificate.signed_by(ca) == Signed::Yes);
    let Some(serial) = certificate.serial.filter(|_| ours) else { return };
    let Some(known) = inventory(&serial) else {
        return faults.warns(*place, format!("serial {serial} is not in the inventory of {}", other.whose));
    };
    if known.status(against.now) == Status::Superseded {
        let until = known.overlap_ends.map_or_else(String::new, |ends| format!(" until {}", ends.date()));
        faults.warns(*place, format!("the certificate was renewed; this one is accepted{until}"));
    }
    let listed = matches!(&other.revocations, Some(Ok(list)) if list.refused.contains_key(&serial));
    if let Some(refusal) = known.refusal(against.now).filter(|_| !listed) {
        let what = if refusal.is_hold() { "suspended" } else { "revoked" };
        faults.fails(*place, format!("the certificate is {what} since {}", refusal.at.date()));
    }
}

fn current(list: &Revocations, what: &str, place: Place<'_>, now: Time, faults: &mut Faults) {
    let validity = list.validity;
    if now > validity.not_after() {
        faults.fails(place, format!("{what} ended on {}, and with it every connection", validity.not_after().date()));
    } else if now < validity.not_before() {
        faults.fails(place, format!("{what} begins on {} only: nobody is let in before", validity.not_before().date()));
    }
}

/// The client's own list is about servers (`verify_cert`, `ssl_verify_openssl.c`: whoever has a list holds the other side
/// against it).
fn servers_refused(list: &Revocations, against: &Against, place: Place<'_>, faults: &mut Faults) {
    for server in against.other.into_iter().flat_map(|other| &other.certificates) {
        let listed = server.serial.filter(|_| server.issuer_der == list.issuer_der);
        if listed.is_some_and(|serial| list.refused.contains_key(&serial)) {
            let name = escape(server.common_names.last().map_or("", String::as_str));
            faults.fails(place, format!("the CRL in the profile refuses the server `{name}`"));
        }
    }
}

fn refused(certificate: &Inspected, list: &Revocations, place: Place<'_>, faults: &mut Faults) {
    let Some(serial) = certificate.serial.filter(|_| certificate.issuer_der == list.issuer_der) else { return };
    if let Some(revocation) = list.refused.get(&serial) {
        let what = if revocation.is_hold() { "suspended" } else { "revoked" };
        faults
            .fails(place, format!("the certificate is {what} since {} ({})", revocation.at.date(), revocation.reason));
    }
}
