//! Who asks, and by which scheme, where proxies stand in front of the gateway.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;

use super::connection::Connection;
use super::headers::{FORWARDED_FOR, FORWARDED_PROTO};

/// Whoever began a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visitor {
    pub client: IpAddr,
    pub is_https: bool,
}

impl Visitor {
    /// The client of a request that came through `hops` trusted proxies. Each of them added the address that it
    /// saw to the end of `X-Forwarded-For`; what stands before these is whatever the client made up.
    pub fn of(connection: &Connection, headers: &HeaderMap, hops: usize) -> Self {
        let direct = Self {
            client: connection.peer,
            is_https: connection.is_tls,
        };
        if hops == 0 {
            return direct;
        }
        Self {
            client: client(connection.peer, headers, hops),
            is_https: scheme(headers).unwrap_or(direct.is_https),
        }
    }
}

fn client(peer: IpAddr, headers: &HeaderMap, hops: usize) -> IpAddr {
    let mut client = peer;
    let fields = headers.get_all(FORWARDED_FOR).iter().rev();
    let texts = fields.filter_map(|field| field.to_str().ok());
    let addresses = texts.flat_map(|text| text.rsplit(','));
    for text in addresses.take(hops) {
        // Where a proxy wrote something else, the last address that one of them vouches for counts.
        let Some(address) = parse(text.trim()) else {
            break;
        };
        client = address;
    }
    client
}

/// An address, with or without a port.
fn parse(text: &str) -> Option<IpAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text);
    let address = bare.parse::<IpAddr>().ok();
    address.or_else(|| text.parse::<SocketAddr>().ok().map(|it| it.ip()))
}

/// What the last proxy says of the scheme.
fn scheme(headers: &HeaderMap) -> Option<bool> {
    let field = headers.get_all(FORWARDED_PROTO).iter().next_back()?;
    let last = field.to_str().ok()?.rsplit(',').next()?.trim();
    if last.eq_ignore_ascii_case("https") {
        Some(true)
    } else {
        last.eq_ignore_ascii_case("http").then_some(false)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn seen(fields: &[&'static str], hops: usize) -> String {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(FORWARDED_FOR, HeaderValue::from_static(field));
        }
        client(IpAddr::from([10, 0, 0, 1]), &headers, hops).to_string()
    }

    #[test]
    fn each_trusted_proxy_vouches_for_one_address_from_the_end() {
        let chain = ["6.6.6.6, 192.0.2.1", "10.0.0.2"];
        assert_eq!(seen(&chain, 0), "10.0.0.1");
        assert_eq!(seen(&chain, 1), "10.0.0.2");
        assert_eq!(seen(&chain, 2), "192.0.2.1");
        assert_eq!(seen(&["192.0.2.1"], 3), "192.0.2.1");
        assert_eq!(seen(&[], 2), "10.0.0.1");
    }

    #[test]
    fn addresses_have_ports_and_nonsense_ends_the_chain() {
        assert_eq!(seen(&["192.0.2.1:4711"], 1), "192.0.2.1");
        assert_eq!(seen(&["[2001:db8::1]:4711"], 1), "2001:db8::1");
        assert_eq!(seen(&["[2001:db8::1]"], 1), "2001:db8::1");
        assert_eq!(seen(&["192.0.2.1, unknown, 10.0.0.2"], 3), "10.0.0.2");
        assert_eq!(seen(&["unknown"], 1), "10.0.0.1");
    }
}
