//! Configuration beyond that of every service.

use crate::accounts::registrations::Registrations;
use crate::sessions::failed_logins::FailedLogins;
use crate::throttle::domain::Limit;

/// The settings of `serve`. Bindings: database, bus, signing-keys, admin, internal.
#[derive(clap::Args)]
pub struct Config {
    /// `iss` of the tokens.
    #[arg(long, env = "TOKEN_ISSUER")]
    pub token_issuer: String,
    /// `aud` of the tokens.
    #[arg(long, env = "TOKEN_AUDIENCE")]
    pub token_audience: String,
    /// Failed logins on one account within the window, of clients that its owner has not used.
    #[arg(long, env = "FAILED_LOGINS_PER_ACCOUNT", default_value_t = 20)]
    pub failed_logins_per_account: u32,
    /// Failed logins of one client within the window.
    #[arg(long, env = "FAILED_LOGINS_PER_CLIENT", default_value_t = 100)]
    pub failed_logins_per_client: u32,
    /// The window of failed logins.
    #[arg(long, env = "FAILED_LOGINS_WINDOW_SECS", default_value_t = 900)]
    pub failed_logins_window_secs: u32,
    /// Registrations of one client within the window.
    #[arg(long, env = "REGISTRATIONS_PER_CLIENT", default_value_t = 10)]
    pub registrations_per_client: u32,
    /// Registrations of the network around a client (IPv4 /24, IPv6 /48) within the window.
    #[arg(long, env = "REGISTRATIONS_PER_NETWORK", default_value_t = 50)]
    pub registrations_per_network: u32,
    /// Whether an account is created only when its address is confirmed.
    #[arg(long, env = "CONFIRM_ADDRESSES", default_value_t = false, action = clap::ArgAction::Set)]
    pub confirm_addresses: bool,
    /// The window of registrations.
    #[arg(long, env = "REGISTRATIONS_WINDOW_SECS", default_value_t = 3600)]
    pub registrations_window_secs: u32,
}

impl Config {
    /// How many failed logins there may be.
    pub fn failed_logins(&self) -> FailedLogins {
        let within = |count| Limit {
            count,
            window_secs: self.failed_logins_window_secs,
        };
        FailedLogins {
            per_account: within(self.failed_logins_per_account),
            per_client: within(self.failed_logins_per_client),
        }
    }

    /// How many registrations there may be.
    pub fn registrations(&self) -> Registrations {
        let within = |count| Limit {
            count,
            window_secs: self.registrations_window_secs,
        };
        Registrations {
            per_client: within(self.registrations_per_client),
            per_network: within(self.registrations_per_network),
            confirms: self.confirm_addresses,
        }
    }
}
