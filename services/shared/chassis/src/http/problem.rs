//! Errors as problem+json (RFC 9457).

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};

/// One invalid field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FieldError {
    /// Path of the field, such as `items[0].quantity`.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

/// The body of an error response.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
struct Document {
    /// URI of the kind of problem.
    #[serde(rename = "type")]
    kind: String,
    /// Human-readable summary of the kind of problem.
    title: Cow<'static, str>,
    /// The HTTP status.
    status: u16,
    /// Machine-readable kind of problem; stable.
    code: &'static str,
    /// Human-readable explanation of this occurrence.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// The invalid fields.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
    /// Id of the request, to be quoted in support requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    /// Extension members (RFC 9457, section 3.2).
    #[serde(flatten)]
    #[schema(ignore)]
    extensions: serde_json::Map<String, serde_json::Value>,
}

/// An error response. Boxed, so that a `Result` with it stays small.
#[derive(Debug, Clone)]
pub struct Problem {
    inner: Box<Refusal>,
}

#[derive(Debug, Clone)]
struct Refusal {
    status: StatusCode,
    body: Document,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl utoipa::PartialSchema for Problem {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        <Document as utoipa::PartialSchema>::schema()
    }
}

impl utoipa::ToSchema for Problem {
    fn schemas(schemas: &mut Vec<(String, utoipa::openapi::RefOr<utoipa::openapi::Schema>)>) {
        <Document as utoipa::ToSchema>::schemas(schemas);
    }
}

impl Problem {
    /// A problem with a stable, machine-readable code.
    pub fn new(
        status: StatusCode,
        code: &'static str,
        title: impl Into<Cow<'static, str>>,
    ) -> Self {
        let kind = format!("https://storefront.dev/problems/{code}");
        let body = Document {
            kind,
            title: title.into(),
            status: status.as_u16(),
            code,
            detail: None,
            errors: Vec::new(),
            request_id: None,
            extensions: serde_json::Map::new(),
        };
        Self {
            inner: Box::new(Refusal {
                status,
                body,
                headers: Vec::new(),
            }),
        }
    }

    /// 404: it does not exist, or the caller may not know of it.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "Not found")
    }

    /// 401: no valid token.
    pub fn unauthenticated() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthenticated",
            "A valid bearer token is required",
        )
        .header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }

    /// 403: the caller lacks a permission.
    pub fn forbidden() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            "Insufficient permissions",
        )
    }

    /// 422: fields are missing or wrong; name them with [`Problem::field`].
    pub fn invalid() -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid",
            "Some fields are invalid",
        )
    }

    /// 503: to be repeated later.
    pub fn unavailable(retry_after_secs: u32) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "Temporarily unavailable",
        )
        .retry_after(retry_after_secs)
    }

    /// 500: logs the error with its causes; the client learns only the request id.
    pub fn internal(error: &(dyn Error + 'static)) -> Self {
        tracing::error!(error = traces::chain(error), "request failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "Internal server error",
        )
    }

    /// Describes this occurrence.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.inner.body.detail = Some(detail.into());
        self
    }

    /// Names an invalid field.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>, message: impl Into<String>) -> Self {
        self.inner.body.errors.push(FieldError {
            field: field.into(),
            message: message.into(),
        });
        self
    }

    /// Adds the fields of a struct as extension members. `type`, `title`, `status` and `code` stay what they are; a struct
    /// with a field `errors` takes the place of [`Problem::field`].
    #[must_use]
    pub fn extend(mut self, members: &impl Serialize) -> Self {
        if let Ok(serde_json::Value::Object(members)) = serde_json::to_value(members) {
            let reserved = |name: &str| matches!(name, "type" | "title" | "status" | "code");
            let members = members.into_iter().filter(|(name, _)| !reserved(name));
            self.inner.body.extensions.extend(members);
        }
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.inner.headers.push((name, value));
        self
    }

    /// Sets `Retry-After`.
    #[must_use]
    pub fn retry_after(self, secs: u32) -> Self {
        self.header(RETRY_AFTER, HeaderValue::from(secs))
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.inner.status
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        self.inner.body.code
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.inner.status, self.inner.body.code)
    }
}

impl Error for Problem {}

impl Problem {
    /// The response, for servers that are not axum's. Not to be stored by caches: what is refused now may be
    /// allowed in a moment.
    pub fn render(self, request_id: Option<&str>) -> http::Response<Bytes> {
        let Refusal {
            status,
            mut body,
            headers,
        } = *self.inner;
        body.request_id = request_id.map(str::to_owned);
        let json = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = http::Response::new(Bytes::from(json));
        *response.status_mut() = status;
        let map = response.headers_mut();
        let kind = HeaderValue::from_static("application/problem+json");
        map.insert(CONTENT_TYPE, kind);
        map.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        map.extend(headers);
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let request_id = traces::request_id();
        self.render(request_id.as_deref()).map(Body::from)
    }
}
