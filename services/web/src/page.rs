//! The page, as a pure function of what it says.

use std::fmt::Write as _;

use service_catalogue::Service;

/// What the page says about where it runs.
#[derive(Clone, Debug)]
pub struct Place<'a> {
    /// The shop's name.
    pub shop: &'a str,
    /// Scheme and authority that the visitor used, such as `http://demo.localhost:8080`.
    pub origin: &'a str,
    /// Currencies, the default one first.
    pub currencies: &'a str,
    /// The release that runs.
    pub version: &'a str,
}

/// Renders the page. Everything that comes from outside is escaped.
pub fn render(place: &Place<'_>) -> String {
    let (shop, origin) = (escape(place.shop), escape(place.origin));
    let mut documents = String::new();
    for service in Service::ALL.into_iter().filter(|service| service.has_api()) {
        let _ = writeln!(
            documents,
            "<li><a href=\"/openapi/{service}.json\">{service}</a> <span>{}</span></li>",
            service.purpose()
        );
    }
    include_str!("page.html")
        .replace("{{shop}}", &shop)
        .replace("{{origin}}", &origin)
        .replace("{{currencies}}", &escape(place.currencies))
        .replace("{{version}}", &escape(place.version))
        .replace("{{documents}}", &documents)
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // A brace from outside never becomes a place to fill in.
            '{' => escaped.push_str("&#123;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place<'static> = Place {
        shop: "demo",
        origin: "http://demo.localhost:8080",
        currencies: "EUR, USD",
        version: "1.2.3",
    };

    #[test]
    fn every_service_has_a_link_to_its_document() {
        let page = render(&PLACE);
        for name in Service::ALL.into_iter().filter(|service| service.has_api()) {
            assert!(
                page.contains(&format!("href=\"/openapi/{name}.json\"")),
                "{name}"
            );
        }
        assert!(!page.contains("{{"), "a place was not filled in");
    }

    #[test]
    fn the_commands_use_the_origin_that_the_visitor_asked_for() {
        assert!(render(&PLACE).contains("curl -s http://demo.localhost:8080/v1/users/register"));
    }

    #[test]
    fn a_hostile_host_header_stays_text() {
        let hostile = Place {
            origin: "http://<script>{{shop}}\"'&",
            ..PLACE
        };
        let page = render(&hostile);
        assert!(!page.contains("<script>"));
        assert!(page.contains("&lt;script&gt;&#123;&#123;shop}}&quot;&#39;&amp;"));
    }
}
