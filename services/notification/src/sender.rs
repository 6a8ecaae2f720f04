//! Sends what waits.
//!
//! ## What a crash can do
//! A message is marked `sending` and committed before the mail server hears of it, and `sent` after
//! it has said yes. Killed between its yes and our commit, we do not know of the yes: the claim
//! ends, and the message is sent again. SMTP has no way to ask. The window is the time of one
//! commit, or of half a minute of tries when the database is away just then; both copies carry one
//! `Message-ID`, by which many mail systems show only one.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::domain::delivery::{CLAIM_SECS, Next, after_failure};
use crate::postman::{DeliveryError, Postman};
use crate::state::AppState;
use crate::store::messages::{self, Claimed, Sent};
use crate::store::{StoreError, failed};

/// Looks for mail this often when there was none.
const POLL: Duration = Duration::from_secs(1);
/// Counts the backlog this often.
const COUNT: Duration = Duration::from_secs(5);
/// Removes old mail this often.
const SWEEP: Duration = Duration::from_secs(3600);
/// Messages on their way at the same time.
const BATCH: usize = 8;
const LIMIT: i64 = 8;
/// Mail that was sent is kept this long, for questions about it.
const KEEP_DAYS: i64 = 90;

/// Pauses between tries to note what came of a message; with the mail server's time they stay within
/// a claim.
const NOTE_AGAIN: [Duration; 5] = [
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(8),
    Duration::from_secs(20),
];

/// What came of a message.
enum Outcome {
    /// The mail server took it.
    Sent(DateTime<Utc>),
    /// It did not.
    Failed(String, Next),
}

/// The sender of one process; any number may run side by side.
pub struct Sender {
    app: AppState,
    postman: Postman,
}

impl Sender {
    /// A sender.
    pub fn new(app: AppState, postman: Postman) -> Self {
        Self { app, postman }
    }

    /// Sends until shutdown; what is on its way then is finished.
    pub async fn run(self, stop: CancellationToken) {
        let (mut count, mut sweep) = (Chore::every(COUNT), Chore::every(SWEEP));
        while !stop.is_cancelled() {
            let pause = match self.round(&mut count, &mut sweep).await {
                // A full batch: more may wait.
                Ok(sent) if sent == BATCH => continue,
                Ok(_) => POLL,
                Err(error) => {
                    let error: &dyn std::error::Error = &error;
                    tracing::warn!(error, "the mail could not be looked after");
                    POLL * 5
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn round(&self, count: &mut Chore, sweep: &mut Chore) -> Result<usize, StoreError> {
        let claimed = self.send_due().await?;
        if count.is_due() {
            self.count().await?;
        }
        if sweep.is_due() {
            self.sweep().await?;
        }
        Ok(claimed)
    }

    /// Sends one batch of what is due; returns how many messages were tried.
    pub async fn send_due(&self) -> Result<usize, StoreError> {
        let now = self.app.clock.now();
        let claimed = {
            let mut conn = self.app.pool.acquire().await.map_err(failed("acquire"))?;
            let until = now + TimeDelta::seconds(CLAIM_SECS);
            messages::claim(&mut conn, now, until, LIMIT).await?
        };
        self.send_all(&claimed).await?;
        Ok(claimed.len())
    }

    /// Sends messages side by side and notes what came of each. One note is written at a time, at
    /// once: what the mail server takes meanwhile goes into the next.
    async fn send_all(&self, claimed: &[Claimed]) -> Result<(), StoreError> {
        let mut sending: FuturesUnordered<_> =
            claimed.iter().map(|message| self.send(message)).collect();
        let (mut noting, mut insisting) = (FuturesUnordered::new(), FuturesUnordered::new());
        let (mut done, mut result) = (Vec::new(), Ok(()));
        loop {
            if noting.is_empty() && !done.is_empty() {
                noting.push(self.note_all(std::mem::take(&mut done)));
            }
            tokio::select! {
                Some(sent) = sending.next() => done.push(sent),
                Some(left) = noting.next() => {
                    insisting.extend(left.into_iter().map(|one| self.insist(one)));
                }
                Some(noted) = insisting.next() => result = noted.and(result),
                else => return result,
            }
        }
    }

    async fn send<'a>(&self, message: &'a Claimed) -> (&'a Claimed, Outcome) {
        let delivered = self.postman.deliver(message).await;
        (message, self.outcome(message, delivered))
    }

    /// Notes what the mail server took in one statement; gives back what is still to be noted.
    async fn note_all<'a>(&self, done: Vec<(&'a Claimed, Outcome)>) -> Vec<(&'a Claimed, Outcome)> {
        let sent = done.iter().filter_map(|(message, outcome)| match outcome {
            Outcome::Sent(at) => Some(Sent {
                id: message.id,
                attempt: message.attempts,
                at: *at,
            }),
            Outcome::Failed(..) => None,
        });
        match self.note_sent(&sent.collect::<Vec<_>>()).await {
            Ok(()) => done
                .into_iter()
                .filter(|(_, outcome)| matches!(outcome, Outcome::Failed(..)))
                .collect(),
            Err(_) => done,
        }
    }

    /// Notes what came of one message. When the mail server has said yes and the database is away:
    /// while the claim holds nobody else sends the message, so it pays to be stubborn.
    async fn insist(&self, (message, outcome): (&Claimed, Outcome)) -> Result<(), StoreError> {
        let mut noted = self.note(message, &outcome).await;
        for pause in NOTE_AGAIN {
            if noted.is_ok() {
                break;
            }
            tokio::time::sleep(pause).await;
            noted = self.note(message, &outcome).await;
        }
        noted
    }

    /// What came of a delivery, counted and logged.
    fn outcome(&self, message: &Claimed, delivered: Result<(), DeliveryError>) -> Outcome {
        let (series, label) = (&self.app.metrics, [message.template.as_str()]);
        let now = self.app.clock.now();
        let Err(error) = delivered else {
            series.sent.with_label_values(&label).inc();
            return Outcome::Sent(now);
        };
        let dice = self.app.entropy.bytes()[0];
        let next = after_failure(error.failure(), message.attempts, now, dice);
        series.failed.with_label_values(&label).inc();
        if next == Next::Dead {
            series.died.with_label_values(&label).inc();
        }
        let why = chain(&error);
        let attempt = message.attempts;
        tracing::warn!(message_id = %message.id, attempt, error = why, ?next, "a message was not sent");
        Outcome::Failed(why, next)
    }

    async fn note(&self, message: &Claimed, outcome: &Outcome) -> Result<(), StoreError> {
        let (id, attempt) = (message.id, message.attempts);
        match outcome {
            Outcome::Sent(at) => {
                let at = *at;
                self.note_sent(&[Sent { id, attempt, at }]).await
            }
            Outcome::Failed(why, next) => {
                let mut conn = self.app.pool.acquire().await.map_err(failed("acquire"))?;
                if !messages::mark_failed(&mut conn, id, attempt, why, *next).await? {
                    ended(1);
                }
                Ok(())
            }
        }
    }

    async fn note_sent(&self, sent: &[Sent]) -> Result<(), StoreError> {
        if sent.is_empty() {
            return Ok(());
        }
        let mut conn = self.app.pool.acquire().await.map_err(failed("acquire"))?;
        let noted = messages::mark_sent(&mut conn, sent).await?;
        if noted < sent.len() {
            ended(sent.len() - noted);
        }
        Ok(())
    }

    async fn count(&self) -> Result<(), StoreError> {
        let now = self.app.clock.now();
        let mut conn = self.app.pool.acquire().await.map_err(failed("acquire"))?;
        let buried = messages::bury_abandoned(&mut conn, now).await?;
        self.app
            .metrics
            .died
            .with_label_values(&["abandoned"])
            .inc_by(buried);
        let backlog = messages::backlog(&mut conn).await?;
        let age = backlog
            .oldest
            .map_or(0, |oldest| (now - oldest).num_seconds().max(0));
        self.app.metrics.waiting.set(backlog.waiting);
        self.app.metrics.dead.set(backlog.dead);
        self.app.metrics.oldest_age.set(age);
        Ok(())
    }

    async fn sweep(&self) -> Result<(), StoreError> {
        let before = self.app.clock.now() - TimeDelta::days(KEEP_DAYS);
        loop {
            let mut conn = self.app.pool.acquire().await.map_err(failed("acquire"))?;
            if messages::sweep(&mut conn, before, 500).await? == 0 {
                return Ok(());
            }
        }
    }
}

fn ended(claims: usize) {
    tracing::warn!(claims, "claims on messages ended while they were sent");
}

/// An error and its causes on one line: mail servers say why in the last of them.
fn chain(error: &DeliveryError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    // A mail server may say a lot; the start is what counts.
    text.chars().take(500).collect()
}

/// Something to do now and then; due at once.
struct Chore {
    every: Duration,
    last: Option<Instant>,
}

impl Chore {
    const fn every(every: Duration) -> Self {
        Self { every, last: None }
    }

    fn is_due(&mut self) -> bool {
        let due = self.last.is_none_or(|last| last.elapsed() >= self.every);
        if due {
            self.last = Some(Instant::now());
        }
        due
    }
}
