//! What happened, and the message it calls for.

use events::{OrderCancelled, OrderLine, OrderPaid, OrderPlaced, UserRegistered};
use vocabulary::{Money, MoneyError};

use super::amount;
use super::letter::{Letter, Line, Shop};
use super::phrases::{Words, fill};

/// Something that a person is told by mail.
#[derive(Debug)]
pub enum Occasion {
    /// There is an account.
    Welcome(UserRegistered),
    /// There is an order.
    OrderPlaced(OrderPlaced),
    /// Its money has arrived.
    OrderPaid(OrderPaid),
    /// It will not be fulfilled.
    OrderCancelled(OrderCancelled),
}

impl Occasion {
    /// The template's name: label of metrics, part of what makes a message unique.
    pub const fn template(&self) -> &'static str {
        match self {
            Self::Welcome(_) => "welcome",
            Self::OrderPlaced(_) => "order_placed",
            Self::OrderPaid(_) => "order_paid",
            Self::OrderCancelled(_) => "order_cancelled",
        }
    }

    /// Who is told.
    pub fn recipient(&self) -> &str {
        match self {
            Self::Welcome(said) => &said.email,
            Self::OrderPlaced(said) => &said.email,
            Self::OrderPaid(said) => &said.email,
            Self::OrderCancelled(said) => &said.email,
        }
    }

    /// What is said. Fails only on an order whose lines cannot be multiplied.
    pub fn letter(&self, shop: &Shop) -> Result<Letter, MoneyError> {
        let phrases = shop.locale.phrases();
        match self {
            Self::Welcome(said) => {
                let greeting = fill(phrases.greeting, &[("name", &said.username)]);
                Ok(Letter {
                    greeting,
                    ..plain(&phrases.welcome, shop, "", "")
                })
            }
            Self::OrderPlaced(said) => with_lines(
                &phrases.order_placed,
                shop,
                &said.number,
                (&said.items, said.total),
            ),
            Self::OrderPaid(said) => {
                let amount = amount::show(said.total, shop.locale);
                Ok(plain(&phrases.order_paid, shop, &said.number, &amount))
            }
            Self::OrderCancelled(said) => with_lines(
                &phrases.order_cancelled,
                shop,
                &said.number,
                (&said.items, said.total),
            ),
        }
    }
}

fn plain(words: &Words, shop: &Shop, number: &str, amount: &str) -> Letter {
    let values = [
        ("shop", &*shop.name),
        ("number", number),
        ("amount", amount),
    ];
    Letter {
        subject: fill(words.subject, &values),
        greeting: shop.locale.phrases().greeting_anybody.to_owned(),
        intro: fill(words.intro, &values),
        lines: Vec::new(),
        total: None,
    }
}

fn with_lines(
    words: &Words,
    shop: &Shop,
    number: &str,
    (items, total): (&[OrderLine], Money),
) -> Result<Letter, MoneyError> {
    let line = |item: &OrderLine| {
        Ok(Line {
            what: format!("{} × {} ({})", item.quantity, item.title, item.sku),
            amount: amount::show(item.unit_price.times(item.quantity)?, shop.locale),
        })
    };
    Ok(Letter {
        lines: items.iter().map(line).collect::<Result<_, MoneyError>>()?,
        total: Some(Line {
            what: shop.locale.phrases().total.to_owned(),
            amount: amount::show(total, shop.locale),
        }),
        ..plain(words, shop, number, "")
    })
}

#[cfg(test)]
mod tests {
    use vocabulary::{OrderId, PaymentId, ProductId, ReservationId, UserId};

    use super::*;
    use crate::domain::phrases::Locale;

    fn shop(locale: Locale) -> Shop {
        Shop {
            name: "Demo".to_owned(),
            url: "http://demo.localhost".to_owned(),
            locale,
        }
    }

    fn euros(minor: i64) -> Money {
        Money::new(minor, "EUR".parse().unwrap())
    }

    fn placed() -> OrderPlaced {
        let id = uuid::Uuid::from_u128(7);
        let line = |sku: &str, title: &str, quantity, price| OrderLine {
            product_id: ProductId::from_uuid(id),
            sku: sku.to_owned(),
            title: title.to_owned(),
            quantity,
            unit_price: euros(price),
        };
        OrderPlaced {
            order_id: OrderId::from_uuid(id),
            number: "2026-000042".to_owned(),
            user_id: UserId::from_uuid(id),
            email: "ann@example.com".to_owned(),
            items: vec![
                line("MUG-BLUE", "Blue mug", 2, 1_200),
                line("TEA", "Green tea", 1, 100_050),
            ],
            total: euros(102_450),
            payment_id: PaymentId::from_uuid(id),
            reservation_id: ReservationId::from_uuid(id),
        }
    }

    #[test]
    fn a_confirmation_names_number_lines_and_total() {
        let shop = shop(Locale::En);
        let letter = Occasion::OrderPlaced(placed()).letter(&shop).unwrap();
        assert_eq!(letter.subject, "Your order 2026-000042 at Demo");
        insta::assert_snapshot!(letter.text(&shop), @r"
        Hello,

        Thank you for your order 2026-000042. This is what you ordered:

          2 × Blue mug (MUG-BLUE): EUR 24.00
          1 × Green tea (TEA): EUR 1,000.50

        Total: EUR 1,024.50

        Visit the shop: http://demo.localhost

        Kind regards
        Demo
        ");
        let html = letter.html(&shop);
        for part in [
            "2026-000042",
            "2 × Blue mug (MUG-BLUE)",
            "EUR 24.00",
            "EUR 1,024.50",
            "lang=\"en\"",
        ] {
            assert!(html.contains(part), "{part} in {html}");
        }
    }

    #[test]
    fn a_german_shop_writes_german() {
        let shop = shop(Locale::De);
        let letter = Occasion::OrderPlaced(placed()).letter(&shop).unwrap();
        insta::assert_snapshot!(letter.text(&shop), @r"
        Guten Tag,

        Vielen Dank für Ihre Bestellung 2026-000042. Das haben Sie bestellt:

          2 × Blue mug (MUG-BLUE): 24,00 EUR
          1 × Green tea (TEA): 1.000,50 EUR

        Summe: 1.024,50 EUR

        Zum Shop: http://demo.localhost

        Freundliche Grüße
        Demo
        ");
    }

    #[test]
    fn a_welcome_greets_by_name() {
        let said = UserRegistered {
            user_id: UserId::from_uuid(uuid::Uuid::from_u128(7)),
            username: "ann".to_owned(),
            email: "ann@example.com".to_owned(),
        };
        let occasion = Occasion::Welcome(said);
        let letter = occasion.letter(&shop(Locale::En)).unwrap();
        assert_eq!(letter.subject, "Welcome to Demo");
        assert!(letter.text(&shop(Locale::En)).starts_with("Hello ann,\n"));
        assert_eq!(
            (occasion.recipient(), occasion.template()),
            ("ann@example.com", "welcome")
        );
    }

    #[test]
    fn an_order_that_cannot_be_multiplied_is_refused() {
        let mut said = placed();
        said.items[0].unit_price = euros(i64::MAX);
        assert_eq!(
            Occasion::OrderPlaced(said).letter(&shop(Locale::En)),
            Err(MoneyError::Overflow)
        );
    }
}
