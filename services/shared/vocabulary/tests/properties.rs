//! What holds for every amount, id and cursor.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use chrono::{DateTime, Utc};
use proptest::prelude::*;
use vocabulary::{
    Currency, Cursor, Entropy, Limit, Money, MoneyError, OrderId, Page, PageRequest, SystemEntropy,
};

fn eur(minor: i64) -> Money {
    Money::new(minor, Currency::new("EUR").unwrap())
}

struct Same(u8);

impl Entropy for Same {
    fn bytes(&self) -> [u8; 10] {
        [self.0; 10]
    }
}

fn instant(millis: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(millis).unwrap()
}

proptest! {
    #[test]
    fn minus_undoes_plus(a: i64, b: i64) {
        if let Ok(sum) = eur(a).plus(eur(b)) {
            prop_assert_eq!(sum.minus(eur(b)), Ok(eur(a)));
        } else {
            prop_assert!(a.checked_add(b).is_none());
        }
    }

    #[test]
    fn times_is_repeated_plus(a in -1_000_000_000_i64..1_000_000_000, n in 0_u32..50) {
        let sum = Money::sum(eur(0).currency(), (0..n).map(|_| eur(a)));
        prop_assert_eq!(eur(a).times(n), sum);
    }

    #[test]
    fn an_amount_is_the_same_after_a_journey(
        a: i64,
        code in prop::sample::select(vec!["EUR", "USD", "JPY", "KWD", "CHF", "CLF"]),
    ) {
        let amount = Money::from_columns(a, code).unwrap();
        let json = serde_json::to_string(&amount).unwrap();
        prop_assert_eq!(&json, &format!(r#"{{"minor":{a},"currency":"{code}"}}"#));
        prop_assert_eq!(serde_json::from_str::<Money>(&json).unwrap(), amount);
    }

    #[test]
    fn a_currency_is_three_upper_case_letters(text in "[A-Z]{3}|\\PC{0,5}") {
        match text.parse::<Currency>() {
            Ok(currency) => prop_assert_eq!(currency.as_str(), text),
            Err(error) => prop_assert_eq!(error, MoneyError::UnknownCurrency),
        }
    }

    #[test]
    fn a_cursor_is_the_same_after_a_journey(at: i64, title in "\\PC{0,50}") {
        let cursor = Cursor((at, title));
        let text = cursor.encode().unwrap();
        prop_assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
        prop_assert_eq!(Cursor::decode(&text).unwrap(), cursor);
    }

    #[test]
    fn any_text_is_a_cursor_or_refused(text in "\\PC{0,200}") {
        let _ = Cursor::<(i64, String)>::decode(&text);
    }

    #[test]
    fn later_ids_sort_later(a in 0_i64..4_000_000_000_000, b in 0_i64..4_000_000_000_000) {
        let (first, second) = (OrderId::mint(instant(a), &Same(1)), OrderId::mint(instant(b), &Same(1)));
        prop_assert_eq!(first.cmp(&second), a.cmp(&b));
        prop_assert_eq!(first.to_string().parse::<OrderId>().unwrap(), first);
        prop_assert_eq!(first.as_uuid().to_string().parse::<OrderId>().unwrap(), first);
    }
}

#[test]
fn euros_do_not_add_to_dollars() {
    let (eur, usd) = (Currency::new("EUR").unwrap(), Currency::new("USD").unwrap());
    let sum = Money::new(1_099, eur).plus(Money::new(1, usd));
    assert_eq!(sum, Err(MoneyError::CurrencyMismatch(eur, usd)));
}

#[test]
fn an_id_is_a_bare_uuid_version_7_on_the_wire() {
    let id = OrderId::mint(instant(1_769_860_800_000), &SystemEntropy);
    assert_eq!(id.as_uuid().get_version_num(), 7);
    assert_eq!(
        serde_json::to_string(&id).unwrap(),
        format!("\"{}\"", id.as_uuid())
    );
    assert!(id.to_string().starts_with("ord_"));
    assert_ne!(
        id,
        OrderId::mint(instant(1_769_860_800_000), &SystemEntropy)
    );
}

#[test]
fn a_page_says_whether_another_follows() {
    let request = PageRequest {
        limit: Limit::new(2).unwrap(),
        cursor: None,
    };
    assert_eq!(request.rows(), 3);
    let full = Page::of(vec![10, 11, 12], &request, |row| *row).unwrap();
    assert_eq!(full.items, [10, 11]);
    let next = PageRequest {
        cursor: full.next_cursor,
        ..request.clone()
    };
    assert_eq!(next.position::<i32>().unwrap(), Some(11));
    let last = Page::of(vec![12], &next, |row| *row).unwrap();
    assert_eq!((last.items, last.next_cursor), (vec![12], None));
}

#[test]
fn a_limit_is_a_number_or_its_text_from_1_to_100() {
    for good in ["1", "100", "\"20\""] {
        assert!(serde_json::from_str::<Limit>(good).is_ok(), "{good}");
    }
    for bad in ["0", "101", "-1", "\"x\"", "null", "1.5"] {
        assert!(serde_json::from_str::<Limit>(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_currency_exists_and_has_minor_units() {
    for (code, digits) in [("EUR", 2), ("JPY", 0), ("KWD", 3), ("CLF", 4)] {
        let currency: Currency = code.parse().unwrap();
        assert_eq!((currency.as_str(), currency.minor_digits()), (code, digits));
    }
    // Nobody's code, lower case, gold, testing, no currency.
    for code in ["QQQ", "eur", "XAU", "XTS", "XXX", "EURO", ""] {
        assert_eq!(
            code.parse::<Currency>(),
            Err(MoneyError::UnknownCurrency),
            "{code}"
        );
        let json = format!(r#"{{"minor":1,"currency":"{code}"}}"#);
        assert!(serde_json::from_str::<Money>(&json).is_err(), "{code}");
    }
}
