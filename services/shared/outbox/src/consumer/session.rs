//! One session with the bus: from acquiring the lock until something breaks.

use bus::BusError;
use sqlx::PgConnection;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::context::Context;
use super::handler::Handler;
use super::{dead_letters, inbox, process, receive};
use crate::error::OutboxError;
use crate::lock::{acquire, connected, timed};
use crate::routing;

pub async fn run<H: Handler>(
    consumer: &Context<H>,
    shutdown: &CancellationToken,
) -> Result<(), OutboxError> {
    let name = consumer.handler.consumer();
    let lock = format!("outbox consumer {} {name}", consumer.schema.name());
    let standby = consumer.options.standby;
    let Some(mut conn) = acquire(&consumer.pool, &lock, standby, shutdown).await? else {
        return Ok(());
    };
    if !connected(consumer.bus.as_ref(), shutdown).await {
        return Ok(());
    }
    let spec = routing::consumer(name);
    let subscription = consumer.bus.subscribe(&spec).await?;
    let stream_id = subscription.stream_id().to_owned();
    tracing::info!(consumer = name, "consumer active");
    // Whichever ends first ends the other, which then hands back what it has in flight.
    let ending = shutdown.child_token();
    let checking = async {
        let result = tokio::select! {
            result = check(consumer, &mut conn, &stream_id) => result,
            () = ending.cancelled() => Ok(()),
        };
        ending.cancel();
        result
    };
    let receiving = async {
        let result = receive::run(consumer, subscription, &ending).await;
        ending.cancel();
        result
    };
    let (checked, received) = tokio::join!(checking, receiving);
    match received {
        // The client has logged that already; the next session begins when it is back.
        Err(OutboxError::Bus(BusError::Disconnected)) => checked,
        received => checked.and(received),
    }
}

/// Housekeeping. Ends with an error when the stream or the consumer was replaced, or the lock is lost.
async fn check<H: Handler>(
    consumer: &Context<H>,
    conn: &mut PgConnection,
    stream_id: &str,
) -> Result<(), OutboxError> {
    let (name, schema) = (consumer.handler.consumer(), consumer.schema);
    let mut due = interval(consumer.options.check);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        due.tick().await;
        timed("sweep the inbox", inbox::sweep(conn, schema)).await?;
        let open = timed(
            "count dead letters",
            dead_letters::count(conn, schema, name),
        )
        .await?;
        consumer.metrics.dead_letters.set(open);
        if let Err(error) = process::replays(consumer).await {
            let error: &(dyn std::error::Error + 'static) = &error;
            tracing::warn!(error, "replays interrupted");
        }
        consumer.bus.check(name, stream_id).await?;
    }
}
