//! The envelope: CloudEvents 1.0, JSON structured mode.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use vocabulary::EventId;

use crate::{EventType, Payload, UnknownEventType};

/// Bytes that are not an event this build can read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not JSON, or not the shape of a CloudEvent.
    #[error("not a CloudEvent")]
    Malformed(#[source] serde_json::Error),
    /// Another major version of CloudEvents.
    #[error("unsupported CloudEvents version {0}")]
    SpecVersion(String),
    /// A type that this build does not know; skip it.
    #[error(transparent)]
    UnknownType(#[from] UnknownEventType),
}

/// The data of an event is not what its type promises.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// The event is of another type.
    #[error("expected {expected}, got {got}")]
    Type {
        /// The type asked for.
        expected: EventType,
        /// The type of the event.
        got: EventType,
    },
    /// The data does not have the promised shape.
    #[error("invalid data for event type {0}")]
    Shape(EventType, #[source] serde_json::Error),
}

/// What the writer decides about an event besides its payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventMeta {
    /// Dedupe key.
    pub id: EventId,
    /// When it happened.
    pub time: DateTime<Utc>,
    /// W3C trace context of the cause.
    pub traceparent: Option<String>,
}

impl EventMeta {
    /// An event without a trace.
    pub const fn new(id: EventId, time: DateTime<Utc>) -> Self {
        Self {
            id,
            time,
            traceparent: None,
        }
    }

    /// The same, caused by a traced request.
    #[must_use]
    pub fn traced(self, traceparent: Option<String>) -> Self {
        Self {
            traceparent,
            ..self
        }
    }
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Dedupe key.
    pub id: EventId,
    /// The publishing service, such as `/order`.
    pub source: String,
    /// What happened.
    pub ty: EventType,
    /// The thing whose events stay in order; CloudEvents `subject`.
    pub aggregate: String,
    /// When.
    pub time: DateTime<Utc>,
    /// W3C trace context of the cause.
    pub traceparent: Option<String>,
    /// The payload.
    pub data: Value,
}

#[derive(Serialize, Deserialize)]
struct Wire<'a> {
    specversion: Cow<'a, str>,
    id: EventId,
    source: Cow<'a, str>,
    #[serde(rename = "type")]
    ty: Cow<'a, str>,
    subject: Cow<'a, str>,
    time: DateTime<Utc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    datacontenttype: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    traceparent: Option<Cow<'a, str>>,
    data: Cow<'a, Value>,
}

impl Event {
    /// Puts a payload into its envelope.
    pub fn of<P: Payload>(meta: EventMeta, payload: &P) -> Result<Self, serde_json::Error> {
        Ok(Self {
            id: meta.id,
            source: format!("/{}", P::TYPE.producer()),
            ty: P::TYPE,
            aggregate: payload.aggregate(),
            time: meta.time,
            traceparent: meta.traceparent,
            data: serde_json::to_value(payload)?,
        })
    }

    /// The JSON of the wire.
    pub fn to_vec(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(&self.wire())
    }

    /// The JSON of the wire, as text.
    pub fn to_text(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(&self.wire())
    }

    /// The JSON of the wire, as a value for a `jsonb` column.
    pub fn to_value(&self) -> Result<Value, serde_json::Error> {
        serde_json::to_value(self.wire())
    }

    /// Reads the JSON of the wire. Unknown attributes are ignored.
    pub fn from_slice(json: &[u8]) -> Result<Self, DecodeError> {
        serde_json::from_slice(json)
            .map_err(DecodeError::Malformed)
            .and_then(Self::from_wire)
    }

    /// Reads what [`Event::to_value`] made.
    pub fn from_value(json: Value) -> Result<Self, DecodeError> {
        serde_json::from_value(json)
            .map_err(DecodeError::Malformed)
            .and_then(Self::from_wire)
    }

    /// The payload, as the struct of its type.
    pub fn payload<P: Payload>(&self) -> Result<P, PayloadError> {
        if self.ty != P::TYPE {
            return Err(PayloadError::Type {
                expected: P::TYPE,
                got: self.ty,
            });
        }
        P::deserialize(&self.data).map_err(|source| PayloadError::Shape(self.ty, source))
    }

    fn wire(&self) -> Wire<'_> {
        Wire {
            specversion: "1.0".into(),
            id: self.id,
            source: self.source.as_str().into(),
            ty: self.ty.as_str().into(),
            subject: self.aggregate.as_str().into(),
            time: self.time,
            datacontenttype: Some("application/json".into()),
            traceparent: self.traceparent.as_deref().map(Cow::from),
            data: Cow::Borrowed(&self.data),
        }
    }

    fn from_wire(wire: Wire<'_>) -> Result<Self, DecodeError> {
        if !wire.specversion.starts_with("1.") {
            return Err(DecodeError::SpecVersion(wire.specversion.into_owned()));
        }
        Ok(Self {
            id: wire.id,
            source: wire.source.into_owned(),
            ty: wire.ty.parse()?,
            aggregate: wire.subject.into_owned(),
            time: wire.time,
            traceparent: wire.traceparent.map(Cow::into_owned),
            data: wire.data.into_owned(),
        })
    }
}
