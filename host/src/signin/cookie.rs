//! A browser's session: the cookie, the proof that a change comes from our own page, and from where a request comes.

use std::net::IpAddr;

use super::secret::hash;

/// The cookie's name.
pub const NAME: &str = "rerate_session";

/// Browsers forget it after this many seconds; the store ends the session before, where nobody uses it.
const MAX_AGE_SECONDS: u32 = 7 * 24 * 60 * 60;

/// Addresses of `X-Forwarded-For` that are looked at, from the last: nobody has more proxies in a row.
const MAX_HOPS: usize = 10;

/// The session's secret among the cookies that came.
pub fn secret<'a>(headers: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    value(headers, NAME)
}

/// Another cookie among those that came, by its name.
pub fn value<'a>(mut headers: impl Iterator<Item = &'a str>, name: &str) -> Option<&'a str> {
    headers.find_map(|header| {
        let mut pairs = header.split(';').filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(known, value)| *known == name && !value.is_empty()).map(|(_, value)| value)
    })
}

/// The header that sets it. Scripts cannot read it, other sites cannot send it with changes, and it travels encrypted unless the browser
/// is on this very machine.
pub fn set(secret: &str, host: &str) -> String {
    format!("{NAME}={secret}; Path=/; HttpOnly; SameSite=Lax; Max-Age={MAX_AGE_SECONDS}{}", secure(host))
}

/// The header that takes it away.
pub fn clear(host: &str) -> String {
    format!("{NAME}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0{}", secure(host))
}

fn secure(host: &str) -> &'static str {
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit())).map_or(host, |(name, _)| name);
    if matches!(name, "localhost" | "127.0.0.1" | "[::1]") { "" } else { "; Secure" }
}

/// What a page must send along with a change: it can be computed from the cookie only, which another site's page cannot read.
pub fn proof(secret: &str) -> String {
    hash(&format!("csrf:{secret}"))
}

/// Whether a proof is the secret's. Both are hashed once more, so that how long it takes tells nothing.
pub fn proves(secret: &str, given: &str) -> bool {
    hash(given) == hash(&proof(secret))
}

/// Whether a page's origin is this host.
pub fn same_origin(origin: &str, host: &str) -> bool {
    let Some((scheme, rest)) = origin.split_once("://") else { return false };
    let plain = |text: &str, default: &str| text.strip_suffix(default).unwrap_or(text).to_ascii_lowercase();
    match scheme {
        "http" => plain(rest, ":80") == plain(host, ":80"),
        "https" => plain(rest, ":443") == plain(host, ":443"),
        _ => false,
    }
}

/// From where a request comes: the connection's other end, unless that is a proxy that we know; then what it says, from the last hop on.
pub fn origin_of<'a>(peer: IpAddr, forwarded: impl Iterator<Item = &'a str>, proxies: &[IpAddr]) -> IpAddr {
    if !proxies.contains(&peer) {
        return peer;
    }
    let hops: Vec<&str> = forwarded.flat_map(|header| header.split(',')).map(str::trim).collect();
    let mut from = peer;
    for hop in hops.iter().rev().take(MAX_HOPS) {
        let Ok(address) = hop.parse() else { break };
        from = address;
        if !proxies.contains(&address) {
            break;
        }
    }
    from
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_is_found_among_others() {
        assert_eq!(secret(["a=1; rerate_session=abc; b=2"].into_iter()), Some("abc"));
        assert_eq!(secret(["a=1", "rerate_session=abc"].into_iter()), Some("abc"));
        for none in ["", "rerate_session=", "xrerate_session=abc", "rerate_session"] {
            assert_eq!(secret([none].into_iter()), None, "{none}");
        }
    }

    #[test]
    fn the_cookie_is_secure_but_on_this_machine() {
        for host in ["localhost", "localhost:8080", "127.0.0.1:8080", "[::1]:8080"] {
            assert!(!set("s", host).contains("Secure"), "{host}");
        }
        for host in ["billing.example", "localhost.example:80", "127.0.0.1.example", ""] {
            assert!(set("s", host).ends_with("; Secure") && clear(host).ends_with("; Secure"), "{host}");
        }
        assert_eq!(set("s", "localhost"), "rerate_session=s; Path=/; HttpOnly; SameSite=Lax; Max-Age=604800");
    }

    #[test]
    fn a_proof_is_of_one_session_only() {
        assert!(proves("a", &proof("a")));
        assert!(!proves("a", &proof("b")) && !proves("a", "") && !proves("a", "a"));
    }

    #[test]
    fn an_origin_is_the_hosts_own_or_not() {
        for (origin, host) in
            [("http://localhost:8080", "localhost:8080"), ("https://b.example", "B.example"), ("https://b.example:443", "b.example")]
        {
            assert!(same_origin(origin, host), "{origin}");
        }
        for (origin, host) in [("https://evil.example", "b.example"), ("null", "b.example"), ("https://b.example:8443", "b.example")] {
            assert!(!same_origin(origin, host), "{origin}");
        }
    }

    #[test]
    fn only_a_known_proxy_is_believed() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let (client, proxy, other) = (address("198.51.100.7"), address("10.0.0.1"), address("10.0.0.2"));
        let told = ["203.0.113.9, 198.51.100.7"];
        assert_eq!(origin_of(proxy, told.into_iter(), &[]), proxy);
        assert_eq!(origin_of(other, told.into_iter(), &[proxy]), other);
        assert_eq!(origin_of(proxy, told.into_iter(), &[proxy]), client, "what the client says of itself is not believed");
        assert_eq!(origin_of(proxy, ["198.51.100.7, 10.0.0.2"].into_iter(), &[proxy, other]), client);
        assert_eq!(origin_of(proxy, ["nonsense"].into_iter(), &[proxy]), proxy);
    }
}
