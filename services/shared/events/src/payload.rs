//! What each event says. Readers ignore unknown fields; writers never drop one.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use vocabulary::{Money, OrderId, PaymentId, ProductId, ReservationId, UserId};

use crate::EventType;

/// The data of one event type.
pub trait Payload: Serialize + DeserializeOwned + Send + Sync {
    /// The type whose data this is.
    const TYPE: EventType;

    /// The thing whose events must stay in order.
    fn aggregate(&self) -> String;
}

macro_rules! payloads {
    ($($(#[$doc:meta])* $name:ident by $key:ident { $($(#[$field_doc:meta])* $field:ident: $ty:ty,)+ })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $ty,)+
        }

        impl Payload for $name {
            const TYPE: EventType = EventType::$name;

            fn aggregate(&self) -> String {
                self.$key.as_uuid().to_string()
            }
        }
    )+};
}

/// One line of an order, as it was frozen at checkout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderLine {
    /// The product.
    pub product_id: ProductId,
    /// Its stock keeping unit.
    pub sku: String,
    /// Its title at checkout.
    pub title: String,
    /// Pieces.
    pub quantity: u32,
    /// Price of one piece at checkout.
    pub unit_price: Money,
}

payloads! {
    /// An account exists.
    UserRegistered by user_id {
        /// The new account.
        user_id: UserId,
        /// Name shown to others.
        username: String,
        /// Address, as the person wrote it.
        email: String,
    }
    /// Somebody asked for an account.
    RegistrationRequested by user_id {
        /// The account that is created once the address is confirmed.
        user_id: UserId,
        /// Address, as the person wrote it.
        email: String,
        /// What confirms the address. Absent: the address has an account already.
        code: Option<String>,
    }
    /// A shopper committed to an order.
    OrderPlaced by order_id {
        /// The order.
        order_id: OrderId,
        /// The number that people read.
        number: String,
        /// Who ordered.
        user_id: UserId,
        /// Where to write to, frozen at checkout.
        email: String,
        /// What was ordered.
        items: Vec<OrderLine>,
        /// What it costs.
        total: Money,
        /// The authorised payment.
        payment_id: PaymentId,
        /// The claimed stock.
        reservation_id: ReservationId,
    }
    /// The money for an order has arrived.
    OrderPaid by order_id {
        /// The order.
        order_id: OrderId,
        /// The number that people read.
        number: String,
        /// Who ordered.
        user_id: UserId,
        /// Where to write to, frozen at checkout.
        email: String,
        /// What was paid.
        total: Money,
        /// The payment.
        payment_id: PaymentId,
    }
    /// An order will not be fulfilled.
    OrderCancelled by order_id {
        /// The order.
        order_id: OrderId,
        /// The number that people read.
        number: String,
        /// Who ordered.
        user_id: UserId,
        /// Where to write to, frozen at checkout.
        email: String,
        /// What it would have cost.
        total: Money,
        /// The payment to void or refund.
        payment_id: PaymentId,
        /// The stock to put back.
        reservation_id: ReservationId,
        /// What was ordered.
        items: Vec<OrderLine>,
    }
    /// Money is promised.
    PaymentAuthorised by payment_id {
        /// The payment.
        payment_id: PaymentId,
        /// What it pays for.
        order_id: OrderId,
        /// How much.
        amount: Money,
    }
    /// Money is taken.
    PaymentCaptured by payment_id {
        /// The payment.
        payment_id: PaymentId,
        /// What it pays for.
        order_id: OrderId,
        /// How much.
        amount: Money,
    }
    /// The promise is handed back.
    PaymentVoided by payment_id {
        /// The payment.
        payment_id: PaymentId,
        /// What it would have paid for.
        order_id: OrderId,
        /// How much.
        amount: Money,
    }
    /// Money is handed back.
    PaymentRefunded by payment_id {
        /// The payment.
        payment_id: PaymentId,
        /// What it had paid for.
        order_id: OrderId,
        /// How much.
        amount: Money,
    }
    /// The money could not be taken.
    PaymentFailed by payment_id {
        /// The payment.
        payment_id: PaymentId,
        /// What it should have paid for.
        order_id: OrderId,
        /// How much.
        amount: Money,
    }
    /// A product is nearly gone.
    StockLow by product_id {
        /// The product.
        product_id: ProductId,
        /// Its stock keeping unit.
        sku: String,
        /// Pieces left.
        available: i64,
    }
}
