//! The command line, parsed once.

use chassis::{BindingConfig, ProcessConfig, TokenConfig};
use clap::{Args, Parser, Subcommand};

/// The money: authorise, capture, void, refund, ledger.
#[derive(Parser)]
#[command(name = "payment", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Subcommand)]
pub enum Command {
    /// Serve the API, relay and hear events.
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
}
