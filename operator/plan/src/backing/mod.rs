//! The servers behind the services of a shop. A server is one file that implements [`server::Server`]
//! and one variant below; the compiler names what else has to know it.

mod embedded;
mod external;
mod external_postgres;
mod external_redis;
mod nats;
mod policy;
pub(crate) mod postgres;
mod redis;
pub(crate) mod role;
pub(crate) mod server;
pub(crate) mod trial;
pub(crate) mod volume;
mod workload;

use std::collections::BTreeMap;

use crds::{LocalRef, ServerRef, StorefrontSpec, Uses, VolumeSizes};
use k8s_openapi::api::{
    core::v1::{Secret, Service},
    networking::v1::NetworkPolicy,
};

use self::{
    embedded::Embedded,
    role::Role,
    server::{Reference, Server},
};
use crate::{
    Applied, Invalid, Objects, Planned,
    clients::Client,
    names,
    own_secret::OwnSecret,
    readiness::Part,
    storefront::{Data, Valid},
    trouble::PodsOf,
};

/// A server behind the services of a shop, by what it does for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backing {
    Database(Database),
    Bus(Bus),
    Cache(Cache),
}

/// Servers that hold the databases of the services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Database {
    Postgres,
    ExternalPostgres,
}

/// Servers that carry events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bus {
    Nats,
}

/// Servers that hold what may be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cache {
    Redis,
    ExternalRedis,
}

impl Database {
    /// The one that a shop with this spec uses.
    pub(crate) fn of(spec: &StorefrontSpec) -> Self {
        match spec.database.external {
            Some(_) => Self::ExternalPostgres,
            None => Self::Postgres,
        }
    }

    /// The Secret with the login of the server's administrator, for a shop called `shop`.
    pub(crate) fn admin_secret(self, spec: &StorefrontSpec, shop: &str) -> Option<String> {
        match self {
            Self::Postgres => Some(names::child(shop, postgres::ADMIN.part)),
            Self::ExternalPostgres => {
                let reference = Backing::Database(self).reference(spec)?;
                Some(reference.name.to_owned())
            }
        }
    }

    /// How a DatabaseBinding of the shop refers to the server.
    pub(crate) fn server_ref(self, valid: &Valid) -> ServerRef {
        self.server_ref_of(&valid.storefront.spec, valid.name())
    }

    /// The same, for a shop called `shop`.
    pub(crate) fn server_ref_of(self, spec: &StorefrontSpec, shop: &str) -> ServerRef {
        match self {
            Self::Postgres => ServerRef {
                storefront: Some(shop.to_owned()),
                admin_secret: None,
            },
            Self::ExternalPostgres => ServerRef {
                storefront: None,
                admin_secret: self.admin_secret(spec, shop).map(LocalRef::new),
            },
        }
    }
}

impl Cache {
    /// The one that a shop with this spec uses.
    fn of(spec: &StorefrontSpec) -> Self {
        match spec.cache.external {
            Some(_) => Self::ExternalRedis,
            None => Self::Redis,
        }
    }
}

impl Backing {
    /// Every server that there is.
    pub(crate) const ALL: [Self; 5] = [
        Self::Database(Database::Postgres),
        Self::Database(Database::ExternalPostgres),
        Self::Bus(Bus::Nats),
        Self::Cache(Cache::Redis),
        Self::Cache(Cache::ExternalRedis),
    ];

    /// The servers of a shop, in the order in which they are planned and reported.
    pub(crate) fn of(spec: &StorefrontSpec) -> [Self; 3] {
        [
            Self::Database(Database::of(spec)),
            Self::Bus(Bus::Nats),
            Self::Cache(Cache::of(spec)),
        ]
    }

    /// What the server does for the shop.
    pub(crate) const fn role(self) -> Role {
        match self {
            Self::Database(_) => Role::Database,
            Self::Bus(_) => Role::Bus,
            Self::Cache(_) => Role::Cache,
        }
    }

    fn server(self) -> &'static dyn Server {
        match self {
            Self::Database(Database::Postgres) => &postgres::Postgres,
            Self::Database(Database::ExternalPostgres) => &external_postgres::ExternalPostgres,
            Self::Bus(Bus::Nats) => &nats::Nats,
            Self::Cache(Cache::Redis) => &redis::Redis,
            Self::Cache(Cache::ExternalRedis) => &external_redis::ExternalRedis,
        }
    }

    /// The Secrets that are made for the server.
    pub(crate) fn secrets(self) -> &'static [OwnSecret] {
        self.server().secrets()
    }

    /// The user's Secret that says where the server is.
    pub(crate) fn reference(self, spec: &StorefrontSpec) -> Option<Reference<'_>> {
        self.server().reference(spec)
    }

    /// The server as the status reports it.
    pub(crate) fn readiness(
        self,
        spec: &StorefrontSpec,
        shop: &str,
        valid: Option<&Valid>,
        objects: &Objects<Applied>,
    ) -> Part {
        let part = self.server().readiness(spec, shop, valid, objects);
        let set = self.server().embedded();
        let set = set.map(|server| format!("{shop}-{}", server.part));
        let lost = set.and_then(|set| volume::being_deleted(self.role(), &set, valid, objects));
        match lost {
            // Its pods may have something to say all the same.
            Some(lost) => Part {
                pods: part.pods,
                ..lost
            },
            None => part,
        }
    }
}

/// The Secret of the shop from which the login of a workload at a part of the platform is made, or which is
/// the binding itself, where the user runs the server.
pub(crate) fn login_secret(spec: &StorefrontSpec, part: Uses) -> &'static str {
    match part {
        Uses::Bus => nats::LOGINS.part,
        Uses::Cache if spec.cache.external.is_some() => role::binding_secret(part),
        Uses::Cache => redis::LOGINS.part,
    }
}

/// The binding of a workload to a part of the platform of the shop called `shop`, from the content of
/// [`login_secret`]. `None`: that Secret is itself what is bound.
pub(crate) fn binding(
    (spec, shop): (&StorefrontSpec, &str),
    part: Uses,
    client: &Client,
    secret: &Data,
) -> Option<(&'static str, Data)> {
    if part == Uses::Cache && spec.cache.external.is_some() {
        return None;
    }
    let key = secret
        .get("key")
        .and_then(|key| std::str::from_utf8(key).ok());
    let key = key.unwrap_or_default();
    Some(match part {
        Uses::Bus => (
            "servicebinding.io/nats",
            nats::binding(spec, shop, client, key),
        ),
        Uses::Cache => ("servicebinding.io/redis", redis::binding(shop, client, key)),
    })
}

/// Whether the servers can be made as the spec says. That exactly one is given of each is a rule of the definition too. An
/// object may be older than the rule, and an API server may still have the definition of another release: then neither
/// server may be taken for the one that is meant.
pub(crate) fn check(spec: &StorefrontSpec) -> Result<(), Invalid> {
    if spec.cache.redis.is_some() == spec.cache.external.is_some() {
        return Err(Invalid::new(
            "CacheAmbiguous",
            "spec.cache: give exactly one of redis or external",
        ));
    }
    if spec.database.embedded.is_some() == spec.database.external.is_some() {
        return Err(Invalid::new(
            "DatabaseAmbiguous",
            "spec.database: give exactly one of embedded or external",
        ));
    }
    let mut backings = Backing::of(spec).into_iter();
    backings.try_for_each(|backing| backing.server().check(spec))
}

fn embedded(spec: &StorefrontSpec) -> impl Iterator<Item = &'static Embedded> {
    let servers = Backing::of(spec).into_iter().map(Backing::server);
    servers.filter_map(Server::embedded)
}

fn servers(valid: &Valid) -> impl Iterator<Item = &'static dyn Server> {
    Backing::of(&valid.storefront.spec)
        .into_iter()
        .map(Backing::server)
}

/// Plans the Secrets with generated content.
pub(crate) fn plan_credentials(valid: &Valid, objects: &mut Objects<Planned>) {
    servers(valid).for_each(|server| server.plan_credentials(valid, objects));
}

/// Plans the Secrets that are computed from other ones.
pub(crate) fn plan_configuration(valid: &Valid, objects: &mut Objects<Planned>) {
    servers(valid).for_each(|server| server.plan_configuration(valid, objects));
}

/// Plans who may connect to the servers.
pub(crate) fn plan_policies(valid: &Valid, objects: &mut Objects<Planned>) {
    servers(valid).for_each(|server| server.plan_policies(valid, objects));
}

/// Plans the trials of new images and the growth of volumes, then what runs the servers.
pub(crate) fn plan_workloads(valid: &Valid, objects: &mut Objects<Planned>) {
    for server in embedded(&valid.storefront.spec) {
        trial::plan(valid, server, objects);
        volume::plan_growth(valid, server, objects);
    }
    servers(valid).for_each(|server| server.plan_workload(valid, objects));
    embedded(&valid.storefront.spec).for_each(|server| volume::hold(valid, server, objects));
    keep_replaced(valid, objects);
}

/// Leaves a server as it is that one of the user is to replace, as long as the user's Secret is missing: the services
/// still use it. A database is never replaced.
fn keep_replaced(valid: &Valid, objects: &mut Objects<Planned>) {
    let (spec, namespace) = (&valid.storefront.spec, &valid.scope.namespace);
    let replacing = Backing::of(spec).into_iter().filter(|backing| {
        let reference = backing.reference(spec);
        reference.is_some_and(|reference| valid.lacks(reference.name))
            && backing.role() != Role::Database
    });
    for backing in replacing {
        let others = Backing::ALL.into_iter();
        let others = others.filter(|other| other.role() == backing.role() && *other != backing);
        for server in others.filter_map(|other| other.server().embedded()) {
            let name = valid.child(server.part);
            trial::keep(server, (namespace, valid.name()), objects);
            objects.keep::<Service>(namespace, &name);
            objects.keep::<NetworkPolicy>(namespace, &name);
            objects.keep::<NetworkPolicy>(namespace, &format!("{name}-clients"));
            objects.keep::<Secret>(namespace, &format!("{name}-config"));
        }
    }
}

/// The workloads of the shop's embedded servers, to be read and left as they are.
pub(crate) fn live(spec: &StorefrontSpec, (namespace, shop): (&str, &str)) -> Objects<Planned> {
    let mut objects = Objects::new();
    embedded(spec).for_each(|server| trial::keep(server, (namespace, shop), &mut objects));
    objects
}

/// The parts that have volumes, of any shop.
pub(crate) fn parts_with_volumes() -> Vec<&'static str> {
    let servers = Backing::ALL.into_iter();
    let embedded = servers.filter_map(|backing| backing.server().embedded());
    let sets = embedded.filter(|server| server.workload == embedded::Workload::StatefulSet);
    sets.map(|server| server.part).collect()
}

/// The volume claims of the shop's embedded servers, with the labels that they have.
pub(crate) fn claims(
    spec: &StorefrontSpec,
    shop: &str,
) -> impl Iterator<Item = (String, BTreeMap<String, String>)> {
    embedded(spec).flat_map(move |server| volume::claims(spec, shop, server))
}

/// The sizes that the volumes of the shop's servers have been given; `None` while none is known.
pub(crate) fn volume_sizes(
    spec: &StorefrontSpec,
    shop: &str,
    objects: &Objects<Applied>,
) -> Option<VolumeSizes> {
    let size = |role: Role| {
        let mut backings = Backing::of(spec).into_iter();
        let server = backings.find(|backing| backing.role() == role)?.server();
        volume::size_of(objects, &format!("{shop}-{}", server.embedded()?.part))
    };
    let sizes = VolumeSizes {
        database: size(Role::Database),
        queue: size(Role::Bus),
    };
    (sizes != VolumeSizes::default()).then_some(sizes)
}

/// Reason and Job of the first server that keeps its image until the new one is known to start.
pub(crate) fn awaited_trial(
    valid: &Valid,
    objects: &Objects<Applied>,
) -> Option<(&'static str, Part)> {
    embedded(&valid.storefront.spec).find_map(|server| trial::awaited(valid, server, objects))
}

/// Whether some server keeps its image until the new one is known to start.
pub(crate) fn awaits_trial(valid: &Valid) -> bool {
    embedded(&valid.storefront.spec).any(|server| trial::is_awaited(valid, server))
}

/// Pods of the Jobs of servers that keep their image.
pub(crate) fn pods_of_trials(valid: &Valid) -> Vec<PodsOf> {
    embedded(&valid.storefront.spec)
        .filter_map(|server| trial::pods_of(valid, server))
        .collect()
}
