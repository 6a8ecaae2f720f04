//! A cache that somebody else runs: what of its Secret is passed on, and where it is.

use super::{Data, Valid};

/// Redis' own port, where the address names none.
const DEFAULT_PORT: u16 = 6379;

/// What a Secret says of a cache.
pub(super) struct Address<'a> {
    uri: &'a str,
    host: &'a str,
    pub(super) port: u16,
    /// As they stand in the URI.
    user: &'a str,
    password: &'a str,
}

/// Reads the address; none if it is not one of `redis://` or `rediss://` with a host.
pub(super) fn address(data: &Data) -> Option<Address<'_>> {
    let uri = std::str::from_utf8(data.get("uri")?).ok()?.trim();
    let rest = uri
        .strip_prefix("redis://")
        .or_else(|| uri.strip_prefix("rediss://"))?;
    let authority = rest.split(['/', '?']).next()?;
    let (login, server) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    // The colons of an IPv6 address are in brackets.
    let (host, port) = match server.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
        _ => (server, DEFAULT_PORT),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    (!host.is_empty() && port > 0).then_some(Address {
        uri,
        host,
        port,
        user,
        password,
    })
}

/// What a part of a URI stands for.
fn decoded(text: &str) -> Vec<u8> {
    let hex = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    let mut bytes = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.as_bytes().get(at) {
        let escaped = (*byte == b'%').then(|| hex(at + 1)).flatten();
        bytes.push(escaped.unwrap_or(*byte));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    bytes
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
            let said = [
                ("uri", address.uri.as_bytes().to_vec()),
                ("host", address.host.as_bytes().to_vec()),
                ("port", address.port.to_string().into_bytes()),
                ("username", decoded(address.user)),
                ("password", decoded(address.password)),
            ];
            let said = said.into_iter().filter(|(_, value)| !value.is_empty());
            data.extend(said.map(|(key, value)| (key.to_owned(), value)));
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

    #[test]
    fn its_parts_are_given_as_they_are_meant() {
        let uri = b"rediss://shop:p%40ss%zz%4@[2001:db8::1]:7000/0".to_vec();
        let data = Data::from([("uri".to_owned(), uri)]);
        let address = address(&data).expect("an address");
        assert_eq!((address.host, address.port), ("2001:db8::1", 7000));
        assert_eq!(decoded(address.user), b"shop");
        assert_eq!(decoded(address.password), b"p@ss%zz%4");
    }
}
