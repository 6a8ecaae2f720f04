//! (k) What somebody deletes by mistake costs a shop neither data nor, for long, its service.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use e2e::eventually;

use crate::support::{READY, ShopFixture};

/// One product, of which there is enough for every attempt.
const CATALOGUE: &str = "sku,title,description,category,on_hand,price_EUR\n\
    MANY,Many of these,A thing that does not run out,things,100000,1000\n";
/// Time between two attempts.
const PERIOD: Duration = Duration::from_millis(250);
/// How long a shop may be without something that was deleted.
const SOON: Duration = Duration::from_secs(60);

/// For how long a shop may say that it is ready while no order goes through.
const UNSAID: Duration = Duration::from_secs(10);

/// By a new shopper each time, for an attempt may fail half-way.
fn place_an_order(fixture: &ShopFixture) -> anyhow::Result<()> {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let key = format!("shopper-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let shop = &fixture.shop;
    let shopper = shop.register(&key)?;
    let product = shop.product_about("many")?;
    shop.order(&shopper, &key, &[&product])?.expect(201)?;
    Ok(())
}

/// Until an order goes through. Meanwhile the shop does not say that it is ready, and refuses as one does whose client may come
/// again.
fn orders_go_on(fixture: &ShopFixture, slip: &str) -> anyhow::Result<()> {
    let is_ready = || {
        let ready = fixture.condition("storefront/shop", "Ready")?;
        anyhow::Ok(ready["status"] == "True")
    };
    let began = Instant::now();
    let mut unsaid = None;
    loop {
        let before = is_ready()?;
        let Err(error) = place_an_order(fixture) else {
            return Ok(());
        };
        let text = format!("{error:#}");
        ensure!(!text.contains("got 500"), "{slip}: {text}");
        if before && is_ready()? {
            let since: &mut Instant = unsaid.get_or_insert_with(Instant::now);
            ensure!(
                since.elapsed() < UNSAID,
                "{slip}: no order goes through and the shop says that it is ready: {text}"
            );
        } else {
            unsaid = None;
        }
        if began.elapsed() > SOON {
            bail!("no order is placed after {slip}: {text}");
        }
        std::thread::sleep(PERIOD);
    }
}

fn orders(fixture: &ShopFixture) -> anyhow::Result<u64> {
    let server = e2e::database::Server::of(&fixture.kubectl, fixture.namespace(), "shop");
    let count = server.query_service("order", "select count(*) from orders.orders")?;
    Ok(count.parse()?)
}

#[test]
fn a_shop_outlives_the_deletion_of_each_of_its_secrets() -> anyhow::Result<()> {
    let fixture = ShopFixture::borrow("secretslips")?;
    fixture.shop.import(&fixture.administrator()?, CATALOGUE)?;
    place_an_order(&fixture)?;
    let login = || -> anyhow::Result<String> {
        let binding = fixture.get("databasebinding/shop-order")?;
        let name = binding["status"]["binding"]["name"].as_str();
        Ok(name.context("a binding without a Secret")?.to_owned())
    };
    let credentials = login()?;
    let slips = [
        "shop-postgres-admin",
        "shop-nats-logins",
        "shop-nats-config",
        "shop-redis-logins",
        "shop-internal",
        "shop-signing-keys",
        "shop-admin",
        "shop-smtp",
        "shop-recovery",
        &credentials,
    ];
    for slip in slips {
        fixture.run(&["delete", "secret", slip, "--wait=true"])?;
        orders_go_on(&fixture, slip)?;
    }
    for (slip, key) in [
        ("shop-internal", "token"),
        ("shop-nats-logins", "key"),
        ("shop-redis-logins", "key"),
    ] {
        let edit = format!(r#"{{"stringData":{{"{key}":"edited by hand"}}}}"#);
        fixture.run(&["patch", "secret", slip, "-p", &edit])?;
        orders_go_on(&fixture, slip)?;
    }
    eventually("the shop is ready", READY, || fixture.wait_until_ready())?;
    // A node that knows an immutable Secret by its name would give new pods what was in it.
    let now = login()?;
    ensure!(now != credentials, "{now} came back under its name");
    place_an_order(&fixture)?;
    fixture.give_back()
}

#[test]
fn a_shop_outlives_the_deletion_of_each_of_its_parts() -> anyhow::Result<()> {
    let fixture = ShopFixture::borrow("slips")?;
    fixture.shop.import(&fixture.administrator()?, CATALOGUE)?;
    place_an_order(&fixture)?;
    let mut expected = orders(&fixture)?;
    let slips = [
        "statefulset/shop-postgres",
        "statefulset/shop-nats",
        "databasebinding/shop-order",
    ];
    for slip in slips {
        fixture.run(&["delete", "--wait=true", slip])?;
        orders_go_on(&fixture, slip)?;
        expected += 1;
        let kept = orders(&fixture)?;
        ensure!(
            kept >= expected,
            "{slip}: {kept} of {expected} orders are left"
        );
    }
    eventually("the shop is ready", READY, || fixture.wait_until_ready())?;
    // The databases were never empty.
    let bindings = fixture
        .kubectl
        .list(fixture.namespace(), "databasebindings", "")?;
    ensure!(!bindings.is_empty(), "no bindings");
    for binding in bindings {
        ensure!(
            binding["status"]["recreation"]["number"].is_null(),
            "{binding}"
        );
    }
    fixture.give_back()
}
