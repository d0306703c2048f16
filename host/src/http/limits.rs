//! How often somebody may call: a bucket of requests for each caller, and a small one for each address that shows no credential, which
//! fills again as time passes.
//!
//! It keeps one caller from using up the daemon for the others, and makes guessing slow. The buckets are in memory: two daemons on one
//! database allow twice as much.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::AppState;
use super::auth::{self, Caller};
use super::errors::ApiError;

/// Requests a second of one caller, as long as nobody sets another number: a console and a few scripts, twenty times over.
pub const PER_SECOND: u32 = 200;

/// Requests a second from one address without a credential, or with a wrong one: signing in, health, and typing errors.
const UNKNOWN_PER_SECOND: u32 = 20;

/// Seconds that a bucket holds requests for: what somebody may do at once who was quiet before.
const BURST_SECONDS: u32 = 10;

/// Buckets that are remembered. A full one is the same as none, so forgetting those loses nothing.
const MAX_BUCKETS: usize = 100_000;

/// A request counts a thousand, so that a bucket fills by whole numbers each millisecond.
const REQUEST: u64 = 1_000;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Whose {
    Caller(String),
    /// An IPv6 caller has a whole network of /64 to itself.
    Address(IpAddr),
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: u64,
    at: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Rate {
    name: &'static str,
    per_second: u32,
}

impl Rate {
    fn most(self) -> u64 {
        u64::from(self.per_second) * u64::from(BURST_SECONDS) * REQUEST
    }

    /// What is in a bucket after this time.
    fn filled(self, bucket: Bucket, now: Instant) -> u64 {
        let millis = u64::try_from(now.saturating_duration_since(bucket.at).as_millis()).unwrap_or(u64::MAX);
        bucket.left.saturating_add(millis.saturating_mul(u64::from(self.per_second))).min(self.most())
    }
}

/// How a request fared, for the answer's headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    name: &'static str,
    per_second: u32,
    /// Requests that are left now.
    left: u64,
}

/// The buckets of one daemon. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    per_second: u32,
    buckets: Arc<Mutex<HashMap<Whose, Bucket>>>,
}

impl Default for Limits {
    fn default() -> Self {
        Self::new(PER_SECOND)
    }
}

impl Limits {
    /// With this many requests a second of one caller; none at all means no limit.
    pub(super) fn new(per_second: u32) -> Self {
        Self { per_second, buckets: Arc::default() }
    }

    /// Takes a request out of a caller's bucket.
    pub(super) fn caller(&self, id: &str, now: Instant) -> Result<Option<Standing>, Box<Response>> {
        let rate = Rate { name: "caller", per_second: self.per_second };
        self.take(Whose::Caller(id.to_owned()), rate, now)
    }

    /// Takes a request out of the bucket of an address.
    pub(super) fn address(&self, address: IpAddr, now: Instant) -> Result<Option<Standing>, Box<Response>> {
        let rate = Rate { name: "address", per_second: self.per_second.min(UNKNOWN_PER_SECOND) };
        self.take(Whose::Address(network_of(address)), rate, now)
    }

    fn take(&self, whose: Whose, rate: Rate, now: Instant) -> Result<Option<Standing>, Box<Response>> {
        if rate.per_second == 0 {
            return Ok(None);
        }
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MAX_BUCKETS && !buckets.contains_key(&whose) {
            let oldest_that_counts = now.checked_sub(std::time::Duration::from_secs(u64::from(BURST_SECONDS)));
            buckets.retain(|_, bucket| oldest_that_counts.is_some_and(|oldest| bucket.at > oldest));
            if buckets.len() >= MAX_BUCKETS {
                buckets.clear(); // a hundred thousand callers in ten seconds: nobody is told apart any more
            }
        }
        let bucket = buckets.entry(whose).or_insert(Bucket { left: rate.most(), at: now });
        let filled = rate.filled(*bucket, now);
        let Some(left) = filled.checked_sub(REQUEST) else {
            *bucket = Bucket { left: filled, at: now };
            let missing_millis = (REQUEST - filled).div_ceil(u64::from(rate.per_second));
            return Err(too_many(rate, missing_millis.div_ceil(1_000).max(1)));
        };
        *bucket = Bucket { left, at: now };
        Ok(Some(Standing { name: rate.name, per_second: rate.per_second, left: left / REQUEST }))
    }
}

fn network_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(address) => IpAddr::V4(address),
            None => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        },
    }
}

fn too_many(rate: Rate, wait_seconds: u64) -> Box<Response> {
    let whose = if rate.name == "caller" { "you may call" } else { "without signing in an address may call" };
    let detail = format!("{whose} {} times a second: try again in {wait_seconds} s", rate.per_second);
    let mut response = ApiError::too_many(detail, u16::try_from(wait_seconds).unwrap_or(u16::MAX)).into_response();
    Standing { name: rate.name, per_second: rate.per_second, left: 0 }.tell(response.headers_mut());
    Box::new(response)
}

/// Lets a request pass whose caller has some left. Behind the guard, which knows the caller.
pub(super) async fn by_caller(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let Some(caller) = request.extensions().get::<Caller>() else { return next.run(request).await };
    match state.limits.caller(caller.id(), Instant::now()) {
        Ok(standing) => told(standing, next.run(request).await),
        Err(refused) => *refused,
    }
}

/// Lets a request pass that shows a credential, or whose address has some left. A wrong credential counts as none, once that is known.
pub(super) async fn by_address(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let Some(address) = auth::address(&state, request.extensions(), request.headers()) else { return next.run(request).await };
    let shows_one = request.headers().contains_key(header::AUTHORIZATION) || request.headers().contains_key(header::COOKIE);
    if !shows_one {
        return match state.limits.address(address, Instant::now()) {
            Ok(standing) => told(standing, next.run(request).await),
            Err(refused) => *refused,
        };
    }
    let response = next.run(request).await;
    if response.status() != StatusCode::UNAUTHORIZED {
        return response;
    }
    match state.limits.address(address, Instant::now()) {
        Ok(standing) => told(standing, response),
        Err(refused) => *refused,
    }
}

fn told(standing: Option<Standing>, mut response: Response) -> Response {
    if let Some(standing) = standing
        && !response.headers().contains_key("ratelimit")
    {
        standing.tell(response.headers_mut());
    }
    response
}

impl Standing {
    /// As the headers `RateLimit-Policy` and `RateLimit` say it (draft-ietf-httpapi-ratelimit-headers).
    pub(super) fn tell(self, headers: &mut HeaderMap) {
        let quota = self.per_second.saturating_mul(BURST_SECONDS);
        let policy = format!("\"{}\";q={quota};w={BURST_SECONDS}", self.name);
        let standing = format!("\"{}\";r={};t={BURST_SECONDS}", self.name, self.left);
        for (name, value) in [("ratelimit-policy", policy), ("ratelimit", standing)] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_bucket_holds_ten_seconds_and_fills_as_time_passes() {
        let (limits, begin) = (Limits::new(5), Instant::now());
        for left in (0..50).rev() {
            assert_eq!(limits.caller("one", begin).unwrap().unwrap().left, left);
        }
        let refused = limits.caller("one", begin).unwrap_err();
        assert_eq!(refused.status(), 429);
        assert_eq!(refused.headers()["retry-after"], "1");
        assert_eq!(refused.headers()["ratelimit-policy"], "\"caller\";q=50;w=10");
        assert_eq!(refused.headers()["ratelimit"], "\"caller\";r=0;t=10");
        // Another caller has a bucket of their own.
        assert!(limits.caller("two", begin).is_ok());
        assert!(limits.caller("one", begin + Duration::from_millis(199)).is_err());
        assert!(limits.caller("one", begin + Duration::from_millis(200)).is_ok());
        assert!(limits.caller("one", begin + Duration::from_millis(201)).is_err());
        // However long somebody was quiet, a bucket holds no more.
        let later = begin + Duration::from_secs(3_600);
        assert_eq!(limits.caller("one", later).unwrap().unwrap().left, 49);
    }

    #[test]
    fn an_address_has_few_and_a_network_of_ipv6_is_one() {
        let (limits, now) = (Limits::default(), Instant::now());
        let allowed = |address: &str| limits.address(address.parse().unwrap(), now).is_ok();
        assert_eq!((0..1_000).filter(|_| allowed("192.0.2.1")).count(), 200);
        assert!(allowed("192.0.2.2"));
        assert_eq!((0..1_000).filter(|host| allowed(&format!("2001:db8::{host:x}"))).count(), 200);
        assert!(allowed("2001:db8:0:1::1"));
        // The same machine, as a socket of both families tells it.
        assert!(!allowed("::ffff:192.0.2.1"));
    }

    #[test]
    fn no_number_means_no_limit() {
        let (limits, now) = (Limits::new(0), Instant::now());
        assert!((0..10_000).all(|_| limits.caller("one", now).is_ok() && limits.address(IpAddr::from([127, 0, 0, 1]), now).is_ok()));
    }

    #[test]
    fn buckets_that_are_full_again_are_forgotten() {
        let (limits, begin) = (Limits::new(1), Instant::now());
        for number in 0..MAX_BUCKETS {
            limits.caller(&number.to_string(), begin).unwrap();
        }
        limits.caller("late", begin + Duration::from_secs(11)).unwrap();
        assert_eq!(limits.buckets.lock().unwrap().len(), 1);
    }
}
