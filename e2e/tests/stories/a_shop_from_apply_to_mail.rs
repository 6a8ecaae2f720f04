//! (a) From `kubectl apply` to an order whose mail arrived, on a bus of three servers that loses one.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::eventually;
use e2e::mail::Inbox;
use e2e::shop::Shopper;
use reqwest::Method;
use serde_json::{Value, json};

use crate::families;
use crate::support::{CATALOGUE, ShopFixture};

/// Every internal API: service, method and path, in which `ID` stands for an id.
const INTERNAL: &[(&str, Method, &str)] = &[
    ("auth", Method::GET, "/internal/v1/accounts/ID"),
    ("user", Method::GET, "/internal/v1/users/ID"),
    ("product", Method::PUT, "/internal/v1/reservations/ID"),
    (
        "product",
        Method::POST,
        "/internal/v1/reservations/ID/claim",
    ),
    (
        "product",
        Method::POST,
        "/internal/v1/reservations/ID/release",
    ),
    ("payment", Method::PUT, "/internal/v1/payments/ID"),
    ("payment", Method::POST, "/internal/v1/payments/ID/capture"),
    ("payment", Method::POST, "/internal/v1/payments/ID/void"),
    ("payment", Method::POST, "/internal/v1/payments/ID/refund"),
];

#[test]
fn a_shopper_registers_logs_in_buys_and_gets_a_mail() -> anyhow::Result<()> {
    let fixture = ShopFixture::start_with("apply", "  queue: { nats: { replicas: 3 } }\n")?;
    let shop = &fixture.shop;
    families::a_shop_answers_in_every_family_of_its_cluster(&fixture)?;

    let imported = shop.import(&fixture.administrator()?, CATALOGUE)?;
    let rows = CATALOGUE.lines().count() - 1;
    ensure!(rows >= 100, "the catalogue has only {rows} products");
    ensure!(imported["created"] == rows, "{imported}");

    // The contract of the users' API, field by field.
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
        .request(Method::PUT, &path, Some(&ada.token))
        .json(&edit);
    let profile = e2e::shop::answer(edit)?.expect(200)?;
    ensure!(profile["first_name"] == "Ada", "{profile}");

    // Seven are bought below, more than there are of some coffees.
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

    let inbox = Inbox::of(&fixture.kubectl)?;
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
    orders_go_through_while_the_bus_loses_a_server(&fixture, &ada, &product)
}

/// Whichever server leads, the bus has a majority left.
fn orders_go_through_while_the_bus_loses_a_server(
    fixture: &ShopFixture,
    ada: &Shopper,
    product: &str,
) -> anyhow::Result<()> {
    let shop = &fixture.shop;
    let mut placed = Vec::new();
    for number in 0..6 {
        if number == 2 {
            fixture.run(&["delete", "pod/shop-nats-0", "--wait=false"])?;
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
    fixture.wait_until_ready()
}

#[test]
fn strangers_and_customers_are_kept_out_of_what_is_not_theirs() -> anyhow::Result<()> {
    let fixture = ShopFixture::borrow("locks")?;
    let shop = &fixture.shop;
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
    let import = shop.request(Method::POST, "/v1/products/import", Some(&bob.token));
    let import = import.header("content-type", "text/csv").body("sku\n");
    e2e::shop::answer(import)?.expect(403)?;
    fixture.give_back()
}

/// Each path exists inside of the cluster, where it asks for the shop's internal token; the gateway has no route to it,
/// whoever asks.
#[test]
fn internal_apis_exist_and_the_gateway_serves_none_of_them() -> anyhow::Result<()> {
    let fixture = ShopFixture::borrow("internal")?;
    let shop = &fixture.shop;
    let tokens = [
        None,
        Some(shop.register("ada")?.token),
        Some(fixture.administrator()?),
    ];
    for (service, method, path) in INTERNAL {
        let path = path.replace("ID", "00000000-0000-7000-8000-000000000000");
        let inside = fixture.service_address(service)?;
        let inside =
            e2e::shop::client(None)?.request(method.clone(), format!("http://{inside}{path}"));
        let status = inside.send()?.status().as_u16();
        ensure!(
            status == 401,
            "{method} {path} of {service}: {status} inside of the cluster"
        );
        for token in &tokens {
            let request = shop.request(method.clone(), &path, token.as_deref());
            e2e::shop::answer(request)?.expect(404)?;
        }
    }
    shop.get("/metrics", None)?.expect(404)?;
    fixture.give_back()
}
