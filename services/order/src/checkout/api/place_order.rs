//! `POST /v1/orders`: a customer places an order. Once per `Idempotency-Key`, whichever process crashes in between.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use chassis::{Json, Problem};
use serde::Deserialize;
use service::{Caller, StoreError, invalid};
use utoipa::ToSchema;
use vocabulary::{Currency, FieldError};

use super::response::{CheckoutProblem, respond};
use crate::cart::api::{AddressBody, ItemBody};
use crate::cart::domain::Cart;
use crate::checkout::commit::DriveError;
use crate::checkout::domain::Checkout;
use crate::checkout::drive::{self, Driven, Started};
use crate::orders::api::view::OrderView;
use crate::state::AppState;

/// What to order.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlaceOrder {
    /// What is wanted.
    #[schema(min_items = 1, max_items = 100)]
    items: Vec<ItemBody>,
    /// What to pay in; the shop's first currency by default.
    #[serde(default)]
    currency: Option<Currency>,
    /// Where it goes.
    address: AddressBody,
    /// How it is paid.
    #[schema(example = "manual")]
    payment_method: String,
}

#[utoipa::path(
    post,
    path = "/v1/orders",
    tag = "orders",
    operation_id = "place_order",
    params(("Idempotency-Key" = String, Header, description = "1 to 255 visible ASCII characters; the same key gets the same response")),
    request_body = PlaceOrder,
    security(("bearer" = [])),
    responses(
        (status = 201, description = "The order: placed, or awaiting its payment", body = OrderView,
            headers(("Location" = String, description = "Path of the order"))),
        (status = 400, description = "The key is missing, or the body is not JSON", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No valid token", body = Problem, content_type = "application/problem+json"),
        (status = 402, description = "The payment was declined", body = CheckoutProblem, content_type = "application/problem+json"),
        (status = 409, description = "Out of stock (the items are named), or the first request with this key is still being processed", body = CheckoutProblem, content_type = "application/problem+json"),
        (status = 422, description = "Fields are not valid, or the key was used for another request", body = CheckoutProblem, content_type = "application/problem+json"),
        (status = 503, description = "A service is unavailable; a request with the same key goes on where this one stopped", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn handler(
    State(app): State<AppState>,
    caller: Caller,
    headers: HeaderMap,
    Json(body): Json<PlaceOrder>,
) -> Result<Response, Problem> {
    let key = idempotency_key(&headers)?;
    let cart = cart(&app, body)?;
    let checkout = Checkout::start(caller.id(), key, cart, app.core.now(), &*app.core.entropy);
    match drive::start(&app, checkout).await? {
        Started::Ours(checkout) => run(app, *checkout).await,
        Started::Responded(response) => Ok(respond(response, true)),
        Started::InFlight => Err(in_flight()),
        Started::Mismatch => Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "idempotency_key_reused",
            "This Idempotency-Key was used for another order",
        )),
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<String, Problem> {
    let key = headers
        .get("idempotency-key")
        .and_then(|key| key.to_str().ok());
    let valid =
        |key: &&str| (1..=255).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic());
    key.filter(valid).map(str::to_owned).ok_or_else(|| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "idempotency_key_required",
            "The header Idempotency-Key needs 1 to 255 visible ASCII characters",
        )
    })
}

fn cart(app: &AppState, body: PlaceOrder) -> Result<Cart, Problem> {
    let currency = body.currency.or_else(|| app.currencies.first().copied());
    let missing = || invalid([FieldError::new("currency", "a currency of this shop")]);
    let cart = Cart {
        items: body.items.into_iter().map(Into::into).collect(),
        currency: currency.ok_or_else(missing)?,
        address: body.address.into(),
        payment_method: body.payment_method,
    };
    cart.check(&app.currencies).map_err(invalid)?;
    Ok(cart)
}

/// Drives the checkout on a task of its own: a client that disconnects does not interrupt it.
async fn run(app: AppState, checkout: Checkout) -> Result<Response, Problem> {
    let trace = chassis::trace::current();
    let tasks = app.tasks.clone();
    let driving = async move {
        let drive = drive::drive(&app, checkout);
        chassis::trace::continued("checkout", trace.as_deref(), drive).await
    };
    let driven = tasks.spawn("checkout", driving).await;
    match driven.map_err(|error| Problem::internal(&error))?? {
        Driven::Responded(response) => Ok(respond(response, false)),
        Driven::Waiting(secs) => Ok(Problem::unavailable(secs).into_response()),
        Driven::Ended => Err(in_flight()),
    }
}

impl From<DriveError> for Problem {
    fn from(error: DriveError) -> Self {
        match error {
            // Another request with this key, or the periodic job, has taken over.
            DriveError::Store(StoreError::Stale(_)) => in_flight(),
            DriveError::Store(error) => error.into(),
            DriveError::Outbox(error) => StoreError::from(error).into(),
            error => Self::internal(&error),
        }
    }
}

fn in_flight() -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        "idempotency_in_flight",
        "The first request with this Idempotency-Key is still being processed",
    )
    .retry_after(1)
}
