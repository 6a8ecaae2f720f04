//! What a backing server does for a shop, whichever product it is.

use crds::Uses;

/// What a backing server does for a shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Holds the services' databases.
    Database,
    /// Carries events.
    Bus,
    /// Holds what may be lost.
    Cache,
}

impl Role {
    /// Condition of the Storefront that reports on the server.
    pub(crate) const fn condition(self) -> &'static str {
        match self {
            Self::Database => "DatabaseReady",
            Self::Bus => "QueueReady",
            Self::Cache => "CacheReady",
        }
    }

    /// Reason of that condition while the server is not ready.
    pub(crate) const fn not_ready(self) -> &'static str {
        match self {
            Self::Database => "DatabaseNotReady",
            Self::Bus => "QueueNotReady",
            Self::Cache => "CacheNotReady",
        }
    }

    /// Label of the pods that may connect to the server.
    pub(crate) const fn client_label(self) -> &'static str {
        match self {
            Self::Database => "storefront.dev/uses-database",
            Self::Bus => "storefront.dev/uses-bus",
            Self::Cache => "storefront.dev/uses-cache",
        }
    }
}

/// End of the name of the shop's Secret by which workloads are bound to a part of the platform that the user
/// runs.
pub(crate) const fn binding_secret(part: Uses) -> &'static str {
    match part {
        Uses::Bus => "nats-auth",
        Uses::Cache => "redis-auth",
    }
}
