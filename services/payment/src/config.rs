//! The command line, parsed once.

use chassis::{BindingConfig, ProcessConfig, TokenConfig};
use clap::{Args, Parser, Subcommand};

/// Payments: authorise, capture, void, refund, and the ledger.
#[derive(Parser)]
#[command(name = "payment", version)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

/// The command to run.
#[derive(Subcommand)]
pub enum Command {
    /// Serve the API, publish and consume events, execute operations.
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
    /// What bearer tokens must state.
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
