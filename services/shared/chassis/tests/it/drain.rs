//! How a server ends.

use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use chassis::{ServeLimits, Tasks, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

async fn server(drain: Duration) -> (String, Tasks, CancellationToken) {
    let slow = || async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        "done"
    };
    let stuck = get(std::future::pending::<String>);
    let router = Router::new()
        .route("/slow", get(slow))
        .route("/stuck", stuck);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (tasks, stop) = (Tasks::new(), CancellationToken::new());
    let limits = ServeLimits {
        drain,
        ..ServeLimits::default()
    };
    tasks.spawn("server", serve(listener, router, limits, stop.clone()));
    (address, tasks, stop)
}

async fn send(address: &str, path: &str) -> TcpStream {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
    socket.write_all(head.as_bytes()).await.unwrap();
    socket
}

#[tokio::test]
async fn a_request_that_is_being_served_is_finished_and_idle_connections_do_not_hold_the_end() {
    let (address, tasks, stop) = server(Duration::from_secs(10)).await;
    let _idle = TcpStream::connect(&address).await.unwrap();
    let mut busy = send(&address, "/slow").await;
    // The request has arrived when the server has begun to answer another one.
    send(&address, "/slow").await.read_u8().await.unwrap();
    let mut late = send(&address, "/slow").await;
    tokio::time::timeout(Duration::from_secs(5), async {
        stop.cancel();
        tasks.stop().await;
    })
    .await
    .expect("no waiting for idle connections");
    let mut answer = String::new();
    busy.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("done"), "{answer}");
    // Whatever became of the one that came at the last moment, its connection is over.
    let _ = late.read_to_string(&mut answer).await;
    assert!(TcpStream::connect(&address).await.is_err());
}

#[tokio::test]
async fn a_stuck_request_is_cut_at_the_deadline() {
    let (address, tasks, stop) = server(Duration::from_millis(200)).await;
    let mut stuck = send(&address, "/stuck").await;
    send(&address, "/slow").await.read_u8().await.unwrap();
    let started = Instant::now();
    stop.cancel();
    tasks.stop().await;
    assert!(started.elapsed() < Duration::from_secs(5));
    let mut nothing = Vec::new();
    let _ = stuck.read_to_end(&mut nothing).await;
    assert!(nothing.is_empty());
}
