//! A Redis that the user runs; a Secret says where.

use crds::StorefrontSpec;
use percent_encoding::percent_decode_str;
use url::{Host, Url};

use super::{
    embedded::Embedded,
    external, policy,
    role::{Role, binding_secret},
    server::{Reference, Server, Unreadable},
};
use crate::{
    Applied, Invalid, Objects, Planned,
    own_secret::OwnSecret,
    readiness::Part,
    storefront::{Data, Valid, secret},
};

/// Redis' own port, where the address names none.
const DEFAULT_PORT: u16 = 6379;
/// By which workloads are bound to the cache.
const AUTH: OwnSecret = OwnSecret::computed(binding_secret(crds::Uses::Cache));

/// A Redis that the user runs.
pub(super) struct ExternalRedis;

impl Server for ExternalRedis {
    fn embedded(&self) -> Option<&'static Embedded> {
        None
    }

    fn check(&self, _: &StorefrontSpec) -> Result<(), Invalid> {
        Ok(())
    }

    fn reference<'a>(&self, spec: &'a StorefrontSpec) -> Option<Reference<'a>> {
        let external = spec.cache.external.as_ref()?;
        Some(Reference {
            field: "spec.cache.external.secretRef",
            name: &external.secret_ref.name,
            keys: &["uri"],
            check: |data| {
                address(data).map(drop).ok_or(Unreadable {
                    key: "uri",
                    must: "must be redis://<host> or rediss://<host>, with a port where it is not 6379",
                })
            },
        })
    }

    fn secrets(&self) -> &'static [OwnSecret] {
        // The second name stays taken, because a shop may go back to a Redis of its own.
        const { &[AUTH, OwnSecret::computed("redis-config")] }
    }

    fn plan_credentials(&self, _: &Valid, _: &mut Objects<Planned>) {}

    /// While the user's Secret is missing, workloads keep the binding that they have.
    fn plan_configuration(&self, valid: &Valid, objects: &mut Objects<Planned>) {
        let given = external::given(valid, self.reference(&valid.storefront.spec));
        let kind = "servicebinding.io/redis";
        secret::plan_computed(valid, objects, (&AUTH, kind), given.map(binding));
    }

    fn plan_policies(&self, valid: &Valid, objects: &mut Objects<Planned>) {
        let given = external::given(valid, self.reference(&valid.storefront.spec));
        let port = given
            .and_then(address)
            .map(|address| i32::from(address.port));
        policy::plan_external(valid, objects, ("cache", Role::Cache), port);
    }

    fn plan_workload(&self, _: &Valid, _: &mut Objects<Planned>) {}

    fn readiness(
        &self,
        spec: &StorefrontSpec,
        _: &str,
        valid: Option<&Valid>,
        _: &Objects<Applied>,
    ) -> Part {
        external::readiness(self.reference(spec), valid)
    }
}

/// Where the cache is, as the `uri` of a Secret says.
struct Address<'a> {
    uri: &'a str,
    host: String,
    port: u16,
    user: Vec<u8>,
    password: Vec<u8>,
}

/// Reads the address; none if it is not one of `redis://` or `rediss://` with a host.
fn address(data: &Data) -> Option<Address<'_>> {
    let uri = std::str::from_utf8(data.get("uri")?).ok()?.trim();
    let url = Url::parse(uri).ok()?;
    let host = match url.host()? {
        // Only numbers of special schemes are parsed as addresses of version 4.
        Host::Domain(name) => name.to_owned(),
        Host::Ipv4(ip) => ip.to_string(),
        Host::Ipv6(ip) => ip.to_string(),
    };
    let port = url.port().unwrap_or(DEFAULT_PORT);
    let is_redis = matches!(url.scheme(), "redis" | "rediss");
    (is_redis && !host.is_empty() && port > 0).then(|| Address {
        uri,
        host,
        port,
        user: percent_decode_str(url.username()).collect(),
        password: percent_decode_str(url.password().unwrap_or_default()).collect(),
    })
}

/// What the services are bound to.
fn binding(given: &Data) -> Data {
    let mut data = secret::text([("type", "redis"), ("provider", "external")]);
    if let Some(address) = address(given) {
        let parts = [
            ("uri", address.uri.as_bytes().to_vec()),
            ("host", address.host.into_bytes()),
            ("port", address.port.to_string().into_bytes()),
            ("username", address.user),
            ("password", address.password),
        ];
        let parts = parts.into_iter().filter(|(_, value)| !value.is_empty());
        data.extend(parts.map(|(key, value)| (key.to_owned(), value)));
    }
    if let Some(ca) = given.get("ca.crt") {
        data.insert("ca.crt".into(), ca.clone());
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret_with(uri: &str) -> Data {
        Data::from([("uri".to_owned(), uri.as_bytes().to_vec())])
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
            ("https://cache.example", None),
            ("cache.example:6379", None),
            ("", None),
        ] {
            let data = secret_with(uri);
            let port = address(&data).map(|address| address.port);
            assert_eq!(port, expected, "{uri}");
        }
    }

    #[test]
    fn its_parts_are_given_as_they_are_meant() {
        let uri = "rediss://shop:p%40ss%zz%4@[2001:db8::1]:7000/0";
        let data = secret_with(uri);
        let address = address(&data).expect("an address");
        assert_eq!((address.host.as_str(), address.port), ("2001:db8::1", 7000));
        assert_eq!(address.user, b"shop");
        assert_eq!(address.password, b"p@ss%zz%4");
        assert_eq!(binding(&data)["uri"], uri.as_bytes());
    }

    #[test]
    fn a_host_is_passed_on_as_it_is_written() {
        for host in ["Cache.Example", "10.0.0.7", "cache_1.example"] {
            let data = secret_with(&format!("redis://{host}"));
            assert_eq!(binding(&data)["host"], host.as_bytes());
        }
    }
}
