//! What is said of messages in traces, under OpenTelemetry's names. The parent of every span here is what
//! made the event: its row has brought that along, over minutes and restarts.

use events::Event;
use traces::{Kind, Record, Span, TraceContext};

use crate::bus::subject;
use crate::relay::Pending;

/// Begins to publish a row. An event that nothing traced has made begins no trace by being sent.
pub fn sending(row: &Pending) -> Option<Span> {
    let parent = row.traceparent.as_deref().and_then(TraceContext::parse)?;
    let mut span = Span::below(Kind::Producer, "send", parent)?;
    if let Some(record) = span.record() {
        describe(record, "send", &row.ty);
        record.set("messaging.message.id", row.event_id.to_string());
    }
    Some(span)
}

/// Begins to work on an event.
pub fn processing(consumer: &'static str, event: &Event) -> Span {
    let parent = event.traceparent.as_deref().and_then(TraceContext::parse);
    let mut span = Span::begin(Kind::Consumer, "process", parent);
    if let Some(record) = span.record() {
        describe(record, "process", event.ty.as_str());
        record.set("messaging.message.id", event.id.as_uuid().to_string());
        record.set("messaging.consumer.group.name", consumer);
    }
    span
}

fn describe(record: &mut Record, operation: &'static str, ty: &str) {
    let subject = subject(ty);
    record.name(format!("{operation} {subject}"));
    record.set("messaging.system", "nats");
    record.set("messaging.operation.name", operation);
    record.set("messaging.operation.type", operation);
    record.set("messaging.destination.name", subject);
    // Until it is known better: whoever is stopped in the middle has not done it.
    record.fail("cancelled");
}

/// Says how it ended.
pub fn ended(span: &mut Span, failure: Option<&'static str>) {
    match (span.record(), failure) {
        (None, _) => {}
        (Some(record), None) => record.succeed(),
        (Some(record), Some(what)) => record.fail(what),
    }
}
