//! The record of one request and its response.
//!
//! `handle` creates an [`Exchange`], the steps of the request tell it what they learn, and the response body
//! takes it along. When hyper drops that body (after its last byte, or because the client is gone), or when a
//! request is cancelled before there is a response, the exchange is recorded: metrics, span and access line.
//! So none can be forgotten, and none is recorded before its last byte.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, Method, StatusCode};
use traces::http::{Asked, answered, method_label, routed, serve};
use traces::{Span, TraceContext};

use super::connection::Connection;
use super::head::Head;
use super::headers::TRACEPARENT;
use super::state::WorkerState;
use crate::access_log::Line;
use crate::clock::rfc3339_now;
use crate::policy::jwt::Identity;
use crate::pool::Upload;

/// The client closed the connection before there was a response.
const CLIENT_CLOSED_REQUEST: u16 = 499;

#[derive(Debug)]
pub struct Exchange {
    connection: Rc<Connection>,
    started: Instant,
    method: Method,
    client: IpAddr,
    request_id: String,
    host: String,
    path: String,
    span: Option<Span>,
    route: Option<Arc<str>>,
    identity: Option<Rc<Identity>>,
    upload: Option<Rc<Upload>>,
    upstream: Option<(SocketAddr, Duration)>,
    status: u16,
    bytes_out: u64,
}

impl Exchange {
    pub fn new(
        connection: Rc<Connection>,
        method: Method,
        client: IpAddr,
        request_id: String,
    ) -> Self {
        connection.worker.metrics().active.inc();
        connection.conversation.begin();
        Self {
            connection,
            started: Instant::now(),
            method,
            client,
            request_id,
            host: String::new(),
            path: String::new(),
            span: None,
            route: None,
            identity: None,
            upload: None,
            upstream: None,
            status: CLIENT_CLOSED_REQUEST,
            bytes_out: 0,
        }
    }

    fn worker(&self) -> &WorkerState {
        &self.connection.worker
    }

    /// The head was understood. Where spans are exported, one begins: as a child of the client's, if it has one.
    pub fn requested(&mut self, head: &Head, is_https: bool, headers: &HeaderMap) {
        head.host.clone_into(&mut self.host);
        head.path.clone_into(&mut self.path);
        if !traces::is_on() {
            return;
        }
        let parent = headers
            .get(TRACEPARENT)
            .and_then(|value| value.to_str().ok());
        let asked = Asked {
            method: method_label(&self.method),
            scheme: if is_https { "https" } else { "http" },
            authority: &head.authority,
            path: &head.path,
        };
        self.span = Some(serve(parent.and_then(TraceContext::parse), asked));
    }

    /// A rule of this HTTPRoute matched.
    pub fn routed(&mut self, route: &Arc<str>) {
        self.route = Some(route.clone());
    }

    /// The caller was let through, with or without a token.
    pub fn authenticated(&mut self, identity: Option<Rc<Identity>>) {
        self.identity = identity;
    }

    /// The request body is on its way to a backend.
    pub fn uploading(&mut self, upload: Rc<Upload>) {
        self.upload = Some(upload);
    }

    /// A backend began to respond.
    pub fn backend_responded(&mut self, endpoint: SocketAddr) {
        let elapsed = self.started.elapsed();
        self.upstream = Some((endpoint, elapsed));
        if let Some(route) = &self.route {
            self.worker().series.observe_upstream(route, elapsed);
        }
    }

    /// The response begins.
    pub fn responded(&mut self, status: StatusCode) {
        self.status = status.as_u16();
    }

    /// A part of the response body was passed on.
    pub fn sent(&mut self, bytes: u64) {
        self.bytes_out += bytes;
    }

    /// Whether all of the request's body was read. `has_body` tells of a request that went to no backend.
    pub fn is_read(&self, has_body: bool) -> bool {
        self.upload
            .as_ref()
            .map_or(!has_body, |upload| upload.is_done())
    }

    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    pub fn started(&self) -> Instant {
        self.started
    }

    /// The parent of the spans of backends, where spans are exported.
    pub fn trace(&self) -> Option<TraceContext> {
        self.span.as_ref().map(Span::context)
    }

    fn finish_span(&mut self) {
        let Some(record) = self.span.as_mut().and_then(Span::record) else {
            return;
        };
        let route = self.route.as_deref().unwrap_or_default();
        routed(record, method_label(&self.method), route);
        if self.status != CLIENT_CLOSED_REQUEST {
            answered(record, self.status);
        }
    }

    fn log(&self, elapsed: Duration) {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.worker().log.write(&Line {
            time: rfc3339_now(),
            target: "access",
            method: self.method.as_str(),
            host: &self.host,
            path: &self.path,
            route: self.route.as_deref().unwrap_or_default(),
            status: self.status,
            bytes_in: self.upload.as_ref().map_or(0, |upload| upload.bytes()),
            bytes_out: self.bytes_out,
            duration_us: micros(elapsed),
            upstream_us: self.upstream.map(|(_, after)| micros(after)),
            upstream: self.upstream.map(|(endpoint, _)| endpoint),
            client: self.client,
            request_id: &self.request_id,
            trace_id: self.trace().map(TraceContext::trace_id),
            user: self
                .identity
                .as_ref()
                .and_then(|identity| identity.subject()),
        });
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let elapsed = self.started.elapsed();
        self.connection.conversation.end();
        self.worker().metrics().active.dec();
        let route = self.route.as_ref();
        let series = &self.worker().series;
        series.observe(&self.method, route, self.status, elapsed);
        self.finish_span();
        if self.worker().log.is_on() {
            self.log(elapsed);
        }
    }
}
