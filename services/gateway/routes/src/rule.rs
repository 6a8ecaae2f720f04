//! One rule of a route, compiled.

use std::sync::Arc;
use std::time::Duration;

use crate::ObjectName;
use crate::api::HTTPRouteTimeouts;
use crate::duration;
use crate::filter::Filters;
use crate::policy::{Guard, Limit};
use crate::weight::Turns;

/// What to do with the requests that match.
#[derive(Debug)]
pub struct RouteRule {
    /// The HTTPRoute.
    pub route: ObjectName,
    /// The HTTPRoute as `namespace/name`, for logs and metrics.
    pub label: Arc<str>,
    /// Whether something in the rule is not supported: then every request is answered with 500, because half a
    /// rule may let requests through that the whole rule would refuse.
    pub is_broken: bool,
    /// Changes of requests and responses.
    pub filters: Filters,
    /// Where requests go.
    pub backends: Backends,
    /// For the whole request, retries included.
    pub request_timeout: Timeout,
    /// For one try.
    pub backend_timeout: Timeout,
    /// Which callers are let through.
    pub guard: Option<Guard>,
    /// Rate limits.
    pub limits: Vec<Arc<Limit>>,
}

/// A timeout as the route sets it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Timeout {
    /// Not set: the data plane's default.
    #[default]
    Default,
    /// `0s`: no timeout.
    Unlimited,
    /// This long.
    After(Duration),
}

impl Timeout {
    /// The effective timeout, given the data plane's default.
    pub fn or(self, default: Option<Duration>) -> Option<Duration> {
        match self {
            Self::Default => default,
            Self::Unlimited => None,
            Self::After(limit) => Some(limit),
        }
    }
}

pub(crate) fn timeouts(source: Option<&HTTPRouteTimeouts>) -> Result<(Timeout, Timeout), String> {
    let read = |text: Option<&String>| match text {
        None => Ok(Timeout::Default),
        Some(text) => match duration::parse(text) {
            None => Err(format!("timeout {text:?} is not a duration")),
            Some(Duration::ZERO) => Ok(Timeout::Unlimited),
            Some(limit) => Ok(Timeout::After(limit)),
        },
    };
    let request = read(source.and_then(|source| source.request.as_ref()))?;
    let backend = read(source.and_then(|source| source.backend_request.as_ref()))?;
    Ok((request, backend))
}

/// The backends of a rule.
#[derive(Debug)]
pub struct Backends {
    choices: Vec<Choice>,
    turns: Turns,
}

/// One backend.
#[derive(Debug)]
pub struct Choice {
    /// The backend.
    pub target: Target,
    /// Header changes for this backend alone.
    pub filters: Filters,
    pub(crate) weight: u32,
}

/// The result of resolving a backend reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Index for [`crate::Table::cluster`].
    Cluster(usize),
    /// It does not resolve: this share of the requests is answered with 500.
    Invalid,
    /// A policy asks for TLS towards it, which is not supported: this share of the requests is answered with 503.
    NeedsTls,
}

impl Backends {
    pub(crate) fn new(choices: Vec<Choice>) -> Self {
        let turns = Turns::new(choices.iter().map(|choice| choice.weight));
        Self { choices, turns }
    }

    /// The backend for the next request; `None` when there is none, which is answered with 500.
    pub fn pick(&self) -> Option<&Choice> {
        self.choices.get(self.turns.next()?)
    }
}
