//! Limits of logins and registrations.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::common::duration;

/// Limits of logins and registrations. A limit of so many in a window lets as many pass at once, and after
/// that one more in each share of the window. A client is an IPv4 address or an IPv6 /64, as the gateway
/// sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Accounts {
    /// Failed logins. Besides these, one client may fail 5 times in 15 minutes on one account. A device that
    /// holds a token of an earlier login, and a client from which the owner has logged in, wait only for
    /// their own failures.
    #[serde(default)]
    pub failed_logins: FailedLogins,
    /// Registrations, of new and of taken addresses.
    #[serde(default)]
    pub registrations: Registrations,
}

/// Limits of failed logins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailedLogins {
    /// Failures on one account. Default: 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub per_account: Option<i32>,
    /// Failures of one client on all accounts. Default: 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub per_client: Option<i32>,
    /// The window, in seconds, minutes or hours. Default: `15m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 5))]
    #[x_kube(validation = duration("spec.accounts.failedLogins.window", 4))]
    pub window: Option<String>,
}

/// Registrations: how many there may be, and what an address has to show.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Registrations {
    /// Registrations of one client. Default: 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub per_client: Option<i32>,
    /// An account is created once the code that was sent to its address is given back
    /// (`POST /v1/users/confirm`), and a registration of a taken address gets the same answer as one of a new
    /// one, with a mail to its owner: so nobody learns which addresses have an account. Default: false, an
    /// account is created at once, and a taken address is refused.
    #[serde(default)]
    pub confirm_addresses: bool,
    /// Registrations of the network around a client, an IPv4 /24 or an IPv6 /48. Default: 50.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub per_network: Option<i32>,
    /// The window, in seconds, minutes or hours. Default: `1h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 5))]
    #[x_kube(validation = duration("spec.accounts.registrations.window", 4))]
    pub window: Option<String>,
}
