//! Questions to a workload itself, and what it answers: see [`crate::probe`].

use std::collections::BTreeMap;

/// A request of a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The pod, for messages; empty where any pod of a Service may answer.
    pub pod: String,
    /// Address or name of the host.
    pub host: String,
    /// Port of the probe.
    pub port: i32,
    /// Path of the probe.
    pub path: String,
    /// `readiness` or `liveness`.
    pub probe: &'static str,
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// A response.
    Response {
        /// Its status code.
        code: u16,
        /// Dependencies without which the process does not serve, and why each fails.
        failing: BTreeMap<String, String>,
        /// Dependencies that it does without for now.
        degraded: BTreeMap<String, String>,
    },
    /// No response.
    Nothing,
}

impl Said {
    /// Whether this is said of a dependency.
    pub(crate) fn has(&self, told: &str) -> bool {
        match self {
            Self::Response {
                failing, degraded, ..
            } => failing
                .values()
                .chain(degraded.values())
                .any(|it| it == told),
            Self::Nothing => false,
        }
    }

    /// Whether dependencies are named that cannot be used.
    pub fn names_failures(&self) -> bool {
        match self {
            Self::Response {
                failing, degraded, ..
            } => !failing.is_empty() || !degraded.is_empty(),
            Self::Nothing => false,
        }
    }
}

/// A question and what was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What was asked.
    pub question: Question,
    /// What was answered.
    pub said: Said,
}
