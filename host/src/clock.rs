//! Time and randomness: the only place that asks the system for either. Everything else is handed a [`Clock`] or a value taken from one.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::id;

/// A point in time, in milliseconds since 1970-01-01T00:00:00Z. Written as RFC 3339 in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub i64);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a time; write it as 2026-09-01T00:00:00Z")]
pub struct NotAMoment(String);

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(time) => write!(f, "{time:.3}"),
            Err(_) => write!(f, "{}ms", self.0),
        }
    }
}

impl FromStr for Moment {
    type Err = NotAMoment;

    fn from_str(text: &str) -> Result<Self, NotAMoment> {
        text.parse::<jiff::Timestamp>().map(|time| Self(time.as_millisecond())).map_err(|_| NotAMoment(text.to_owned()))
    }
}

impl serde::Serialize for Moment {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Moment {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <std::borrow::Cow<'de, str>>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Where times, random bytes and ids come from. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    /// For tests: each look at the time is a millisecond later, and random bytes count up.
    Scripted(Arc<Script>),
}

#[derive(Debug)]
struct Script {
    millis: AtomicI64,
    random: AtomicU64,
}

impl Clock {
    /// The machine's clock and the operating system's random bytes.
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that gives the same times and bytes in the same order each time: for tests.
    pub fn scripted(start: Moment) -> Self {
        Self(Source::Scripted(Arc::new(Script { millis: AtomicI64::new(start.0), random: AtomicU64::new(1) })))
    }

    pub fn now(&self) -> Moment {
        match &self.0 {
            #[allow(clippy::disallowed_methods)] // this is the clock module
            Source::System => {
                let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
                Moment(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
            }
            Source::Scripted(script) => Moment(script.millis.fetch_add(1, Ordering::Relaxed)),
        }
    }

    pub fn now_millis(&self) -> i64 {
        self.now().0
    }

    /// Random bytes that nobody can guess.
    ///
    /// # Panics
    /// When the operating system has no random source: no token or id could be made safely.
    pub fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        match &self.0 {
            Source::System => {
                if let Err(error) = getrandom::fill(&mut bytes) {
                    panic!("the operating system gives no random bytes: {error}");
                }
            }
            Source::Scripted(script) => {
                let count = script.random.fetch_add(1, Ordering::Relaxed).to_be_bytes();
                for (byte, counted) in bytes.iter_mut().rev().zip(count.iter().rev()) {
                    *byte = *counted;
                }
            }
        }
        bytes
    }

    /// A new id of the noun with this prefix: `tnt_...`. It sorts behind all that this process made before and all that it was told of by
    /// [`Clock::follow`], so lists are in the order in which their entries were made, even within a millisecond and when the machine's clock
    /// is set back.
    pub fn id(&self, prefix: &str) -> String {
        let millis = u64::try_from(self.now_millis()).unwrap_or_default();
        match &self.0 {
            Source::System => id::text(prefix, behind(&LAST, id::bits(millis, self.random()))),
            Source::Scripted(_) => id::text(prefix, id::bits(millis, self.random())),
        }
    }

    /// Makes every new id sort behind this one, which another process has made.
    pub fn follow(&self, id: &str) {
        if let (Source::System, Some(bits)) = (&self.0, id::bits_of(id)) {
            let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
            *last = bits.max(*last);
        }
    }
}

/// The last id that this process made.
static LAST: Mutex<u128> = Mutex::new(0);

/// The next number, or one that is behind the last by 32 of its random bits where that is not less.
fn behind(last: &Mutex<u128>, next: u128) -> u128 {
    let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
    *last = if next > *last { next } else { last.saturating_add(1 + (next & u128::from(u32::MAX))) };
    *last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_as_it_is_read() {
        let moment: Moment = "2026-09-01T12:00:00.250Z".parse().unwrap();
        assert_eq!(moment.0, 1_788_264_000_250);
        assert_eq!(moment.to_string(), "2026-09-01T12:00:00.250Z");
        assert!("yesterday".parse::<Moment>().is_err());
    }

    #[test]
    fn a_scripted_clock_repeats_itself_and_the_system_clock_does_not() {
        let ids = |clock: Clock| [clock.id("tnt"), clock.id("tnt")];
        let start = Moment(1_700_000_000_000);
        assert_eq!(ids(Clock::scripted(start)), ids(Clock::scripted(start)));
        let [first, second] = ids(Clock::system());
        assert_ne!(first, second);
    }

    #[test]
    fn ids_sort_in_the_order_in_which_they_were_made() {
        let clock = Clock::system();
        let ids: Vec<String> = (0..10_000).map(|_| clock.id("tnt")).collect();
        assert!(ids.is_sorted_by(|early, late| early < late));
    }

    #[test]
    fn a_clock_that_is_set_back_changes_no_order() {
        let last = Mutex::new(0);
        let made =
            [id::bits(2, [9; 10]), id::bits(1, [255; 10]), id::bits(2, [0; 10]), id::bits(3, [0; 10])].map(|next| behind(&last, next));
        assert!(made.is_sorted_by(|early, late| early < late));
        assert_eq!(made[3], id::bits(3, [0; 10]), "and the clock is followed again once it is ahead");
    }
}
