//! What the process is told.

use chassis::ProcessConfig;

/// The command line.
#[derive(Debug, clap::Parser)]
#[command(version, about = "The page that a visitor sees first")]
pub enum Config {
    /// Serve the page until SIGTERM.
    Serve {
        /// Sockets, log, drain.
        #[command(flatten)]
        process: ProcessConfig,
        /// What the page says.
        #[command(flatten)]
        page: Page,
    },
}

/// What the page says about the shop.
#[derive(Clone, Debug, clap::Args)]
pub struct Page {
    /// Name of the shop.
    #[arg(long, env = "SHOP_NAME")]
    pub shop_name: String,
    /// The shop's own address, for requests that do not say which they used.
    #[arg(long, env = "SHOP_URL")]
    pub shop_url: String,
    /// Hosts that the page may repeat beside loopback ones; empty where the gateway passes listed hosts only.
    #[arg(long, env = "SHOP_HOSTS", value_delimiter = ',')]
    pub shop_hosts: Vec<String>,
    /// ISO 4217 codes with commas between them, the default first.
    #[arg(long, env = "SHOP_CURRENCIES", default_value = "EUR")]
    pub shop_currencies: String,
}
