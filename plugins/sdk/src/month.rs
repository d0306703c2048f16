//! A month of bills, `2026-09`, as configurations write it.

use std::fmt;
use std::str::FromStr;

use crate::config::read_text;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month {
    year: u16,
    month: u8,
}

impl Month {
    #[must_use]
    pub const fn next(self) -> Self {
        if self.month == 12 { Self { year: self.year + 1, month: 1 } } else { Self { year: self.year, month: self.month + 1 } }
    }
}

impl FromStr for Month {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once('-').and_then(|(year, month)| {
            if year.len() != 4 || month.len() != 2 || !text.bytes().all(|b| b.is_ascii_digit() || b == b'-') {
                return None;
            }
            Some(Self { year: year.parse().ok()?, month: month.parse().ok().filter(|m| (1..=12).contains(m))? })
        });
        parsed.ok_or_else(|| "write a month as YYYY-MM".to_owned())
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

impl<'de> serde::Deserialize<'de> for Month {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_text(deserializer, "a month as text: \"2026-09\"", str::parse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_are_ordered_and_anything_else_is_refused() {
        let month = |text: &str| text.parse::<Month>();
        assert!(month("2026-12").unwrap() < month("2027-01").unwrap());
        assert_eq!(month("2026-02").unwrap().to_string(), "2026-02");
        for text in ["2026-13", "2026-00", "26-01", "2026-1", "2026", "2026-01-01", "", "-026-01", "2026--1", "2026-+1"] {
            assert!(month(text).is_err(), "{text}");
        }
    }
}
