//! Orders through the gateway: rate, latency and CPU time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;
use e2e::database::Server;
use e2e::shop::Shopper;
use e2e::{Kubectl, Namespace, Shop, eventually};

use crate::cpu;
use crate::selectors::SHOP;

const ORDERS: usize = 600;
const CLIENTS: usize = 16;

pub fn place(kubectl: &Kubectl, namespace: &Namespace, shop: &Shop) -> anyhow::Result<()> {
    let product = product(kubectl, namespace, shop)?;
    let ada = shop.register("ada")?;
    for warm in 0..20 {
        shop.order(&ada, &format!("warm-{warm}"), &[&product])?
            .expect(201)?;
    }
    all_mailed(kubectl, namespace)?;
    let cpu = || -> anyhow::Result<_> {
        Ok((
            cpu::of_pods(kubectl, namespace.name(), SHOP)?,
            cpu::of_machine()?,
        ))
    };
    let (before, machine_before) = cpu()?;
    let start = Instant::now();
    let mut taken = buy(shop, &ada, &product)?;
    let elapsed = start.elapsed();
    all_mailed(kubectl, namespace)?;
    let (after, machine_after) = cpu()?;
    taken.sort_unstable();
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let per_order = |ms: u64| ms as f64 / ORDERS as f64;
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let rate = ORDERS as f64 / elapsed.as_secs_f64();
    println!("| orders through the gateway, {CLIENTS} clients, one product | {rate:.0}/s |");
    for (name, at) in [("median", ORDERS / 2), ("p99", ORDERS * 99 / 100)] {
        println!(
            "| {name} of an order | {:.0} ms |",
            taken[at].as_secs_f64() * 1e3
        );
    }
    let mut total = 0;
    for (service, ms) in &after {
        let used = ms.saturating_sub(before.get(service).copied().unwrap_or(0));
        total += used;
        println!(
            "| CPU of `{service}` per order, to the mails sent | {:.2} ms |",
            per_order(used)
        );
    }
    println!(
        "| CPU per order, the shop's pods | {:.1} ms |",
        per_order(total)
    );
    let machine = machine_after.saturating_sub(machine_before);
    println!(
        "| CPU per order, the whole machine with the clients | {:.1} ms |",
        per_order(machine)
    );
    Ok(())
}

fn product(kubectl: &Kubectl, namespace: &Namespace, shop: &Shop) -> anyhow::Result<String> {
    let csv = "sku,title,description,category,on_hand,price_EUR,price_USD\n\
               MANY,Many of these,A thing that does not run out,things,1000000,1000,1100\n";
    shop.import(&shop.administrator(kubectl, namespace.name(), "shop")?, csv)?;
    shop.first_product()
}

/// `CLIENTS` clients place `ORDERS` orders between them; returns how long each took.
fn buy(shop: &Shop, ada: &Shopper, product: &str) -> anyhow::Result<Vec<Duration>> {
    let next = AtomicUsize::new(0);
    let client = || -> anyhow::Result<Vec<Duration>> {
        let mut taken = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::SeqCst);
            if number >= ORDERS {
                return Ok(taken);
            }
            let start = Instant::now();
            shop.order(ada, &format!("bench-{number}"), &[product])?
                .expect(201)?;
            taken.push(start.elapsed());
        }
    };
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        let mut all = Vec::new();
        for client in clients {
            let taken = client.join();
            all.extend(taken.map_err(|_| anyhow::anyhow!("a client panicked"))??);
        }
        Ok(all)
    })
}

/// The work of an order ends with its mails; until then its CPU time is not complete.
fn all_mailed(kubectl: &Kubectl, namespace: &Namespace) -> anyhow::Result<()> {
    let server = Server::of(kubectl, namespace.name(), "shop");
    let sql = "select count(*) from notification.messages where sent_at is null";
    eventually("every mail is sent", Duration::from_secs(240), || {
        let waiting = server.query_service("notification", sql)?;
        ensure!(
            waiting.trim() == "0",
            "{} mails are not sent",
            waiting.trim()
        );
        Ok(())
    })
}
