//! A server that a process does without for a while.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::time::Instant;

use crate::tasks::Tasks;

/// A readiness check that takes longer has failed.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);
/// For how long a server that answered well is not asked again.
const GOOD_FOR: Duration = Duration::from_secs(10);
/// How long a probe waits for an answer. The kubelet has little patience, and the process is ready without the
/// server.
const PATIENCE: Duration = Duration::from_millis(300);

type Answer = Result<(), String>;

/// Asks once; an error says what a user would see.
pub(crate) type Check = Arc<dyn Fn() -> BoxFuture<'static, Answer> + Send + Sync>;

/// The answer to a check, if it comes in [`CHECK_TIMEOUT`].
pub(crate) async fn in_time(check: impl Future<Output = Answer>) -> Answer {
    let result = tokio::time::timeout(CHECK_TIMEOUT, check).await;
    result.unwrap_or_else(|_| Err("timed out".to_owned()))
}

/// Asks a server when a probe asks for it: at most once in [`GOOD_FOR`] while it answers well, one question at a
/// time, and never for longer than [`PATIENCE`]; then what was known before counts.
pub(crate) struct Dependency {
    name: &'static str,
    check: Check,
    tasks: Tasks,
    known: Mutex<Option<(Instant, Answer)>>,
    turn: tokio::sync::Mutex<()>,
}

impl Dependency {
    pub(crate) fn new(name: &'static str, check: Check, tasks: Tasks) -> Self {
        Self {
            name,
            check,
            tasks,
            known: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    pub(crate) async fn ask(self: Arc<Self>) -> Answer {
        if !self.is_good() {
            // It goes on when the probe no longer waits.
            let asking = self.tasks.spawn(self.name, Arc::clone(&self).refresh());
            drop(tokio::time::timeout(PATIENCE, asking).await);
        }
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().map_or_else(
            || Err("no answer yet".to_owned()),
            |(_, answer)| answer.clone(),
        )
    }

    async fn refresh(self: Arc<Self>) {
        let Ok(_turn) = self.turn.try_lock() else {
            return;
        };
        let answer = in_time((self.check)()).await;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some((Instant::now(), answer));
    }

    fn is_good(&self) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .as_ref()
            .is_some_and(|(at, answer)| answer.is_ok() && at.elapsed() < GOOD_FOR)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::FutureExt;

    use super::*;

    fn asked(
        answer: impl Fn(usize) -> Answer + Send + Sync + 'static,
    ) -> (Arc<Dependency>, Arc<AtomicUsize>) {
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let check: Check = Arc::new(move || {
            let answer = answer(counted.fetch_add(1, Ordering::SeqCst));
            async move { answer }.boxed()
        });
        (
            Arc::new(Dependency::new("test", check, Tasks::new())),
            count,
        )
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_answers_well_is_left_alone_for_a_while() {
        let (server, count) = asked(|_| Ok(()));
        for _ in 0..3 {
            assert_eq!(Arc::clone(&server).ask().await, Ok(()));
        }
        assert_eq!(count.load(Ordering::SeqCst), 1);
        tokio::time::advance(GOOD_FOR).await;
        assert_eq!(Arc::clone(&server).ask().await, Ok(()));
        assert_eq!(count.load(Ordering::SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_fails_is_asked_at_each_probe() {
        let (server, _) = asked(|at| {
            if at < 2 {
                Err("refused".to_owned())
            } else {
                Ok(())
            }
        });
        assert_eq!(Arc::clone(&server).ask().await, Err("refused".to_owned()));
        assert_eq!(Arc::clone(&server).ask().await, Err("refused".to_owned()));
        assert_eq!(Arc::clone(&server).ask().await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_hangs_holds_up_no_probe_and_is_reported() {
        let check: Check = Arc::new(|| std::future::pending().boxed());
        let server = Arc::new(Dependency::new("test", check, Tasks::new()));
        let began = Instant::now();
        assert_eq!(
            Arc::clone(&server).ask().await,
            Err("no answer yet".to_owned())
        );
        assert_eq!(began.elapsed(), PATIENCE);
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(Arc::clone(&server).ask().await, Err("timed out".to_owned()));
    }
}
