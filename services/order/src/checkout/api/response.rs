//! The response of a checkout: written once, stored under the idempotency key, and replayed byte for byte.

use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use outbox::idempotency::Answer;
use serde::Serialize;
use utoipa::ToSchema;

use crate::checkout::domain::{ItemFault, Reason, Refusal};
use crate::checkout::render::{Outcome, Render};
use crate::orders::api::view::OrderView;

/// Marks a response that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Renders outcomes as HTTP responses: 201 with the order, or a problem.
#[derive(Debug, Clone, Copy)]
pub struct HttpResponses;

impl Render for HttpResponses {
    fn response(&self, outcome: Outcome<'_>) -> Result<Answer, serde_json::Error> {
        match outcome {
            Outcome::Order(order) => Ok(Answer {
                status: StatusCode::CREATED.as_u16(),
                location: Some(format!("/v1/orders/{}", order.id.as_uuid())),
                body: serde_json::to_vec(&OrderView::from(order))?,
            }),
            Outcome::Refused(refusal) => refused(refusal),
        }
    }
}

/// Why there is no order.
#[derive(Serialize, ToSchema)]
pub(crate) struct CheckoutProblem {
    /// URI of the kind of problem.
    #[serde(rename = "type")]
    kind: String,
    /// The kind of problem, for people.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// The kind of problem, for programs; stable.
    #[schema(example = "out_of_stock")]
    code: &'static str,
    /// The fields or items that are the cause, where some are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<ItemError>,
    /// Quote this when asking for help. Added to each response, not stored with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
}

/// One field or item that is the cause.
#[derive(Serialize, ToSchema)]
struct ItemError {
    /// Path of the field or item, such as `items[0]`.
    field: String,
    /// What is wrong with it.
    message: String,
    /// Units in stock, where there are too few.
    #[serde(skip_serializing_if = "Option::is_none")]
    available: Option<i64>,
}

impl From<&ItemFault> for ItemError {
    fn from(fault: &ItemFault) -> Self {
        Self {
            field: fault.field.clone(),
            message: fault.message.clone(),
            available: fault.available,
        }
    }
}

fn refused(refusal: &Refusal) -> Result<Answer, serde_json::Error> {
    let (status, title) = status_and_title(refusal.reason);
    let code = refusal.reason.as_str();
    let body = CheckoutProblem {
        kind: format!("https://storefront.dev/problems/{code}"),
        title,
        status: status.as_u16(),
        code,
        errors: refusal.items.iter().map(ItemError::from).collect(),
        request_id: None,
    };
    Ok(Answer {
        status: status.as_u16(),
        location: None,
        body: serde_json::to_vec(&body)?,
    })
}

const fn status_and_title(reason: Reason) -> (StatusCode, &'static str) {
    match reason {
        Reason::OutOfStock => (StatusCode::CONFLICT, "Not enough in stock"),
        Reason::ItemRefused => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "Some items are not for sale",
        ),
        Reason::CustomerUnknown => (StatusCode::CONFLICT, "The account no longer exists"),
        Reason::PaymentMethodUnknown => {
            (StatusCode::UNPROCESSABLE_ENTITY, "Unknown payment method")
        }
        Reason::PaymentDeclined => (StatusCode::PAYMENT_REQUIRED, "The payment was declined"),
        Reason::PaymentExpired => (
            StatusCode::PAYMENT_REQUIRED,
            "The payment was not completed in time",
        ),
        Reason::ReservationExpired => (
            StatusCode::CONFLICT,
            "The reservation expired; try again with a new Idempotency-Key",
        ),
        Reason::Cancelled => (StatusCode::CONFLICT, "The order was cancelled"),
        Reason::Abandoned => (
            StatusCode::CONFLICT,
            "The order could not be completed; try again with a new Idempotency-Key",
        ),
    }
}

/// The stored response as an HTTP response: byte for byte, but that a problem also names the request that gets it, by which its
/// log lines are found.
pub(super) fn respond(stored: Answer, replayed: bool) -> Response {
    let status = StatusCode::from_u16(stored.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let (kind, body) = if status.is_success() {
        ("application/json", stored.body)
    } else {
        let body = match chassis::trace::request_id() {
            Some(id) => with_request_id(stored.body, &id),
            None => stored.body,
        };
        ("application/problem+json", body)
    };
    let mut response = (status, [(CONTENT_TYPE, kind)], body).into_response();
    let headers = response.headers_mut();
    if let Some(Ok(location)) = stored.location.map(HeaderValue::try_from) {
        headers.insert(LOCATION, location);
    }
    if replayed {
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

/// The body of a problem with the id of the request as its last field.
fn with_request_id(mut body: Vec<u8>, request_id: &str) -> Vec<u8> {
    if body.pop_if(|last| *last == b'}').is_some() {
        let id = serde_json::Value::from(request_id);
        body.extend_from_slice(format!(r#","request_id":{id}}}"#).as_bytes());
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_names_the_request_that_gets_it() {
        let stored = refused(&Reason::OutOfStock.into()).unwrap();
        let body = with_request_id(stored.body, r#"odd"id"#);
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(problem["code"], "out_of_stock");
        assert_eq!(problem["request_id"], r#"odd"id"#);
    }
}
