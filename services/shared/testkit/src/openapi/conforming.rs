//! Checks each answer of a router against its OpenAPI document.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;

use super::document::Document;
use super::schema::differences;

/// The router, with each answer of a documented operation compared with the document: its status is
/// listed, documented headers are present, and the body matches the schema. A difference panics in the
/// test that sent the request.
///
/// Statuses that any operation may answer with (see [`is_common`]) may be covered by `default`.
pub fn conforming(router: Router, document: &str) -> Router {
    let document = Arc::new(Document::parse(document));
    router.layer(from_fn_with_state(document, check))
}

async fn check(State(document): State<Arc<Document>>, request: Request, next: Next) -> Response {
    let method = request.method().as_str().to_owned();
    let path = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let operation = path.and_then(|path| {
        document
            .operation(&method, path.as_str())
            .map(|o| (path, o))
    });
    let Some((path, operation)) = operation else {
        return response;
    };
    let (parts, body) = response.into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    if let Err(why) = compare(&document, operation, parts.status, &parts.headers, &body) {
        let body = String::from_utf8_lossy(&body);
        panic!(
            "{method} {} answered {}: {why}\n{body}",
            path.as_str(),
            parts.status
        );
    }
    Response::from_parts(parts, Body::from(body))
}

fn compare(
    document: &Document,
    operation: &Value,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(), String> {
    let responses = &operation["responses"];
    let documented = match responses.get(status.as_str()) {
        Some(documented) => documented,
        None if is_common(status) => responses.get("default").ok_or("no default is documented")?,
        None => return Err("the status is not documented".to_owned()),
    };
    let missing = documented["headers"]
        .as_object()
        .into_iter()
        .flat_map(|documented| documented.keys())
        .find(|name| !headers.contains_key(name.as_str()));
    if let Some(name) = missing {
        return Err(format!("the documented header {name} is missing"));
    }
    compare_body(document, &documented["content"], headers, body)
}

/// Answers that the parts around a handler give to any operation: unreadable requests, failures.
fn is_common(status: StatusCode) -> bool {
    matches!(
        status.as_u16(),
        400 | 408 | 413 | 415 | 422 | 500 | 503 | 504
    )
}

fn compare_body(
    document: &Document,
    content: &Value,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(), String> {
    let Some(content) = content.as_object() else {
        return if body.is_empty() {
            Ok(())
        } else {
            Err("no body is documented".to_owned())
        };
    };
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .and_then(|kind| kind.split(';').next())
        .unwrap_or_default();
    let media = content
        .get(kind)
        .ok_or_else(|| format!("the content type {kind:?} is not documented"))?;
    if !kind.ends_with("json") {
        return Ok(());
    }
    let body: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let found = differences(&document.0, &media["schema"], &body);
    if found.is_empty() {
        Ok(())
    } else {
        Err(found.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document() -> Document {
        Document(json!({
            "components": {"schemas": {"Order": {
                "type": "object", "required": ["id"],
                "properties": {"id": {"type": "string", "format": "uuid"}},
            }}},
            "paths": {},
        }))
    }

    fn compared(status: u16, kind: &str, body: &str) -> Result<(), String> {
        let operation = json!({"responses": {
            "200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Order"}}}},
            "204": {},
        }});
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, kind.parse().expect("a header"));
        let status = StatusCode::from_u16(status).expect("a status");
        compare(&document(), &operation, status, &headers, body.as_bytes())
    }

    #[test]
    fn an_answer_as_documented_conforms() {
        let order = r#"{"id": "01900000-0000-7000-8000-000000000001"}"#;
        assert_eq!(
            compared(200, "application/json; charset=utf-8", order),
            Ok(())
        );
        assert_eq!(compared(204, "text/plain", ""), Ok(()));
    }

    #[test]
    fn another_status_type_or_body_does_not_conform() {
        for (status, kind, body) in [
            (201, "application/json", "{}"),
            (500, "application/json", "{}"),
            (200, "text/plain", "{}"),
            (200, "application/json", "{}"),
            (200, "application/json", r#"{"id": 7}"#),
            (200, "application/json", r#"{"id": "seven"}"#),
            (204, "text/plain", "something"),
        ] {
            assert!(
                compared(status, kind, body).is_err(),
                "{status} {kind} {body}"
            );
        }
    }
}
