//! What needs attention, as of a time: facts in, findings out.
//! Knows nothing of how it is said or mended.

use serde::Serialize;

use crate::{
    inventory::{Certificate, Role, Status},
    name::Name,
    time::Time,
    validity::Validity,
};

/// Something that ends, or has ended, and when.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Due {
    /// What it is about.
    pub what: Subject,
    /// When it ends.
    pub ends: Time,
    /// Whole days until then; negative when it is over.
    pub days_left: i64,
}

/// What ends.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// The CA: with it everything.
    Ca,
    /// The CRL: without a current one nobody gets in.
    Crl,
    /// A server's certificate: without it nobody gets in there.
    Server(Name),
    /// A client's certificate.
    Client(Name),
}

/// How many days before its end each is due, and never more than a tenth of its life; `[due]` of the settings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Thresholds {
    /// The CA.
    pub ca_days: u32,
    /// A server's certificate.
    pub server_days: u32,
    /// A client's certificate.
    pub client_days: u32,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { ca_days: 365, server_days: 30, client_days: 30 }
    }
}

impl Thresholds {
    /// The CA is due a year before its end, or a tenth of its life when that is less.
    pub fn ca(&self, validity: Validity, now: Time) -> Option<Due> {
        due(Subject::Ca, validity, self.ca_days, now)
    }

    /// CRLs are due when half of the life of the last one that was signed is over; those that last as long as the CA,
    /// when the CA is. `crls` are from when on each is to be published, and when it holds.
    pub fn crl(&self, crls: &[(Time, Validity)], ca: Validity, now: Time) -> Option<Due> {
        let last = covering(crls, now)?;
        let half = last.not_before().days_until(last.not_after()) / 2;
        let days = if last.not_after() >= ca.not_after() { i64::from(self.ca_days).min(tenth(ca)) } else { half };
        within(Subject::Crl, last.not_after(), days, now)
    }

    /// Between which moments whatever [`Self::certificate`] says is due ends, but servers that have long ended.
    pub fn window(&self, now: Time) -> (Time, Time) {
        (now.plus_days(-LISTED_DAYS), now.plus_days(self.client_days.max(self.server_days).into()))
    }

    /// A current certificate that is valid and ends soon, or ended not long ago.
    pub fn certificate(&self, certificate: &Certificate, now: Time) -> Option<Due> {
        let holder = certificate.holder.as_ref()?;
        let (subject, days) = match holder.role {
            Role::Server => (Subject::Server(holder.name.clone()), self.server_days),
            Role::Client => (Subject::Client(holder.name.clone()), self.client_days),
        };
        let over = now.days_until(certificate.validity.not_after()) < -LISTED_DAYS;
        match certificate.status(now) {
            Status::Expired if holder.role == Role::Client && over => None,
            Status::Valid | Status::Expired => due(subject, certificate.validity, days, now),
            Status::Revoked | Status::Suspended | Status::Superseded => None,
        }
    }
}

/// The CRL with which an unbroken row of them ends that begins with the one of now. Each must be due before the one
/// before it has ended: what comes after a gap covers nothing.
pub fn covering(crls: &[(Time, Validity)], now: Time) -> Option<Validity> {
    let mut sorted = crls.to_vec();
    sorted.sort_by_key(|(due, validity)| (*due, validity.not_after()));
    let begun = sorted.iter().take_while(|(due, _)| *due <= now).count().max(1);
    let (_, first) = *sorted.get(begun - 1)?;
    let rest = &sorted[begun..];
    Some(rest.iter().fold(first, |last, (due, validity)| {
        if *due <= last.not_after() && validity.not_after() > last.not_after() {
            *validity
        } else {
            last
        }
    }))
}

fn due(what: Subject, validity: Validity, days: u32, now: Time) -> Option<Due> {
    within(what, validity.not_after(), i64::from(days).min(tenth(validity)), now)
}

fn within(what: Subject, ends: Time, days: i64, now: Time) -> Option<Due> {
    let days_left = now.days_until(ends);
    (days_left < days).then_some(Due { what, ends, days_left })
}

/// A tenth of a life: what is made to be short is not due from its first day.
fn tenth(validity: Validity) -> i64 {
    validity.not_before().days_until(validity.not_after()) / 10
}

/// Days after its end in which a client is due; then it is only listed.
const LISTED_DAYS: i64 = 30;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{inventory::Holder, serial::Serial, time::DAY};

    fn leaf(role: Role, days: u32) -> Certificate {
        Certificate {
            serial: Serial::fresh([1; 16]),
            issuer: 1,
            holder: Some(Holder {
                name: Name::parse("a").unwrap(),
                role,
                algorithm: "p256".to_owned(),
                key: crate::inventory::KeyPlace::Here,
            }),
            validity: Validity::of_days(day(0), days, 0),
            issued: day(0),
            revocation: None,
            overlap_ends: None,
        }
    }

    fn day(day: i64) -> Time {
        Time::from_unix(day * DAY)
    }

    fn ca(validity: Validity, now: Time) -> Option<Due> {
        Thresholds::default().ca(validity, now)
    }

    fn crl(validity: Validity, ca: Validity, now: Time) -> Option<Due> {
        Thresholds::default().crl(&[(day(0), validity)], ca, now)
    }

    fn certificate(certificate: &Certificate, now: Time) -> Option<Due> {
        Thresholds::default().certificate(certificate, now)
    }

    #[test]
    fn a_year_before_the_ca_and_a_month_before_others() {
        let ten_years = Validity::of_days(day(0), 3650, 0);
        assert_eq!(ca(ten_years, day(3200)), None);
        assert_eq!(ca(ten_years, day(3300)).unwrap().days_left, 349);
        assert_eq!(certificate(&leaf(Role::Client, 825), day(790)), None);
        assert!(certificate(&leaf(Role::Client, 825), day(800)).is_some());
    }

    #[test]
    fn what_is_short_is_due_in_its_last_tenth() {
        assert_eq!(certificate(&leaf(Role::Client, 10), day(5)), None);
        assert!(certificate(&leaf(Role::Client, 20), day(19)).is_some());
    }

    #[test]
    fn an_expired_client_is_due_for_a_month_an_expired_server_for_ever() {
        assert!(certificate(&leaf(Role::Client, 100), day(120)).is_some());
        assert_eq!(certificate(&leaf(Role::Client, 100), day(140)), None);
        assert!(certificate(&leaf(Role::Server, 100), day(999)).is_some());
    }

    #[test]
    fn whatever_is_due_ends_in_the_window_but_servers_that_have_long_ended() {
        for thresholds in [Thresholds::default(), Thresholds { ca_days: 1, server_days: 90, client_days: 7 }] {
            let leaf = |role| leaf(role, 1000);
            let now = |second| leaf(Role::Client).validity.not_after().plus_seconds(second);
            for second in (-200..200).map(|half| half * DAY / 2) {
                for second in [second - 1, second, second + 1] {
                    let (from, until) = thresholds.window(now(second));
                    let inside = (from..=until).contains(&leaf(Role::Client).validity.not_after());
                    let due = |role| thresholds.certificate(&leaf(role), now(second)).is_some();
                    assert!(inside || !due(Role::Client), "{second}");
                    assert!(inside || second > 0 || !due(Role::Server), "{second}");
                }
            }
        }
    }

    #[test]
    fn a_short_crl_is_due_at_half_of_its_life_a_long_one_with_the_ca() {
        let ten_years = Validity::of_days(day(0), 3650, 0);
        let month = Validity::of_days(day(0), 30, 0);
        assert_eq!(crl(month, ten_years, day(14)), None);
        assert!(crl(month, ten_years, day(16)).is_some());
        assert_eq!(crl(ten_years, ten_years, day(3200)), None);
        assert!(crl(ten_years, ten_years, day(3300)).is_some());
    }

    #[test]
    fn a_row_of_crls_is_due_at_half_of_the_life_of_the_last() {
        let ca = Validity::of_days(day(0), 3650, 0);
        let row: Vec<_> = [0, 7, 14, 21].map(|from| (day(from), Validity::of_days(day(from), 14, 0))).into();
        let due = |now| Thresholds::default().crl(&row, ca, day(now));
        assert_eq!((due(10), due(27)), (None, None));
        assert_eq!(due(29).unwrap().ends, row[3].1.not_after());
        // what comes after a gap covers nothing
        let gap = [row[0], row[3]];
        assert_eq!(Thresholds::default().crl(&gap, ca, day(10)).unwrap().ends, row[0].1.not_after());
        assert_eq!(covering(&gap, day(22)), Some(row[3].1));
        assert_eq!(covering(&row, Time::from_unix(-5)), Some(row[3].1));
        assert_eq!(covering(&[], day(0)), None);
    }

    #[test]
    fn the_days_are_a_setting_and_never_more_than_a_tenth() {
        let month = Thresholds { client_days: 60, server_days: 5, ca_days: 1 };
        assert!(month.certificate(&leaf(Role::Client, 825), day(790)).is_some());
        assert_eq!(month.certificate(&leaf(Role::Client, 100), day(80)), None);
        assert_eq!(month.certificate(&leaf(Role::Server, 825), day(800)), None);
        assert!(month.certificate(&leaf(Role::Server, 825), day(821)).is_some());
        assert_eq!(month.ca(Validity::of_days(day(0), 3650, 0), day(3640)), None);
    }
}
