//! The command line, parsed once.

use chassis::{BindingConfig, ProcessConfig, TokenConfig};
use clap::{Args, Parser, Subcommand};
use vocabulary::Currency;

/// Checkout, orders and their history.
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
    /// Serve the API, publish and consume events, and resume interrupted checkouts.
    Serve(Box<ServeConfig>),
    /// Migrate the schema, then exit.
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
    /// Addresses of the services that are called.
    #[command(flatten)]
    pub services: ServiceUrls,
    /// Currencies of the shop; the first is the default.
    #[arg(long, env = "SHOP_CURRENCIES", value_delimiter = ',', required = true)]
    pub shop_currencies: Vec<Currency>,
}

/// Addresses of the services that a checkout calls.
#[derive(Debug, Clone, Args)]
pub struct ServiceUrls {
    /// Address of service user.
    #[arg(long, env = "USER_URL")]
    pub user_url: String,
    /// Address of service product.
    #[arg(long, env = "PRODUCT_URL")]
    pub product_url: String,
    /// Address of service payment.
    #[arg(long, env = "PAYMENT_URL")]
    pub payment_url: String,
}
