//! The closed list of what can happen.

use std::fmt;
use std::str::FromStr;

use service_catalogue::Service;

/// A type that this build does not know; a newer service may publish it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown event type {0}")]
pub struct UnknownEventType(pub String);

macro_rules! event_types {
    ($($(#[$doc:meta])* $name:ident = $wire:literal, published by $producer:ident, consumed by [$($consumer:ident),*];)+) => {
        /// What can happen. Versioned: a change of meaning is a new variant.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EventType {
            $($(#[$doc])* $name,)+
        }

        impl EventType {
            /// Every type there is.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The CloudEvents `type`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $wire,)+ }
            }

            /// The service that publishes it.
            pub const fn producer(self) -> &'static str {
                match self { $(Self::$name => Service::$producer.name(),)+ }
            }

            /// The services that consume it; the outbox keeps the row until each has sent a receipt.
            pub const fn consumers(self) -> &'static [&'static str] {
                match self { $(Self::$name => const { &[$(Service::$consumer.name()),*] },)+ }
            }
        }

        impl FromStr for EventType {
            type Err = UnknownEventType;

            fn from_str(text: &str) -> Result<Self, UnknownEventType> {
                match text {
                    $($wire => Ok(Self::$name),)+
                    other => Err(UnknownEventType(other.to_owned())),
                }
            }
        }
    };
}

event_types! {
    /// An account exists.
    UserRegistered = "user.registered.v1", published by Auth, consumed by [User, Notification];
    /// Somebody asked for an account, and has yet to show that the address is theirs. Holds what shows it, so no team's service receives it.
    RegistrationRequested = "registration.requested.v1", published by Auth, consumed by [Notification];
    /// A shopper committed to an order; its payment is authorised and its stock claimed.
    OrderPlaced = "order.placed.v1", published by Order, consumed by [Payment, Notification];
    /// The money has arrived.
    OrderPaid = "order.paid.v1", published by Order, consumed by [Notification];
    /// The order will not be fulfilled: money and stock go back.
    OrderCancelled = "order.cancelled.v1", published by Order, consumed by [Payment, Product, Notification];
    /// Money is promised. Not published where the response to the request told it: by a method that decides at once.
    PaymentAuthorised = "payment.authorised.v1", published by Payment, consumed by [Order];
    /// Money is taken.
    PaymentCaptured = "payment.captured.v1", published by Payment, consumed by [Order];
    /// The promise is handed back.
    PaymentVoided = "payment.voided.v1", published by Payment, consumed by [];
    /// Money is handed back.
    PaymentRefunded = "payment.refunded.v1", published by Payment, consumed by [];
    /// The money could not be taken.
    PaymentFailed = "payment.failed.v1", published by Payment, consumed by [Order];
    /// A product is nearly gone.
    StockLow = "stock.low.v1", published by Product, consumed by [];
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
