//! Which workloads may log in to a shop's bus and cache, and what each may do there.

mod subjects;

use crds::{ServiceDeployment, Uses};
use service_catalogue::Service;

use self::subjects::Subjects;
pub(crate) use self::subjects::{inbox, is_private};
use crate::names::service_called;

/// A workload of a shop that logs in to the bus or to the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Name of the ServiceDeployment.
    pub(crate) name: String,
    /// What it may publish and receive, if it uses the bus.
    pub(crate) bus: Option<Subjects>,
    /// Beginning of its keys, if it uses the cache.
    pub(crate) cache: Option<String>,
}

/// Parts of the platform that a service of the shop uses.
pub(crate) const fn uses(service: Service) -> &'static [Uses] {
    match service {
        // The cache of auth is for a release before this one, which counts failed logins there.
        Service::Auth | Service::Product => &[Uses::Bus, Uses::Cache],
        Service::User | Service::Order | Service::Payment | Service::Notification => &[Uses::Bus],
        Service::Web => &[],
    }
}

impl Client {
    /// A service of the shop called `shop`.
    pub(crate) fn of_shop(shop: &str, service: Service) -> Self {
        let uses = |part| uses(service).contains(&part);
        let name = format!("{shop}-{service}");
        Self {
            bus: uses(Uses::Bus).then(|| Subjects::of_service(service, &name)),
            cache: uses(Uses::Cache).then(|| format!("{service}:")),
            name,
        }
    }

    /// What a ServiceDeployment asks for; of a service of the shop only its name counts.
    pub(crate) fn of(service: &ServiceDeployment) -> Self {
        let name = service.metadata.name.clone().unwrap_or_default();
        let shop = &service.spec.storefront_ref.name;
        if let Some(own) = service_called(shop, &name) {
            return Self::of_shop(shop, own);
        }
        let uses = |part| service.spec.uses.contains(&part);
        let events = service.spec.events.clone().unwrap_or_default();
        Self {
            bus: uses(Uses::Bus).then(|| Subjects::of_team(&name, &events)),
            cache: uses(Uses::Cache).then(|| format!("team:{name}:")),
            name,
        }
    }
}

/// The teams' workloads among `services` that the servers of the shop called `shop` have to know, in the
/// order of their names.
pub fn team_clients<'a>(
    shop: &str,
    services: impl IntoIterator<Item = &'a ServiceDeployment>,
) -> Vec<Client> {
    let of_shop = services.into_iter().filter(|service| {
        let name = service.metadata.name.as_deref().unwrap_or_default();
        service.spec.storefront_ref.name == shop
            && service.metadata.deletion_timestamp.is_none()
            && service_called(shop, name).is_none()
    });
    let mut clients: Vec<Client> = of_shop
        .map(Client::of)
        .filter(|client| client.bus.is_some() || client.cache.is_some())
        .collect();
    clients.sort_by(|a, b| a.name.cmp(&b.name));
    clients
}
