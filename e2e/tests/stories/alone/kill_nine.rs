//! (d) kill -9 of the operator, of each service, of NATS and of PostgreSQL while 200 orders come
//! in: none lost, none doubled, none oversold, and the ledger adds up.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use e2e::database::Server;
use e2e::mail::Inbox;
use e2e::shop::Shopper;
use e2e::{Shop, eventually, faults};
use serde_json::Value;

use crate::support::ShopFixture;

const ORDERS: usize = 200;
const CLIENTS: usize = 4;
/// Fewer units than orders: somebody has to be refused.
const UNITS: usize = 150;
/// How long one client insists on an answer to one order.
const PATIENCE: Duration = Duration::from_secs(240);

#[test]
fn nothing_is_lost_doubled_or_oversold_whatever_is_killed() -> anyhow::Result<()> {
    let fixture = ShopFixture::borrow("kill")?;
    let csv = format!(
        "sku,title,description,category,on_hand,price_EUR,price_USD\n\
         SCARCE,Scarce thing,There are not enough of these,things,{UNITS},1000,1100\n"
    );
    fixture.shop.import(&fixture.administrator()?, &csv)?;
    let product = fixture.shop.product_about("scarce")?;
    let ada = fixture.shop.register("ada")?;

    let next = AtomicUsize::new(0);
    let done = AtomicUsize::new(0);
    let placed = std::thread::scope(|scope| -> anyhow::Result<BTreeSet<String>> {
        let buy = || client(&fixture.shop, &ada, &product, &next, &done);
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(buy)).collect();
        kill_everything_once(&fixture, &done)?;
        let mut placed = BTreeSet::new();
        for client in clients {
            let orders = client
                .join()
                .map_err(|_| anyhow::anyhow!("a client panicked"))??;
            for order in orders {
                ensure!(
                    placed.insert(order.clone()),
                    "{order} was answered to two keys"
                );
            }
        }
        Ok(placed)
    })?;

    ensure!(
        placed.len() == UNITS,
        "{} of {UNITS} units were sold",
        placed.len()
    );
    every_order_is_kept_and_paid(&fixture, &ada, &placed)?;
    stock_and_ledger_add_up(&fixture, &ada, &product)?;
    each_order_was_mailed_once(&fixture, &ada, placed.len())?;
    fixture.give_back()
}

/// Takes order numbers until there are none left, and insists on each until it has an answer that
/// is final. Returns the ids of the orders that were placed.
fn client(
    shop: &Shop,
    shopper: &Shopper,
    product: &str,
    next: &AtomicUsize,
    done: &AtomicUsize,
) -> anyhow::Result<Vec<String>> {
    let mut placed = Vec::new();
    loop {
        let number = next.fetch_add(1, Ordering::SeqCst);
        if number >= ORDERS {
            return Ok(placed);
        }
        let key = format!("order-{number}");
        let answer = eventually(&key, PATIENCE, || {
            let answer = shop.order(shopper, &key, &[product])?;
            let out_of_stock = answer.status == 409 && answer.body["code"] == "out_of_stock";
            let last = answer.status == 201 || out_of_stock;
            ensure!(last, "{key}: {} {}", answer.status, answer.body);
            Ok(answer)
        })?;
        if answer.status == 201 {
            placed.push(
                answer.body["id"]
                    .as_str()
                    .context("an order without id")?
                    .to_owned(),
            );
        }
        done.fetch_add(1, Ordering::SeqCst);
    }
}

/// One kill after another, spread over the run: each waits for some orders to have gone by.
fn kill_everything_once(fixture: &ShopFixture, done: &AtomicUsize) -> anyhow::Result<()> {
    let victims = [
        "order",
        "payment",
        "product",
        "nats",
        "postgres",
        "user",
        "auth",
        "notification",
        "redis",
        "order",
    ];
    let step = ORDERS / (victims.len() + 2);
    for (index, victim) in victims.iter().enumerate() {
        let threshold = step * (index + 1);
        let start = Instant::now();
        eventually(
            &format!("{threshold} orders before {victim}"),
            PATIENCE,
            || {
                let seen = done.load(Ordering::SeqCst);
                ensure!(
                    seen >= threshold,
                    "{seen} orders after {} s",
                    start.elapsed().as_secs()
                );
                Ok(())
            },
        )?;
        let selector = format!("storefront.dev/storefront=shop,app.kubernetes.io/name={victim}");
        let killed = faults::kill_nine(&fixture.kubectl, fixture.namespace(), &selector)?;
        ensure!(killed > 0, "{victim} had no process to kill");
        eprintln!("killed {victim} ({killed} processes) after {threshold} orders");
    }
    let operator = "app.kubernetes.io/name=storefront-operator";
    let killed = faults::kill_nine(&fixture.kubectl, "storefront-system", operator)?;
    ensure!(killed > 0, "the operator had no process to kill");
    Ok(())
}

fn every_order_is_kept_and_paid(
    fixture: &ShopFixture,
    ada: &Shopper,
    placed: &BTreeSet<String>,
) -> anyhow::Result<()> {
    eventually("every order is paid", PATIENCE, || {
        let kept = all_orders(&fixture.shop, ada)?;
        let ids: BTreeSet<String> = kept
            .iter()
            .filter_map(|order| order["id"].as_str().map(str::to_owned))
            .collect();
        ensure!(kept.len() == ids.len(), "an order is listed twice");
        ensure!(
            ids == *placed,
            "{} kept, {} answered",
            ids.len(),
            placed.len()
        );
        let unpaid = kept
            .iter()
            .filter(|order| order["status"] != "paid")
            .count();
        ensure!(unpaid == 0, "{unpaid} orders are not paid");
        Ok(())
    })
}

fn all_orders(shop: &Shop, ada: &Shopper) -> anyhow::Result<Vec<Value>> {
    let mut orders = Vec::new();
    let mut cursor = String::new();
    // More pages than these cannot be: a list that never ends is a fault of its own.
    for _ in 0..=ORDERS {
        let path = format!("/v1/orders?limit=100{cursor}");
        let page = shop.get(&path, Some(&ada.token))?.expect(200)?;
        orders.extend(page["items"].as_array().cloned().unwrap_or_default());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(orders),
        }
    }
    anyhow::bail!("the list of orders does not end")
}

/// Asked of the databases themselves, since only they know.
fn stock_and_ledger_add_up(
    fixture: &ShopFixture,
    ada: &Shopper,
    product: &str,
) -> anyhow::Result<()> {
    let server = Server::of(&fixture.kubectl, fixture.namespace(), "shop");
    let ask = |service: &str, sql: &str| server.query_service(service, sql);
    eventually("stock and ledger", Duration::from_secs(90), || {
        let stock = ask(
            "product",
            &format!("select on_hand, reserved from product.stock where product_id = '{product}'"),
        )?;
        ensure!(stock == "0|0", "on hand | reserved is {stock}");
        let unbalanced = "select count(*) from (select 1 from payment.ledger_entries
                          group by payment_id, operation_id having sum(minor) <> 0) as t";
        ensure!(
            ask("payment", unbalanced)? == "0",
            "the ledger does not balance"
        );
        let captured = ask(
            "payment",
            &format!(
                "select sum(captured_minor) from payment.payments where user_id = '{}'",
                ada.id
            ),
        )?;
        let ordered = ask(
            "order",
            &format!(
                "select sum(total_minor) from orders.orders where user_id = '{}'",
                ada.id
            ),
        )?;
        ensure!(
            captured == ordered,
            "captured {captured}, ordered {ordered}"
        );
        Ok(())
    })
}

fn each_order_was_mailed_once(
    fixture: &ShopFixture,
    ada: &Shopper,
    orders: usize,
) -> anyhow::Result<()> {
    let inbox = Inbox::of(&fixture.kubectl)?;
    eventually("each order was confirmed once", PATIENCE, || {
        let mut ids = BTreeSet::new();
        let mut subjects = BTreeSet::new();
        for mail in inbox.to(&ada.email)? {
            let subject = mail["Subject"].as_str().unwrap_or_default().to_owned();
            // A sender that dies between the server's "accepted" and its own note sends once more,
            // with the same Message-ID: readers see one mail, so one is what is counted.
            if ids.insert(mail["MessageID"].to_string()) {
                ensure!(subjects.insert(subject.clone()), "two mails say {subject}");
            }
        }
        let welcome = 1;
        // Confirmation and payment received, for each order.
        let expected = welcome + 2 * orders;
        ensure!(
            subjects.len() == expected,
            "{} mails of {expected}",
            subjects.len()
        );
        Ok(())
    })
}
