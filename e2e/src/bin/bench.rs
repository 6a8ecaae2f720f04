//! `make bench`: the numbers of the README that need a cluster. It prints one Markdown table row a
//! figure; every loop is bounded in count and time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use e2e::database::Server;
use e2e::shop::Shopper;
use e2e::{Kubectl, Namespace, Shop, audit, eventually, processes};

const ORDERS: usize = 600;
const CLIENTS: usize = 16;
const OPERATOR: &str = ":storefront-operator";
/// Everything that runs for a shop, its gateway too.
const ALL: &str = "app.kubernetes.io/managed-by=storefront-operator";

fn main() -> anyhow::Result<()> {
    let idle = match std::env::args().nth(1).as_deref() {
        None => Duration::from_secs(600),
        Some("--idle-secs") => {
            let seconds = std::env::args()
                .nth(2)
                .context("--idle-secs wants a number")?;
            Duration::from_secs(seconds.parse().context("--idle-secs wants a number")?)
        }
        Some(_) => {
            println!(
                "usage: bench [--idle-secs N]   (default 600)\n\nMeasures on the cluster that STOREFRONT_E2E_STATE names."
            );
            return Ok(());
        }
    };
    let kubectl = Kubectl::from_env()?;
    let namespace = Namespace::restricted(&kubectl, "bench")?.quiet();
    println!("| figure | value |\n|---|---|");
    second_shop(&kubectl, &namespace)?;
    let shop = Shop::of(&kubectl, namespace.name(), "shop")?;
    cold_start(&kubectl, &namespace, &shop)?;
    orders(&kubectl, &namespace, &shop)?;
    idle_writes(&kubectl, idle)?;
    memory(&kubectl, &namespace)
}

fn second_shop(kubectl: &Kubectl, namespace: &Namespace) -> anyhow::Result<()> {
    let manifest = "apiVersion: storefront.dev/v1alpha1
kind: Storefront
metadata: { name: shop }
spec:
  hostnames: [bench.localhost]
  deletionPolicy: Delete
  notifications:
    email:
      smtp: { host: mailpit.mail.svc.cluster.local, port: 1025, from: shop@bench.localhost }
";
    let start = Instant::now();
    kubectl.apply(namespace.name(), manifest)?;
    let limit = Duration::from_secs(300);
    kubectl.wait_for(namespace.name(), "storefront/shop", "Ready", limit)?;
    println!(
        "| apply to Ready of a Storefront, images present | {:.1} s |",
        seconds(start)
    );
    Ok(())
}

/// A pod is deleted: how long until its successor answers `/readyz`, and how long the successor's
/// process takes from its start to the log line that says that it serves.
fn cold_start(kubectl: &Kubectl, namespace: &Namespace, shop: &Shop) -> anyhow::Result<()> {
    const ORDER: &str = "app.kubernetes.io/name=order";
    let at = ["-n", namespace.name()];
    let before = kubectl.names(namespace.name(), "pods", ORDER)?;
    let start = Instant::now();
    kubectl.run(&[&at[..], &["delete", "pod", "--wait=false", "-l", ORDER]].concat())?;
    let (name, address) = eventually("a new pod", Duration::from_secs(60), || {
        let found = kubectl.get(&[&at[..], &["pods", "-l", ORDER]].concat())?;
        let found = found["items"].as_array().into_iter().flatten();
        let name = |pod: &serde_json::Value| {
            let name = pod["metadata"]["name"].as_str().unwrap_or_default();
            format!("pod/{name}")
        };
        let mut fresh = found.filter(|pod| !before.contains(&name(pod)));
        let pod = fresh.next().context("no new pod")?;
        let ip = pod["status"]["podIP"].as_str().context("no address yet")?;
        Ok((name(pod), ip.to_owned()))
    })?;
    let http = e2e::shop::client(None)?;
    let ready = format!("http://{address}:9090/readyz");
    let limit = Duration::from_secs(60);
    eventually(&ready, limit, || {
        http.get(&ready).send()?.error_for_status()?;
        Ok(())
    })?;
    let replaced = seconds(start);
    let mut started = Vec::new();
    for process in processes::of_pods(kubectl, namespace.name(), ORDER)? {
        started.push(epoch_ms("now")?.saturating_sub(process.age_ms()?));
    }
    let started = started.into_iter().max().context("no process")?;
    let log = kubectl.run(&[&at[..], &["logs", &name]].concat())?;
    let serving = log.lines().find(|line| line.contains("\"serving\""));
    let serving: serde_json::Value = serde_json::from_str(serving.context("it does not serve")?)?;
    let serving = epoch_ms(serving["timestamp"].as_str().context("no timestamp")?)?;
    let took = serving.saturating_sub(started);
    println!("| a deleted `order` pod is replaced and answers /readyz | {replaced:.1} s |");
    println!("| from the start of its process until it serves | {took} ms |");
    // The edge follows within a moment.
    eventually("the shop is whole again", limit, || {
        kubectl.wait_for(namespace.name(), "storefront/shop", "Ready", limit)?;
        shop.get("/v1/orders", None)?.expect(401)
    })?;
    Ok(())
}

/// An instant as date(1) reads it, in milliseconds since 1970.
fn epoch_ms(instant: &str) -> anyhow::Result<u64> {
    let output = std::process::Command::new("date")
        .args(["+%s%3N", "--date", instant])
        .output()?;
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

fn memory(kubectl: &Kubectl, namespace: &Namespace) -> anyhow::Result<()> {
    let mut sums: BTreeMap<String, u64> = BTreeMap::new();
    let mut all = processes::of_pods(kubectl, namespace.name(), ALL)?;
    let operator = "app.kubernetes.io/name=storefront-operator";
    all.extend(processes::of_pods(kubectl, "storefront-system", operator)?);
    for process in all {
        *sums.entry(process.service.clone()).or_default() += process.memory_kib().unwrap_or(0);
    }
    for (service, kib) in sums {
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        let mib = kib as f64 / 1024.0;
        println!("| memory of `{service}` at rest (PSS) | {mib:.1} MiB |");
    }
    Ok(())
}

fn orders(kubectl: &Kubectl, namespace: &Namespace, shop: &Shop) -> anyhow::Result<()> {
    let csv = "sku,title,description,category,on_hand,price_EUR,price_USD\n\
               MANY,Many of these,A thing that does not run out,things,1000000,1000,1100\n";
    shop.import(&shop.administrator(kubectl, namespace.name(), "shop")?, csv)?;
    let found = shop.get("/v1/products?limit=1", None)?.expect(200)?;
    let product = found["items"][0]["id"]
        .as_str()
        .context("nothing for sale")?
        .to_owned();
    let ada = shop.register("ada")?;
    for warm in 0..20 {
        shop.order(&ada, &format!("warm-{warm}"), &[&product])?
            .expect(201)?;
    }
    let cpu = || -> anyhow::Result<BTreeMap<String, u64>> {
        let mut sums = BTreeMap::new();
        for process in processes::of_pods(kubectl, namespace.name(), ALL)? {
            *sums.entry(process.service.clone()).or_default() += process.cpu_ms().unwrap_or(0);
        }
        Ok(sums)
    };
    let before = cpu()?;
    let start = Instant::now();
    let mut taken = buy(shop, &ada, &product)?;
    let elapsed = start.elapsed();
    all_paid(kubectl, namespace)?;
    let after = cpu()?;
    taken.sort_unstable();
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    {
        let rate = ORDERS as f64 / elapsed.as_secs_f64();
        println!("| orders through the gateway, {CLIENTS} clients, one product | {rate:.0}/s |");
        for (name, at) in [("median", ORDERS / 2), ("p99", ORDERS * 99 / 100)] {
            println!(
                "| {name} of an order | {:.0} ms |",
                taken[at].as_secs_f64() * 1e3
            );
        }
        let mut total = 0.0;
        for (service, ms) in &after {
            let used = ms.saturating_sub(before.get(service).copied().unwrap_or(0));
            let each = used as f64 / ORDERS as f64;
            total += each;
            println!("| CPU of `{service}` per order, to the mail sent | {each:.2} ms |");
        }
        println!("| CPU of the whole shop per order, to the mail sent | {total:.1} ms |");
    }
    Ok(())
}

/// `CLIENTS` clients place `ORDERS` orders between them; how long each took.
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

/// The work of an order ends with its mails; until then its CPU time is not all spent.
fn all_paid(kubectl: &Kubectl, namespace: &Namespace) -> anyhow::Result<()> {
    let server = Server::of(kubectl, namespace.name(), "shop");
    let sql = "select count(*) from notification.messages where sent_at is null";
    eventually("every mail is sent", Duration::from_secs(240), || {
        let waiting = server.query_service("notification", sql)?;
        ensure!(waiting.trim() == "0", "{} mails wait", waiting.trim());
        Ok(())
    })
}

fn idle_writes(kubectl: &Kubectl, idle: Duration) -> anyhow::Result<()> {
    // What the orders set in motion is over; what is left is rest.
    let mark = audit::mark(kubectl)?;
    let before = reconciles(kubectl)?;
    let start = Instant::now();
    while start.elapsed() < idle {
        std::thread::sleep(Duration::from_secs(1).min(idle));
    }
    let counts = audit::writes_since(kubectl, mark, OPERATOR)?;
    let runs = reconciles(kubectl)? - before;
    let secs = idle.as_secs();
    println!("| API writes of the operator in {secs} idle seconds | {counts:?} |");
    println!("| reconciles of the operator in {secs} idle seconds | {runs} |");
    Ok(())
}

/// Reconciles so far, of all kinds, as the operator's own metric counts them.
fn reconciles(kubectl: &Kubectl) -> anyhow::Result<u64> {
    let system = "storefront-system";
    let label = "app.kubernetes.io/name=storefront-operator";
    let mut sum = 0;
    for pod in kubectl.names(system, "pods", label)? {
        let pod = pod.trim_start_matches("pod/");
        let path = format!("/api/v1/namespaces/{system}/pods/{pod}:9090/proxy/metrics");
        let text = kubectl.run(&["get", "--raw", &path])?;
        let series = "controller_runtime_reconcile_total{";
        for line in text.lines().filter(|line| line.starts_with(series)) {
            let value = line.rsplit(' ').next().context("a series without value")?;
            sum += value.parse::<u64>()?;
        }
    }
    Ok(sum)
}

fn seconds(start: Instant) -> f64 {
    start.elapsed().as_secs_f64()
}
