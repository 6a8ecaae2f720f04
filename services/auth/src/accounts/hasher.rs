//! Password hashing on blocking threads, with bounded concurrency.
//!
//! A hash costs 20 ms of a core and 19 MiB. One runs per core and a bounded number waits; further requests
//! are refused (503), so that a flood of logins cannot stop the process.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::domain::account::Password;
use super::domain::password::{self, PasswordError};
use crate::metrics::Metrics;

/// Requests that may wait for a slot, per core.
const QUEUE_PER_CORE: usize = 16;

/// A hash that was not computed.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// Too many requests wait for a slot.
    #[error("too many passwords are being checked")]
    Busy,
    /// Hashing failed.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The hashing thread panicked.
    #[error("the hashing thread panicked")]
    Panicked,
}

/// Hands out slots for hashing. Clones share them.
#[derive(Clone)]
pub struct Hasher {
    waiting: Arc<Semaphore>,
    running: Arc<Semaphore>,
    metrics: Metrics,
    dummy: Arc<str>,
}

/// A slot: the right to compute one hash.
pub struct Slot {
    waiting: OwnedSemaphorePermit,
    running: OwnedSemaphorePermit,
    metrics: Metrics,
}

/// The result of comparing a password with a hash.
pub struct Compared {
    /// True if the password matches.
    pub matches: bool,
    /// A new hash, if the stored one has outdated parameters.
    pub upgraded: Option<String>,
}

impl Hasher {
    /// One slot per core.
    pub fn new(cores: usize, metrics: Metrics) -> Result<Self, PasswordError> {
        Ok(Self {
            waiting: Arc::new(Semaphore::new(cores * (QUEUE_PER_CORE + 1))),
            running: Arc::new(Semaphore::new(cores)),
            metrics,
            // Computed now: at the first login with an unknown address it would delay that answer.
            dummy: password::dummy()?.into(),
        })
    }

    /// What a login with an unknown address is compared with, see [`password::dummy`].
    pub fn dummy(&self) -> String {
        String::from(&*self.dummy)
    }

    /// Waits for a slot, unless too many requests wait already.
    pub async fn slot(&self) -> Result<Slot, HashError> {
        let waiting = Arc::clone(&self.waiting).try_acquire_owned();
        let waiting = waiting.map_err(|_| HashError::Busy)?;
        let running = Arc::clone(&self.running).acquire_owned().await;
        Ok(Slot {
            waiting,
            running: running.map_err(|_| HashError::Busy)?,
            metrics: self.metrics.clone(),
        })
    }
}

impl Slot {
    /// Hashes a new password.
    pub async fn hash(self, password: Password) -> Result<String, HashError> {
        self.run(move || password::hash(&password)).await
    }

    /// Compares a password with a stored hash.
    pub async fn compare(self, password: Password, phc: String) -> Result<Compared, HashError> {
        self.run(move || {
            let matches = password::verify(&password, &phc)?;
            let upgraded = if matches && password::is_outdated(&phc) {
                Some(password::hash(&password)?)
            } else {
                None
            };
            Ok(Compared { matches, upgraded })
        })
        .await
    }

    async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, HashError> {
        let Self {
            waiting,
            running,
            metrics,
        } = self;
        let done = tokio::task::spawn_blocking(move || {
            // The slot moves with the work: when the client disconnects, the core is still busy.
            let _slot = (waiting, running);
            let _timer = metrics.hash_seconds.start_timer();
            work()
        });
        Ok(done.await.map_err(|_| HashError::Panicked)??)
    }
}
