use std::sync::atomic::Ordering;

use http::StatusCode;
use serde_json::{Value, json};

use crate::support::{Backend, Rig, client, eventually, fresh_client, json as body};

#[tokio::test]
async fn many_requests_share_few_backend_connections() {
    let (rig, backend) = Rig::simple(&["--workers", "1"]).await;
    let client = fresh_client();
    for _ in 0..50 {
        let response = client.get(rig.url("/")).send().await.expect("an answer");
        assert_eq!(response.status(), StatusCode::OK);
        response.bytes().await.expect("a body");
    }
    assert_eq!(backend.requests.load(Ordering::Relaxed), 50);
    assert!(backend.connections.load(Ordering::Relaxed) <= 3);
    assert!(rig.metric("gateway_upstream_connections_total{outcome=\"reused\"}") >= 47);
}

#[tokio::test]
async fn weights_are_kept_to_the_request() {
    let (one, two) = (Backend::start("one").await, Backend::start("two").await);
    let mut rig = Rig::start(&["--workers", "1"]);
    rig.service("one", &[one.address]);
    rig.service("two", &[two.address]);
    rig.route(
        "all",
        json!([{"backendRefs": [
            {"name": "one", "port": 80, "weight": 7},
            {"name": "two", "port": 80, "weight": 2},
            {"name": "missing", "port": 80, "weight": 1},
        ]}]),
    );
    rig.publish().await;
    let client = client();
    let mut broken = 0;
    for _ in 0..100 {
        let status = client
            .get(rig.url("/"))
            .send()
            .await
            .expect("an answer")
            .status();
        broken += usize::from(status == StatusCode::INTERNAL_SERVER_ERROR);
    }
    let served = (
        one.requests.load(Ordering::Relaxed),
        two.requests.load(Ordering::Relaxed),
    );
    assert_eq!((served, broken), ((70, 20), 10));
}

#[tokio::test]
async fn a_backend_sees_who_asked_and_nothing_that_clients_made_up() {
    let (rig, _backend) = Rig::simple(&[]).await;
    let response = client()
        .post(rig.url("/a/b?x=1&y=%20z"))
        .header("host", "Shop.Example:8080")
        .header("x-forwarded-for", "10.0.0.1")
        .header("x-forwarded-proto", "https")
        .header("forwarded", "for=10.0.0.1")
        .header("connection", "x-secret")
        .header("x-secret", "1")
        .header("x-request-id", "abc-123")
        .body("hello")
        .send()
        .await
        .expect("an answer");
    assert_eq!(response.headers()["x-request-id"], "abc-123");
    let seen = body(response).await;
    assert_eq!(seen["target"], "/a/b?x=1&y=%20z");
    assert_eq!(
        (&seen["method"], &seen["length"]),
        (&json!("POST"), &json!(5))
    );
    let headers = &seen["headers"];
    assert_eq!(headers["host"], json!(["Shop.Example:8080"]));
    assert_eq!(headers["x-forwarded-for"], json!(["127.0.0.1"]));
    assert_eq!(headers["x-forwarded-proto"], json!(["http"]));
    assert_eq!(headers["x-forwarded-host"], json!(["Shop.Example:8080"]));
    assert_eq!(headers["x-request-id"], json!(["abc-123"]));
    for gone in ["forwarded", "x-secret", "connection"] {
        assert_eq!(headers[gone], Value::Null, "{gone}");
    }
    let line = rig.line("abc-123").await;
    assert_eq!(line["route"], "shop/all");
    assert_eq!(
        (&line["status"], &line["path"]),
        (&json!(200), &json!("/a/b"))
    );
    assert_eq!(
        (&line["bytes_in"], &line["method"]),
        (&json!(5), &json!("POST"))
    );
    assert!(line["upstream"].is_string() && line["duration_us"].is_number());
}

#[tokio::test]
async fn a_request_id_that_is_odd_is_replaced() {
    let (rig, _backend) = Rig::simple(&[]).await;
    let response = client()
        .get(rig.url("/"))
        .header("x-request-id", "a b")
        .send()
        .await;
    let id = response.expect("an answer").headers()["x-request-id"].clone();
    assert_eq!(id.len(), 32);
}

#[tokio::test]
async fn refusals_are_problems_with_a_code_and_the_request_id() {
    let (mut rig, backend) = Rig::simple(&[]).await;
    rig.service("empty", &[]);
    rig.service("dead", &[std::net::SocketAddr::from(([127, 0, 0, 1], 1))]);
    rig.route_spec(
        "all",
        json!({"hostnames": ["shop.example"], "rules": [
            {"matches": [{"path": {"value": "/empty"}}], "backendRefs": [{"name": "empty", "port": 80}]},
            {"matches": [{"path": {"value": "/dead"}}], "backendRefs": [{"name": "dead", "port": 80}]},
            {"matches": [{"path": {"value": "/internal"}}], "backendRefs": [{"name": "one", "port": 80}]},
            {"matches": [{"path": {"value": "/broken"}}], "backendRefs": [{"name": "one", "port": 80}],
             "filters": [{"type": "RequestMirror"}]},
        ]}),
    );
    rig.publish().await;
    let cases = [
        ("/nowhere", 404, "not_found"),
        ("/empty", 503, "no_backend"),
        ("/dead", 502, "bad_gateway"),
        ("/internal/v1/accounts", 404, "not_found"),
        ("//internal/v1/accounts", 404, "not_found"),
        ("/%69nternal", 404, "not_found"),
        ("/broken", 500, "broken_route"),
        ("/a%2fb", 400, "malformed_request"),
    ];
    for (path, status, code) in cases {
        let request = client().get(rig.url(path)).header("host", "shop.example");
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), status, "{path}");
        assert_eq!(
            response.headers()["content-type"],
            "application/problem+json"
        );
        let id = response.headers()["x-request-id"]
            .to_str()
            .expect("text")
            .to_owned();
        let problem = body(response).await;
        assert_eq!(
            (&problem["code"], &problem["request_id"]),
            (&json!(code), &json!(id)),
            "{path}"
        );
    }
    let elsewhere = client()
        .get(rig.url("/empty"))
        .send()
        .await
        .expect("an answer");
    assert_eq!(elsewhere.status(), 404);
    assert_eq!(backend.requests.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_dead_endpoint_costs_no_request_and_is_taken_out() {
    let alive = Backend::start("alive").await;
    let dead = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
    let mut rig = Rig::start(&["--workers", "1"]);
    rig.service("mixed", &[dead, alive.address]);
    rig.route(
        "all",
        json!([{"backendRefs": [{"name": "mixed", "port": 80}]}]),
    );
    rig.publish().await;
    for n in 0..20 {
        let request = client()
            .post(rig.url("/"))
            .body("not idempotent, but never sent");
        assert_eq!(
            request.send().await.expect("an answer").status(),
            200,
            "request {n}"
        );
    }
    assert_eq!(rig.metric("gateway_endpoint_ejections_total"), 1);
    assert_eq!(
        rig.metric("gateway_upstream_retries_total{reason=\"connect\"}"),
        3
    );
}

#[tokio::test]
async fn http2_clients_are_served_over_plain_tcp_too() {
    use bytes::Bytes;
    use http_body_util::{BodyExt, Full};
    use hyper_util::rt::{TokioExecutor, TokioIo};

    let (rig, _backend) = Rig::simple(&[]).await;
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", rig.port))
        .await
        .expect("connected");
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .expect("a handshake");
    tokio::spawn(connection);
    let request = http::Request::post("http://shop.example/over/h2")
        .body(Full::<Bytes>::from("hello"))
        .expect("a request");
    let response = sender.send_request(request).await.expect("an answer");
    assert_eq!(
        (response.status(), response.version()),
        (StatusCode::OK, http::Version::HTTP_2)
    );
    let seen = response
        .into_body()
        .collect()
        .await
        .expect("a body")
        .to_bytes();
    let seen: Value = serde_json::from_slice(&seen).expect("JSON");
    assert_eq!(
        (&seen["target"], &seen["length"]),
        (&json!("/over/h2"), &json!(5))
    );
    assert_eq!(seen["headers"]["host"], json!(["shop.example"]));
}

#[tokio::test]
async fn series_of_a_route_end_with_the_route() {
    let (mut rig, _backend) = Rig::simple(&[]).await;
    client()
        .get(rig.url("/"))
        .send()
        .await
        .expect("an answer")
        .bytes()
        .await
        .expect("a body");
    let series = "http_server_request_duration_seconds_count{http_request_method=\"GET\",\
        http_response_status_code=\"200\",http_route=\"shop/all\"}";
    eventually("the request is counted", || async {
        rig.metric(series) > 0
    })
    .await;
    assert!(rig.metric("gateway_upstream_duration_seconds_count{http_route=\"shop/all\"}") > 0);
    rig.objects.http_routes.clear();
    rig.publish().await;
    assert_eq!(rig.metric(series), 0);
    assert_eq!(rig.metric("gateway_config_generation"), 2);
    eventually("nothing is in work", || async {
        rig.metric("http_server_active_requests") == 0
    })
    .await;
}
