//! What a client is told about its checkout, now and whenever it asks again with the same key.

use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use outbox::idempotency::Answer;
use serde::Serialize;

use crate::api::OrderView;
use crate::domain::checkout::{ItemFault, Reason, Refusal};
use crate::domain::order::Order;

/// Says that this answer was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

#[derive(Serialize)]
struct ProblemBody<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    code: &'static str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [ItemFault],
}

/// 201 with the order.
pub(crate) fn placed(order: &Order) -> Result<Answer, serde_json::Error> {
    Ok(Answer {
        status: StatusCode::CREATED.as_u16(),
        location: Some(format!("/v1/orders/{}", order.id.as_uuid())),
        body: serde_json::to_vec(&OrderView::from(order))?,
    })
}

/// Why there is no order. Nothing is held, nothing will be charged.
pub(crate) fn refused(refusal: &Refusal) -> Result<Answer, serde_json::Error> {
    let (status, title) = match refusal.reason {
        Reason::OutOfStock => (StatusCode::CONFLICT, "There is not enough in stock"),
        Reason::ItemRefused => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "Some items are not for sale",
        ),
        Reason::CustomerUnknown => (StatusCode::CONFLICT, "The account is gone"),
        Reason::PaymentMethodUnknown => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "The payment method is unknown",
        ),
        Reason::PaymentDeclined => (StatusCode::PAYMENT_REQUIRED, "The payment was declined"),
        Reason::ReservationExpired => (
            StatusCode::CONFLICT,
            "It took too long; try again with a new Idempotency-Key",
        ),
        Reason::Abandoned => (
            StatusCode::CONFLICT,
            "It could not be finished; try again with a new Idempotency-Key",
        ),
    };
    let code = refusal.reason.as_str();
    let body = ProblemBody {
        kind: format!("https://storefront.dev/problems/{code}"),
        title,
        status: status.as_u16(),
        code,
        errors: &refusal.items,
    };
    Ok(Answer {
        status: status.as_u16(),
        location: None,
        body: serde_json::to_vec(&body)?,
    })
}

/// The answer as a response: byte for byte, but that a refusal also names the request that gets it, by
/// which its lines are found in the logs.
pub(crate) fn respond(answer: Answer, replayed: bool) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let (kind, body) = if status.is_success() {
        ("application/json", answer.body)
    } else {
        let id = chassis::trace::request_id();
        let body = match id {
            Some(id) => named(answer.body, &id),
            None => answer.body,
        };
        ("application/problem+json", body)
    };
    let mut response = (status, [(CONTENT_TYPE, kind)], body).into_response();
    let headers = response.headers_mut();
    if let Some(Ok(location)) = answer.location.map(HeaderValue::try_from) {
        headers.insert(LOCATION, location);
    }
    if replayed {
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

/// The body of a refusal with the id of a request as its last field.
fn named(mut body: Vec<u8>, request_id: &str) -> Vec<u8> {
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
    fn a_refusal_names_the_request_that_gets_it() {
        let refusal = Refusal {
            reason: Reason::OutOfStock,
            items: Vec::new(),
        };
        let answer = refused(&refusal).unwrap();
        let told: serde_json::Value =
            serde_json::from_slice(&named(answer.body, r#"odd"id"#)).unwrap();
        assert_eq!(told["code"], "out_of_stock");
        assert_eq!(told["request_id"], r#"odd"id"#);
    }
}
