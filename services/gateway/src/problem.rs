//! What the gateway itself refuses, as problem+json (RFC 9457).

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;

/// A refusal.
#[derive(Debug)]
pub struct Problem {
    /// Status of the answer.
    pub status: StatusCode,
    /// Stable word for programs.
    pub code: &'static str,
    title: &'static str,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Whether the connection ends with this answer.
    pub closes: bool,
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    type_: String,
    title: &'a str,
    status: u16,
    code: &'a str,
    request_id: &'a str,
}

impl Problem {
    /// A refusal without details.
    pub fn new(status: StatusCode, code: &'static str, title: &'static str) -> Self {
        Self {
            status,
            code,
            title,
            headers: Vec::new(),
            closes: false,
        }
    }

    /// The request cannot be understood in one way only, so the connection ends.
    pub fn malformed(title: &'static str) -> Self {
        Self {
            closes: true,
            ..Self::new(StatusCode::BAD_REQUEST, "malformed_request", title)
        }
    }

    /// Nothing is served here.
    pub fn no_route() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "Nothing is served here")
    }

    /// The body is larger than allowed.
    pub fn too_large() -> Self {
        let title = "The request body is too large";
        Self {
            closes: true,
            ..Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", title)
        }
    }

    /// Ends the connection with the answer.
    #[must_use]
    pub fn closing(self) -> Self {
        Self {
            closes: true,
            ..self
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The answer.
    pub fn into_response(self, request_id: &str) -> Response<Bytes> {
        let body = Body {
            type_: format!("https://storefront.dev/problems/{}", self.code),
            title: self.title,
            status: self.status.as_u16(),
            code: self.code,
            request_id,
        };
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        for (name, value) in self.headers {
            headers.append(name, value);
        }
        if self.closes {
            headers.insert(http::header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
