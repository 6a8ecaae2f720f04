//! The route table.

mod authorise_payment;
mod capture_payment;
mod get_payment;
mod refund_payment;
mod void_payment;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{post, put};
use chassis::{Problem, openapi_route};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use vocabulary::{Money, OrderId, PaymentId};

use crate::domain::payment::Payment;
use crate::operate::OperateError;
use crate::state::AppState;
use crate::store::StoreError;

#[derive(OpenApi)]
#[openapi(
    info(title = "payment", description = "The money: what was promised, taken and handed back."),
    modifiers(&Bearer)
)]
struct Document;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    }
}

fn public() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(Document::openapi()).routes(routes!(get_payment::handler))
}

/// The API. Internal routes are not in the document: the gateway never serves them.
pub fn router(app: AppState) -> Router {
    let (public, _) = public().split_for_parts();
    let payment = "/internal/v1/payments/{id}";
    public
        .route(payment, put(authorise_payment::handler))
        .route(
            &format!("{payment}/capture"),
            post(capture_payment::handler),
        )
        .route(&format!("{payment}/void"), post(void_payment::handler))
        .route(&format!("{payment}/refund"), post(refund_payment::handler))
        .merge(openapi_route("payment", openapi()))
        .with_state(app)
}

/// The OpenAPI document, as it is committed and served.
pub fn openapi() -> String {
    let mut json = public()
        .into_openapi()
        .to_pretty_json()
        .expect("the document is JSON");
    json.push('\n');
    json
}

/// One payment.
#[derive(Serialize, ToSchema)]
pub(crate) struct PaymentView {
    /// Its id.
    id: PaymentId,
    /// The order that it pays for.
    order_id: OrderId,
    /// authorised, captured, voided, refunded or declined.
    #[schema(example = "captured")]
    status: &'static str,
    /// What was promised.
    amount: Money,
    /// What was taken.
    captured: Money,
    /// What was handed back.
    refunded: Money,
    /// How.
    #[schema(example = "manual")]
    method: &'static str,
    /// When it was asked for.
    created_at: DateTime<Utc>,
}

impl From<Payment> for PaymentView {
    fn from(payment: Payment) -> Self {
        let currency = payment.terms.amount.currency();
        Self {
            id: payment.id,
            order_id: payment.terms.order_id,
            status: payment.stage.as_str(),
            amount: payment.terms.amount,
            captured: Money::new(payment.stage.captured(), currency),
            refunded: Money::new(payment.stage.refunded(), currency),
            method: payment.terms.method.as_str(),
            created_at: payment.created_at,
        }
    }
}

/// The body of capture, void and refund.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Operation {
    /// The same operation again changes nothing.
    operation_id: String,
    /// Minor units; all there is unless told.
    #[serde(default)]
    minor: Option<i64>,
}

impl Operation {
    fn check(&self) -> Result<(), Problem> {
        if (1..=128).contains(&self.operation_id.len()) && self.operation_id.is_ascii() {
            Ok(())
        } else {
            Err(Problem::invalid().field("operation_id", "1 to 128 ASCII characters"))
        }
    }
}

impl From<OperateError> for Problem {
    fn from(error: OperateError) -> Self {
        let refused = |code, title| Self::new(StatusCode::CONFLICT, code, title);
        match error {
            OperateError::Refused(refusal) => {
                refused("payment_refused", "The payment does not allow this")
                    .detail(refusal.to_string())
            }
            OperateError::Unknown => Self::not_found(),
            OperateError::Cancelled => refused(
                "payment_cancelled",
                "The payment was cancelled before it was authorised",
            ),
            OperateError::Mismatch => {
                refused("payment_mismatch", "This id was used for something else")
            }
            OperateError::Store(error) => error.into(),
            OperateError::Outbox(error) => Self::internal(&error),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::internal(&error)
    }
}

/// What a failed commit is to the client. It may have happened: the client asks again, and learns.
fn uncommitted(error: &sqlx::Error) -> Problem {
    Problem::internal(error)
}
