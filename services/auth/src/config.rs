//! The command line, parsed once.

use chassis::{BindingConfig, ProcessConfig};
use clap::{Args, Parser, Subcommand};

/// Who somebody is: accounts, passwords, tokens, signing keys.
#[derive(Parser)]
#[command(name = "auth", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Subcommand)]
pub enum Command {
    /// Serve the API and relay events.
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
    /// Bindings: database, bus, cache, signing-keys, admin, internal.
    #[command(flatten)]
    pub bindings: BindingConfig,
    /// `iss` of the tokens.
    #[arg(long, env = "TOKEN_ISSUER")]
    pub token_issuer: String,
    /// `aud` of the tokens.
    #[arg(long, env = "TOKEN_AUDIENCE")]
    pub token_audience: String,
}
