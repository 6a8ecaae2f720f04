//! (k) An upgrade to images that do not exist says so, takes nothing down, and is put right by its author.

use std::time::Duration;

use anyhow::ensure;
use e2e::eventually;

use crate::support::ShopFixture;

/// Until the kubelet has failed to pull, and the operator has asked it why.
const TOLD: Duration = Duration::from_secs(90);

#[test]
fn an_upgrade_to_images_that_do_not_exist_takes_nothing_down() -> anyhow::Result<()> {
    let fixture = ShopFixture::start("upgrade")?;
    let namespace = fixture.namespace();
    let servers = || {
        let pods = ["pod/shop-postgres-0", "pod/shop-nats-0"];
        let field = "jsonpath={.items[*].metadata.uid}";
        fixture.run(&[&["get"], &pods[..], &["-o", field]].concat())
    };
    let patch = |spec: &str| fixture.run(&["patch", "storefront/shop", "--type=merge", "-p", spec]);
    let before = servers()?;
    let status = || {
        fixture
            .kubectl
            .get(&["-n", namespace, "storefront", "shop"])
    };
    let version = status()?["status"]["version"].clone();

    patch(r#"{"spec":{"version":"no-such-release"}}"#)?;
    eventually("the shop names the image", TOLD, || {
        let shop = status()?;
        let conditions = shop["status"]["conditions"].as_array().cloned();
        let ready = conditions
            .into_iter()
            .flatten()
            .find(|condition| condition["type"] == "Ready")
            .unwrap_or_default();
        let text = ready["message"].as_str().unwrap_or_default();
        ensure!(ready["reason"] == "UpgradeWaiting", "{ready}");
        ensure!(
            text.contains("postgres:no-such-release cannot be pulled"),
            "{text}"
        );
        Ok(())
    })?;
    eventually("a service names its image", TOLD, || {
        let field = "jsonpath={.status.conditions[?(@.type==\"Ready\")].reason}";
        let reason = fixture.run(&["get", "servicedeployment/shop-order", "-o", field])?;
        ensure!(reason.trim() == "ImagePullBackOff", "{reason}");
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
    let jobs = fixture.run(&[
        "get",
        "jobs",
        "-l",
        "app.kubernetes.io/name=proof",
        "-o",
        "name",
    ])?;
    ensure!(jobs.trim().is_empty(), "{jobs}");
    fixture
        .shop
        .get("/v1/products?limit=1", None)?
        .expect(200)?;
    Ok(())
}
