//! Dates and times of bills to microseconds since 1970, UTC. Text without a zone is UTC, as every provider means it.

/// Microseconds of one day.
pub(super) const DAY: i64 = 86_400_000_000;

/// A time, and whether it was written in a way that no calendar has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) micros: i64,
    /// Hour 24 to 47 of a day, carried into the next.
    pub(super) carried: bool,
}

/// Reads `2026-09-01`, `2026-09-01T00:00:00.000Z`, `2026-09-01 00:00:00+00:00`, `9/1/2026`, `20260901` or `202609`.
pub(super) fn read(text: &[u8]) -> Option<Read> {
    let plain = |micros| Some(Read { micros, carried: false });
    match text {
        [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, rest @ ..] => {
            let day = midnight(number(&[*y1, *y2, *y3, *y4])?, number(&[*m1, *m2])?, number(&[*d1, *d2])?)?;
            match rest {
                [] => plain(day),
                [b'T' | b' ', clock @ ..] => with_clock(day, clock).or_else(|| odd(text)),
                _ => odd(text),
            }
        }
        _ if text.len() == 8 && text.iter().all(u8::is_ascii_digit) => {
            plain(midnight(number(&text[..4])?, number(&text[4..6])?, number(&text[6..])?)?)
        }
        _ if text.len() == 6 && text.iter().all(u8::is_ascii_digit) => plain(midnight(number(&text[..4])?, number(&text[4..])?, 1)?),
        _ => month_first(text).or_else(|| odd(text)),
    }
}

/// The first instant of the month in which a time falls, and of the month after.
pub(super) fn month_of(micros: i64) -> Option<(i64, i64)> {
    let period = crate::domain::period::Period::of_micros(micros)?;
    let start = |date: jiff::civil::Date| midnight(i64::from(date.year()), i64::from(date.month()), i64::from(date.day()));
    Some((start(period.first_day())?, start(period.end())?))
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0_i64, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0')))
}

/// Days from the civil calendar by counting years from March, so that the leap day is a year's last.
fn midnight(year: i64, month: i64, day: i64) -> Option<i64> {
    const LENGTHS: [i64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = *LENGTHS.get(usize::try_from(month - 1).ok()?)? + i64::from(leap && month == 2);
    if !(1..=9998).contains(&year) || !(1..=length).contains(&day) {
        return None;
    }
    let (from_march, year) = if month > 2 { (month - 3, year) } else { (month + 9, year - 1) };
    let days = 365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + (153 * from_march + 2) / 5 + day - 1;
    Some((days - 719_468) * DAY)
}

/// `00:00`, `00:00:00`, `00:00:00.000`, each with nothing, `Z`, ` UTC`, `+00`, `+00:00` or `+0000` behind.
fn with_clock(day: i64, clock: &[u8]) -> Option<Read> {
    let [h1, h2, b':', m1, m2, rest @ ..] = clock else { return None };
    let (hour, minute) = (number(&[*h1, *h2])?, number(&[*m1, *m2])?);
    let (second, rest) = match rest {
        [b':', s1, s2, rest @ ..] => (number(&[*s1, *s2])?, rest),
        rest => (0, rest),
    };
    let (fraction, zone) = match rest {
        [b'.', rest @ ..] => {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if digits == 0 || digits > 9 {
                return None;
            }
            let micros = number(&rest[..digits.min(6)])? * 10_i64.pow(6 - u32::try_from(digits.min(6)).ok()?);
            (micros, &rest[digits..])
        }
        rest => (0, rest),
    };
    if !matches!(zone, b"" | b"Z" | b"z" | b"+00:00" | b"+00" | b"+0000" | b" UTC") || hour > 47 || minute > 59 || second > 60 {
        return None;
    }
    let micros = day + (hour * 3600 + minute * 60 + second) * 1_000_000 + fraction;
    Some(Read { micros, carried: hour > 24 || (hour == 24 && (minute, second, fraction) != (0, 0, 0)) })
}

/// `9/1/2026`, `09/01/26`, with or without a clock.
fn month_first(text: &[u8]) -> Option<Read> {
    let (date, clock) = text.iter().position(|byte| *byte == b' ').map_or((text, None), |at| (&text[..at], Some(&text[at + 1..])));
    let mut parts = date.split(|byte| *byte == b'/');
    let (month, day, year) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || !(1..=2).contains(&month.len()) || !(1..=2).contains(&day.len()) {
        return None;
    }
    let year = match year.len() {
        4 => number(year)?,
        2 => 2000 + number(year)?,
        _ => return None,
    };
    let day = midnight(year, number(month)?, number(day)?)?;
    match clock {
        None => Some(Read { micros: day, carried: false }),
        Some(clock) => with_clock(day, clock),
    }
}

/// Whatever else the calendar library reads, such as other offsets.
fn odd(text: &[u8]) -> Option<Read> {
    let time: jiff::Timestamp = std::str::from_utf8(text).ok()?.parse().ok()?;
    Some(Read { micros: time.as_microsecond(), carried: false })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn micros(text: &str) -> i64 {
        read(text.as_bytes()).unwrap_or_else(|| panic!("{text}")).micros
    }

    #[test]
    fn all_ways_to_write_the_first_of_september_are_the_same_instant() {
        let expected = "2026-09-01T00:00:00Z".parse::<jiff::Timestamp>().unwrap().as_microsecond();
        for text in [
            "2026-09-01",
            "2026-09-01T00:00:00Z",
            "2026-09-01T00:00:00.000Z",
            "2026-09-01 00:00:00",
            "2026-09-01 00:00:00+00:00",
            "2026-09-01 00:00:00 UTC",
            "2026-09-01T00:00Z",
            "2026-09-01T02:00:00+02:00",
            "2026-08-31T24:00:00Z",
            "9/1/2026",
            "09/01/2026",
            "9/1/26",
            "09/01/2026 00:00:00",
            "20260901",
            "202609",
        ] {
            assert_eq!(micros(text), expected, "{text}");
        }
        assert_eq!(micros("2026-09-01T00:00:00.25Z"), expected + 250_000);
    }

    #[test]
    fn what_no_calendar_has_is_refused_except_hours_that_run_into_the_next_day() {
        for text in ["", "2026-02-30", "13/13/2026", "31/12/2026", "2026-9-1x", "convertible", "NULL", "2026-09-01T99:00:00Z", "2026"] {
            assert_eq!(read(text.as_bytes()), None, "{text}");
        }
        let carried = read(b"2023-02-01T30:00:00Z").unwrap();
        assert!(carried.carried);
        assert_eq!(carried.micros, micros("2023-02-02T06:00:00Z"));
    }

    proptest! {
        #[test]
        fn every_instant_reads_back(seconds in -2_000_000_000_i64..8_000_000_000) {
            let time = jiff::Timestamp::from_second(seconds).unwrap();
            prop_assert_eq!(micros(&time.to_string()), seconds * 1_000_000);
        }
    }
}
