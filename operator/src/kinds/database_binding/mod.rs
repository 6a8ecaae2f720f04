//! DatabaseBinding: a database, its roles and a Secret, made on a PostgreSQL server over SQL.
//!
//! The same order as every kind (observe, validate, make, report), but what is made is not a list of
//! children: it is a conversation with a server, in which each step depends on what the one before
//! found. What should exist is decided by [`operator_plan::database_binding`]. Every statement goes
//! through [`server::Session`].

mod admin_session;
mod consent;
mod ending;
mod endpoint;
pub mod error;
mod intervals;
mod observe;
mod provision;
pub mod reclaim;
mod reconcile;
mod rotate;
pub mod scram;
mod secret;
pub mod server;

use std::sync::Arc;

use crds::{DatabaseBinding, DatabaseBindingStatus};
use operator_plan::database_binding::{self as plan, Progress};

pub use endpoint::Endpoint;
pub use error::{ServerError, reason};
pub use reconcile::reconcile;
pub use server::{PgServers, Rows, Servers, Session};

use crate::context::Context;
use crate::error::Error;
use crate::kind_loop::Managed;
use crate::next::Next;

/// The kind, as metrics know it.
const KIND: &str = "DatabaseBinding";

/// The kind, and the way to the servers.
pub struct DatabaseBindings {
    /// Opens sessions on database servers.
    pub servers: Arc<dyn Servers>,
}

impl Managed for DatabaseBindings {
    type Object = DatabaseBinding;

    async fn reconcile(
        &self,
        ctx: &Context,
        binding: &Arc<DatabaseBinding>,
    ) -> Result<Next, Error> {
        reconcile(ctx, self.servers.as_ref(), binding).await
    }

    fn failure(
        &self,
        ctx: &Context,
        binding: &DatabaseBinding,
        error: &Error,
    ) -> DatabaseBindingStatus {
        let message = error.chain();
        let (reason, message) = (reason(error), message.as_str());
        let refusal = error.refusal();
        let progress = match &refusal {
            _ if binding.metadata.deletion_timestamp.is_some() => {
                Progress::Deleting { reason, message }
            }
            Some(why) => Progress::Invalid(why),
            None => Progress::Failed { reason, message },
        };
        plan::status(binding, None, progress, ctx.now())
    }
}
