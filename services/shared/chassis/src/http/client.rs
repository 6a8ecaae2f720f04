//! HTTP calls to peers, with timeout and trace context.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde::Serialize;
use traces::http::{Asked, answered, ask, method_label};

/// An HTTP client that passes on the request id and the trace of the current request. Clones share
/// connections.
#[derive(Debug, Clone)]
pub struct Client {
    inner: reqwest::Client,
}

/// A client whose calls end within `timeout`. It follows no redirects: peers here send none.
pub fn http_client(timeout: Duration) -> Result<Client, reqwest::Error> {
    let inner = reqwest::Client::builder()
        .timeout(timeout)
        .connect_timeout(timeout.min(Duration::from_secs(2)))
        // Less than the idle time that servers here allow, so that no call meets a closing socket.
        .pool_idle_timeout(Duration::from_secs(30))
        .redirect(reqwest::redirect::Policy::none())
        .build()?;
    Ok(Client { inner })
}

impl Client {
    /// A call.
    pub fn request(&self, method: Method, url: impl reqwest::IntoUrl) -> Call {
        Call {
            inner: self.inner.request(method, url),
        }
    }

    /// The body of a successful GET, at most `max_bytes` of it.
    pub async fn read(
        &self,
        url: impl reqwest::IntoUrl,
        max_bytes: usize,
    ) -> Result<Vec<u8>, ReadError> {
        let mut response = self.get(url).send().await?;
        if !response.status().is_success() {
            return Err(ReadError::Status(response.status()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > max_bytes {
                return Err(ReadError::TooLarge(max_bytes));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// A GET.
    pub fn get(&self, url: impl reqwest::IntoUrl) -> Call {
        self.request(Method::GET, url)
    }

    /// A POST.
    pub fn post(&self, url: impl reqwest::IntoUrl) -> Call {
        self.request(Method::POST, url)
    }

    /// A PUT.
    pub fn put(&self, url: impl reqwest::IntoUrl) -> Call {
        self.request(Method::PUT, url)
    }
}

/// Why a document could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There was no complete response.
    #[error("the request failed")]
    Http(#[from] reqwest::Error),
    /// The response is not a success.
    #[error("the server answered {0}")]
    Status(StatusCode),
    /// The body is longer than allowed.
    #[error("the body is longer than {0} bytes")]
    TooLarge(usize),
}

/// A call that is being prepared.
#[derive(Debug)]
#[must_use = "a call does nothing until it is sent"]
pub struct Call {
    inner: reqwest::RequestBuilder,
}

impl Call {
    /// Adds `Authorization: Bearer`.
    pub fn bearer_auth(self, token: &str) -> Self {
        let inner = self.inner.bearer_auth(token);
        Self { inner }
    }

    /// Sets a JSON body.
    pub fn json<T: Serialize + ?Sized>(self, body: &T) -> Self {
        let inner = self.inner.json(body);
        Self { inner }
    }

    /// Sends it. Where spans are recorded, one covers the time until the head of the response.
    pub async fn send(self) -> Result<reqwest::Response, reqwest::Error> {
        let (client, request) = self.inner.build_split();
        let mut request = request?;
        let url = request.url();
        let mut span = ask(Asked {
            method: method_label(request.method()),
            scheme: if url.scheme() == "https" {
                "https"
            } else {
                "http"
            },
            authority: url.authority(),
            path: url.path(),
        });
        let trace = span.as_ref().map(|span| span.context().to_string());
        let known = [
            ("traceparent", trace.or_else(traces::current)),
            (
                "x-request-id",
                traces::request_id().map(|id| id.to_string()),
            ),
        ];
        for (name, value) in known {
            if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
                let name = HeaderName::from_static(name);
                request.headers_mut().insert(name, value);
            }
        }
        let answer = client.execute(request).await;
        if let Some(record) = span.as_mut().and_then(traces::Span::record) {
            match &answer {
                Ok(answer) => answered(record, answer.status().as_u16()),
                Err(error) if error.is_timeout() => record.fail("timeout"),
                Err(error) if error.is_connect() => record.fail("unreachable"),
                Err(_) => record.fail("broken"),
            }
        }
        answer
    }
}
