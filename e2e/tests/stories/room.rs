//! Room to run: a quota, autoscalers of the user, volumes that grow, and settings of pods.

use std::time::Duration;

use anyhow::ensure;
use e2e::eventually;

use crate::support::{READY, ShopFixture, ShopNamespace};

const SOON: Duration = Duration::from_secs(60);

#[test]
fn a_quota_is_named_until_the_spec_sets_what_it_asks_for() -> anyhow::Result<()> {
    let place = ShopNamespace::new("quota")?;
    let quota = "apiVersion: v1
kind: ResourceQuota
metadata: { name: small }
spec: { hard: { limits.cpu: \"40\", limits.memory: 16Gi } }
";
    place.kubectl.apply(place.name(), quota)?;
    place.apply("Delete", "")?;
    eventually("the shop names the quota", SOON, || {
        let shop = place.kubectl.get(place.name(), "storefront/shop")?;
        let said = shop["status"]["blockedBy"]["message"].to_string();
        ensure!(said.contains("must specify limits.cpu"), "{said}");
        let stalled = place
            .kubectl
            .condition(place.name(), "storefront/shop", "Stalled")?;
        ensure!(stalled["status"] == "True", "{stalled}");
        Ok(())
    })?;
    place.apply("Delete", "  resources: { limits: { cpu: \"1\" } }\n")?;
    place.wait_until_ready()
}

#[test]
fn an_autoscaler_of_the_user_is_respected_and_settings_roll_their_part_only() -> anyhow::Result<()>
{
    let fixture = ShopFixture::start("room")?;
    let spec = |name: &str| {
        let deployment = fixture.get(&format!("deployment/{name}"))?;
        anyhow::Ok(deployment["spec"].clone())
    };
    for name in ["shop-gateway", "shop-web"] {
        let scaler = format!(
            "apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {{ name: {name}-mine }}
spec: {{ minReplicas: 2, maxReplicas: 3, scaleTargetRef: {{ apiVersion: apps/v1, kind: Deployment, name: {name} }} }}
"
        );
        fixture.kubectl.apply(fixture.namespace(), &scaler)?;
        eventually(&format!("{name} has two pods"), READY, || {
            ensure!(spec(name)?["replicas"] == 2);
            Ok(())
        })?;
    }
    let order = spec("shop-order")?["template"].clone();
    // The operator writes both, and leaves the number alone.
    let patch = r#"{"spec":{
        "services":{"web":{"pods":{"labels":{"example.com/team":"pages"}}}},
        "gateway":{"pods":{"labels":{"example.com/team":"edge"}}}}}"#;
    fixture.run(&["patch", "storefront/shop", "--type=merge", "-p", patch])?;
    for (name, team) in [("shop-gateway", "edge"), ("shop-web", "pages")] {
        eventually(&format!("{name} has the label"), SOON, || {
            let labels = &spec(name)?["template"]["metadata"]["labels"];
            ensure!(labels["example.com/team"] == team, "{labels}");
            Ok(())
        })?;
        ensure!(spec(name)?["replicas"] == 2, "{name}: somebody fights");
    }
    fixture.wait_until_ready()?;
    ensure!(
        spec("shop-order")?["template"] == order,
        "order was changed too"
    );
    Ok(())
}

#[test]
fn volumes_grow_by_the_spec_while_their_pods_run_on() -> anyhow::Result<()> {
    let fixture = ShopFixture::borrow("growth")?;
    let uid = || anyhow::Ok(fixture.get("pod/shop-postgres-0")?["metadata"]["uid"].clone());
    let before = uid()?;
    let patch = r#"{"spec":{"database":{"embedded":{"storage":"6Gi"}}}}"#;
    fixture.run(&["patch", "storefront/shop", "--type=merge", "-p", patch])?;
    eventually("the claim has grown and the set follows", SOON, || {
        let claim = "persistentvolumeclaim/data-shop-postgres-0";
        let claimed = "/spec/volumeClaimTemplates/0/spec/resources/requests/storage";
        for (object, path) in [
            (claim, "/status/capacity/storage"),
            ("statefulset/shop-postgres", claimed),
            ("storefront/shop", "/status/volumes/database"),
        ] {
            let size = fixture.get(object)?.pointer(path).cloned();
            ensure!(size == Some("6Gi".into()), "{object}: {size:?}");
        }
        Ok(())
    })?;
    fixture.wait_until_ready()?;
    ensure!(uid()? == before, "the database was restarted");
    let patch = r#"{"spec":{"database":{"embedded":{"storage":"2Gi"}}}}"#;
    let shrunk = fixture.run(&["patch", "storefront/shop", "--type=merge", "-p", patch]);
    let refusal = shrunk.err().map(|error| format!("{error:#}"));
    let refusal = refusal.unwrap_or_default();
    ensure!(refusal.contains("cannot shrink"), "{refusal}");
    // The larger volume is of no account to others.
    fixture.give_back()
}
