//! (k) What somebody deletes by mistake costs a shop neither data nor, for long, its service.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::ensure;
use e2e::eventually;

use crate::support::{READY, ShopFixture};

/// One product, of which there is enough for every attempt.
const CATALOGUE: &str = "sku,title,description,category,on_hand,price_EUR\n\
    MANY,Many of these,A thing that does not run out,things,100000,1000\n";
/// How long a shop may be without something that was deleted.
const SOON: Duration = Duration::from_secs(60);

/// By a new shopper each time, for an attempt may fail half-way.
fn place_an_order(fixture: &ShopFixture) -> anyhow::Result<()> {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let key = format!("shopper-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let shop = &fixture.shop;
    let shopper = shop.register(&key)?;
    let listed = shop.get("/v1/products?limit=1", None)?.expect(200)?;
    let product = listed["items"][0]["id"].as_str().unwrap_or_default();
    shop.order(&shopper, &key, &[product])?.expect(201)?;
    Ok(())
}

fn orders(fixture: &ShopFixture) -> anyhow::Result<u64> {
    let server = e2e::database::Server::of(&fixture.kubectl, fixture.namespace(), "shop");
    let count = server.query_service("order", "select count(*) from orders.orders")?;
    Ok(count.parse()?)
}

#[test]
fn a_shop_outlives_the_deletion_of_each_of_its_secrets() -> anyhow::Result<()> {
    let fixture = ShopFixture::start("secretslips")?;
    fixture.shop.import(&fixture.administrator()?, CATALOGUE)?;
    place_an_order(&fixture)?;
    let field = "jsonpath={.status.binding.name}";
    let credentials = fixture.run(&["get", "databasebinding/shop-order", "-o", field])?;
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
        eventually(&format!("an order is placed after {slip}"), SOON, || {
            place_an_order(&fixture)
        })?;
    }
    eventually("the shop is ready", READY, || fixture.wait_until_ready())?;
    // A node that knows an immutable Secret by its name would give new pods what was in it.
    let now = fixture.run(&["get", "databasebinding/shop-order", "-o", field])?;
    ensure!(now != credentials, "{now} came back under its name");
    place_an_order(&fixture)
}

#[test]
fn a_shop_outlives_the_deletion_of_each_of_its_parts() -> anyhow::Result<()> {
    let fixture = ShopFixture::start("slips")?;
    fixture.shop.import(&fixture.administrator()?, CATALOGUE)?;
    place_an_order(&fixture)?;
    let mut expected = 1;
    let slips = [
        "statefulset/shop-postgres",
        "statefulset/shop-nats",
        "databasebinding/shop-order",
    ];
    for slip in slips {
        fixture.run(&["delete", "--wait=true", slip])?;
        eventually(&format!("an order is placed after {slip}"), SOON, || {
            place_an_order(&fixture)
        })?;
        expected += 1;
        let kept = orders(&fixture)?;
        ensure!(
            kept >= expected,
            "{slip}: {kept} of {expected} orders are left"
        );
    }
    eventually("the shop is ready", READY, || fixture.wait_until_ready())?;
    // The databases were never empty.
    let field = "jsonpath={.items[*].status.recreation.number}";
    let recreated = fixture.run(&["get", "databasebindings", "-o", field])?;
    ensure!(recreated.trim().is_empty(), "{recreated}");
    Ok(())
}
