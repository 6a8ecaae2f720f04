use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use crate::support::{Rig, client, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaving_loses_no_request_and_ends_in_time() {
    let (rig, _backend) = Rig::simple(&[]).await;
    let shared = rig.gateway.shared();
    let (url, port) = (rig.url("/"), rig.port);
    let client = client();
    client
        .get(&url)
        .send()
        .await
        .expect("an answer")
        .bytes()
        .await
        .expect("a body");
    let slow = tokio::spawn(client.get(format!("{url}?sleep_ms=2000")).send());
    eventually("it is in work", || async {
        shared.metrics.render().is_ok_and(|text| {
            String::from_utf8_lossy(&text).contains("http_server_active_requests 1")
        })
    })
    .await;

    // As a Service does: new connections until the pod is known to leave, then none.
    let leaving = Arc::new(AtomicBool::new(false));
    let seen = leaving.clone();
    let steady = tokio::spawn(async move {
        let mut closes = 0;
        while !seen.load(Ordering::Relaxed) {
            let response = client.get(&url).send().await.expect("an answer");
            assert_eq!(response.status(), 200);
            closes += usize::from(
                response
                    .headers()
                    .get("connection")
                    .is_some_and(|v| v == "close"),
            );
            response.bytes().await.expect("a body");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        closes
    });
    let started = Instant::now();
    let draining = tokio::spawn(rig.gateway.drain());
    eventually("not ready", || async {
        shared.not_ready() == Some("draining")
    })
    .await;
    // A quarter of the drain time is for leaving: one second here.
    tokio::time::sleep(Duration::from_millis(700)).await;
    leaving.store(true, Ordering::Relaxed);
    assert!(
        steady.await.expect("no request failed") > 0,
        "clients were told to go"
    );
    assert_eq!(
        slow.await.expect("joined").expect("an answer").status(),
        200
    );
    draining.await.expect("joined").expect("drained");
    assert!(
        started.elapsed() < Duration::from_secs(6),
        "{:?}",
        started.elapsed()
    );
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_end_is_cut_at_the_deadline() {
    let (rig, _backend) = Rig::simple(&[]).await;
    let endless = tokio::spawn(client().get(rig.url("/?sleep_ms=9000")).send());
    eventually("it is in work", || async {
        rig.metric("http_server_active_requests") > 0
    })
    .await;
    let started = Instant::now();
    rig.gateway.drain().await.expect("drained");
    let took = started.elapsed();
    assert!((3..6).contains(&took.as_secs()), "{took:?}");
    assert!(endless.await.expect("joined").is_err());
}
