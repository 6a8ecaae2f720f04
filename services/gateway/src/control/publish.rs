//! From a snapshot of objects to what workers serve.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use gateway_routes::{Guard, ObjectName, Objects, Table, certificate_problems};
use k8s_openapi::api::core::v1::Secret;
use tokio::sync::watch;

use super::tls::Certificates;
use crate::clock::now;
use crate::edge::Resources;
use crate::published::Published;

/// Compiles snapshots and publishes them to the workers.
#[derive(Debug)]
pub struct Publisher {
    gateway: ObjectName,
    generation: u64,
    certificates: Certificates,
    sender: watch::Sender<Arc<Published>>,
    keys_client: chassis::Client,
    resources: Arc<Resources>,
}

impl Publisher {
    /// For the gateway of this name.
    pub fn new(
        gateway: ObjectName,
        sender: watch::Sender<Arc<Published>>,
        resources: Arc<Resources>,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            generation: 0,
            certificates: Certificates::new(gateway.clone())?,
            gateway,
            sender,
            keys_client: chassis::http_client(Duration::from_secs(5))?,
            resources,
        })
    }

    /// The gateway.
    pub fn gateway(&self) -> &ObjectName {
        &self.gateway
    }

    /// How long what is published stays right if no object changes.
    pub fn lasts(&self) -> Option<Duration> {
        let turn = self.certificates.turn(now())?;
        turn.try_into().ok()
    }

    /// Publishes a snapshot; requests in progress finish with the one that they began with.
    pub fn publish(
        &mut self,
        mut objects: Objects,
        secrets: &BTreeMap<ObjectName, Arc<Secret>>,
    ) -> anyhow::Result<u64> {
        let seen = self.certificates.replace(secrets);
        objects.certificates = seen.certificates;
        objects.kept_certificates = seen.kept;
        let table = Table::compile(&objects, &self.gateway);
        let now = now();
        let tls = self.certificates.configs(&table, now)?;
        self.generation += 1;
        let uris: BTreeSet<&str> = table
            .rules()
            .filter_map(|rule| match &rule.guard {
                Some(Guard::Jwt(settings)) => Some(settings.jwks_uri.as_str()),
                _ => None,
            })
            .collect();
        let Resources {
            issuers, metrics, ..
        } = &*self.resources;
        issuers.retain(&uris, &self.keys_client, metrics);
        let routes: HashSet<&str> = table.rules().map(|rule| &*rule.label).collect();
        metrics.published(self.generation, &routes);
        let generation = self.generation;
        self.sender.send_replace(Arc::new(Published {
            generation,
            table,
            tls,
            certificate_problems: certificate_problems(&objects, &self.gateway, now),
        }));
        Ok(generation)
    }
}
