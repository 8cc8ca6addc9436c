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

    /// A moment by the calendar: year, then month, day, hour, minute and second; none where there is no such moment, or none
    /// that a certificate can carry. By plain numbers, since a CRL may have a million dates.
    pub fn from_calendar(year: u16, rest: [u8; 5]) -> Option<Self> {
        let [month, day, hour, minute, second] = rest;
        let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let longest = match month {
            2 => 28 + u8::from(leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let is_day = (1950..=9999).contains(&year) && (1..=12).contains(&month) && (1..=longest).contains(&day);
        if !is_day || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        // years are counted from March, so that a leap day is the last of its year
        let [year, month, day, hour, minute, second] =
            [year, month.into(), day.into(), hour.into(), minute.into(), second.into()].map(i64::from);
        let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        let days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - MARCH_OF_0;
        Some(Self(days * DAY + hour * 3600 + minute * 60 + second))
    }

    /// The same the other way round.
    pub fn calendar(self) -> (u16, [u8; 5]) {
        let (days, second) = (self.0.div_euclid(DAY) + MARCH_OF_0, self.0.rem_euclid(DAY));
        // 400 years have 146,097 days, 100 have 36,524 and 4 have 1,461, or one more where the last of them is a leap year
        let (era, day) = (days / 146_097, days % 146_097);
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let day = day - (153 * month + 2) / 5 + 1;
        let (year, month) = if month < 10 { (year, month + 3) } else { (year + 1, month - 9) };
        // years are 1950 to 9999, the others below 60
        let year = u16::try_from(era * 400 + year).unwrap_or_default();
        (year, [month, day, second / 3600, second / 60 % 60, second % 60].map(|number| number.to_le_bytes()[0]))
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
        let (year, rest) = self.calendar();
        let mut text = *b"0000-00-00T00:00:00Z";
        let parts = [year / 100, year % 100].map(|part| part.to_le_bytes()[0]).into_iter().chain(rest);
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

/// Days from 1 March of the year 0 to 1970.
const MARCH_OF_0: i64 = 719_468;

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

    fn by_the_crate(time: Time) -> (u16, [u8; 5]) {
        let moment = OffsetDateTime::from_unix_timestamp(time.unix()).unwrap();
        let (month, day) = (u8::from(moment.month()), moment.day());
        (moment.year().try_into().unwrap(), [month, day, moment.hour(), moment.minute(), moment.second()])
    }

    #[test]
    fn the_calendar_is_that_of_the_time_crate_on_every_day() {
        let mut time = Time::from_unix(Time::BEGINNING);
        while time < Time::END {
            let (year, rest) = time.calendar();
            assert_eq!((year, rest), by_the_crate(time));
            assert_eq!(Time::from_calendar(year, rest), Some(time));
            // every day until 2101, then one in thirteen; at another second each
            time = time.plus_seconds(if year <= 2101 { DAY + 1 } else { 13 * DAY + 1 });
        }
        assert_eq!(Time::END.calendar(), (9999, [12, 31, 23, 59, 59]));
    }

    proptest! {
        #[test]
        fn what_is_no_moment_for_the_time_crate_is_none(year in 1900..=u16::MAX, rest in prop::array::uniform5(0..70_u8), day in 0..40_u8, month in 0..15_u8) {
            let [_, _, hour, minute, second] = rest;
            let known = |month, day| {
                let month = time::Month::try_from(month).ok()?;
                let date = Date::from_calendar_date(year.into(), month, day).ok()?;
                date.with_hms(hour, minute, second).ok().filter(|_| (1950..=9999).contains(&year))
            };
            for (month, day) in [(month, day), (rest[0], rest[1]), (2, 29), (2, 28), (month, 31)] {
                let expected = known(month, day).map(|moment| moment.assume_utc().unix_timestamp());
                let found = Time::from_calendar(year, [month, day, hour, minute, second]).map(Time::unix);
                prop_assert_eq!(found, expected);
            }
        }

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
