//! Which key sets of policies cannot be used: the data planes know, and are asked.
//!
//! A shop's own policies cost nothing here. For others a data plane is asked once after each change of policies or
//! pods, when the kubelet warns of one of its pods, and again only while something is wrong.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gateway_routes::View;
use gateway_routes::api::Gateway;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use kube_cache::{Cached, Key};
use operator_plan::gateway::key_sets::{self, Troubles};
use operator_plan::gateway::resource_name;
use operator_plan::probe::Said;
use tokio::time::Instant;

use crate::context::Context;
use crate::next::Next;
use crate::slim::workload_id;

/// Pods of a data plane that are looked at.
const MAX_PODS: u32 = 20;

/// What data planes answered, by Gateway.
#[derive(Default)]
pub struct KeySets(Mutex<HashMap<Key, Known>>);

/// What one data plane answered, and what it was asked about.
#[derive(Clone, Default)]
struct Known {
    pods: BTreeSet<String>,
    uris: BTreeSet<String>,
    /// Versions of the kubelet's warnings about these pods.
    warnings: BTreeSet<String>,
    /// When it is asked next.
    due: Option<Instant>,
    troubles: Troubles,
}

impl KeySets {
    /// What is wrong with key sets at the data planes of these Gateways, and when to look again.
    pub async fn observe(
        &self,
        ctx: &Context,
        namespace: &str,
        view: &View<'_>,
        gateways: &[std::sync::Arc<Gateway>],
    ) -> (Troubles, Next) {
        let uris = view.foreign_key_sets();
        let keys: BTreeSet<Key> = gateways.iter().map(|it| Key::of(&**it)).collect();
        self.lock()
            .retain(|key, _| key.namespace != namespace || keys.contains(key));
        let (mut told, mut next) = (Troubles::default(), Next::AwaitChange);
        for key in keys {
            if key.namespace != namespace {
                continue;
            }
            if uris.is_empty() {
                self.lock().remove(&key);
                continue;
            }
            let known = self.follow(ctx, &key, &uris).await;
            if let Some(due) = known.due {
                let left = due.saturating_duration_since(Instant::now());
                next = next.sooner(Next::Requeue(left));
            }
            let plane = format!("the data plane of Gateway {}", key.name);
            for (uri, why) in &known.troubles.unusable {
                let text = || format!("{plane} has no key: {why}");
                told.unusable.entry(uri.clone()).or_insert_with(text);
            }
            for (uri, why) in &known.troubles.stale {
                let text = || format!("fetching the keys again at {plane} {why}");
                told.stale.entry(uri.clone()).or_insert_with(text);
            }
            self.lock().insert(key, known);
        }
        (told, next)
    }

    /// A namespace without routes and policies.
    pub fn forget(&self, namespace: &str) {
        self.lock().retain(|key, _| key.namespace != namespace);
    }

    /// What is known of one data plane, which is asked if it is time.
    async fn follow(&self, ctx: &Context, gateway: &Key, uris: &BTreeSet<String>) -> Known {
        let workload = resource_name(&gateway.name);
        let id = workload_id(&gateway.namespace, "Deployment", &workload);
        let pods = ctx.caches.pods.store.owned_by(&id).into_iter();
        let pods: BTreeSet<String> = pods.map(|key| key.name).collect();
        let warnings = warnings(ctx, &gateway.namespace, &pods);
        let mut known = self.lock().get(gateway).cloned().unwrap_or_default();
        if known.pods != pods || known.uris != *uris {
            known.troubles.retain(uris);
            return Known {
                due: after(key_sets::FIRST).filter(|_| !pods.is_empty()),
                pods,
                uris: uris.clone(),
                warnings,
                troubles: known.troubles,
            };
        }
        let is_warned = !warnings.is_subset(&known.warnings);
        known.warnings = warnings;
        if !is_warned && known.due.is_none_or(|due| due > Instant::now()) {
            return known;
        }
        let Some(said) = ask(ctx, gateway).await else {
            return Known {
                due: after(key_sets::STARTING),
                ..known
            };
        };
        let heard = key_sets::troubles(&said, uris);
        Known {
            due: key_sets::again(heard.as_ref()).and_then(after),
            troubles: heard.unwrap_or_else(|| known.troubles.clone()),
            ..known
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The versions of the warnings about these pods.
fn warnings(ctx: &Context, namespace: &str, pods: &BTreeSet<String>) -> BTreeSet<String> {
    let all = ctx.caches.probe_warnings.store.in_namespace(namespace);
    let is_about = |pod: &Option<Key>| pod.as_ref().is_some_and(|pod| pods.contains(&pod.name));
    all.iter()
        .filter(|warning| is_about(&warning.pod))
        .filter_map(|warning| warning.version().map(str::to_owned))
        .collect()
}

fn after(time: jiff::SignedDuration) -> Option<Instant> {
    let time = Duration::try_from(time).ok()?;
    Some(Instant::now() + time)
}

/// Asks a pod of the data plane; `None` where none is ready. The caches keep no addresses of pods that are well.
async fn ask(ctx: &Context, gateway: &Key) -> Option<Said> {
    let api = Api::<Pod>::namespaced(ctx.client.clone(), &gateway.namespace);
    let params = ListParams::default()
        .labels(&key_sets::pods(&gateway.name))
        .limit(MAX_PODS);
    // An operator may lack the right to do so; conditions do not depend on it.
    let listed = api.list(&params).await;
    let pods = match listed {
        Ok(pods) => pods.items,
        Err(error) => {
            tracing::debug!(%gateway, %error, "failed to list the pods of a data plane");
            return Some(Said::Nothing);
        }
    };
    let question = key_sets::question(&pods)?;
    Some(ctx.prober.ask(&question).await)
}
