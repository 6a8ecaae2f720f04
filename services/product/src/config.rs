//! Configuration beyond that of every service.

use chassis::TokenConfig;

/// The settings of `serve`. Bindings: database, bus, cache, internal.
#[derive(clap::Args)]
pub struct Config {
    /// Claims that bearer tokens must carry.
    #[command(flatten)]
    pub tokens: TokenConfig,
}
