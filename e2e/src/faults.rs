//! kill -9, from outside.

use anyhow::ensure;

use crate::{Kubectl, processes};

/// Kills every process of every container of the pods that the selector finds, and returns how many.
pub fn kill_nine(kubectl: &Kubectl, namespace: &str, selector: &str) -> anyhow::Result<usize> {
    let victims = processes::of_pods(kubectl, namespace, selector)?;
    ensure!(
        !victims.is_empty(),
        "no process in {namespace} matches {selector}"
    );
    let mut killed = 0;
    for victim in victims {
        // It may have ended by itself meanwhile.
        let mut kill = std::process::Command::new("kill");
        killed += usize::from(
            kill.args(["-9", &victim.pid.to_string()])
                .output()?
                .status
                .success(),
        );
    }
    Ok(killed)
}
