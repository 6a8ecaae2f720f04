//! Leader election: only the holder of the Lease acts, and it stops before another could start.
//!
//! ## Why a fence of our own
//! The lease library reports when a lease is taken over, but nothing while it cannot reach the API
//! server. So every renewal that succeeded is noted, with the instant *before* it was sent; when the
//! last one is older than [`Timing::fence`], all work stops, before the lease could run out.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use http::{Method, Request, Response};
use kube::Client;
use kube::client::Body;
use kube_lease_manager::{LeaseManager, LeaseManagerBuilder};
use prometheus::IntGauge;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tower::Service;

/// Name of the Lease.
pub const LEASE: &str = "storefront-operator";
/// How often the fence is checked.
const TICK: Duration = Duration::from_millis(250);

/// The times of a Lease.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// How long it is good for after a renewal.
    pub duration_secs: u64,
    /// How long before its end it is renewed.
    pub grace_secs: u64,
    /// All work stops when the last renewal is this old: before the end, by more than clocks of
    /// different machines may differ in seconds counted.
    pub fence: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            duration_secs: 20,
            grace_secs: 10,
            fence: Duration::from_secs(17),
        }
    }
}

/// The Lease was taken over, or could not be renewed in time.
#[derive(Debug, thiserror::Error)]
#[error("lost the Lease: {0}")]
pub struct Lost(&'static str);

/// When the Lease was last renewed.
#[derive(Clone, Default)]
struct Renewals(Arc<Mutex<Option<Instant>>>);

impl Renewals {
    fn note(&self, at: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
    }

    /// Age of the last one; `None` before there is one.
    fn age(&self) -> Option<Duration> {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.map(|at| at.elapsed())
    }
}

/// A candidate for the Lease.
pub struct Candidate {
    /// Talks to the API server.
    pub client: Client,
    /// Namespace of the Lease.
    pub namespace: String,
    /// Who holds it: the pod. A container of a pod starts only when the one before it has ended, so a
    /// restarted operator need not wait for its own Lease.
    pub identity: String,
    /// 1 while it is held.
    pub gauge: IntGauge,
    /// The times of the Lease.
    pub timing: Timing,
}

impl Candidate {
    /// Waits for the Lease, then runs `work` while it is held. Returns when `stop` is cancelled (the Lease
    /// is then released at once), and with an error when the Lease is lost.
    pub async fn lead<F>(
        self,
        stop: CancellationToken,
        work: impl FnOnce(CancellationToken) -> F,
    ) -> Result<(), Lost>
    where
        F: Future<Output = ()>,
    {
        let renewals = Renewals::default();
        let Some(manager) = self.manager(&renewals, &stop).await else {
            return Ok(());
        };
        self.gauge.set(0);
        // Acquired anew rather than kept: a predecessor in this pod has exited, but may still hold the Lease.
        let given_back = tokio::time::timeout(Duration::from_secs(5), manager.release()).await;
        if !matches!(given_back, Ok(Ok(()))) {
            tracing::warn!("failed to release the Lease of a predecessor");
        }
        let (mut held, task) = manager.watch().await;
        if !holds(&mut held, &renewals, &stop).await? {
            return Ok(());
        }
        tracing::info!(identity = self.identity, "leading");
        self.gauge.set(1);
        let working = CancellationToken::new();
        let mut ticks = tokio::time::interval(TICK);
        let work = work(working.clone());
        tokio::pin!(work);
        let end = loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break Ok(()),
                changed = held.changed() => {
                    if changed.is_err() || !*held.borrow() {
                        break Err(Lost("another process holds it"));
                    }
                }
                _ = ticks.tick() => {
                    if renewals.age().is_none_or(|age| age > self.timing.fence) {
                        break Err(Lost("it could not be renewed in time"));
                    }
                }
                () = &mut work => break Ok(()),
            }
        };
        self.gauge.set(0);
        working.cancel();
        if end.is_ok() {
            // Work under way is aborted, with a moment to notice; then the Lease is released.
            drop(tokio::time::timeout(Duration::from_secs(5), work).await);
            drop(held);
            drop(tokio::time::timeout(Duration::from_secs(5), task).await);
        }
        end
    }

    /// Creates the Lease if there is none. The API server may not be reachable yet, so this retries.
    async fn manager(&self, renewals: &Renewals, stop: &CancellationToken) -> Option<LeaseManager> {
        let noting = Noting {
            client: self.client.clone(),
            renewals: renewals.clone(),
        };
        let client = Client::new(noting, self.namespace.clone());
        loop {
            let made = LeaseManagerBuilder::new(client.clone(), LEASE)
                .with_namespace(&self.namespace)
                .with_identity(&self.identity)
                .with_duration(self.timing.duration_secs)
                .with_grace(self.timing.grace_secs)
                .with_field_manager(format!("storefront-operator-{}", self.identity))
                .build();
            tokio::select! {
                () = stop.cancelled() => return None,
                made = made => match made {
                    Ok(manager) => return Some(manager),
                    Err(error) => tracing::warn!(%error, "failed to read the Lease; retrying"),
                },
            }
            tokio::select! {
                () = stop.cancelled() => return None,
                () = tokio::time::sleep(Duration::from_secs(2)) => {}
            }
        }
    }
}

/// Whether a patch of the Lease renews it: not every one does.
fn names_an_instant(body: &[u8]) -> bool {
    let patch: Result<serde_json::Value, _> = serde_json::from_slice(body);
    patch.is_ok_and(|patch| patch["spec"]["renewTime"].is_string())
}

/// Waits until the Lease is held, by a renewal of this process: the fence counts from it. False when
/// shutdown was requested first.
async fn holds(
    held: &mut watch::Receiver<bool>,
    renewals: &Renewals,
    stop: &CancellationToken,
) -> Result<bool, Lost> {
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(false),
            won = held.wait_for(|held| *held) => if won.is_err() {
                return Err(Lost("the lease manager exited"));
            },
        }
        if renewals.age().is_some() {
            return Ok(true);
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(false),
            () = tokio::time::sleep(TICK) => {}
        }
    }
}

/// A client that notes renewals.
#[derive(Clone)]
struct Noting {
    client: Client,
    renewals: Renewals,
}

impl Service<Request<Body>> for Noting {
    type Response = Response<Body>;
    type Error = tower::BoxError;
    type Future = BoxFuture<'static, Result<Response<Body>, tower::BoxError>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), tower::BoxError>> {
        // The client keeps a queue of its own.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let renewals = self.renewals.clone();
        let sent = Instant::now();
        let client = self.client.clone();
        Box::pin(async move {
            let is_patch = request.method() == Method::PATCH;
            let (parts, body) = request.into_parts();
            let body = body.collect_bytes().await?;
            let is_renewal = is_patch && names_an_instant(&body);
            let request = Request::from_parts(parts, Body::from(body.to_vec()));
            let answer = client.send(request).await?;
            if is_renewal && answer.status().is_success() {
                renewals.note(sent);
            }
            Ok(answer)
        })
    }
}
