//! One request to one of the endpoints of a cluster, with the retries that are safe.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::{Body, Incoming};
use prometheus::IntCounter;
use tokio::time::Instant;

use super::body::{RequestBody, Upload};
use super::budget::RetryBudget;
use super::endpoint::{Endpoint, Lease};
use super::endpoints::Endpoints;
use crate::config::Limits;
use crate::metrics::Metrics;

/// Connections tried for one request.
const TRIES: usize = 3;

/// The backends of one worker.
#[derive(Debug)]
pub struct Pool {
    endpoints: Endpoints,
    budget: RetryBudget,
    max_connections: u32,
    connect_timeout: Duration,
    metrics: Arc<Metrics>,
    /// Looked up once: most requests count here.
    reused: IntCounter,
}

/// Why there is no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError {
    /// The cluster has no endpoint.
    NoEndpoint,
    /// Every endpoint is at its connection limit.
    Busy,
    /// No connection could be made.
    Unreachable,
    /// The connection closed before there was a response.
    Closed,
    /// What came back is not an HTTP response that can be passed on.
    Malformed,
    /// The time was up.
    TimedOut,
    /// The time was up while the client was still sending.
    ClientSlow,
    /// The request body was larger than allowed.
    BodyTooLarge,
    /// The client closed the connection before its body was complete.
    ClientGone,
}

/// Why there is no response, with the request where no part of it was sent.
#[derive(Debug)]
pub struct Failed {
    pub error: SendError,
    pub unsent: Option<Box<Request<RequestBody>>>,
}

impl From<SendError> for Failed {
    fn from(error: SendError) -> Self {
        Self {
            error,
            unsent: None,
        }
    }
}

impl Failed {
    fn unsent(error: SendError, request: Request<RequestBody>) -> Self {
        Self {
            error,
            unsent: Some(Box::new(request)),
        }
    }
}

/// A response, and the connection that its body still comes from.
pub struct Answer {
    pub response: Response<Incoming>,
    pub lease: Lease,
}

/// Time limits of one request.
#[derive(Clone, Copy, Debug)]
pub struct TimeLimits {
    /// End of all tries.
    pub deadline: Option<Instant>,
    pub per_try: Option<Duration>,
}

impl Pool {
    pub fn new(limits: &Limits, metrics: Arc<Metrics>) -> Self {
        let reused = metrics.upstream_connections.with_label_values(&["reused"]);
        Self {
            endpoints: Endpoints::default(),
            budget: RetryBudget::default(),
            max_connections: limits.max_endpoint_connections,
            connect_timeout: Duration::from_secs(limits.connect_timeout_secs),
            metrics,
            reused,
        }
    }

    /// Keeps connections and health of these endpoints only.
    pub fn retain(&self, addresses: &HashSet<SocketAddr>) {
        self.endpoints.retain(addresses);
    }

    /// Closes connections that were idle for too long.
    pub fn sweep(&self) {
        self.endpoints.sweep();
    }

    /// Sends a request to one of `addresses`.
    pub async fn send(
        &self,
        addresses: &[SocketAddr],
        mut request: Request<RequestBody>,
        limits: TimeLimits,
    ) -> Result<Answer, Failed> {
        self.budget.earn();
        let upload = request.body().upload();
        let repeatable = Repeatable::of(&request);
        let mut avoid = None;
        let mut fresh_only = false;
        for tries_left in (0..TRIES).rev() {
            let Some(endpoint) = self.endpoints.pick(addresses, avoid) else {
                return Err(Failed::unsent(SendError::NoEndpoint, request));
            };
            let deadline = limits.deadline_of_try();
            let leased = within(deadline, self.lease(&endpoint, fresh_only)).await?;
            let mut lease = match leased {
                Ok(lease) => lease,
                Err(SendError::Unreachable) if tries_left > 0 && self.may_retry("connect") => {
                    avoid = Some(endpoint.address);
                    continue;
                }
                Err(error) => return Err(Failed::unsent(error, request)),
            };
            let Some(sender) = lease.sender() else {
                return Err(SendError::Closed.into());
            };
            let mut error = match within(deadline, sender.try_send_request(request)).await? {
                Ok(response) => {
                    endpoint.succeeded();
                    return Ok(Answer { response, lease });
                }
                Err(error) => error,
            };
            blame_client(&upload)?;
            tracing::debug!(endpoint = %endpoint.address, error = %error.error(), "no response");
            // The request arrived, and its next response would be no better.
            if error.error().is_parse() {
                return Err(SendError::Malformed.into());
            }
            // An idle connection that the backend had closed: the other idle ones may be as old.
            fresh_only = lease.is_reused;
            if !lease.is_reused {
                avoid = Some(endpoint.address);
            }
            request = match (error.take_message(), &repeatable) {
                (Some(unsent), _) if tries_left > 0 && self.may_retry("unsent") => unsent,
                (None, Some(copy)) if tries_left > 0 && self.may_retry("broken") => copy.request(),
                _ => return Err(SendError::Closed.into()),
            };
        }
        Err(SendError::Closed.into())
    }

    async fn lease(&self, endpoint: &Rc<Endpoint>, fresh_only: bool) -> Result<Lease, SendError> {
        let connections = &self.metrics.upstream_connections;
        if fresh_only {
            endpoint.close_idle();
        }
        if let Some(lease) = endpoint.reuse().await {
            self.reused.inc();
            return Ok(lease);
        }
        if endpoint.leased() >= self.max_connections {
            connections.with_label_values(&["refused"]).inc();
            return Err(SendError::Busy);
        }
        match endpoint.connect(self.connect_timeout).await {
            Ok(lease) => {
                connections.with_label_values(&["opened"]).inc();
                Ok(lease)
            }
            Err(error) => {
                connections.with_label_values(&["failed"]).inc();
                tracing::debug!(endpoint = %endpoint.address, %error, "failed to connect");
                endpoint.failed(&self.metrics);
                Err(SendError::Unreachable)
            }
        }
    }

    fn may_retry(&self, reason: &str) -> bool {
        let is_allowed = self.budget.spend();
        let reason = if is_allowed { reason } else { "over_budget" };
        self.metrics.retries.with_label_values(&[reason]).inc();
        is_allowed
    }
}

impl TimeLimits {
    fn deadline_of_try(self) -> Option<Instant> {
        let this_try = self.per_try.map(|limit| Instant::now() + limit);
        match (self.deadline, this_try) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }
}

async fn within<T>(
    deadline: Option<Instant>,
    work: impl Future<Output = T>,
) -> Result<T, SendError> {
    match deadline {
        None => Ok(work.await),
        Some(deadline) => tokio::time::timeout_at(deadline, work)
            .await
            .map_err(|_| SendError::TimedOut),
    }
}

/// A request that failed because of its body is not the fault of the backend.
fn blame_client(upload: &Upload) -> Result<(), SendError> {
    if upload.is_too_large() {
        return Err(SendError::BodyTooLarge);
    }
    if upload.is_broken() {
        return Err(SendError::ClientGone);
    }
    Ok(())
}

/// The head of a request that may be sent twice: idempotent and without a body.
struct Repeatable {
    head: Request<()>,
}

impl Repeatable {
    fn of(request: &Request<RequestBody>) -> Option<Self> {
        let may_repeat = request.method().is_idempotent() && request.body().is_end_stream();
        may_repeat.then(|| Self {
            head: copy(request),
        })
    }

    fn request(&self) -> Request<RequestBody> {
        copy(&self.head).map(|()| RequestBody::empty())
    }
}

fn copy<B>(request: &Request<B>) -> Request<()> {
    let mut head = Request::new(());
    *head.method_mut() = request.method().clone();
    *head.uri_mut() = request.uri().clone();
    *head.headers_mut() = request.headers().clone();
    head
}
