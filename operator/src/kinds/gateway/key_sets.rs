//! Which key sets of policies cannot be used: the data planes know, and are asked.
//!
//! A shop's own policies cost nothing here. For others a data plane is asked once after each change of policies or
//! pods, and again only while something is wrong.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gateway_routes::View;
use gateway_routes::api::Gateway;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use kube_cache::Key;
use operator_plan::gateway::{key_sets, resource_name};
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
    /// When it is asked next.
    due: Option<Instant>,
    unusable: BTreeMap<String, String>,
}

impl KeySets {
    /// The key sets without keys at the data planes of these Gateways, with the reasons, and when to look again.
    pub async fn observe(
        &self,
        ctx: &Context,
        namespace: &str,
        view: &View<'_>,
        gateways: &[std::sync::Arc<Gateway>],
    ) -> (BTreeMap<String, String>, Next) {
        let uris = view.foreign_key_sets();
        let keys: BTreeSet<Key> = gateways.iter().map(|it| Key::of(&**it)).collect();
        self.lock()
            .retain(|key, _| key.namespace != namespace || keys.contains(key));
        let (mut unusable, mut next) = (BTreeMap::new(), Next::AwaitChange);
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
            for (uri, why) in &known.unusable {
                let told = format!("the data plane of Gateway {} has no key: {why}", key.name);
                unusable.entry(uri.clone()).or_insert(told);
            }
            self.lock().insert(key, known);
        }
        (unusable, next)
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
        let known = self.lock().get(gateway).cloned().unwrap_or_default();
        if known.pods != pods || known.uris != *uris {
            let mut unusable = known.unusable;
            unusable.retain(|uri, _| uris.contains(uri));
            return Known {
                due: after(key_sets::FIRST).filter(|_| !pods.is_empty()),
                pods,
                uris: uris.clone(),
                unusable,
            };
        }
        if known.due.is_none_or(|due| due > Instant::now()) {
            return known;
        }
        let Some(said) = ask(ctx, gateway).await else {
            return Known {
                due: after(key_sets::STARTING),
                ..known
            };
        };
        let heard = key_sets::unusable(&said, uris);
        Known {
            due: key_sets::again(heard.as_ref()).and_then(after),
            unusable: heard.unwrap_or_else(|| known.unusable.clone()),
            ..known
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
