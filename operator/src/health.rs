//! Liveness and readiness, and the gauges that are computed for a scrape.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use crate::context::Context;
use crate::controller::LIMIT;
use crate::queue::Queue;
use crate::statuses::Conditioned;
use kube_cache::{Activity, State, WatchStatus};

/// A watch that received nothing for this long is dead: a live one is renewed every 110 s.
const DEAD: Duration = Duration::from_secs(240);
/// A reconciliation that takes this long was not aborted by its own limit.
const STUCK: Duration = Duration::from_secs(3 * LIMIT.as_secs());
/// Storefronts that get a series of their own.
pub const NAMED_OBJECTS: usize = 500;

/// What liveness and readiness are computed from.
pub struct Health {
    context: Arc<Context>,
    activity: Activity,
    watches: RwLock<Vec<Arc<WatchStatus>>>,
    queues: RwLock<Vec<Arc<Queue>>>,
    leading: AtomicBool,
    scrape: Mutex<()>,
}

impl Health {
    /// Nothing is running yet.
    pub fn new(context: Arc<Context>, activity: Activity) -> Self {
        Self {
            context,
            activity,
            watches: RwLock::default(),
            queues: RwLock::default(),
            leading: AtomicBool::new(false),
            scrape: Mutex::default(),
        }
    }

    /// From now on this process is the leader, with these watches and queues.
    pub fn lead(&self, watches: Vec<Arc<WatchStatus>>, queues: Vec<Arc<Queue>>) {
        *self.watches.write().unwrap_or_else(PoisonError::into_inner) = watches;
        *self.queues.write().unwrap_or_else(PoisonError::into_inner) = queues;
        self.leading.store(true, Ordering::Release);
    }

    fn watches(&self) -> Vec<Arc<WatchStatus>> {
        self.watches
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn queues(&self) -> Vec<Arc<Queue>> {
        self.queues
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Why the process should be restarted, if it should.
    pub fn live(&self) -> Result<(), String> {
        for watch in self.watches() {
            let age = self.activity.age(&watch.path).unwrap_or_default();
            if age > DEAD {
                let seconds = age.as_secs();
                return Err(format!(
                    "the watch of {} is dead: nothing received for {seconds} s",
                    watch.kind
                ));
            }
        }
        for queue in self.queues() {
            let age = queue.longest_running();
            if age > STUCK {
                return Err(format!(
                    "a worker of {} is stuck for {} s",
                    queue.name(),
                    age.as_secs()
                ));
            }
        }
        Ok(())
    }

    /// What the operator waits for before it can do its work, by kind; empty when it is ready.
    /// A standby is ready: it can take over.
    pub fn waiting_for(&self) -> BTreeMap<String, String> {
        if !self.leading.load(Ordering::Acquire) {
            return BTreeMap::new();
        }
        let unready = |watch: &Arc<WatchStatus>| !watch.optional && watch.state() != State::Live;
        self.watches()
            .iter()
            .filter(|watch| unready(watch))
            .map(|watch| {
                let why = match watch.state() {
                    State::Missing => {
                        "its CustomResourceDefinition is not installed; it is picked up as soon as it is"
                            .to_owned()
                    }
                    State::Starting | State::Live => "listing".to_owned(),
                    State::Forbidden | State::Failing => watch.error(),
                };
                (watch.kind.clone(), why)
            })
            .collect()
    }

    /// Whether every watch that must be there has listed everything: work may begin.
    pub fn is_synced(&self) -> bool {
        self.leading.load(Ordering::Acquire) && self.waiting_for().is_empty()
    }

    /// Brings the gauges that only a scrape needs up to date.
    pub fn refresh(&self) {
        // Two scrapes at once would count each other's half-written gauges.
        let _one_at_a_time = self.scrape.lock().unwrap_or_else(PoisonError::into_inner);
        let metrics = &self.context.metrics;
        let mut ages: BTreeMap<String, (f64, bool)> = BTreeMap::new();
        for watch in self.watches() {
            let age = self
                .activity
                .age(&watch.path)
                .unwrap_or_default()
                .as_secs_f64();
            let (oldest, missing) = ages.entry(watch.kind.clone()).or_default();
            *oldest = oldest.max(age);
            *missing |= watch.state() == State::Missing;
        }
        for (kind, (age, missing)) in ages {
            metrics
                .watch_age
                .with_label_values(&[kind.as_str()])
                .set(age);
            metrics
                .crd_missing
                .with_label_values(&[kind.as_str()])
                .set(i64::from(missing));
        }
        self.queues().iter().for_each(|queue| queue.refresh());
        self.count_conditions();
    }

    fn count_conditions(&self) {
        let (metrics, caches) = (&self.context.metrics, &self.context.caches);
        let mut counts: BTreeMap<(&str, String, String), i64> = BTreeMap::new();
        let mut count = |kind: &'static str, status: Option<&dyn ConditionList>| {
            for condition in status.map(ConditionList::list).unwrap_or_default() {
                let key = (kind, condition.type_.clone(), condition.status.clone());
                *counts.entry(key).or_default() += 1;
            }
        };
        let mut shops = caches.storefronts.store.all();
        for shop in &shops {
            count(
                "Storefront",
                shop.0.status.as_ref().map(|s| s as &dyn ConditionList),
            );
        }
        for service in caches.service_deployments.store.all() {
            count(
                "ServiceDeployment",
                service.0.status.as_ref().map(|s| s as &dyn ConditionList),
            );
        }
        for binding in caches.database_bindings.store.all() {
            count(
                "DatabaseBinding",
                binding.0.status.as_ref().map(|s| s as &dyn ConditionList),
            );
        }
        metrics.conditions.reset();
        for ((kind, type_, status), number) in counts {
            metrics
                .conditions
                .with_label_values(&[kind, &type_, &status])
                .set(number);
        }
        shops.sort_by(|a, b| {
            a.0.metadata
                .creation_timestamp
                .cmp(&b.0.metadata.creation_timestamp)
        });
        metrics.storefront_ready.reset();
        for shop in shops.iter().take(NAMED_OBJECTS) {
            let meta = &shop.0.metadata;
            // A paused shop is not reconciled, so its readiness is not known: no series, no alert.
            if shop.0.spec.paused {
                continue;
            }
            let conditions = shop.0.status.as_ref().map(Conditioned::conditions);
            let ready = operator_plan::conditions::find(conditions.unwrap_or_default(), "Ready");
            let name =
                [meta.namespace.as_deref(), meta.name.as_deref()].map(Option::unwrap_or_default);
            let is_ready = i64::from(ready.is_some_and(crds::Condition::is_true));
            metrics
                .storefront_ready
                .with_label_values(&name)
                .set(is_ready);
        }
    }
}

/// [`Conditioned`] without its `Serialize`, so that it can be a trait object.
trait ConditionList {
    fn list(&self) -> &[crds::Condition];
}

impl<S: Conditioned> ConditionList for S {
    fn list(&self) -> &[crds::Condition] {
        self.conditions()
    }
}
