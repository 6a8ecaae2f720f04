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
        let field = "jsonpath={.status.blockedBy.message} {.status.conditions[?(@.type==\"Stalled\")].status}";
        let said = place.run(&["get", "storefront/shop", "-o", field])?;
        ensure!(said.contains("must specify limits.cpu"), "{said}");
        ensure!(said.ends_with("True"), "not Stalled: {said}");
        Ok(())
    })?;
    place.apply("Delete", "  resources: { limits: { cpu: \"1\" } }\n")?;
    place.wait_until_ready()
}

#[test]
fn an_autoscaler_of_the_user_is_respected_and_settings_roll_their_part_only() -> anyhow::Result<()>
{
    let fixture = ShopFixture::start("room")?;
    let field = |name: &str, path: &str| {
        fixture.run(&[
            "get",
            "deployment",
            name,
            "-o",
            &format!("jsonpath={{{path}}}"),
        ])
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
            ensure!(field(name, ".spec.replicas")? == "2");
            Ok(())
        })?;
    }
    let order = field("shop-order", ".spec.template")?;
    // The operator writes both, and leaves the number alone.
    let patch = r#"{"spec":{
        "services":{"web":{"pods":{"labels":{"example.com/team":"pages"}}}},
        "gateway":{"pods":{"labels":{"example.com/team":"edge"}}}}}"#;
    fixture.run(&["patch", "storefront/shop", "--type=merge", "-p", patch])?;
    for (name, team) in [("shop-gateway", "edge"), ("shop-web", "pages")] {
        eventually(&format!("{name} has the label"), SOON, || {
            let label = r".spec.template.metadata.labels.example\.com/team";
            ensure!(field(name, label)? == team);
            Ok(())
        })?;
        ensure!(
            field(name, ".spec.replicas")? == "2",
            "{name}: somebody fights"
        );
    }
    fixture.wait_until_ready()?;
    ensure!(
        field("shop-order", ".spec.template")? == order,
        "order was changed too"
    );
    Ok(())
}

#[test]
fn volumes_grow_by_the_spec_while_their_pods_run_on() -> anyhow::Result<()> {
    let fixture = ShopFixture::start("growth")?;
    let uid = || {
        fixture.run(&[
            "get",
            "pod",
            "shop-postgres-0",
            "-o",
            "jsonpath={.metadata.uid}",
        ])
    };
    let before = uid()?;
    let patch = r#"{"spec":{"database":{"embedded":{"storage":"6Gi"}}}}"#;
    fixture.run(&["patch", "storefront/shop", "--type=merge", "-p", patch])?;
    eventually("the claim has grown and the set follows", SOON, || {
        let claim = "persistentvolumeclaim/data-shop-postgres-0";
        let capacity = fixture.run(&["get", claim, "-o", "jsonpath={.status.capacity.storage}"])?;
        let field = "jsonpath={.spec.volumeClaimTemplates[0].spec.resources.requests.storage}";
        let set = fixture.run(&["get", "statefulset/shop-postgres", "-o", field])?;
        let known = fixture.run(&[
            "get",
            "storefront/shop",
            "-o",
            "jsonpath={.status.volumes.database}",
        ])?;
        ensure!(
            [&*capacity, &*set, &*known] == ["6Gi"; 3],
            "claim {capacity}, set {set}, status {known}"
        );
        Ok(())
    })?;
    fixture.wait_until_ready()?;
    ensure!(uid()? == before, "the database was restarted");
    let patch = r#"{"spec":{"database":{"embedded":{"storage":"2Gi"}}}}"#;
    let shrunk = fixture.run(&["patch", "storefront/shop", "--type=merge", "-p", patch]);
    let refusal = shrunk.err().map(|error| format!("{error:#}"));
    let refusal = refusal.unwrap_or_default();
    ensure!(refusal.contains("cannot shrink"), "{refusal}");
    Ok(())
}
