//! Configuration, parsed once.

use chassis::TokenConfig;
use clap::Args;
use vocabulary::Currency;

/// What this service needs beyond what every service does.
#[derive(Args)]
pub struct Config {
    #[command(flatten)]
    pub tokens: TokenConfig,
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
