//! Reads why a pod has none of its containers yet. The kubelet says so in an event, and nowhere else.
//!
//! Events are read of a pod that has waited for some seconds, and then less and less often, see
//! [`operator_plan::creating`]. Of other pods nothing is read, so a cluster at rest costs nothing.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube_cache::Key;
use operator_plan::creating::{creating_since, look, why};
use operator_plan::objects::key_of;
use operator_plan::trouble::PodsOf;
use operator_plan::{Applied, Live, Objects};

use crate::context::Context;
use crate::error::Error;
use crate::next::Next;
use crate::pod_events::Read;

/// Puts what the kubelet says of these workloads' pods beside what else was read; returns when to look again.
pub async fn add(
    ctx: &Context,
    namespace: &str,
    whose: &[PodsOf],
    seen: &mut Objects<Applied>,
) -> Result<Next, Error> {
    let pods = seen
        .all::<Pod>()
        .filter(|(_, pod)| whose.iter().any(|of| of.has(pod)));
    let waiting = pods.filter_map(|(name, pod)| Some((name.to_owned(), creating_since(pod)?)));
    let waiting: Vec<(String, Timestamp)> = waiting.collect();
    let mut next = Next::AwaitChange;
    for (name, since) in waiting {
        let pod = Key::new(namespace, name);
        let known = ctx.pod_events.of(&pod, since);
        let waited = ctx.now().duration_since(since);
        let look = look(waited, known.as_ref().map(|read| read.waited));
        let said = if look.is_due {
            let of_pod = ("Pod", pod.name.as_str());
            let events = ctx.reader.events(namespace, of_pod, "type=Warning");
            let events = events.await?;
            let said = why(&events);
            let read = Read {
                since,
                waited,
                said: said.clone(),
            };
            ctx.pod_events.keep(&ctx.caches, pod.clone(), read);
            said
        } else {
            known.and_then(|read| read.said)
        };
        seen.items.extend(said.map(|(reason, why)| Applied {
            key: key_of::<Pod>(namespace, &pod.name),
            live: Live::Stuck(reason, Arc::from(why)),
        }));
        if let Ok(again) = Duration::try_from(look.again) {
            next = next.sooner(Next::Requeue(again));
        }
    }
    Ok(next)
}
