//! Configuration beyond that of every service.

use chassis::TokenConfig;

use crate::shop::Locale;

/// The settings of `serve`. Bindings: database, bus, smtp.
#[derive(clap::Args)]
pub struct Config {
    /// Claims that bearer tokens must carry.
    #[command(flatten)]
    pub tokens: TokenConfig,
    /// Name of the shop.
    #[arg(long, env = "SHOP_NAME")]
    pub shop_name: String,
    /// URL of the shop, for links and for the host part of message ids.
    #[arg(long, env = "SHOP_URL")]
    pub shop_url: String,
    /// Language of the mail: en or de.
    #[arg(long, env = "SHOP_LOCALE", default_value = "en")]
    pub shop_locale: Locale,
}
