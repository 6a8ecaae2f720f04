//! What auth knows about an account, over its internal API.

use axum::http::StatusCode;
use chassis::{Client, InternalToken};
use serde::Deserialize;
use vocabulary::UserId;

/// An account, as far as this room cares.
#[derive(Debug, Deserialize)]
pub struct Account {
    /// Its id.
    pub id: UserId,
    /// Name.
    pub username: String,
    /// Address.
    pub email: String,
}

/// Auth did not tell.
#[derive(Debug, thiserror::Error)]
pub enum AccountsError {
    /// It did not answer in time, or not in words we know.
    #[error("asking auth for an account")]
    Http(#[from] reqwest::Error),
    /// It answered with a status that says neither yes nor no.
    #[error("auth answered {0}")]
    Status(StatusCode),
}

/// Asks auth. Clones share connections.
#[derive(Clone)]
pub struct Accounts {
    client: Client,
    base: String,
    token: InternalToken,
}

impl Accounts {
    /// Asks the auth at `base`.
    pub fn new(client: Client, base: &str, token: InternalToken) -> Self {
        Self {
            client,
            base: base.trim_end_matches('/').to_owned(),
            token,
        }
    }

    /// An account, if there is one.
    pub async fn find(&self, id: UserId) -> Result<Option<Account>, AccountsError> {
        let url = format!("{}/internal/v1/accounts/{}", self.base, id.as_uuid());
        let answer = self
            .client
            .get(url)
            .bearer_auth(self.token.expose())
            .send()
            .await?;
        match answer.status() {
            StatusCode::OK => Ok(Some(answer.json().await?)),
            StatusCode::NOT_FOUND => Ok(None),
            other => Err(AccountsError::Status(other)),
        }
    }
}
