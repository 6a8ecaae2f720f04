//! An event that a customer is notified of.

use events::{OrderCancelled, OrderPaid, OrderPlaced, RegistrationRequested, UserRegistered};

/// The cause of a message.
#[derive(Debug)]
pub enum Trigger {
    /// Somebody asked for an account with this address.
    Registration(RegistrationRequested),
    /// An account was created.
    Welcome(UserRegistered),
    /// An order was placed.
    OrderPlaced(OrderPlaced),
    /// An order was paid.
    OrderPaid(OrderPaid),
    /// An order was cancelled.
    OrderCancelled(OrderCancelled),
}

impl Trigger {
    /// Every name of a template.
    pub const TEMPLATES: [&str; 6] = [
        "confirm_address",
        "address_taken",
        "welcome",
        "order_placed",
        "order_paid",
        "order_cancelled",
    ];

    /// Name of the template: a label of metrics, and part of the unique key of a message.
    pub const fn template(&self) -> &'static str {
        match self {
            Self::Registration(event) if event.code.is_none() => "address_taken",
            Self::Registration(_) => "confirm_address",
            Self::Welcome(_) => "welcome",
            Self::OrderPlaced(_) => "order_placed",
            Self::OrderPaid(_) => "order_paid",
            Self::OrderCancelled(_) => "order_cancelled",
        }
    }

    /// Address of the recipient.
    pub fn recipient(&self) -> &str {
        match self {
            Self::Registration(event) => &event.email,
            Self::Welcome(event) => &event.email,
            Self::OrderPlaced(event) => &event.email,
            Self::OrderPaid(event) => &event.email,
            Self::OrderCancelled(event) => &event.email,
        }
    }
}
