//! Flags and environment of every process.

use std::net::SocketAddr;
use std::path::PathBuf;

use traces::TracingConfig;

/// Sockets, log and drain of one process; `#[command(flatten)]` it.
#[derive(Debug, Clone, clap::Args)]
pub struct ProcessConfig {
    /// Socket of the API.
    #[arg(long, env = "LISTEN", default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,
    /// Socket of /healthz, /readyz and /metrics.
    #[arg(long, env = "ADMIN_LISTEN", default_value = "0.0.0.0:9090")]
    pub admin_listen: SocketAddr,
    /// Log filter, such as `info` or `info,order=debug`.
    #[arg(long, env = "LOG", default_value = "info")]
    pub log: String,
    /// Seconds from SIGTERM to exit.
    #[arg(long, env = "DRAIN_SECS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(0..=600))]
    pub drain_secs: u64,
    /// Export of spans. Boxed, because it is large and seldom used.
    #[command(flatten)]
    pub tracing: Box<TracingConfig>,
}

/// Where bindings (servicebinding.io) are mounted.
#[derive(Debug, Clone, clap::Args)]
pub struct BindingConfig {
    /// Folder with one folder per binding.
    #[arg(
        long = "binding-root",
        env = "SERVICE_BINDING_ROOT",
        default_value = "/bindings"
    )]
    pub binding_root: PathBuf,
}

/// Issuer and audience of bearer tokens, and where their keys are.
#[derive(Debug, Clone, clap::Args)]
pub struct TokenConfig {
    /// Expected `iss`.
    #[arg(long, env = "TOKEN_ISSUER")]
    pub token_issuer: String,
    /// Expected `aud`.
    #[arg(long, env = "TOKEN_AUDIENCE")]
    pub token_audience: String,
    /// Where the issuer publishes its keys.
    #[arg(long, env = "JWKS_URL")]
    pub jwks_url: String,
}
