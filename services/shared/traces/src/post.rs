//! One request to the collector.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;

/// An answer is a few bytes; a longer one is not read.
const MAX_ANSWER: usize = 64 * 1024;

/// Why an endpoint is none.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// It is no URL with `http` or `https`.
    #[error("{0:?} is no URL with http or https")]
    Malformed(String),
    /// TLS cannot be had.
    #[error("TLS for the collector")]
    Tls(#[source] rustls::Error),
}

/// Why spans were not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PostError {
    #[error("the request to the collector cannot be made")]
    Request(#[source] http::Error),
    #[error("the collector could not be reached")]
    Unreachable(#[source] hyper_util::client::legacy::Error),
    #[error("the collector did not answer within {0:?}")]
    TimedOut(Duration),
    #[error("the collector answered {0}")]
    Status(StatusCode),
    #[error("the collector's answer broke off, or is too long")]
    Answer(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl PostError {
    /// Whether the same request may be taken later. The statuses are those that OTLP names.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::TimedOut(_) => true,
            Self::Status(status) => matches!(status.as_u16(), 429 | 502..=504),
            // It has got them, whatever it says.
            Self::Request(_) | Self::Answer(_) => false,
        }
    }
}

/// Requests to the collector, over one connection as a rule.
#[derive(Debug)]
pub(crate) struct Post {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    uri: Uri,
    timeout: Duration,
}

impl Post {
    pub(crate) fn new(endpoint: &str, timeout: Duration) -> Result<Self, EndpointError> {
        let malformed = || EndpointError::Malformed(endpoint.to_owned());
        let url = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
        let uri: Uri = url.parse().map_err(|_| malformed())?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none() {
            return Err(malformed());
        }
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_webpki_roots(provider)
            .map_err(EndpointError::Tls)?
            .https_or_http()
            .enable_http1()
            .build();
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .pool_max_idle_per_host(1)
            .build(connector);
        Ok(Self {
            client,
            uri,
            timeout,
        })
    }

    /// Sends a batch; how many of its spans the collector did not want.
    pub(crate) async fn send(&self, body: Bytes) -> Result<u64, PostError> {
        let request = Request::post(&self.uri)
            .header(CONTENT_TYPE, "application/x-protobuf")
            .header(
                USER_AGENT,
                concat!("storefront/", env!("CARGO_PKG_VERSION")),
            )
            .body(Full::new(body))
            .map_err(PostError::Request)?;
        tokio::time::timeout(self.timeout, self.exchange(request))
            .await
            .map_err(|_| PostError::TimedOut(self.timeout))?
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<u64, PostError> {
        let answer = self.client.request(request).await;
        let answer = answer.map_err(PostError::Unreachable)?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
        if !status.is_success() {
            return Err(PostError::Status(status));
        }
        let body = body.map_err(PostError::Answer)?.to_bytes();
        // An empty answer is a whole success, and so is one that only a newer version understands.
        let answer = ExportTraceServiceResponse::decode(body).unwrap_or_default();
        let rejected = answer.partial_success.map_or(0, |it| it.rejected_spans);
        Ok(u64::try_from(rejected).unwrap_or(0))
    }
}
