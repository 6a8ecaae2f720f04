//! Kubernetes events.

use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Client, Resource};
use operator_plan::objects::MANAGER;

/// Longest note that the API server takes, in characters.
const LONGEST: usize = 1000;

/// Publishes events. One that cannot be published is logged: it must never fail a reconciliation.
pub struct Events {
    recorder: Recorder,
}

impl Events {
    /// Publishes in the name of this process.
    pub fn new(client: Client, instance: String) -> Self {
        let reporter = Reporter {
            controller: MANAGER.to_owned(),
            instance: Some(instance),
        };
        Self {
            recorder: Recorder::new(client, reporter),
        }
    }

    /// Reports something that went as it should.
    pub async fn normal<K>(&self, about: &K, reason: &str, action: &str, note: impl Into<String>)
    where
        K: Resource<DynamicType = ()>,
    {
        self.publish(about, EventType::Normal, (reason, action), note.into())
            .await;
    }

    /// Reports something that a person should look at.
    pub async fn warning<K>(&self, about: &K, reason: &str, action: &str, note: impl Into<String>)
    where
        K: Resource<DynamicType = ()>,
    {
        self.publish(about, EventType::Warning, (reason, action), note.into())
            .await;
    }

    async fn publish<K>(&self, about: &K, kind: EventType, what: (&str, &str), note: String)
    where
        K: Resource<DynamicType = ()>,
    {
        let (reason, action) = what;
        let event = Event {
            type_: kind,
            reason: reason.to_owned(),
            note: Some(note.chars().take(LONGEST).collect()),
            action: action.to_owned(),
            secondary: None,
        };
        if let Err(error) = self.recorder.publish(&event, &about.object_ref(&())).await {
            tracing::warn!(%error, reason, "failed to publish an event");
        }
    }
}
