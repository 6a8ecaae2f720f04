//! (f2) A shop has an address of each IP family that its cluster has, and answers at each.

use std::net::SocketAddr;

use anyhow::{Context as _, ensure};
use e2e::shop::{answer, client};
use serde_json::Value;

use crate::support::ShopFixture;

/// On a cluster without IPv6, which `cluster up` says in a line, one address of each is asked for.
pub fn a_shop_answers_in_every_family_of_its_cluster(fixture: &ShopFixture) -> anyhow::Result<()> {
    let list = |kind: &str| fixture.kubectl.list(fixture.namespace(), kind, "");
    let ranges = fixture.get("servicecidr/kubernetes")?;
    let families = texts(&ranges["spec"]["cidrs"]).len();
    ensure!(families > 0, "{ranges}");
    for service in list("services")? {
        let addresses = texts(&service["spec"]["clusterIPs"]);
        let is_headless = addresses == ["None"];
        ensure!(
            is_headless || addresses.len() == families,
            "{families} families: {service}"
        );
        ensure!(
            texts(&service["spec"]["ipFamilies"]).len() == families,
            "{families} families: {service}"
        );
    }
    let pods = list("pods")?.into_iter();
    for pod in pods.filter(|pod| pod["status"]["phase"] == "Running") {
        let addresses = pod["status"]["podIPs"].as_array().map_or(0, Vec::len);
        ensure!(addresses == families, "{families} families: {pod}");
    }
    let ask = |address: &str, port: u16| {
        let at = SocketAddr::new(address.parse()?, port);
        let url = format!("http://{at}/v1/products?limit=1");
        let request = client(None)?.get(&url).header("host", fixture.hostname());
        answer(request)?.expect(200).context(url)
    };
    let gateway = fixture.get("gateway/shop")?;
    let held = gateway["status"]["addresses"].as_array().cloned();
    let held = held.unwrap_or_default();
    ensure!(held.len() == families, "{families} families: {gateway}");
    for address in &held {
        ask(text(&address["value"])?, 80)?;
    }
    // Past the gateway too: the services listen on both.
    let product = fixture.get("service/shop-product")?;
    let port = product["spec"]["ports"][0]["port"].as_u64();
    let port = u16::try_from(port.context("shop-product has no port")?)?;
    for address in texts(&product["spec"]["clusterIPs"]) {
        ask(address, port)?;
    }
    Ok(())
}

fn text(value: &Value) -> anyhow::Result<&str> {
    value
        .as_str()
        .with_context(|| format!("{value} is no text"))
}

fn texts(list: &Value) -> Vec<&str> {
    let all = list.as_array().into_iter().flatten();
    all.filter_map(Value::as_str).collect()
}
