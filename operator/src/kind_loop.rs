//! The one reconciliation that every kind with children goes through: observe, validate, apply, report.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use kube::Resource;
use kube::core::object::HasStatus;
use kube_cache::Key;
use operator_plan::conditions::time_left;
use operator_plan::trouble::PodsOf;
use operator_plan::{Applied, ObjectKey, Objects, Outcome, Planned, Platform, Verdict};

use crate::caches::CachedKind;
use crate::context::Context;
use crate::controller::{Identity, REFUSED, Reconciler};
use crate::creating;
use crate::error::Error;
use crate::next::Next;
use crate::podless;
use crate::secrets::Subscriber;
use crate::statuses::{Conditioned, Reported};

/// Time between two reconciliations of an object that depends on a Secret whose watch is not running.
const UNWATCHED: Duration = Duration::from_secs(15);

/// The status of a kind.
pub type StatusOf<K> = <<K as Kind>::Object as HasStatus>::Status;

/// A kind that consists of children. Everything between reading and writing is pure and lives in the
/// plan; [`reconcile`] has the order of effects.
///
/// ## Why a trait of functions
/// The functions are what differs between kinds, and each is one call into the plan. An object per kind
/// with a loop of its own would let them drift apart, as they had.
pub trait Kind: Send + Sync + 'static {
    /// The custom resource.
    type Object: Reported;
    /// What a validation needs to know.
    type Observed: Send;
    /// A spec that can be acted on.
    type Valid: Send + Sync;

    /// The finalizer that an object has once something was made for it.
    const FINALIZER: Option<&'static str>;

    /// Whether the object is to be left alone.
    fn is_paused(ctx: &Context, object: &Self::Object) -> bool;

    /// Reads what a validation needs. Writes nothing.
    fn observe(
        ctx: &Context,
        object: &Self::Object,
    ) -> impl Future<Output = Result<Self::Observed, Error>> + Send;

    /// Whether the object can be acted on.
    fn validate(
        object: &Self::Object,
        observed: Self::Observed,
        platform: &Platform,
    ) -> Verdict<Self::Valid>;

    /// Everything that should exist.
    fn desired(valid: &Self::Valid) -> Objects<Planned>;

    /// Whether a child that is no longer planned may be deleted.
    fn may_be_pruned(object: &Self::Object, child: &ObjectKey) -> bool;

    /// The children that the status is computed from, for a reconciliation that applies nothing.
    fn children(object: &Self::Object) -> Objects<Planned>;

    /// Workloads whose pods may explain why they are not ready.
    fn unready(
        object: &Self::Object,
        valid: Option<&Self::Valid>,
        seen: &Objects<Applied>,
    ) -> Vec<PodsOf>;

    /// Adds what is known of the children by other means than their objects: what a workload answers, what a
    /// child should have been made from. Writes nothing; returns when to look again.
    fn look_closer(
        ctx: &Context,
        object: &Self::Object,
        seen: &mut Objects<Applied>,
    ) -> impl Future<Output = Result<Next, Error>> + Send;

    /// The status after a reconciliation.
    fn status(
        ctx: &Context,
        object: &Self::Object,
        outcome: &Outcome<'_, Self::Valid>,
    ) -> StatusOf<Self>;

    /// Label of the outcome metric after everything was applied.
    fn applied_label(valid: &Self::Valid) -> &'static str;

    /// Whether an object that is being deleted goes on as before, because somebody else's finalizer keeps it.
    fn is_held(ctx: &Context, object: &Self::Object) -> bool;

    /// Takes the next step of a deletion.
    fn delete(
        ctx: &Context,
        object: &Self::Object,
    ) -> impl Future<Output = Result<Next, Error>> + Send;
}

/// Reconciles one object of a kind.
pub async fn reconcile<K: Kind>(ctx: &Context, object: &K::Object) -> Result<Next, Error> {
    if object.meta().deletion_timestamp.is_some() && !K::is_held(ctx, object) {
        return K::delete(ctx, object).await;
    }
    if K::is_paused(ctx, object) {
        let seen = look::<K>(ctx, object).await?;
        return report::<K>(ctx, object, &Outcome::Paused(&seen), "paused").await;
    }
    let observed = K::observe(ctx, object).await?;
    let valid = match K::validate(object, observed, &ctx.platform) {
        Verdict::Ready(valid) => valid,
        Verdict::Waiting(on) => {
            let seen = look::<K>(ctx, object).await?;
            return report::<K>(ctx, object, &Outcome::Waiting(&on, &seen), "waiting").await;
        }
        Verdict::Invalid(why) => {
            let seen = look::<K>(ctx, object).await?;
            return report::<K>(ctx, object, &Outcome::Invalid(&why, &seen), "invalid").await;
        }
    };
    if let Some(finalizer) = K::FINALIZER {
        ctx.finalizers.add(object, finalizer).await?;
    }
    let plan = K::desired(&valid);
    let mut objects = match ctx.applier.apply(&plan).await {
        Ok(objects) => objects,
        Err(error) => return refused::<K>(ctx, object, error).await,
    };
    let uid = object.meta().uid.clone().unwrap_or_default();
    let may_be_pruned = |child: &ObjectKey| K::may_be_pruned(object, child);
    ctx.applier.prune(&uid, &plan, may_be_pruned).await?;
    let podless = add_pods::<K>(ctx, object, Some(&valid), &mut objects).await?;
    let again = K::look_closer(ctx, object, &mut objects).await?;
    let outcome = Outcome::Applied {
        valid: &valid,
        objects: &objects,
    };
    let next = report::<K>(ctx, object, &outcome, K::applied_label(&valid)).await?;
    Ok(next.sooner(again).sooner(podless))
}

/// Reports what only a person can mend; any other error is one.
async fn refused<K: Kind>(ctx: &Context, object: &K::Object, error: Error) -> Result<Next, Error> {
    let Some(why) = error.refusal() else {
        return Err(error);
    };
    let seen = look::<K>(ctx, object).await?;
    report::<K>(ctx, object, &Outcome::Invalid(&why, &seen), "refused").await?;
    Ok(Next::Requeue(REFUSED))
}

/// Reads the children that exist, and applies none.
async fn look<K: Kind>(ctx: &Context, object: &K::Object) -> Result<Objects<Applied>, Error> {
    let mut seen = ctx.reader.read(&K::children(object)).await?;
    add_pods::<K>(ctx, object, None, &mut seen).await?;
    K::look_closer(ctx, object, &mut seen).await?;
    Ok(seen)
}

/// Puts the pods that are not well beside what was read, why there are none where there should be, and why some have no
/// containers.
async fn add_pods<K: Kind>(
    ctx: &Context,
    object: &K::Object,
    valid: Option<&K::Valid>,
    seen: &mut Objects<Applied>,
) -> Result<Next, Error> {
    let whose = K::unready(object, valid, seen);
    let namespace = object.meta().namespace.as_deref().unwrap_or_default();
    ctx.reader.add_pods(namespace, &whose, seen);
    let podless = podless::add(ctx, namespace, &whose, seen).await?;
    let creating = creating::add(ctx, namespace, &whose, seen).await?;
    Ok(podless.sooner(creating))
}

async fn report<K: Kind>(
    ctx: &Context,
    object: &K::Object,
    outcome: &Outcome<'_, K::Valid>,
    label: &'static str,
) -> Result<Next, Error> {
    let status = K::status(ctx, object, outcome);
    ctx.statuses.report(object, &status).await?;
    ctx.metrics.outcome(&K::Object::kind(&()), label);
    let left = time_left(status.conditions(), ctx.now());
    // By a moment later than the deadline, which has whole seconds.
    let deadline =
        left.and_then(|left| Duration::try_from(left + SignedDuration::from_secs(1)).ok());
    let at_deadline = deadline.map_or(Next::AwaitChange, Next::Requeue);
    Ok(next(ctx, &subscriber(object)).sooner(at_deadline))
}

/// An object whose Secrets are watched waits for a change.
pub fn next(ctx: &Context, subscriber: &Subscriber) -> Next {
    if ctx.secrets.is_notified(subscriber) {
        Next::AwaitChange
    } else {
        Next::Requeue(UNWATCHED)
    }
}

/// An object as a subscriber of Secrets.
pub fn subscriber<K: Resource<DynamicType = ()>>(object: &K) -> Subscriber {
    Subscriber {
        kind: K::kind(&()).into_owned(),
        key: Key::of(object),
    }
}

/// A kind whose objects a controller finds in a cache and reports on by their status.
pub trait Managed: Send + Sync + 'static {
    /// The custom resource.
    type Object: Reported;

    /// Reconciles one object.
    fn reconcile(
        &self,
        ctx: &Context,
        object: &Arc<Self::Object>,
    ) -> impl Future<Output = Result<Next, Error>> + Send;

    /// The status after a reconciliation that failed.
    fn failure(
        &self,
        ctx: &Context,
        object: &Self::Object,
        error: &Error,
    ) -> <Self::Object as HasStatus>::Status;
}

impl<K: Kind> Managed for K {
    type Object = K::Object;

    async fn reconcile(&self, ctx: &Context, object: &Arc<K::Object>) -> Result<Next, Error> {
        reconcile::<K>(ctx, object).await
    }

    fn failure(&self, ctx: &Context, object: &K::Object, error: &Error) -> StatusOf<K> {
        match error.refusal() {
            Some(why) => K::status(ctx, object, &Outcome::Invalid(&why, &Objects::new())),
            None => K::status(ctx, object, &Outcome::Failed(&error.chain())),
        }
    }
}

/// The reconciler of a managed kind.
pub struct KindLoop<M> {
    /// What every reconciliation gets.
    pub context: Arc<Context>,
    /// The kind.
    pub kind: M,
}

impl<M: Managed> Reconciler for KindLoop<M> {
    fn identity(&self, key: &Key) -> Option<Identity> {
        let store = &M::Object::cache(&self.context.caches).store;
        if let Some(object) = store.object(key) {
            return Some(Identity::of(&*object));
        }
        store
            .undecodable(key)
            .map(|invalid| Identity::of_metadata(&invalid.metadata))
    }

    async fn reconcile(&self, key: &Key) -> Result<Next, Error> {
        let ctx = &*self.context;
        let store = &M::Object::cache(&ctx.caches).store;
        if let Some(object) = store.object(key) {
            return self.kind.reconcile(ctx, &object).await;
        }
        if let Some(invalid) = store.undecodable(key) {
            ctx.metrics.outcome(&M::Object::kind(&()), "undecodable");
            let report = ctx
                .statuses
                .report_undecodable::<M::Object>(&invalid, ctx.now());
            report.await?;
        }
        Ok(Next::AwaitChange)
    }

    async fn failed(&self, key: &Key, error: &Error) {
        let ctx = &*self.context;
        ctx.metrics.outcome(&M::Object::kind(&()), "failed");
        let Some(object) = M::Object::cache(&ctx.caches).store.object(key) else {
            return;
        };
        let status = self.kind.failure(ctx, &object, error);
        if let Err(error) = ctx.statuses.report(&*object, &status).await {
            tracing::warn!(%key, error = error.chain(), "failed to report the failure");
        }
    }

    fn forget(&self, key: &Key) {
        let ctx = &*self.context;
        ctx.statuses.forget::<M::Object>(key);
        ctx.secrets.unsubscribe(&Subscriber {
            kind: M::Object::kind(&()).into_owned(),
            key: key.clone(),
        });
    }
}
