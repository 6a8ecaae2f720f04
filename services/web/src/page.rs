//! The start page.

use askama::Template;
use service_catalogue::Service;

/// The start page, rendered from `templates/page.html`.
#[derive(Clone, Debug, Template)]
#[template(path = "page.html")]
pub struct StartPage<'a> {
    /// Name of the shop.
    pub shop: &'a str,
    /// Scheme and authority of the visitor's request, such as `http://demo.localhost:8080`.
    pub origin: &'a str,
    /// Currencies, the default first.
    pub currencies: &'a str,
    /// Release of this build.
    pub version: &'a str,
    /// Services with an OpenAPI document.
    pub services: &'a [Service],
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(origin: &str) -> String {
        StartPage {
            shop: "demo",
            origin,
            currencies: "EUR, USD",
            version: "1.2.3",
            services: &[Service::Auth, Service::Product],
        }
        .render()
        .unwrap()
    }

    #[test]
    fn every_service_has_a_link_to_its_document() {
        let page = page("http://demo.localhost:8080");
        for service in [Service::Auth, Service::Product] {
            let link = format!(
                "<li><a href=\"/openapi/{service}.json\">{service}</a> <span>{}</span></li>",
                service.purpose()
            );
            assert!(page.contains(&link), "{link}");
        }
        assert!(!page.contains("{{") && !page.contains("{%"));
    }

    #[test]
    fn the_commands_use_the_origin_of_the_request() {
        let page = page("http://demo.localhost:8080");
        assert!(page.contains("SHOP=http://demo.localhost:8080\n"));
    }

    #[test]
    fn a_hostile_host_header_is_escaped() {
        let page = page("http://<script>{{ shop }}\"'&");
        assert!(!page.contains("<script>"));
        assert!(page.contains("http://&#60;script&#62;{{ shop }}&#34;&#39;&#38;"));
    }
}
