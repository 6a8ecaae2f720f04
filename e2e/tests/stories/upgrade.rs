//! (k) An upgrade to images that do not exist says so, takes nothing down, and is put right by its author.

use std::time::Duration;

use anyhow::ensure;
use e2e::eventually;

use crate::support::ShopFixture;

/// Until the kubelet has failed to pull, and the operator has asked it why.
const TOLD: Duration = Duration::from_secs(90);

#[test]
fn an_upgrade_to_images_that_do_not_exist_takes_nothing_down() -> anyhow::Result<()> {
    let fixture = ShopFixture::borrow("upgrade")?;
    let servers = || {
        let uid = |pod| anyhow::Ok(fixture.get(pod)?["metadata"]["uid"].clone());
        anyhow::Ok([uid("pod/shop-postgres-0")?, uid("pod/shop-nats-0")?])
    };
    let patch = |spec: &str| fixture.run(&["patch", "storefront/shop", "--type=merge", "-p", spec]);
    let before = servers()?;
    let status = || fixture.get("storefront/shop");
    let version = status()?["status"]["version"].clone();

    patch(r#"{"spec":{"version":"no-such-release"}}"#)?;
    eventually("the shop names the image", TOLD, || {
        let ready = fixture.condition("storefront/shop", "Ready")?;
        let text = ready["message"].as_str().unwrap_or_default();
        ensure!(ready["reason"] == "UpgradeWaiting", "{ready}");
        ensure!(
            text.contains("postgres:no-such-release cannot be pulled"),
            "{text}"
        );
        Ok(())
    })?;
    eventually("a service names its image", TOLD, || {
        let ready = fixture.condition("servicedeployment/shop-order", "Ready")?;
        ensure!(ready["reason"] == "ImagePullBackOff", "{ready}");
        Ok(())
    })?;
    ensure!(servers()? == before, "a server's pod is another one");
    ensure!(status()?["status"]["version"] == version);
    fixture
        .shop
        .get("/v1/products?limit=1", None)?
        .expect(200)?;

    patch(r#"{"spec":{"version":null}}"#)?;
    fixture.wait_until_ready()?;
    ensure!(servers()? == before, "a server's pod is another one");
    let proofs = "app.kubernetes.io/name=proof";
    let jobs = fixture.kubectl.names(fixture.namespace(), "jobs", proofs)?;
    ensure!(jobs.is_empty(), "{jobs:?}");
    fixture
        .shop
        .get("/v1/products?limit=1", None)?
        .expect(200)?;
    fixture.give_back()
}
