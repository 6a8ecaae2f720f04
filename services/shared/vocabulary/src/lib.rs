#![doc = include_str!("../README.md")]

mod cursor;
mod field_error;
pub mod ids;
mod instant;
mod money;
mod page;
mod permission;

pub use cursor::{Cursor, CursorError};
pub use field_error::FieldError;
pub use ids::{
    CategoryId, EventId, MessageId, OrderId, ParseIdError, PaymentId, ProductId, ReservationId,
    SessionId, UserId,
};
pub use instant::{Clock, Entropy, SystemClock, SystemEntropy};
pub use money::{Currency, Money, MoneyError};
pub use page::{Limit, LimitError, Page, PageRequest};
pub use permission::{Permission, Role};
