//! What the data plane tells of the key sets of policies.

use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::{GATEWAY, Rig, client, eventually, free_port, policy};

/// Serves the admin routes of a data plane; returns where it tells whether it is ready.
async fn admin(rig: &Rig) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let router = gateway::control::admin_router(rig.gateway.shared());
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/readyz")
}

async fn told(readyz: &str) -> (u16, Value) {
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
    assert_eq!(told(&readyz).await.1["degraded"], json!({}));
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
            assert_eq!((status, &told["ready"]), (200, &json!(true)));
            let text = told["degraded"][uri].as_str().unwrap_or_default();
            text.contains(why)
        })
        .await;
    }
    rig.objects.jwt_policies.clear();
    rig.publish().await;
    assert_eq!(told(&readyz).await.1["degraded"], json!({}));
}
