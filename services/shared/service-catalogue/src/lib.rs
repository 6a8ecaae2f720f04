#![doc = include_str!("../README.md")]

use std::fmt;
use std::str::FromStr;

/// A service of the shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// Accounts, sessions and signing keys.
    Auth,
    /// Customer profiles.
    User,
    /// Catalogue, search and stock.
    Product,
    /// Checkout and orders.
    Order,
    /// Payments and their ledger.
    Payment,
    /// Outgoing mail.
    Notification,
    /// Server-rendered pages.
    Web,
}

impl Service {
    /// Every service, in the order in which a shop starts them.
    pub const ALL: [Self; 7] = [
        Self::Auth,
        Self::User,
        Self::Product,
        Self::Order,
        Self::Payment,
        Self::Notification,
        Self::Web,
    ];

    /// Name of the service, its crate, binary, image and workload.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::User => "user",
            Self::Product => "product",
            Self::Order => "order",
            Self::Payment => "payment",
            Self::Notification => "notification",
            Self::Web => "web",
        }
    }

    /// PostgreSQL schema that the service owns; `None` for a service without a database.
    /// `user` and `order` are reserved words in SQL, so those two schemas have the plural.
    pub const fn schema(self) -> Option<&'static str> {
        match self {
            Self::Auth => Some("auth"),
            Self::User => Some("users"),
            Self::Product => Some("product"),
            Self::Order => Some("orders"),
            Self::Payment => Some("payment"),
            Self::Notification => Some("notification"),
            Self::Web => None,
        }
    }

    /// Whether the service has a database of its own.
    pub const fn has_database(self) -> bool {
        self.schema().is_some()
    }

    /// Whether the service has an HTTP API with an OpenAPI document, which other workloads may call.
    pub const fn has_api(self) -> bool {
        match self {
            Self::Auth
            | Self::User
            | Self::Product
            | Self::Order
            | Self::Payment
            | Self::Notification => true,
            Self::Web => false,
        }
    }

    /// What the service is for, as a phrase for a list.
    pub const fn purpose(self) -> &'static str {
        match self {
            Self::Auth => "registration, login, tokens, signing keys",
            Self::User => "profiles",
            Self::Product => "catalogue, search, stock",
            Self::Order => "checkout, orders and their history",
            Self::Payment => "payments of an order",
            Self::Notification => "mails that were sent",
            Self::Web => "pages for visitors",
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that no service has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownService(pub String);

impl fmt::Display for UnknownService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = Service::ALL.map(Service::name).join(", ");
        write!(f, "unknown service {}; known are {known}", self.0)
    }
}

impl std::error::Error for UnknownService {}

impl FromStr for Service {
    type Err = UnknownService;

    fn from_str(text: &str) -> Result<Self, UnknownService> {
        Self::ALL
            .into_iter()
            .find(|service| service.name() == text)
            .ok_or_else(|| UnknownService(text.to_owned()))
    }
}
