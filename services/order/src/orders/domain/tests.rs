use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;
use vocabulary::{Currency, Money, OrderId, PaymentId, ProductId, ReservationId, UserId};

use super::{Change, Line, NextAction, Order, Stage};
use crate::cart::domain::Address;

const NOW: DateTime<Utc> = DateTime::<Utc>::UNIX_EPOCH;

fn order(stage: Stage) -> Order {
    let id = Uuid::from_u128(1);
    let eur = |minor| Money::new(minor, Currency::new("EUR").unwrap());
    Order {
        id: OrderId::from_uuid(id),
        number: "SF-100001".into(),
        user_id: UserId::from_uuid(id),
        email: "ann@example.com".into(),
        lines: vec![Line {
            product_id: ProductId::from_uuid(id),
            sku: "MUG".into(),
            title: "Mug".into(),
            quantity: 2,
            unit_price: eur(250),
        }],
        total: eur(500),
        address: Address {
            name: "Ann Lee".into(),
            line1: "Hauptstraße 1".into(),
            line2: None,
            postal_code: "10115".into(),
            city: "Berlin".into(),
            country: "DE".into(),
        },
        payment_id: PaymentId::from_uuid(id),
        reservation_id: ReservationId::from_uuid(id),
        placed_at: NOW,
        stage,
        version: 1,
    }
}

fn awaiting() -> Stage {
    let url = "https://pay.test/1".into();
    Stage::AwaitingPayment {
        next_action: Some(NextAction::Redirect { url }),
    }
}

#[test]
fn a_placed_order_is_paid_once() {
    let Ok(Change::Moved(paid, event)) = order(Stage::Placed).pay(NOW) else {
        panic!("paid")
    };
    assert_eq!(event.total.minor(), 500);
    assert_eq!(paid.stage, Stage::Paid { paid_at: NOW });
    assert_eq!(paid.pay(NOW), Ok(Change::Unchanged));
}

#[test]
fn an_order_that_awaits_its_payment_cannot_be_paid_before_it_is_placed() {
    assert!(order(awaiting()).pay(NOW).is_err());
}

#[test]
fn a_paid_order_can_be_cancelled_and_remembers_that_it_was_paid() {
    let later = NOW + TimeDelta::seconds(1);
    let Change::Moved(cancelled, event) = order(Stage::Paid { paid_at: NOW }).cancel(later) else {
        panic!("cancelled")
    };
    assert_eq!(cancelled.stage.paid_at(), Some(NOW));
    assert_eq!(cancelled.stage.cancelled_at(), Some(later));
    assert_eq!(event.items.len(), 1);
    assert_eq!(cancelled.clone().cancel(later), Change::Unchanged);
    assert_eq!(cancelled.pay(later), Ok(Change::Unchanged));
}

#[test]
fn every_stage_but_cancelled_can_be_cancelled_by_its_owner() {
    for stage in [awaiting(), Stage::Placed, Stage::Paid { paid_at: NOW }] {
        assert!(stage.is_cancellable(), "{}", stage.as_str());
        let Change::Moved(cancelled, _) = order(stage).cancel(NOW) else {
            panic!("cancelled")
        };
        assert!(!cancelled.stage.is_cancellable());
        assert_eq!(cancelled.stage.next_action(), None);
    }
}
