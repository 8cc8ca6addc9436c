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

/// The CA is due a year before its end, or a tenth of its life when that is less.
pub fn ca(validity: Validity, now: Time) -> Option<Due> {
    due(Subject::Ca, validity, CA_DAYS, now)
}

/// A CRL is due when half of its life is over; one that lasts as long as the CA, when the CA is.
pub fn crl(validity: Validity, ca: Validity, now: Time) -> Option<Due> {
    let half = validity.not_before().days_until(validity.not_after()) / 2;
    let days = if validity.not_after() >= ca.not_after() { CA_DAYS.min(tenth(ca)) } else { half };
    within(Subject::Crl, validity.not_after(), days, now)
}

/// A current certificate that is valid and ends soon, or ended not long ago.
pub fn certificate(certificate: &Certificate, now: Time) -> Option<Due> {
    let holder = certificate.holder.as_ref()?;
    let subject = match holder.role {
        Role::Server => Subject::Server(holder.name.clone()),
        Role::Client => Subject::Client(holder.name.clone()),
    };
    let over = now.days_until(certificate.validity.not_after()) < -LEAF_DAYS;
    match certificate.status(now) {
        Status::Valid => due(subject, certificate.validity, LEAF_DAYS, now),
        Status::Expired if holder.role == Role::Server || !over => due(subject, certificate.validity, LEAF_DAYS, now),
        Status::Expired | Status::Revoked | Status::Suspended | Status::Superseded => None,
    }
}

fn due(what: Subject, validity: Validity, days: i64, now: Time) -> Option<Due> {
    within(what, validity.not_after(), days.min(tenth(validity)), now)
}

fn within(what: Subject, ends: Time, days: i64, now: Time) -> Option<Due> {
    let days_left = now.days_until(ends);
    (days_left < days).then_some(Due { what, ends, days_left })
}

/// A tenth of a life: what is made to be short is not due from its first day.
fn tenth(validity: Validity) -> i64 {
    validity.not_before().days_until(validity.not_after()) / 10
}

const CA_DAYS: i64 = 365;
const LEAF_DAYS: i64 = 30;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{inventory::Holder, serial::Serial, time::DAY};

    fn leaf(role: Role, days: u32) -> Certificate {
        Certificate {
            serial: Serial::fresh([1; 16]),
            issuer: 1,
            holder: Some(Holder { name: Name::parse("a").unwrap(), role, algorithm: "p256".to_owned() }),
            validity: Validity::of_days(day(0), days, 0),
            issued: day(0),
            revocation: None,
            overlap_ends: None,
        }
    }

    fn day(day: i64) -> Time {
        Time::from_unix(day * DAY)
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
    fn a_short_crl_is_due_at_half_of_its_life_a_long_one_with_the_ca() {
        let ten_years = Validity::of_days(day(0), 3650, 0);
        let month = Validity::of_days(day(0), 30, 0);
        assert_eq!(crl(month, ten_years, day(14)), None);
        assert!(crl(month, ten_years, day(16)).is_some());
        assert_eq!(crl(ten_years, ten_years, day(3200)), None);
        assert!(crl(ten_years, ten_years, day(3300)).is_some());
    }
}
