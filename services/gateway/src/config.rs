//! Flags and environment.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use traces::TracingConfig;

/// Data plane of one Gateway of the Kubernetes Gateway API.
#[derive(Debug, clap::Parser)]
#[command(name = "gateway", version)]
pub enum Command {
    /// Serve until SIGTERM.
    Serve(Config),
}

/// Flags and environment of `gateway serve`.
#[derive(Clone, Debug, clap::Args)]
pub struct Config {
    /// Namespace of the Gateway that is served.
    #[arg(long, env = "GATEWAY_NAMESPACE")]
    pub gateway_namespace: String,
    /// Name of the Gateway that is served.
    #[arg(long, env = "GATEWAY_NAME")]
    pub gateway_name: String,
    /// Socket of /healthz, /readyz and /metrics.
    #[arg(long, env = "ADMIN_LISTEN", default_value = "0.0.0.0:9090")]
    pub admin_listen: SocketAddr,
    /// Log filter, such as `info` or `info,gateway=debug`.
    #[arg(long, env = "LOG", default_value = "info")]
    pub log: String,
    /// Seconds from SIGTERM to exit.
    #[arg(long, env = "DRAIN_SECS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(0..=600))]
    pub drain_secs: u64,
    /// Export of spans.
    #[command(flatten)]
    pub tracing: TracingConfig,
    /// Limits of connections and requests.
    #[command(flatten)]
    pub limits: Limits,
}

/// Limits of the data plane; routes may set narrower timeouts.
#[derive(Clone, Debug, clap::Args)]
pub struct Limits {
    /// Address that listeners bind.
    #[arg(long, env = "BIND_ADDRESS", default_value = "0.0.0.0")]
    pub bind_address: IpAddr,
    /// Worker threads; 0 means one for each CPU.
    #[arg(long, env = "WORKERS", default_value_t = 0)]
    pub workers: usize,
    /// Largest request body in bytes.
    #[arg(long, env = "MAX_BODY_BYTES", default_value_t = 8 * 1024 * 1024)]
    pub max_body_bytes: u64,
    /// Largest request head in bytes.
    #[arg(long, env = "MAX_HEAD_BYTES", default_value_t = 32 * 1024, value_parser = clap::value_parser!(u32).range(8192..=1_048_576))]
    pub max_head_bytes: u32,
    /// Seconds until a backend must have begun to respond, where the route sets no timeout.
    #[arg(long, env = "REQUEST_TIMEOUT_SECS", default_value_t = 30)]
    pub request_timeout_secs: u64,
    /// Seconds to connect to a backend.
    #[arg(long, env = "CONNECT_TIMEOUT_SECS", default_value_t = 2)]
    pub connect_timeout_secs: u64,
    /// Seconds without a byte within a response, whether the backend sends none or the client reads none.
    #[arg(long, env = "IDLE_TIMEOUT_SECS", default_value_t = 60)]
    pub idle_timeout_secs: u64,
    /// Seconds for a client to send a request head, and to keep an idle connection.
    #[arg(long, env = "HEAD_TIMEOUT_SECS", default_value_t = 60)]
    pub head_timeout_secs: u64,
    /// Client connections of each worker; more wait in the kernel.
    #[arg(long, env = "MAX_CONNECTIONS", default_value_t = 8192)]
    pub max_connections: usize,
    /// Connections of each worker to one endpoint; further requests are refused with 503.
    #[arg(long, env = "MAX_ENDPOINT_CONNECTIONS", default_value_t = 1024)]
    pub max_endpoint_connections: u32,
    /// Clients that rate limits remember; those not seen for the longest time are forgotten first.
    #[arg(long, env = "MAX_RATE_LIMIT_KEYS", default_value_t = 100_000)]
    pub max_rate_limit_keys: usize,
    /// Write one line for each request.
    #[arg(long, env = "ACCESS_LOG", default_value_t = true, action = clap::ArgAction::Set)]
    pub access_log: bool,
}

impl Limits {
    /// How long a backend may take where the route sets no timeout; `None` is unlimited.
    pub fn request_timeout(&self) -> Option<Duration> {
        (self.request_timeout_secs > 0).then(|| Duration::from_secs(self.request_timeout_secs))
    }

    /// Number of worker threads.
    pub fn worker_count(&self) -> usize {
        match self.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            count => count,
        }
    }
}
