//! The wire is a promise: these bytes must be readable for ever.

use events::{DecodeError, Event, EventMeta, EventType, OrderPlaced, Payload, PaymentCaptured};
use serde_json::json;

const PLACED: &str = r#"{
    "specversion": "1.0", "id": "019c1f3e-0000-7000-8000-000000000001", "source": "/order",
    "type": "order.placed.v1", "subject": "019c1f3e-0000-7000-8000-000000000002",
    "time": "2026-01-31T12:00:00.000001Z", "datacontenttype": "application/json",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "someextension": "of a newer build",
    "data": {
        "order_id": "019c1f3e-0000-7000-8000-000000000002", "number": "1001",
        "user_id": "019c1f3e-0000-7000-8000-000000000003", "email": "ada@example.com",
        "items": [{
            "product_id": "019c1f3e-0000-7000-8000-000000000004", "sku": "A-1", "title": "Lamp",
            "quantity": 2, "unit_price": {"minor": 1099, "currency": "EUR"}, "colour": "new field"
        }],
        "total": {"minor": 2198, "currency": "EUR"},
        "payment_id": "019c1f3e-0000-7000-8000-000000000005",
        "reservation_id": "019c1f3e-0000-7000-8000-000000000006"
    }
}"#;

#[test]
fn an_event_is_the_same_after_a_journey_and_unknown_fields_are_ignored() {
    let event = Event::from_slice(PLACED.as_bytes()).unwrap();
    let placed: OrderPlaced = event.payload().unwrap();
    assert_eq!(placed.items[0].quantity, 2);
    assert_eq!(event.aggregate, placed.aggregate());
    assert_eq!(Event::from_slice(&event.to_vec().unwrap()).unwrap(), event);
    assert_eq!(Event::from_value(event.to_value().unwrap()).unwrap(), event);

    let meta = EventMeta::new(event.id, event.time).traced(event.traceparent.clone());
    let again = Event::of(meta, &placed).unwrap();
    assert_eq!(
        (again.source.as_str(), again.ty),
        ("/order", EventType::OrderPlaced)
    );
    assert_eq!(again.payload::<OrderPlaced>().unwrap(), placed);
}

#[test]
fn a_payload_of_another_type_or_shape_is_refused() {
    let mut event = Event::from_slice(PLACED.as_bytes()).unwrap();
    assert!(event.payload::<PaymentCaptured>().is_err());
    event.data = json!({"order_id": 1});
    assert!(event.payload::<OrderPlaced>().is_err());
}

#[test]
fn what_is_not_for_this_build_is_named() {
    let with = |key: &str, value: &str| {
        let mut json: serde_json::Value = serde_json::from_str(PLACED).unwrap();
        json[key] = value.into();
        Event::from_value(json)
    };
    assert!(matches!(
        with("type", "order.shipped.v9"),
        Err(DecodeError::UnknownType(_))
    ));
    assert!(matches!(
        with("specversion", "2.0"),
        Err(DecodeError::SpecVersion(_))
    ));
    assert!(matches!(
        Event::from_slice(b"{}"),
        Err(DecodeError::Malformed(_))
    ));
}

#[test]
fn every_type_has_a_version_and_a_producer_and_reads_back() {
    for ty in EventType::ALL {
        assert_eq!(ty.as_str().parse::<EventType>().unwrap(), *ty);
        assert!(
            ty.as_str()
                .split('.')
                .next_back()
                .is_some_and(|version| version.starts_with('v'))
        );
        assert!(!ty.producer().is_empty());
    }
}
