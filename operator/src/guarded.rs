//! A reconciler that leaves the namespaces of other operators alone.

use std::sync::Arc;
use std::time::Duration;

use kube_cache::Key;

use crate::claims::Claimed;
use crate::context::Context;
use crate::controller::{Identity, Reconciler};
use crate::error::Error;
use crate::next::Next;

/// Time until the next look at a namespace of another operator: its end changes nothing that is watched.
const STAND_BACK: Duration = Duration::from_secs(60);

/// A reconciler, and the claims that it respects.
pub struct Guarded<R> {
    /// What every reconciliation gets.
    pub context: Arc<Context>,
    /// Does the work.
    pub inner: R,
}

impl<R: Reconciler> Reconciler for Guarded<R> {
    fn identity(&self, key: &Key) -> Option<Identity> {
        self.inner.identity(key)
    }

    async fn reconcile(&self, key: &Key) -> Result<Next, Error> {
        let Some(claimed) = self.context.claims.other(&key.namespace).await else {
            return self.inner.reconcile(key).await;
        };
        if claimed.is_news {
            self.tell(&key.namespace, &claimed).await;
        }
        Ok(Next::Requeue(STAND_BACK))
    }

    async fn failed(&self, key: &Key, error: &Error) {
        self.inner.failed(key, error).await;
    }

    fn forget(&self, key: &Key) {
        self.inner.forget(key);
    }
}

impl<R> Guarded<R> {
    async fn tell(&self, namespace: &str, claimed: &Claimed) {
        let (me, by) = (self.context.claims.me(), &claimed.by);
        let note = format!(
            "two operators watch namespace {namespace}: that of namespace {by} has it, and that of namespace {me} leaves it alone; uninstall one of them, or take the namespace out of the watchNamespaces of one of them"
        );
        tracing::warn!(namespace, by, "another operator has the namespace");
        let events = &self.context.events;
        events
            .warning(&*claimed.shop, "OperatorConflict", "Reconcile", note)
            .await;
    }
}
