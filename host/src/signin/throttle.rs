//! How long to wait after failures to sign in: nothing for the first few, then twice as long each time, to a quarter of an hour. Nobody is
//! locked out for good, so nobody can lock out somebody else.
//!
//! Counted by account, whether there is one or not, and by address. In memory: a restart forgives, and each daemon counts for itself.

use std::collections::BTreeMap;

/// Failures of an account that cost nothing: people mistype.
const FREE_BY_ACCOUNT: u32 = 5;

/// Failures of an address that cost nothing: an office has one address.
const FREE_BY_ADDRESS: u32 = 30;

/// The longest wait, in milliseconds: a quarter of an hour.
const LONGEST_MILLIS: i64 = 15 * 60 * 1_000;

/// Failures are forgotten so long after the last one, in milliseconds: an hour.
const FORGOTTEN_AFTER_MILLIS: i64 = 60 * 60 * 1_000;

/// Accounts and addresses that are remembered: a few megabytes. The longest quiet ones are forgotten first.
const MAX_REMEMBERED: usize = 20_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum By {
    Account,
    Address,
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    last: i64,
}

impl Failures {
    /// From when on the next attempt may be made.
    fn until(self, by: By) -> i64 {
        let free = match by {
            By::Account => FREE_BY_ACCOUNT,
            By::Address => FREE_BY_ADDRESS,
        };
        match self.count.checked_sub(free) {
            None | Some(0) => self.last,
            Some(over) => self.last + 1_000_i64.saturating_mul(1 << over.min(20)).min(LONGEST_MILLIS),
        }
    }
}

/// What is remembered of failures.
#[derive(Debug, Default)]
pub struct Throttle {
    failures: BTreeMap<(By, String), Failures>,
}

impl Throttle {
    /// Counts an attempt as a failure until it is known to be none, so that attempts at the same time do not pass together. If it is too
    /// early for one, gives the milliseconds to wait and counts nothing.
    pub fn attempt(&mut self, account: &str, address: Option<&str>, now: i64) -> Result<(), i64> {
        let keys = keys(account, address);
        let wait = keys.iter().filter_map(|key| Some(self.known(key, now)?.until(key.0) - now)).max().unwrap_or(0);
        if wait > 0 {
            return Err(wait);
        }
        for key in keys {
            let count = self.known(&key, now).map_or(0, |failures| failures.count);
            self.failures.insert(key, Failures { count: count + 1, last: now });
        }
        if self.failures.len() > MAX_REMEMBERED {
            self.forget(now);
        }
        Ok(())
    }

    /// The attempt was none: the account is forgiven, and the address this once.
    pub fn succeeded(&mut self, account: &str, address: Option<&str>) {
        for key in keys(account, address) {
            match key.0 {
                By::Account => drop(self.failures.remove(&key)),
                By::Address => {
                    if let Some(failures) = self.failures.get_mut(&key) {
                        failures.count = failures.count.saturating_sub(1);
                    }
                }
            }
        }
    }

    fn known(&self, key: &(By, String), now: i64) -> Option<Failures> {
        self.failures.get(key).copied().filter(|failures| failures.last + FORGOTTEN_AFTER_MILLIS > now)
    }

    /// Forgets what is old, and of the rest the half that has been quiet for longest.
    fn forget(&mut self, now: i64) {
        self.failures.retain(|_, failures| failures.last + FORGOTTEN_AFTER_MILLIS > now);
        if self.failures.len() > MAX_REMEMBERED {
            let mut times: Vec<i64> = self.failures.values().map(|failures| failures.last).collect();
            times.sort_unstable();
            let middle = times[times.len() / 2];
            self.failures.retain(|_, failures| failures.last > middle);
        }
    }
}

/// An account is known by the hash of its address, whatever length somebody sends.
fn keys(account: &str, address: Option<&str>) -> Vec<(By, String)> {
    let account = (By::Account, super::secret::hash(&account.trim().to_lowercase()));
    std::iter::once(account).chain(address.map(|address| (By::Address, address.to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failures_are_free_and_each_later_one_waits_twice_as_long() {
        let mut throttle = Throttle::default();
        let mut now = 0;
        for _ in 0..5 {
            assert_eq!(throttle.attempt("ann@msp.example", None, now), Ok(()));
        }
        assert_eq!(throttle.attempt("ann@msp.example", None, now), Ok(()), "the sixth is made at once, and then it begins");
        let mut waits = Vec::new();
        for _ in 0..12 {
            let wait = throttle.attempt("Ann@msp.example ", None, now).unwrap_err();
            waits.push(wait / 1_000);
            now += wait;
            assert_eq!(throttle.attempt("ann@msp.example", None, now), Ok(()));
        }
        assert_eq!(waits, [2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]);
        assert_eq!(throttle.attempt("bob@msp.example", None, now), Ok(()), "nobody else waits");
        assert_eq!(throttle.attempt("ann@msp.example", None, now + FORGOTTEN_AFTER_MILLIS), Ok(()));
    }

    #[test]
    fn a_success_forgives_the_account() {
        let mut throttle = Throttle::default();
        for _ in 0..6 {
            throttle.attempt("ann", Some("192.0.2.1"), 0).unwrap();
        }
        assert!(throttle.attempt("ann", Some("192.0.2.1"), 0).is_err());
        throttle.succeeded("ann", Some("192.0.2.1"));
        assert_eq!(throttle.attempt("ann", Some("192.0.2.1"), 0), Ok(()));
    }

    #[test]
    fn an_address_that_tries_many_accounts_waits_too() {
        let mut throttle = Throttle::default();
        let tried = (0..100).take_while(|number| throttle.attempt(&format!("person {number}"), Some("192.0.2.1"), 0).is_ok()).count();
        assert_eq!(tried, 31);
        assert_eq!(throttle.attempt("person 200", Some("192.0.2.2"), 0), Ok(()));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut throttle = Throttle::default();
        for number in 0..50_000_i64 {
            throttle.attempt(&format!("person {number}"), None, number).unwrap();
        }
        assert!(throttle.failures.len() <= MAX_REMEMBERED, "{}", throttle.failures.len());
    }
}
