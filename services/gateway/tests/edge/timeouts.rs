use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Backend, Rig, client, json as body};

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
    tokio::io::AsyncWriteExt::write_all(&mut stream, head.as_bytes())
        .await
        .expect("sent");
    let mut answer = String::new();
    let reading = tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut answer);
    let read = tokio::time::timeout(Duration::from_secs(5), reading).await;
    assert!(
        read.is_ok() && answer.starts_with("HTTP/1.1 408"),
        "{answer}"
    );
}
