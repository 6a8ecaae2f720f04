//! Sends queued messages.
//!
//! ## What a crash can do
//! A message is marked `sending` and committed before the mail server gets it, and `sent` after the server
//! accepted it. After a crash in between the acceptance is unknown: the claim expires and the message is
//! sent again, because SMTP has no way to ask. The window is the time of one commit, or half a minute of
//! retries if the database fails at that moment. Both copies have the same `Message-ID`, by which many mail
//! systems show only one.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use service::{StoreError, Wakeup};
use tokio_util::sync::CancellationToken;

use super::retry::{CLAIM_SECS, Next, after_failure};
use super::store::{self, Claimed, Sent};
use crate::channels::email::SmtpSender;
use crate::channels::error::DeliveryError;
use crate::channels::health::SmtpHealth;
use crate::state::AppState;

/// Looks for due messages this often: for retries, and if a notification was missed.
const POLL: Duration = Duration::from_secs(5);
/// Messages in delivery at the same time.
const BATCH: usize = 8;
const LIMIT: i64 = 8;

/// Pauses between attempts to record a result. Together with the timeout of the mail server they are
/// shorter than a claim.
const RECORD_PAUSES: [Duration; 5] = [
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(8),
    Duration::from_secs(20),
];

/// The result of an attempt.
enum Outcome {
    /// The mail server accepted the message.
    Sent(DateTime<Utc>),
    /// It did not.
    Failed(String, Next),
}

/// The sender of one process; any number may run at the same time.
pub struct Sender {
    app: AppState,
    smtp: SmtpSender,
}

impl Sender {
    /// A sender.
    pub fn new(app: AppState, smtp: SmtpSender) -> Self {
        Self { app, smtp }
    }

    /// Whether mails can be sent.
    pub fn health(&self) -> SmtpHealth {
        self.smtp.health()
    }

    /// Sends until shutdown: at once when a message is queued, and by polling. Deliveries in progress are
    /// finished.
    pub async fn run(self, shutdown: CancellationToken) {
        let queued = Wakeup::new(&self.app.core.pool, store::QUEUED);
        let work = self.work(&queued, &shutdown);
        tokio::select! {
            () = work => {}
            () = queued.listen() => {}
            () = self.watch_server() => {}
        }
    }

    /// Looks at the mail server at the start, and for as long as it cannot be used.
    async fn watch_server(&self) {
        loop {
            tokio::time::sleep(self.look().await).await;
        }
    }

    /// Looks at the mail server where that is due; returns when to come again.
    pub async fn look(&self) -> Duration {
        self.smtp.look().await
    }

    async fn work(&self, queued: &Wakeup, shutdown: &CancellationToken) {
        while !shutdown.is_cancelled() {
            match self.send_due().await {
                // A full batch: more may be due.
                Ok(sent) if sent == BATCH => continue,
                Ok(_) => {}
                Err(error) => {
                    let error: &dyn std::error::Error = &error;
                    tracing::warn!(error, "failed to send due messages");
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = queued.notified() => {}
                () = tokio::time::sleep(POLL) => {}
            }
        }
    }

    /// Sends one batch of due messages; returns how many were attempted.
    pub async fn send_due(&self) -> Result<usize, StoreError> {
        let now = self.app.core.now();
        let claimed = {
            let mut conn = self.app.core.acquire().await?;
            let until = now + TimeDelta::seconds(CLAIM_SECS);
            store::claim(&mut conn, now, until, LIMIT).await?
        };
        self.send_all(&claimed).await?;
        Ok(claimed.len())
    }

    /// Sends messages concurrently and records the results. One statement records at a time; results that
    /// arrive meanwhile are recorded by the next one.
    async fn send_all(&self, claimed: &[Claimed]) -> Result<(), StoreError> {
        let mut sending: FuturesUnordered<_> =
            claimed.iter().map(|message| self.send(message)).collect();
        let (mut recording, mut retrying) = (FuturesUnordered::new(), FuturesUnordered::new());
        let (mut done, mut result) = (Vec::new(), Ok(()));
        loop {
            if recording.is_empty() && !done.is_empty() {
                recording.push(self.record_sent_of(std::mem::take(&mut done)));
            }
            tokio::select! {
                Some(attempted) = sending.next() => done.push(attempted),
                Some(left) = recording.next() => {
                    retrying.extend(left.into_iter().map(|one| self.record_with_retries(one)));
                }
                Some(recorded) = retrying.next() => result = recorded.and(result),
                else => return result,
            }
        }
    }

    async fn send<'a>(&self, message: &'a Claimed) -> (&'a Claimed, Outcome) {
        let delivered = self.smtp.deliver(message).await;
        (message, self.outcome(message, delivered))
    }

    /// Records the accepted messages in one statement; returns the results that are not recorded yet.
    async fn record_sent_of<'a>(
        &self,
        done: Vec<(&'a Claimed, Outcome)>,
    ) -> Vec<(&'a Claimed, Outcome)> {
        let sent = done.iter().filter_map(|(message, outcome)| match outcome {
            Outcome::Sent(at) => Some(Sent {
                id: message.id,
                attempt: message.attempts,
                at: *at,
            }),
            Outcome::Failed(..) => None,
        });
        match self.record_sent(&sent.collect::<Vec<_>>()).await {
            Ok(()) => done
                .into_iter()
                .filter(|(_, outcome)| matches!(outcome, Outcome::Failed(..)))
                .collect(),
            Err(_) => done,
        }
    }

    /// Records one result, with retries: until the claim expires no other process sends the message, so a
    /// retry can prevent a second copy.
    async fn record_with_retries(
        &self,
        (message, outcome): (&Claimed, Outcome),
    ) -> Result<(), StoreError> {
        let mut recorded = self.record(message, &outcome).await;
        for pause in RECORD_PAUSES {
            if recorded.is_ok() {
                break;
            }
            tokio::time::sleep(pause).await;
            recorded = self.record(message, &outcome).await;
        }
        recorded
    }

    /// Decides on the result of an attempt, counts and logs it.
    fn outcome(&self, message: &Claimed, delivered: Result<(), DeliveryError>) -> Outcome {
        let (metrics, label) = (&self.app.metrics, [message.template.as_str()]);
        let now = self.app.core.now();
        let Err(error) = delivered else {
            metrics.sent.with_label_values(&label).inc();
            return Outcome::Sent(now);
        };
        let random = self.app.core.entropy.bytes()[0];
        let next = after_failure(error.failure(), message.attempts, now, random);
        metrics.failed.with_label_values(&label).inc();
        if next == Next::Dead {
            metrics.died.with_label_values(&label).inc();
        }
        let why = chain(&error);
        let attempt = message.attempts;
        tracing::warn!(message_id = %message.id, attempt, error = why, ?next, "failed to send a message");
        Outcome::Failed(why, next)
    }

    async fn record(&self, message: &Claimed, outcome: &Outcome) -> Result<(), StoreError> {
        let (id, attempt) = (message.id, message.attempts);
        match outcome {
            Outcome::Sent(at) => {
                let at = *at;
                self.record_sent(&[Sent { id, attempt, at }]).await
            }
            Outcome::Failed(why, next) => {
                let mut conn = self.app.core.acquire().await?;
                if !store::mark_failed(&mut conn, id, attempt, why, *next).await? {
                    warn_of_expired_claims(1);
                }
                Ok(())
            }
        }
    }

    async fn record_sent(&self, sent: &[Sent]) -> Result<(), StoreError> {
        if sent.is_empty() {
            return Ok(());
        }
        let mut conn = self.app.core.acquire().await?;
        let recorded = store::mark_sent(&mut conn, sent).await?;
        if recorded < sent.len() {
            warn_of_expired_claims(sent.len() - recorded);
        }
        Ok(())
    }
}

fn warn_of_expired_claims(claims: usize) {
    tracing::warn!(claims, "claims on messages expired during delivery");
}

/// An error and its causes on one line: mail servers give the reason in the last one.
fn chain(error: &DeliveryError) -> String {
    // The answer of a mail server may be long; its start says enough.
    chassis::trace::chain(error).chars().take(500).collect()
}
