//! Payments, provided by payment.
//!
//! Authorise and void are idempotent by the payment's id, which the consumer creates; capture and refund by the operation's id. A
//! void that arrives before its authorisation is remembered: that payment can never be authorised.

use serde::{Deserialize, Serialize};
use vocabulary::{Money, OrderId, PaymentId, UserId};

use crate::{FieldProblem, Problem};

/// Route of `PUT`: authorise.
pub const PAYMENT: &str = "/internal/v1/payments/{id}";
/// Route of `POST`: capture.
pub const CAPTURE: &str = "/internal/v1/payments/{id}/capture";
/// Route of `POST`, answered with 204: void.
pub const VOID: &str = "/internal/v1/payments/{id}/void";
/// Route of `POST`: refund.
pub const REFUND: &str = "/internal/v1/payments/{id}/refund";

/// Path of `PUT`: authorise.
pub fn payment_path(id: PaymentId) -> String {
    crate::path(PAYMENT, id.as_uuid())
}

/// Path of `POST`: capture.
pub fn capture_path(id: PaymentId) -> String {
    crate::path(CAPTURE, id.as_uuid())
}

/// Path of `POST`: void.
pub fn void_path(id: PaymentId) -> String {
    crate::path(VOID, id.as_uuid())
}

/// Path of `POST`: refund.
pub fn refund_path(id: PaymentId) -> String {
    crate::path(REFUND, id.as_uuid())
}

/// Body of authorise: the provider of the method is asked for the amount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authorise {
    /// The order that is paid.
    pub order_id: OrderId,
    /// Who pays.
    pub user_id: UserId,
    /// How much.
    pub amount: Money,
    /// Name of the payment method.
    pub method: String,
}

/// Where a payment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentStatus {
    /// The intent is stored; the provider has not answered yet.
    Requested,
    /// The provider decides later.
    Pending,
    /// The customer has to act, see [`NextAction`].
    RequiresAction,
    /// The amount is authorised.
    Authorised,
    /// The amount, or a part of it, is captured.
    Captured,
    /// The provider declined.
    Declined,
    /// The authorisation was given up.
    Voided,
    /// All that was captured is refunded.
    Refunded,
}

impl PaymentStatus {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Pending => "pending",
            Self::RequiresAction => "requires_action",
            Self::Authorised => "authorised",
            Self::Captured => "captured",
            Self::Declined => "declined",
            Self::Voided => "voided",
            Self::Refunded => "refunded",
        }
    }

    /// True while the payment may still become authorised: `payment.authorised.v1` or `payment.failed.v1` follows.
    pub const fn is_open(self) -> bool {
        match self {
            Self::Requested | Self::Pending | Self::RequiresAction => true,
            Self::Authorised | Self::Captured | Self::Declined | Self::Voided | Self::Refunded => {
                false
            }
        }
    }
}

/// What the customer has to do before the provider decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum NextAction {
    /// Visit a page of the provider.
    Redirect {
        /// Address of the page.
        url: String,
    },
}

/// Answer of authorise, capture and refund: status 200, or 202 while the provider has not decided a capture or a refund.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// Its id; `id` in the answers of the release before this contract.
    #[serde(alias = "id")]
    pub payment_id: PaymentId,
    /// Where it stands.
    pub status: PaymentStatus,
    /// Present while the customer has to act.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_action: Option<NextAction>,
}

/// Why a payment was not authorised. Nothing is charged then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum AuthoriseProblem {
    /// Field `method` is no method of this shop, or field `amount.minor` is not above zero.
    Invalid {
        /// The fields.
        errors: Vec<FieldProblem>,
    },
    /// It was voided before it was authorised.
    PaymentCancelled,
    /// The id was used for other terms.
    PaymentMismatch,
}

impl Problem for AuthoriseProblem {
    fn status(&self) -> u16 {
        match self {
            Self::Invalid { .. } => 422,
            Self::PaymentCancelled | Self::PaymentMismatch => 409,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "invalid",
            Self::PaymentCancelled => "payment_cancelled",
            Self::PaymentMismatch => "payment_mismatch",
        }
    }
}

/// Body of capture, void and refund.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operation {
    /// Id of the operation: 1 to 128 printable ASCII characters without `/`. A repeated operation changes nothing.
    pub operation_id: String,
    /// Minor units; everything that is left if absent. A void is always whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minor: Option<i64>,
}

/// Why an operation was refused. Nothing is moved then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum OperationProblem {
    /// The request is not valid.
    Invalid {
        /// The fields.
        errors: Vec<FieldProblem>,
    },
    /// The payment's status does not allow it, or there is not so much left.
    PaymentRefused,
    /// It was voided before it was authorised.
    PaymentCancelled,
    /// The operation's id was used for something else.
    PaymentMismatch,
    /// No such payment.
    NotFound,
}

impl Problem for OperationProblem {
    fn status(&self) -> u16 {
        match self {
            Self::Invalid { .. } => 422,
            Self::PaymentRefused | Self::PaymentCancelled | Self::PaymentMismatch => 409,
            Self::NotFound => 404,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "invalid",
            Self::PaymentRefused => "payment_refused",
            Self::PaymentCancelled => "payment_cancelled",
            Self::PaymentMismatch => "payment_mismatch",
            Self::NotFound => "not_found",
        }
    }
}
