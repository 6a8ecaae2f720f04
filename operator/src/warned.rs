//! Pods whose probes succeed with a warning.
//!
//! A process of ours that does without one of its servers stays ready and answers its readiness probe with a status
//! between 300 and 399. To the kubelet that is a success that it records as an event, so nobody has to ask pods that
//! are well to learn of one that is not.

use k8s_openapi::api::events::v1::Event;
use kube_cache::{Cached, Decoded, Key, Owner, Sent};

/// Reason of these events.
pub const REASON: &str = "ProbeWarning";

/// An event about a probe.
#[derive(Clone, Debug)]
pub struct ProbeWarning {
    key: Key,
    version: Option<String>,
    /// The pod, where it is one.
    pub pod: Option<Key>,
}

impl ProbeWarning {
    /// Keeps which pod an event is about.
    pub fn decode(sent: &Sent) -> Decoded<Self> {
        sent.decode().map(Self::of)
    }

    fn of(event: Event) -> Self {
        let is_warning = event.reason.as_deref() == Some(REASON);
        let about = event
            .regarding
            .filter(|it| is_warning && it.kind.as_deref() == Some("Pod"));
        let pod = about.and_then(|it| Some(Key::new(it.namespace?, it.name?)));
        Self {
            key: Key::of_metadata(&event.metadata),
            version: event.metadata.resource_version,
            pod,
        }
    }
}

impl Cached for ProbeWarning {
    fn key(&self) -> Key {
        self.key.clone()
    }

    fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    fn owner(&self) -> Option<Owner> {
        None
    }
}
