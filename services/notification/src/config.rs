//! The command line, parsed once.

use chassis::{BindingConfig, ProcessConfig, TokenConfig};
use clap::{Args, Parser, Subcommand};

use crate::domain::phrases::Locale;

/// The mail: one message per event and recipient.
#[derive(Parser)]
#[command(name = "notification", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Subcommand)]
pub enum Command {
    /// Serve the API, hear events, send mail.
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
    /// Bindings: database, bus, smtp.
    #[command(flatten)]
    pub bindings: BindingConfig,
    /// What bearer tokens must say.
    #[command(flatten)]
    pub tokens: TokenConfig,
    /// What the shop calls itself.
    #[arg(long, env = "SHOP_NAME")]
    pub shop_name: String,
    /// Where the shop is, for links and for the host part of message ids.
    #[arg(long, env = "SHOP_URL")]
    pub shop_url: String,
    /// Language of the mail: en or de.
    #[arg(long, env = "SHOP_LOCALE", default_value = "en")]
    pub shop_locale: Locale,
}
