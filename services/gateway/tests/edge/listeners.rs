use serde_json::json;
use tokio::net::TcpStream;

use crate::support::{Rig, client, eventually, free_port, json as body};

#[tokio::test]
async fn listeners_come_and_go_at_run_time() {
    let (mut rig, _backend) = Rig::simple(&[]).await;
    let (first, second) = (rig.port, free_port());
    let listener = |name: &str, port: u16| json!({"name": name, "port": port, "protocol": "HTTP"});
    let url = |port: u16| format!("http://127.0.0.1:{port}/");
    assert!(client().get(url(second)).send().await.is_err());

    rig.listeners(json!([listener("http", first), listener("more", second)]));
    rig.publish().await;
    let pooled = client();
    assert_eq!(
        pooled
            .get(url(first))
            .send()
            .await
            .expect("an answer")
            .status(),
        200
    );
    assert_eq!(
        client()
            .get(url(second))
            .send()
            .await
            .expect("an answer")
            .status(),
        200
    );

    rig.listeners(json!([listener("more", second)]));
    // What is in work when its listener goes is still finished.
    let slow = tokio::spawn(client().get(format!("{}?sleep_ms=800", url(first))).send());
    eventually("it is in work", || async {
        rig.metric("http_server_active_requests") > 0
    })
    .await;
    rig.publish().await;
    eventually("the port is closed", || async {
        TcpStream::connect(("127.0.0.1", first)).await.is_err()
    })
    .await;
    assert_eq!(
        slow.await.expect("joined").expect("an answer").status(),
        200
    );
    assert_eq!(
        client()
            .get(url(second))
            .send()
            .await
            .expect("an answer")
            .status(),
        200
    );
}

#[tokio::test]
async fn a_port_that_is_taken_is_bound_as_soon_as_it_is_free() {
    let (mut rig, _backend) = Rig::simple(&[]).await;
    let port = free_port();
    let taken = std::net::TcpListener::bind(("127.0.0.1", port)).expect("a port");
    rig.listeners(json!([{"name": "more", "port": port, "protocol": "HTTP"}]));
    rig.gateway
        .publish(rig.objects.clone(), &rig.secrets)
        .expect("published");
    let shared = rig.gateway.shared();
    eventually("not ready", || async { shared.not_ready().is_some() }).await;
    drop(taken);
    eventually("ready", || async {
        shared.not_ready().is_none() && shared.serves(2)
    })
    .await;
    let response = client()
        .get(format!("http://127.0.0.1:{port}/"))
        .send()
        .await;
    assert_eq!(response.expect("an answer").status(), 200);
}

#[tokio::test]
async fn beside_a_named_listener_one_without_hostname_serves_every_other_host() {
    let (mut rig, _backend) = Rig::simple(&[]).await;
    let port = rig.port;
    rig.listeners(json!([
        {"name": "http", "port": port, "protocol": "HTTP", "hostname": "demo.localhost"},
        {"name": "http-other", "port": port, "protocol": "HTTP"},
    ]));
    rig.publish().await;
    for host in [
        "demo.localhost",
        "127.0.0.1",
        "localhost:8080",
        "[::1]:8080",
    ] {
        let response = client().get(rig.url("/")).header("host", host).send().await;
        let response = response.expect("a response");
        assert_eq!(response.status(), 200, "{host}");
        let seen = body(response).await;
        assert_eq!(
            seen["headers"]["host"],
            json!([host]),
            "the host is not rewritten"
        );
    }
}
