use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use crate::support::{Backend, Rig, client, json as body};

#[tokio::test]
async fn headers_are_set_added_and_removed_both_ways() {
    let backend = Backend::start("one").await;
    let mut rig = Rig::start(&[]);
    rig.service("one", &[backend.address]);
    let changes = |prefix: &str| {
        json!({
            "set": [{"name": format!("{prefix}-set"), "value": "new"}],
            "add": [{"name": format!("{prefix}-add"), "value": "more"}],
            "remove": [format!("{prefix}-remove"), "x-backend"],
        })
    };
    rig.route(
        "all",
        json!([{
            "filters": [
                {"type": "RequestHeaderModifier", "requestHeaderModifier": changes("x-q")},
                {"type": "ResponseHeaderModifier", "responseHeaderModifier": changes("x-r")},
            ],
            "backendRefs": [{"name": "one", "port": 80, "filters": [
                {"type": "RequestHeaderModifier", "requestHeaderModifier":
                    {"set": [{"name": "x-canary", "value": "yes"}]}},
            ]}],
        }]),
    );
    rig.publish().await;
    let request = client()
        .get(rig.url("/"))
        .header("x-q-set", "old")
        .header("x-q-add", "first")
        .header("x-q-remove", "gone");
    let response = request.send().await.expect("an answer");
    assert_eq!(response.headers()["x-r-set"], "new");
    assert!(!response.headers().contains_key("x-backend"));
    let headers = body(response).await["headers"].clone();
    assert_eq!(headers["x-q-set"], json!(["new"]));
    assert_eq!(headers["x-q-add"], json!(["first", "more"]));
    assert_eq!(headers["x-q-remove"], Value::Null);
    assert_eq!(headers["x-canary"], json!(["yes"]));
}

#[tokio::test]
async fn redirects_and_rewrites_change_what_they_say() {
    let backend = Backend::start("one").await;
    let mut rig = Rig::start(&[]);
    rig.service("one", &[backend.address]);
    let prefix = |value: &str| json!([{"path": {"type": "PathPrefix", "value": value}}]);
    let redirect =
        |settings: Value| json!([{"type": "RequestRedirect", "requestRedirect": settings}]);
    let rewrite = |settings: Value| json!([{"type": "URLRewrite", "urlRewrite": settings}]);
    let to = json!([{"name": "one", "port": 80}]);
    let replace = |with: &str| json!({"type": "ReplacePrefixMatch", "replacePrefixMatch": with});
    rig.route(
        "all",
        json!([
            {"matches": prefix("/secure"), "filters": redirect(json!({"scheme": "https", "statusCode": 301}))},
            {"matches": prefix("/old"), "filters": redirect(json!({"path": replace("/new"), "statusCode": 308}))},
            {"matches": prefix("/api"), "filters": rewrite(json!({"path": replace("/")})), "backendRefs": to},
            {"matches": prefix("/full"), "backendRefs": to, "filters": rewrite(json!({
                "hostname": "other.example",
                "path": {"type": "ReplaceFullPath", "replaceFullPath": "/fixed"}}))},
        ]),
    );
    rig.publish().await;
    let get = async |path: &str| {
        let request = client().get(rig.url(path)).header("host", "shop.example");
        request.send().await.expect("an answer")
    };
    let secure = get("/secure/x?y=1").await;
    assert_eq!(secure.status(), 301);
    assert_eq!(
        secure.headers()["location"],
        "https://shop.example/secure/x?y=1"
    );
    let old = get("/old/x").await;
    assert_eq!(old.status(), 308);
    let location = format!("http://shop.example:{}/new/x", rig.port);
    assert_eq!(old.headers()["location"], location.as_str());
    assert_eq!(body(get("/api/v1?z=1").await).await["target"], "/v1?z=1");
    assert_eq!(body(get("/api").await).await["target"], "/");
    let full = body(get("/full/x?q=2").await).await;
    assert_eq!(full["target"], "/fixed?q=2");
    assert_eq!(full["headers"]["host"], json!(["other.example"]));
}

#[tokio::test]
async fn no_rewrite_leads_to_what_services_only_say_to_each_other() {
    let (mut rig, backend) = Rig::simple(&[]).await;
    let matches = |path: &str| json!([{"path": {"value": path}}]);
    let rewrite = |path: Value| json!([{"type": "URLRewrite", "urlRewrite": {"path": path}}]);
    let to = json!([{"name": "one", "port": 80}]);
    let prefix = |with: &str| json!({"type": "ReplacePrefixMatch", "replacePrefixMatch": with});
    let full = |with: &str| json!({"type": "ReplaceFullPath", "replaceFullPath": with});
    rig.route(
        "all",
        json!([
            {"matches": matches("/full"), "filters": rewrite(full("/internal/v1/accounts")), "backendRefs": to},
            {"matches": matches("/escaped"), "filters": rewrite(full("/%69nternal/v1")), "backendRefs": to},
            {"matches": matches("/prefix"), "filters": rewrite(prefix("/internal")), "backendRefs": to},
            {"matches": matches("/cut"), "filters": rewrite(prefix("/")), "backendRefs": to},
        ]),
    );
    rig.publish().await;
    for path in ["/full", "/escaped", "/prefix/v1", "/cut/internal/v1"] {
        let response = client().get(rig.url(path)).send().await.expect("an answer");
        assert_eq!(response.status(), 404, "{path}");
    }
    let response = client()
        .get(rig.url("/cut/v1"))
        .send()
        .await
        .expect("an answer");
    assert_eq!(response.status(), 200);
    assert_eq!(backend.requests.load(Ordering::Relaxed), 1);
}
