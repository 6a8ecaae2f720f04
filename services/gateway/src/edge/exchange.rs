//! What is remembered about a request until it can be logged.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use http::{HeaderValue, Method, StatusCode};
use traces::http::{Asked, answered, routed, serve};
use traces::{Span, TraceContext};

use super::body::Upload;
use super::head::Head;
use crate::access_log::Line;
use crate::clock::rfc3339_now;
use crate::policy::jwt::Identity;
use crate::worker::{Worker, known_method};

/// The client went away before there was an answer.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// One request. Dropping it writes the access line and the metrics, so none can be forgotten.
#[derive(Debug)]
pub struct Exchange {
    worker: Rc<Worker>,
    started: Instant,
    method: Method,
    host: String,
    path: String,
    client: IpAddr,
    request_id: String,
    status: u16,
    bytes_out: u64,
    upstream_us: Option<u64>,
    upstream: Option<SocketAddr>,
    span: Option<Span>,
    /// The HTTPRoute.
    pub route: Option<Arc<str>>,
    /// The caller.
    pub identity: Option<Rc<Identity>>,
    /// The request's body.
    pub upload: Option<Rc<Upload>>,
}

impl Exchange {
    /// Begins.
    pub fn new(worker: Rc<Worker>, method: Method, client: IpAddr, request_id: String) -> Self {
        worker.metrics().active.inc();
        Self {
            worker,
            started: Instant::now(),
            method,
            host: String::new(),
            path: String::new(),
            client,
            request_id,
            status: CLIENT_CLOSED_REQUEST,
            bytes_out: 0,
            upstream_us: None,
            upstream: None,
            span: None,
            route: None,
            identity: None,
            upload: None,
        }
    }

    /// What was asked for. Where spans are exported, one begins: below the client's if it has one.
    pub fn asks_for(&mut self, head: &Head, is_tls: bool, traceparent: Option<&HeaderValue>) {
        head.host.clone_into(&mut self.host);
        head.path.clone_into(&mut self.path);
        if !traces::is_on() {
            return;
        }
        let parent = traceparent.and_then(|value| value.to_str().ok());
        let asked = Asked {
            method: known_method(&self.method),
            scheme: if is_tls { "https" } else { "http" },
            authority: &head.authority,
            path: &head.path,
        };
        self.span = Some(serve(parent.and_then(TraceContext::parse), asked));
    }

    /// What backends are to take for their parent; nothing where no spans are exported.
    pub fn trace(&self) -> Option<TraceContext> {
        self.span.as_ref().map(Span::context)
    }

    /// The id of the request.
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// When it began.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// What is answered.
    pub fn answers(&mut self, status: StatusCode) {
        self.status = status.as_u16();
    }

    /// A backend has begun to answer.
    pub fn answered_by(&mut self, endpoint: SocketAddr) {
        let elapsed = self.started.elapsed();
        self.upstream = Some(endpoint);
        self.upstream_us = u64::try_from(elapsed.as_micros()).ok();
        if let Some(route) = &self.route {
            self.worker.observe_upstream(route, elapsed);
        }
    }

    /// A piece of the response.
    pub fn add_bytes(&mut self, bytes: u64) {
        self.bytes_out += bytes;
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let elapsed = self.started.elapsed();
        let worker = &self.worker;
        worker.metrics().active.dec();
        worker.observe(&self.method, self.route.as_ref(), self.status, elapsed);
        if let Some(record) = self.span.as_mut().and_then(Span::record) {
            let route = self.route.as_deref().unwrap_or_default();
            routed(record, known_method(&self.method), route);
            if self.status != CLIENT_CLOSED_REQUEST {
                answered(record, self.status);
            }
        }
        if !worker.log.is_on() {
            return;
        }
        worker.log.write(&Line {
            time: rfc3339_now(),
            target: "access",
            method: self.method.as_str(),
            host: &self.host,
            path: &self.path,
            route: self.route.as_deref().unwrap_or_default(),
            status: self.status,
            bytes_in: self.upload.as_ref().map_or(0, |upload| upload.bytes()),
            bytes_out: self.bytes_out,
            duration_us: u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
            upstream_us: self.upstream_us,
            upstream: self.upstream,
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
