#![doc = include_str!("../README.md")]

mod config;
mod page;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, REFERRER_POLICY};
use http::{HeaderMap, StatusCode};

pub use crate::config::{Config, Page};

/// The pages.
pub fn router(page: Page) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/favicon.ico", get(StatusCode::NO_CONTENT))
        .with_state(Arc::new(page))
}

async fn index(State(page): State<Arc<Page>>, headers: HeaderMap) -> impl IntoResponse {
    let origin = origin(&headers, &page.shop_url);
    let place = page::Place {
        shop: &page.shop_name,
        origin: &origin,
        currencies: &page.shop_currencies.replace(',', ", "),
        version: env!("CARGO_PKG_VERSION"),
    };
    let answered = [
        (CACHE_CONTROL, "no-store"),
        (
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
        ),
        (REFERRER_POLICY, "no-referrer"),
    ];
    (answered, axum::response::Html(page::render(&place)))
}

/// The address that the visitor typed: behind a forwarder its port is not the shop's own.
fn origin(headers: &HeaderMap, shop_url: &str) -> String {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let scheme = match text("x-forwarded-proto") {
        Some("https") => "https",
        _ => "http",
    };
    text("x-forwarded-host")
        .or_else(|| text(HOST.as_str()))
        .map_or_else(|| shop_url.to_owned(), |host| format!("{scheme}://{host}"))
}

#[cfg(test)]
mod tests {
    use http::Request;
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use super::*;

    async fn page(host: &str) -> (StatusCode, String) {
        let page = Page {
            shop_name: "demo".to_owned(),
            shop_url: "http://demo.localhost".to_owned(),
            shop_currencies: "EUR,USD".to_owned(),
        };
        let request = Request::get("/").header(HOST, host);
        let request = request.body(axum::body::Body::empty()).unwrap();
        let response = router(page).oneshot(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn the_page_repeats_the_port_that_the_visitor_used() {
        let (status, body) = page("demo.localhost:8080").await;
        assert_eq!(status, StatusCode::OK);
        assert!(body.contains("curl -s http://demo.localhost:8080/v1/users/login"));
        assert!(body.contains("EUR, USD"));
    }
}
