//! How many registrations one client, and the network around it, may ask for.

use std::time::Duration;

use chrono::{DateTime, Utc};
use service::StoreError;
use sqlx::PgConnection;

use crate::throttle::domain::Limit;
use crate::throttle::network::Network;
use crate::throttle::store as throttles;

/// How many registrations there may be, of new and of taken addresses.
#[derive(Debug, Clone, Copy)]
pub struct Registrations {
    /// Of one client.
    pub per_client: Limit,
    /// Of the network around it.
    pub per_network: Limit,
    /// Whether an account is created only when its address is confirmed, and no answer reveals which
    /// addresses have one.
    pub confirms: bool,
}

impl Registrations {
    /// Counts an attempt. Returns the wait before the next one if there was no room for this one.
    pub async fn admit(
        &self,
        conn: &mut PgConnection,
        network: &Network,
        now: DateTime<Utc>,
    ) -> Result<Duration, StoreError> {
        for (key, limit) in [
            (
                format!("registration:client:{}", network.client),
                self.per_client,
            ),
            (
                format!("registration:network:{}", network.neighbourhood),
                self.per_network,
            ),
        ] {
            if !throttles::take(conn, &key, limit, now).await? {
                let level = throttles::level(conn, &key).await?;
                return Ok(limit.wait(level, now).max(Duration::from_secs(1)));
            }
        }
        Ok(Duration::ZERO)
    }
}
