//! The operator while nothing changes.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use e2e::{Kubectl, audit};

use crate::selectors::{OPERATOR, SYSTEM};

pub fn operator(kubectl: &Kubectl, idle: Duration) -> anyhow::Result<()> {
    let mark = audit::mark(kubectl)?;
    let before = reconciles(kubectl)?;
    let start = Instant::now();
    while start.elapsed() < idle {
        std::thread::sleep(Duration::from_secs(1).min(idle));
    }
    let writes = audit::writes_since(kubectl, mark, audit::OPERATOR)?;
    let runs = reconciles(kubectl)? - before;
    let secs = idle.as_secs();
    println!("| API writes of the operator in {secs} idle seconds | {writes:?} |");
    println!("| reconciles of the operator in {secs} idle seconds | {runs} |");
    Ok(())
}

/// Reconciles so far, of all kinds, from the operator's own metric.
fn reconciles(kubectl: &Kubectl) -> anyhow::Result<u64> {
    let mut sum = 0;
    for pod in kubectl.names(SYSTEM, "pods", OPERATOR)? {
        let pod = pod.trim_start_matches("pod/");
        let path = format!("/api/v1/namespaces/{SYSTEM}/pods/{pod}:9090/proxy/metrics");
        let text = kubectl.run(&["get", "--raw", &path])?;
        let series = "controller_runtime_reconcile_total{";
        for line in text.lines().filter(|line| line.starts_with(series)) {
            let value = line.rsplit(' ').next().context("a series without value")?;
            sum += value.parse::<u64>()?;
        }
    }
    Ok(sum)
}
