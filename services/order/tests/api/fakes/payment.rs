use std::collections::BTreeMap;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::{post, put};
use axum::{Json, Router};
use contracts::FieldProblem;
use contracts::payments::{
    Authorise, AuthoriseProblem, NextAction, Operation, PAYMENT, Payment, PaymentStatus, VOID,
};
use vocabulary::PaymentId;

use super::{Answer, Fakes};

/// Payments; the method decides how the provider answers:
/// `manual` authorises, `bad-card` declines, `card` needs the customer, `slow-bank` is asked later.
#[derive(Debug, Default)]
pub struct Payments {
    /// None: voided before it was authorised.
    pub all: BTreeMap<PaymentId, Option<Attempt>>,
}

#[derive(Debug, Clone)]
pub struct Attempt {
    pub request: Authorise,
    pub status: PaymentStatus,
}

impl Payments {
    /// The provider decides every payment that is open.
    pub fn decide(&mut self, status: PaymentStatus) {
        for attempt in self.all.values_mut().flatten() {
            if attempt.status.is_open() {
                attempt.status = status;
            }
        }
    }

    fn authorise(
        &mut self,
        id: PaymentId,
        request: &Authorise,
    ) -> Result<Payment, AuthoriseProblem> {
        let status = match request.method.as_str() {
            "manual" => PaymentStatus::Authorised,
            "bad-card" => PaymentStatus::Declined,
            "card" => PaymentStatus::RequiresAction,
            "slow-bank" => PaymentStatus::Requested,
            _ => return Err(invalid("method")),
        };
        if !request.amount.is_positive() {
            return Err(invalid("amount.minor"));
        }
        let attempt = Attempt {
            status,
            request: request.clone(),
        };
        let known = self.all.entry(id).or_insert(Some(attempt));
        let known = known.as_ref().ok_or(AuthoriseProblem::PaymentCancelled)?;
        if known.request != *request {
            return Err(AuthoriseProblem::PaymentMismatch);
        }
        let redirect = || NextAction::Redirect {
            url: format!("https://pay.test/{}", id.as_uuid()),
        };
        Ok(Payment {
            payment_id: id,
            status: known.status,
            next_action: (known.status == PaymentStatus::RequiresAction).then(redirect),
        })
    }

    fn void(&mut self, id: PaymentId) {
        if let Some(attempt) = self.all.entry(id).or_default()
            && (attempt.status.is_open() || attempt.status == PaymentStatus::Authorised)
        {
            attempt.status = PaymentStatus::Voided;
        }
    }
}

fn invalid(field: &str) -> AuthoriseProblem {
    let error = FieldProblem {
        field: field.into(),
        message: "invalid".into(),
    };
    AuthoriseProblem::Invalid {
        errors: vec![error],
    }
}

pub(super) fn routes() -> Router<Fakes> {
    Router::new()
        .route(PAYMENT, put(authorise))
        .route(VOID, post(void))
}

async fn authorise(
    State(fakes): State<Fakes>,
    Path(id): Path<PaymentId>,
    headers: HeaderMap,
    Json(body): Json<Authorise>,
) -> Response {
    let work = |world: &mut super::World| match world.payment.authorise(id, &body) {
        Ok(payment) => Answer::ok(&payment),
        Err(problem) => Answer::problem(&problem),
    };
    fakes.serve("authorise", &headers, work).await
}

async fn void(
    State(fakes): State<Fakes>,
    Path(id): Path<PaymentId>,
    headers: HeaderMap,
    Json(_): Json<Operation>,
) -> Response {
    let work = |world: &mut super::World| {
        world.payment.void(id);
        Answer::empty(StatusCode::NO_CONTENT)
    };
    fakes.serve("void", &headers, work).await
}
