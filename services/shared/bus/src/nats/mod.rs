//! NATS JetStream: one stream with a subject per event type, one durable pull consumer per service, acknowledgements per message.

mod connection;
mod redelivery;
mod stream;
mod subscription;

use std::sync::Arc;

use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::RawMessageErrorKind;
use async_trait::async_trait;
use bytes::Bytes;
use chassis::Binding;
use futures::StreamExt;
use futures::stream::BoxStream;

use self::connection::Connection;
use self::stream::{create_consumer, has_room, position, question, state, subject};
use self::subscription::NatsSubscription;
use crate::error::Attempting;
use crate::{
    Bus, BusError, ConsumerSpec, Offsets, Outgoing, Position, Published, StreamState, Subscription,
    Transport,
};

pub use self::connection::Login;
pub use self::stream::STREAM;

/// NATS as a transport.
#[derive(Debug)]
struct Nats(Arc<Connection>);

/// Connects to what a binding names: `uri`, `username`, `password` and `inbox-prefix` where there is a login,
/// and `replicas` where the stream is on several servers.
pub(crate) async fn connect_bound(binding: &Binding, name: &str) -> Result<Bus, BusError> {
    let login = Login {
        credentials: binding.get("username").zip(binding.get("password")),
        inbox_prefix: binding.get("inbox-prefix"),
    };
    let replicas = binding.get("replicas").unwrap_or("1").trim();
    let replicas = replicas.parse().map_err(|_| BusError::Replicas)?;
    connect(binding.require("uri")?, login, name, replicas).await
}

/// A client that connects in the background and reconnects for ever. `uri` may be several, with
/// commas between them: servers of one cluster. The stream is kept on `replicas` of them.
pub async fn connect(
    uri: &str,
    login: Login<'_>,
    name: &str,
    replicas: usize,
) -> Result<Bus, BusError> {
    let connection = Connection::open(uri, login, name, replicas).await?;
    Ok(Arc::new(Nats(Arc::new(connection))))
}

#[async_trait]
impl Transport for Nats {
    fn system(&self) -> &'static str {
        "nats"
    }

    fn destination(&self, event_type: &str) -> String {
        subject(event_type)
    }

    fn connection(&self) -> Option<u64> {
        self.0.is_connected().then(|| self.0.connects())
    }

    fn is_refused(&self) -> bool {
        self.0.is_refused()
    }

    async fn ensure_stream(&self) -> Result<StreamState, BusError> {
        let stream = self.0.stream().await?;
        let info = stream.get_info().await;
        Ok(state(&info.attempting("read the stream's state")?))
    }

    async fn ensure_consumer(&self, consumer: &ConsumerSpec) -> Result<(), BusError> {
        let stream = self.0.stream().await?;
        if stream::acknowledged(&stream, consumer.name)
            .await?
            .is_none()
        {
            create_consumer(&stream, consumer).await?;
        }
        Ok(())
    }

    async fn publish(&self, message: Outgoing<'_>) -> Result<Published, BusError> {
        let mut publish = PublishMessage::build()
            .payload(message.body.to_owned().into())
            .expected_stream(STREAM)
            .header("content-type", "application/cloudevents+json")
            .message_id(message.dedupe_id);
        if let Some(traceparent) = message.traceparent {
            publish = publish.header("traceparent", traceparent);
        }
        let ack = self
            .0
            .context()
            .send_publish(subject(message.event_type), publish)
            .await
            .attempting("publish")?
            .await
            .attempting("publish")?;
        Ok(Published {
            position: position(ack.sequence),
            duplicate: ack.duplicate,
        })
    }

    /// A message to a subject of the stream that no consumer reads. The stream keeps only its number, but on disk and,
    /// where there are several servers, on a majority of them. A message that is to be refused is no alternative: a
    /// refusal comes before anything is written, and one for `Nats-Expected-Last-Msg-Id` ends the stream of a cluster
    /// (nats-server 2.15: "critical write error").
    async fn try_publish(&self, producer: &str) -> Result<(), BusError> {
        let publish = PublishMessage::build().expected_stream(STREAM);
        let context = self.0.context();
        let ack = context.send_publish(question(producer), publish).await;
        let ack = ack.attempting("publish")?.await.attempting("publish")?;
        // The server's answer where it could not write the number.
        if ack.sequence == 0 {
            return Err(BusError::NotStored);
        }
        let stream = context.get_stream(STREAM).await;
        let stream = stream.attempting("read the stream's state")?;
        has_room(stream.cached_info())
    }

    async fn holds(&self, position: Position, event_id: &str) -> Result<bool, BusError> {
        let sequence = u64::try_from(position.offset).unwrap_or(0);
        let stream = self.0.context().get_stream_no_info(STREAM).await;
        let stream = stream.attempting("look for a message")?;
        match stream.get_raw_message(sequence).await {
            Ok(message) => {
                let id = message.headers.get(async_nats::header::NATS_MESSAGE_ID);
                Ok(id.is_some_and(|id| id.as_str().starts_with(event_id)))
            }
            Err(error) if matches!(error.kind(), RawMessageErrorKind::NoMessageFound) => Ok(false),
            Err(error) => Err(error).attempting("look for a message"),
        }
    }

    async fn acknowledged(&self, consumer: &str) -> Result<Option<Offsets>, BusError> {
        stream::acknowledged(&self.0.stream().await?, consumer).await
    }

    async fn subscribe(&self, consumer: &ConsumerSpec) -> Result<Box<dyn Subscription>, BusError> {
        let opened = NatsSubscription::open(Arc::clone(&self.0), consumer).await?;
        Ok(Box::new(opened))
    }

    async fn check(&self, consumer: &str, stream_id: &str) -> Result<(), BusError> {
        self.0.check(consumer, stream_id).await
    }

    async fn send_receipts(&self, producer: &str, body: Bytes) -> Result<(), BusError> {
        let sent = self
            .0
            .client
            .publish(format!("receipts.{producer}"), body)
            .await;
        sent.attempting("send receipts")
    }

    async fn receipts(&self, producer: &str) -> Result<BoxStream<'static, Bytes>, BusError> {
        let subscriber = self
            .0
            .client
            .subscribe(format!("receipts.{producer}"))
            .await;
        let subscriber = subscriber.attempting("subscribe to receipts")?;
        Ok(subscriber.map(|message| message.payload).boxed())
    }
}
