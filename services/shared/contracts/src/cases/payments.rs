//! What order relies on in payment.

use std::future::Future;

use vocabulary::{Currency, Money, PaymentId};

use super::{Answer, Request, id};
use crate::payments::{
    Authorise, AuthoriseProblem, Operation, Payment, PaymentStatus, payment_path, void_path,
};

/// The provider under test, with the method `manual`.
pub trait Payments {
    /// Sends a request.
    fn call(&self, request: Request) -> impl Future<Output = Answer>;
}

/// Runs every case.
pub async fn run(payments: &impl Payments) {
    an_authorisation_is_idempotent_and_keeps_its_terms(payments).await;
    a_refused_field_is_named(payments).await;
    a_void_before_its_authorisation_is_remembered(payments).await;
    a_void_is_idempotent_and_final(payments).await;
}

async fn an_authorisation_is_idempotent_and_keeps_its_terms(payments: &impl Payments) {
    for _ in 0..2 {
        let payment: Payment = authorise(payments, id(0x100), 500, "manual")
            .await
            .read(200);
        assert_eq!(payment.payment_id, id(0x100));
        assert_eq!(payment.status, PaymentStatus::Authorised);
        assert_eq!(payment.next_action, None);
    }
    assert_eq!(
        authorise(payments, id(0x100), 501, "manual")
            .await
            .problem::<AuthoriseProblem>(),
        AuthoriseProblem::PaymentMismatch
    );
}

async fn a_refused_field_is_named(payments: &impl Payments) {
    let gold = authorise(payments, id(0x200), 500, "gold").await;
    assert_eq!(refused_field(&gold), "method");
    let nothing = authorise(payments, id(0x201), 0, "manual").await;
    assert_eq!(refused_field(&nothing), "amount.minor");
}

async fn a_void_before_its_authorisation_is_remembered(payments: &impl Payments) {
    for _ in 0..2 {
        void(payments, id(0x300)).await.expect(204);
    }
    assert_eq!(
        authorise(payments, id(0x300), 500, "manual")
            .await
            .problem::<AuthoriseProblem>(),
        AuthoriseProblem::PaymentCancelled
    );
}

async fn a_void_is_idempotent_and_final(payments: &impl Payments) {
    authorise(payments, id(0x400), 500, "manual")
        .await
        .expect(200);
    for _ in 0..2 {
        void(payments, id(0x400)).await.expect(204);
    }
    let payment: Payment = authorise(payments, id(0x400), 500, "manual")
        .await
        .read(200);
    assert_eq!(payment.status, PaymentStatus::Voided);
}

fn refused_field(answer: &Answer) -> String {
    match answer.problem() {
        AuthoriseProblem::Invalid { mut errors } => errors.remove(0).field,
        other => panic!("a field is refused, not {other:?}"),
    }
}

async fn authorise(payments: &impl Payments, id: PaymentId, minor: i64, method: &str) -> Answer {
    let body = Authorise {
        order_id: super::id(0xa1),
        user_id: super::id(0xa2),
        amount: Money::new(minor, Currency::new("EUR").expect("a currency")),
        method: method.to_owned(),
    };
    let request = Request::new("PUT", payment_path(id)).json(&body);
    payments.call(request).await
}

async fn void(payments: &impl Payments, id: PaymentId) -> Answer {
    let body = Operation {
        operation_id: "checkout".to_owned(),
        minor: None,
    };
    let request = Request::new("POST", void_path(id)).json(&body);
    payments.call(request).await
}
