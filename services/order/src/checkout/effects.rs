//! Calls the services that a checkout needs, and turns their answers into the state machine's.

use contracts::payments::{Authorise, AuthoriseProblem, PaymentStatus};
use contracts::reservations::{Item, Reservation, Reserve, ReserveProblem};
use contracts::{FieldProblem, LookupProblem};
use tokio::try_join;

use crate::checkout::domain::{Answer, Checkout, Effect, ItemFault, Quote, Reason, Refusal, Undo};
use crate::clients::{Clients, Unavailable};
use crate::orders::domain::{Line, NextAction};

/// Stock is reserved for this long: far longer than a checkout retries, and the time that a customer has to pay.
const HOLD_TTL_SECS: u32 = 900;
/// Most items that a refusal names.
const MAX_FAULTS: usize = 100;

pub(super) async fn execute(
    clients: &Clients,
    checkout: &Checkout,
    effect: Effect,
) -> Result<Answer, Unavailable> {
    match effect {
        Effect::Reserve => reserve(clients, checkout).await,
        Effect::Authorise => authorise(clients, checkout).await,
        Effect::Claim => claim(clients, checkout).await,
        Effect::Undo(Undo::Void) => {
            clients.payment.void(checkout.payment_id).await?;
            Ok(Answer::Undone)
        }
        Effect::Undo(Undo::Release) => {
            clients.product.release(checkout.reservation_id).await?;
            Ok(Answer::Undone)
        }
    }
}

async fn reserve(clients: &Clients, checkout: &Checkout) -> Result<Answer, Unavailable> {
    let items = checkout.cart.items.iter().map(|item| Item {
        product_id: item.product_id,
        quantity: item.quantity,
    });
    let request = Reserve {
        items: items.collect(),
        currency: checkout.cart.currency,
        ttl_secs: HOLD_TTL_SECS,
    };
    let (user, reservation) = try_join!(
        clients.user.find(checkout.user_id),
        clients.product.reserve(checkout.reservation_id, &request),
    )?;
    Ok(match (user, reservation) {
        (Err(LookupProblem::NotFound), _) => Answer::Refused(Reason::CustomerUnknown.into()),
        (Ok(user), Ok(reservation)) => Answer::Reserved(quote(user.email, reservation)),
        (Ok(_), Err(problem)) => Answer::Refused(not_reserved(problem)),
    })
}

fn quote(email: String, reservation: Reservation) -> Quote {
    let lines = reservation.lines.into_iter().map(|line| Line {
        product_id: line.product_id,
        sku: line.sku,
        title: line.title,
        quantity: line.quantity,
        unit_price: line.unit_price,
    });
    Quote {
        email,
        lines: lines.collect(),
        total: reservation.total,
        number: None,
        hold_expires_at: reservation.expires_at,
    }
}

fn not_reserved(problem: ReserveProblem) -> Refusal {
    match problem {
        ReserveProblem::OutOfStock { errors } => {
            let items = errors.into_iter().map(|short| ItemFault {
                available: Some(short.available),
                ..ItemFault::new(short.field, short.message)
            });
            refusal(Reason::OutOfStock, items)
        }
        ReserveProblem::ItemRefused { errors } | ReserveProblem::Invalid { errors } => {
            let items = errors.into_iter();
            refusal(
                Reason::ItemRefused,
                items.map(|error| ItemFault::new(error.field, error.message)),
            )
        }
        ReserveProblem::ReservationExpired | ReserveProblem::ReservationMismatch => {
            Reason::ReservationExpired.into()
        }
    }
}

async fn authorise(clients: &Clients, checkout: &Checkout) -> Result<Answer, Unavailable> {
    // Only a row with a quote asks for its payment; without one there is nothing to pay.
    let Some(quote) = checkout.persisted.stage.quote() else {
        return Ok(Answer::Refused(Reason::Abandoned.into()));
    };
    let request = Authorise {
        order_id: checkout.id,
        user_id: checkout.user_id,
        amount: quote.total,
        method: checkout.cart.payment_method.clone(),
    };
    let payment = clients.payment.authorise(checkout.payment_id, &request);
    Ok(match payment.await? {
        Ok(payment) => match payment.status {
            PaymentStatus::Authorised | PaymentStatus::Captured => Answer::Authorised,
            PaymentStatus::Requested | PaymentStatus::Pending | PaymentStatus::RequiresAction => {
                Answer::PaymentOpen(payment.next_action.map(next_action))
            }
            PaymentStatus::Declined | PaymentStatus::Voided | PaymentStatus::Refunded => {
                Answer::Refused(Reason::PaymentDeclined.into())
            }
        },
        Err(problem) => Answer::Refused(not_authorised(problem)),
    })
}

fn next_action(action: contracts::payments::NextAction) -> NextAction {
    match action {
        contracts::payments::NextAction::Redirect { url } => NextAction::Redirect { url },
    }
}

fn not_authorised(problem: AuthoriseProblem) -> Refusal {
    match problem {
        AuthoriseProblem::Invalid { errors } if names(&errors, "method") => {
            Reason::PaymentMethodUnknown.into()
        }
        // The sum is not an amount that can be paid, such as zero.
        AuthoriseProblem::Invalid { .. } => {
            let fault = ItemFault::new("items", "the sum cannot be paid");
            refusal(Reason::ItemRefused, std::iter::once(fault))
        }
        AuthoriseProblem::PaymentCancelled | AuthoriseProblem::PaymentMismatch => {
            Reason::PaymentDeclined.into()
        }
    }
}

fn names(errors: &[FieldProblem], field: &str) -> bool {
    errors.iter().any(|error| error.field == field)
}

async fn claim(clients: &Clients, checkout: &Checkout) -> Result<Answer, Unavailable> {
    let claimed = clients.product.claim(checkout.reservation_id, checkout.id);
    Ok(match claimed.await? {
        Ok(()) => Answer::Claimed,
        Err(_) => Answer::Refused(Reason::ReservationExpired.into()),
    })
}

fn refusal(reason: Reason, items: impl Iterator<Item = ItemFault>) -> Refusal {
    Refusal {
        reason,
        items: items.take(MAX_FAULTS).collect(),
    }
}
