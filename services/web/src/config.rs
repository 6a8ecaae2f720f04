//! The command line.

use chassis::ProcessConfig;

/// The command line.
#[derive(Debug, clap::Parser)]
#[command(version, about = "The start page of a shop")]
pub enum Config {
    /// Serve the page until SIGTERM.
    Serve {
        /// Sockets, log, drain.
        #[command(flatten)]
        process: ProcessConfig,
        /// Contents of the page.
        #[command(flatten)]
        page: Page,
    },
}

/// Contents of the page.
#[derive(Clone, Debug, clap::Args)]
pub struct Page {
    /// Name of the shop.
    #[arg(long, env = "SHOP_NAME")]
    pub shop_name: String,
    /// URL of the shop, for requests whose host must not be repeated.
    #[arg(long, env = "SHOP_URL")]
    pub shop_url: String,
    /// Hosts that the page may repeat beside loopback ones; empty where the gateway passes listed hosts only.
    #[arg(long, env = "SHOP_HOSTS", value_delimiter = ',')]
    pub shop_hosts: Vec<String>,
    /// ISO 4217 codes, separated by commas, the default first.
    #[arg(long, env = "SHOP_CURRENCIES", default_value = "EUR")]
    pub shop_currencies: String,
}
