//! Events and their handlers: inbox row and effect in one transaction.

use std::collections::HashSet;
use std::time::Duration;

use events::Event;
use sqlx::PgConnection;
use tokio::sync::Semaphore;
use tracing::Instrument;
use uuid::Uuid;

use super::context::Context;
use super::dead_letters::{self, Failure};
use super::handler::{Handler, HandlerError};
use super::inbox;
use crate::backoff::Backoff;
use crate::error::OutboxError;
use crate::spans;

/// A handler that takes longer has failed.
const HANDLER: Duration = Duration::from_secs(20);
/// The longest pause between two attempts.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// How an event was settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Applied,
    Duplicate,
    Dead,
}

impl Outcome {
    fn label(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Duplicate => "duplicate",
            Self::Dead => "dead",
        }
    }
}

/// Handles an event until it is applied, known or a dead letter. Returns only then: later events of its
/// aggregate wait, so that they are not applied before it.
pub async fn settle<H: Handler>(consumer: &Context<H>, permits: &Semaphore, event: &Event) {
    let work = retry(consumer, permits, event);
    let failure = |outcome: &Outcome| (*outcome == Outcome::Dead).then_some("dead_letter");
    let outcome = traced(consumer, event, work, failure).await;
    count(consumer, event, outcome.label());
}

/// Handles events of different aggregates in one transaction: all of them, or none.
pub async fn batch<H: Handler>(
    consumer: &Context<H>,
    permits: &Semaphore,
    events: Vec<&Event>,
) -> Result<(), HandlerError> {
    let _permit = permits.acquire().await;
    let handled = handle_all(consumer, &events).await;
    let new = handled.inspect_err(|error| {
        let error: &(dyn std::error::Error + 'static) = error;
        tracing::info!(
            error,
            events = events.len(),
            "batch failed: handling its events one by one"
        );
    })?;
    for event in events {
        let outcome = if new.contains(&event.id.as_uuid()) {
            Outcome::Applied
        } else {
            Outcome::Duplicate
        };
        count(consumer, event, outcome.label());
    }
    Ok(())
}

/// Runs the work on an event as part of its trace.
async fn traced<H: Handler, T>(
    consumer: &Context<H>,
    event: &Event,
    work: impl Future<Output = T>,
    failure: impl FnOnce(&T) -> Option<&'static str>,
) -> T {
    let logged = tracing::info_span!("consume", event.ty = event.ty.as_str(), event.id = %event.id);
    let mut span = spans::process(consumer.bus.as_ref(), consumer.handler.consumer(), event);
    let done = span.around(work).instrument(logged).await;
    spans::ended(&mut span, failure(&done));
    done
}

fn failure(handled: &Result<(), HandlerError>) -> Option<&'static str> {
    handled.as_ref().err().map(HandlerError::label)
}

fn count<H>(consumer: &Context<H>, event: &Event, outcome: &str) {
    consumer
        .metrics
        .handled
        .with_label_values(&[event.ty.as_str(), outcome])
        .inc();
}

async fn retry<H: Handler>(consumer: &Context<H>, permits: &Semaphore, event: &Event) -> Outcome {
    let mut failures = 0;
    let mut backoff = Backoff::new(consumer.options.backoff, MAX_PAUSE);
    loop {
        // Held while trying, not while pausing: failing aggregates must not hold up the others.
        let permit = permits.acquire().await;
        let error = match handle_one(consumer, event).await {
            Ok(outcome) => return outcome,
            Err(error) => error,
        };
        drop(permit);
        if !matches!(error, HandlerError::Unavailable(_)) {
            failures += 1;
        }
        let is_hopeless = matches!(error, HandlerError::Poison(_));
        let failure = Failure {
            error: traces::chain(&error),
            attempts: failures,
        };
        if is_hopeless || failures >= consumer.options.attempts {
            if give_up(consumer, event, &failure).await {
                return Outcome::Dead;
            }
        } else {
            tracing::warn!(
                error = failure.error,
                failures,
                "handler failed, will retry"
            );
        }
        count(consumer, event, "retried");
        tokio::time::sleep(backoff.pause()).await;
    }
}

/// Writes a dead letter; false if even that failed.
async fn give_up<H: Handler>(consumer: &Context<H>, event: &Event, failure: &Failure) -> bool {
    let Failure { error, attempts } = failure;
    tracing::error!(
        error,
        failures = attempts,
        "event given up: writing a dead letter"
    );
    let written = write_dead_letter(consumer, event, failure).await;
    if let Err(error) = &written {
        let error: &(dyn std::error::Error + 'static) = error;
        tracing::warn!(error, "dead letter not written, will retry");
    }
    written.is_ok()
}

async fn handle_one<H: Handler>(
    consumer: &Context<H>,
    event: &Event,
) -> Result<Outcome, HandlerError> {
    let new = handle_all(consumer, &[event]).await?;
    Ok(if new.is_empty() {
        Outcome::Duplicate
    } else {
        Outcome::Applied
    })
}

/// Inserts inbox rows and handles the events that are new, in one transaction; which these were.
async fn handle_all<H: Handler>(
    consumer: &Context<H>,
    events: &[&Event],
) -> Result<HashSet<Uuid>, HandlerError> {
    let types = consumer.handler.event_types();
    if !events.iter().all(|event| types.contains(&event.ty)) {
        return Err(HandlerError::poison(
            "this build has no handler for the event",
        ));
    }
    let mut tx = crate::pool::begin(&consumer.pool).await?;
    let name = consumer.handler.consumer();
    let new = inbox::insert(&mut tx, consumer.schema, name, events).await?;
    for event in events {
        if !new.contains(&event.id.as_uuid()) {
            continue;
        }
        let handling = handle(&mut tx, consumer, event);
        // One alone is traced already.
        match events {
            [_] => handling.await?,
            _ => traced(consumer, event, handling, failure).await?,
        }
    }
    tx.commit().await?;
    Ok(new)
}

async fn handle<H: Handler>(
    conn: &mut PgConnection,
    consumer: &Context<H>,
    event: &Event,
) -> Result<(), HandlerError> {
    tokio::time::timeout(HANDLER, consumer.handler.handle(conn, event))
        .await
        .map_err(|_| HandlerError::transient(OutboxError::TimedOut("the handler")))?
}

async fn write_dead_letter<H: Handler>(
    consumer: &Context<H>,
    event: &Event,
    failure: &Failure,
) -> Result<(), HandlerError> {
    let name = consumer.handler.consumer();
    let mut tx = crate::pool::begin(&consumer.pool).await?;
    dead_letters::insert(&mut tx, consumer.schema, name, event, failure).await?;
    tx.commit().await?;
    Ok(())
}

/// Handles the dead letters whose replay was requested, up to a hundred. A replay is tried once: if it
/// fails, the letter stays with the new error.
pub async fn replays<H: Handler>(consumer: &Context<H>) -> Result<(), HandlerError> {
    let name = consumer.handler.consumer();
    for _ in 0..100 {
        let mut tx = crate::pool::begin(&consumer.pool).await?;
        let Some(letter) = dead_letters::lock_requested(&mut tx, consumer.schema, name).await?
        else {
            return Ok(());
        };
        let event = Event::from_value(letter.body).map_err(HandlerError::poison)?;
        match replay(&mut tx, consumer, &event).await {
            Ok(()) => {
                dead_letters::resolve(&mut tx, consumer.schema, name, event.id).await?;
                tx.commit().await?;
                count(consumer, &event, "replayed");
            }
            Err(error @ HandlerError::Unavailable(_)) => return Err(error),
            Err(error) => {
                tx.rollback().await?;
                let failure = Failure {
                    error: traces::chain(&error),
                    attempts: 1,
                };
                tracing::warn!(error = failure.error, event.id = %event.id, "replay failed");
                write_dead_letter(consumer, &event, &failure).await?;
            }
        }
    }
    Ok(())
}

async fn replay<H: Handler>(
    conn: &mut PgConnection,
    consumer: &Context<H>,
    event: &Event,
) -> Result<(), HandlerError> {
    let name = consumer.handler.consumer();
    let new = inbox::insert(conn, consumer.schema, name, &[event]).await?;
    // Known already: it was delivered again and handled in the meantime.
    if new.is_empty() {
        return Ok(());
    }
    let handling = handle(conn, consumer, event);
    traced(consumer, event, handling, failure).await
}
