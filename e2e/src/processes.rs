//! The processes behind pods, as the node shows them. No image of the platform has a shell or a
//! `ps`, so they are found by the pod's uid in their cgroup path: only processes of the cluster
//! under test can match.

use std::path::Path;

use anyhow::Context as _;

use crate::Kubectl;

/// Clock ticks per second of `/proc/<pid>/stat`; fixed by the kernel's ABI on Linux.
const TICKS_PER_SECOND: u64 = 100;

/// One process of a pod.
#[derive(Clone, Debug)]
pub struct Process {
    /// The service that the pod runs: its label `app.kubernetes.io/name`.
    pub service: String,
    pub pid: u32,
}

impl Process {
    /// CPU time used so far, of its reaped children too, in milliseconds.
    pub fn cpu_ms(&self) -> anyhow::Result<u64> {
        let ticks = self.stat(11)?.take(4);
        Ok(ticks.sum::<Result<u64, _>>()? * 1_000 / TICKS_PER_SECOND)
    }

    /// How long the process has lived, in milliseconds; as fine as a clock tick, 10 ms.
    pub fn age_ms(&self) -> anyhow::Result<u64> {
        let uptime = std::fs::read_to_string("/proc/uptime")?;
        let uptime: f64 = uptime
            .split(' ')
            .next()
            .context("an empty uptime")?
            .parse()?;
        let started = self.stat(19)?.next().context("no start time")?? * 1_000 / TICKS_PER_SECOND;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an uptime is positive and short"
        )]
        let uptime = (uptime * 1e3) as u64;
        Ok(uptime.saturating_sub(started))
    }

    /// Fields of `/proc/<pid>/stat` from the given place behind the name on (proc(5) counts two more).
    fn stat(
        &self,
        from: usize,
    ) -> anyhow::Result<impl Iterator<Item = Result<u64, std::num::ParseIntError>>> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid))?;
        // The name in parentheses may hold spaces; what follows it does not.
        let fields = stat
            .rsplit_once(") ")
            .context("a stat line without a name")?
            .1
            .to_owned();
        let fields: Vec<String> = fields.split(' ').skip(from).map(str::to_owned).collect();
        Ok(fields.into_iter().map(|field| field.trim().parse()))
    }

    /// Proportional set size, in KiB: shared pages are counted once over all who share them.
    pub fn memory_kib(&self) -> anyhow::Result<u64> {
        let rollup = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", self.pid))?;
        let line = rollup
            .lines()
            .find_map(|line| line.strip_prefix("Pss:"))
            .context("no Pss")?;
        Ok(line.trim().trim_end_matches(" kB").trim().parse()?)
    }
}

/// The processes of every container of the pods that the selector finds, without the sandboxes.
pub fn of_pods(kubectl: &Kubectl, namespace: &str, selector: &str) -> anyhow::Result<Vec<Process>> {
    let pods = kubectl.list(namespace, "pods", selector)?;
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let path = entry?.path();
        let Some(pid) = path
            .file_name()
            .and_then(|name| name.to_str()?.parse().ok())
        else {
            continue;
        };
        let read = |file: &str| std::fs::read_to_string(Path::new(&path).join(file));
        let Ok(cgroup) = read("cgroup") else { continue };
        if read("comm").is_ok_and(|name| name.trim() == "pause") {
            continue;
        }
        for pod in &pods {
            let uid = pod["metadata"]["uid"]
                .as_str()
                .context("a pod without uid")?;
            // The systemd driver writes the uid with underscores, cgroupfs with dashes.
            if cgroup.contains(uid) || cgroup.contains(&uid.replace('-', "_")) {
                let name = &pod["metadata"]["labels"]["app.kubernetes.io/name"];
                let service = name.as_str().unwrap_or("?").to_owned();
                found.push(Process { service, pid });
            }
        }
    }
    Ok(found)
}
