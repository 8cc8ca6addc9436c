//! The interval in which a certificate holds. Both ends belong to it (RFC 5280, 4.1.2.5).
//! Knows no clock and no issuer.

use serde::{Deserialize, Serialize};

use crate::time::{Time, DAY};

/// `notBefore` and `notAfter`, in order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
pub struct Validity {
    not_before: Time,
    not_after: Time,
}

/// The end would come before the beginning.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the validity would end at {not_after}, before it begins at {not_before}")]
pub struct ValidityError {
    not_before: Time,
    not_after: Time,
}

impl Validity {
    /// From the first to the last second in which it holds.
    pub fn new(not_before: Time, not_after: Time) -> Result<Self, ValidityError> {
        if not_before <= not_after {
            Ok(Self { not_before, not_after })
        } else {
            Err(ValidityError { not_before, not_after })
        }
    }

    /// `days` full days counted from `now`; it begins `backdated` seconds earlier, so that a clock that is behind accepts it.
    pub fn of_days(now: Time, days: u32, backdated: i64) -> Self {
        let not_after = now.plus_seconds(i64::from(days.max(1)) * DAY - 1);
        Self { not_before: now.plus_seconds(-backdated.max(0)), not_after }
    }

    /// The same interval without what lies outside `outer`; refused when nothing is left.
    pub fn inside(self, outer: Self) -> Result<Self, ValidityError> {
        Self::new(self.not_before.max(outer.not_before), self.not_after.min(outer.not_after))
    }

    /// The first second in which it holds.
    pub fn not_before(self) -> Time {
        self.not_before
    }

    /// The last second in which it holds.
    pub fn not_after(self) -> Time {
        self.not_after
    }

    /// Whether it holds at `time`.
    pub fn contains(self, time: Time) -> bool {
        (self.not_before..=self.not_after).contains(&time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_end_one_second_early_since_both_ends_count() {
        let now = Time::parse("2026-11-22").unwrap();
        let validity = Validity::of_days(now, 10, DAY);
        assert_eq!(validity.not_before().date(), "2026-11-21");
        assert_eq!(validity.not_after().to_string(), "2026-12-01T23:59:59Z");
        assert!(validity.contains(validity.not_after()));
        assert!(!validity.contains(validity.not_after().plus_seconds(1)));
    }

    #[test]
    fn inside_another_or_refused() {
        let at = |day| Time::from_unix(day * DAY);
        let outer = Validity::new(at(10), at(20)).unwrap();
        let cut = Validity::new(at(5), at(30)).unwrap().inside(outer).unwrap();
        assert_eq!(cut, outer);
        assert!(Validity::new(at(1), at(2)).unwrap().inside(outer).is_err());
    }
}
