//! Spans of messages, under OpenTelemetry's names. The parent of every span here is what made the event:
//! its row carries the trace context over minutes and restarts.

use bus::Transport;
use events::Event;
use traces::{Kind, Record, Span, TraceContext};

use crate::relay::Pending;

/// Publishing a row. An event that was made outside of any trace begins none.
pub fn send(bus: &dyn Transport, row: &Pending) -> Option<Span> {
    let parent = row.traceparent.as_deref().and_then(TraceContext::parse)?;
    let mut span = Span::below(Kind::Producer, "send", parent)?;
    if let Some(record) = span.record() {
        describe(record, "send", bus, &row.ty);
        record.set("messaging.message.id", row.event_id.to_string());
    }
    Some(span)
}

/// Processing an event.
pub fn process(bus: &dyn Transport, consumer: &'static str, event: &Event) -> Span {
    let parent = event.traceparent.as_deref().and_then(TraceContext::parse);
    let mut span = Span::begin(Kind::Consumer, "process", parent);
    if let Some(record) = span.record() {
        describe(record, "process", bus, event.ty.as_str());
        record.set("messaging.message.id", event.id.as_uuid().to_string());
        record.set("messaging.consumer.group.name", consumer);
    }
    span
}

fn describe(record: &mut Record, operation: &'static str, bus: &dyn Transport, ty: &str) {
    let destination = bus.destination(ty);
    record.name(format!("{operation} {destination}"));
    record.set("messaging.system", bus.system());
    record.set("messaging.operation.name", operation);
    record.set("messaging.operation.type", operation);
    record.set("messaging.destination.name", destination);
    // Unless it ends otherwise: a span that is dropped half way was cancelled.
    record.fail("cancelled");
}

/// Sets the outcome.
pub fn ended(span: &mut Span, failure: Option<&'static str>) {
    match (span.record(), failure) {
        (None, _) => {}
        (Some(record), None) => record.succeed(),
        (Some(record), Some(what)) => record.fail(what),
    }
}
