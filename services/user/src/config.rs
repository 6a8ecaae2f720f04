//! Configuration beyond that of every service.

use chassis::TokenConfig;

/// The settings of `serve`. Bindings: database, bus, internal.
#[derive(clap::Args)]
pub struct Config {
    /// Claims that bearer tokens must carry.
    #[command(flatten)]
    pub tokens: TokenConfig,
    /// Base URL of auth.
    #[arg(long, env = "AUTH_URL")]
    pub auth_url: String,
}
