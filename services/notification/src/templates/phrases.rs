//! The phrases of a mail, by language.

use super::amount;
use crate::shop::{Locale, Shop};
use crate::triggers::trigger::Trigger;

/// The phrases of one mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phrases {
    /// Subject.
    pub subject: String,
    /// Greeting.
    pub greeting: String,
    /// First paragraph.
    pub intro: String,
    /// Label of the total.
    pub total: &'static str,
    /// Precedes the link to the shop.
    pub visit: &'static str,
    /// Precedes the name of the shop.
    pub regards: &'static str,
}

/// The phrases of a mail in the language of the shop.
pub fn phrases(trigger: &Trigger, shop: &Shop) -> Phrases {
    match shop.locale {
        Locale::En => english(trigger, &shop.name),
        Locale::De => german(trigger, &shop.name),
    }
}

fn english(trigger: &Trigger, shop: &str) -> Phrases {
    let (subject, intro) = match trigger {
        Trigger::Registration(asked) => match &asked.code {
            Some(code) => (
                format!("Confirm your address for {shop}"),
                format!(
                    "Somebody, most likely you, asked for an account at {shop} with this e-mail address. \
                     This code confirms it within 24 hours: {code}. If it was not you, ignore this mail."
                ),
            ),
            None => (
                format!("You already have an account at {shop}"),
                format!(
                    "Somebody, most likely you, asked for an account at {shop} with this e-mail address, \
                     which has one already: log in with it. If it was not you, ignore this mail."
                ),
            ),
        },
        Trigger::Welcome(_) => (
            format!("Welcome to {shop}"),
            format!("Your account at {shop} is ready. You can log in with this e-mail address."),
        ),
        Trigger::OrderPlaced(order) => (
            format!("Your order {} at {shop}", order.number),
            format!(
                "Thank you for your order {}. This is what you ordered:",
                order.number
            ),
        ),
        Trigger::OrderPaid(order) => (
            format!("Payment received for order {}", order.number),
            format!(
                "We have received your payment of {} for order {}.",
                amount::format(order.total, Locale::En),
                order.number
            ),
        ),
        Trigger::OrderCancelled(order) => (
            format!("Order {} is cancelled", order.number),
            format!(
                "Your order {} is cancelled. What was paid goes back the way it came. \
                 This is what it held:",
                order.number
            ),
        ),
    };
    Phrases {
        subject,
        greeting: match trigger {
            Trigger::Welcome(account) => format!("Hello {},", account.username),
            _ => "Hello,".to_owned(),
        },
        intro,
        total: "Total",
        visit: "Visit the shop:",
        regards: "Kind regards",
    }
}

fn german(trigger: &Trigger, shop: &str) -> Phrases {
    let (subject, intro) = match trigger {
        Trigger::Registration(asked) => match &asked.code {
            Some(code) => (
                format!("Bestätigen Sie Ihre Adresse für {shop}"),
                format!(
                    "Jemand, vermutlich Sie selbst, hat mit dieser E-Mail-Adresse ein Konto bei {shop} angefragt. \
                     Dieser Code bestätigt sie innerhalb von 24 Stunden: {code}. Wenn Sie es nicht waren, \
                     beachten Sie diese Nachricht nicht."
                ),
            ),
            None => (
                format!("Sie haben bereits ein Konto bei {shop}"),
                format!(
                    "Jemand, vermutlich Sie selbst, hat mit dieser E-Mail-Adresse ein Konto bei {shop} angefragt. \
                     Sie haben dort schon eines: Melden Sie sich damit an. Wenn Sie es nicht waren, \
                     beachten Sie diese Nachricht nicht."
                ),
            ),
        },
        Trigger::Welcome(_) => (
            format!("Willkommen bei {shop}"),
            format!(
                "Ihr Konto bei {shop} ist bereit. Sie können sich mit dieser E-Mail-Adresse anmelden."
            ),
        ),
        Trigger::OrderPlaced(order) => (
            format!("Ihre Bestellung {} bei {shop}", order.number),
            format!(
                "Vielen Dank für Ihre Bestellung {}. Das haben Sie bestellt:",
                order.number
            ),
        ),
        Trigger::OrderPaid(order) => (
            format!("Zahlung für Bestellung {} eingegangen", order.number),
            format!(
                "Wir haben Ihre Zahlung von {} für die Bestellung {} erhalten.",
                amount::format(order.total, Locale::De),
                order.number
            ),
        ),
        Trigger::OrderCancelled(order) => (
            format!("Bestellung {} ist storniert", order.number),
            format!(
                "Ihre Bestellung {} ist storniert. Was bezahlt wurde, geht auf demselben Weg \
                 zurück. Das war darin:",
                order.number
            ),
        ),
    };
    Phrases {
        subject,
        greeting: match trigger {
            Trigger::Welcome(account) => format!("Hallo {},", account.username),
            _ => "Guten Tag,".to_owned(),
        },
        intro,
        total: "Summe",
        visit: "Zum Shop:",
        regards: "Freundliche Grüße",
    }
}
