//! Reads why a workload makes no pods. Its controller says so in an event, and nowhere else.
//!
//! Nothing is read of a workload that has pods, so a cluster at rest costs nothing.

use std::time::Duration;

use operator_plan::creating::last_seen;
use operator_plan::podless::{Podless, podless};
use operator_plan::trouble::PodsOf;
use operator_plan::{Applied, Live, ObjectKey, Objects};

use crate::context::Context;
use crate::error::Error;
use crate::next::Next;

/// Time until it is looked again: for an event, or for the controller to make the first pod.
const SOON: Duration = Duration::from_secs(5);
/// The events by which controllers report that they could not make a pod.
const FAILED: &str = "reason=FailedCreate";

/// Puts what the controllers report beside what else was read; returns when to look again.
pub async fn add(
    ctx: &Context,
    namespace: &str,
    whose: &[PodsOf],
    seen: &mut Objects<Applied>,
) -> Result<Next, Error> {
    let mut next = Next::AwaitChange;
    for of in whose {
        let Some(state) = podless(seen, of, ctx.now()) else {
            continue;
        };
        let said = match state {
            Podless::New => None,
            Podless::Due => reported(ctx, namespace, of).await?,
        };
        // Once the cause is gone there is a pod, which is watched.
        match said {
            Some(said) => seen.items.push(Applied {
                key: key_of(namespace, of),
                live: Live::Refused(said),
            }),
            None => next = next.sooner(Next::Requeue(SOON)),
        }
    }
    Ok(next)
}

/// What the newest event says; `None` where there is none, or where events may not be read.
async fn reported(ctx: &Context, namespace: &str, of: &PodsOf) -> Result<Option<String>, Error> {
    let about = (of.kind(), of.name());
    let events = ctx.reader.events(namespace, about, FAILED).await?;
    let newest = events.into_iter().max_by_key(last_seen);
    Ok(newest.and_then(|event| event.note))
}

fn key_of(namespace: &str, of: &PodsOf) -> ObjectKey {
    let group = if of.kind() == "Job" { "batch" } else { "apps" };
    ObjectKey {
        group: group.to_owned(),
        kind: of.kind().to_owned(),
        namespace: namespace.to_owned(),
        name: of.name().to_owned(),
    }
}
