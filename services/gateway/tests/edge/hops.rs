//! Proxies in front of the gateway.

use serde_json::json;

use crate::support::{Rig, client, json as body, policy};

async fn rig(hops: &str) -> (Rig, crate::support::Backend) {
    let (mut rig, backend) = Rig::simple(&[]).await;
    rig.annotations = json!({"storefront.dev/trusted-hops": hops});
    rig.listeners(json!([{"name": "http", "port": rig.port, "protocol": "HTTP"}]));
    rig.objects.rate_limit_policies = vec![policy(
        "all",
        json!({
            "targetRefs": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": "all"}],
            "limits": [{"per": "ClientIP", "requests": 2, "window": "60s"}],
        }),
    )];
    rig.publish().await;
    (rig, backend)
}

async fn ask(rig: &Rig, chain: &str, id: &str) -> (u16, serde_json::Value) {
    let request = client()
        .get(rig.url("/"))
        .header("x-forwarded-for", chain)
        .header("x-forwarded-proto", "https")
        .header("x-request-id", id);
    let response = request.send().await.expect("an answer");
    (response.status().as_u16(), body(response).await)
}

#[tokio::test]
async fn behind_trusted_proxies_limits_logs_and_backends_take_the_address_that_these_saw() {
    let (rig, _backend) = rig("1").await;
    for (n, client) in ["192.0.2.1", "192.0.2.2"].into_iter().enumerate() {
        // What a client makes up stands in front of what the proxy adds.
        for made_up in ["6.6.6.6", "7.7.7.7", "8.8.8.8"] {
            let id = format!("hop-{n}-{made_up}");
            let (status, seen) = ask(&rig, &format!("{made_up}, {client}"), &id).await;
            let expected = if made_up == "8.8.8.8" { 429 } else { 200 };
            assert_eq!(status, expected, "{id}");
            assert_eq!(rig.line(&id).await["client"], client);
            if status == 200 {
                let headers = &seen["headers"];
                assert_eq!(headers["x-forwarded-for"], json!([client]));
                assert_eq!(headers["x-forwarded-proto"], json!(["https"]));
            }
        }
    }
}

#[tokio::test]
async fn without_trusted_proxies_nobody_chooses_an_address() {
    for hops in ["0", "nonsense"] {
        let (rig, _backend) = rig(hops).await;
        let mut passed = 0;
        for n in 0..4 {
            let (status, seen) = ask(&rig, &format!("192.0.2.{n}"), &format!("{hops}-{n}")).await;
            if status == 200 {
                passed += 1;
                assert_eq!(seen["headers"]["x-forwarded-for"], json!(["127.0.0.1"]));
                assert_eq!(seen["headers"]["x-forwarded-proto"], json!(["http"]));
            }
        }
        assert_eq!(passed, 2, "{hops}");
    }
}

#[tokio::test]
async fn fields_that_are_not_passed_on_are_counted() {
    let (rig, _backend) = Rig::simple(&[]).await;
    let request = client()
        .get(rig.url("/"))
        .header("x_user_id", "root")
        .header("forwarded", "for=10.0.0.1")
        .header("x-real-ip", "10.0.0.1");
    assert_eq!(request.send().await.expect("an answer").status(), 200);
    let count = |reason: &str| {
        rig.metric(&format!(
            "gateway_dropped_headers_total{{reason=\"{reason}\"}}"
        ))
    };
    assert_eq!((count("forwarding"), count("underscore")), (2, 1));
}
