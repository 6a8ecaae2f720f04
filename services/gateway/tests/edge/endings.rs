//! The only pod of a Service ends, and its successor comes later.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::discovery::v1::EndpointConditions;
use serde_json::json;

use crate::support::{Backend, Rig, client, eventually};

/// The endpoints of a Service say that they are going.
fn ending(rig: &mut Rig) {
    for slice in &mut rig.objects.endpoint_slices {
        for endpoint in &mut Arc::make_mut(slice).endpoints {
            endpoint.conditions = Some(EndpointConditions {
                ready: Some(false),
                serving: Some(true),
                terminating: Some(true),
            });
        }
    }
}

async fn ask(url: String) -> u16 {
    let request = client().post(url).body("once");
    request.send().await.expect("an answer").status().as_u16()
}

#[tokio::test]
async fn a_pod_that_ends_answers_until_another_is_ready() {
    let (mut rig, _backend) = Rig::simple(&[]).await;
    assert_eq!(ask(rig.url("/")).await, 200);
    ending(&mut rig);
    rig.publish().await;
    assert_eq!(ask(rig.url("/")).await, 200);
}

#[tokio::test]
async fn requests_wait_for_the_successor_of_the_only_pod() {
    let (mut rig, old) = Rig::simple(&[]).await;
    // It is gone, whether its endpoint is gone too, or still said to serve.
    old.stop();
    for is_known in [true, false] {
        if is_known {
            ending(&mut rig);
        } else {
            rig.service("one", &[]);
        }
        rig.publish().await;
        let asked: Vec<_> = (0..20).map(|_| tokio::spawn(ask(rig.url("/")))).collect();
        eventually("the requests are in work", || async {
            rig.metric("http_server_active_requests") == 20
        })
        .await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(asked.iter().all(|asked| !asked.is_finished()));
        let new = Backend::start("new").await;
        rig.service("one", &[new.address]);
        rig.publish().await;
        for asked in asked {
            assert_eq!(asked.await.expect("joined"), 200);
        }
        new.stop();
    }
    let waited = rig.metric("gateway_upstream_waits_total{outcome=\"ended\"}");
    assert_eq!(waited, 40);
}

#[tokio::test]
async fn a_service_that_never_had_a_pod_is_not_waited_for() {
    let mut rig = Rig::start(&[]);
    rig.service("one", &[]);
    rig.route(
        "all",
        json!([{"backendRefs": [{"name": "one", "port": 80}]}]),
    );
    rig.publish().await;
    let asking = tokio::time::timeout(Duration::from_secs(2), ask(rig.url("/")));
    assert_eq!(asking.await.expect("at once"), 503);
    // Nor is one whose pods are ready and cannot be reached.
    rig.service("one", &[SocketAddr::from(([127, 0, 0, 1], 1))]);
    rig.publish().await;
    let asking = tokio::time::timeout(Duration::from_secs(2), ask(rig.url("/")));
    assert_eq!(asking.await.expect("at once"), 502);
}
