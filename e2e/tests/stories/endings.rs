//! (l) The only pod of a service is deleted, evicted and replaced while customers look around: none of them notices.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::eventually;

use crate::support::{READY, ShopFixture};

const CUSTOMERS: usize = 4;
const PODS: &str = "app.kubernetes.io/instance=shop-product";
const SOON: Duration = Duration::from_secs(60);

/// Asks for products until it is over; returns what was not answered.
fn look_around(fixture: &ShopFixture, over: &AtomicBool, asked: &AtomicUsize) -> Vec<String> {
    let mut failed = Vec::new();
    while !over.load(Ordering::Relaxed) {
        asked.fetch_add(1, Ordering::Relaxed);
        let answer = fixture.shop.get("/v1/products?limit=1", None);
        if let Err(error) = answer.and_then(|answer| answer.expect(200)) {
            failed.push(format!("{error:#}"));
        }
        thread::sleep(Duration::from_millis(10));
    }
    failed
}

fn only_pod(fixture: &ShopFixture) -> anyhow::Result<String> {
    let names = fixture.kubectl.names(fixture.namespace(), "pods", PODS)?;
    ensure!(names.len() == 1, "{names:?}");
    Ok(names[0].trim_start_matches("pod/").to_owned())
}

/// Waits until another pod than this is the only one.
fn replaced(fixture: &ShopFixture, old: &str) -> anyhow::Result<()> {
    eventually("the pod is replaced", SOON, || {
        let new = only_pod(fixture)?;
        ensure!(new != old, "{new} is still there");
        Ok(())
    })?;
    eventually("the shop is ready", READY, || fixture.wait_until_ready())
}

fn evict(fixture: &ShopFixture, pod: &str) -> anyhow::Result<()> {
    let namespace = fixture.namespace();
    let body = serde_json::json!({ "apiVersion": "policy/v1", "kind": "Eviction",
        "metadata": { "name": pod, "namespace": namespace } });
    let file = std::env::temp_dir().join(format!("{namespace}-eviction.json"));
    std::fs::write(&file, body.to_string())?;
    let path = format!("/api/v1/namespaces/{namespace}/pods/{pod}/eviction");
    let file = file.display().to_string();
    fixture
        .kubectl
        .run(&["create", "--raw", &path, "-f", &file])?;
    std::fs::remove_file(file).context("remove the eviction")
}

fn end_pods(fixture: &ShopFixture) -> anyhow::Result<()> {
    let pod = only_pod(fixture)?;
    fixture.run(&["delete", "pod", &pod, "--wait=false"])?;
    replaced(fixture, &pod)?;
    let pod = only_pod(fixture)?;
    evict(fixture, &pod)?;
    replaced(fixture, &pod)?;
    let pod = only_pod(fixture)?;
    let louder = r#"{"spec":{"services":{"product":{"env":[{"name":"LOG","value":"info,product=debug"}]}}}}"#;
    fixture.run(&["patch", "storefront", "shop", "--type=merge", "-p", louder])?;
    replaced(fixture, &pod)
}

#[test]
fn deleting_evicting_and_replacing_the_only_pod_of_a_service_fails_no_request() -> anyhow::Result<()>
{
    let fixture = ShopFixture::borrow("endings")?;
    let (over, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    let (ended, failed) = thread::scope(|scope| {
        let customers: Vec<_> = (0..CUSTOMERS)
            .map(|_| scope.spawn(|| look_around(&fixture, &over, &asked)))
            .collect();
        let ended = end_pods(&fixture);
        over.store(true, Ordering::Relaxed);
        let failed: Vec<String> = customers
            .into_iter()
            .flat_map(|customer| {
                customer
                    .join()
                    .unwrap_or_else(|_| vec!["a panic".to_owned()])
            })
            .collect();
        (ended, failed)
    });
    ended?;
    let asked = asked.load(Ordering::Relaxed);
    ensure!(asked > 100, "only {asked} requests");
    ensure!(
        failed.is_empty(),
        "{} of {asked} requests failed, the first with {}",
        failed.len(),
        failed[0]
    );
    let as_before = r#"{"spec":{"services":null}}"#;
    fixture.run(&[
        "patch",
        "storefront",
        "shop",
        "--type=merge",
        "-p",
        as_before,
    ])?;
    fixture.give_back()
}
