//! When each watch last received anything. Filled by the client's middleware, read by liveness checks
//! and by watches that want to know whether they were admitted again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// When each request path last received an answer, an event or a bookmark. Clones share it.
#[derive(Clone, Default)]
pub struct Activity {
    paths: Arc<Mutex<HashMap<String, Last>>>,
}

#[derive(Clone, Copy)]
struct Last {
    received: Instant,
    /// When the last watch request that succeeded was answered.
    watching: Option<Instant>,
}

impl Activity {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Last>> {
        self.paths.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that something was received from `path`; `begins_watch` when it is the successful answer
    /// to a watch request.
    pub fn note(&self, path: &str, begins_watch: bool) {
        let now = Instant::now();
        let mut paths = self.lock();
        let last = match paths.get_mut(path) {
            Some(last) => last,
            None => paths.entry(path.to_owned()).or_insert(Last {
                received: now,
                watching: None,
            }),
        };
        last.received = now;
        if begins_watch {
            last.watching = Some(now);
        }
    }

    /// Starts the clock of a path, if it is not running.
    pub fn expect(&self, path: &str) {
        self.lock().entry(path.to_owned()).or_insert_with(|| Last {
            received: Instant::now(),
            watching: None,
        });
    }

    /// Time since anything was received from `path`; `None` for a path that nobody expects.
    pub fn age(&self, path: &str) -> Option<Duration> {
        self.lock().get(path).map(|last| last.received.elapsed())
    }

    /// Whether a watch of this path was admitted after `since`.
    pub fn watches_since(&self, path: &str, since: Instant) -> bool {
        let began = self.lock().get(path).and_then(|last| last.watching);
        began.is_some_and(|began| began > since)
    }

    /// Forgets a path that is no longer watched.
    pub fn forget(&self, path: &str) {
        self.lock().remove(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_ages_from_the_moment_it_is_expected() {
        let activity = Activity::default();
        assert_eq!(activity.age("/api/v1/services"), None);
        activity.expect("/api/v1/services");
        let age = activity.age("/api/v1/services");
        assert!(age.is_some_and(|age| age < Duration::from_secs(5)));
        activity.forget("/api/v1/services");
        assert_eq!(activity.age("/api/v1/services"), None);
    }
}
