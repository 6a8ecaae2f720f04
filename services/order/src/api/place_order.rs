//! `POST /v1/orders`: a shopper commits. Once per `Idempotency-Key`, whatever is killed in between.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use chassis::{Caller, Json, Problem};
use serde::Deserialize;
use utoipa::ToSchema;
use vocabulary::{Currency, UserId};

use super::OrderView;
use crate::answer;
use crate::domain::cart::{Address, Cart, Item};
use crate::domain::checkout::Checkout;
use crate::drive::{self, Begun, DriveError, Driven};
use crate::state::AppState;
use crate::store::StoreError;

/// What to order.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PlaceOrder {
    /// What is wanted.
    #[schema(min_items = 1, max_items = 100)]
    items: Vec<Item>,
    /// What to pay in; the shop's first currency unless told.
    #[serde(default)]
    currency: Option<Currency>,
    /// Where it goes.
    address: Address,
    /// How it is paid.
    #[schema(example = "manual")]
    payment_method: String,
}

#[utoipa::path(
    post,
    path = "/v1/orders",
    tag = "orders",
    operation_id = "place_order",
    params(("Idempotency-Key" = String, Header, description = "1 to 255 visible ASCII characters; the same key gets the same answer")),
    request_body = PlaceOrder,
    security(("bearer" = [])),
    responses(
        (status = 201, description = "The order", body = OrderView,
            headers(("Location" = String, description = "Where it is"))),
        (status = 400, description = "The key is missing, or the body is not JSON", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No valid token", body = Problem, content_type = "application/problem+json"),
        (status = 402, description = "The payment was declined", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Out of stock (the items are named), or still at it", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Fields are not valid, or the key was used for something else", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "A part of the shop is away; the same key goes on where this stopped", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn handler(
    State(app): State<AppState>,
    caller: Caller,
    headers: HeaderMap,
    Json(body): Json<PlaceOrder>,
) -> Result<Response, Problem> {
    let user = UserId::from_uuid(caller.id());
    let key = key_of(&headers)?;
    let cart = cart_of(&app, body)?;
    let checkout = Checkout::start(user, key, cart, app.clock.now(), &*app.entropy);
    match drive::begin(&app, checkout).await? {
        Begun::Ours(checkout) => run(app, *checkout).await,
        Begun::Answered(answer) => Ok(answer::respond(answer, true)),
        Begun::InFlight => Err(in_flight()),
        Begun::Mismatch => Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "idempotency_key_reused",
            "This Idempotency-Key was used for another order",
        )),
    }
}

fn key_of(headers: &HeaderMap) -> Result<String, Problem> {
    let key = headers
        .get("idempotency-key")
        .and_then(|key| key.to_str().ok());
    let legal =
        |key: &&str| (1..=255).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic());
    key.filter(legal).map(str::to_owned).ok_or_else(|| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "idempotency_key_required",
            "An Idempotency-Key of 1 to 255 visible ASCII characters is needed",
        )
    })
}

fn cart_of(app: &AppState, body: PlaceOrder) -> Result<Cart, Problem> {
    let currency = body.currency.or_else(|| app.currencies.first().copied());
    let missing = || Problem::invalid().field("currency", "a currency of this shop");
    let cart = Cart {
        items: body.items,
        currency: currency.ok_or_else(missing)?,
        address: body.address,
        payment_method: body.payment_method,
    };
    cart.check(&app.currencies).map_err(|faults| {
        faults
            .into_iter()
            .fold(Problem::invalid(), |problem, fault| {
                problem.field(fault.field, fault.message)
            })
    })?;
    Ok(cart)
}

/// Drives the checkout on a task of its own: a client that leaves does not stop it half way.
async fn run(app: AppState, checkout: Checkout) -> Result<Response, Problem> {
    let trace = chassis::trace::current();
    let tasks = app.tasks.clone();
    let driving = async move {
        let drive = drive::drive(&app, checkout);
        chassis::trace::continued("checkout", trace.as_deref(), drive).await
    };
    let driven = tasks.spawn("checkout", driving).await;
    match driven.map_err(|error| Problem::internal(&error))?? {
        Driven::Answered(answer) => Ok(answer::respond(answer, false)),
        Driven::Waiting(secs) => Ok(Problem::unavailable(secs).into_response()),
        Driven::Ended => Err(in_flight()),
    }
}

impl From<DriveError> for Problem {
    fn from(error: DriveError) -> Self {
        match error {
            // Another request with this key, or the sweeper, has taken over.
            DriveError::Store(StoreError::Stale(_)) => in_flight(),
            DriveError::Store(StoreError::Query {
                source: sqlx::Error::PoolTimedOut | sqlx::Error::Io(_),
                ..
            }) => Self::unavailable(1),
            error => Self::internal(&error),
        }
    }
}

fn in_flight() -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        "idempotency_in_flight",
        "The first request with this Idempotency-Key is still at it",
    )
    .retry_after(1)
}
