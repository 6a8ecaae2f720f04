//! Configuration beyond that of every service.

use chassis::TokenConfig;

/// The settings of `serve`. Bindings: database, bus, internal.
#[derive(clap::Args)]
pub struct Config {
    /// Claims that bearer tokens must carry.
    #[command(flatten)]
    pub tokens: TokenConfig,
    /// The payment methods that customers are offered, separated by commas.
    #[arg(
        long,
        env = "PAYMENT_METHODS",
        value_delimiter = ',',
        default_value = "manual"
    )]
    pub payment_methods: Vec<String>,
}
