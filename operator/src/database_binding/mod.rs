//! DatabaseBinding: a database, its roles and a Secret, made on a PostgreSQL server over SQL.
//!
//! [`reconcile`] tells the story. What should exist is decided by
//! [`operator_plan::database_binding`]; this room asks the server, runs what is missing in the safe
//! order, and knows when to stop asking. Every statement goes through [`server::Session`].

mod desk;
mod ending;
pub mod error;
mod observe;
mod provision;
pub mod reclaim;
mod reconcile;
pub mod scram;
mod secret;
pub mod server;

use std::sync::Arc;

use crds::DatabaseBinding;
use operator_plan::database_binding::{Progress, status};

use crate::context::Context;
use crate::controller::{Identity, Reconciler};
use crate::error::{Error, Outcome};
use crate::key::Key;

pub use error::ServerError;
pub use reconcile::reconcile;
pub use server::{Endpoint, PgServers, Rows, Servers, Session};

/// The kind, as metrics and memory know it.
const KIND: &str = "DatabaseBinding";

/// The controller of databases.
pub struct DatabaseBindings(pub Arc<Context>);

impl Reconciler for DatabaseBindings {
    fn identity(&self, key: &Key) -> Option<Identity> {
        let store = &self.0.stores.database_bindings;
        if let Some(binding) = store.object(key) {
            return Some(Identity::of(&*binding));
        }
        store.undecodable(key).map(|invalid| Identity::of_metadata(&invalid.metadata))
    }

    async fn reconcile(&self, key: &Key) -> Result<Outcome, Error> {
        let store = &self.0.stores.database_bindings;
        if let Some(binding) = store.object(key) {
            return reconcile(&binding, &self.0).await;
        }
        match store.undecodable(key) {
            Some(invalid) => self.0.report_undecodable::<DatabaseBinding>(&invalid).await,
            None => Ok(Outcome::AwaitChange),
        }
    }

    async fn failed(&self, key: &Key, error: &Error) {
        self.0.metrics.outcome(KIND, "failed");
        let Some(binding) = self.0.stores.database_bindings.object(key) else { return };
        let message = error.chain();
        let reason = reason(error);
        let progress = if binding.metadata.deletion_timestamp.is_some() {
            Progress::Deleting { reason, message: &message }
        } else {
            Progress::Failed { reason, message: &message }
        };
        let new = status(&binding, None, progress, self.0.now());
        if let Err(error) = self.0.report_status(&*binding, &new).await {
            tracing::warn!(%key, error = error.chain(), "the failure could not be reported");
        }
    }

    fn forget(&self, key: &Key) {
        self.0.statuses.forget(KIND, key);
    }
}

/// A word for programs. What a server said was reported with the same word already.
fn reason(error: &Error) -> &'static str {
    match error {
        Error::Other(source) => source.downcast_ref().map_or("Failed", ServerError::reason),
        Error::Api { .. } => "ApiFailed",
        _ => "Failed",
    }
}
