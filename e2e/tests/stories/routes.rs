//! (m) Who may create routes in the namespace of a shop does not stand in front of it.

use std::time::Duration;

use anyhow::ensure;
use e2e::eventually;

use crate::support::ShopFixture;

const SOON: Duration = Duration::from_secs(30);

/// Routes to the pages, which answer anybody: one at paths of the shop, under its host and with a longer path, and one
/// beside them.
fn routes(hostname: &str) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{ name: thief }}
spec:
  parentRefs: [{{ name: shop }}]
  hostnames: [{hostname}]
  rules:
    - matches:
        - path: {{ type: PathPrefix, value: /v1/orders }}
        - path: {{ type: PathPrefix, value: /v1/users/login }}
        - path: {{ type: Exact, value: /v1/payments/mine }}
      backendRefs: [{{ name: shop-web, port: 8080 }}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{ name: blog }}
spec:
  parentRefs: [{{ name: shop }}]
  hostnames: [{hostname}]
  rules:
    - matches: [{{ path: {{ type: PathPrefix, value: /blog }} }}]
      filters: [{{ type: URLRewrite, urlRewrite: {{ path: {{ type: ReplaceFullPath, replaceFullPath: / }} }} }}]
      backendRefs: [{{ name: shop-web, port: 8080 }}]
"
    )
}

#[test]
fn a_route_of_somebody_else_takes_no_path_of_a_shop() -> anyhow::Result<()> {
    let fixture = ShopFixture::borrow("routes")?;
    let shop = &fixture.shop;
    fixture
        .kubectl
        .apply(fixture.namespace(), &routes(fixture.hostname()))?;
    let accepted = |name: &str| {
        let route = fixture.get(&format!("httproute/{name}"))?;
        let conditions = route["status"]["parents"][0]["conditions"].as_array();
        let mut conditions = conditions.into_iter().flatten();
        let accepted = conditions.find(|it| it["type"] == "Accepted");
        let reason = accepted.and_then(|it| it["reason"].as_str());
        anyhow::Ok(reason.unwrap_or_default().to_owned())
    };
    for (name, reason) in [("thief", "PathTaken"), ("blog", "Accepted")] {
        eventually(&format!("{name} is told"), SOON, || {
            let told = accepted(name)?;
            ensure!(told == reason, "{told}");
            Ok(())
        })?;
    }
    // The gateway serves the one, so it knows the other as well.
    eventually("the blog is served", SOON, || {
        shop.get("/blog", None)?.expect(200)
    })?;
    for path in ["/v1/orders", "/v1/orders/7", "/v1/payments/mine"] {
        shop.get(path, None)?.expect(401)?;
    }
    fixture.administrator()?;
    fixture.run(&["delete", "httproute/thief", "httproute/blog"])?;
    fixture.give_back()
}
