//! One request to one of the endpoints, with the second tries that are safe.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::{Body, Incoming};
use tokio::time::Instant;

use super::Lease;
use crate::edge::RequestBody;
use crate::worker::Worker;

/// Connections tried for one request.
const TRIES: usize = 3;

/// Second tries may be one fifth of all requests, with some credit for quiet times: a broken backend
/// is not to be hit harder than a healthy one.
#[derive(Debug)]
pub struct RetryBudget {
    credit: Cell<u32>,
}

const PER_REQUEST: u32 = 1;
const PER_RETRY: u32 = 5;
const MAX_CREDIT: u32 = 500;

impl Default for RetryBudget {
    fn default() -> Self {
        Self {
            credit: Cell::new(MAX_CREDIT / 2),
        }
    }
}

impl RetryBudget {
    fn earn(&self) {
        self.credit
            .set((self.credit.get() + PER_REQUEST).min(MAX_CREDIT));
    }

    fn spend(&self) -> bool {
        let left = self.credit.get().checked_sub(PER_RETRY);
        if let Some(left) = left {
            self.credit.set(left);
        }
        left.is_some()
    }
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError {
    /// The cluster has no endpoint.
    NoEndpoint,
    /// Every endpoint is at its limit.
    Busy,
    /// No connection could be made.
    Unreachable,
    /// The connection broke before there was an answer.
    Broken,
    /// The time was up.
    TimedOut,
    /// The time was up while the client was still sending.
    ClientSlow,
    /// The client's body was larger than allowed.
    BodyTooLarge,
    /// The client's body broke off.
    ClientGone,
}

/// An answer, and the connection that it is still coming from.
pub struct Answer {
    /// Head and body.
    pub response: Response<Incoming>,
    /// To be given back when the body is complete.
    pub lease: Lease,
}

/// Limits in time of one request.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For everything.
    pub deadline: Option<Instant>,
    /// For one try.
    pub each: Option<Duration>,
}

/// Sends a request to one of `addresses`.
pub async fn send(
    worker: &Worker,
    addresses: &[SocketAddr],
    mut request: Request<RequestBody>,
    patience: Patience,
) -> Result<Answer, SendError> {
    worker.budget.earn();
    let upload = request.body().upload();
    let spare = Spare::of(&request);
    let mut failed = None;
    let mut fresh = false;
    for tries_left in (0..TRIES).rev() {
        let endpoint = worker
            .endpoints
            .pick(addresses, failed)
            .ok_or(SendError::NoEndpoint)?;
        let deadline = earliest(patience);
        let leased = within(deadline, lease(worker, &endpoint, fresh)).await?;
        let mut lease = match leased {
            Ok(lease) => lease,
            Err(SendError::Unreachable) if tries_left > 0 && retry(worker, "connect") => {
                failed = Some(endpoint.address);
                continue;
            }
            Err(error) => return Err(error),
        };
        let Some(sender) = lease.sender() else {
            return Err(SendError::Broken);
        };
        let mut error = match within(deadline, sender.try_send_request(request)).await? {
            Ok(response) => {
                endpoint.succeeded();
                return Ok(Answer { response, lease });
            }
            Err(error) => error,
        };
        if upload.is_too_large() {
            return Err(SendError::BodyTooLarge);
        }
        if upload.is_broken() {
            return Err(SendError::ClientGone);
        }
        tracing::debug!(endpoint = %endpoint.address, error = %error.error(), "no answer");
        // A connection that had waited was closed under our hands: the others may be as old.
        fresh = lease.is_reused;
        if !lease.is_reused {
            failed = Some(endpoint.address);
        }
        let unsent = error.take_message();
        request = match (unsent, &spare) {
            (Some(unsent), _) if tries_left > 0 && retry(worker, "unsent") => unsent,
            (None, Some(spare)) if tries_left > 0 && retry(worker, "broken") => spare.request(),
            _ => return Err(SendError::Broken),
        };
    }
    Err(SendError::Broken)
}

async fn lease(
    worker: &Worker,
    endpoint: &Rc<super::Endpoint>,
    fresh: bool,
) -> Result<Lease, SendError> {
    let connections = &worker.metrics().upstream_connections;
    if fresh {
        endpoint.drop_idle();
    }
    if let Some(lease) = endpoint.reuse().await {
        worker.reused.inc();
        return Ok(lease);
    }
    let limits = worker.limits();
    if endpoint.leased() >= limits.max_endpoint_connections {
        connections.with_label_values(&["refused"]).inc();
        return Err(SendError::Busy);
    }
    match endpoint
        .connect(Duration::from_secs(limits.connect_timeout_secs))
        .await
    {
        Ok(lease) => {
            connections.with_label_values(&["opened"]).inc();
            Ok(lease)
        }
        Err(error) => {
            connections.with_label_values(&["failed"]).inc();
            tracing::debug!(endpoint = %endpoint.address, %error, "not reached");
            endpoint.failed(worker.metrics());
            Err(SendError::Unreachable)
        }
    }
}

fn retry(worker: &Worker, reason: &str) -> bool {
    let is_allowed = worker.budget.spend();
    let reason = if is_allowed { reason } else { "over_budget" };
    worker.metrics().retries.with_label_values(&[reason]).inc();
    is_allowed
}

fn earliest(patience: Patience) -> Option<Instant> {
    let each = patience.each.map(|each| Instant::now() + each);
    match (patience.deadline, each) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
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

/// A copy of a request that may be sent twice: idempotent and without a body.
struct Spare {
    head: Request<()>,
}

impl Spare {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_tries_are_at_most_a_fifth_of_the_requests() {
        let budget = RetryBudget::default();
        while budget.spend() {}
        let mut spent = 0;
        for _ in 0..1000 {
            budget.earn();
            spent += i32::from(budget.spend());
        }
        assert_eq!(spent, 200);
    }
}
