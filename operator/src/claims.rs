//! Which operator a namespace belongs to, where there is more than one.
//!
//! Two releases may watch one namespace: one of the whole cluster, and one of some namespaces. Each would make
//! the other's objects as it plans them, for ever. So an operator names itself in the status of each shop that it
//! reconciles (the namespace of its Lease, which tells releases apart), and leaves alone every namespace with a
//! shop of another one, for as long as that one holds its Lease and watches the namespace, which an annotation of
//! the Lease says. Whose claim was written last has it, so of two that begin at the same time one stays.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crds::Storefront;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use kube_cache::Scope;
use operator_plan::objects::MANAGER;
use serde_json::json;
use tokio::time::Instant;

use crate::caches::Caches;
use crate::error::optional;
use crate::leader::LEASE;

/// How long an answer about a Lease is good.
const FRESH: Duration = Duration::from_secs(30);
/// A Lease counts as held for this long after its end: clocks differ.
const MARGIN: SignedDuration = SignedDuration::from_secs(10);

/// Annotation of a Lease: the namespaces that its holder watches, separated by commas; `*` means all of them.
pub const WATCHES: &str = "storefront.dev/watches";
const EVERYTHING: &str = "*";
/// Time between two tries to write it.
const AGAIN: Duration = Duration::from_secs(2);

/// Claims of operators.
pub struct Claims {
    client: Client,
    caches: Arc<Caches>,
    /// This operator.
    me: String,
    known: Mutex<HashMap<String, (Instant, Watched)>>,
    told: Mutex<BTreeSet<String>>,
}

/// A shop that another operator reconciles.
pub struct Claimed {
    /// The shop.
    pub shop: Arc<Storefront>,
    /// The other operator.
    pub by: String,
    /// Whether this process has not said so before.
    pub is_news: bool,
}

impl Claims {
    /// `me` names this operator.
    pub fn new(client: Client, caches: Arc<Caches>, me: String) -> Self {
        Self {
            client,
            caches,
            me,
            known: Mutex::default(),
            told: Mutex::default(),
        }
    }

    /// The name of this operator in claims.
    pub fn me(&self) -> &str {
        &self.me
    }

    /// Another operator's claim on a namespace; `None` where this one may work.
    pub async fn other(&self, namespace: &str) -> Option<Claimed> {
        let shops = self.caches.storefronts.store.objects_in(namespace);
        for shop in shops {
            let by = shop.status.as_ref().and_then(|it| it.operator.clone());
            let Some(by) = by.filter(|by| *by != self.me) else {
                continue;
            };
            if self.watched_by(&by).await.contains(namespace) {
                let is_news = lock(&self.told).insert(format!("{namespace}/{by}"));
                return Some(Claimed { shop, by, is_news });
            }
        }
        None
    }

    /// What another operator watches: nothing, once it no longer holds its Lease. One whose Lease cannot be read
    /// counts as alive.
    async fn watched_by(&self, other: &str) -> Watched {
        let known = lock(&self.known).get(other).cloned();
        if let Some((at, watched)) = known
            && at.elapsed() < FRESH
        {
            return watched;
        }
        let api: Api<Lease> = Api::namespaced(self.client.clone(), other);
        let watched = match optional(api.get(LEASE).await) {
            Ok(lease) => Watched::by(lease, Timestamp::now()),
            Err(error) => {
                tracing::debug!(%error, other, "failed to read the Lease of another operator");
                Watched::All
            }
        };
        lock(&self.known).insert(other.to_owned(), (Instant::now(), watched.clone()));
        watched
    }

    /// Writes to this operator's own Lease what it watches, until that has succeeded; nothing where it stands there.
    pub async fn announce(&self, scopes: &[Scope]) {
        let wanted = listed(scopes);
        let api: Api<Lease> = Api::namespaced(self.client.clone(), &self.me);
        while let Err(error) = announced(&api, &wanted).await {
            tracing::warn!(%error, "failed to write to the Lease which namespaces are watched; retrying");
            tokio::time::sleep(AGAIN).await;
        }
    }
}

async fn announced(api: &Api<Lease>, wanted: &str) -> Result<(), kube::Error> {
    let held = api.get(LEASE).await?.metadata.annotations;
    if held.is_some_and(|held| held.get(WATCHES).is_some_and(|held| held == wanted)) {
        return Ok(());
    }
    let patch = json!({ "metadata": { "annotations": { WATCHES: wanted } } });
    let params = PatchParams::apply(MANAGER);
    api.patch(LEASE, &params, &Patch::Merge(patch)).await?;
    Ok(())
}

fn listed(scopes: &[Scope]) -> String {
    let names = scopes.iter().map(|scope| match scope {
        Scope::Namespace(name) => Some(name.as_str()),
        Scope::All | Scope::Object(_) => None,
    });
    let names: Option<Vec<&str>> = names.collect();
    names.map_or_else(|| EVERYTHING.to_owned(), |names| names.join(","))
}

/// Which namespaces an operator watches.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Watched {
    /// All of them, or nobody knows which: an older operator does not say.
    All,
    /// These.
    Only(BTreeSet<String>),
}

impl Watched {
    fn by(lease: Option<Lease>, now: Timestamp) -> Self {
        let lease = lease.unwrap_or_default();
        if !is_held(lease.spec, now) {
            return Self::Only(BTreeSet::new());
        }
        let told = lease.metadata.annotations.unwrap_or_default();
        match told.get(WATCHES).map(String::as_str) {
            None | Some(EVERYTHING) => Self::All,
            Some(names) => Self::Only(names.split(',').map(str::to_owned).collect()),
        }
    }

    fn contains(&self, namespace: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(namespace),
        }
    }
}

fn is_held(lease: Option<LeaseSpec>, now: Timestamp) -> bool {
    let Some(lease) = lease else {
        return false;
    };
    let held_by = lease.holder_identity.unwrap_or_default();
    let secs = i64::from(lease.lease_duration_seconds.unwrap_or_default());
    let good_for = SignedDuration::from_secs(secs) + MARGIN;
    let renewed = lease.renew_time.map(|time| time.0);
    !held_by.is_empty() && renewed.is_some_and(|at| now.duration_since(at) < good_for)
}

fn lock<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
