//! Asks the pods of a workload that is not ready for the reason.
//!
//! ## Why no watch
//! There are many pods, each changes many times while it comes up, and nearly all of them are well. So
//! they are listed, by label and a page at most, when there is something to ask; and asked again, the
//! less often the longer it takes, for what a pod waits for changes nothing of its workload.

use std::sync::Arc;
use std::time::Duration;

use crds::Condition;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::ListParams;
use operator_plan::conditions::find;
use operator_plan::objects::key_of;
use operator_plan::trouble::PodsOf;
use operator_plan::{Applied, Live, Objects};

use crate::context::Context;
use crate::error::{Error, Outcome};

/// Pods of one workload that are read at most.
const PAGE: u32 = 100;
/// Seconds between two looks at something that has just stopped being ready, and at what has not been for long.
const SOONEST: i64 = 5;
const LATEST: i64 = 60;

impl Context {
    /// Reads these pods and puts them beside what else was seen. One that cannot be read leaves a
    /// status without its reason, which is better than no status.
    pub async fn ask_pods(&self, namespace: &str, whose: &[PodsOf], seen: &mut Objects<Applied>) {
        for of in whose {
            if let Err(error) = self.ask(namespace, of, seen).await {
                tracing::warn!(namespace, error = error.chain(), "pods could not be asked");
            }
        }
    }

    async fn ask(
        &self,
        namespace: &str,
        of: &PodsOf,
        seen: &mut Objects<Applied>,
    ) -> Result<(), Error> {
        let labels: Vec<String> = of.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let labels = labels.join(",");
        let params = ListParams::default().labels(&labels).limit(PAGE);
        let listed = self.api::<Pod>(namespace).list(&params).await;
        let listed =
            listed.map_err(|source| Error::api("list", format!("Pods {labels}"), source))?;
        for mut pod in listed {
            pod.metadata.managed_fields = None;
            let key = key_of::<Pod>(namespace, &pod.name_any());
            let live = Live::Pod(Arc::new(pod));
            seen.items.push(Applied { key, live });
        }
        Ok(())
    }
}

/// When to look again at an object whose pods were asked, by how long it has not been ready.
pub fn next_look(whose: &[PodsOf], conditions: &[Condition], now: Timestamp) -> Outcome {
    if whose.is_empty() {
        return Outcome::AwaitChange;
    }
    Outcome::Requeue(wait(conditions, now))
}

fn wait(conditions: &[Condition], now: Timestamp) -> Duration {
    let since = find(conditions, "Ready").map_or(now, |ready| ready.last_transition_time.0);
    let age = now.as_second() - since.as_second();
    let delay = (age / 2).clamp(SOONEST, LATEST);
    Duration::from_secs(delay.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use operator_plan::conditions::{Aspect, conditions};

    #[test]
    fn the_longer_it_takes_the_less_often_somebody_looks() {
        let since = Timestamp::UNIX_EPOCH;
        let aspects = [Aspect::no("Ready", "ImagePullBackOff", "no image")];
        let list = conditions(&[], &aspects, None, since);
        let whose: Vec<PodsOf> = Vec::new();
        assert_eq!(next_look(&whose, &list, since), Outcome::AwaitChange);
        let after = |secs| {
            let now = Timestamp::from_second(secs).expect("an instant");
            wait(&list, now).as_secs()
        };
        assert_eq!([0, 10, 60, 3600].map(after), [5, 5, 30, 60]);
    }
}
