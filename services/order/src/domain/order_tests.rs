use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;
use vocabulary::{Currency, Money, OrderId, PaymentId, ProductId, ReservationId, UserId};

use super::cart::{Address, Cart, Item, Line};
use super::order::{Change, Order, Stage};

const NOW: DateTime<Utc> = DateTime::<Utc>::UNIX_EPOCH;

fn eur() -> Currency {
    Currency::new("EUR").unwrap()
}

fn address() -> Address {
    Address {
        name: "Ann Lee".into(),
        line1: "Hauptstraße 1".into(),
        line2: None,
        postal_code: "10115".into(),
        city: "Berlin".into(),
        country: "DE".into(),
    }
}

fn order() -> Order {
    let id = Uuid::from_u128(1);
    let unit_price = Money::new(250, eur());
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
            unit_price,
        }],
        total: Money::new(500, eur()),
        address: address(),
        payment_id: PaymentId::from_uuid(id),
        reservation_id: ReservationId::from_uuid(id),
        placed_at: NOW,
        stage: Stage::Placed,
        version: 1,
    }
}

#[test]
fn a_placed_order_is_paid_once() {
    let Change::Moved(paid, said) = order().pay(NOW) else {
        panic!("paid")
    };
    assert_eq!(said.total, Money::new(500, eur()));
    assert!(matches!(paid.pay(NOW), Change::Already(_)));
}

#[test]
fn a_paid_order_can_be_cancelled_and_remembers_that_it_was_paid() {
    let Change::Moved(paid, _) = order().pay(NOW) else {
        panic!("paid")
    };
    let later = NOW + TimeDelta::seconds(1);
    let Change::Moved(cancelled, said) = paid.cancel(later) else {
        panic!("cancelled")
    };
    assert_eq!(cancelled.stage.paid_at(), Some(NOW));
    assert_eq!(said.items.len(), 1);
    assert!(matches!(
        cancelled.clone().cancel(later),
        Change::Already(_)
    ));
    assert!(matches!(cancelled.pay(later), Change::Already(_)));
}

#[test]
fn a_cart_is_checked_whole() {
    let item = |quantity| Item {
        product_id: ProductId::from_uuid(Uuid::from_u128(1)),
        quantity,
    };
    let good = Cart {
        items: vec![item(1)],
        currency: eur(),
        address: address(),
        payment_method: "manual".into(),
    };
    assert_eq!(good.check(&[eur()]), Ok(()));
    let bad = Cart {
        items: vec![item(1), item(0), item(1_001)],
        currency: Currency::new("JPY").unwrap(),
        address: Address {
            city: " ".into(),
            country: "de".into(),
            ..address()
        },
        payment_method: String::new(),
    };
    let faults = bad.check(&[eur()]).unwrap_err();
    let fields: Vec<&str> = faults.iter().map(|fault| fault.field.as_str()).collect();
    assert_eq!(
        fields,
        [
            "items[1].quantity",
            "items[2].quantity",
            "currency",
            "address.city",
            "address.country",
            "payment_method"
        ]
    );
}
