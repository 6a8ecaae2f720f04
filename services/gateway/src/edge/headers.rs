//! Headers that are removed, and those that the gateway sets.

use std::net::IpAddr;

use http::header::{
    CONNECTION, COOKIE, EXPECT, FORWARDED, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION,
    STRICT_TRANSPORT_SECURITY, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue};

pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const ORIGINAL_URL: HeaderName = HeaderName::from_static("x-original-url");
const REWRITE_URL: HeaderName = HeaderName::from_static("x-rewrite-url");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");

/// Headers that concern one connection only (RFC 9110, section 7.6.1).
const HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    KEEP_ALIVE,
    PROXY_CONNECTION,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Headers that only the outermost proxy may set, which the gateway is. The last two make some backends serve
/// another path than the one that was checked.
const EDGE_ONLY: [HeaderName; 6] = [
    FORWARDED,
    FORWARDED_PREFIX,
    FORWARDED_PORT,
    REAL_IP,
    ORIGINAL_URL,
    REWRITE_URL,
];

/// Removes the headers of the connection, and those that `Connection` names.
pub fn strip_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|name| name.trim().parse().ok())
            .collect();
        for name in named {
            headers.remove(name);
        }
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
}

/// Headers of a client that were not passed on, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Those that only the outermost proxy may set.
    pub forwarding: u64,
    /// Those that policies fill from claims.
    pub identity: u64,
    /// Those with an underscore in their name.
    pub underscore: u64,
}

impl Dropped {
    /// The counts with the names of the reasons.
    pub fn by_reason(self) -> [(&'static str, u64); 3] {
        [
            ("forwarding", self.forwarding),
            ("identity", self.identity),
            ("underscore", self.underscore),
        ]
    }
}

/// Removes from a client's headers what a backend must not take from a client. `identity` are the headers that
/// policies fill from claims.
pub fn to_backend(headers: &mut HeaderMap, identity: &[HeaderName]) -> Dropped {
    strip_hop_by_hop(headers);
    join_cookies(headers);
    headers.remove(EXPECT);
    headers.remove(HTTP2_SETTINGS);
    let mut dropped = Dropped::default();
    for name in &EDGE_ONLY {
        dropped.forwarding += u64::from(headers.remove(name).is_some());
    }
    for name in identity {
        dropped.identity += u64::from(headers.remove(name).is_some());
    }
    // Some backends read `x_user_id` as `x-user-id`.
    let ambiguous: Vec<HeaderName> = headers
        .keys()
        .filter(|name| name.as_str().contains('_'))
        .cloned()
        .collect();
    for name in ambiguous {
        dropped.underscore += u64::from(headers.remove(name).is_some());
    }
    dropped
}

/// What every response says to browsers, unless the backend says otherwise: take the type of the body from its
/// header and from nothing else; and, over HTTPS, use nothing but HTTPS for a while.
pub fn to_client(headers: &mut HeaderMap, hsts: Option<&HeaderValue>) {
    headers
        .entry(X_CONTENT_TYPE_OPTIONS)
        .or_insert(HeaderValue::from_static("nosniff"));
    if let Some(hsts) = hsts {
        headers
            .entry(STRICT_TRANSPORT_SECURITY)
            .or_insert_with(|| hsts.clone());
    }
}

/// HTTP/2 clients may send each cookie in a field of its own; HTTP/1.1 has one field only
/// (RFC 9113, section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    if headers.get_all(COOKIE).iter().nth(1).is_none() {
        return;
    }
    let fields: Vec<&[u8]> = headers
        .get_all(COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if let Ok(joined) = HeaderValue::from_bytes(&fields.join(&b"; "[..])) {
        headers.insert(COOKIE, joined);
    }
}

/// Tells the backend who asked, and for which host.
pub fn forwarded(headers: &mut HeaderMap, client: IpAddr, is_https: bool, authority: &str) {
    if let Ok(value) = HeaderValue::try_from(client.to_canonical().to_string()) {
        headers.insert(FORWARDED_FOR, value);
    }
    let scheme = if is_https { "https" } else { "http" };
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static(scheme));
    if let Ok(value) = HeaderValue::try_from(authority) {
        headers.insert(FORWARDED_HOST, value);
    }
}

/// The request id of the client, where it is short and harmless in logs.
pub fn valid_request_id(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(REQUEST_ID)?.to_str().ok()?;
    let is_harmless = (1..=128).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':'));
    is_harmless.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    #[test]
    fn what_connection_names_does_not_pass() {
        let mut map = headers(&[
            ("connection", "close, X-Secret"),
            ("x-secret", "1"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("x-kept", "1"),
        ]);
        strip_hop_by_hop(&mut map);
        assert_eq!(map.len(), 1);
        assert!(map.contains_key("x-kept"));
    }

    #[test]
    fn cookies_in_several_fields_become_one() {
        let mut map = HeaderMap::new();
        for cookie in ["a=1", "b=2; c=3", "d=4"] {
            map.append(COOKIE, HeaderValue::from_static(cookie));
        }
        to_backend(&mut map, &[]);
        assert_eq!(
            map.get_all(COOKIE).iter().collect::<Vec<_>>(),
            ["a=1; b=2; c=3; d=4"]
        );
    }

    #[test]
    fn identity_and_forwarding_headers_of_clients_do_not_pass() {
        let mut map = headers(&[
            ("x-user-id", "root"),
            ("x_user_id", "root"),
            ("x-forwarded-for", "127.0.0.1"),
            ("forwarded", "for=127.0.0.1"),
            ("x-original-url", "/internal"),
        ]);
        let dropped = to_backend(&mut map, &[HeaderName::from_static("x-user-id")]);
        let counts = (dropped.forwarding, dropped.identity, dropped.underscore);
        assert_eq!(counts, (2, 1, 1));
        forwarded(&mut map, IpAddr::from([192, 0, 2, 1]), true, "shop.example");
        assert_eq!(map.len(), 3);
        assert_eq!(map["x-forwarded-for"], "192.0.2.1");
        assert_eq!(map["x-forwarded-proto"], "https");
        assert_eq!(map["x-forwarded-host"], "shop.example");
    }
}
