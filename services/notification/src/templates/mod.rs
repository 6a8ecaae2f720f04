//! The mail of a trigger: text, and HTML without images, style sheets and tracking, so that it looks the
//! same everywhere.

mod amount;
mod phrases;

use askama::Template;
use events::OrderLine;
use vocabulary::{Money, MoneyError};

use crate::shop::{Locale, Shop};
use crate::triggers::trigger::Trigger;
use phrases::{Phrases, phrases};

/// A rendered mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// Subject.
    pub subject: String,
    /// Plain text part.
    pub text: String,
    /// HTML part.
    pub html: String,
}

/// A mail that cannot be rendered.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// A line of the order exceeds every amount.
    #[error("failed to compute the amount of an order line")]
    Amount(#[from] MoneyError),
    /// A template failed.
    #[error("failed to render a template")]
    Template(#[from] askama::Error),
}

/// A line of an order.
struct Line {
    description: String,
    amount: String,
}

#[derive(Template)]
#[template(path = "mail.txt")]
struct Text<'a> {
    phrases: &'a Phrases,
    shop: &'a Shop,
    lines: &'a [Line],
    total: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "mail.html")]
struct Html<'a> {
    phrases: &'a Phrases,
    shop: &'a Shop,
    lines: &'a [Line],
    total: Option<&'a str>,
}

/// Renders the mail of a trigger in the language of the shop.
pub fn render(trigger: &Trigger, shop: &Shop) -> Result<Mail, RenderError> {
    let phrases = &phrases(trigger, shop);
    let (lines, total) = match trigger {
        Trigger::Registration(_) | Trigger::Welcome(_) | Trigger::OrderPaid(_) => {
            (Vec::new(), None)
        }
        Trigger::OrderPlaced(order) => listed(&order.items, order.total, shop.locale)?,
        Trigger::OrderCancelled(order) => listed(&order.items, order.total, shop.locale)?,
    };
    let (lines, total) = (lines.as_slice(), total.as_deref());
    Ok(Mail {
        subject: phrases.subject.clone(),
        text: Text {
            phrases,
            shop,
            lines,
            total,
        }
        .render()?,
        html: Html {
            phrases,
            shop,
            lines,
            total,
        }
        .render()?,
    })
}

fn listed(
    items: &[OrderLine],
    total: Money,
    locale: Locale,
) -> Result<(Vec<Line>, Option<String>), MoneyError> {
    let line = |item: &OrderLine| {
        Ok(Line {
            description: format!("{} × {} ({})", item.quantity, item.title, item.sku),
            amount: amount::format(item.unit_price.times(item.quantity)?, locale),
        })
    };
    let lines = items.iter().map(line).collect::<Result<_, MoneyError>>()?;
    Ok((lines, Some(amount::format(total, locale))))
}

#[cfg(test)]
mod tests;
