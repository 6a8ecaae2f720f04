//! CPU time: of pods, by service, and of the whole machine.

use std::collections::BTreeMap;

use anyhow::Context as _;
use e2e::{Kubectl, processes};

/// Milliseconds used so far by the pods that a selector finds, by service.
pub fn of_pods(
    kubectl: &Kubectl,
    namespace: &str,
    selector: &str,
) -> anyhow::Result<BTreeMap<String, u64>> {
    let mut sums = BTreeMap::new();
    for process in processes::of_pods(kubectl, namespace, selector)? {
        *sums.entry(process.service.clone()).or_default() += process.cpu_ms().unwrap_or(0);
    }
    Ok(sums)
}

/// Milliseconds in which the cores of this machine worked so far: the clients of the benchmark, the cluster's own
/// components and everything else included.
pub fn of_machine() -> anyhow::Result<u64> {
    let stat = std::fs::read_to_string("/proc/stat")?;
    let line = stat.lines().next().context("/proc/stat is empty")?;
    let ticks: Result<Vec<u64>, _> = line.split_whitespace().skip(1).map(str::parse).collect();
    let ticks = ticks?;
    // user, nice, system, then idle and iowait, which are no work, then irq and softirq (proc(5)); 100 ticks a second.
    let work = [0, 1, 2, 5, 6]
        .iter()
        .filter_map(|column| ticks.get(*column));
    Ok(work.sum::<u64>() * 10)
}
