//! What the parser or a backend refuses arrives at the client, and leaves a trace.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Rig, client, eventually, json as body, policy, raw, statuses};

/// A route to a backend that answers each connection once, after it has read `reads` bytes, and then closes it
/// whatever is still sent. Counts the requests.
async fn curt(answer: String, reads: usize) -> (Rig, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let requests: Arc<AtomicUsize> = Arc::default();
    let counted = requests.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            let answer = answer.clone();
            tokio::spawn(async move {
                let (mut buffer, mut read) = (vec![0; 4096], 0);
                while read < reads {
                    match stream.read(&mut buffer).await {
                        Ok(count) if count > 0 => read += count,
                        _ => return,
                    }
                }
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    let mut rig = Rig::start(&[]);
    rig.service("curt", &[address]);
    rig.route(
        "all",
        json!([{"backendRefs": [{"name": "curt", "port": 80}]}]),
    );
    rig.publish().await;
    (rig, requests)
}

fn refusal() -> String {
    let problem = json!({"code": "body_too_large"}).to_string();
    format!(
        "HTTP/1.1 413 Payload Too Large\r\ncontent-type: application/problem+json\r\n\
         content-length: {}\r\n\r\n{problem}",
        problem.len()
    )
}

#[tokio::test]
async fn a_body_that_a_backend_refuses_for_its_size_is_a_413_for_the_client_each_time() {
    let (rig, _requests) = curt(refusal(), 1000).await;
    for n in 0..20 {
        let request = client().post(rig.url("/")).body(vec![0; 7_000_000]);
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), 413, "request {n}");
        assert_eq!(body(response).await["code"], "body_too_large");
    }
}

#[tokio::test]
async fn a_body_beyond_the_limit_of_a_service_of_ours_is_a_413_for_the_client_each_time() {
    let register =
        axum::routing::post(|body: axum::body::Bytes| async move { body.len().to_string() });
    let limit = axum::extract::DefaultBodyLimit::max(256 * 1024);
    let router = axum::Router::new().route("/", register).layer(limit);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let stop = tokio_util::sync::CancellationToken::new();
    let limits = chassis::ServeLimits::default();
    tokio::spawn(chassis::serve(listener, router, limits, stop.clone()));
    let mut rig = Rig::start(&[]);
    rig.service("auth", &[address]);
    rig.route(
        "all",
        json!([{"backendRefs": [{"name": "auth", "port": 80}]}]),
    );
    rig.publish().await;
    let asked = (0..40).map(|n| {
        let request = client().post(rig.url("/")).body(vec![0; 7_000_000]);
        tokio::spawn(async move { (n, request.send().await.expect("an answer").status()) })
    });
    for asked in asked.collect::<Vec<_>>() {
        let (n, status) = asked.await.expect("joined");
        assert_eq!(status, 413, "request {n}");
    }
    stop.cancel();
}

#[tokio::test]
async fn a_client_that_sends_its_whole_body_before_it_reads_gets_the_refusal_too() {
    let large = 20_000_000;
    let (rig, _requests) = curt(refusal(), 1000).await;
    // Beyond the gateway's own limit, and beyond that of the backend.
    for length in [large, 7_000_000] {
        for n in 0..5 {
            let mut stream = TcpStream::connect(("127.0.0.1", rig.port))
                .await
                .expect("connected");
            let head = format!(
                "POST / HTTP/1.1\r\nhost: shop.example\r\ncontent-length: {length}\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).await.expect("the head");
            stream.write_all(&vec![0; length]).await.expect("the body");
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.expect("the answer");
            let answer = String::from_utf8_lossy(&answer);
            assert_eq!(statuses(&answer), [413], "{length} bytes, {n}: {answer}");
            assert!(answer.contains("connection: close"), "{answer}");
        }
    }
}

/// A problem document in a raw answer.
fn problem(answer: &str) -> Value {
    let (_, body) = answer.split_once("\r\n\r\n").expect("a head");
    serde_json::from_str(body).expect("a problem")
}

#[tokio::test]
async fn what_the_parser_refuses_is_a_problem_with_a_line_and_a_count() {
    let (rig, backend) = Rig::simple(&["--max-head-bytes", "8192"]).await;
    let host = "host: shop.example\r\n";
    let fields = (0..120).fold(String::new(), |all, n| format!("{all}x-{n}: 1\r\n"));
    let cases = [
        (
            format!("GET / HTTP/1.1\r\n{host}x: a\0b\r\n\r\n"),
            400,
            "malformed_request",
        ),
        (
            "G@T / HTTP/1.1\r\n\r\n".to_owned(),
            400,
            "malformed_request",
        ),
        (
            "GET / HTTP/7.1\r\n\r\n".to_owned(),
            400,
            "malformed_request",
        ),
        (
            format!("GET / HTTP/1.1\r\n{host}{fields}\r\n"),
            431,
            "head_too_large",
        ),
        (
            format!("GET / HTTP/1.1\r\n{host}x: {}\r\n\r\n", "x".repeat(70_000)),
            431,
            "head_too_large",
        ),
        (
            format!("GET /{} HTTP/1.1\r\n{host}\r\n", "x".repeat(70_000)),
            431,
            "head_too_large",
        ),
    ];
    let series = |status: u16| {
        format!(
            "http_server_request_duration_seconds_count{{http_request_method=\"_OTHER\",\
             http_response_status_code=\"{status}\",http_route=\"\"}}"
        )
    };
    let mut counted = (0, 0);
    for (case, status, code) in cases {
        let answer = raw(rig.port, case.as_bytes()).await;
        let shown: String = case.chars().take(40).collect();
        assert_eq!(statuses(&answer), [status], "{shown:?}: {answer}");
        assert!(answer.contains("application/problem+json"), "{answer}");
        let problem = problem(&answer);
        assert_eq!(problem["code"], code, "{shown:?}");
        let id = problem["request_id"].as_str().expect("an id").to_owned();
        assert!(answer.contains(&format!("x-request-id: {id}")), "{answer}");
        let line = rig.line(&id).await;
        assert_eq!(line["status"], status);
        assert_eq!(line["client"], "127.0.0.1");
        if status == 400 {
            counted.0 += 1;
        } else {
            counted.1 += 1;
        }
        eventually("it is counted", || async {
            (rig.metric(&series(400)), rig.metric(&series(431))) == counted
        })
        .await;
    }
    assert_eq!(backend.requests.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_refusal_of_the_parser_behind_good_requests_leaves_their_answers_whole() {
    let (rig, _backend) = Rig::simple(&[]).await;
    let good = "GET /?status=400 HTTP/1.1\r\nhost: shop.example\r\n\r\n";
    let answer = raw(
        rig.port,
        format!("{good}{good}G@T / HTTP/1.1\r\n\r\n").as_bytes(),
    )
    .await;
    assert_eq!(statuses(&answer), [400, 400, 400], "{answer}");
    assert_eq!(answer.matches("\"backend\":\"one\"").count(), 2, "{answer}");
    assert_eq!(
        answer.matches("\"code\":\"malformed_request\"").count(),
        1,
        "{answer}"
    );
}

#[tokio::test]
async fn a_response_with_too_many_fields_is_refused_with_the_reason_after_one_request() {
    let fields = (0..120).fold(String::new(), |all, n| format!("{all}x-{n}: 1\r\n"));
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n{fields}\r\n");
    let (rig, requests) = curt(answer, 1).await;
    let response = client().get(rig.url("/")).send().await.expect("an answer");
    assert_eq!(response.status(), 502);
    let problem = body(response).await;
    let title = problem["title"].as_str().expect("a title");
    assert!(title.contains("more than 100 header fields"), "{title}");
    assert_eq!(requests.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn fields_of_a_request_are_limited_together_with_those_that_the_gateway_adds() {
    let (rig, backend) = Rig::simple(&[]).await;
    let ask = async |count: usize| {
        let request = (0..count).fold(client().get(rig.url("/")), |request, n| {
            request.header(format!("x-{n}"), "1")
        });
        request.send().await.expect("an answer")
    };
    assert_eq!(ask(90).await.status(), 200);
    let refused = ask(98).await;
    assert_eq!(refused.status(), 431);
    assert_eq!(body(refused).await["code"], "head_too_large");
    assert_eq!(backend.requests.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_refused_request_with_a_small_body_does_not_end_the_connection() {
    let (rig, _backend) = Rig::simple(&[]).await;
    let one = "POST /internal/x HTTP/1.1\r\nhost: shop.example\r\ncontent-length: 5\r\n\r\nhello";
    let answer = raw(rig.port, one.repeat(3).as_bytes()).await;
    assert_eq!(statuses(&answer), [404, 404, 404], "{answer}");
    assert!(!answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn a_connection_whose_request_was_read_to_the_end_stays_open() {
    let (rig, _backend) = Rig::simple(&[]).await;
    let one = "POST / HTTP/1.1\r\nhost: shop.example\r\ncontent-length: 5\r\n\r\nhello";
    let mut stream = TcpStream::connect(("127.0.0.1", rig.port))
        .await
        .expect("connected");
    for _ in 0..3 {
        stream.write_all(one.as_bytes()).await.expect("sent");
        let mut buffer = vec![0; 8192];
        let reading = stream.read(&mut buffer);
        let count = tokio::time::timeout(Duration::from_secs(5), reading).await;
        let count = count.expect("in time").expect("an answer");
        let answer = String::from_utf8_lossy(&buffer[..count]);
        assert_eq!(statuses(&answer), [200]);
        assert!(!answer.contains("connection: close"), "{answer}");
        assert!(
            answer.contains("x-content-type-options: nosniff"),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn a_backend_that_a_policy_wants_to_be_asked_over_tls_is_not_asked_at_all() {
    let (mut rig, backend) = Rig::simple(&[]).await;
    let spec = json!({"targetRefs": [{"group": "", "kind": "Service", "name": "one"}]});
    rig.objects.backend_tls_policies = vec![policy("tls", spec)];
    rig.publish().await;
    let response = client().get(rig.url("/")).send().await.expect("an answer");
    assert_eq!(response.status(), 503);
    let request_id = response.headers()["x-request-id"]
        .to_str()
        .expect("text")
        .to_owned();
    assert_eq!(body(response).await["code"], "backend_tls_required");
    assert_eq!(rig.line(&request_id).await["status"], 503);
    assert_eq!(backend.connections.load(Ordering::Relaxed), 0);
    let series = "gateway_upstream_connections_total{outcome=\"tls_required\"}";
    assert_eq!(rig.metric(series), 1);
}
