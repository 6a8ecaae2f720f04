//! One commit per step: the checkout's row together with everything that the step decides.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use outbox::idempotency::{self, Answer as Response, Key};
use outbox::{OutboxError, Row};
use service::{Core, StoreError};
use sqlx::PgConnection;
use vocabulary::OrderId;

use crate::checkout::domain::{
    Checkout, Persisted, Quote, Reason, Refusal, Stage, Unexpected, Write,
};
use crate::checkout::render::Outcome;
use crate::checkout::store::checkouts::{self, Saved, Saving};
use crate::checkout::store::record::{self, Recording};
use crate::orders;
use crate::orders::domain::{Change, NextAction};
use crate::spec::SCHEMA;
use crate::state::AppState;

/// A driver writes at least this often: between two writes it makes at most two calls of three seconds each. One that was
/// silent for longer has crashed, and its checkout may be taken over.
pub const LEASE: TimeDelta = TimeDelta::seconds(10);
/// The operation that idempotency keys of checkouts belong to.
const ROUTE: &str = "POST /v1/orders";

/// A step that was not written.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// The store failed, or another driver has taken the checkout over.
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// A bug.
    #[error(transparent)]
    Unexpected(#[from] Unexpected),
    /// The process ends, or a bug.
    #[error("storing the checkout was interrupted")]
    Interrupted(#[from] tokio::task::JoinError),
    /// A bug.
    #[error("the response was not written as JSON")]
    Json(#[from] serde_json::Error),
    /// A bug: no checkout starts with an invalid key.
    #[error("the idempotency key of {0} is invalid")]
    Key(OrderId),
}

/// The idempotency key of a checkout, made of facts that its row keeps: whoever ends it can store the response. None if it is
/// invalid.
pub(super) fn key(checkout: &Checkout) -> Result<Option<Key>, serde_json::Error> {
    let fingerprint = serde_json::to_vec(&checkout.cart)?;
    let caller = checkout.user_id.as_uuid().to_string();
    Ok(Key::new(caller, ROUTE, &checkout.key, fingerprint))
}

/// Writes what a step decided. The client's response, where that was decided.
pub(super) async fn write(
    app: &AppState,
    checkout: &mut Checkout,
    write: Write,
) -> Result<Option<Response>, DriveError> {
    match write {
        Write::Nothing => Ok(None),
        Write::Advance(stage) => {
            advance(app, checkout, stage.into()).await?;
            Ok(None)
        }
        Write::Retry(row, secs) => {
            save(app, checkout, row, TimeDelta::seconds(secs.into())).await?;
            Ok(None)
        }
        Write::KeepAwaiting(action, row, secs) => {
            keep_awaiting(app, checkout, action, row, secs).await?;
            Ok(None)
        }
        Write::AwaitPayment(quote, next_action) => {
            let stage = orders::domain::Stage::AwaitingPayment { next_action };
            record(app, checkout, &quote, stage).await.map(Some)
        }
        Write::Place(quote) => {
            let response = record(app, checkout, &quote, orders::domain::Stage::Placed).await?;
            app.metrics.placed.inc();
            let place = ["place", "done"];
            app.metrics.commands.with_label_values(&place).inc();
            app.metrics.outcomes.with_label_values(&["placed"]).inc();
            Ok(Some(response))
        }
        Write::TurnBack(stage) => {
            let now = app.core.now();
            let mut tx = app.core.begin().await?;
            let turned = turn_back(app, &mut tx, checkout, stage, now).await?;
            app.core.commit(tx).await?;
            Ok(turned.published(app))
        }
    }
}

/// Stores the stage, together with those that other checkouts reach at the same time. What others wrote is stale, and found to be so
/// alone.
async fn advance(
    app: &AppState,
    checkout: &mut Checkout,
    row: Persisted,
) -> Result<(), DriveError> {
    let core = &app.core;
    let saving = Saving {
        id: checkout.id,
        version: checkout.version,
        to: row.clone(),
    };
    let work = |savings: Vec<Saving>| async move {
        match save_all(core, &savings).await {
            Ok(mut saved) => {
                let of = |saving: &Saving| saved.remove(&saving.id).map(Ok);
                savings.iter().map(of).collect()
            }
            Err(error) => failed_together(savings.len(), error),
        }
    };
    match app.advances.run(saving, work).await {
        Some(saved) => saved?.apply(checkout, row),
        None => save(app, checkout, row, LEASE).await?,
    }
    Ok(())
}

/// The answers of a statement that failed: one checkout learns why, and several are left to try by themselves.
pub(super) fn failed_together<O>(
    checkouts: usize,
    error: StoreError,
) -> Vec<Option<Result<O, StoreError>>> {
    if checkouts == 1 {
        return vec![Some(Err(error))];
    }
    let error: &dyn std::error::Error = &error;
    tracing::info!(error, "checkouts not stored together: each by itself");
    std::iter::repeat_with(|| None).take(checkouts).collect()
}

/// Of two drivers of one checkout, the first is served.
async fn save_all(core: &Core, savings: &[Saving]) -> Result<HashMap<OrderId, Saved>, StoreError> {
    let mut seen = HashSet::new();
    let once = savings.iter().filter(|saving| seen.insert(saving.id));
    let mut once: Vec<_> = once.cloned().collect();
    once.sort_by_key(|saving| saving.id);
    let now = core.now();
    let mut conn = core.acquire().await?;
    checkouts::save_all(&mut conn, &once, now, now + LEASE).await
}

async fn save(
    app: &AppState,
    checkout: &mut Checkout,
    row: Persisted,
    lease: TimeDelta,
) -> Result<(), DriveError> {
    let now = app.core.now();
    let mut conn = app.core.acquire().await?;
    Ok(checkouts::save(&mut conn, checkout, row, now, now + lease).await?)
}

/// The customer may have to act by now, so the order shows the payment's latest action.
async fn keep_awaiting(
    app: &AppState,
    checkout: &mut Checkout,
    action: Option<NextAction>,
    row: Persisted,
    secs: u32,
) -> Result<(), DriveError> {
    let now = app.core.now();
    let until = now + TimeDelta::seconds(secs.into());
    let mut tx = app.core.begin().await?;
    checkouts::save(&mut tx, checkout, row, now, until).await?;
    orders::store::set_next_action(&mut tx, checkout.id, action.as_ref()).await?;
    app.core.commit(tx).await?;
    Ok(())
}

/// One commit: the order, its event if it is placed, the checkout's stage and the client's response.
async fn record(
    app: &AppState,
    checkout: &mut Checkout,
    quote: &Quote,
    stage: orders::domain::Stage,
) -> Result<Response, DriveError> {
    let now = app.core.now();
    let key = key(checkout)?.ok_or(DriveError::Key(checkout.id))?;
    let mut conn = app.core.acquire().await?;
    let number = record::number(&mut conn, quote).await?;
    let order = checkout.order(quote, number, stage, now);
    let response = app.renderer.response(Outcome::Order(&order))?;
    let placed = order.stage == orders::domain::Stage::Placed;
    let event = placed.then(|| Row::of(app.core.event_meta(now), &order.placed()));
    let recording = Recording {
        version: checkout.version,
        lease_until: now + TimeDelta::seconds(1),
        event: event.transpose()?,
        response: &response,
        key: &key,
    };
    record::order(&mut conn, &order, recording).await?;
    drop(conn);
    let (order_id, number, stage) = (order.id, &order.number, order.stage.as_str());
    tracing::info!(order = %order_id, number, stage, "order recorded");
    Ok(response)
}

/// What turning back came to, to be published after the commit.
#[must_use = "metrics count what was committed"]
pub(crate) struct TurnedBack {
    refusal: Refusal,
    checkout: OrderId,
    /// The order awaited its payment and is cancelled.
    order_cancelled: bool,
    response: Option<Response>,
}

/// The decision that there will be no order, and the client's response. Only after its commit is anything undone. An order that
/// awaits its payment is cancelled; its client got its response when the order was made.
pub(super) async fn turn_back(
    app: &AppState,
    conn: &mut PgConnection,
    checkout: &mut Checkout,
    stage: Stage,
    now: DateTime<Utc>,
) -> Result<TurnedBack, DriveError> {
    let refusal = stage.refusal().cloned().unwrap_or(Reason::Abandoned.into());
    let may_have_order = checkout.persisted.stage.may_have_order();
    checkouts::save(conn, checkout, stage.into(), now, now + LEASE).await?;
    let order_cancelled = may_have_order && cancel_order(app, conn, checkout.id, now).await?;
    let response = if order_cancelled {
        None
    } else {
        let response = app.renderer.response(Outcome::Refused(&refusal))?;
        if let Some(key) = key(checkout)? {
            idempotency::finish(conn, SCHEMA, &key, &response).await?;
        }
        Some(response)
    };
    Ok(TurnedBack {
        refusal,
        checkout: checkout.id,
        order_cancelled,
        response,
    })
}

async fn cancel_order(
    app: &AppState,
    conn: &mut PgConnection,
    id: OrderId,
    now: DateTime<Utc>,
) -> Result<bool, DriveError> {
    let Some(order) = orders::store::lock(conn, id, None).await? else {
        return Ok(false);
    };
    let Change::Moved(order, event) = order.cancel(now) else {
        return Ok(false);
    };
    let event = Row::of(app.core.event_meta(now), &event)?;
    orders::store::advance(conn, &order, event, now).await?;
    Ok(true)
}

impl TurnedBack {
    /// Counts and logs it. The client's response.
    pub(crate) fn published(self, app: &AppState) -> Option<Response> {
        let reason = self.refusal.reason;
        let outcome = app.metrics.outcomes.with_label_values(&[reason.as_str()]);
        outcome.inc();
        if self.order_cancelled {
            let by = if reason == Reason::Cancelled {
                "owner"
            } else {
                "checkout"
            };
            app.metrics.cancelled.with_label_values(&[by]).inc();
        }
        tracing::info!(checkout = %self.checkout, reason = reason.as_str(), "checkout refused");
        self.response
    }
}
