//! Many Storefronts at a time whose servers cannot start, because the node is cordoned: what the operator costs until
//! each reports that it waits, and then while they wait.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::ensure;
use e2e::audit::{self, Requests};
use e2e::{Kubectl, Namespace, eventually};
use serde_json::Value;

use crate::selectors::{OPERATOR, SYSTEM};
use crate::{cpu, pods};

/// How long the operator is watched while all wait.
const WAITING: Duration = Duration::from_secs(30);

pub fn measure(kubectl: &Kubectl, count: u64) -> anyhow::Result<()> {
    let _cordon = Cordon::new(kubectl)?;
    let namespace = Namespace::restricted(kubectl, "fan-out")?.quiet();
    let (mark, cpu_before, start) = (
        audit::mark(kubectl)?,
        operator_cpu_ms(kubectl)?,
        Instant::now(),
    );
    kubectl.apply(namespace.name(), &storefronts(count))?;
    eventually("every Storefront waits", Duration::from_secs(600), || {
        all_wait(kubectl, &namespace, count)
    })?;
    let wall = start.elapsed().as_secs_f64();
    let cpu = operator_cpu_ms(kubectl)? - cpu_before;
    let requests = audit::requests_since(kubectl, mark, audit::OPERATOR)?;
    let memory: f64 = pods::memory_of(kubectl, SYSTEM, OPERATOR)?.values().sum();
    println!("| {count} Storefronts until all wait for their servers | {wall:.1} s |");
    println!("| ... CPU of the operator | {:.1} s |", seconds(cpu));
    println!("| ... memory of the operator then (PSS) | {memory:.1} MiB |");
    report(&requests, count);

    let (mark, cpu_before) = (audit::mark(kubectl)?, operator_cpu_ms(kubectl)?);
    std::thread::sleep(WAITING);
    let share = seconds(operator_cpu_ms(kubectl)? - cpu_before) / WAITING.as_secs_f64() * 100.0;
    let requests = audit::requests_since(kubectl, mark, audit::OPERATOR)?;
    println!(
        "| ... {} s more while they wait: CPU of the operator | {share:.1} % of a core |",
        WAITING.as_secs()
    );
    println!(
        "| ... requests of the operator in that time | {} |",
        listed(&requests)
    );
    kubectl.run(&[
        "-n",
        namespace.name(),
        "delete",
        "storefronts",
        "--all",
        "--wait=true",
        "--timeout=600s",
    ])?;
    Ok(())
}

fn report(requests: &Requests, count: u64) {
    let (writes, reads): (Requests, Requests) = requests
        .clone()
        .into_iter()
        .partition(|(request, _)| audit::is_write(request));
    for (name, requests) in [("reads", reads), ("writes", writes)] {
        let sum: usize = requests.values().sum();
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        let each = sum as f64 / count as f64;
        println!(
            "| ... {name} of the operator, a shop | {each:.1}: {} |",
            listed(&requests)
        );
    }
}

/// The most frequent first.
fn listed(requests: &Requests) -> String {
    let mut sorted: Vec<_> = requests.iter().collect();
    sorted.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let listed: Vec<_> = sorted
        .into_iter()
        .map(|(request, count)| format!("{count} {request}"))
        .collect();
    if listed.is_empty() {
        "none".to_owned()
    } else {
        listed.join(", ")
    }
}

fn storefronts(count: u64) -> String {
    (0..count).fold(String::new(), |mut all, number| {
        let _ = write!(
            all,
            "---
apiVersion: storefront.dev/v1alpha1
kind: Storefront
metadata: {{ name: shop-{number} }}
spec:
  hostnames: [shop-{number}.fan-out.localhost]
  deletionPolicy: Delete
  notifications:
    email:
      smtp: {{ host: mailpit.mail.svc.cluster.local, port: 1025, from: shop@bench.localhost }}
"
        );
        all
    })
}

fn all_wait(kubectl: &Kubectl, namespace: &Namespace, count: u64) -> anyhow::Result<()> {
    let shops = kubectl.list(namespace.name(), "storefronts", "")?;
    let waiting = shops.iter().filter(|shop| waits(shop)).count() as u64;
    ensure!(waiting == count, "{waiting} of {count} wait");
    Ok(())
}

/// A condition of the current generation names a pod that cannot be scheduled.
fn waits(shop: &Value) -> bool {
    let generation = &shop["metadata"]["generation"];
    let mut conditions = shop["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten();
    conditions.any(|condition| {
        let message = condition["message"].as_str().unwrap_or_default();
        let unschedulable =
            condition["reason"] == "Unschedulable" || message.contains("unschedulable");
        condition["observedGeneration"] == *generation
            && condition["status"] == "False"
            && unschedulable
    })
}

fn operator_cpu_ms(kubectl: &Kubectl) -> anyhow::Result<u64> {
    Ok(cpu::of_pods(kubectl, SYSTEM, OPERATOR)?.values().sum())
}

fn seconds(ms: u64) -> f64 {
    Duration::from_millis(ms).as_secs_f64()
}

/// While it lives, no pod starts on the cluster's node.
struct Cordon<'a> {
    kubectl: &'a Kubectl,
    node: String,
}

impl<'a> Cordon<'a> {
    fn new(kubectl: &'a Kubectl) -> anyhow::Result<Self> {
        let node = kubectl
            .run(&["get", "nodes", "-o", "name"])?
            .trim()
            .to_owned();
        ensure!(
            node.lines().count() == 1,
            "this benchmark needs a cluster of one node"
        );
        kubectl.run(&["cordon", &node])?;
        Ok(Self { kubectl, node })
    }
}

impl Drop for Cordon<'_> {
    fn drop(&mut self) {
        let _ = self.kubectl.run(&["uncordon", &self.node]);
    }
}
