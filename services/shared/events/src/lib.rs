#![doc = include_str!("../README.md")]

mod envelope;
mod event_type;
mod payload;

pub use envelope::{DecodeError, Event, EventMeta, PayloadError};
pub use event_type::{EventType, UnknownEventType};
pub use payload::{
    OrderCancelled, OrderLine, OrderPaid, OrderPlaced, Payload, PaymentAuthorised, PaymentCaptured,
    PaymentFailed, PaymentRefunded, PaymentVoided, RegistrationRequested, StockLow, UserRegistered,
};
