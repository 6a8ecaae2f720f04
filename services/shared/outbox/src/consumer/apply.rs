//! Events and their effects: inbox row and effect in one transaction.

use std::collections::HashSet;
use std::time::Duration;

use events::Event;
use sqlx::{AssertSqlSafe, PgConnection};
use tokio::sync::Semaphore;
use tracing::Instrument;
use uuid::Uuid;

use super::dead::{self, Death};
use super::{Consumer, EffectError, Effects};
use crate::error::OutboxError;
use crate::spans;

/// An effect that takes longer has failed.
const EFFECT: Duration = Duration::from_secs(20);

/// How an event ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Applied,
    Duplicate,
    Dead,
}

impl Ending {
    fn label(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Duplicate => "duplicate",
            Self::Dead => "dead",
        }
    }
}

/// Applies an event until it is applied, known or dead. Returns only then: events behind it in its
/// aggregate wait, so that they are not applied before it.
pub async fn settle<E: Effects>(
    consumer: &Consumer<E>,
    permits: &Semaphore,
    event: &Event,
) -> Ending {
    let work = retry(consumer, permits, event);
    let failure = |ending: &Ending| (*ending == Ending::Dead).then_some("dead_letter");
    let ending = traced(consumer, event, work, failure).await;
    count(consumer, event, ending.label());
    ending
}

/// Runs the work on an event as part of its trace.
async fn traced<E: Effects, T>(
    consumer: &Consumer<E>,
    event: &Event,
    work: impl Future<Output = T>,
    failure: impl FnOnce(&T) -> Option<&'static str>,
) -> T {
    let logged = tracing::info_span!("consume", event.ty = event.ty.as_str(), event.id = %event.id);
    let mut span = spans::processing(consumer.effects.consumer(), event);
    let done = span.around(work).instrument(logged).await;
    spans::ended(&mut span, failure(&done));
    done
}

fn failure(effect: &Result<(), EffectError>) -> Option<&'static str> {
    effect.as_ref().err().map(EffectError::label)
}

/// Applies events of different aggregates in one transaction: all of them, or none.
pub async fn together<'a, E: Effects>(
    consumer: &Consumer<E>,
    permits: &Semaphore,
    events: impl Iterator<Item = &'a Event>,
) -> Result<Ending, EffectError> {
    let events: Vec<&Event> = events.collect();
    let _permit = permits.acquire().await;
    let all = all(consumer, &events).await;
    let fresh = all.inspect_err(|error| {
        let error: &(dyn std::error::Error + 'static) = error;
        tracing::info!(error, events = events.len(), "to be applied one by one");
    })?;
    for event in events {
        let ending = if fresh.contains(&event.id.as_uuid()) {
            Ending::Applied
        } else {
            Ending::Duplicate
        };
        count(consumer, event, ending.label());
    }
    Ok(Ending::Applied)
}

fn count<E>(consumer: &Consumer<E>, event: &Event, outcome: &str) {
    consumer
        .metrics
        .handled
        .with_label_values(&[event.ty.as_str(), outcome])
        .inc();
}

async fn retry<E: Effects>(consumer: &Consumer<E>, permits: &Semaphore, event: &Event) -> Ending {
    let mut failures = 0;
    let mut pause = consumer.options.backoff;
    loop {
        // Held while trying, not while pausing: failing aggregates must not hold up the others.
        let permit = permits.acquire().await;
        let error = match once(consumer, event).await {
            Ok(ending) => return ending,
            Err(error) => error,
        };
        drop(permit);
        let poison = matches!(error, EffectError::Poison(_));
        if !matches!(error, EffectError::Unavailable(_)) {
            failures += 1;
        }
        let text = traces::chain(&error);
        if poison || failures >= consumer.options.attempts {
            tracing::error!(
                error = text,
                failures,
                "event given up, a dead letter is written"
            );
            let death = Death {
                error: text,
                attempts: failures,
            };
            match bury(consumer, event, &death).await {
                Ok(()) => return Ending::Dead,
                Err(error) => {
                    let error: &(dyn std::error::Error + 'static) = &error;
                    tracing::warn!(error, "dead letter not written, trying again");
                }
            }
        } else {
            tracing::warn!(error = text, failures, "effect failed, trying again");
        }
        count(consumer, event, "retried");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(60));
    }
}

async fn once<E: Effects>(consumer: &Consumer<E>, event: &Event) -> Result<Ending, EffectError> {
    let fresh = all(consumer, &[event]).await?;
    Ok(if fresh.is_empty() {
        Ending::Duplicate
    } else {
        Ending::Applied
    })
}

/// Remembers events and applies those that were not known, in one transaction; which they were.
async fn all<E: Effects>(
    consumer: &Consumer<E>,
    events: &[&Event],
) -> Result<HashSet<Uuid>, EffectError> {
    let heard = consumer.effects.subjects();
    if !events.iter().all(|event| heard.contains(&event.ty)) {
        return Err(EffectError::poison(
            "this build has no effect for the event",
        ));
    }
    let mut tx = consumer.pool.begin().await?;
    let fresh = remember(&mut tx, consumer, events).await?;
    for event in events {
        if !fresh.contains(&event.id.as_uuid()) {
            continue;
        }
        let effect = apply(&mut tx, consumer, event);
        // One alone is traced already.
        match events {
            [_] => effect.await?,
            _ => traced(consumer, event, effect, failure).await?,
        }
    }
    tx.commit().await?;
    Ok(fresh)
}

async fn apply<E: Effects>(
    conn: &mut PgConnection,
    consumer: &Consumer<E>,
    event: &Event,
) -> Result<(), EffectError> {
    tokio::time::timeout(EFFECT, consumer.effects.apply(conn, event))
        .await
        .map_err(|_| EffectError::transient(OutboxError::TimedOut("the effect")))?
}

/// Writes inbox rows; which of them were not there. A duplicate refreshes its row, so that events
/// which are still being delivered are not forgotten.
async fn remember<E: Effects>(
    conn: &mut PgConnection,
    consumer: &Consumer<E>,
    events: &[&Event],
) -> Result<HashSet<Uuid>, sqlx::Error> {
    let sql = format!(
        "insert into {} (consumer, event_id, type, seen_at)
         select $1, event_id, type, now() from unnest($2::uuid[], $3::text[]) as e (event_id, type)
         on conflict (consumer, event_id) do update set seen_at = excluded.seen_at
         returning event_id, xmax = 0",
        consumer.schema.table("inbox")
    );
    let ids: Vec<Uuid> = events.iter().map(|event| event.id.as_uuid()).collect();
    let types: Vec<&str> = events.iter().map(|event| event.ty.as_str()).collect();
    let rows: Vec<(Uuid, bool)> = sqlx::query_as(AssertSqlSafe(sql))
        .bind(consumer.effects.consumer())
        .bind(ids)
        .bind(types)
        .fetch_all(conn)
        .await?;
    let fresh = rows.into_iter().filter(|(_, fresh)| *fresh);
    Ok(fresh.map(|(id, _)| id).collect())
}

async fn bury<E: Effects>(
    consumer: &Consumer<E>,
    event: &Event,
    death: &Death,
) -> Result<(), EffectError> {
    let mut tx = consumer.pool.begin().await?;
    dead::bury(
        &mut tx,
        consumer.schema,
        consumer.effects.consumer(),
        event,
        death,
    )
    .await?;
    tx.commit().await?;
    Ok(())
}

/// Applies the dead letters whose replay was asked for, up to a hundred. A replay is tried once: if
/// it fails, the letter stays and says why.
pub async fn replays<E: Effects>(consumer: &Consumer<E>) -> Result<(), EffectError> {
    let name = consumer.effects.consumer();
    for _ in 0..100 {
        let mut tx = consumer.pool.begin().await?;
        let Some(letter) = dead::asked(&mut tx, consumer.schema, name).await? else {
            return Ok(());
        };
        let event = Event::from_value(letter.body).map_err(EffectError::poison)?;
        match replay(&mut tx, consumer, &event).await {
            Ok(()) => {
                dead::resolve(&mut tx, consumer.schema, name, event.id).await?;
                tx.commit().await?;
                count(consumer, &event, "replayed");
            }
            Err(error @ EffectError::Unavailable(_)) => return Err(error),
            Err(error) => {
                tx.rollback().await?;
                let death = Death {
                    error: traces::chain(&error),
                    attempts: 1,
                };
                tracing::warn!(error = death.error, event.id = %event.id, "replay failed");
                bury(consumer, &event, &death).await?;
            }
        }
    }
    Ok(())
}

async fn replay<E: Effects>(
    conn: &mut PgConnection,
    consumer: &Consumer<E>,
    event: &Event,
) -> Result<(), EffectError> {
    // Known already: it was delivered again and applied in the meantime.
    if remember(conn, consumer, &[event]).await?.is_empty() {
        return Ok(());
    }
    let effect = apply(conn, consumer, event);
    traced(consumer, event, effect, failure).await
}
