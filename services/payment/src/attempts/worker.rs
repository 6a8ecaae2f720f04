//! Executes operations that are due: those of consumers, and those that a kill or an unreachable provider left over.

use std::pin::pin;
use std::time::Duration;

use chrono::TimeDelta;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use service::{StoreError, Wakeup};
use tokio_util::sync::CancellationToken;

use super::domain::operation::Kind;
use super::execute::{OperateError, commit_step, execute};
use super::store::queue::{self, Intent};
use super::store::read::{self, Record};
use super::store::write::CHANNEL;
use crate::state::AppState;

/// A provider that takes longer has not answered.
const CALL: Duration = Duration::from_secs(10);
/// Nobody else executes a claimed operation for this long: a call, with time to commit its answer.
const LEASE: TimeDelta = TimeDelta::seconds(20);
/// Calls at the same time.
const CONCURRENCY: usize = 32;
/// An attempt that is undecided for this long is given up. Longer than any stock is held for one.
const EXPIRY: TimeDelta = TimeDelta::hours(1);

/// Times of a worker.
#[derive(Debug, Clone, Copy)]
pub struct WorkerOptions {
    /// Looks for due operations at least this often: a wake-up may have been lost.
    pub idle: Duration,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(10),
        }
    }
}

/// The worker of one process; any number may run side by side.
pub struct Worker {
    app: AppState,
    options: WorkerOptions,
}

impl Worker {
    /// A worker.
    pub fn new(app: AppState, options: WorkerOptions) -> Self {
        Self { app, options }
    }

    /// Works until shutdown; calls on their way are finished then.
    pub async fn run(self, shutdown: CancellationToken) {
        let committed = Wakeup::new(&self.app.core.pool, CHANNEL);
        let listen = async {
            // Without a provider to call, no transaction leaves anything to do.
            if self.app.providers.any_remote() {
                committed.listen().await;
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = self.work(&committed, &shutdown) => {}
            () = listen => {}
        }
    }

    async fn work(&self, committed: &Wakeup, shutdown: &CancellationToken) {
        let mut running = FuturesUnordered::new();
        while !shutdown.is_cancelled() {
            let mut claim = pin!(self.claim(CONCURRENCY - running.len()));
            let claimed = loop {
                tokio::select! {
                    claimed = &mut claim => break claimed,
                    // The calls go on meanwhile: the claim may wait for a connection that one of them holds.
                    Some(()) = running.next() => {}
                }
            };
            let pause = match claimed {
                Ok((intents, pause)) => {
                    running.extend(intents.into_iter().map(|intent| self.execute(intent)));
                    pause
                }
                Err(error) => {
                    let error: &dyn std::error::Error = &error;
                    tracing::warn!(error, "operations were not claimed; trying again");
                    Duration::from_secs(1)
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = self.app.wake.notified(), if running.len() < CONCURRENCY => {}
                () = committed.notified(), if running.len() < CONCURRENCY => {}
                Some(()) = running.next() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        while running.next().await.is_some() {}
    }

    /// Takes what is due, and tells when to look again.
    async fn claim(&self, free: usize) -> Result<(Vec<Intent>, Duration), StoreError> {
        let now = self.app.core.now();
        let mut conn = self.app.core.acquire().await?;
        let limit = i64::try_from(free).unwrap_or(0);
        let intents = queue::claim(&mut conn, now, now + LEASE, limit).await?;
        let backlog = queue::backlog(&mut conn).await?;
        let age = backlog.oldest.map_or(0, |at| (now - at).num_seconds());
        self.app.metrics.backlog(backlog.open, age);
        let next = backlog.next_due.map(|at| (at - now).to_std());
        let next = next.map_or(self.options.idle, Result::unwrap_or_default);
        // With every call taken, one has to end first.
        let soonest = if intents.len() == free {
            self.options.idle
        } else {
            Duration::from_millis(10)
        };
        Ok((intents, next.clamp(soonest, self.options.idle.max(soonest))))
    }

    async fn execute(&self, intent: Intent) {
        let key = &intent.request.key;
        let work = async {
            self.expire(&intent).await?;
            execute(&self.app, &intent, CALL).await
        };
        if let Err(error) = work.await {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(operation = %key, error, "the operation is left until its lease ends");
        }
    }

    /// Gives up an attempt that has been undecided for too long. Its answer is still asked for: it may hold money.
    async fn expire(&self, intent: &Intent) -> Result<(), OperateError> {
        let now = self.app.core.now();
        if intent.request.kind != Kind::Authorise || now - intent.created_at < EXPIRY {
            return Ok(());
        }
        let id = intent.request.key.payment_id;
        let mut tx = self.app.core.begin().await?;
        let Some(Record::Attempt(attempt)) = read::lock(&mut tx, id).await? else {
            return Ok(());
        };
        if let Some(step) = attempt.expire() {
            commit_step(&self.app, &mut tx, &step, now).await?;
            self.app.core.commit(tx).await?;
            tracing::warn!(payment = %id, "the payment attempt has expired");
        }
        Ok(())
    }
}
