use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Backend, Rig, client, eventually, json as body, statuses};

#[tokio::test]
async fn a_slow_backend_is_answered_for_in_time() {
    let backend = Backend::start("one").await;
    let mut rig = Rig::start(&["--request-timeout-secs", "1"]);
    rig.service("one", &[backend.address]);
    let to = json!([{"name": "one", "port": 80}]);
    let at = |path: &str| json!([{"path": {"value": path}}]);
    rig.route(
        "all",
        json!([
            {"matches": at("/short"), "backendRefs": to, "timeouts": {"request": "100ms"}},
            {"matches": at("/each"), "backendRefs": to, "timeouts": {"backendRequest": "100ms"}},
            {"matches": at("/never"), "backendRefs": to, "timeouts": {"request": "0s"}},
            {"matches": at("/default"), "backendRefs": to},
        ]),
    );
    rig.publish().await;
    for (path, status, at_most) in [
        ("/short?sleep_ms=3000", 504, 900),
        ("/each?sleep_ms=3000", 504, 900),
        ("/default?sleep_ms=5000", 504, 2500),
        ("/never?sleep_ms=1500", 200, 5000),
        ("/short", 200, 900),
    ] {
        let started = Instant::now();
        let response = client().get(rig.url(path)).send().await.expect("an answer");
        assert_eq!(response.status(), status, "{path}");
        assert!(
            started.elapsed() < Duration::from_millis(at_most),
            "{path}: {:?}",
            started.elapsed()
        );
        if status == 504 {
            assert_eq!(body(response).await["code"], "backend_timeout");
        }
    }
}

#[tokio::test]
async fn a_client_that_does_not_finish_its_body_is_told_so() {
    let (rig, _backend) = Rig::simple(&["--request-timeout-secs", "1"]).await;
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", rig.port))
        .await
        .expect("connected");
    let head = "POST / HTTP/1.1\r\nhost: shop.example\r\ncontent-length: 10\r\n\r\nhello";
    stream.write_all(head.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    let reading = tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut answer);
    let read = tokio::time::timeout(Duration::from_secs(5), reading).await;
    assert!(
        read.is_ok() && answer.starts_with("HTTP/1.1 408"),
        "{answer}"
    );
}

/// Sends bytes, then one more every 200 ms if `trickles`, and reads until the gateway closes the connection.
async fn stall(rig: &Rig, bytes: &str, trickles: bool) -> String {
    let stream = TcpStream::connect(("127.0.0.1", rig.port))
        .await
        .expect("connected");
    let (mut reading, mut writing) = stream.into_split();
    writing.write_all(bytes.as_bytes()).await.expect("sent");
    let trickling = tokio::spawn(async move {
        while trickles && writing.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        // Dropped, it would end what the client sends.
        std::future::pending::<()>().await;
        drop(writing);
    });
    let mut answer = String::new();
    let read = reading.read_to_string(&mut answer);
    let read = tokio::time::timeout(Duration::from_secs(8), read).await;
    trickling.abort();
    assert!(read.is_ok(), "the connection stays open after {bytes:?}");
    answer
}

const TIMED_OUT: &str = "http_server_request_duration_seconds_count{http_request_method=\"_OTHER\",\
     http_response_status_code=\"408\",http_route=\"\"}";

#[tokio::test]
async fn a_head_that_does_not_arrive_in_time_is_refused_with_a_line_and_a_count() {
    let (rig, backend) = Rig::simple(&["--head-timeout-secs", "1"]).await;
    let good = "GET /first HTTP/1.1\r\nhost: shop.example\r\n\r\n";
    let cases = [
        ("GET / HTTP/1.1\r\nhost: shop.example\r\n", false),
        ("GET / HTTP/1.1\r\nhost: shop.example\r\nx-slow: ", true),
        ("G", false),
        // As HTTP/2 begins.
        ("PRI * HTTP", false),
    ];
    for (number, (bytes, trickles)) in (1..).zip(cases) {
        let answer = stall(&rig, bytes, trickles).await;
        let (head, problem) = answer.split_once("\r\n\r\n").expect("a response");
        assert!(head.starts_with("HTTP/1.1 408 "), "{bytes:?}: {answer}");
        for field in [
            "connection: close",
            "content-type: application/problem+json",
        ] {
            assert!(head.lines().any(|line| line == field), "{field}: {head}");
        }
        let problem: Value = serde_json::from_str(problem).expect("a document");
        assert_eq!(problem["code"], "request_timeout");
        let id = head
            .lines()
            .find_map(|line| line.strip_prefix("x-request-id: "));
        let line = rig.line(id.expect("a request id")).await;
        assert_eq!(line["status"], 408, "{bytes:?}");
        eventually("it is counted", || async {
            rig.metric(TIMED_OUT) == number
        })
        .await;
    }
    // Behind a good request on the same connection.
    let mut stream = TcpStream::connect(("127.0.0.1", rig.port))
        .await
        .expect("connected");
    stream.write_all(good.as_bytes()).await.expect("sent");
    eventually("the first one is answered", || async {
        backend.requests.load(std::sync::atomic::Ordering::Relaxed) == 1
    })
    .await;
    let mut answer = vec![0; 4096];
    let count = stream.read(&mut answer).await.expect("an answer");
    assert!(answer[..count].starts_with(b"HTTP/1.1 200"));
    stream.write_all(b"GET /sec").await.expect("sent");
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await.expect("the rest");
    assert!(rest.contains("HTTP/1.1 408 "), "{rest}");
    eventually("it is counted", || async { rig.metric(TIMED_OUT) == 5 }).await;
}

#[tokio::test]
async fn a_part_of_a_head_behind_whole_requests_is_refused_like_one_that_came_alone() {
    let (rig, backend) = Rig::simple(&["--head-timeout-secs", "1"]).await;
    let get = "GET /first HTTP/1.1\r\nhost: shop.example\r\n\r\n";
    let sized = "POST / HTTP/1.1\r\nhost: shop.example\r\ncontent-length: 5\r\n\r\nhello";
    let chunked = "POST / HTTP/1.1\r\nhost: shop.example\r\ntransfer-encoding: chunked\r\n\r\n\
                   5\r\nhello\r\n0\r\n\r\n";
    let cases = [
        (get.to_owned(), 1, "GET /second", false),
        (
            get.repeat(2),
            2,
            "GET / HTTP/1.1\r\nhost: shop.example\r\n",
            false,
        ),
        (sized.to_owned(), 1, "G", false),
        (
            chunked.to_owned(),
            1,
            "GET /second HTTP/1.1\r\nx-slow: ",
            true,
        ),
    ];
    let (mut refused, mut whole) = (0, 0);
    for (good, count, part, trickles) in cases {
        let answer = stall(&rig, &format!("{good}{part}"), trickles).await;
        let mut expected = vec![200; count];
        expected.push(408);
        assert_eq!(statuses(&answer), expected, "{part:?}: {answer}");
        let (_, head) = answer.rsplit_once("HTTP/1.1 408 ").expect("a refusal");
        let id = head
            .lines()
            .find_map(|line| line.strip_prefix("x-request-id: "));
        let line = rig.line(id.expect("a request id")).await;
        assert_eq!(line["status"], 408, "{part:?}");
        refused += 1;
        whole += count;
        eventually("it is counted", || async {
            rig.metric(TIMED_OUT) == refused
        })
        .await;
    }
    // Empty lines are no part of a head.
    let answer = stall(&rig, &format!("{get}\r\n\r\n"), false).await;
    assert_eq!(statuses(&answer), [200], "{answer}");
    assert_eq!(rig.metric(TIMED_OUT), refused);
    let asked = backend.requests.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(asked, whole + 1);
}

#[tokio::test]
async fn a_connection_without_a_request_is_closed_in_time_and_is_no_refusal() {
    let (rig, _backend) = Rig::simple(&["--head-timeout-secs", "1"]).await;
    assert_eq!(stall(&rig, "", false).await, "");
    let good = "GET / HTTP/1.1\r\nhost: shop.example\r\nx-request-id: only-one\r\n\r\n";
    let answer = stall(&rig, good, false).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1").count(), 1);
    rig.line("only-one").await;
    let lines = rig.log.lock().expect("the log").clone();
    assert_eq!(String::from_utf8(lines).expect("text").lines().count(), 1);
    assert_eq!(rig.metric(TIMED_OUT), 0);
}
