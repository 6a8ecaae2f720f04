//! A newer operator replaces no pods of a shop. It shows what it would change; the shop takes it when it is asked to,
//! while orders come in.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::shop::Shopper;
use e2e::{Kubectl, eventually};
use serde_json::Value;

use crate::support::{READY, ShopFixture};

/// A release that is newer than any. Both are from one build: the flag gives templates one change more.
const NEXT: &str = "99.0.0";
const MARK: &str = "storefront.dev/rehearsal";
const SYSTEM: &str = "storefront-system";
const OPERATOR: &str = "app.kubernetes.io/name=storefront-operator";
/// More than can be ordered meanwhile.
const PLENTY: &str = "sku,title,description,category,on_hand,price_EUR,price_USD\n\
                      MANY,Many things,There are enough of these,things,1000000,1000,1100\n";
const SERVERS: [&str; 3] = ["postgres", "nats", "redis"];
const SOON: Duration = Duration::from_secs(120);
/// How long a shopper insists on one order.
const PATIENCE: Duration = Duration::from_secs(30);

/// The operator's release; at the end it is what it was before.
struct Operator<'a> {
    kubectl: &'a Kubectl,
    name: String,
    before: String,
}

impl<'a> Operator<'a> {
    fn of(kubectl: &'a Kubectl) -> anyhow::Result<Self> {
        let found = kubectl.list(SYSTEM, "deployments", OPERATOR)?;
        let deployment = found.first().context("no operator")?;
        let all = deployment["spec"]["template"]["spec"]["containers"][0]["env"].as_array();
        let mut all = all.into_iter().flatten();
        let version = all.find(|var| var["name"] == "PLATFORM_VERSION");
        let text = |value: &Value| value.as_str().map(str::to_owned);
        Ok(Self {
            kubectl,
            name: text(&deployment["metadata"]["name"]).context("no operator")?,
            before: version
                .and_then(|var| text(&var["value"]))
                .context("an operator without a release")?,
        })
    }

    /// Puts an operator with these variables in its place.
    fn replace(&self, variables: &[&str]) -> anyhow::Result<()> {
        let deployment = format!("deployment/{}", self.name);
        let run = |args: &[&str]| {
            let of = ["-n", SYSTEM];
            self.kubectl.run(&[&of[..], args].concat())
        };
        run(&[&["set", "env", &*deployment], variables].concat())?;
        run(&["rollout", "status", &deployment, "--timeout=120s"])?;
        Ok(())
    }
}

impl Drop for Operator<'_> {
    fn drop(&mut self) {
        let before = format!("PLATFORM_VERSION={}", self.before);
        if let Err(error) = self.replace(&[&before, "REHEARSE_UPDATE-"]) {
            eprintln!("the operator is still of release {NEXT}: {error:#}");
        }
    }
}

/// Name, uid and mark of every pod of the shop that serves.
fn pods(fixture: &ShopFixture) -> anyhow::Result<BTreeSet<(String, String, bool)>> {
    let pods = fixture.kubectl.list(fixture.namespace(), "pods", "")?;
    let running = pods
        .iter()
        .filter(|pod| pod["status"]["phase"] == "Running");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(running
        .map(|pod| {
            let meta = &pod["metadata"];
            let part = text(&meta["labels"]["app.kubernetes.io/name"]);
            (
                part,
                text(&meta["uid"]),
                meta["annotations"][MARK].is_string(),
            )
        })
        .collect())
}

/// Places orders until it is over, each until it is placed. Returns their ids.
fn buy(
    fixture: &ShopFixture,
    ada: &Shopper,
    over: &AtomicBool,
) -> anyhow::Result<BTreeSet<String>> {
    let product = fixture.shop.product_about("many")?;
    let mut placed = BTreeSet::new();
    while !over.load(Ordering::Relaxed) {
        let key = format!("order-{}", placed.len());
        let order = eventually(&key, PATIENCE, || {
            fixture.shop.order(ada, &key, &[&product])?.expect(201)
        })?;
        let id = order["id"].as_str().context("an order without id")?;
        ensure!(
            placed.insert(id.to_owned()),
            "{id} was answered to two keys"
        );
    }
    Ok(placed)
}

fn shown(fixture: &ShopFixture, version: &str) -> anyhow::Result<()> {
    let update = "UpdateAvailable";
    fixture
        .kubectl
        .wait_for(fixture.namespace(), "storefront/shop", update, SOON)?;
    let status = fixture.get("storefront/shop")?["status"].clone();
    ensure!(
        status["version"] == version && status["availableVersion"] == NEXT,
        "{status}"
    );
    let told = fixture.condition("storefront/shop", update)?["message"].to_string();
    let wanted = format!("services: the annotation {MARK} on their pods, because");
    ensure!(told.contains(&wanted), "{told}");
    fixture.wait_until_ready()
}

fn taken(fixture: &ShopFixture) -> anyhow::Result<()> {
    eventually("the shop is of the next release", READY, || {
        let status = fixture.get("storefront/shop")?["status"].clone();
        let is_taken = status["version"] == NEXT && status["availableVersion"].is_null();
        ensure!(is_taken, "{status}");
        Ok(())
    })?;
    fixture.wait_until_ready()?;
    eventually("no pod of the release before serves", READY, || {
        for (part, _, is_marked) in pods(fixture)? {
            let is_service = !SERVERS.contains(&&*part) && part != "gateway";
            ensure!(is_marked == is_service, "{part}: {is_marked}");
        }
        Ok(())
    })
}

fn update(fixture: &ShopFixture, operator: &Operator<'_>) -> anyhow::Result<()> {
    let before = pods(fixture)?;
    let next = format!("PLATFORM_VERSION={NEXT}");
    operator.replace(&[&next, "REHEARSE_UPDATE=true"])?;
    shown(fixture, &operator.before)?;
    ensure!(pods(fixture)? == before, "a pod is another one: {before:?}");

    let spec = format!(r#"{{"spec":{{"version":"{NEXT}"}}}}"#);
    fixture.run(&["patch", "storefront/shop", "--type=merge", "-p", &spec])?;
    taken(fixture)?;
    let now = pods(fixture)?;
    let kept = before
        .into_iter()
        .filter(|(part, ..)| SERVERS.contains(&&**part));
    let lost: Vec<_> = kept.filter(|pod| !now.contains(pod)).collect();
    ensure!(
        lost.is_empty(),
        "a server was restarted for nothing: {lost:?}"
    );
    Ok(())
}

#[test]
fn a_newer_operator_replaces_no_pods_until_a_shop_takes_it_while_orders_come_in()
-> anyhow::Result<()> {
    let fixture = ShopFixture::borrow("update")?;
    fixture.shop.import(&fixture.administrator()?, PLENTY)?;
    let ada = fixture.shop.register("ada")?;
    let operator = Operator::of(&fixture.kubectl)?;
    let over = AtomicBool::new(false);
    let (updated, placed) = thread::scope(|scope| {
        let shopper = scope.spawn(|| buy(&fixture, &ada, &over));
        let updated = update(&fixture, &operator);
        over.store(true, Ordering::Relaxed);
        (updated, shopper.join())
    });
    updated?;
    let placed = placed.map_err(|_| anyhow::anyhow!("the shopper panicked"))??;
    ensure!(placed.len() > 10, "only {} orders", placed.len());
    eventually("every order is paid", SOON, || {
        for id in &placed {
            let path = format!("/v1/orders/{id}");
            let order = fixture.shop.get(&path, Some(&ada.token))?.expect(200)?;
            ensure!(order["status"] == "paid", "{id}: {}", order["status"]);
        }
        Ok(())
    })
}
