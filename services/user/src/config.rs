//! The command line, parsed once.

use chassis::{BindingConfig, ProcessConfig, TokenConfig};
use clap::{Args, Parser, Subcommand};

/// What a person told the shop: profiles.
#[derive(Parser)]
#[command(name = "user", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Subcommand)]
pub enum Command {
    /// Serve the API and hear events.
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
    /// Where auth is.
    #[arg(long, env = "AUTH_URL")]
    pub auth_url: String,
}
