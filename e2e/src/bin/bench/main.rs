//! `make bench`: the numbers of docs/benchmarks.md that need a cluster. It prints one row of a Markdown table a
//! figure; every loop is bounded in count and time.

mod cpu;
mod fan_out;
mod idle;
mod orders;
mod pods;
mod selectors;

use std::time::{Duration, Instant};

use anyhow::Context as _;
use e2e::{Kubectl, Namespace, Shop};

const USAGE: &str =
    "usage: bench [--idle-secs N]     one shop: start, orders, rest (default of N: 600)
       bench fan-out [N...]    N Storefronts at a time that wait for their servers (default: 10 100)

Measures on the cluster that STOREFRONT_E2E_STATE names.";

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |text: &String| {
        text.parse::<u64>()
            .with_context(|| format!("{text} is no number\n{USAGE}"))
    };
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [] => everything(Duration::from_secs(600)),
        ["--idle-secs", seconds] => {
            everything(Duration::from_secs(number(&(*seconds).to_owned())?))
        }
        ["fan-out"] => fan_out(&[10, 100]),
        ["fan-out", counts @ ..] => {
            let counts: Result<Vec<u64>, _> = counts
                .iter()
                .map(|count| number(&(*count).to_owned()))
                .collect();
            fan_out(&counts?)
        }
        _ => anyhow::bail!(USAGE),
    }
}

fn everything(idle: Duration) -> anyhow::Result<()> {
    let kubectl = Kubectl::from_env()?;
    header();
    {
        let namespace = Namespace::restricted(&kubectl, "bench")?.quiet();
        apply_to_ready(&kubectl, &namespace)?;
        let shop = Shop::of(&kubectl, namespace.name(), "shop")?;
        pods::replacement(&kubectl, &namespace, &shop)?;
        orders::place(&kubectl, &namespace, &shop)?;
        idle::operator(&kubectl, idle)?;
        pods::memory(&kubectl, &namespace)?;
    }
    for count in [10, 100] {
        fan_out::measure(&kubectl, count)?;
    }
    Ok(())
}

fn fan_out(counts: &[u64]) -> anyhow::Result<()> {
    let kubectl = Kubectl::from_env()?;
    header();
    for count in counts {
        fan_out::measure(&kubectl, *count)?;
    }
    Ok(())
}

fn header() {
    println!("| figure | value |\n|---|---|");
}

fn apply_to_ready(kubectl: &Kubectl, namespace: &Namespace) -> anyhow::Result<()> {
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
        start.elapsed().as_secs_f64()
    );
    Ok(())
}
