//! One immutable set of everything a request needs, replaced as a whole.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use gateway_routes::{Guard, ObjectName, Objects, Table};
use k8s_openapi::api::core::v1::Secret;
use rustls::ServerConfig;
use tokio::sync::watch;

use super::tls::Certificates;
use crate::worker::Shared;

/// What workers serve.
#[derive(Debug, Default)]
pub struct Published {
    /// Counts from 1; 0 is before there was anything.
    pub generation: u64,
    /// The routes.
    pub table: Table,
    /// The TLS side of each port that has one.
    pub tls: HashMap<u16, Arc<ServerConfig>>,
}

/// Compiles snapshots and hands them to the workers.
#[derive(Debug)]
pub struct Publisher {
    gateway: ObjectName,
    generation: u64,
    certificates: Certificates,
    sender: watch::Sender<Arc<Published>>,
    keys_client: chassis::Client,
    shared: Arc<Shared>,
}

impl Publisher {
    /// For the gateway of this name.
    pub fn new(
        gateway: ObjectName,
        sender: watch::Sender<Arc<Published>>,
        shared: Arc<Shared>,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            gateway,
            generation: 0,
            certificates: Certificates::new()?,
            sender,
            keys_client: chassis::http_client(Duration::from_secs(5))?,
            shared,
        })
    }

    /// The gateway.
    pub fn gateway(&self) -> &ObjectName {
        &self.gateway
    }

    /// Puts a snapshot in force; requests in work finish with the one they began with.
    pub fn publish(
        &mut self,
        mut objects: Objects,
        secrets: &BTreeMap<ObjectName, Arc<Secret>>,
    ) -> anyhow::Result<u64> {
        objects.certificates = self.certificates.replace(secrets);
        let table = Table::compile(&objects, &self.gateway);
        let tls = self.certificates.configs(&table)?;
        self.generation += 1;
        let uris: BTreeSet<&str> = table
            .rules()
            .filter_map(|rule| match &rule.guard {
                Some(Guard::Jwt(settings)) => Some(settings.jwks_uri.as_str()),
                _ => None,
            })
            .collect();
        self.shared
            .issuers
            .retain(&uris, &self.keys_client, &self.shared.metrics);
        let routes: HashSet<&str> = table.rules().map(|rule| &*rule.label).collect();
        self.shared.metrics.swapped(self.generation, &routes);
        let generation = self.generation;
        self.sender.send_replace(Arc::new(Published {
            generation,
            table,
            tls,
        }));
        Ok(generation)
    }
}
