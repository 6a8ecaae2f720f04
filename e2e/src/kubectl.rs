//! kubectl as a user types it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use crate::eventually;
use crate::objects::Objects;

/// The kubectl of the cluster under test: what a user types is typed, and what is asked until it is so is read over one connection.
#[derive(Clone, Debug)]
pub struct Kubectl {
    program: PathBuf,
    state: PathBuf,
    objects: Arc<Objects>,
}

impl Kubectl {
    /// The cluster that `STOREFRONT_E2E_STATE` names.
    pub fn from_env() -> anyhow::Result<Self> {
        let state = env("STOREFRONT_E2E_STATE")
            .context("the stories need a cluster: run them with `make e2e`")?;
        let program = env("STOREFRONT_KUBECTL").unwrap_or_else(|_| "kubectl".into());
        let state = PathBuf::from(state);
        Ok(Self {
            program: program.into(),
            objects: Arc::new(Objects::of(&state.join("kubeconfig"))?),
            state,
        })
    }

    /// The state folder of the cluster: kubeconfig, logs, the audit log.
    pub fn state(&self) -> &Path {
        &self.state
    }

    pub fn program(&self) -> &Path {
        &self.program
    }

    /// A kubectl process that is ready to start.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg("--kubeconfig")
            .arg(self.state.join("kubeconfig"))
            // What it remembers of the API goes with the cluster; by itself it would write to ~/.kube.
            .arg("--cache-dir")
            .arg(self.state.join("kubectl"))
            .args(args);
        command
    }

    /// Runs kubectl and returns what it printed; its error output is the error.
    pub fn run(&self, args: &[&str]) -> anyhow::Result<String> {
        let output = self.command(args).output().context("start kubectl")?;
        printed(args, &output)
    }

    /// One object, such as `deployment/shop-order`.
    pub fn get(&self, namespace: &str, object: &str) -> anyhow::Result<Value> {
        self.objects.get(namespace, object)
    }

    /// The objects of a kind, those that a label selector finds; all of them if it is empty.
    pub fn list(&self, namespace: &str, kind: &str, selector: &str) -> anyhow::Result<Vec<Value>> {
        self.objects.list(namespace, kind, selector)
    }

    /// A condition of an object.
    pub fn condition(
        &self,
        namespace: &str,
        object: &str,
        condition: &str,
    ) -> anyhow::Result<Value> {
        let seen = self.get(namespace, object)?;
        condition_of(&seen, condition).with_context(|| format!("{object} has no {condition}"))
    }

    /// `kubectl apply` of a manifest, server-side as GitOps tools do it.
    pub fn apply(&self, namespace: &str, manifest: &str) -> anyhow::Result<String> {
        self.send(
            &["apply", "--server-side", "-n", namespace, "-f", "-"],
            manifest,
        )
    }

    /// `kubectl apply` without a change: a dry run on the server.
    pub fn check(&self, namespace: &str, manifest: &str) -> anyhow::Result<String> {
        let args = [
            "apply",
            "--server-side",
            "--dry-run=server",
            "-n",
            namespace,
            "-f",
            "-",
        ];
        self.send(&args, manifest)
    }

    fn send(&self, args: &[&str], manifest: &str) -> anyhow::Result<String> {
        let mut child = self
            .command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("start kubectl")?;
        child
            .stdin
            .take()
            .context("kubectl has no input")?
            .write_all(manifest.as_bytes())?;
        printed(args, &child.wait_with_output()?)
    }

    /// Waits until a condition of an object is `True`; the error has its reason and message.
    pub fn wait_for(
        &self,
        namespace: &str,
        object: &str,
        condition: &str,
        limit: Duration,
    ) -> anyhow::Result<()> {
        eventually(&format!("{object} {condition}"), limit, || {
            let seen = self.get(namespace, object)?;
            let generation = &seen["metadata"]["generation"];
            let found = condition_of(&seen, condition);
            let found = found.with_context(|| format!("{object} has no {condition}"))?;
            ensure!(
                found["status"] == "True" && found["observedGeneration"] == *generation,
                "{condition}={} {}: {}",
                found["status"],
                found["reason"],
                found["message"]
            );
            Ok(())
        })
    }

    /// A value of a Secret, decoded.
    pub fn secret(&self, namespace: &str, name: &str, key: &str) -> anyhow::Result<String> {
        use base64::Engine as _;
        let secret = self.get(namespace, &format!("secret/{name}"))?;
        let held = secret["data"][key]
            .as_str()
            .with_context(|| format!("{name} has no {key}"))?;
        let bytes = base64::engine::general_purpose::STANDARD.decode(held)?;
        Ok(String::from_utf8(bytes)?)
    }

    /// A value of the Secret that a DatabaseBinding says is to be used, decoded.
    pub fn credential(&self, namespace: &str, binding: &str, key: &str) -> anyhow::Result<String> {
        let found = self.get(namespace, &format!("databasebinding/{binding}"))?;
        let secret = found["status"]["binding"]["name"]
            .as_str()
            .with_context(|| format!("DatabaseBinding {binding} names no Secret"))?;
        self.secret(namespace, secret, key)
    }

    /// The objects of some kinds with commas between them, as `KIND/NAME`, those that a label selector finds.
    pub fn names(
        &self,
        namespace: &str,
        kinds: &str,
        selector: &str,
    ) -> anyhow::Result<Vec<String>> {
        let mut names = Vec::new();
        for kind in kinds.split(',') {
            names.extend(self.objects.names(namespace, kind, selector)?);
        }
        Ok(names)
    }
}

/// A condition in the status of an object.
fn condition_of(object: &Value, condition: &str) -> Option<Value> {
    let mut conditions = object["status"]["conditions"].as_array()?.iter();
    conditions.find(|held| held["type"] == condition).cloned()
}

fn printed(args: &[&str], output: &Output) -> anyhow::Result<String> {
    if !output.status.success() {
        bail!(
            "kubectl {}: {}",
            args.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8(output.stdout.clone())?)
}

/// A setting of the run.
#[expect(
    clippy::disallowed_methods,
    reason = "a test run is configured by its environment"
)]
pub fn env(name: &str) -> anyhow::Result<String> {
    std::env::var(name).with_context(|| format!("{name} is not set"))
}
