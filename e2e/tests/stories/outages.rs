//! A server that a shop does without for a while goes away: it is named within seconds, and no pod stops being ready.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::eventually;
use serde_json::Value;

use crate::support::{READY, ShopFixture};

/// Until a server that is away is named. The routine question to a workload that is well comes after five minutes.
const NAMED: Duration = Duration::from_secs(15);

/// A Redis that is not the shop's, from the same image.
fn theirs(image: &str) -> String {
    format!(
        r#"apiVersion: v1
kind: Service
metadata: {{ name: theirs }}
spec: {{ selector: {{ run: theirs }}, ports: [{{ port: 6379 }}] }}
---
apiVersion: v1
kind: Secret
metadata: {{ name: theirs }}
stringData: {{ uri: "redis://theirs:6379" }}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{ name: theirs }}
spec:
  selector: {{ matchLabels: {{ run: theirs }} }}
  template:
    metadata: {{ labels: {{ run: theirs }} }}
    spec:
      securityContext: {{ runAsNonRoot: true, runAsUser: 65532, seccompProfile: {{ type: RuntimeDefault }} }}
      containers:
        - name: redis
          image: {image}
          args: ["--protected-mode", "no", "--save", ""]
          securityContext: {{ allowPrivilegeEscalation: false, capabilities: {{ drop: [ALL] }} }}
          readinessProbe: {{ tcpSocket: {{ port: 6379 }}, periodSeconds: 1 }}
"#
    )
}

fn cache_ready(fixture: &ShopFixture) -> anyhow::Result<(String, String)> {
    let found = fixture.condition("storefront/shop", "CacheReady")?;
    let word = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
    Ok((word("status"), word("message")))
}

#[test]
fn an_external_cache_that_goes_away_is_named_and_the_shop_goes_on() -> anyhow::Result<()> {
    let fixture = ShopFixture::start("outages")?;
    let redis = fixture.get("deployment/shop-redis")?;
    let image = redis["spec"]["template"]["spec"]["containers"][0]["image"].as_str();
    let theirs = theirs(image.context("no image")?);
    fixture.kubectl.apply(fixture.namespace(), &theirs)?;
    let patch = r#"{"spec":{"cache":{"redis":null,"external":{"secretRef":{"name":"theirs"}}}}}"#;
    fixture.run(&["patch", "storefront/shop", "--type=merge", "-p", patch])?;
    fixture.run(&["rollout", "status", "deployment/theirs", "--timeout=60s"])?;
    eventually("the shop uses it", READY, || {
        let (status, message) = cache_ready(&fixture)?;
        ensure!(status == "True", "{message}");
        let product = fixture.condition("servicedeployment/shop-product", "Ready")?;
        ensure!(product["status"] == "True", "{product}");
        Ok(())
    })?;
    fixture.wait_until_ready()?;

    let scale = |count: &str| fixture.run(&["scale", "deployment/theirs", count]);
    scale("--replicas=0")?;
    eventually("it is named", NAMED, || {
        let (status, message) = cache_ready(&fixture)?;
        ensure!(
            status == "False" && message.contains("shop-product"),
            "{message}"
        );
        Ok(())
    })?;
    let product = fixture.get("deployment/shop-product")?;
    let number = |field: &str| product["status"][field].as_u64();
    ensure!(number("readyReplicas") >= Some(1) && number("unavailableReplicas").is_none());
    let listed: Value = fixture
        .shop
        .get("/v1/products?limit=1", None)?
        .expect(200)?;
    ensure!(listed["items"].is_array(), "{listed}");

    scale("--replicas=1")?;
    fixture.wait_until_ready()
}
