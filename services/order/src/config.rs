//! The command line, parsed once.

use chassis::{BindingConfig, ProcessConfig, TokenConfig};
use clap::{Args, Parser, Subcommand};
use vocabulary::Currency;

/// The promise: checkout, orders and their history.
#[derive(Parser)]
#[command(name = "order", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Subcommand)]
pub enum Command {
    /// Serve the API, relay, hear events and finish what a kill left open.
    Serve(Box<ServeConfig>),
    /// Bring the schema up to date, then exit.
    Migrate(BindingConfig),
    /// Print the OpenAPI document.
    Openapi,
}

/// Everything `serve` needs.
#[derive(Args)]
pub struct ServeConfig {
    /// Sockets, log, drain.
    #[command(flatten)]
    pub process: ProcessConfig,
    /// Bindings: database, bus, internal.
    #[command(flatten)]
    pub bindings: BindingConfig,
    /// What bearer tokens must say.
    #[command(flatten)]
    pub tokens: TokenConfig,
    /// Where the others are.
    #[command(flatten)]
    pub peers: PeerUrls,
    /// Currencies of the shop; the first is the default.
    #[arg(long, env = "SHOP_CURRENCIES", value_delimiter = ',', required = true)]
    pub shop_currencies: Vec<Currency>,
}

/// Where the services are that a checkout asks.
#[derive(Debug, Clone, Args)]
pub struct PeerUrls {
    /// Where user is.
    #[arg(long, env = "USER_URL")]
    pub user_url: String,
    /// Where product is.
    #[arg(long, env = "PRODUCT_URL")]
    pub product_url: String,
    /// Where payment is.
    #[arg(long, env = "PAYMENT_URL")]
    pub payment_url: String,
}
