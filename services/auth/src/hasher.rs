//! Password hashing off the event loop, and never more of it than the machine can take.
//!
//! A hash costs 20 ms of a core and 19 MiB. As many run at once as there are cores; a bounded number
//! waits; the rest is told to come again (503), so that a flood of logins cannot stop the process.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::account::Password;
use crate::domain::password::{self, PasswordError};
use crate::metrics::Metrics;

/// So many wait for their turn, per core.
const QUEUE_PER_CORE: usize = 16;

/// Why no hash was computed.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// Too many wait already.
    #[error("too many passwords are being checked")]
    Busy,
    /// Hashing failed.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The thread that hashed has panicked.
    #[error("the hashing thread died")]
    Died,
}

/// Hands out turns. Clones share.
#[derive(Clone)]
pub struct Hasher {
    waiting: Arc<Semaphore>,
    running: Arc<Semaphore>,
    metrics: Metrics,
}

/// The right to compute one hash.
pub struct Turn {
    waiting: OwnedSemaphorePermit,
    running: OwnedSemaphorePermit,
    metrics: Metrics,
}

/// What comparing a password came to.
pub struct Compared {
    /// True when it is the one.
    pub matches: bool,
    /// A better hash of it, when the stored one was made with old parameters.
    pub upgraded: Option<String>,
}

impl Hasher {
    /// Turns for a machine with so many cores.
    pub fn new(cores: usize, metrics: Metrics) -> Self {
        // Made now: made at the first unknown address, it would make that one answer late.
        password::dummy();
        Self {
            waiting: Arc::new(Semaphore::new(cores * (QUEUE_PER_CORE + 1))),
            running: Arc::new(Semaphore::new(cores)),
            metrics,
        }
    }

    /// Waits for a turn, unless too many wait already.
    pub async fn turn(&self) -> Result<Turn, HashError> {
        let waiting = Arc::clone(&self.waiting).try_acquire_owned();
        let waiting = waiting.map_err(|_| HashError::Busy)?;
        let running = Arc::clone(&self.running).acquire_owned().await;
        Ok(Turn {
            waiting,
            running: running.map_err(|_| HashError::Busy)?,
            metrics: self.metrics.clone(),
        })
    }
}

impl Turn {
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
            // The turn goes with the work: a client that leaves does not free the core it keeps busy.
            let _turn = (waiting, running);
            let _timer = metrics.hash_seconds.start_timer();
            work()
        });
        Ok(done.await.map_err(|_| HashError::Died)??)
    }
}
