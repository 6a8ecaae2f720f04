//! The events that a service consumes, and the handler of each.

use events::{Event, EventType, Payload};
use futures::FutureExt;
use futures::future::BoxFuture;
use outbox::{Handler, HandlerError};
use sqlx::PgConnection;
use vocabulary::EventId;

use crate::spec::Spec;

/// A received event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received<P> {
    /// Id of the event; the same at every redelivery.
    pub id: EventId,
    /// Data of the event.
    pub payload: P,
}

/// The handler of one event type: one `impl` per file of `consume/`, on the state of the service.
pub trait Consume<P: Payload>: Send + Sync + 'static {
    /// Handles the event in the transaction that records it as consumed: no other connection, no HTTP.
    /// It is called again for the same event only if that transaction was not committed.
    fn consume(
        &self,
        conn: &mut PgConnection,
        event: Received<P>,
    ) -> impl Future<Output = Result<(), HandlerError>> + Send;
}

type HandlerFn<S> =
    for<'a> fn(&'a S, &'a mut PgConnection, &'a Event) -> BoxFuture<'a, Result<(), HandlerError>>;

/// The events that a service consumes.
pub struct Subscriptions<S> {
    consumer: &'static str,
    state: S,
    types: Vec<EventType>,
    handlers: Vec<HandlerFn<S>>,
    batch: usize,
}

impl<S: Send + Sync + 'static> Subscriptions<S> {
    /// No events yet, for the durable consumer of the service.
    pub fn new(spec: &Spec, state: S) -> Self {
        Self {
            consumer: spec.name(),
            state,
            types: Vec::new(),
            handlers: Vec::new(),
            batch: 1,
        }
    }

    /// Consumes events with the data `P`.
    #[must_use]
    pub fn on<P: Payload + 'static>(mut self) -> Self
    where
        S: Consume<P>,
    {
        self.types.push(P::TYPE);
        self.handlers.push(handle::<S, P>);
        self
    }

    /// Handles up to `size` events of different aggregates in one transaction. More than one only where
    /// a handler locks nothing but rows of its aggregate: in a batch, locks are taken in any order. If one
    /// handler of a batch fails, the batch is rolled back and each event is handled by itself.
    #[must_use]
    pub fn batch(self, size: usize) -> Self {
        Self {
            batch: size,
            ..self
        }
    }
}

fn handle<'a, S: Consume<P>, P: Payload + 'static>(
    state: &'a S,
    conn: &'a mut PgConnection,
    event: &'a Event,
) -> BoxFuture<'a, Result<(), HandlerError>> {
    async move {
        let received = Received {
            id: event.id,
            payload: event.payload()?,
        };
        state.consume(conn, received).await
    }
    .boxed()
}

impl<S: Send + Sync + 'static> Handler for Subscriptions<S> {
    fn consumer(&self) -> &'static str {
        self.consumer
    }

    fn event_types(&self) -> &[EventType] {
        &self.types
    }

    async fn handle(&self, conn: &mut PgConnection, event: &Event) -> Result<(), HandlerError> {
        let at = self.types.iter().position(|ty| *ty == event.ty);
        match at.and_then(|at| self.handlers.get(at)) {
            Some(handle) => handle(&self.state, conn, event).await,
            None => Err(HandlerError::poison(format!(
                "{} has no consumer here",
                event.ty
            ))),
        }
    }

    fn batch_size(&self) -> usize {
        self.batch
    }
}
