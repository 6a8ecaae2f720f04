//! Client of auth's internal API.

use axum::http::StatusCode;
use chassis::{Client, InternalToken};
use contracts::accounts::{Account, account_path};
use vocabulary::UserId;

/// A failed request for an account.
#[derive(Debug, thiserror::Error)]
pub enum AccountsError {
    /// No answer in time, or one that cannot be read.
    #[error("requesting an account from auth failed")]
    Http(#[from] reqwest::Error),
    /// An unexpected status.
    #[error("auth answered {0}")]
    Status(StatusCode),
}

/// Requests accounts from auth. Clones share connections.
#[derive(Clone)]
pub struct Accounts {
    client: Client,
    base: String,
    token: InternalToken,
}

impl Accounts {
    /// A client of the auth at `base`.
    pub fn new(client: Client, base: &str, token: InternalToken) -> Self {
        Self {
            client,
            base: base.trim_end_matches('/').to_owned(),
            token,
        }
    }

    /// An account, if it exists.
    pub async fn find(&self, id: UserId) -> Result<Option<Account>, AccountsError> {
        let url = format!("{}{}", self.base, account_path(id));
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
