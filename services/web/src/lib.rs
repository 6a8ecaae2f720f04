#![doc = include_str!("../README.md")]

mod config;
mod page;

use std::net::IpAddr;
use std::sync::Arc;

use askama::Template as _;
use axum::Router;
use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use chassis::Problem;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, REFERRER_POLICY};
use http::{HeaderMap, StatusCode};
use service_catalogue::Service;

use crate::page::StartPage;

pub use crate::config::{Config, Page};

/// The pages.
pub fn router(page: Page) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/favicon.ico", get(StatusCode::NO_CONTENT))
        .with_state(Arc::new(page))
}

async fn index(State(page): State<Arc<Page>>, headers: HeaderMap) -> Result<Response, Problem> {
    let services: Vec<Service> = Service::ALL.into_iter().filter(|s| s.has_api()).collect();
    let start_page = StartPage {
        shop: &page.shop_name,
        origin: &origin(&headers, &page),
        currencies: &page.shop_currencies.replace(',', ", "),
        version: env!("CARGO_PKG_VERSION"),
        services: &services,
    };
    let html = start_page
        .render()
        .map_err(|error| Problem::internal(&error))?;
    let headers = [
        (CACHE_CONTROL, "no-store"),
        (
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
        (REFERRER_POLICY, "no-referrer"),
    ];
    Ok((headers, Html(html)).into_response())
}

/// The origin of the visitor's request: behind a port forwarder its port is not the shop's own. Links never
/// repeat a host that is neither listed nor a loopback host.
fn origin(headers: &HeaderMap, page: &Page) -> String {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let scheme = match text("x-forwarded-proto") {
        Some("https") => "https",
        _ => "http",
    };
    text("x-forwarded-host")
        .or_else(|| text(HOST.as_str()))
        .filter(|authority| may_repeat(authority, &page.shop_hosts))
        .map_or_else(
            || page.shop_url.clone(),
            |authority| format!("{scheme}://{authority}"),
        )
}

fn may_repeat(authority: &str, listed: &[String]) -> bool {
    let Ok(authority) = authority.parse::<http::uri::Authority>() else {
        return false;
    };
    if authority.as_str().contains('@') {
        return false;
    }
    let host = authority.host().to_ascii_lowercase();
    let ip = host.trim_start_matches('[').trim_end_matches(']');
    listed.is_empty()
        || listed.contains(&host)
        || host == "localhost"
        || host.ends_with(".localhost")
        || ip.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use http::Request;
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use super::*;

    async fn page(host: &str) -> (StatusCode, String) {
        page_of(host, &[]).await
    }

    async fn page_of(host: &str, hosts: &[&str]) -> (StatusCode, String) {
        let page = Page {
            shop_name: "demo".to_owned(),
            shop_url: "http://demo.example".to_owned(),
            shop_hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
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
    async fn no_other_site_may_frame_the_page() {
        let page = Page {
            shop_name: "demo".to_owned(),
            shop_url: "http://demo.example".to_owned(),
            shop_hosts: Vec::new(),
            shop_currencies: "EUR".to_owned(),
        };
        let request = Request::get("/").body(axum::body::Body::empty()).unwrap();
        let response = router(page).oneshot(request).await.unwrap();
        let policy = response.headers()[CONTENT_SECURITY_POLICY]
            .to_str()
            .unwrap();
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    }

    #[tokio::test]
    async fn the_page_repeats_the_port_that_the_visitor_used() {
        let (status, body) = page("demo.localhost:8080").await;
        assert_eq!(status, StatusCode::OK);
        assert!(body.contains("SHOP=http://demo.localhost:8080\n"));
        assert!(body.contains("EUR, USD"));
    }

    #[tokio::test]
    async fn of_any_host_only_a_listed_or_a_loopback_one_is_repeated() {
        let listed = ["demo.example"];
        for host in [
            "demo.example",
            "DEMO.example:8080",
            "127.0.0.1:30080",
            "[::1]:30080",
            "localhost:30080",
            "shop.localhost",
        ] {
            let (_, body) = page_of(host, &listed).await;
            assert!(body.contains(&format!("SHOP=http://{host}\n")), "{host}");
        }
        for host in [
            "attacker.example",
            "127.0.0.1.attacker.example",
            "attacker.example/x",
            "10.0.0.1",
            "someone@localhost",
        ] {
            let (_, body) = page_of(host, &listed).await;
            assert!(!body.contains(host), "{host}");
            assert!(body.contains("SHOP=http://demo.example\n"), "{host}");
        }
    }
}
