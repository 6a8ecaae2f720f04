//! What a span costs: `cargo run --release -p traces --example cost -- http://127.0.0.1:4318`, with a collector
//! there or with none.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use traces::http::{Asked, answered, routed, serve};
use traces::{Exporter, ExporterOptions, TraceContext, TracingConfig};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331";
const MANY: u32 = 1_000_000;
const ROUNDS: u32 = 1_000;
const ROUND: u32 = 200;

/// The span of one request, as the chassis makes it.
fn one(parent: Option<TraceContext>) {
    let asked = Asked {
        method: "GET",
        scheme: "http",
        authority: "demo-order:8080",
        path: "/v1/orders/0199c2f4-7c3e-7000-8000-000000000000",
    };
    let mut span = serve(parent, asked);
    if let Some(record) = span.record() {
        routed(record, "GET", "/v1/orders/{id}");
        answered(record, 200);
    }
}

fn timed(times: u32, parent: Option<TraceContext>) -> Duration {
    let began = Instant::now();
    (0..times).for_each(|_| one(parent));
    began.elapsed()
}

/// CPU time of the process, in steps of ten milliseconds.
fn cpu() -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace();
    let ticks = fields.skip(11).take(2).map(str::parse::<u64>);
    let ticks: u64 = ticks.sum::<Result<u64, _>>()?;
    Ok(Duration::from_millis(ticks * 10))
}

#[tokio::main]
#[expect(clippy::disallowed_methods, reason = "the delivery is waited for")]
async fn main() -> anyhow::Result<()> {
    let parent = |flags: &str| TraceContext::parse(&format!("{PARENT}-{flags}"));
    println!("off: {:?}", timed(MANY, parent("01")) / MANY);

    let config = TracingConfig {
        otlp_endpoint: std::env::args().nth(1).unwrap_or_default(),
        ..TracingConfig::default()
    };
    let options = ExporterOptions::default();
    let Some((exporter, delivery)) = Exporter::new(&config, "cost", options)? else {
        anyhow::bail!("name a collector");
    };
    let series = exporter.series();
    exporter.install();
    let stop = CancellationToken::new();
    let delivering = tokio::spawn(delivery.run(stop.clone()));
    println!("not sampled: {:?}", timed(MANY, parent("00")) / MANY);

    let (used, mut held) = (cpu()?, Duration::ZERO);
    for _ in 0..ROUNDS {
        held += timed(ROUND, parent("01"));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (spans, all) = (ROUNDS * ROUND, cpu()?.saturating_sub(used));
    println!(
        "sampled: {:?} in the request, {:?} of CPU in all",
        held / spans,
        all / spans
    );
    stop.cancel();
    delivering.await?;
    for outcome in ["exported", "overflowed", "failed", "rejected"] {
        println!("{outcome}: {}", series.with_label_values(&[outcome]).get());
    }
    Ok(())
}
