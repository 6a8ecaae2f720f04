//! The JSON that both sides agree on; a change here is a change of a contract.

use contracts::payments::{
    AuthoriseProblem, NextAction, OperationProblem, Payment, PaymentStatus, payment_path,
};
use contracts::reservations::{ClaimProblem, ReserveProblem, Shortage, claim_path};
use contracts::{LookupProblem, Problem};
use serde_json::{Value, from_value, json, to_value};

const ID: &str = "00000000-0000-0000-0000-000000000001";

#[test]
fn a_path_is_its_route_with_the_bare_id() {
    assert_eq!(
        claim_path(ID.parse().unwrap()),
        format!("/internal/v1/reservations/{ID}/claim")
    );
    assert_eq!(
        payment_path(ID.parse().unwrap()),
        format!("/internal/v1/payments/{ID}")
    );
}

#[test]
fn a_shortage_carries_what_is_available_as_a_number() {
    let body = json!({
        "type": "https://storefront.dev/problems/out_of_stock", "title": "Not enough in stock",
        "status": 409, "code": "out_of_stock", "request_id": "r1",
        "errors": [{"field": "items[0]", "message": "only 3 available", "available": 3}],
    });
    let errors = vec![Shortage {
        field: "items[0]".into(),
        message: "only 3 available".into(),
        available: 3,
    }];
    let problem: ReserveProblem = from_value(body).unwrap();
    assert_eq!(problem, ReserveProblem::OutOfStock { errors });
}

#[test]
fn a_problem_of_somebody_else_decides_nothing() {
    for body in [
        json!({}),
        json!({"status": 404, "title": "Not Found"}),
        json!({"code": "no_such_code", "status": 409}),
        Value::Null,
    ] {
        assert!(from_value::<ClaimProblem>(body.clone()).is_err(), "{body}");
        assert!(
            from_value::<ReserveProblem>(body.clone()).is_err(),
            "{body}"
        );
    }
}

#[test]
fn the_code_of_every_problem_is_the_one_in_its_body() {
    fn check(problem: &impl Problem) {
        assert_eq!(to_value(problem).unwrap()["code"], problem.code());
        assert!((400..500).contains(&problem.status()));
    }
    let none = Vec::new;
    check(&LookupProblem::NotFound);
    check(&ReserveProblem::OutOfStock { errors: vec![] });
    check(&ReserveProblem::ItemRefused { errors: none() });
    check(&ReserveProblem::Invalid { errors: none() });
    check(&ReserveProblem::ReservationExpired);
    check(&ReserveProblem::ReservationMismatch);
    check(&ClaimProblem::ReservationExpired);
    check(&ClaimProblem::ReservationMismatch);
    check(&ClaimProblem::NotFound);
    check(&AuthoriseProblem::Invalid { errors: none() });
    check(&AuthoriseProblem::PaymentCancelled);
    check(&AuthoriseProblem::PaymentMismatch);
    check(&OperationProblem::Invalid { errors: none() });
    check(&OperationProblem::PaymentRefused);
    check(&OperationProblem::PaymentCancelled);
    check(&OperationProblem::PaymentMismatch);
    check(&OperationProblem::NotFound);
}

#[test]
fn a_payment_that_needs_the_customer_says_where_to_go() {
    let body = json!({
        "payment_id": ID, "status": "requires_action",
        "next_action": {"type": "redirect", "url": "https://pay.test/3ds"},
    });
    let payment = Payment {
        payment_id: ID.parse().unwrap(),
        status: PaymentStatus::RequiresAction,
        next_action: Some(NextAction::Redirect {
            url: "https://pay.test/3ds".into(),
        }),
    };
    assert_eq!(to_value(&payment).unwrap(), body);
    assert_eq!(from_value::<Payment>(body).unwrap(), payment);
    assert!(payment.status.is_open() && !PaymentStatus::Declined.is_open());
}

#[test]
fn the_name_of_a_status_is_its_wire_form() {
    use PaymentStatus::{
        Authorised, Captured, Declined, Pending, Refunded, Requested, RequiresAction, Voided,
    };
    for status in [
        Requested,
        Pending,
        RequiresAction,
        Authorised,
        Captured,
        Declined,
        Voided,
        Refunded,
    ] {
        assert_eq!(to_value(status).unwrap(), status.as_str());
    }
}
