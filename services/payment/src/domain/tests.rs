use chrono::{DateTime, Utc};
use proptest::prelude::*;
use uuid::Uuid;
use vocabulary::{Currency, Money, OrderId, PaymentId, UserId};

use super::ledger::Account;
use super::payment::{Change, Payment, Refusal, Stage, Terms};
use super::provider::Method;

fn terms(minor: i64, method: Method) -> Terms {
    Terms {
        order_id: OrderId::from_uuid(Uuid::from_u128(1)),
        user_id: UserId::from_uuid(Uuid::from_u128(2)),
        amount: Money::new(minor, Currency::new("EUR").unwrap()),
        method,
    }
}

fn authorised(minor: i64) -> Payment {
    let id = PaymentId::from_uuid(Uuid::from_u128(3));
    Payment::authorise(
        id,
        terms(minor, Method::Manual),
        DateTime::<Utc>::UNIX_EPOCH,
    )
    .0
}

fn moved(change: Result<Change, Refusal>) -> Payment {
    match change {
        Ok(Change::Moved(payment, movement)) => {
            assert_eq!(movement.entries.iter().map(|e| e.1).sum::<i64>(), 0);
            payment
        }
        other => panic!("expected a movement, got {other:?}"),
    }
}

#[test]
fn a_declined_promise_moves_no_money_and_cannot_be_captured() {
    let id = PaymentId::from_uuid(Uuid::from_u128(3));
    let (payment, movement) = Payment::authorise(
        id,
        terms(500, Method::ManualDecline),
        DateTime::<Utc>::UNIX_EPOCH,
    );
    assert_eq!((payment.stage, movement), (Stage::Declined, None));
    assert!(payment.clone().capture(None).is_err());
    assert!(matches!(payment.void(), Ok(Change::Already(_))));
}

#[test]
fn capturing_twice_is_done_once() {
    let captured = moved(authorised(500).capture(None));
    assert!(matches!(
        captured.clone().capture(None),
        Ok(Change::Already(_))
    ));
    assert!(captured.clone().capture(Some(499)).is_err());
    assert!(captured.void().is_err());
}

#[test]
fn a_partial_capture_hands_the_rest_back() {
    let Ok(Change::Moved(payment, movement)) = authorised(500).capture(Some(200)) else {
        panic!("captured");
    };
    assert_eq!(payment.stage.captured(), 200);
    assert!(movement.entries.contains(&(Account::Customer, 300)));
}

#[test]
fn nothing_more_than_promised_is_taken() {
    assert_eq!(
        authorised(500).capture(Some(501)),
        Err(Refusal::Amount { most: 500 })
    );
    assert!(authorised(500).capture(Some(0)).is_err());
    assert!(authorised(500).capture(Some(-1)).is_err());
}

#[test]
fn cancelling_undoes_whatever_there_is() {
    assert_eq!(moved(authorised(5).cancel()).stage, Stage::Voided);
    let captured = moved(authorised(5).capture(None));
    let refunded = moved(captured.cancel());
    assert_eq!(refunded.stage, Stage::Refunded { captured: 5 });
    assert!(matches!(refunded.cancel(), Ok(Change::Already(_))));
}

#[derive(Debug, Clone)]
enum Op {
    Capture(Option<i64>),
    Void,
    Refund(Option<i64>),
    Cancel,
}

fn op() -> impl Strategy<Value = Op> {
    let amount = prop::option::of(-5_i64..1_200);
    prop_oneof![
        amount.clone().prop_map(Op::Capture),
        Just(Op::Void),
        amount.prop_map(Op::Refund),
        Just(Op::Cancel),
    ]
}

proptest! {
    #[test]
    fn whatever_is_asked_the_books_balance(amount in 1_i64..1_000, ops in prop::collection::vec(op(), 0..20)) {
        let mut payment = authorised(amount);
        let mut captured = 0_i64;
        let mut authorised = amount;
        for op in ops {
            let change = match op {
                Op::Capture(minor) => payment.clone().capture(minor),
                Op::Void => payment.clone().void(),
                Op::Refund(minor) => payment.clone().refund(minor),
                Op::Cancel => payment.clone().cancel(),
            };
            if let Ok(Change::Moved(next, movement)) = change {
                prop_assert_eq!(movement.entries.iter().map(|e| e.1).sum::<i64>(), 0);
                prop_assert!(movement.minor > 0);
                for (account, minor) in movement.entries {
                    match account {
                        Account::Captured => captured += minor,
                        Account::Authorised => authorised += minor,
                        Account::Customer => {}
                    }
                }
                payment = next;
            }
            let stage = payment.stage;
            prop_assert_eq!(stage.captured() - stage.refunded(), captured);
            prop_assert_eq!(authorised, if stage == Stage::Authorised { amount } else { 0 });
            prop_assert!(stage.captured() <= amount);
            prop_assert!(stage.refunded() <= stage.captured());
        }
    }
}
