//! A provider that is called over HTTP: the client of testkit's payment provider.

use std::time::Duration;

use axum::http::{HeaderMap, Method, StatusCode};
use chassis::Client;
use chrono::{DateTime, Utc};
use payment::providers::{
    Call, Notification, NotificationError, Outcome, Provider, Request, Webhooks,
};
use serde::Serialize;
use serde_json::json;
use testkit::provider::{PaymentProvider, ProviderRequest, Status, read_notification};

pub const METHOD: &str = "double";

pub struct HttpProvider {
    url: String,
    client: Client,
}

impl HttpProvider {
    pub fn new(provider: &PaymentProvider) -> Self {
        Self {
            url: provider.url(),
            // Shorter than a request waits for its provider, long enough for a busy machine.
            client: chassis::http_client(Duration::from_millis(1_500)).unwrap(),
        }
    }

    fn operate<'a>(&'a self, request: &'a Request) -> Call<'a, Outcome> {
        let body = ProviderRequest {
            key: request.key.to_string(),
            payment: request.key.payment_id.as_uuid().to_string(),
            kind: request.kind.as_str().to_owned(),
            minor: request.amount.minor(),
        };
        Box::pin(async move {
            let answer = self.ask("operations", &body).await;
            answer.flatten().unwrap_or(Outcome::Unknown)
        })
    }

    /// None if there was no answer, and within it none if the provider does not know the key.
    async fn ask(&self, path: &str, body: &impl Serialize) -> Option<Option<Outcome>> {
        let call = self
            .client
            .request(Method::POST, format!("{}/{path}", self.url));
        let answer = call.json(body).send().await.ok()?;
        match answer.status() {
            StatusCode::OK => Some(Some(outcome(answer.json().await.ok()?))),
            StatusCode::NOT_FOUND => Some(None),
            _ => None,
        }
    }
}

fn outcome(status: Status) -> Outcome {
    match status {
        Status::Done => Outcome::Done,
        Status::Declined(reason) => Outcome::Declined { reason },
        Status::Pending => Outcome::Pending,
        Status::RequiresAction(url) => Outcome::RequiresAction { url },
    }
}

impl Provider for HttpProvider {
    fn authorise<'a>(&'a self, request: &'a Request) -> Call<'a, Outcome> {
        self.operate(request)
    }

    fn capture<'a>(&'a self, request: &'a Request) -> Call<'a, Outcome> {
        self.operate(request)
    }

    fn void<'a>(&'a self, request: &'a Request) -> Call<'a, Outcome> {
        self.operate(request)
    }

    fn refund<'a>(&'a self, request: &'a Request) -> Call<'a, Outcome> {
        self.operate(request)
    }

    fn look_up<'a>(&'a self, request: &'a Request) -> Call<'a, Option<Outcome>> {
        Box::pin(async move {
            let body = json!({ "key": request.key.to_string() });
            let answer = self.ask("operations/look-up", &body).await;
            answer.unwrap_or(Some(Outcome::Unknown))
        })
    }

    fn webhooks(&self) -> Option<&dyn Webhooks> {
        Some(self)
    }
}

impl Webhooks for HttpProvider {
    fn verify(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: DateTime<Utc>,
    ) -> Result<Notification, NotificationError> {
        let read = read_notification(headers, body, now).ok_or(NotificationError::Signature)?;
        let malformed = |_| NotificationError::Malformed(format!("key {}", read.key));
        Ok(Notification {
            event_id: read.id.clone(),
            key: read.key.parse().map_err(malformed)?,
            outcome: outcome(read.status),
        })
    }
}
