//! A billing period: one calendar month, written `2026-09`.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;

/// Years of periods: four digits, and the month after is in the calendar too.
const YEARS: std::ops::RangeInclusive<i16> = 1..=9998;

/// A calendar month of the providers' bills (UTC).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period {
    year: i16,
    month: i8,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a billing period; write it as YYYY-MM")]
pub struct NotAPeriod(String);

impl Period {
    pub fn of(date: Date) -> Self {
        Self { year: date.year(), month: date.month() }
    }

    /// The period in which a time falls, in microseconds since 1970 (UTC); `None` outside the years that a period can be written in.
    pub fn of_micros(micros: i64) -> Option<Self> {
        let time = jiff::Timestamp::from_microsecond(micros).ok()?;
        Some(Self::of(time.to_zoned(jiff::tz::TimeZone::UTC).date())).filter(|period| YEARS.contains(&period.year))
    }

    pub fn first_day(self) -> Date {
        jiff::civil::date(self.year, self.month, 1)
    }

    /// The first day of the month after.
    pub fn end(self) -> Date {
        self.next().first_day()
    }

    #[must_use]
    pub fn next(self) -> Self {
        if self.month == 12 { Self { year: self.year + 1, month: 1 } } else { Self { year: self.year, month: self.month + 1 } }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

impl FromStr for Period {
    type Err = NotAPeriod;

    fn from_str(text: &str) -> Result<Self, NotAPeriod> {
        let parsed = (|| {
            let (year, month) = text.split_once('-')?;
            // Numbers are read with a sign in front as well.
            if year.len() != 4 || month.len() != 2 || !year.bytes().chain(month.bytes()).all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            let (year, month) = (year.parse::<i16>().ok()?, month.parse::<i8>().ok()?);
            (YEARS.contains(&year) && (1..=12).contains(&month)).then_some(Self { year, month })
        })();
        parsed.ok_or_else(|| NotAPeriod(text.to_owned()))
    }
}

impl serde::Serialize for Period {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Period {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <std::borrow::Cow<'de, str>>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_written_as_it_is_read_and_december_is_followed_by_january() {
        let december: Period = "2026-12".parse().unwrap();
        assert_eq!(december.to_string(), "2026-12");
        assert_eq!(december.next().to_string(), "2027-01");
        assert_eq!(december.end().to_string(), "2027-01-01");
        for text in ["2026-13", "2026-00", "26-01", "2026-1", "2026", "2026-01-01", "2026-+9", "+026-09", "0000-01", "9999-01", ""] {
            assert!(text.parse::<Period>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_time_outside_the_years_of_periods_is_in_none() {
        let of = |text: &str| Period::of_micros(text.parse::<jiff::Timestamp>().unwrap().as_microsecond());
        for text in ["9999-12-15T00:00:00Z", "9999-01-01T00:00:00Z", "0000-12-31T23:59:59Z", "-000043-03-15T00:00:00Z"] {
            assert_eq!(of(text), None, "{text}");
        }
        for text in ["9998-12-31T23:59:59Z", "0001-01-01T00:00:00Z"] {
            let period = of(text).unwrap();
            assert_eq!(period.to_string().parse(), Ok(period));
            assert_eq!(period.end().day(), 1);
        }
    }
}
