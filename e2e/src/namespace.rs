//! Namespaces of stories.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::Kubectl;

/// The label of namespaces that nobody uses now. It is kept in the cluster, since stories run in several processes.
const LEFT: &str = "e2e.storefront.dev/left";

/// A node of two cores has room for four shops, and two stories that run at a time may each need a new one.
const MOST_LEFT: usize = 2;

fn taking() -> MutexGuard<'static, ()> {
    static TAKING: Mutex<()> = Mutex::new(());
    TAKING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The namespace of one story; deleted when the story ends, whether it passed or not, unless the story leaves it for others.
#[derive(Debug)]
pub struct Namespace {
    kubectl: Kubectl,
    name: String,
    is_quiet: bool,
    is_kept: bool,
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
            is_kept: false,
        })
    }

    /// A namespace that an earlier story left for others; none if there is no such. Nobody else gets it until it is left again.
    pub fn left(kubectl: &Kubectl) -> anyhow::Result<Option<Self>> {
        let _one_at_a_time = taking();
        let left = kubectl.list("", "namespaces", LEFT)?;
        let Some(name) = left.first().and_then(|it| it["metadata"]["name"].as_str()) else {
            return Ok(None);
        };
        kubectl.run(&["label", "namespace", name, &format!("{LEFT}-")])?;
        Ok(Some(Self {
            kubectl: kubectl.clone(),
            name: name.to_owned(),
            is_quiet: false,
            is_kept: false,
        }))
    }

    /// Leaves the namespace, with what is in it, for other stories, unless enough are left already.
    pub fn leave(mut self) -> anyhow::Result<()> {
        let _one_at_a_time = taking();
        if self.kubectl.list("", "namespaces", LEFT)?.len() >= MOST_LEFT {
            self.is_quiet = true;
            return Ok(());
        }
        let label = format!("{LEFT}=true");
        self.kubectl
            .run(&["label", "namespace", &self.name, &label])?;
        self.is_kept = true;
        Ok(())
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
        if self.is_kept {
            return;
        }
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
