//! A cache that somebody else runs: what of its Secret is passed on, and where it is.

use super::{Data, Valid};

/// Redis' own port, where the address names none.
const DEFAULT_PORT: u16 = 6379;

/// What a Secret says of a cache.
pub(super) struct Address<'a> {
    uri: &'a str,
    pub(super) port: u16,
}

/// Reads the address; none if it is not one of `redis://` or `rediss://` with a host.
pub(super) fn address(data: &Data) -> Option<Address<'_>> {
    let uri = std::str::from_utf8(data.get("uri")?).ok()?.trim();
    let rest = uri
        .strip_prefix("redis://")
        .or_else(|| uri.strip_prefix("rediss://"))?;
    let authority = rest.split(['/', '?']).next()?;
    let server = authority
        .rsplit_once('@')
        .map_or(authority, |(_, server)| server);
    // The colons of an IPv6 address are in brackets.
    let (host, port) = match server.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (server, None),
    };
    let port = port.map_or(Some(DEFAULT_PORT), |port| port.parse().ok())?;
    (!host.is_empty() && port > 0).then_some(Address { uri, port })
}

impl Valid {
    /// The name of the user's Secret, and what is in it.
    pub(super) fn external_cache(&self) -> Option<(&str, Option<&Data>)> {
        let external = self.storefront.spec.cache.external.as_ref()?;
        let name = external.secret_ref.name.as_str();
        Some((name, self.seen.referenced.get(name)))
    }

    /// What the services are bound to.
    pub(super) fn external_cache_binding(&self) -> Option<Data> {
        let (_, given) = self.external_cache()?;
        let mut data = Data::from([
            ("type".to_owned(), b"redis".to_vec()),
            ("provider".to_owned(), b"external".to_vec()),
        ]);
        if let Some(address) = given.and_then(address) {
            data.insert("uri".into(), address.uri.as_bytes().to_vec());
        }
        if let Some(ca) = given.and_then(|given| given.get("ca.crt")) {
            data.insert("ca.crt".into(), ca.clone());
        }
        Some(data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(uri: &str) -> Option<u16> {
        let data = Data::from([("uri".to_owned(), uri.as_bytes().to_vec())]);
        address(&data).map(|address| address.port)
    }

    #[test]
    fn an_address_is_read_as_the_services_read_it() {
        for (uri, expected) in [
            ("redis://cache.example", Some(6379)),
            ("redis://cache.example:6380/0", Some(6380)),
            (
                "rediss://user:p%40ss@cache.example:6390/2?x=1\n",
                Some(6390),
            ),
            ("rediss://:secret:with:colons@cache.example", Some(6379)),
            ("redis://[2001:db8::1]", Some(6379)),
            ("redis://[2001:db8::1]:7000", Some(7000)),
            ("redis://", None),
            ("redis://:6379", None),
            ("redis://cache.example:many", None),
            ("redis://cache.example:0", None),
            ("redis-cluster://cache.example", None),
            ("cache.example:6379", None),
            ("", None),
        ] {
            assert_eq!(port(uri), expected, "{uri}");
        }
    }
}
