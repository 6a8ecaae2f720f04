//! The services of a shop: what each is bound to, which services it calls, and which paths it answers.

use crds::{
    Access, Accounts, AuthMode, DatabaseBinding, DatabaseBindingSpec, DeletionPolicy, EnvVar,
    LocalRef, Migrate, OtherHosts, PodSettings, Route, ServiceBinding, ServiceDeployment,
    ServiceDeploymentSpec, StorefrontSpec, duration_secs,
};
use gateway_routes::{OwnRoutes, path::takes};
use service_catalogue::Service;

use super::{
    METRICS_PORT, SERVICE_PORT, Valid,
    known::SIGNING_KEYS,
    secrets::{ADMIN, INTERNAL, SMTP},
};
use crate::{
    Mode, Objects, Planned, backing::Database, clients::uses, names, objects::planned,
    own_secret::OwnSecret, settings::Settings,
};

/// What the platform must know about a service to run it; names and databases are in `service-catalogue`.
struct Entry {
    /// Besides auth, whose keys every service reads.
    calls: &'static [Service],
    /// Secrets of the shop, each bound by the end of its name.
    secrets: &'static [OwnSecret],
    routes: &'static [(&'static str, AuthMode)],
    /// Roles of which a caller needs one on every route; empty: any.
    roles: &'static [&'static str],
}

use AuthMode::{Optional, Public, Required};

const fn entry(service: Service) -> Entry {
    match service {
        Service::Auth => Entry {
            calls: &[],
            secrets: &[SIGNING_KEYS, ADMIN, INTERNAL],
            routes: &[
                ("/v1/users/register", Public),
                ("/v1/users/confirm", Public),
                ("/v1/users/login", Public),
                ("/v1/auth", Public),
                ("/.well-known", Public),
            ],
            roles: &[],
        },
        Service::User => Entry {
            calls: &[Service::Auth],
            secrets: &[INTERNAL],
            routes: &[("/v1/users", Required)],
            roles: &[],
        },
        Service::Product => Entry {
            calls: &[],
            secrets: &[INTERNAL],
            routes: &[("/v1/products", Optional), ("/v1/categories", Optional)],
            roles: &[],
        },
        Service::Order => Entry {
            calls: &[Service::User, Service::Product, Service::Payment],
            secrets: &[INTERNAL],
            routes: &[("/v1/orders", Required)],
            roles: &[],
        },
        Service::Payment => Entry {
            calls: &[],
            secrets: &[INTERNAL],
            routes: &[("/v1/payments", Required)],
            roles: &[],
        },
        Service::Notification => Entry {
            calls: &[],
            secrets: &[SMTP, INTERNAL],
            routes: &[("/v1/notifications", Required)],
            roles: &["admin"],
        },
        Service::Web => Entry {
            calls: &[
                Service::User,
                Service::Product,
                Service::Order,
                Service::Payment,
            ],
            secrets: &[],
            routes: &[("/", Public)],
            roles: &[],
        },
    }
}

/// The route of a service that `path` equals or is below, and that service. The `/` of the pages takes
/// only `/` itself: every other free path is open to a team's workloads.
pub fn platform_path(path: &str) -> Option<(String, Service)> {
    Service::ALL
        .into_iter()
        .flat_map(|service| {
            routes(service)
                .into_iter()
                .map(move |route| (route.path, service))
        })
        .find(|(taken, _)| takes(taken, path))
}

/// The routes of a shop, so that its Gateway lets no other route take requests from them.
pub(super) fn own_routes(shop: &str) -> OwnRoutes {
    let mut own = OwnRoutes::default();
    for service in Service::ALL {
        let workload = format!("{shop}-{service}");
        for route in routes(service) {
            let roles = route.roles.into_iter().collect();
            let name = names::route(&workload, route.auth, &roles);
            own.add(&workload, &name, &route.path);
        }
    }
    own
}

/// Plans a DatabaseBinding for each service with a database, and a ServiceDeployment for each service.
pub(super) fn plan(valid: &Valid, objects: &mut Objects<Planned>) {
    for service in Service::ALL.into_iter().filter(|s| s.has_database()) {
        let binding = database_binding(valid, service, DeletionPolicy::Retain);
        objects.apply(&binding);
    }
    for service in Service::ALL {
        let deployment = service_deployment(valid, service);
        if valid.seen.scaled.contains(&valid.child(service.name())) {
            objects.items.push(scaled(&deployment));
        } else {
            objects.apply(&deployment);
        }
    }
}

/// A service whose number of pods an autoscaler of somebody else writes: the Storefront names none.
fn scaled(deployment: &ServiceDeployment) -> Planned {
    let at_least = deployment.spec.replicas.min;
    let mut planned = planned(Mode::ApplyScaled { at_least }, deployment);
    if let Some(spec) = planned.body["spec"].as_object_mut() {
        spec.remove("replicas");
    }
    planned
}

/// The binding of a service to its own database. While the shop exists it retains its data, whoever deletes
/// it: only the shop's own end says what becomes of that.
pub(super) fn database_binding(
    valid: &Valid,
    service: Service,
    reclaim_policy: DeletionPolicy,
) -> DatabaseBinding {
    let name = valid.child(service.name());
    let shop = &valid.storefront.spec;
    let mut spec = DatabaseBindingSpec {
        server_ref: Database::of(shop).server_ref(valid),
        database: None,
        access: Access::Owner,
        grants: Vec::new(),
        extensions: Vec::new(),
        rotation: None,
        reclaim_policy,
        backup: None,
    };
    set_terms(shop, service, &mut spec);
    let mut binding = DatabaseBinding::new(&name, spec);
    binding.metadata = valid.scope.meta(&name, service.name(), &name);
    binding
}

/// Sets what a shop decides of the binding of a service, besides its server and its end.
pub(crate) fn set_terms(shop: &StorefrontSpec, service: Service, spec: &mut DatabaseBindingSpec) {
    let wanted = shop.overrides(service);
    spec.grants = wanted.map_or_else(Vec::new, |wanted| wanted.grants.clone());
    spec.extensions = Vec::new();
    spec.rotation.clone_from(&shop.database.rotation);
    spec.backup.clone_from(&shop.database.backup);
}

fn service_deployment(valid: &Valid, service: Service) -> ServiceDeployment {
    let name = valid.child(service.name());
    let mut deployment = ServiceDeployment::new(&name, service_spec(valid, service));
    deployment.metadata = valid.scope.meta(&name, service.name(), &name);
    deployment
}

/// What a service of the shop asks for.
pub(super) fn service_spec(valid: &Valid, service: Service) -> ServiceDeploymentSpec {
    let entry = entry(service);
    let wanted = valid.storefront.spec.overrides(service);
    let wanted = wanted.cloned().unwrap_or_default();
    let own = (wanted.pods.as_deref(), wanted.resources.as_ref());
    let settings = Settings::of_part(&valid.storefront.spec, own);
    ServiceDeploymentSpec {
        storefront_ref: LocalRef::new(valid.name()),
        image: valid.image(service.name()),
        image_pull_policy: None,
        image_pull_secrets: settings.image_pull_secrets,
        command: Vec::new(),
        args: vec!["serve".into()],
        port: SERVICE_PORT,
        metrics_port: Some(METRICS_PORT),
        routes: routes(service),
        bindings: bindings(valid, service),
        uses: uses(service).to_vec(),
        events: None,
        calls: entry
            .calls
            .iter()
            .map(|callee| valid.child(callee.name()))
            .collect(),
        egress_ports: egress_ports(valid, service),
        migrate: service.has_database().then(Migrate::default),
        env: environment(valid, service, &wanted.env),
        replicas: wanted.replicas.unwrap_or_default(),
        resources: settings.resources,
        pods: (settings.pods != PodSettings::default()).then(|| Box::new(settings.pods)),
        probes: None,
        paused: false,
    }
}

/// Ports outside the shop that a service connects to.
fn egress_ports(valid: &Valid, service: Service) -> Vec<i32> {
    match service {
        Service::Notification => vec![valid.storefront.spec.notifications.email.smtp.port],
        Service::Auth
        | Service::User
        | Service::Product
        | Service::Order
        | Service::Payment
        | Service::Web => Vec::new(),
    }
}

fn routes(service: Service) -> Vec<Route> {
    let entry = entry(service);
    let own = entry.routes.iter().map(|(path, auth)| Route {
        path: (*path).to_owned(),
        auth: *auth,
        roles: entry.roles.iter().map(|role| (*role).to_owned()).collect(),
    });
    let document = service.has_api().then(|| Route {
        path: format!("/openapi/{service}.json"),
        auth: Public,
        roles: Vec::new(),
    });
    own.chain(document).collect()
}

fn bindings(valid: &Valid, service: Service) -> Vec<ServiceBinding> {
    let database = service.has_database().then(|| ServiceBinding {
        name: Some("database".into()),
        database_binding: Some(valid.child(service.name())),
        secret_ref: None,
    });
    let secrets = entry(service).secrets.iter().map(|secret| ServiceBinding {
        name: Some(secret.part.to_owned()),
        database_binding: None,
        secret_ref: Some(LocalRef::new(valid.child(secret.part))),
    });
    database.into_iter().chain(secrets).collect()
}

/// Variables of one service only, and those of the user, which win.
fn environment(valid: &Valid, service: Service, wanted: &[EnvVar]) -> Vec<EnvVar> {
    let own = own_environment(valid, service).into_iter();
    let own = own.filter(|own| wanted.iter().all(|user| user.name != own.name));
    own.chain(wanted.iter().cloned()).collect()
}

fn own_environment(valid: &Valid, service: Service) -> Vec<EnvVar> {
    let spec = &valid.storefront.spec;
    let var = |name: &str, value: String| {
        let name = name.to_owned();
        vec![EnvVar { name, value }]
    };
    match service {
        Service::Auth => accounts(&spec.accounts),
        Service::Payment => {
            let methods = spec.payments.iter().map(|method| method.name.as_str());
            var("PAYMENT_METHODS", methods.collect::<Vec<_>>().join(","))
        }
        // Pages link to the host of the request. Where any host is accepted, only a listed or a
        // loopback one is repeated.
        Service::Web if spec.gateway.other_hosts == OtherHosts::Accept => {
            var("SHOP_HOSTS", spec.hostnames.join(","))
        }
        Service::Web
        | Service::User
        | Service::Product
        | Service::Order
        | Service::Notification => Vec::new(),
    }
}

/// The limits of logins and registrations; those that nobody set are the service's own.
fn accounts(accounts: &Accounts) -> Vec<EnvVar> {
    let (logins, registrations) = (&accounts.failed_logins, &accounts.registrations);
    let secs = |window: &Option<String>| window.as_deref().and_then(duration_secs);
    let count = |count: Option<i32>| count.and_then(|count| u64::try_from(count).ok());
    let all = [
        ("FAILED_LOGINS_PER_ACCOUNT", count(logins.per_account)),
        ("FAILED_LOGINS_PER_CLIENT", count(logins.per_client)),
        ("FAILED_LOGINS_WINDOW_SECS", secs(&logins.window)),
        ("REGISTRATIONS_PER_CLIENT", count(registrations.per_client)),
        (
            "REGISTRATIONS_PER_NETWORK",
            count(registrations.per_network),
        ),
        ("REGISTRATIONS_WINDOW_SECS", secs(&registrations.window)),
    ];
    let set = all
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    let var = |(name, value): (&str, String)| EnvVar {
        name: name.to_owned(),
        value,
    };
    let confirm = registrations.confirm_addresses;
    set.map(|(name, value)| (name, value.to_string()))
        .chain(confirm.then(|| ("CONFIRM_ADDRESSES", "true".to_owned())))
        .map(var)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_at_or_below_a_services_route_is_taken_and_one_beside_it_is_not() {
        let owner = |path: &str| platform_path(path).map(|(_, owner)| owner);
        assert_eq!(owner("/v1/orders"), Some(Service::Order));
        assert_eq!(owner("/v1/orders/7/cancel"), Some(Service::Order));
        assert_eq!(owner("/v1/auth/refresh/"), Some(Service::Auth));
        assert_eq!(owner("/.well-known/jwks.json"), Some(Service::Auth));
        assert_eq!(owner("/openapi/user.json"), Some(Service::User));
        assert_eq!(owner("/"), Some(Service::Web));
        for free in [
            "/v1/reviews",
            "/v1/orders-archive",
            "/v1",
            "/openapi/reviews.json",
            "/shop",
        ] {
            assert_eq!(owner(free), None, "{free}");
        }
    }

    #[test]
    fn only_what_a_shop_says_of_accounts_is_handed_to_auth() {
        let of = |fields: serde_json::Value| {
            let set: Accounts = serde_json::from_value(fields).expect("accounts");
            let names = accounts(&set).into_iter();
            names
                .map(|var| format!("{}={}", var.name, var.value))
                .collect::<Vec<_>>()
        };
        assert_eq!(of(serde_json::json!({})), [""; 0]);
        let fields = serde_json::json!({
            "failedLogins": { "perClient": 7, "window": "2m" },
            "registrations": { "confirmAddresses": true, "perNetwork": 9 },
        });
        assert_eq!(
            of(fields),
            [
                "FAILED_LOGINS_PER_CLIENT=7",
                "FAILED_LOGINS_WINDOW_SECS=120",
                "REGISTRATIONS_PER_NETWORK=9",
                "CONFIRM_ADDRESSES=true",
            ]
        );
    }

    #[test]
    fn no_internal_path_is_routed() {
        for service in Service::ALL {
            let is_internal = |path: &&str| path.starts_with("/internal");
            let internal = entry(service).routes.iter().map(|(path, _)| path);
            assert_eq!(internal.copied().find(is_internal), None);
        }
    }
}
