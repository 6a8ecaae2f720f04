//! Spans as OTLP (protobuf).

use std::borrow::Cow;
use std::time::UNIX_EPOCH;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;

use crate::config::TracingConfig;
use crate::record::{Kind, Record, Value};

/// Flags of a span: whether it is known that the parent is in another process, and whether it is.
const KNOWN: u32 = 0x100;
const REMOTE: u32 = 0x200;

/// The resource that the spans belong to.
pub(crate) fn resource(config: &TracingConfig, program: &str) -> Resource {
    let name = match config.otel_service_name.as_str() {
        "" => program,
        name => name,
    };
    let own = [
        ("service.name", name),
        ("service.version", env!("CARGO_PKG_VERSION")),
    ];
    let more = config.otel_resource_attributes.0.iter();
    let more = more.map(|(key, value)| (key.as_str(), value.as_str()));
    let more = more.filter(|(key, _)| *key != "service.name" && *key != "service.version");
    Resource {
        attributes: own.into_iter().chain(more).map(text).collect(),
        ..Resource::default()
    }
}

fn text((key, value): (&str, &str)) -> KeyValue {
    pair(key, Value::Text(Cow::Owned(value.to_owned())))
}

fn pair(key: &str, value: Value) -> KeyValue {
    let value = match value {
        Value::Text(text) => any_value::Value::StringValue(text.into_owned()),
        Value::Number(number) => any_value::Value::IntValue(number),
    };
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

/// The body of an export request.
pub(crate) fn request(batch: Vec<Record>, resource: &Resource) -> Vec<u8> {
    let scope = InstrumentationScope {
        name: "storefront".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    let scope_spans = ScopeSpans {
        scope: Some(scope),
        spans: batch.into_iter().map(span).collect(),
        ..ScopeSpans::default()
    };
    let resource_spans = ResourceSpans {
        resource: Some(resource.clone()),
        scope_spans: vec![scope_spans],
        ..ResourceSpans::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![resource_spans],
    }
    .encode_to_vec()
}

fn span(record: Record) -> Span {
    let nanos = |duration: std::time::Duration| u64::try_from(duration.as_nanos()).unwrap_or(0);
    let began = nanos(record.began.duration_since(UNIX_EPOCH).unwrap_or_default());
    let error = record.error.map(|what| ("error.type", Value::Text(what)));
    let status = error.is_some().then(|| Status {
        code: StatusCode::Error.into(),
        ..Status::default()
    });
    let attributes = record.attributes.into_iter().chain(error);
    let parent = record.parent.map(|parent| parent.span().to_be_bytes());
    Span {
        trace_id: record.context.trace().to_be_bytes().into(),
        span_id: record.context.span().to_be_bytes().into(),
        parent_span_id: parent.map(Into::into).unwrap_or_default(),
        flags: u32::from(record.context.flags()) | where_from(record.kind, parent.is_some()),
        name: record.name.into_owned(),
        kind: kind(record.kind).into(),
        start_time_unix_nano: began,
        end_time_unix_nano: began.saturating_add(nanos(record.took)),
        attributes: attributes.map(|(key, value)| pair(key, value)).collect(),
        status,
        ..Span::default()
    }
}

fn where_from(kind: Kind, has_parent: bool) -> u32 {
    match kind {
        _ if !has_parent => 0,
        // What rides in a row may have been written by another process as well as by this one.
        Kind::Server | Kind::Producer | Kind::Consumer => KNOWN | REMOTE,
        Kind::Client | Kind::Internal => KNOWN,
    }
}

fn kind(kind: Kind) -> SpanKind {
    match kind {
        Kind::Server => SpanKind::Server,
        Kind::Client => SpanKind::Client,
        Kind::Producer => SpanKind::Producer,
        Kind::Consumer => SpanKind::Consumer,
        Kind::Internal => SpanKind::Internal,
    }
}
