//! (g) A real Prometheus, given what the chart ships, finds every target up and every documented
//! series present. The shop of this story exports its traces, so that those metrics exist too.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::{Kubectl, eventually, shop};
use serde_json::Value;

use crate::support::{CATALOGUE, ShopFixture};
use crate::traces::{TRACED, the_order_is_one_trace};

const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../charts/storefront/files");

/// The Prometheus of the cluster: it discovers pods by itself, with the scrape job and the rules that
/// the chart ships (`e2e/manifests/prometheus.yaml`).
struct Prometheus {
    address: String,
}

impl Prometheus {
    fn of(kubectl: &Kubectl) -> anyhow::Result<Self> {
        let ready = [
            "rollout",
            "status",
            "--timeout=60s",
            "deployment/prometheus",
        ];
        kubectl.run(&[&["-n", "monitoring"], &ready[..]].concat())?;
        let service = kubectl.get("monitoring", "service/prometheus")?;
        let address = service["spec"]["clusterIP"]
            .as_str()
            .context("no address")?;
        Ok(Self {
            address: format!("{address}:9090"),
        })
    }

    fn query(&self, path: &str, query: &[(&str, &str)]) -> anyhow::Result<Value> {
        let url = format!("http://{}/api/v1/{path}", self.address);
        let answer: Value = shop::client(None)?.get(url).query(query).send()?.json()?;
        ensure!(answer["status"] == "success", "{answer}");
        Ok(answer["data"].clone())
    }
}

#[test]
fn prometheus_finds_every_target_up_and_every_documented_series() -> anyhow::Result<()> {
    let fixture = ShopFixture::start_with("metrics", TRACED)?;
    make_every_counter_count(&fixture)?;
    the_order_is_one_trace(&fixture)?;
    let prometheus = Prometheus::of(&fixture.kubectl)?;

    let namespace = fixture.namespace();
    let mine = format!("up{{namespace=\"{namespace}\"}}");
    eventually("every target is up", Duration::from_secs(90), || {
        let up = prometheus.query("query", &[("query", mine.as_str())])?;
        let up = up["result"].as_array().cloned().unwrap_or_default();
        let down: Vec<_> = up.iter().filter(|one| one["value"][1] != "1").collect();
        ensure!(down.is_empty(), "down: {down:?}");
        // Seven services and the gateway.
        ensure!(up.len() >= 8, "only {} targets", up.len());
        let operator = ("query", "up{service=\"storefront-operator\"}");
        let operator = prometheus.query("query", &[operator])?;
        ensure!(
            operator["result"][0]["value"][1] == "1",
            "the operator is not up"
        );
        Ok(())
    })?;

    // Two shops may have one name, so alerts need the shop's namespace. The last scrape may be from before the shop
    // was ready.
    let ready =
        format!("shop_operator_storefront_ready{{namespace=\"{namespace}\",name=\"shop\"}}");
    let edge = format!("up{{namespace=\"{namespace}\",storefront=\"shop\",service=\"gateway\"}}");
    for query in [ready, edge] {
        eventually(&format!("{query} is 1"), Duration::from_secs(60), || {
            let seen = prometheus.query("query", &[("query", query.as_str())])?;
            ensure!(seen["result"][0]["value"][1] == "1", "{seen}");
            Ok(())
        })?;
    }

    for series in documented_series()? {
        eventually(
            &format!("{series} is there"),
            Duration::from_secs(60),
            || {
                let query = of_namespaces(&series, &[namespace, "storefront-system"]);
                let seen = prometheus.query("query", &[("query", query.as_str())])?;
                let seen = seen["result"]
                    .as_array()
                    .is_some_and(|found| !found.is_empty());
                ensure!(seen, "{series} is documented but absent");
                Ok(())
            },
        )?;
    }

    let rules = prometheus.query("rules", &[])?;
    let groups = rules["groups"].as_array().cloned().unwrap_or_default();
    ensure!(!groups.is_empty(), "no rule was loaded");
    for rule in groups
        .iter()
        .flat_map(|group| group["rules"].as_array().into_iter().flatten())
    {
        ensure!(rule["health"] != "err", "{rule}");
    }
    Ok(())
}

/// A selector of the series of these namespaces only: this Prometheus also holds those of earlier stories.
fn of_namespaces(series: &str, namespaces: &[&str]) -> String {
    let (name, labels) = series
        .trim_end_matches('}')
        .split_once('{')
        .unwrap_or((series, ""));
    let only = format!("namespace=~\"{}\"", namespaces.join("|"));
    format!(
        "{name}{{{labels}{}{only}}}",
        if labels.is_empty() { "" } else { "," }
    )
}

/// `files/series.txt`: one series a line, which the rules and the dashboards use.
fn documented_series() -> anyhow::Result<Vec<String>> {
    let text = std::fs::read_to_string(format!("{CHART}/series.txt"))?;
    let lines = text.lines().map(str::trim);
    Ok(lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect())
}

fn make_every_counter_count(fixture: &ShopFixture) -> anyhow::Result<()> {
    let shop = &fixture.shop;
    shop.import(&fixture.administrator()?, CATALOGUE)?;
    let ada = shop.register("ada")?;
    let product = shop.first_product()?;
    shop.get(&format!("/v1/products/{product}"), None)?
        .expect(200)?;
    shop.order(&ada, "one", &[&product])?.expect(201)?;
    Ok(())
}
