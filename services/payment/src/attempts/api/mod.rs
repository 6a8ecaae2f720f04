//! The endpoints of payments.

pub(crate) mod authorise_payment;
pub(crate) mod capture_payment;
pub(crate) mod get_payment;
mod operation;
pub(crate) mod refund_payment;
mod view;
pub(crate) mod void_payment;

use axum::http::StatusCode;
use chassis::Problem;
use service::StoreError;

use super::execute::OperateError;

impl From<OperateError> for Problem {
    fn from(error: OperateError) -> Self {
        let refused = |code, title| Self::new(StatusCode::CONFLICT, code, title);
        match error {
            OperateError::Refused(refusal) => {
                refused("payment_refused", "The payment does not allow this")
                    .detail(refusal.to_string())
            }
            declined @ OperateError::Declined { .. } => {
                refused("payment_refused", "The provider refused this").detail(declined.to_string())
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
            OperateError::Outbox(error) => StoreError::from(error).into(),
        }
    }
}
