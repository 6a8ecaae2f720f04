//! Nothing is lost while everything changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Backend, Rig, client};

/// Requests until told to stop; every answer that is not 200 is kept.
async fn load(url: String, stop: Arc<AtomicBool>, sent: Arc<AtomicUsize>) -> Vec<String> {
    let client = client();
    let mut lost = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let is_post = sent.fetch_add(1, Ordering::Relaxed).is_multiple_of(4);
        let request = if is_post {
            client.post(&url).body("x")
        } else {
            client.get(&url)
        };
        match request.send().await {
            Ok(response) if response.status() == 200 => {
                response.bytes().await.expect("a whole body");
            }
            Ok(response) => lost.push(format!("{} {:?}", response.status(), response.text().await)),
            Err(error) => lost.push(format!("{error:?}")),
        }
    }
    lost
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_is_lost_while_pods_routes_and_listeners_change() {
    let mut rig = Rig::start(&[]);
    let mut pods = vec![Backend::start("pod-0").await, Backend::start("pod-1").await];
    let addresses = |pods: &[Backend]| pods.iter().map(|pod| pod.address).collect::<Vec<_>>();
    rig.service("shop", &addresses(&pods));
    rig.route(
        "all",
        json!([{"backendRefs": [{"name": "shop", "port": 80}]}]),
    );
    rig.publish().await;

    let (stop, sent) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let clients: Vec<_> = (0..8)
        .map(|_| tokio::spawn(load(rig.url("/"), stop.clone(), sent.clone())))
        .collect();
    let until = Instant::now() + Duration::from_secs(5);
    let mut round = 0;
    while Instant::now() < until {
        round += 1;
        // A rolling update: the new pod is ready, then the old one leaves the endpoints, then it ends.
        pods.push(Backend::start(&format!("pod-{}", round + 1)).await);
        let old = pods.remove(0);
        rig.service("shop", &addresses(&pods));
        let header = json!({"set": [{"name": "x-round", "value": round.to_string()}]});
        rig.route(
            "all",
            json!([{
                "backendRefs": [{"name": "shop", "port": 80}],
                "filters": [{"type": "RequestHeaderModifier", "requestHeaderModifier": header}],
            }]),
        );
        rig.publish().await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        old.stop();
    }
    stop.store(true, Ordering::Relaxed);
    let mut lost = Vec::new();
    for client in clients {
        lost.extend(client.await.expect("joined"));
    }
    let sent = sent.load(Ordering::Relaxed);
    assert!(
        sent > 500 && round > 10,
        "{sent} requests in {round} rounds"
    );
    assert!(
        lost.is_empty(),
        "{} of {sent} lost: {:?}",
        lost.len(),
        &lost[..lost.len().min(3)]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_that_dies_without_a_word_costs_no_idempotent_request() {
    let (one, two) = (Backend::start("one").await, Backend::start("two").await);
    let mut rig = Rig::start(&[]);
    rig.service("shop", &[one.address, two.address]);
    rig.route(
        "all",
        json!([{"backendRefs": [{"name": "shop", "port": 80}]}]),
    );
    rig.publish().await;
    let client = client();
    for n in 0..200 {
        if n == 50 {
            // Still in the endpoints, but not there any more.
            one.stop();
        }
        let response = client.get(rig.url("/")).send().await.expect("an answer");
        assert_eq!(response.status(), 200, "request {n}");
    }
}
