//! The shop's Secrets.

use k8s_openapi::{api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};

use super::{
    Data, Valid,
    bus_cluster::ROUTES,
    data_services::{BUS_USER, nats_config, redis_config},
    material::present,
    signing_keys::{asked, signing_keys},
};
use crate::{Mode, Objects, Planned, pods};

/// End of the name of the Secret with the signing keys.
pub(super) const SIGNING_KEYS: &str = "signing-keys";
const OPAQUE: &str = "Opaque";
const POSTGRESQL: &str = "servicebinding.io/postgresql";
const REDIS: &str = "servicebinding.io/redis";

/// Plans every Secret, in front of whatever mounts it. One whose generated content does not exist yet
/// stays as it is.
pub(super) fn plan(valid: &Valid, objects: &mut Objects<Planned>) {
    let mut keep = |part: &str, kind: &str, data: Option<Data>| {
        push_kept(valid, objects, (part, kind), data);
    };
    let admin_password = generated(valid, "admin", "password");
    keep("admin", OPAQUE, admin_password.map(|it| admin(valid, it)));
    keep(SIGNING_KEYS, OPAQUE, keys(valid));
    let token = generated(valid, "internal", "token");
    keep("internal", OPAQUE, token.map(|it| text([("token", it)])));
    if valid.storefront.spec.database.external.is_none() {
        let password = generated(valid, "postgres-admin", "password");
        let data = password.map(|it| postgres_admin(valid, it));
        keep("postgres-admin", POSTGRESQL, data);
    }
    let nats = generated(valid, "nats-auth", "password");
    let binding = nats.map(|it| nats_binding(valid, it));
    keep("nats-auth", "servicebinding.io/nats", binding);
    let routes = if valid.bus_is_cluster() {
        let routes = generated(valid, ROUTES, "password");
        keep(ROUTES, OPAQUE, routes.map(|it| text([("password", it)])));
        routes
    } else {
        Some("")
    };
    let redis = generated(valid, "redis-auth", "password");
    if valid.external_cache().is_none() {
        keep(
            "redis-auth",
            REDIS,
            redis.map(|it| redis_binding(valid, it)),
        );
    }

    if let Some(data) = valid.certificate() {
        objects.apply(&derived(valid, "tls", "kubernetes.io/tls", data));
    }

    // Made out of the ones above, so there is nothing in them that could be lost.
    if let Some((nats, routes)) = nats.zip(routes) {
        let config = nats_config(valid, nats, routes);
        let config = text([("nats.conf", config.as_str())]);
        objects.apply(&derived(valid, "nats-config", OPAQUE, config));
    } else {
        objects.keep::<Secret>(&valid.scope.namespace, &valid.child("nats-config"));
    }
    cache(valid, objects, redis);
    mail(valid, objects);
}

/// The generated value of a Secret: what the shop has, else what was made for this look.
fn generated<'a>(valid: &'a Valid, part: &str, key: &str) -> Option<&'a str> {
    let name = valid.child(part);
    let fresh = || valid.seen.fresh.passwords.get(&name).map(String::as_str);
    present(valid.seen.own.get(&name), key).or_else(fresh)
}

fn keys(valid: &Valid) -> Option<Data> {
    let own = valid.seen.own.get(&valid.child(SIGNING_KEYS));
    let fresh = valid.seen.fresh.signing_key.as_ref();
    signing_keys(own, fresh, asked(&valid.storefront), valid.seen.now)
}

fn cache(valid: &Valid, objects: &mut Objects<Planned>, password: Option<&str>) {
    let is_lacking = |(secret, _): (&str, _)| valid.lacks(secret);
    if valid.external_cache().is_some_and(is_lacking) {
        // A cache that may still be there is better than none.
        objects.keep::<Secret>(&valid.scope.namespace, &valid.child("redis-auth"));
    } else if let Some(binding) = valid.external_cache_binding() {
        objects.apply(&derived(valid, "redis-auth", REDIS, binding));
    } else if let Some(password) = password {
        let config = redis_config(password);
        let config = text([("redis.conf", config.as_str())]);
        objects.apply(&derived(valid, "redis-config", OPAQUE, config));
    } else {
        objects.keep::<Secret>(&valid.scope.namespace, &valid.child("redis-config"));
    }
}

fn mail(valid: &Valid, objects: &mut Objects<Planned>) {
    let server = &valid.storefront.spec.notifications.email.smtp;
    let login = server.secret_ref.as_ref();
    if login.is_some_and(|login| valid.lacks(&login.name)) {
        // Without its login no mail would go out: the one that there may be is better.
        objects.keep::<Secret>(&valid.scope.namespace, &valid.child("smtp"));
    } else {
        let data = smtp(valid);
        objects.apply(&derived(valid, "smtp", "servicebinding.io/smtp", data));
    }
}

/// A Secret whose content must outlive every mistake of ours: created once, then only kept in shape.
/// With `deletionPolicy: Retain` it has no owner, so that data left behind can still be opened.
fn push_kept(
    valid: &Valid,
    objects: &mut Objects<Planned>,
    (part, kind): (&str, &str),
    data: Option<Data>,
) {
    let name = valid.child(part);
    let Some(data) = data else {
        objects.keep::<Secret>(&valid.scope.namespace, &name);
        return;
    };
    let mode = if valid.seen.own.contains_key(&name) {
        Mode::Apply
    } else {
        Mode::Create
    };
    let mut meta = meta(valid, part);
    if valid.retains() {
        meta.owner_references = None;
    }
    objects.push(mode, &pods::secret(meta, kind, data));
}

fn derived(valid: &Valid, part: &str, kind: &str, data: Data) -> Secret {
    pods::secret(meta(valid, part), kind, data)
}

fn meta(valid: &Valid, part: &str) -> ObjectMeta {
    let name = valid.child(part);
    valid.scope.meta(&name, part, &name)
}

fn text<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Data {
    pairs
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.as_bytes().to_vec()))
        .collect()
}

fn admin(valid: &Valid, password: &str) -> Data {
    let host = valid
        .storefront
        .spec
        .hostnames
        .first()
        .map_or("localhost", String::as_str);
    let email = format!("admin@{host}");
    text([
        ("email", email.as_str()),
        ("username", "admin"),
        ("password", password),
    ])
}

fn postgres_admin(valid: &Valid, password: &str) -> Data {
    let host = format!("{}.{}.svc", valid.child("postgres"), valid.scope.namespace);
    text([
        ("type", "postgresql"),
        ("provider", "storefront"),
        ("host", host.as_str()),
        ("port", "5432"),
        ("username", "postgres"),
        ("password", password),
    ])
}

fn nats_binding(valid: &Valid, password: &str) -> Data {
    let host = valid.child("nats");
    let uri = format!("nats://{host}:4222");
    let mut data = text([
        ("type", "nats"),
        ("provider", "storefront"),
        ("host", host.as_str()),
        ("port", "4222"),
        ("uri", uri.as_str()),
        ("username", BUS_USER),
        ("password", password),
    ]);
    // Said only where it is another number than one: a Secret that changes restarts its users.
    if valid.bus_is_cluster() {
        let replicas = valid.bus_servers().to_string().into_bytes();
        data.insert("replicas".into(), replicas);
    }
    data
}

fn redis_binding(valid: &Valid, password: &str) -> Data {
    let host = valid.child("redis");
    let uri = format!("redis://:{password}@{host}:6379/0");
    text([
        ("type", "redis"),
        ("provider", "storefront"),
        ("host", host.as_str()),
        ("port", "6379"),
        ("uri", uri.as_str()),
        ("password", password),
    ])
}

fn smtp(valid: &Valid) -> Data {
    let smtp = &valid.storefront.spec.notifications.email.smtp;
    let port = smtp.port.to_string();
    let mut data = text([
        ("type", "smtp"),
        ("provider", "storefront"),
        ("host", smtp.host.as_str()),
        ("port", port.as_str()),
        ("from", smtp.from.as_str()),
    ]);
    let login = smtp
        .secret_ref
        .as_ref()
        .and_then(|r| valid.seen.referenced.get(&r.name));
    for key in ["username", "password"] {
        if let Some(value) = login.and_then(|login| login.get(key)) {
            data.insert(key.to_owned(), value.clone());
        }
    }
    data
}
