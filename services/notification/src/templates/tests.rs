use events::{OrderCancelled, OrderPaid, OrderPlaced, RegistrationRequested, UserRegistered};
use vocabulary::{OrderId, PaymentId, ProductId, ReservationId, UserId};

use super::*;

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

fn welcome(username: &str) -> Trigger {
    Trigger::Welcome(UserRegistered {
        user_id: UserId::from_uuid(uuid::Uuid::from_u128(7)),
        username: username.to_owned(),
        email: "ann@example.com".to_owned(),
    })
}

#[test]
fn a_confirmation_lists_number_lines_and_total() {
    let mail = render(&Trigger::OrderPlaced(placed()), &shop(Locale::En)).unwrap();
    assert_eq!(mail.subject, "Your order 2026-000042 at Demo");
    insta::assert_snapshot!(mail.text, @r"
    Hello,

    Thank you for your order 2026-000042. This is what you ordered:

      2 × Blue mug (MUG-BLUE): EUR 24.00
      1 × Green tea (TEA): EUR 1,000.50

    Total: EUR 1,024.50

    Visit the shop: http://demo.localhost

    Kind regards
    Demo
    ");
    assert!(mail.text.ends_with("Demo\n"));
    insta::assert_snapshot!(mail.html, @r#"
    <!doctype html>
    <html lang="en">
    <head><meta charset="utf-8"><title>Your order 2026-000042 at Demo</title></head>
    <body style="font-family:sans-serif;max-width:40em">
    <p>Hello,</p>
    <p>Thank you for your order 2026-000042. This is what you ordered:</p>
    <table cellpadding="4">
    <tr><td align="left">2 × Blue mug (MUG-BLUE)</td><td align="right" style="white-space:nowrap">EUR 24.00</td></tr>
    <tr><td align="left">1 × Green tea (TEA)</td><td align="right" style="white-space:nowrap">EUR 1,000.50</td></tr>
    <tr><th align="left">Total</th><th align="right" style="white-space:nowrap">EUR 1,024.50</th></tr>
    </table>
    <p>Visit the shop: <a href="http://demo.localhost">http://demo.localhost</a></p>
    <p>Kind regards<br>Demo</p>
    </body>
    </html>
    "#);
    assert!(mail.html.ends_with("</html>\n"));
}

#[test]
fn a_german_shop_sends_german_mail() {
    let mail = render(&Trigger::OrderPlaced(placed()), &shop(Locale::De)).unwrap();
    insta::assert_snapshot!(mail.text, @r"
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
fn a_mail_without_lines_has_no_table() {
    let placed = placed();
    let paid = Trigger::OrderPaid(OrderPaid {
        order_id: placed.order_id,
        number: placed.number,
        user_id: placed.user_id,
        email: placed.email,
        total: placed.total,
        payment_id: placed.payment_id,
    });
    let mail = render(&paid, &shop(Locale::En)).unwrap();
    insta::assert_snapshot!(mail.text, @r"
    Hello,

    We have received your payment of EUR 1,024.50 for order 2026-000042.

    Visit the shop: http://demo.localhost

    Kind regards
    Demo
    ");
    assert!(!mail.html.contains("<table"), "{}", mail.html);
}

#[test]
fn a_welcome_greets_by_name() {
    let trigger = welcome("ann");
    let mail = render(&trigger, &shop(Locale::En)).unwrap();
    assert_eq!(mail.subject, "Welcome to Demo");
    assert!(mail.text.starts_with("Hello ann,\n"));
    assert_eq!(
        (trigger.recipient(), trigger.template()),
        ("ann@example.com", "welcome")
    );
}

#[test]
fn a_name_cannot_become_markup_or_a_placeholder() {
    let shop = Shop {
        name: "A & B".to_owned(),
        ..shop(Locale::En)
    };
    let mail = render(&welcome("<script>alert('x')</script>{{ shop.url }}"), &shop).unwrap();
    assert!(!mail.html.contains("<script"), "{}", mail.html);
    let escaped = "&#60;script&#62;alert(&#39;x&#39;)&#60;/script&#62;{{ shop.url }}";
    assert!(mail.html.contains(escaped), "{}", mail.html);
    assert!(mail.html.contains("A &#38; B"), "{}", mail.html);
    assert!(mail.text.contains("Hello <script>"), "text is not escaped");
}

#[test]
fn an_order_whose_amounts_overflow_is_refused() {
    let mut order = placed();
    order.items[0].unit_price = euros(i64::MAX);
    assert!(matches!(
        render(&Trigger::OrderPlaced(order), &shop(Locale::En)),
        Err(RenderError::Amount(MoneyError::Overflow))
    ));
}

fn asked(code: Option<&str>) -> Trigger {
    Trigger::Registration(RegistrationRequested {
        user_id: UserId::from_uuid(uuid::Uuid::from_u128(7)),
        email: "ann@example.com".to_owned(),
        code: code.map(str::to_owned),
    })
}

#[test]
fn a_new_address_gets_a_code_and_a_taken_one_does_not() {
    for locale in [Locale::En, Locale::De] {
        let mail = render(&asked(Some("the-code")), &shop(locale)).unwrap();
        assert!(mail.text.contains(": the-code."), "{}", mail.text);
        assert!(mail.html.contains(": the-code."), "{}", mail.html);
        let taken = render(&asked(None), &shop(locale)).unwrap();
        assert_ne!(taken.subject, mail.subject);
        assert!(!taken.text.contains("24"), "{}", taken.text);
    }
    assert_eq!(asked(Some("the-code")).template(), "confirm_address");
    assert_eq!(asked(None).template(), "address_taken");
}

/// One trigger for each template.
fn every_trigger() -> [Trigger; 6] {
    let order = placed();
    let paid = OrderPaid {
        order_id: order.order_id,
        number: order.number.clone(),
        user_id: order.user_id,
        email: order.email.clone(),
        total: order.total,
        payment_id: order.payment_id,
    };
    let cancelled = OrderCancelled {
        order_id: order.order_id,
        number: order.number.clone(),
        user_id: order.user_id,
        email: order.email.clone(),
        total: order.total,
        payment_id: order.payment_id,
        reservation_id: order.reservation_id,
        items: Vec::new(),
    };
    [
        asked(Some("a code")),
        asked(None),
        welcome("ann"),
        Trigger::OrderPlaced(order),
        Trigger::OrderPaid(paid),
        Trigger::OrderCancelled(cancelled),
    ]
}

#[test]
fn every_link_of_every_mail_is_the_shops_own_url_with_its_scheme() {
    let triggers = every_trigger();
    assert_eq!(
        triggers.each_ref().map(Trigger::template),
        Trigger::TEMPLATES
    );
    for (url, locale) in [
        ("http://demo.localhost", Locale::En),
        ("https://demo.localhost", Locale::En),
        ("https://demo.localhost", Locale::De),
    ] {
        let shop = Shop {
            url: url.to_owned(),
            ..shop(locale)
        };
        for trigger in &triggers {
            let mail = render(trigger, &shop).unwrap();
            for text in [mail.text, mail.html] {
                let links = text.matches("://").count();
                assert!(links > 0, "{text}");
                assert_eq!(text.matches(url).count(), links, "{text}");
            }
        }
    }
}
