//! A message in two dresses: text, and HTML that looks the same everywhere because it asks for
//! nothing (no images, no style sheets, no tracking).

use super::phrases::{Locale, fill};

/// Who writes.
#[derive(Debug, Clone)]
pub struct Shop {
    /// What it calls itself.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// The language it writes in.
    pub locale: Locale,
}

/// A row of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Such as `2 × Blue mug (MUG-BLUE)`.
    pub what: String,
    /// Such as `EUR 24.00`.
    pub amount: String,
}

/// What a message says, before it is dressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Subject.
    pub subject: String,
    /// Greeting.
    pub greeting: String,
    /// First paragraph.
    pub intro: String,
    /// What was ordered.
    pub lines: Vec<Line>,
    /// What it costs.
    pub total: Option<Line>,
}

impl Letter {
    /// The plain text part.
    pub fn text(&self, shop: &Shop) -> String {
        let phrases = shop.locale.phrases();
        let mut text = format!("{}\n\n{}\n", self.greeting, self.intro);
        if !self.lines.is_empty() {
            text.push('\n');
        }
        text.extend(
            self.lines
                .iter()
                .map(|line| format!("  {}: {}\n", line.what, line.amount)),
        );
        let total = self.total.iter();
        text.extend(total.map(|total| format!("\n{}: {}\n", total.what, total.amount)));
        let signature = fill(phrases.signature, &[("shop", &shop.name)]);
        text.extend([format!("\n{} {}\n\n{signature}\n", phrases.visit, shop.url)]);
        text
    }

    /// The HTML part.
    pub fn html(&self, shop: &Shop) -> String {
        let phrases = shop.locale.phrases();
        let row = |tag: &str, line: &Line| {
            let (what, amount) = (escape(&line.what), escape(&line.amount));
            format!(
                "<tr><{tag} align=\"left\">{what}</{tag}>\
                 <{tag} align=\"right\" style=\"white-space:nowrap\">{amount}</{tag}></tr>\n"
            )
        };
        let mut rows: String = self.lines.iter().map(|line| row("td", line)).collect();
        if let Some(total) = &self.total {
            rows.push_str(&row("th", total));
        }
        let table = if rows.is_empty() {
            String::new()
        } else {
            format!("<table cellpadding=\"4\">\n{rows}</table>\n")
        };
        let signature = fill(phrases.signature, &[("shop", &shop.name)]);
        format!(
            "<!doctype html>\n<html lang=\"{lang}\">\n<head><meta charset=\"utf-8\">\
             <title>{subject}</title></head>\n\
             <body style=\"font-family:sans-serif;max-width:40em\">\n\
             <p>{greeting}</p>\n<p>{intro}</p>\n{table}\
             <p>{visit} <a href=\"{url}\">{url}</a></p>\n<p>{signature}</p>\n</body>\n</html>\n",
            lang = shop.locale.as_str(),
            subject = escape(&self.subject),
            greeting = escape(&self.greeting),
            intro = escape(&self.intro),
            visit = escape(phrases.visit),
            url = escape(&shop.url),
            signature = escape(&signature).replace('\n', "<br>"),
        )
    }
}

/// Text as HTML shows it, in elements and in quoted attributes.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_cannot_become_markup() {
        let shop = Shop {
            name: "A & B".to_owned(),
            url: "http://demo.localhost".to_owned(),
            locale: Locale::En,
        };
        let letter = Letter {
            subject: "s".to_owned(),
            greeting: "Hello <script>alert('x')</script>,".to_owned(),
            intro: "i".to_owned(),
            lines: vec![Line {
                what: "1 × \"Mug\" <b>".to_owned(),
                amount: "EUR 1.00".to_owned(),
            }],
            total: None,
        };
        let html = letter.html(&shop);
        assert!(!html.contains("<script") && !html.contains("<b>"), "{html}");
        assert!(html.contains("&lt;script&gt;alert(&#39;x&#39;)"), "{html}");
        assert!(html.contains("A &amp; B"), "{html}");
        assert!(
            letter.text(&shop).contains("Hello <script>"),
            "text is text"
        );
    }
}
