//! Requests that two servers could read in two ways.

use std::sync::atomic::Ordering;

use crate::support::{Rig, raw, statuses};

const HOST: &str = "host: shop.example\r\n";

#[tokio::test]
async fn ambiguous_requests_are_refused_and_end_the_connection() {
    let (rig, backend) = Rig::simple(&[]).await;
    let smuggled = "GET /smuggled HTTP/1.1\r\nhost: shop.example\r\n\r\n";
    let cases = [
        format!(
            "POST / HTTP/1.1\r\n{HOST}content-length: 5\r\ncontent-length: 6\r\n\r\nhello{smuggled}"
        ),
        format!("POST / HTTP/1.1\r\n{HOST}content-length: 5, 5\r\n\r\nhello{smuggled}"),
        format!("POST / HTTP/1.1\r\n{HOST}content-length: +5\r\n\r\nhello{smuggled}"),
        format!("POST / HTTP/1.1\r\n{HOST}content-length: 0x5\r\n\r\nhello{smuggled}"),
        format!("POST / HTTP/1.1\r\n{HOST}transfer-encoding: xchunked\r\n\r\n0\r\n\r\n{smuggled}"),
        format!(
            "POST / HTTP/1.1\r\n{HOST}transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n{smuggled}"
        ),
        format!("POST / HTTP/1.0\r\n{HOST}transfer-encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}"),
        format!("POST / HTTP/1.1\r\n{HOST}transfer-encoding : chunked\r\n\r\n0\r\n\r\n{smuggled}"),
        format!("POST / HTTP/1.1\r\n{HOST} transfer-encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}"),
        format!("GET / HTTP/1.1\r\n{HOST}host: other.example\r\n\r\n{smuggled}"),
        format!("GET / HTTP/1.1\r\nx: y\r\n\r\n{smuggled}"),
        format!("GET / HTTP/1.1\r\nhost: a b\r\n\r\n{smuggled}"),
        format!("GET http://other.example/ HTTP/1.1\r\n{HOST}\r\n{smuggled}"),
        format!("GET /a/../b HTTP/1.1\r\n{HOST}\r\n{smuggled}"),
        format!("GET /a\\b HTTP/1.1\r\n{HOST}\r\n{smuggled}"),
        format!("GET / HTTP/1.1\r\n{HOST}x: a\rb\r\n\r\n{smuggled}"),
        format!("GET / HTTP/1.1\r\n{HOST}x: a\0b\r\n\r\n{smuggled}"),
    ];
    for case in cases {
        let answer = raw(rig.port, case.as_bytes()).await;
        assert_eq!(statuses(&answer), [400], "{case:?}: {answer}");
    }
    assert_eq!(backend.requests.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn with_both_lengths_chunks_win_and_the_connection_ends() {
    let (rig, backend) = Rig::simple(&[]).await;
    let case = format!(
        "POST / HTTP/1.1\r\n{HOST}content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n\
         5\r\nhello\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n{HOST}\r\n"
    );
    let answer = raw(rig.port, case.as_bytes()).await;
    assert!(
        statuses(&answer) == [200] || statuses(&answer) == [400],
        "{answer}"
    );
    assert!(!answer.contains("/smuggled"), "{answer}");
    assert!(backend.requests.load(Ordering::Relaxed) <= 1);
}

#[tokio::test]
async fn chunks_that_are_not_chunks_reach_nobody_as_a_whole() {
    let (rig, _backend) = Rig::simple(&[]).await;
    for chunks in [
        "zz\r\nhello\r\n0\r\n\r\n",
        "5\r\nhelloX\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
    ] {
        let case = format!("POST / HTTP/1.1\r\n{HOST}transfer-encoding: chunked\r\n\r\n{chunks}");
        let answer = raw(rig.port, case.as_bytes()).await;
        assert!(!answer.starts_with("HTTP/1.1 2"), "{chunks:?}: {answer}");
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_one_by_one_in_order() {
    let (rig, _backend) = Rig::simple(&[]).await;
    let one = |path: &str| format!("GET {path} HTTP/1.1\r\n{HOST}\r\n");
    let answer = raw(
        rig.port,
        [one("/1"), one("/2"), one("/3")].concat().as_bytes(),
    )
    .await;
    assert_eq!(statuses(&answer), [200, 200, 200]);
    let places: Vec<_> = ["/1", "/2", "/3"]
        .iter()
        .map(|path| answer.find(path))
        .collect();
    assert!(
        places.is_sorted() && places.iter().all(Option::is_some),
        "{answer}"
    );
}

#[tokio::test]
async fn tunnels_and_traces_are_refused() {
    let (rig, backend) = Rig::simple(&[]).await;
    for line in ["CONNECT other.example:443", "TRACE /"] {
        let answer = raw(
            rig.port,
            format!("{line} HTTP/1.1\r\n{HOST}\r\n").as_bytes(),
        )
        .await;
        let first = statuses(&answer);
        assert!(first == [405] || first == [400], "{line}: {answer}");
    }
    assert_eq!(backend.requests.load(Ordering::Relaxed), 0);
}
