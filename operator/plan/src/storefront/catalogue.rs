//! The domain services: what each is bound to, whom it calls, and which paths it answers.

use crds::{
    Access, AuthMode, DatabaseBinding, DatabaseBindingSpec, LocalRef, Migrate, Route,
    ServerRef as BindingServer, ServiceBinding, ServiceDeployment, ServiceDeploymentSpec,
    ServiceOverride, Uses,
};

use super::{METRICS_PORT, SERVICE_PORT, Server, Valid};
use crate::{Objects, Planned};

/// A domain service by its name; also the name of its binary and its image.
pub type ServiceName = &'static str;

struct Entry {
    name: ServiceName,
    database: bool,
    uses: &'static [Uses],
    /// Besides auth, whose keys everybody reads.
    calls: &'static [ServiceName],
    /// Secrets of the shop: folder, which is also the end of the Secret's name.
    secrets: &'static [&'static str],
    routes: &'static [(&'static str, AuthMode)],
    roles: &'static [&'static str],
}

use AuthMode::{Optional, Public, Required};
use Uses::{Bus, Cache};

const ENTRIES: &[Entry] = &[
    Entry {
        name: "auth",
        database: true,
        uses: &[Bus, Cache],
        calls: &[],
        secrets: &["signing-keys", "admin", "internal"],
        routes: &[
            ("/v1/users/register", Public),
            ("/v1/users/login", Public),
            ("/v1/auth", Public),
            ("/.well-known", Public),
        ],
        roles: &[],
    },
    Entry {
        name: "user",
        database: true,
        uses: &[Bus],
        calls: &["auth"],
        secrets: &["internal"],
        routes: &[("/v1/users", Required)],
        roles: &[],
    },
    Entry {
        name: "product",
        database: true,
        uses: &[Bus, Cache],
        calls: &[],
        secrets: &["internal"],
        routes: &[("/v1/products", Optional), ("/v1/categories", Optional)],
        roles: &[],
    },
    Entry {
        name: "order",
        database: true,
        uses: &[Bus],
        calls: &["user", "product", "payment"],
        secrets: &["internal"],
        routes: &[("/v1/orders", Required)],
        roles: &[],
    },
    Entry {
        name: "payment",
        database: true,
        uses: &[Bus],
        calls: &[],
        secrets: &["internal"],
        routes: &[("/v1/payments", Required)],
        roles: &[],
    },
    Entry {
        name: "notification",
        database: true,
        uses: &[Bus],
        calls: &[],
        secrets: &["smtp", "internal"],
        routes: &[("/v1/notifications", Required)],
        roles: &["admin"],
    },
    Entry {
        name: "web",
        database: false,
        uses: &[],
        calls: &["user", "product", "order", "payment"],
        secrets: &[],
        routes: &[("/", Public)],
        roles: &[],
    },
];

/// Names of the domain services, in the order in which a shop comes up.
pub const SERVICES: [ServiceName; 7] = [
    "auth",
    "user",
    "product",
    "order",
    "payment",
    "notification",
    "web",
];

/// The path of a domain service that `path` is at or below, and that service. Everything is below the
/// web page's `/`, which only `/` itself takes away.
pub fn platform_path(path: &str) -> Option<(String, ServiceName)> {
    let path = path.trim_end_matches('/');
    let is_taken = |taken: &str| match taken.trim_end_matches('/') {
        "" => path.is_empty(),
        taken => path
            .strip_prefix(taken)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
    };
    ENTRIES
        .iter()
        .flat_map(|entry| {
            routes(entry)
                .into_iter()
                .map(move |route| (route.path, entry.name))
        })
        .find(|(taken, _)| is_taken(taken))
}

/// Plans a DatabaseBinding and a ServiceDeployment for each domain service.
pub(super) fn plan(valid: &Valid, objects: &mut Objects<Planned>) {
    for entry in ENTRIES.iter().filter(|entry| entry.database) {
        objects.apply(&database_binding(valid, entry.name));
    }
    for entry in ENTRIES {
        objects.apply(&service_deployment(valid, entry));
    }
}

/// The binding of a service to its own database.
pub(super) fn database_binding(valid: &Valid, service: ServiceName) -> DatabaseBinding {
    let name = valid.child(service);
    let server_ref = match valid.server() {
        Server::Embedded => BindingServer {
            storefront: Some(valid.name().to_owned()),
            admin_secret: None,
        },
        Server::External { admin_secret } => BindingServer {
            storefront: None,
            admin_secret: Some(LocalRef::new(admin_secret)),
        },
    };
    let spec = DatabaseBindingSpec {
        server_ref,
        database: None,
        access: Access::Owner,
        extensions: Vec::new(),
        // Left to the user, who may set it on the binding itself: a field that is not planned is
        // not put back.
        rotation: None,
        reclaim_policy: valid.storefront.spec.deletion_policy,
    };
    let mut binding = DatabaseBinding::new(&name, spec);
    binding.metadata = valid.scope.meta(&name, service, &name);
    binding
}

fn service_deployment(valid: &Valid, entry: &Entry) -> ServiceDeployment {
    let name = valid.child(entry.name);
    let wanted = overrides(valid, entry.name);
    let spec = ServiceDeploymentSpec {
        storefront_ref: LocalRef::new(valid.name()),
        image: valid.image(entry.name),
        image_pull_policy: None,
        image_pull_secrets: Vec::new(),
        command: Vec::new(),
        args: vec!["serve".into()],
        port: SERVICE_PORT,
        metrics_port: Some(METRICS_PORT),
        routes: routes(entry),
        bindings: bindings(valid, entry),
        uses: entry.uses.to_vec(),
        calls: entry.calls.iter().map(|peer| valid.child(peer)).collect(),
        egress_ports: if entry.name == "notification" {
            vec![valid.storefront.spec.notifications.email.smtp.port]
        } else {
            Vec::new()
        },
        migrate: entry.database.then(Migrate::default),
        replicas: wanted.replicas.clone().unwrap_or_default(),
        resources: wanted.resources.clone(),
        env: wanted.env.clone(),
        probes: None,
        paused: false,
    };
    let mut service = ServiceDeployment::new(&name, spec);
    service.metadata = valid.scope.meta(&name, entry.name, &name);
    service
}

fn routes(entry: &Entry) -> Vec<Route> {
    let document = format!("/openapi/{}.json", entry.name);
    let own = entry.routes.iter().map(|(path, auth)| Route {
        path: (*path).to_owned(),
        auth: *auth,
        roles: entry.roles.iter().map(|role| (*role).to_owned()).collect(),
    });
    let document = entry.database.then_some(Route {
        path: document,
        auth: Public,
        roles: Vec::new(),
    });
    own.chain(document).collect()
}

fn bindings(valid: &Valid, entry: &Entry) -> Vec<ServiceBinding> {
    let database = entry.database.then(|| ServiceBinding {
        name: Some("database".into()),
        database_binding: Some(valid.child(entry.name)),
        secret_ref: None,
    });
    let secrets = entry.secrets.iter().map(|part| ServiceBinding {
        name: Some((*part).to_owned()),
        database_binding: None,
        secret_ref: Some(LocalRef::new(valid.child(part))),
    });
    database.into_iter().chain(secrets).collect()
}

fn overrides(valid: &Valid, service: ServiceName) -> ServiceOverride {
    let all = valid.storefront.spec.services.clone().unwrap_or_default();
    let one = match service {
        "auth" => all.auth,
        "user" => all.user,
        "product" => all.product,
        "order" => all.order,
        "payment" => all.payment,
        "notification" => all.notification,
        "web" => all.web,
        _ => None,
    };
    one.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_public_list_of_services_is_the_catalogue() {
        let names: Vec<_> = ENTRIES.iter().map(|entry| entry.name).collect();
        assert_eq!(names, SERVICES);
    }

    #[test]
    fn a_path_at_or_below_a_domain_services_is_taken_and_one_beside_it_is_not() {
        let owner = |path: &str| platform_path(path).map(|(_, owner)| owner);
        assert_eq!(owner("/v1/orders"), Some("order"));
        assert_eq!(owner("/v1/orders/7/cancel"), Some("order"));
        assert_eq!(owner("/v1/auth/refresh/"), Some("auth"));
        assert_eq!(owner("/.well-known/jwks.json"), Some("auth"));
        assert_eq!(owner("/openapi/user.json"), Some("user"));
        assert_eq!(owner("/"), Some("web"));
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
    fn nothing_internal_is_ever_routed() {
        let paths = ENTRIES.iter().flat_map(|entry| entry.routes);
        assert!(
            paths
                .map(|(path, _)| path)
                .all(|path| !path.starts_with("/internal"))
        );
    }
}
