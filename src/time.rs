//! One kind of time: whole seconds of UTC since 1970, as certificates, CRLs and the ledger carry them.
//! Knows no clock; `world` reads it.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::{format_description::well_known::Rfc3339, Date, OffsetDateTime};

/// A moment, in whole seconds of UTC. What X.509 can say: years 1950 to 9999 (RFC 5280, 4.1.2.5).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Time(i64);

/// The text or number is no moment that a certificate can carry.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is no date between 1950 and 9999")]
pub struct TimeError(String);

impl Time {
    /// 9999-12-31T23:59:59Z, the last moment of RFC 5280.
    pub const END: Self = Self(253_402_300_799);
    const BEGINNING: i64 = -631_152_000;

    /// Seconds since 1970; the value is held inside 1950 to 9999.
    pub fn from_unix(seconds: i64) -> Self {
        Self(seconds.clamp(Self::BEGINNING, Self::END.0))
    }

    /// Seconds since 1970.
    pub fn unix(self) -> i64 {
        self.0
    }

    /// Later by so many seconds (earlier when negative), held inside what X.509 can say.
    #[must_use]
    pub fn plus_seconds(self, seconds: i64) -> Self {
        Self::from_unix(self.0.saturating_add(seconds))
    }

    /// Later by so many days of 86,400 seconds (earlier when negative).
    #[must_use]
    pub fn plus_days(self, days: i64) -> Self {
        self.plus_seconds(days.saturating_mul(DAY))
    }

    /// Whole days from here to `later`, rounded down; negative when `later` is past.
    pub fn days_until(self, later: Self) -> i64 {
        (later.0 - self.0).div_euclid(DAY)
    }

    /// The calendar day, `2027-03-01`.
    pub fn date(self) -> String {
        format!("{self:.10}")
    }

    /// Reads `2027-03-01T10:00:00Z` or `2027-03-01` (then its first second).
    pub fn parse(text: &str) -> Result<Self, TimeError> {
        let refused = || TimeError(text.to_owned());
        let seconds = if text.len() == 10 {
            let day = time::format_description::parse_borrowed::<2>("[year]-[month]-[day]").map_err(|_| refused())?;
            Date::parse(text, &day).map_err(|_| refused())?.midnight().assume_utc().unix_timestamp()
        } else {
            OffsetDateTime::parse(text, &Rfc3339).map_err(|_| refused())?.unix_timestamp()
        };
        if (Self::BEGINNING..=Self::END.0).contains(&seconds) {
            Ok(Self(seconds))
        } else {
            Err(refused())
        }
    }

    /// `2027-03-01T10:00:00Z`, digit by digit: `list` writes it four million times.
    fn digits(self) -> [u8; 20] {
        let moment = OffsetDateTime::from_unix_timestamp(self.0).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        // years are 1950 to 9999
        let (century, year) = (moment.year().rem_euclid(10_000) / 100, moment.year().rem_euclid(100));
        let mut text = *b"0000-00-00T00:00:00Z";
        let parts = [u8::try_from(century).unwrap_or(0), u8::try_from(year).unwrap_or(0)];
        let parts = parts.into_iter().chain([
            u8::from(moment.month()),
            moment.day(),
            moment.hour(),
            moment.minute(),
            moment.second(),
        ]);
        for (place, part) in [0, 2, 5, 8, 11, 14, 17].into_iter().zip(parts) {
            text[place] = b'0' + part / 10;
            text[place + 1] = b'0' + part % 10;
        }
        text
    }
}

impl fmt::Display for Time {
    /// RFC 3339 in UTC, `2027-03-01T10:00:00Z`; its first ten characters are the day.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(text(&self.digits()))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(text(&self.digits()))
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// Digits are ASCII.
fn text(digits: &[u8]) -> &str {
    std::str::from_utf8(digits).unwrap_or_default()
}

/// Seconds in a day.
pub const DAY: i64 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn speaks_rfc_3339_in_utc() {
        assert_eq!(Time::from_unix(0).to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(Time::END.to_string(), "9999-12-31T23:59:59Z");
        assert_eq!(Time::parse("2027-03-01").unwrap().unix(), 1_803_859_200);
        assert_eq!(Time::parse("2027-03-01T01:00:00+01:00"), Time::parse("2027-03-01"));
    }

    #[test]
    fn days_are_rounded_down() {
        let noon = Time::from_unix(DAY / 2);
        assert_eq!(noon.days_until(Time::from_unix(DAY)), 0);
        assert_eq!(noon.days_until(Time::from_unix(0)), -1);
        assert_eq!(noon.days_until(noon.plus_days(3)), 3);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(seconds in Time::BEGINNING..=Time::END.0) {
            let time = Time::from_unix(seconds);
            prop_assert_eq!(Time::parse(&time.to_string()), Ok(time));
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = Time::parse(&text);
        }
    }
}
