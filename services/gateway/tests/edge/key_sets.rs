//! What the data plane tells of the key sets of policies.

use std::time::{Duration, Instant};

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::{GATEWAY, Rig, client, eventually, free_port, policy};
use crate::tokens::{Key, KeyServer, claims, document};

/// Serves the admin routes of a data plane that began a minute ago; returns where it tells whether it is ready.
pub async fn admin(rig: &Rig) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let began = Instant::now().checked_sub(Duration::from_secs(60));
    let router = gateway::control::admin_router(rig.gateway.shared(), began.expect("an instant"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/readyz")
}

pub async fn told(readyz: &str) -> (u16, Value) {
    let response = client().get(readyz).send().await.expect("an answer");
    let status = response.status().as_u16();
    (status, response.json().await.expect("JSON"))
}

fn keys_at(rig: &mut Rig, uri: &str) {
    let spec = json!({ "issuer": "i", "jwksUri": uri, "mode": "Required", "targetRefs": [
        {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": GATEWAY}]});
    rig.objects.jwt_policies = vec![policy("keys", spec)];
}

#[tokio::test]
async fn a_key_set_without_keys_is_named_with_the_reason_and_the_gateway_stays_ready() {
    let (mut rig, backend) = Rig::simple(&[]).await;
    let readyz = admin(&rig).await;
    let (status, well) = told(&readyz).await;
    assert_eq!((status, &well["degraded"]), (200, &json!({})));
    let nobody = format!("http://127.0.0.1:{}/jwks.json", free_port());
    let no_key_set = format!("http://{}/", backend.address);
    for (uri, why) in [
        (nobody, "failed to get the key set"),
        (no_key_set, "malformed key set"),
    ] {
        keys_at(&mut rig, &uri);
        rig.publish().await;
        let (readyz, uri) = (&readyz, &uri);
        eventually("the reason is named", || async move {
            let (status, told) = told(readyz).await;
            // The kubelet takes it for a success, and warns.
            assert_eq!((status, &told["ready"]), (300, &json!(true)));
            let text = told["degraded"][uri].as_str().unwrap_or_default();
            text.contains(why)
        })
        .await;
    }
    rig.objects.jwt_policies.clear();
    rig.publish().await;
    assert_eq!(told(&readyz).await.1["degraded"], json!({}));
}

#[tokio::test]
async fn a_key_set_that_cannot_be_fetched_again_is_named_with_since_when_while_its_keys_serve() {
    let key = Key::new("one", Algorithm::EdDSA);
    let server = KeyServer::start(&[&key]).await;
    let (mut rig, _backend) = Rig::simple(&[]).await;
    let spec = json!({ "issuer": "https://shop.example", "jwksUri": server.url, "mode": "Required", "targetRefs": [
        {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": GATEWAY}]});
    rig.objects.jwt_policies = vec![policy("keys", spec)];
    rig.publish().await;
    let readyz = admin(&rig).await;
    let (readyz, url) = (&readyz, rig.url("/"));
    let ask = async |key: &Key| {
        let request = client().get(&url).bearer_auth(key.token(&claims()));
        request.send().await.expect("an answer").status()
    };
    assert_eq!(ask(&key).await, 200);
    assert_eq!(told(readyz).await.0, 200);

    server.show(None);
    // A key that is not known leads to a fetch.
    assert_eq!(ask(&Key::new("two", Algorithm::EdDSA)).await, 401);
    let (status, first) = told(readyz).await;
    let why = |told: &Value| {
        let degraded = told["degraded"].as_object().expect("an object");
        let why = degraded.get(&format!("refresh of {}", server.url));
        why.and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let first = why(&first);
    assert_eq!(status, 300);
    assert!(first.starts_with("has failed since 20"), "{first}");
    assert_eq!(ask(&key).await, 200);
    // Later failures do not change since when.
    let fetches = || server.fetches.load(std::sync::atomic::Ordering::Relaxed);
    let before = fetches();
    eventually("it is tried again", || async { fetches() > before }).await;
    let since = |why: &str| why[..40].to_owned();
    assert_eq!(since(&why(&told(readyz).await.1)), since(&first));

    server.show(Some(document(&[&key])));
    eventually("it is fetched again", || async {
        told(readyz).await.0 == 200
    })
    .await;
    assert_eq!(told(readyz).await.1["degraded"], json!({}));
}
