//! Notifications, signed as Standard Webhooks has it: HMAC-SHA256 over id, timestamp and body.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};

use super::books::Status;

const SECRET: &[u8] = b"secret of the provider double";
/// A notification that was signed longer ago is not accepted.
const TOLERANCE_SECS: i64 = 300;

/// The body of a notification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderNotification {
    /// The id of the message: the same for each delivery.
    #[serde(skip)]
    pub id: String,
    /// The key of the operation.
    pub key: String,
    /// What became of it.
    #[serde(flatten)]
    pub status: Status,
}

fn sign(id: &str, timestamp: i64, body: &[u8]) -> Vec<u8> {
    let mut signed = format!("{id}.{timestamp}.").into_bytes();
    signed.extend_from_slice(body);
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET);
    hmac::sign(&key, &signed).as_ref().to_vec()
}

/// A notification on its way.
pub struct Delivery<'a> {
    pub client: &'a reqwest::Client,
    pub url: &'a str,
    pub key: &'a str,
    pub status: &'a Status,
    pub now: DateTime<Utc>,
}

impl Delivery<'_> {
    /// Sends it; the status of the answer, if there is one.
    pub async fn send(self) -> Option<StatusCode> {
        let notification = ProviderNotification {
            id: String::new(),
            key: self.key.to_owned(),
            status: self.status.clone(),
        };
        let body = serde_json::to_vec(&notification).expect("JSON");
        let id = format!("{}:{}", self.key, self.status.as_str());
        let timestamp = self.now.timestamp();
        let signature = STANDARD.encode(sign(&id, timestamp, &body));
        let call = self.client.post(self.url).body(body);
        let call = call
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", format!("v1,{signature}"));
        call.send().await.ok().map(|answer| answer.status())
    }
}

/// Reads a notification, if its signature is right and not too old.
pub fn read_notification(
    headers: &HeaderMap,
    body: &[u8],
    now: DateTime<Utc>,
) -> Option<ProviderNotification> {
    let header = |name: &str| headers.get(name)?.to_str().ok();
    let id = header("webhook-id")?;
    let timestamp: i64 = header("webhook-timestamp")?.parse().ok()?;
    let signature = header("webhook-signature")?.strip_prefix("v1,")?;
    let signature = STANDARD.decode(signature).ok()?;
    let mut signed = format!("{id}.{timestamp}.").into_bytes();
    signed.extend_from_slice(body);
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET);
    hmac::verify(&key, &signed, &signature).ok()?;
    if (now.timestamp() - timestamp).abs() > TOLERANCE_SECS {
        return None;
    }
    let notification: ProviderNotification = serde_json::from_slice(body).ok()?;
    Some(ProviderNotification {
        id: id.to_owned(),
        ..notification
    })
}
