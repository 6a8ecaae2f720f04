//! Which operator a namespace belongs to, where there is more than one.
//!
//! Two releases may watch one namespace: one of the whole cluster, and one of some namespaces. Each would make
//! the other's objects as it plans them, for ever. So an operator names itself in the status of each shop that it
//! reconciles (the namespace of its Lease, which tells releases apart), and leaves alone every namespace with a
//! shop of another one, for as long as that one holds its Lease. Whose claim was written last has it, so of two
//! that begin at the same time one stays.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crds::Storefront;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::{Api, Client};
use tokio::time::Instant;

use crate::caches::Caches;
use crate::error::optional;
use crate::leader::LEASE;

/// How long an answer about a Lease is good.
const FRESH: Duration = Duration::from_secs(30);
/// A Lease counts as held for this long after its end: clocks differ.
const MARGIN: SignedDuration = SignedDuration::from_secs(10);

/// Claims of operators.
pub struct Claims {
    client: Client,
    caches: Arc<Caches>,
    /// This operator.
    me: String,
    known: Mutex<HashMap<String, (Instant, bool)>>,
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
            if self.is_alive(&by).await {
                let is_news = lock(&self.told).insert(format!("{namespace}/{by}"));
                return Some(Claimed { shop, by, is_news });
            }
        }
        None
    }

    /// Whether another operator holds its Lease. One whose Lease cannot be read counts as alive.
    async fn is_alive(&self, other: &str) -> bool {
        let known = lock(&self.known).get(other).copied();
        if let Some((at, alive)) = known
            && at.elapsed() < FRESH
        {
            return alive;
        }
        let api: Api<Lease> = Api::namespaced(self.client.clone(), other);
        let alive = match optional(api.get(LEASE).await) {
            Ok(lease) => is_held(lease.and_then(|lease| lease.spec), Timestamp::now()),
            Err(error) => {
                tracing::debug!(%error, other, "failed to read the Lease of another operator");
                true
            }
        };
        lock(&self.known).insert(other.to_owned(), (Instant::now(), alive));
        alive
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
