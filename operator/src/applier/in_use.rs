//! Which Secrets pods may still need, although they are no longer planned.

use kube_cache::Key;
use operator_plan::ObjectKey;
use operator_plan::in_use::MakesPods;

use crate::caches::{Caches, Cut};
use crate::slim::Trim;

/// Whether an object is a Secret that a pod of this namespace may need to start: a template refers to it, or a rollout
/// is under way, so that pods of an earlier template run. The end of a rollout changes the status of its workload, so
/// whoever planned the Secret once is reconciled then.
pub(super) fn is_needed(caches: &Caches, object: &ObjectKey) -> bool {
    if !object.group.is_empty() || object.kind != "Secret" {
        return false;
    }
    let secret = Key::new(object.namespace.clone(), object.name.clone());
    needs(&caches.deployments, &secret)
        || needs(&caches.stateful_sets, &secret)
        || needs(&caches.jobs, &secret)
}

/// Of what has not been listed yet, anything may need it.
fn needs<K: Trim + MakesPods>(workloads: &Cut<K>, secret: &Key) -> bool {
    let store = &workloads.store;
    let here = store.in_namespace(&secret.namespace);
    let mut here = here.iter();
    !store.covers(secret)
        || here.any(|it| !it.object.is_rolled_out() || it.secrets.contains(&secret.name))
}
