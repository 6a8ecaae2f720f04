//! (a) From `kubectl apply` to an order whose mail arrived, on a bus of three servers that loses one.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::eventually;
use e2e::mail::Inbox;
use e2e::shop::Shopper;
use serde_json::{Value, json};

use crate::support::{CATALOGUE, READY, Stage};

#[test]
fn a_shopper_registers_logs_in_buys_and_gets_a_mail() -> anyhow::Result<()> {
    let stage = Stage::set_with("apply", "  queue: { nats: { replicas: 3 } }\n")?;
    let shop = &stage.shop;

    let imported = shop.import(&stage.administrator()?, CATALOGUE)?;
    let rows = CATALOGUE.lines().count() - 1;
    ensure!(rows >= 100, "the catalogue has only {rows} products");
    ensure!(imported["created"] == rows, "{imported}");

    // The users' own contract, word for word.
    let ada = shop.register("ada")?;
    let profile = shop
        .get(&format!("/v1/users/{}", ada.id), Some(&ada.token))?
        .expect(200)?;
    ensure!(
        profile["username"] == "ada" && profile["email"] == ada.email,
        "{profile}"
    );
    for field in ["id", "username", "email", "first_name", "last_name"] {
        ensure!(
            profile.get(field).is_some(),
            "{field} is missing from {profile}"
        );
    }
    let edit = json!({ "first_name": "Ada", "last_name": "Lovelace" });
    let path = format!("/v1/users/{}", ada.id);
    let edit = shop
        .request(reqwest::Method::PUT, &path, Some(&ada.token))
        .json(&edit);
    let profile = e2e::shop::answer(edit)?.expect(200)?;
    ensure!(profile["first_name"] == "Ada", "{profile}");

    // Seven are bought below, and not every coffee on the shelf is there as often.
    let found = shop.get("/v1/products?q=coffee", None)?.expect(200)?;
    let plenty = |item: &&Value| item["available"].as_i64().is_some_and(|it| it >= 7);
    let coffees = found["items"].as_array().context("no coffee for sale")?;
    let product = coffees
        .iter()
        .find(plenty)
        .and_then(|item| item["id"].as_str())
        .with_context(|| format!("not enough coffee for sale: {found}"))?
        .to_owned();

    let order = shop.order(&ada, "first-order", &[&product])?.expect(201)?;
    let again = shop.order(&ada, "first-order", &[&product])?.expect(201)?;
    ensure!(
        order["id"] == again["id"],
        "one key made two orders: {order} {again}"
    );

    let path = format!(
        "/v1/orders/{}",
        order["id"].as_str().context("an order without id")?
    );
    eventually("the order is paid", Duration::from_secs(30), || {
        let order = shop.get(&path, Some(&ada.token))?.expect(200)?;
        ensure!(order["status"] == "paid", "{order}");
        Ok(())
    })?;

    let inbox = Inbox::of(&stage.kubectl)?;
    let number = order["number"]
        .as_str()
        .context("an order without number")?;
    eventually("the confirmation arrived", Duration::from_secs(30), || {
        let mails = inbox.to(&ada.email)?;
        let about = |mail: &Value| {
            mail["Subject"]
                .as_str()
                .is_some_and(|it| it.contains(number))
        };
        ensure!(
            mails.iter().any(about),
            "no mail about {number} in {mails:?}"
        );
        Ok(())
    })?;
    orders_go_through_while_the_bus_loses_a_server(&stage, &ada, &product)
}

/// Whichever server leads, the bus has a majority left.
fn orders_go_through_while_the_bus_loses_a_server(
    stage: &Stage,
    ada: &Shopper,
    product: &str,
) -> anyhow::Result<()> {
    let shop = &stage.shop;
    let mut placed = Vec::new();
    for number in 0..6 {
        if number == 2 {
            stage.run(&["delete", "pod/shop-nats-0", "--wait=false"])?;
        }
        let key = format!("busy-{number}");
        let order = shop.order(ada, &key, &[product])?.expect(201)?;
        placed.push(
            order["id"]
                .as_str()
                .context("an order without id")?
                .to_owned(),
        );
    }
    for id in placed {
        eventually("the order is paid", Duration::from_secs(60), || {
            let order = shop
                .get(&format!("/v1/orders/{id}"), Some(&ada.token))?
                .expect(200)?;
            ensure!(order["status"] == "paid", "{order}");
            Ok(())
        })?;
    }
    let namespace = stage.namespace.name();
    stage
        .kubectl
        .wait_for(namespace, "storefront/shop", "Ready", READY)
}

#[test]
fn strangers_and_customers_are_kept_out_of_what_is_not_theirs() -> anyhow::Result<()> {
    let stage = Stage::set("locks")?;
    let shop = &stage.shop;
    let (ada, bob) = (shop.register("ada")?, shop.register("bob")?);

    shop.get(&format!("/v1/users/{}", ada.id), None)?
        .expect(401)?;
    shop.get(&format!("/v1/users/{}", ada.id), Some("not.a.token"))?
        .expect(401)?;
    shop.get(&format!("/v1/users/{}", ada.id), Some(&bob.token))?
        .expect(404)?;
    shop.get("/v1/orders", None)?.expect(401)?;
    shop.get("/v1/notifications", Some(&bob.token))?
        .expect(403)?;
    let import = shop.request(
        reqwest::Method::POST,
        "/v1/products/import",
        Some(&bob.token),
    );
    let import = import.header("content-type", "text/csv").body("sku\n");
    e2e::shop::answer(import)?.expect(403)?;
    for internal in [
        "/internal/v1/accounts/x",
        "/internal/v1/payments/x",
        "/metrics",
    ] {
        shop.get(internal, Some(&ada.token))?.expect(404)?;
    }
    Ok(())
}
