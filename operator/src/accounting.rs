//! Counts every request to the API server, and notes when each watch receives anything. A layer of the
//! client, so that no request is missed.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Method, Request, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use http_body_util::combinators::MapFrame;
use kube::client::Body as KubeBody;
use kube_cache::Activity;
use tower::{Layer, Service};

use crate::metrics::Metrics;

/// Wraps a client's service.
#[derive(Clone)]
pub struct Accounting {
    metrics: Metrics,
    activity: Activity,
    host: Arc<str>,
}

impl Accounting {
    /// Counts into `metrics`; `host` is a label, as Go's client has it.
    pub fn new(metrics: Metrics, activity: Activity, host: &str) -> Self {
        Self {
            metrics,
            activity,
            host: host.into(),
        }
    }
}

impl<S> Layer<S> for Accounting {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted {
            inner,
            accounting: self.clone(),
        }
    }
}

/// A service whose requests are counted.
#[derive(Clone)]
pub struct Counted<S> {
    inner: S,
    accounting: Accounting,
}

type Listen = Box<dyn FnMut(Frame<Bytes>) -> Frame<Bytes> + Send>;

impl<S, B> Service<Request<KubeBody>> for Counted<S>
where
    S: Service<Request<KubeBody>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: 'static,
    B: Body<Data = Bytes> + Send + 'static,
{
    type Response = Response<MapFrame<B, Listen>>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<KubeBody>) -> Self::Future {
        let call = Call::of(&request);
        let accounting = self.accounting.clone();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await;
            accounting.count(
                &call,
                answer.as_ref().ok().map(|answer| answer.status().as_u16()),
            );
            let answer = answer?;
            let listen: Listen = if call.is_watch || call.verb == "list" {
                accounting
                    .activity
                    .note(&call.path, call.is_watch && answer.status().is_success());
                let activity = accounting.activity.clone();
                Box::new(move |frame| {
                    activity.note(&call.path, false);
                    frame
                })
            } else {
                Box::new(|frame| frame)
            };
            Ok(answer.map(|body| body.map_frame(listen)))
        })
    }
}

impl Accounting {
    fn count(&self, call: &Call, status: Option<u16>) {
        // Go's client calls a request without an answer this, too.
        let code = status.map_or_else(|| "<error>".to_owned(), |status| status.to_string());
        let labels = [code.as_str(), call.method.as_str(), &self.host];
        self.metrics.requests.with_label_values(&labels).inc();
        let counts = if call.is_write {
            &self.metrics.writes
        } else {
            &self.metrics.reads
        };
        counts.with_label_values(&[call.verb, &call.resource]).inc();
    }
}

/// Verb and resource of a request.
struct Call {
    method: Method,
    path: String,
    verb: &'static str,
    resource: String,
    is_watch: bool,
    is_write: bool,
}

impl Call {
    fn of(request: &Request<KubeBody>) -> Self {
        let path = request.uri().path().to_owned();
        let query = request.uri().query().unwrap_or_default();
        let is_watch = query
            .split('&')
            .any(|pair| pair == "watch=true" || pair == "watch=1");
        let (resource, named) = resource_of(&path);
        let verb = match (request.method(), named) {
            _ if is_watch => "watch",
            (&Method::POST, _) => "create",
            (&Method::PUT, _) => "update",
            (&Method::PATCH, _) => "patch",
            (&Method::DELETE, _) => "delete",
            (_, true) => "get",
            (_, false) => "list",
        };
        let is_write = matches!(verb, "create" | "update" | "patch" | "delete");
        Self {
            method: request.method().clone(),
            path,
            verb,
            resource,
            is_watch,
            is_write,
        }
    }
}

/// The resource of a path, with its subresource, and whether the path names one object.
/// `/apis/apps/v1/namespaces/shops/deployments/demo/status` is `deployments/status` of one.
fn resource_of(path: &str) -> (String, bool) {
    let mut words = path.split('/').filter(|word| !word.is_empty());
    // `api/v1` or `apis/<group>/<version>`.
    let skip = if words.next() == Some("apis") { 2 } else { 1 };
    let mut words = words.skip(skip).peekable();
    let mut first = words.next().unwrap_or("-");
    if first == "namespaces" {
        let namespace = words.next();
        match words.next() {
            Some(resource) => first = resource,
            None => return ("namespaces".to_owned(), namespace.is_some()),
        }
    }
    let named = words.next().is_some();
    match words.next() {
        Some(subresource) => (format!("{first}/{subresource}"), named),
        None => (first.to_owned(), named),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_resources() {
        let cases = [
            ("/api/v1/namespaces/shops/secrets/a", "secrets", true),
            ("/api/v1/namespaces/shops", "namespaces", true),
            ("/api/v1/services", "services", false),
            (
                "/apis/apps/v1/namespaces/s/deployments/a/status",
                "deployments/status",
                true,
            ),
            (
                "/apis/storefront.dev/v1alpha1/storefronts",
                "storefronts",
                false,
            ),
        ];
        for (path, resource, named) in cases {
            assert_eq!(resource_of(path), (resource.to_owned(), named), "{path}");
        }
    }
}
