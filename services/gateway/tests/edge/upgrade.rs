use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Rig, raw, statuses};

/// Agrees to switch, then sends back whatever comes.
async fn echo_backend() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.expect("a head"));
                }
                let head = String::from_utf8(head).expect("text").to_ascii_lowercase();
                assert!(
                    head.contains("upgrade: websocket") && head.contains("connection: upgrade")
                );
                let switch = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\
                    connection: upgrade\r\nsec-websocket-accept: x\r\n\r\n";
                stream.write_all(switch.as_bytes()).await.expect("sent");
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    address
}

#[tokio::test]
async fn websockets_pass_through_and_outlive_a_change_of_the_table() {
    let mut rig = Rig::start(&[]);
    rig.service("ws", &[echo_backend().await]);
    rig.route(
        "all",
        json!([{"backendRefs": [{"name": "ws", "port": 80}]}]),
    );
    rig.publish().await;
    let mut stream = TcpStream::connect(("127.0.0.1", rig.port))
        .await
        .expect("connected");
    let ask = "GET /chat HTTP/1.1\r\nhost: shop.example\r\nconnection: keep-alive, Upgrade\r\n\
        upgrade: websocket\r\nsec-websocket-key: x\r\nsec-websocket-version: 13\r\n\r\n";
    stream.write_all(ask.as_bytes()).await.expect("sent");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a head"));
    }
    let head = String::from_utf8(head).expect("text").to_ascii_lowercase();
    assert!(
        head.starts_with("http/1.1 101") && head.contains("sec-websocket-accept: x"),
        "{head}"
    );
    for round in 0..3 {
        stream.write_all(b"ping!").await.expect("sent");
        let mut pong = [0; 5];
        let reading = stream.read_exact(&mut pong);
        tokio::time::timeout(Duration::from_secs(5), reading)
            .await
            .expect("in time")
            .expect("read");
        assert_eq!(&pong, b"ping!");
        rig.route(
            "all",
            json!([{"name": format!("r{round}"), "backendRefs": [{"name": "ws", "port": 80}]}]),
        );
        rig.publish().await;
    }
}

#[tokio::test]
async fn other_protocols_are_not_switched_to() {
    let (rig, _backend) = Rig::simple(&[]).await;
    let ask = "GET / HTTP/1.1\r\nhost: shop.example\r\nconnection: Upgrade, HTTP2-Settings\r\n\
        upgrade: h2c\r\nhttp2-settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n";
    let answer = raw(rig.port, ask.as_bytes()).await;
    assert_eq!(statuses(&answer), [200]);
    assert!(!answer.contains("http2-settings"), "{answer}");
}
