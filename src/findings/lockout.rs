//! Who does not get in at a time, and who will not from which day on, and why: as `OpenVPN` decides, from dates alone.
//! Knows nothing of the network; where a server stands still, it still says who would get in.

use serde::Serialize;

use crate::{
    inventory::{due::covering, Certificate, Reason},
    name::Name,
    time::Time,
    validity::Validity,
};

/// Somebody who does not get in.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Lockout {
    /// Who.
    #[serde(flatten)]
    pub who: Who,
    /// At which server; at all of them when none is said.
    pub server: Option<String>,
    /// From when on.
    pub since: Time,
    /// Why.
    pub why: String,
    /// A command that gives access.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

/// Who does not get in.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub enum Who {
    /// No client at all; always true.
    #[serde(rename = "everybody")]
    Everybody(bool),
    /// One client.
    #[serde(rename = "name")]
    Client(Name),
}

/// A server as clients meet it: what it shows them, and what it holds them against.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Gate {
    /// How it is called.
    pub server: String,
    /// When its certificate holds.
    pub certificate: Option<Validity>,
    /// Its name, to be renewed by.
    pub name: Option<Name>,
    /// The CRLs it will read, from when on each; empty when that is not known.
    pub crls: Vec<(Time, Validity)>,
}

/// Everything that keeps everybody out at `at`, or will before `until`.
pub fn everybody(ca: Validity, gates: &[Gate], at: Time, until: Time) -> Vec<Lockout> {
    let ends = |what: &str, validity: Validity| {
        let begins = at < validity.not_before();
        let since = if begins { at } else { first_after(validity) };
        let (verb, day) = if begins { ("begins", validity.not_before()) } else { ("ends", validity.not_after()) };
        (since <= until).then(|| (since, format!("{what} {verb} on {}", day.date())))
    };
    let row = |(since, why): (Time, String), server: Option<&Gate>, mend: Option<String>| Lockout {
        who: Who::Everybody(true),
        server: server.map(|gate| gate.server.clone()),
        since,
        why,
        mend,
    };
    let mut rows: Vec<Lockout> = ends("the CA", ca).into_iter().map(|why| row(why, None, None)).collect();
    for gate in gates {
        // what is signed after the end of the CA ends with it
        let mended = at <= ca.not_after();
        let renew = gate.name.as_ref().filter(|_| mended).map(|name| format!("vpnpki renew {name}"));
        let own = gate.certificate.and_then(|validity| ends("its certificate", validity));
        rows.extend(own.map(|why| row(why, Some(gate), renew)));
        let crl = reading(&gate.crls, at).and_then(|validity| ends("the CRL that it reads", validity));
        rows.extend(crl.map(|why| row(why, Some(gate), mended.then(|| "vpnpki crl refresh".to_owned()))));
    }
    rows
}

/// Whether, and from when on, a client with this certificate does not get in: at `at`, or before `until`.
pub fn client(name: &Name, certificate: &Certificate, at: Time, until: Time) -> Option<Lockout> {
    let row = |since, why: String, mend| Lockout { who: Who::Client(name.clone()), server: None, since, why, mend };
    let end = first_after(certificate.validity);
    // an overlap that has not ended yet is an end that is known
    let refusal = certificate.refusal(until.max(at)).filter(|refusal| refusal.at <= until);
    match refusal {
        Some(refusal) if refusal.at < end => {
            let (why, mend) = match refusal.reason {
                Reason::CertificateHold => ("suspended".to_owned(), format!("vpnpki resume {name}")),
                Reason::Superseded => {
                    let why = format!("serial:{} was replaced, and its overlap ends", certificate.serial);
                    (why, format!("vpnpki export {name}"))
                }
                reason => (format!("revoked ({reason})"), format!("vpnpki issue {name}")),
            };
            Some(row(refusal.at, why, Some(mend)))
        }
        _ if at < certificate.validity.not_before() => {
            let why = format!("its certificate begins on {}", certificate.validity.not_before().date());
            Some(row(at, why, None))
        }
        _ if end <= until => {
            let why = format!("its certificate ends on {}", certificate.validity.not_after().date());
            Some(row(end, why, Some(format!("vpnpki renew {name}"))))
        }
        _ => None,
    }
}

/// The CRL that a server reads at `at`, and the end of the unbroken row that it begins.
fn reading(crls: &[(Time, Validity)], at: Time) -> Option<Validity> {
    let last = covering(crls, at)?;
    let now = crls.iter().filter(|(due, _)| *due <= at).max_by_key(|(due, _)| *due).or_else(|| crls.first())?.1;
    // one that is over, or not begun, is not mended by the next
    if now.contains(at) {
        Validity::new(now.not_before(), last.not_after()).ok()
    } else {
        Some(now)
    }
}

/// The first second in which it does not hold any more.
fn first_after(validity: Validity) -> Time {
    validity.not_after().plus_seconds(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        inventory::{Holder, Revocation, Role},
        serial::Serial,
        time::DAY,
    };

    fn day(day: i64) -> Time {
        Time::from_unix(day * DAY)
    }

    fn days(from: i64, days: u32) -> Validity {
        Validity::of_days(day(from), days, 0)
    }

    fn gate(crls: Vec<(Time, Validity)>) -> Gate {
        Gate { server: "server".to_owned(), certificate: Some(days(0, 50)), name: None, crls }
    }

    fn reasons(at: i64, until: i64, gates: &[Gate]) -> Vec<(Time, String)> {
        let rows = everybody(days(0, 100), gates, day(at), day(until));
        rows.into_iter().map(|row| (row.since, row.why)).collect()
    }

    #[test]
    fn everybody_is_out_after_the_ca_the_server_or_the_crl() {
        let gates = [gate(vec![(day(0), days(0, 30))])];
        assert_eq!(reasons(10, 20, &gates), []);
        assert_eq!(reasons(10, 30, &gates), [(day(30), "the CRL that it reads ends on 1970-01-30".to_owned())]);
        let all = reasons(100, 100, &gates);
        assert_eq!(all.iter().map(|row| row.0).collect::<Vec<_>>(), [day(100), day(50), day(30)]);
        assert_eq!(reasons(-1, -1, &[]), [(day(-1), "the CA begins on 1970-01-01".to_owned())]);
    }

    #[test]
    fn a_row_of_crls_carries_over_and_a_gap_does_not() {
        let row = vec![(day(0), days(0, 14)), (day(7), days(7, 14)), (day(14), days(14, 14))];
        assert_eq!(reasons(3, 27, &[gate(row.clone())]), []);
        assert_eq!(reasons(3, 28, &[gate(row.clone())])[0].0, day(28));
        let gap = vec![row[0], (day(20), days(20, 14))];
        assert_eq!(reasons(3, 20, &[gate(gap.clone())])[0].0, day(14));
        assert_eq!(reasons(21, 30, &[gate(gap)]), []);
        assert_eq!(reasons(3, 40, &[gate(Vec::new())]), []);
    }

    fn certificate(revocation: Option<(i64, Reason)>, overlap_ends: Option<i64>) -> Certificate {
        Certificate {
            serial: Serial::fresh([1; 16]),
            issuer: 1,
            holder: Some(Holder {
                name: name(),
                role: Role::Client,
                algorithm: "p256".to_owned(),
                key: crate::inventory::KeyPlace::Here,
            }),
            validity: days(0, 40),
            issued: day(0),
            revocation: revocation.map(|(at, reason)| Revocation { at: day(at), reason }),
            overlap_ends: overlap_ends.map(day),
        }
    }

    fn name() -> Name {
        Name::parse("anna").unwrap()
    }

    fn since(certificate: &Certificate, at: i64, until: i64) -> Option<Time> {
        client(&name(), certificate, day(at), day(until)).map(|row| row.since)
    }

    #[test]
    fn a_client_is_out_after_the_first_of_its_ends() {
        let plain = certificate(None, None);
        assert_eq!((since(&plain, 10, 39), since(&plain, 10, 40)), (None, Some(day(40))));
        assert_eq!(since(&plain, 50, 50), Some(day(40)));
        let revoked = certificate(Some((5, Reason::KeyCompromise)), None);
        assert_eq!(since(&revoked, 10, 10), Some(day(5)));
        let renewed = certificate(None, Some(20));
        assert_eq!((since(&renewed, 10, 19), since(&renewed, 10, 20)), (None, Some(day(20))));
        let late = certificate(None, Some(60));
        assert_eq!(since(&late, 10, 70), Some(day(40)));
        let held = certificate(Some((5, Reason::CertificateHold)), None);
        let row = client(&name(), &held, day(6), day(6)).unwrap();
        assert_eq!(row.mend.as_deref(), Some("vpnpki resume anna"));
    }

    #[test]
    fn rows_say_who_in_json() {
        let row = client(&name(), &certificate(None, None), day(50), day(50)).unwrap();
        let json = serde_json::to_value(row).unwrap();
        assert_eq!((&json["name"], &json["since"]), (&"anna".into(), &"1970-02-10T00:00:00Z".into()));
        let all = serde_json::to_value(&everybody(days(0, 1), &[], day(2), day(2))[0]).unwrap();
        assert_eq!((&all["everybody"], &all["server"]), (&true.into(), &serde_json::Value::Null));
    }
}
