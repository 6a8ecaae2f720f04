//! A payment as clients and other services see it.

use chrono::{DateTime, Utc};
use contracts::payments::{self as contract, PaymentStatus};
use serde::Serialize;
use utoipa::ToSchema;
use vocabulary::{Money, OrderId, PaymentId};

use crate::attempts::domain::attempt::{Attempt, Stage};

/// One payment.
#[derive(Serialize, ToSchema)]
pub(crate) struct PaymentView {
    id: PaymentId,
    /// The order that it pays for.
    order_id: OrderId,
    /// requested, pending, requires_action, authorised, captured, voided, refunded or declined.
    #[schema(example = "captured")]
    status: &'static str,
    /// What the payer has to do; with status requires_action only.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_action: Option<NextAction>,
    /// What is held, or was.
    amount: Money,
    /// What was taken.
    captured: Money,
    /// What was returned.
    refunded: Money,
    #[schema(example = "manual")]
    method: String,
    /// When it was requested.
    created_at: DateTime<Utc>,
}

/// What the payer has to do.
#[derive(Serialize, ToSchema)]
pub(crate) struct NextAction {
    /// redirect: open the URL in the payer's browser.
    #[serde(rename = "type")]
    #[schema(example = "redirect")]
    kind: &'static str,
    url: String,
}

/// The status, and where to send the payer.
fn status(stage: &Stage) -> (PaymentStatus, Option<&str>) {
    let status = match stage {
        Stage::Requested => PaymentStatus::Requested,
        Stage::Pending => PaymentStatus::Pending,
        Stage::RequiresAction { url } => return (PaymentStatus::RequiresAction, Some(url)),
        Stage::Authorised => PaymentStatus::Authorised,
        Stage::Declined { .. } => PaymentStatus::Declined,
        Stage::Voided => PaymentStatus::Voided,
        Stage::Captured { .. } => PaymentStatus::Captured,
        Stage::Refunded { .. } => PaymentStatus::Refunded,
    };
    (status, None)
}

impl From<Attempt> for PaymentView {
    fn from(attempt: Attempt) -> Self {
        let (status, url) = status(&attempt.stage);
        let next_action = url.map(|url| NextAction {
            kind: "redirect",
            url: url.to_owned(),
        });
        Self {
            id: attempt.id,
            order_id: attempt.terms.order_id,
            status: status.as_str(),
            next_action,
            amount: attempt.terms.amount,
            captured: attempt.money(attempt.stage.captured()),
            refunded: attempt.money(attempt.stage.refunded()),
            method: attempt.terms.method.as_str().to_owned(),
            created_at: attempt.created_at,
        }
    }
}

/// A payment as the contract with our services has it.
pub(super) fn payment(attempt: &Attempt) -> contract::Payment {
    let (status, url) = status(&attempt.stage);
    let redirect = |url: &str| contract::NextAction::Redirect {
        url: url.to_owned(),
    };
    contract::Payment {
        payment_id: attempt.id,
        status,
        next_action: url.map(redirect),
    }
}
