use std::sync::atomic::Ordering;

use serde_json::json;

use crate::support::{Rig, client, json as body, policy, raw, statuses};

#[tokio::test]
async fn bodies_and_heads_that_are_too_large_are_refused() {
    let (rig, backend) =
        Rig::simple(&["--max-body-bytes", "1000", "--max-head-bytes", "8192"]).await;
    let declared = client()
        .post(rig.url("/"))
        .body(vec![0; 1001])
        .send()
        .await
        .expect("an answer");
    assert_eq!(declared.status(), 413);
    assert_eq!(body(declared).await["code"], "body_too_large");
    assert_eq!(backend.requests.load(Ordering::Relaxed), 0);
    let fits = client()
        .post(rig.url("/"))
        .body(vec![0; 1000])
        .send()
        .await
        .expect("an answer");
    assert_eq!(fits.status(), 200);

    let chunk = format!("200\r\n{}\r\n", "x".repeat(512)).repeat(4);
    let head = "POST / HTTP/1.1\r\nhost: shop.example\r\ntransfer-encoding: chunked\r\n\r\n";
    let answer = raw(rig.port, format!("{head}{chunk}0\r\n\r\n").as_bytes()).await;
    assert_eq!(statuses(&answer), [413], "{answer}");

    let large = client()
        .get(rig.url("/"))
        .header("x-large", "x".repeat(9000))
        .send()
        .await;
    assert_eq!(large.expect("an answer").status(), 431);
    let huge = client()
        .get(rig.url("/"))
        .header("x-large", "x".repeat(40_000))
        .send()
        .await;
    assert_eq!(huge.expect("an answer").status(), 431);
}

#[tokio::test]
async fn the_quota_passes_and_what_exceeds_it_is_told_when_to_come_again() {
    let (mut rig, backend) = Rig::simple(&[]).await;
    rig.objects.rate_limit_policies = vec![policy(
        "login",
        json!({
            "targetRefs": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": "all"}],
            "limits": [{"path": "/v1/users/login", "method": "POST", "per": "ClientIP",
                "requests": 5, "window": "60s"}],
        }),
    )];
    rig.publish().await;
    let client = client();
    for left in (0..5).rev() {
        let response = client
            .post(rig.url("/v1/users/login"))
            .send()
            .await
            .expect("an answer");
        assert_eq!(response.status(), 200);
        assert_eq!(
            response.headers()["ratelimit-policy"],
            "\"login-0\";q=5;w=60"
        );
        let state = response.headers()["ratelimit"].to_str().expect("text");
        assert!(
            state.starts_with(&format!("\"login-0\";r={left};t=")),
            "{state}"
        );
    }
    // A change of the table does not give the quota back.
    rig.publish().await;
    let refused = client
        .post(rig.url("/v1/users/login"))
        .send()
        .await
        .expect("an answer");
    assert_eq!(refused.status(), 429);
    let wait: u64 = refused.headers()["retry-after"]
        .to_str()
        .expect("text")
        .parse()
        .expect("a number");
    assert!((1..=12).contains(&wait), "{wait}");
    assert_eq!(body(refused).await["code"], "too_many_requests");
    for (method, path) in [("GET", "/v1/users/login"), ("POST", "/v1/users/loginx")] {
        let method = method.parse().expect("a method");
        let other = client
            .request(method, rig.url(path))
            .send()
            .await
            .expect("an answer");
        assert_eq!(other.status(), 200, "{path}");
        assert!(!other.headers().contains_key("ratelimit"));
    }
    assert_eq!(backend.requests.load(Ordering::Relaxed), 7);
    assert_eq!(
        rig.metric("gateway_rate_limited_total{limit=\"shop/login#0\"}"),
        1
    );
}
