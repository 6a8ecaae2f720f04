//! A pod's replacement, and memory.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use e2e::{Kubectl, Namespace, Shop, eventually, processes};
use serde_json::Value;

use crate::selectors::{OPERATOR, SHOP, SYSTEM};

const ORDER: &str = "app.kubernetes.io/name=order";
const LIMIT: Duration = Duration::from_secs(60);

/// A pod is deleted: how long until its successor answers `/readyz`, and how long the successor's
/// process takes from its start to the log line that reports that it serves.
pub fn replacement(kubectl: &Kubectl, namespace: &Namespace, shop: &Shop) -> anyhow::Result<()> {
    let at = ["-n", namespace.name()];
    let before = kubectl.names(namespace.name(), "pods", ORDER)?;
    let start = Instant::now();
    kubectl.run(&[&at[..], &["delete", "pod", "--wait=false", "-l", ORDER]].concat())?;
    let (name, address) = eventually("a new pod", LIMIT, || new_pod(kubectl, namespace, &before))?;
    let http = e2e::shop::client(None)?;
    let ready = format!("http://{address}:9090/readyz");
    eventually(&ready, LIMIT, || {
        http.get(&ready).send()?.error_for_status()?;
        Ok(())
    })?;
    println!(
        "| a deleted `order` pod is replaced and answers /readyz | {:.1} s |",
        start.elapsed().as_secs_f64()
    );

    let mut started = Vec::new();
    for process in processes::of_pods(kubectl, namespace.name(), ORDER)? {
        started.push(epoch_ms("now")?.saturating_sub(process.age_ms()?));
    }
    let started = started.into_iter().max().context("no process")?;
    let log = kubectl.run(&[&at[..], &["logs", &name]].concat())?;
    let serving = log.lines().find(|line| line.contains("\"serving\""));
    let serving: Value = serde_json::from_str(serving.context("the log has no line `serving`")?)?;
    let serving = epoch_ms(serving["timestamp"].as_str().context("no timestamp")?)?;
    println!(
        "| from the start of its process until it serves | {} ms |",
        serving.saturating_sub(started)
    );

    // The gateway learns of the new pod a moment later.
    eventually("the shop is complete again", LIMIT, || {
        kubectl.wait_for(namespace.name(), "storefront/shop", "Ready", LIMIT)?;
        shop.get("/v1/orders", None)?.expect(401)
    })?;
    Ok(())
}

fn new_pod(
    kubectl: &Kubectl,
    namespace: &Namespace,
    before: &[String],
) -> anyhow::Result<(String, String)> {
    let found = kubectl.list(namespace.name(), "pods", ORDER)?;
    let name = |pod: &Value| {
        format!(
            "pod/{}",
            pod["metadata"]["name"].as_str().unwrap_or_default()
        )
    };
    let mut pods = found.iter();
    let pod = pods
        .find(|pod| !before.contains(&name(pod)))
        .context("no new pod")?;
    let ip = pod["status"]["podIP"].as_str().context("no address yet")?;
    Ok((name(pod), ip.to_owned()))
}

/// An instant as date(1) reads it, in milliseconds since 1970.
fn epoch_ms(instant: &str) -> anyhow::Result<u64> {
    let output = std::process::Command::new("date")
        .args(["+%s%3N", "--date", instant])
        .output()?;
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

pub fn memory(kubectl: &Kubectl, namespace: &Namespace) -> anyhow::Result<()> {
    let mut sums = memory_of(kubectl, namespace.name(), SHOP)?;
    sums.append(&mut memory_of(kubectl, SYSTEM, OPERATOR)?);
    for (service, mib) in sums {
        println!("| memory of `{service}` at rest (PSS) | {mib:.1} MiB |");
    }
    Ok(())
}

/// Proportional set size in MiB, by service.
pub fn memory_of(
    kubectl: &Kubectl,
    namespace: &str,
    selector: &str,
) -> anyhow::Result<BTreeMap<String, f64>> {
    let mut sums = BTreeMap::new();
    for process in processes::of_pods(kubectl, namespace, selector)? {
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        let mib = process.memory_kib().unwrap_or(0) as f64 / 1024.0;
        *sums.entry(process.service.clone()).or_default() += mib;
    }
    Ok(sums)
}
