//! kill -9, from outside: no image of the platform has a shell, so the processes are found on the
//! node by the pod's uid in their cgroup path. Only processes of the cluster under test can match.

use std::path::Path;

use anyhow::{Context as _, ensure};

use crate::Kubectl;

/// Kills every process of every container of the pods that the selector finds, and says how many.
pub fn kill_nine(kubectl: &Kubectl, namespace: &str, selector: &str) -> anyhow::Result<usize> {
    let pods = kubectl.get(&["-n", namespace, "pods", "-l", selector])?;
    let pods = pods["items"].as_array().cloned().unwrap_or_default();
    ensure!(!pods.is_empty(), "no pod in {namespace} matches {selector}");
    let mut killed = 0;
    for pod in &pods {
        let uid = pod["metadata"]["uid"].as_str().context("a pod without uid")?;
        for pid in processes_of(uid)? {
            // The process may have ended by itself in between; that is as good.
            let done = std::process::Command::new("kill").args(["-9", &pid.to_string()]).status()?;
            killed += usize::from(done.success());
        }
    }
    Ok(killed)
}

/// Pids of a pod's containers, without the sandbox's own `pause`.
fn processes_of(pod_uid: &str) -> anyhow::Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let path = entry?.path();
        let Some(pid) = path.file_name().and_then(|name| name.to_str()?.parse().ok()) else {
            continue;
        };
        let read = |file: &str| std::fs::read_to_string(Path::new(&path).join(file));
        let Ok(cgroup) = read("cgroup") else { continue };
        // The systemd driver writes the uid with underscores, cgroupfs with dashes.
        let belongs = cgroup.contains(pod_uid) || cgroup.contains(&pod_uid.replace('-', "_"));
        if belongs && read("comm").is_ok_and(|name| name.trim() != "pause") {
            found.push(pid);
        }
    }
    Ok(found)
}
