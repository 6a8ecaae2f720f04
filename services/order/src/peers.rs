//! The services that a checkout asks: user, product, payment. Every call is idempotent by an id that the checkout minted.

use axum::http::{Method, StatusCode};
use chassis::{Client, InternalToken};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use vocabulary::Money;

use crate::config::PeerUrls;
use crate::domain::cart::{Frozen, Line};
use crate::domain::checkout::{Checkout, ItemFault, Reason, Refusal};

/// Stock is held for this long: far longer than a checkout goes on trying.
const HOLD_TTL_SECS: u32 = 900;
/// More faulty items than this are not handed on.
const MAX_FAULTS: usize = 100;

/// A peer that did not answer, or not in a way that decides anything.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    /// The call failed on its way, or took too long.
    #[error("{peer} did not answer")]
    Silent {
        /// Whom we asked.
        peer: &'static str,
        /// What happened.
        #[source]
        source: reqwest::Error,
    },
    /// An answer that says nothing about the question.
    #[error("{peer} answered {status}")]
    Undecided {
        /// Whom we asked.
        peer: &'static str,
        /// The status.
        status: StatusCode,
    },
}

/// What a peer decided: yes, with what it said, or no, for good.
pub type Decision<T> = Result<Result<T, Refusal>, Unavailable>;

/// Addresses and credential of the peers. Clones share connections.
#[derive(Clone)]
pub struct Peers {
    client: Client,
    user: String,
    product: String,
    payment: String,
    token: InternalToken,
}

#[derive(Deserialize)]
struct Account {
    email: String,
}

#[derive(Deserialize)]
struct Held {
    lines: Vec<Line>,
    total: Money,
}

#[derive(Deserialize)]
struct Promise {
    status: String,
}

#[derive(Deserialize, Default)]
struct Problem {
    #[serde(default)]
    code: String,
    #[serde(default)]
    errors: Vec<ItemFault>,
}

impl Peers {
    /// Peers at these addresses, asked with the shop's internal token.
    pub fn new(client: Client, urls: &PeerUrls, token: InternalToken) -> Self {
        let base = |url: &str| format!("{}/internal/v1", url.trim_end_matches('/'));
        Self {
            client,
            user: base(&urls.user_url),
            product: base(&urls.product_url),
            payment: base(&urls.payment_url),
            token,
        }
    }

    /// Freezes whom to write to, what is bought and what it costs.
    pub(crate) async fn reserve(&self, checkout: &Checkout) -> Decision<Frozen> {
        let (email, held) = tokio::try_join!(self.email(checkout), self.hold(checkout))?;
        Ok(email.and_then(|email| {
            let Held { lines, total } = held?;
            Ok(Frozen {
                email,
                lines,
                total,
            })
        }))
    }

    async fn email(&self, checkout: &Checkout) -> Decision<String> {
        let url = format!("{}/users/{}", self.user, checkout.user_id.as_uuid());
        let answer = self.ask("user", Method::GET, url, None).await?;
        match answer.status {
            StatusCode::OK => Ok(Ok(answer.read::<Account>()?.email)),
            StatusCode::NOT_FOUND => Ok(Err(no(Reason::CustomerUnknown, Vec::new()))),
            _ => answer.undecided(),
        }
    }

    async fn hold(&self, checkout: &Checkout) -> Decision<Held> {
        let id = checkout.reservation_id.as_uuid();
        let url = format!("{}/reservations/{id}", self.product);
        let body = json!({
            "items": checkout.cart.items,
            "currency": checkout.cart.currency,
            "ttl_secs": HOLD_TTL_SECS,
        });
        let answer = self.ask("product", Method::PUT, url, Some(body)).await?;
        match answer.status {
            StatusCode::OK => Ok(Ok(answer.read()?)),
            StatusCode::CONFLICT => {
                let problem = answer.problem();
                match problem.code.as_str() {
                    "out_of_stock" => {
                        let short = problem.errors.into_iter().map(with_available).collect();
                        Ok(Err(no(Reason::OutOfStock, short)))
                    }
                    _ => Ok(Err(no(Reason::ReservationExpired, Vec::new()))),
                }
            }
            StatusCode::UNPROCESSABLE_ENTITY => {
                Ok(Err(no(Reason::ItemRefused, answer.problem().errors)))
            }
            _ => answer.undecided(),
        }
    }

    /// Asks for the money.
    pub(crate) async fn authorise(&self, checkout: &Checkout, amount: Money) -> Decision<()> {
        let url = format!(
            "{}/payments/{}",
            self.payment,
            checkout.payment_id.as_uuid()
        );
        let body = json!({
            "order_id": checkout.id,
            "user_id": checkout.user_id,
            "amount": amount,
            "method": checkout.cart.payment_method,
        });
        let answer = self.ask("payment", Method::PUT, url, Some(body)).await?;
        match answer.status {
            StatusCode::OK => match answer.read::<Promise>()?.status.as_str() {
                "authorised" | "captured" => Ok(Ok(())),
                _ => Ok(Err(no(Reason::PaymentDeclined, Vec::new()))),
            },
            StatusCode::CONFLICT => Ok(Err(no(Reason::PaymentDeclined, Vec::new()))),
            StatusCode::UNPROCESSABLE_ENTITY => {
                let faults = answer.problem().errors;
                if faults.iter().any(|fault| fault.field == "method") {
                    return Ok(Err(no(Reason::PaymentMethodUnknown, Vec::new())));
                }
                // The sum is not an amount that can be paid, such as zero.
                let zero = vec![fault("items", "the sum cannot be paid")];
                Ok(Err(no(Reason::ItemRefused, zero)))
            }
            _ => answer.undecided(),
        }
    }

    /// Makes the held stock ours.
    pub(crate) async fn claim(&self, checkout: &Checkout) -> Decision<()> {
        let id = checkout.reservation_id.as_uuid();
        let url = format!("{}/reservations/{id}/claim", self.product);
        let body = json!({ "order_id": checkout.id });
        let answer = self.ask("product", Method::POST, url, Some(body)).await?;
        match answer.status {
            StatusCode::OK | StatusCode::NO_CONTENT => Ok(Ok(())),
            // Problems of ours have a code; a 404 of somebody on the way has not.
            StatusCode::CONFLICT | StatusCode::NOT_FOUND if !answer.problem().code.is_empty() => {
                Ok(Err(no(Reason::ReservationExpired, Vec::new())))
            }
            _ => answer.undecided(),
        }
    }

    /// Hands back the promise.
    pub(crate) async fn void(&self, checkout: &Checkout) -> Result<(), Unavailable> {
        let id = checkout.payment_id.as_uuid();
        let url = format!("{}/payments/{id}/void", self.payment);
        let body = json!({ "operation_id": "checkout" });
        let answer = self.ask("payment", Method::POST, url, Some(body)).await?;
        answer.done()
    }

    /// Hands back the stock.
    pub(crate) async fn release(&self, checkout: &Checkout) -> Result<(), Unavailable> {
        let id = checkout.reservation_id.as_uuid();
        let url = format!("{}/reservations/{id}/release", self.product);
        let answer = self.ask("product", Method::POST, url, None).await?;
        answer.done()
    }

    async fn ask(
        &self,
        peer: &'static str,
        method: Method,
        url: String,
        body: Option<Value>,
    ) -> Result<Answer, Unavailable> {
        let silent = |source: reqwest::Error| Unavailable::Silent {
            peer,
            // Addresses of peers say nothing that logs need.
            source: source.without_url(),
        };
        let mut call = self
            .client
            .request(method, url)
            .bearer_auth(self.token.expose());
        if let Some(body) = body {
            call = call.json(&body);
        }
        let response = call.send().await.map_err(silent)?;
        let status = response.status();
        let body = response.bytes().await.map_err(silent)?;
        Ok(Answer { peer, status, body })
    }
}

fn no(reason: Reason, mut items: Vec<ItemFault>) -> Refusal {
    items.truncate(MAX_FAULTS);
    Refusal { reason, items }
}

/// Product says how much can be had as `available: 3`; clients get the number as well.
fn with_available(fault: ItemFault) -> ItemFault {
    let said = fault.message.strip_prefix("available: ");
    let available = fault.available.or_else(|| said?.parse().ok());
    ItemFault { available, ..fault }
}

fn fault(field: &str, message: &str) -> ItemFault {
    ItemFault {
        field: field.to_owned(),
        message: message.to_owned(),
        available: None,
    }
}

struct Answer {
    peer: &'static str,
    status: StatusCode,
    body: axum::body::Bytes,
}

impl Answer {
    fn undecided<T>(&self) -> Result<T, Unavailable> {
        Err(Unavailable::Undecided {
            peer: self.peer,
            status: self.status,
        })
    }

    fn done(&self) -> Result<(), Unavailable> {
        if self.status.is_success() {
            Ok(())
        } else {
            self.undecided()
        }
    }

    fn read<T: DeserializeOwned>(&self) -> Result<T, Unavailable> {
        serde_json::from_slice(&self.body).or_else(|error| {
            tracing::error!(peer = self.peer, %error, "a peer's answer does not have its shape");
            self.undecided()
        })
    }

    fn problem(&self) -> Problem {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}
