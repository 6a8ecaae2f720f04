use uuid::Uuid;
use vocabulary::{Currency, ProductId};

use super::{Address, Cart, Item};

fn currency(code: &str) -> Currency {
    Currency::new(code).unwrap()
}

fn cart() -> Cart {
    Cart {
        items: vec![item(1)],
        currency: currency("EUR"),
        address: Address {
            name: "Ann Lee".into(),
            line1: "Hauptstraße 1".into(),
            line2: None,
            postal_code: "10115".into(),
            city: "Berlin".into(),
            country: "DE".into(),
        },
        payment_method: "manual".into(),
    }
}

fn item(quantity: u32) -> Item {
    Item {
        product_id: ProductId::from_uuid(Uuid::from_u128(1)),
        quantity,
    }
}

#[test]
fn a_valid_cart_has_no_errors() {
    assert_eq!(cart().check(&[currency("EUR")]), Ok(()));
}

#[test]
fn all_invalid_fields_are_named_together() {
    let mut bad = cart();
    bad.items = vec![item(1), item(0), item(1_001)];
    bad.currency = currency("JPY");
    bad.address.city = " ".into();
    bad.address.line2 = Some("\u{7}".into());
    bad.address.country = "de".into();
    bad.payment_method = String::new();
    let errors = bad.check(&[currency("EUR")]).unwrap_err();
    let fields: Vec<&str> = errors.iter().map(|error| &*error.field).collect();
    assert_eq!(
        fields,
        [
            "items[1].quantity",
            "items[2].quantity",
            "currency",
            "address.city",
            "address.line2",
            "address.country",
            "payment_method"
        ]
    );
}

#[test]
fn an_order_has_1_to_100_items() {
    for count in [0, 101] {
        let mut bad = cart();
        bad.items = vec![item(1); count];
        let errors = bad.check(&[currency("EUR")]).unwrap_err();
        assert_eq!((errors.len(), &*errors[0].field), (1, "items"));
    }
}
