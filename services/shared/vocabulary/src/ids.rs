//! One newtype per noun over a UUIDv7: ordered by creation time, bare on the wire, prefixed in logs.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Entropy;

/// Text that is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an id: a UUID is expected")]
pub struct ParseIdError;

fn mint(now: DateTime<Utc>, entropy: &dyn Entropy) -> Uuid {
    // A clock before 1970 gives an id that sorts first; it does not fail the request.
    let millis = u64::try_from(now.timestamp_millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &entropy.bytes()).into_uuid()
}

#[cfg(feature = "openapi")]
fn uuid_schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
    use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
    ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)))
        .build()
        .into()
}

macro_rules! typed_id {
    ($($(#[$doc:meta])* $name:ident => $prefix:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(transparent))]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id of this instant; the same instant and entropy give the same id.
            pub fn mint(now: DateTime<Utc>, entropy: &dyn Entropy) -> Self {
                Self(mint(now, entropy))
            }

            /// Wraps a UUID that came from a table or another id.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The bare UUID.
            pub const fn as_uuid(&self) -> Uuid {
                self.0
            }
        }

        /// For logs: prefixed, such as `ord_0190...`.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), self.0.simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        /// Reads both the bare UUID and the prefixed form of the logs.
        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let bare = text.strip_prefix(concat!($prefix, "_")).unwrap_or(text);
                Uuid::parse_str(bare).map(Self).map_err(|_| ParseIdError)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        #[cfg(feature = "openapi")]
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                uuid_schema()
            }
        }

        #[cfg(feature = "openapi")]
        impl utoipa::ToSchema for $name {}
    )+};
}

typed_id! {
    /// A person with an account.
    UserId => "usr";
    /// A product.
    ProductId => "prd";
    /// A category of products.
    CategoryId => "cat";
    /// Stock held for one checkout.
    ReservationId => "res";
    /// One order; the checkout that leads to it has the same id.
    OrderId => "ord";
    /// One payment.
    PaymentId => "pay";
    /// One event; the deduplication key of its message.
    EventId => "evt";
    /// One message to one recipient.
    MessageId => "msg";
    /// One login on one device.
    SessionId => "ses";
}
