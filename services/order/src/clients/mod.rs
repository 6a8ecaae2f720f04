//! HTTP clients of the services that a checkout calls: user, product, payment.

mod call;
mod payment;
mod product;
mod user;

use chassis::{Client, InternalToken};

pub use call::Unavailable;

use self::call::Caller;
use self::payment::Payment;
use self::product::Product;
use self::user::User;
use crate::config::ServiceUrls;

/// Clients of all three. Clones share connections.
#[derive(Clone)]
pub struct Clients {
    pub(crate) user: User,
    pub(crate) product: Product,
    pub(crate) payment: Payment,
}

impl Clients {
    /// Clients that authenticate with the shop's internal token.
    pub fn new(client: &Client, urls: &ServiceUrls, token: &InternalToken) -> Self {
        let caller = |service, url: &str| Caller::new(service, client.clone(), url, token.clone());
        Self {
            user: User(caller("user", &urls.user_url)),
            product: Product(caller("product", &urls.product_url)),
            payment: Payment(caller("payment", &urls.payment_url)),
        }
    }
}
