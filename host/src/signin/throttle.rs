//! How long to wait after failures to sign in: nothing for the first few, then twice as long each time, to a quarter of an hour. Nobody is
//! locked out for good, so nobody can lock out somebody else.
//!
//! Counted by account, whether there is one or not, and by address. Values only: the counts are kept elsewhere, once for all daemons.

/// Failures of an account that cost nothing: people mistype.
const FREE_BY_ACCOUNT: i64 = 5;

/// Failures of an address that cost nothing: an office has one address.
const FREE_BY_ADDRESS: i64 = 30;

/// The longest wait, in milliseconds: a quarter of an hour.
const LONGEST_MILLIS: i64 = 15 * 60 * 1_000;

/// Failures are forgotten so long after the last one, in milliseconds: an hour.
pub const FORGOTTEN_AFTER_MILLIS: i64 = 60 * 60 * 1_000;

/// What failures are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    Account,
    Address,
}

impl By {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Address => "address",
        }
    }

    const fn free(self) -> i64 {
        match self {
            Self::Account => FREE_BY_ACCOUNT,
            Self::Address => FREE_BY_ADDRESS,
        }
    }

    /// How many milliseconds after its last failure the next attempt may be made.
    pub fn wait(self, failures: i64) -> i64 {
        match failures - self.free() {
            ..=0 => 0,
            over => 1_000_i64.saturating_mul(1 << over.min(20)).min(LONGEST_MILLIS),
        }
    }
}

/// Whose failures an attempt counts for. An account is known by the hash of its address, whatever length somebody sends.
pub fn keys(account: &str, address: Option<&str>) -> Vec<(By, String)> {
    let account = (By::Account, super::secret::hash(&account.trim().to_lowercase()));
    std::iter::once(account).chain(address.map(|address| (By::Address, address.to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failures_are_free_and_each_later_one_waits_twice_as_long() {
        let seconds = |by: By, failures: std::ops::Range<i64>| failures.map(|count| by.wait(count) / 1_000).collect::<Vec<_>>();
        assert_eq!(seconds(By::Account, 0..9), [0, 0, 0, 0, 0, 0, 2, 4, 8]);
        assert_eq!(seconds(By::Account, 13..18), [256, 512, 900, 900, 900]);
        assert_eq!(seconds(By::Address, 29..33), [0, 0, 2, 4]);
        assert_eq!(By::Account.wait(i64::MAX), LONGEST_MILLIS);
    }

    #[test]
    fn an_account_is_the_same_however_its_address_is_written() {
        assert_eq!(keys("Ann@msp.example ", None), keys("ann@msp.example", None));
        let both = keys("ann@msp.example", Some("192.0.2.1"));
        assert_eq!((both.len(), &both[1]), (2, &(By::Address, "192.0.2.1".to_owned())));
    }
}
