//! Requests to the collector.

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

/// Responses have a few bytes; a longer one is not read.
const MAX_RESPONSE: usize = 64 * 1024;

/// Why an endpoint cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// It is not an `http` or `https` URL.
    #[error("{0:?} is not an http or https URL")]
    Malformed(String),
    /// TLS could not be configured.
    #[error("failed to configure TLS for the collector")]
    Tls(#[source] rustls::Error),
}

/// Why spans were not accepted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CollectorError {
    #[error("failed to build the request to the collector")]
    Request(#[source] http::Error),
    #[error("the collector could not be reached")]
    Unreachable(#[source] hyper_util::client::legacy::Error),
    #[error("the collector did not respond within {0:?}")]
    TimedOut(Duration),
    #[error("the collector responded with {0}")]
    Status(StatusCode),
    #[error("the response of the collector is incomplete or too long")]
    Response(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl CollectorError {
    /// Whether the same request may succeed later. OTLP defines the statuses.
    pub(crate) fn is_temporary(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::TimedOut(_) => true,
            Self::Status(status) => matches!(status.as_u16(), 429 | 502..=504),
            // The collector has received the spans.
            Self::Request(_) | Self::Response(_) => false,
        }
    }
}

/// A collector, usually over one connection.
#[derive(Debug)]
pub(crate) struct Collector {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    uri: Uri,
    timeout: Duration,
}

impl Collector {
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

    /// Sends a batch; returns how many of its spans the collector rejected.
    pub(crate) async fn send(&self, body: Bytes) -> Result<u64, CollectorError> {
        let request = Request::post(&self.uri)
            .header(CONTENT_TYPE, "application/x-protobuf")
            .header(
                USER_AGENT,
                concat!("storefront/", env!("CARGO_PKG_VERSION")),
            )
            .body(Full::new(body))
            .map_err(CollectorError::Request)?;
        tokio::time::timeout(self.timeout, self.exchange(request))
            .await
            .map_err(|_| CollectorError::TimedOut(self.timeout))?
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<u64, CollectorError> {
        let response = self.client.request(request).await;
        let response = response.map_err(CollectorError::Unreachable)?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_RESPONSE)
            .collect()
            .await;
        if !status.is_success() {
            return Err(CollectorError::Status(status));
        }
        let body = body.map_err(CollectorError::Response)?.to_bytes();
        // An empty response is a full success, and so is one that only a newer version understands.
        let response = ExportTraceServiceResponse::decode(body).unwrap_or_default();
        let rejected = response.partial_success.map_or(0, |it| it.rejected_spans);
        Ok(u64::try_from(rejected).unwrap_or(0))
    }
}
