//! Asks a workload why it is not ready, or what it does without.

use std::sync::Arc;
use std::time::Duration;

use crds::ServiceDeployment;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use operator_plan::objects::key_of;
use operator_plan::probe::{Answer, again_after};
use operator_plan::service_deployment::asking;
use operator_plan::{Applied, Live, Objects};

use crate::context::Context;
use crate::next::Next;

/// Puts the answer beside what else was read; returns when to ask again.
pub(super) async fn ask(
    ctx: &Context,
    service: &ServiceDeployment,
    seen: &mut Objects<Applied>,
) -> Next {
    let asking = asking(service, seen, ctx.now());
    let mut again = asking.again;
    if let Some(question) = asking.now.clone() {
        let said = ctx.prober.ask(&question).await;
        again = again_after(&asking, &said, records_failures(service));
        let namespace = service.namespace().unwrap_or_default();
        let key = key_of::<Pod>(&namespace, &question.pod);
        let live = Live::Answer(Arc::new(Answer { question, said }));
        seen.items.push(Applied { key, live });
    }
    let again = again.and_then(|again| Duration::try_from(again).ok());
    again.map_or(Next::AwaitChange, Next::Requeue)
}

fn records_failures(service: &ServiceDeployment) -> bool {
    let status = service.status.as_ref();
    status.is_some_and(|status| !status.failing.is_empty())
}
