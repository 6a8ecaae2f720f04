//! kubectl as a user types it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use crate::eventually;

/// The kubectl of the cluster under test.
#[derive(Clone, Debug)]
pub struct Kubectl {
    program: PathBuf,
    state: PathBuf,
}

impl Kubectl {
    /// The cluster that `STOREFRONT_E2E_STATE` names.
    pub fn from_env() -> anyhow::Result<Self> {
        let state = env("STOREFRONT_E2E_STATE")
            .context("the stories need a cluster: run them with `make e2e`")?;
        let program = env("STOREFRONT_KUBECTL").unwrap_or_else(|_| "kubectl".into());
        Ok(Self {
            program: program.into(),
            state: state.into(),
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

    /// `kubectl get ... -o json`.
    pub fn get(&self, args: &[&str]) -> anyhow::Result<Value> {
        let text = self.run(&[&["get"], args, &["-o", "json"]].concat())?;
        Ok(serde_json::from_str(&text)?)
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
            let seen = self.get(&["-n", namespace, object])?;
            let generation = &seen["metadata"]["generation"];
            let conditions = seen["status"]["conditions"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            let found = conditions.iter().find(|held| held["type"] == condition);
            let found = found.with_context(|| format!("{object} has no condition {condition}"))?;
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
        let secret = self.get(&["-n", namespace, "secret", name])?;
        let held = secret["data"][key]
            .as_str()
            .with_context(|| format!("{name} has no {key}"))?;
        let bytes = base64::engine::general_purpose::STANDARD.decode(held)?;
        Ok(String::from_utf8(bytes)?)
    }

    /// A value of the Secret that a DatabaseBinding says is to be used, decoded.
    pub fn credential(&self, namespace: &str, binding: &str, key: &str) -> anyhow::Result<String> {
        let found = self.get(&["-n", namespace, "databasebinding", binding])?;
        let secret = found["status"]["binding"]["name"]
            .as_str()
            .with_context(|| format!("DatabaseBinding {binding} names no Secret"))?;
        self.secret(namespace, secret, key)
    }

    /// Names of the objects of a kind, optionally by label.
    pub fn names(
        &self,
        namespace: &str,
        kind: &str,
        selector: &str,
    ) -> anyhow::Result<Vec<String>> {
        let text = self.run(&["-n", namespace, "get", kind, "-l", selector, "-o", "name"])?;
        Ok(text.lines().map(str::to_owned).collect())
    }
}

/// The namespace of one story; deleted when the story ends, whether it passed or not.
#[derive(Debug)]
pub struct Namespace {
    kubectl: Kubectl,
    name: String,
    is_quiet: bool,
}

impl Namespace {
    /// Makes a namespace that enforces the restricted Pod Security Standard.
    pub fn restricted(kubectl: &Kubectl, story: &str) -> anyhow::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{story}-{}-{count}", std::process::id());
        kubectl.run(&["create", "namespace", &name])?;
        let label = "pod-security.kubernetes.io/enforce=restricted";
        kubectl.run(&["label", "namespace", &name, label])?;
        Ok(Self {
            kubectl: kubectl.clone(),
            name,
            is_quiet: false,
        })
    }

    /// Prints no diagnosis when it is deleted; only a test harness holds that back for stories that passed.
    #[must_use]
    pub fn quiet(mut self) -> Self {
        self.is_quiet = true;
        self
    }

    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // A story fails by an error more often than by a panic, and a drop cannot tell. The test
        // harness shows this only of a test that failed.
        if !self.is_quiet {
            for line in diagnosis(&self.kubectl, &self.name) {
                eprintln!("{line}");
            }
        }
        let _ = self
            .kubectl
            .run(&["delete", "namespace", &self.name, "--wait=false"]);
    }
}

/// What one would look at first to see why a story failed.
fn diagnosis(kubectl: &Kubectl, namespace: &str) -> Vec<String> {
    let look = |args: &[&str]| {
        kubectl
            .run(args)
            .unwrap_or_else(|error| format!("{error:#}"))
    };
    vec![
        format!("--- state of namespace {namespace}"),
        look(&[
            "-n",
            namespace,
            "get",
            "storefronts,servicedeployments,databasebindings,pods",
        ]),
        look(&["-n", namespace, "get", "events", "--sort-by=.lastTimestamp"])
            .lines()
            .rev()
            .take(25)
            .collect::<Vec<_>>()
            .join("\n"),
    ]
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
