//! Storefronts of every shape that the schema admits.

use crds::{
    DeletionPolicy, EnvVar, LocalRef, Nats, OtherHosts, Redis, Replicas, ServiceOverride,
    Storefront,
    storefront::{
        Cache, Database, EmbeddedPostgres, ExternalPostgres, ExternalRedis, GatewayTls, IssuerRef,
        SelfSigned,
    },
};
use proptest::prelude::*;
use proptest::sample::select;

use crate::fixtures::{shop, stored};

fn database() -> impl Strategy<Value = Database> {
    let external = ExternalPostgres {
        admin_secret_ref: LocalRef::new("users-database"),
    };
    let embedded = |class: Option<&str>| Database {
        embedded: Some(EmbeddedPostgres {
            storage_class_name: class.map(Into::into),
            ..EmbeddedPostgres::default()
        }),
        external: None,
        backup: None,
        rotation: None,
    };
    select(vec![
        embedded(None),
        embedded(Some("fast")),
        Database {
            embedded: None,
            external: Some(external),
            backup: None,
            rotation: None,
        },
    ])
}

fn cache() -> impl Strategy<Value = Cache> {
    let external = ExternalRedis {
        secret_ref: LocalRef::new("users-cache"),
    };
    select(vec![
        Cache {
            redis: Some(Redis::default()),
            external: None,
        },
        Cache {
            redis: None,
            external: Some(external),
        },
    ])
}

fn tls() -> impl Strategy<Value = Option<GatewayTls>> {
    let issuer = IssuerRef {
        name: "issuer".into(),
        kind: "ClusterIssuer".into(),
        group: None,
    };
    select(vec![
        None,
        Some(GatewayTls {
            secret_ref: Some(LocalRef::new("users-certificate")),
            ..GatewayTls::default()
        }),
        Some(GatewayTls {
            issuer_ref: Some(issuer),
            ..GatewayTls::default()
        }),
        Some(GatewayTls {
            self_signed: Some(SelfSigned::default()),
            ..GatewayTls::default()
        }),
    ])
}

fn order_override() -> impl Strategy<Value = Option<ServiceOverride>> {
    let replicas = Replicas {
        min: 2,
        max: Some(5),
        ..Replicas::default()
    };
    let env = vec![EnvVar {
        name: "LOG".into(),
        value: "debug".into(),
    }];
    select(vec![
        None,
        Some(ServiceOverride {
            replicas: Some(replicas),
            env,
            ..ServiceOverride::default()
        }),
    ])
}

prop_compose! {
    /// A Storefront as the API server would store it.
    pub fn any_shop()(
        name in "[a-z]([-a-z0-9]{0,38}[a-z0-9])?",
        hosts in 1_usize..=8,
        database in database(),
        cache in cache(),
        replicas in select(vec![1, 3]),
        (tls, other_hosts) in (tls(), select(vec![OtherHosts::Refuse, OtherHosts::Accept])),
        deletion_policy in select(vec![DeletionPolicy::Retain, DeletionPolicy::Delete]),
        has_login in any::<bool>(),
        order in order_override(),
        is_traced in any::<bool>(),
    ) -> Storefront {
        let mut shop = shop("storefront-full.yaml");
        shop.metadata.name = Some(name);
        stored(&mut shop);
        let spec = &mut shop.spec;
        spec.hostnames = (0..hosts).map(|index| format!("shop{index}.example")).collect();
        spec.database = database;
        spec.cache = cache;
        spec.queue.nats = Nats { replicas, ..Nats::default() };
        spec.gateway.tls = tls;
        spec.gateway.other_hosts = other_hosts;
        spec.deletion_policy = deletion_policy;
        let login = has_login.then(|| LocalRef::new("users-mail"));
        spec.notifications.email.smtp.secret_ref = login;
        spec.services = order.map(|order| ("order".to_owned(), order)).into_iter().collect();
        if !is_traced {
            spec.observability = None;
        }
        shop
    }
}
