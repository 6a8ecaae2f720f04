//! A collector of spans: takes OTLP over HTTP and keeps it for a look, in the mood that a test gives it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use bytes::Bytes;
use http::StatusCode;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as SpanStatus;
use prost::Message;
use tokio::net::TcpListener;

/// How it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// It takes everything.
    Takes,
    /// It takes the request and says that it did not want one of its spans.
    WantsOneLess,
    /// It answers with this status.
    Refuses(StatusCode),
    /// It takes its time.
    Waits(Duration),
}

/// A span that arrived. Ids are hexadecimal, as in a `traceparent`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of OTLP")]
pub struct SeenSpan {
    pub trace: String,
    pub id: String,
    /// Empty: the first of its trace.
    pub parent: String,
    pub name: String,
    pub kind: i32,
    pub is_error: bool,
    pub attributes: BTreeMap<String, String>,
    pub resource: BTreeMap<String, String>,
}

#[derive(Debug)]
struct Shelf {
    mood: Mood,
    requests: usize,
    spans: Vec<SeenSpan>,
}

/// A collector that listens on 127.0.0.1 until its test ends.
#[derive(Debug)]
pub struct Collector {
    address: SocketAddr,
    shelf: Arc<Mutex<Shelf>>,
}

impl Collector {
    /// Listens on a port that is free.
    pub async fn start() -> Self {
        Self::at(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// Listens there.
    pub async fn at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.expect("a socket");
        let address = listener.local_addr().expect("an address");
        let shelf = Arc::new(Mutex::new(Shelf {
            mood: Mood::Takes,
            requests: 0,
            spans: Vec::new(),
        }));
        let router = Router::new().route("/v1/traces", post(take));
        let router = router.with_state(Arc::clone(&shelf));
        let serving = async move { axum::serve(listener, router).await };
        chassis::Tasks::new().spawn("collector", serving);
        Self { address, shelf }
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on it is in this mood.
    pub fn is_in(&self, mood: Mood) {
        self.shelf.lock().expect("the shelf").mood = mood;
    }

    /// Requests so far.
    pub fn requests(&self) -> usize {
        self.shelf.lock().expect("the shelf").requests
    }

    /// What it took of a trace so far.
    pub fn of_trace(&self, id: &str) -> Vec<SeenSpan> {
        let held = self.shelf.lock().expect("the shelf");
        let spans = held.spans.iter().filter(|span| span.trace == id);
        spans.cloned().collect()
    }
}

async fn take(State(shelf): State<Arc<Mutex<Shelf>>>, body: Bytes) -> (StatusCode, Vec<u8>) {
    let mood = {
        let mut shelf = shelf.lock().expect("the shelf");
        shelf.requests += 1;
        shelf.mood
    };
    let rejected_spans = match mood {
        Mood::Takes => 0,
        Mood::WantsOneLess => 1,
        Mood::Refuses(status) => return (status, Vec::new()),
        Mood::Waits(time) => {
            tokio::time::sleep(time).await;
            0
        }
    };
    let Ok(request) = ExportTraceServiceRequest::decode(body) else {
        return (StatusCode::BAD_REQUEST, Vec::new());
    };
    let mut seen: Vec<SeenSpan> = request.resource_spans.iter().flat_map(of_process).collect();
    seen.truncate(seen.len().saturating_sub(usize::from(rejected_spans == 1)));
    shelf.lock().expect("the shelf").spans.extend(seen);
    let partial_success = (rejected_spans > 0).then(|| ExportTracePartialSuccess {
        rejected_spans,
        error_message: "one was too many".to_owned(),
    });
    let answer = ExportTraceServiceResponse { partial_success };
    (StatusCode::OK, answer.encode_to_vec())
}

fn of_process(
    process: &opentelemetry_proto::tonic::trace::v1::ResourceSpans,
) -> impl Iterator<Item = SeenSpan> {
    let resource = process.resource.as_ref();
    let resource = resource.map_or_else(BTreeMap::new, |it| pairs(&it.attributes));
    let spans = process.scope_spans.iter().flat_map(|scope| &scope.spans);
    spans.map(move |span| seen(span, resource.clone()))
}

fn seen(span: &Span, resource: BTreeMap<String, String>) -> SeenSpan {
    let hex = |bytes: &[u8]| {
        bytes.iter().fold(String::new(), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    };
    SeenSpan {
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        name: span.name.clone(),
        kind: span.kind,
        is_error: span
            .status
            .as_ref()
            .is_some_and(|status| status.code() == SpanStatus::Error),
        attributes: pairs(&span.attributes),
        resource,
    }
}

fn pairs(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |pair: &KeyValue| match pair.value.as_ref()?.value.as_ref()? {
        any_value::Value::StringValue(text) => Some(text.clone()),
        any_value::Value::IntValue(number) => Some(number.to_string()),
        other => Some(format!("{other:?}")),
    };
    let pairs = attributes.iter();
    pairs
        .filter_map(|pair| Some((pair.key.clone(), text(pair)?)))
        .collect()
}
