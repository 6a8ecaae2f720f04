//! Failed logins: who has to wait before the next one.
//!
//! ## Why they are counted in the database
//! Whoever fills or restarts the cache would lift the throttle. A failed login costs a password hash, beside
//! which a row is cheap.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use service::StoreError;
use sqlx::PgConnection;
use vocabulary::SessionId;

use crate::throttle::domain::{KNOWN_SECS, Limit, PAIR, digest_of};
use crate::throttle::store as throttles;

/// How many failed logins there may be.
#[derive(Debug, Clone, Copy)]
pub struct FailedLogins {
    /// On one account, of all clients that its owner has not used.
    pub per_account: Limit,
    /// Of one client on all accounts.
    pub per_client: Limit,
}

/// What an attempt is counted for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    account: String,
    client: String,
    /// The session of which the device holds a token, if it belongs to the account.
    device: Option<SessionId>,
}

impl Attempt {
    /// An attempt with an address of a client. Only a digest of the address is kept.
    pub fn new(email_key: &str, client: String, device: Option<SessionId>) -> Self {
        Self {
            account: digest_of(email_key),
            client,
            device,
        }
    }

    /// The counter that applies whatever else is known.
    fn own(&self) -> String {
        match self.device {
            Some(session) => format!("login:device:{}", session.as_uuid()),
            None => format!("login:pair:{}:{}", self.account, self.client),
        }
    }

    fn account(&self) -> String {
        format!("login:account:{}", self.account)
    }

    fn client(&self) -> String {
        format!("login:client:{}", self.client)
    }

    fn known(&self) -> String {
        format!("login:known:{}:{}", self.account, self.client)
    }
}

impl FailedLogins {
    /// The remaining wait; zero if a login may be tried now.
    pub async fn wait(
        &self,
        conn: &mut PgConnection,
        attempt: &Attempt,
        now: DateTime<Utc>,
    ) -> Result<Duration, StoreError> {
        let own = PAIR.wait(throttles::level(conn, &attempt.own()).await?, now);
        if attempt.device.is_some() || throttles::is_noted(conn, &attempt.known(), now).await? {
            return Ok(own);
        }
        let account = throttles::level(conn, &attempt.account()).await?;
        let client = throttles::level(conn, &attempt.client()).await?;
        Ok(own
            .max(self.per_account.wait(account, now))
            .max(self.per_client.wait(client, now)))
    }

    /// Counts a failure. That of a device that the owner has used raises no counter of others.
    pub async fn count(
        &self,
        conn: &mut PgConnection,
        attempt: &Attempt,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        throttles::raise(conn, &attempt.own(), PAIR, now).await?;
        if attempt.device.is_none() {
            throttles::raise(conn, &attempt.account(), self.per_account, now).await?;
            throttles::raise(conn, &attempt.client(), self.per_client, now).await?;
        }
        Ok(())
    }

    /// After a login: forgets the failures of this client on this account, lowers the client's counter, and
    /// records the client as known.
    pub async fn reset(
        &self,
        conn: &mut PgConnection,
        attempt: &Attempt,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        throttles::forget(conn, &attempt.own()).await?;
        throttles::lower(conn, &attempt.client()).await?;
        let until = now + TimeDelta::seconds(KNOWN_SECS.into());
        throttles::note(conn, &attempt.known(), now, until).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_do_not_contain_the_address() {
        let attempt = Attempt::new("ann@example.com", "203.0.113.9".to_owned(), None);
        for key in [
            attempt.own(),
            attempt.account(),
            attempt.client(),
            attempt.known(),
        ] {
            assert!(!key.contains("ann") && !key.contains("example"), "{key}");
        }
    }
}
