//! (g) A real Prometheus, given what the chart ships, finds every target up and every documented
//! series present.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::{eventually, shop};
use serde_json::{Value, json};

use crate::support::{CATALOGUE, Stage};

const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../charts/storefront/files");

/// A Prometheus process of Debian's package; it ends with the story.
struct Prometheus {
    process: Child,
    address: String,
}

impl Prometheus {
    fn start(stage: &Stage, folder: &Path) -> anyhow::Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let shipped = std::fs::read_to_string(format!("{CHART}/prometheus-scrape.yaml"))?;
        let discovery = "kubernetes_sd_configs:\n      - role: pod\n";
        ensure!(
            shipped.contains(discovery),
            "the shipped file has no pod discovery"
        );
        // Debian builds Prometheus without the discovery of Kubernetes. So the story discovers, with
        // the labels that the documentation of `kubernetes_sd_config` names, and all that is shipped
        // besides (which pods, which port, which labels) is Prometheus' own work.
        let targets = folder.join("targets.json");
        std::fs::write(&targets, discover(stage)?.to_string())?;
        let here = format!("file_sd_configs:\n      - files: [{}]\n", targets.display());
        let config = format!(
            "global: {{ scrape_interval: 2s, evaluation_interval: 2s }}\n\
             rule_files: [{CHART}/rules.yaml]\n{}",
            shipped.replace(discovery, &here)
        );
        let file = folder.join("prometheus.yml");
        std::fs::write(&file, config)?;
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.join("data").display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.join("prometheus.log"))?)
            .spawn()
            .context("start prometheus (Debian's package)")?;
        Ok(Self { process, address })
    }

    fn ask(&self, path: &str, query: &[(&str, &str)]) -> anyhow::Result<Value> {
        let url = format!("http://{}/api/v1/{path}", self.address);
        let answer: Value = shop::client(None)?.get(url).query(query).send()?.json()?;
        ensure!(answer["status"] == "success", "{answer}");
        Ok(answer["data"].clone())
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn prometheus_finds_every_target_up_and_every_documented_series() -> anyhow::Result<()> {
    let stage = Stage::set("metrics")?;
    give_the_counters_something_to_count(&stage)?;
    let folder = std::env::temp_dir().join(format!("storefront-prometheus-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let prometheus = Prometheus::start(&stage, &folder)?;

    let namespace = stage.namespace.name();
    let mine = format!("up{{namespace=\"{namespace}\"}}");
    eventually("every target is up", Duration::from_secs(60), || {
        let up = prometheus.ask("query", &[("query", mine.as_str())])?;
        let up = up["result"].as_array().cloned().unwrap_or_default();
        let down: Vec<_> = up.iter().filter(|one| one["value"][1] != "1").collect();
        ensure!(down.is_empty(), "down: {down:?}");
        // Seven services and the gateway.
        ensure!(up.len() >= 8, "only {} targets", up.len());
        let operator = ("query", "up{service=\"storefront-operator\"}");
        let operator = prometheus.ask("query", &[operator])?;
        ensure!(
            operator["result"][0]["value"][1] == "1",
            "the operator is not up"
        );
        Ok(())
    })?;

    for series in documented_series()? {
        eventually(
            &format!("{series} is there"),
            Duration::from_secs(30),
            || {
                let seen = prometheus.ask("query", &[("query", series.as_str())])?;
                let seen = seen["result"]
                    .as_array()
                    .is_some_and(|found| !found.is_empty());
                ensure!(seen, "{series} is documented but absent");
                Ok(())
            },
        )?;
    }

    let rules = prometheus.ask("rules", &[])?;
    let groups = rules["groups"].as_array().cloned().unwrap_or_default();
    ensure!(!groups.is_empty(), "no rule was loaded");
    for rule in groups
        .iter()
        .flat_map(|group| group["rules"].as_array().into_iter().flatten())
    {
        ensure!(rule["health"] != "err", "{rule}");
    }
    drop(prometheus);
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

/// Every port of every pod of the story's namespace and the operator's, as role `pod` finds them.
fn discover(stage: &Stage) -> anyhow::Result<Value> {
    let mut targets = Vec::new();
    for namespace in [stage.namespace.name(), "storefront-system"] {
        let pods = stage.kubectl.get(&["-n", namespace, "pods"])?;
        for pod in pods["items"].as_array().into_iter().flatten() {
            let mut labels = serde_json::Map::new();
            let mut label = |name: &str, value: &Value| {
                labels.insert(format!("__meta_kubernetes_{name}"), value.clone());
            };
            label("namespace", &pod["metadata"]["namespace"]);
            label("pod_name", &pod["metadata"]["name"]);
            label("pod_phase", &pod["status"]["phase"]);
            for (name, value) in pod["metadata"]["labels"].as_object().into_iter().flatten() {
                let name = name.replace(|letter: char| !letter.is_ascii_alphanumeric(), "_");
                label(&format!("pod_label_{name}"), value);
            }
            let ip = pod["status"]["podIP"].as_str().unwrap_or_default();
            let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
            for port in containers.flat_map(|one| one["ports"].as_array().into_iter().flatten()) {
                let mut labels = labels.clone();
                let name = "__meta_kubernetes_pod_container_port_name".to_owned();
                labels.insert(name, port["name"].clone());
                let address = format!("{ip}:{}", port["containerPort"]);
                targets.push(json!({ "targets": [address], "labels": labels }));
            }
        }
    }
    Ok(Value::Array(targets))
}

/// `files/series.txt`: one series a line; what the rules and the dashboards stand on.
fn documented_series() -> anyhow::Result<Vec<String>> {
    let text = std::fs::read_to_string(format!("{CHART}/series.txt"))?;
    let lines = text.lines().map(str::trim);
    Ok(lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect())
}

fn give_the_counters_something_to_count(stage: &Stage) -> anyhow::Result<()> {
    let shop = &stage.shop;
    shop.import(&stage.administrator()?, CATALOGUE)?;
    let ada = shop.register("ada")?;
    let found = shop.get("/v1/products?limit=1", None)?.expect(200)?;
    let product = found["items"][0]["id"]
        .as_str()
        .context("nothing for sale")?
        .to_owned();
    shop.get(&format!("/v1/products/{product}"), None)?
        .expect(200)?;
    shop.order(&ada, "one", &[&product])?.expect(201)?;
    Ok(())
}
