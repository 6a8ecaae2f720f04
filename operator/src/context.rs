//! What every reconciliation gets: readers, writers, and what they share.

use std::sync::Arc;

use jiff::Timestamp;
use kube::Client;
use operator_plan::Platform;

use crate::applier::Applier;
use crate::caches::Caches;
use crate::claims::Claims;
use crate::events::Events;
use crate::finalizers::Finalizers;
use crate::metrics::Metrics;
use crate::pod_events::PodEvents;
use crate::prober::Prober;
use crate::reader::Reader;
use crate::secrets::Secrets;
use crate::statuses::Statuses;

/// What every reconciliation gets.
pub struct Context {
    /// Talks to the API server. Every request is counted.
    pub client: Client,
    /// The platform that the operator belongs to.
    pub platform: Platform,
    /// The operator's series.
    pub metrics: Metrics,
    /// Whether GatewayClasses can be read: not by an operator that may only read some namespaces.
    pub sees_classes: bool,
    /// What the watches know.
    pub caches: Arc<Caches>,
    /// Reads objects.
    pub reader: Arc<Reader>,
    /// Reads Secrets.
    pub secrets: Arc<Secrets>,
    /// Writes children.
    pub applier: Applier,
    /// Writes statuses.
    pub statuses: Statuses,
    /// Writes finalizers.
    pub finalizers: Finalizers,
    /// Publishes events.
    pub events: Arc<Events>,
    /// What was read of pods that have no containers yet.
    pub pod_events: PodEvents,
    /// Asks workloads themselves.
    pub prober: Arc<dyn Prober>,
    /// Which namespaces belong to other operators.
    pub claims: Claims,
}

/// What a context is made of.
pub struct Parts {
    /// The platform that the operator belongs to.
    pub platform: Platform,
    /// Names this process in events.
    pub instance: String,
    /// Names this operator among others: the namespace of its Lease.
    pub installation: String,
    /// See [`Context::sees_classes`].
    pub sees_classes: bool,
    /// See [`Context::prober`].
    pub prober: Arc<dyn Prober>,
}

impl Context {
    /// Puts the parts together.
    pub fn new(client: Client, metrics: Metrics, parts: Parts) -> Arc<Self> {
        let Parts {
            platform,
            instance,
            installation,
            sees_classes,
            prober,
        } = parts;
        let caches: Arc<Caches> = Arc::default();
        let reader = Arc::new(Reader::new(client.clone(), Arc::clone(&caches)));
        let secrets = Arc::new(Secrets::new(client.clone(), Arc::clone(&caches)));
        let events = Arc::new(Events::new(client.clone(), instance));
        Arc::new(Self {
            applier: Applier::new(
                client.clone(),
                Arc::clone(&caches),
                Arc::clone(&secrets),
                Arc::clone(&reader),
            ),
            statuses: Statuses::new(client.clone(), Arc::clone(&caches), Arc::clone(&events)),
            finalizers: Finalizers::new(client.clone(), Arc::clone(&caches)),
            claims: Claims::new(client.clone(), Arc::clone(&caches), installation),
            client,
            platform,
            metrics,
            sees_classes,
            caches,
            reader,
            secrets,
            events,
            pod_events: PodEvents::default(),
            prober,
        })
    }

    /// The instant that statuses and decisions are made at.
    pub fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
