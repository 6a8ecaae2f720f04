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
fn a_shop_outlives_the_deletion_of_each_of_its_parts() -> anyhow::Result<()> {
    let fixture = ShopFixture::start("slips")?;
    fixture.shop.import(&fixture.administrator()?, CATALOGUE)?;
    place_an_order(&fixture)?;
    let mut expected = 1;
    let secret = |binding: &str| {
        let field = "jsonpath={.status.binding.name}";
        let name = fixture.run(&["get", "databasebinding", binding, "-o", field])?;
        anyhow::Ok(format!("secret/{}", name.trim()))
    };
    let slips = [
        vec!["statefulset/shop-postgres".to_owned()],
        vec!["statefulset/shop-nats".to_owned()],
        vec!["databasebinding/shop-order".to_owned()],
        vec![secret("shop-user")?],
        vec!["secret/shop-postgres-admin".to_owned()],
        vec!["secret/shop-nats-auth".to_owned()],
        vec!["secret/shop-redis-auth".to_owned()],
        vec!["secret/shop-internal".to_owned()],
        vec!["secret/shop-signing-keys".to_owned()],
        // Nothing is left to put these back from.
        [
            "recovery",
            "postgres-admin",
            "nats-auth",
            "redis-auth",
            "internal",
        ]
        .map(|part| format!("secret/shop-{part}"))
        .to_vec(),
    ];
    for slip in &slips {
        let names: Vec<&str> = slip.iter().map(String::as_str).collect();
        fixture.run(&[&["delete", "--wait=true"], names.as_slice()].concat())?;
        eventually(&format!("an order is placed after {slip:?}"), SOON, || {
            place_an_order(&fixture)
        })?;
        expected += 1;
        let kept = orders(&fixture)?;
        ensure!(
            kept >= expected,
            "{slip:?}: {kept} of {expected} orders are left"
        );
    }
    eventually("the shop is ready", READY, || fixture.wait_until_ready())?;
    // The databases were never empty.
    let field = "jsonpath={.items[*].status.recreation.number}";
    let recreated = fixture.run(&["get", "databasebindings", "-o", field])?;
    ensure!(recreated.trim().is_empty(), "{recreated}");
    Ok(())
}
