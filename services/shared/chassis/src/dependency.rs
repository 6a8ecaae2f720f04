//! A server that a process does without for a while.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::time::Instant;

use crate::names::unresolved;
use crate::tasks::Tasks;

/// A readiness check that takes longer has failed. The kubelet waits for 2 s, and reads the answer only where it comes
/// before that.
pub const READINESS_LIMIT: Duration = Duration::from_millis(1_500);
/// Of a check that takes longer, it is asked meanwhile whether its server's name is resolved.
const SUSPICIOUS: Duration = Duration::from_millis(500);
/// A question to a server that a process does without has failed when it takes longer. No probe waits for it.
const QUESTION_LIMIT: Duration = Duration::from_secs(2);
/// What is said of such a server until it is known whether it can be used. The operator tells this from a failure.
pub const NO_ANSWER_YET: &str = "no answer yet";
/// For how long a server that answered well is not asked again.
const GOOD_FOR: Duration = Duration::from_secs(30);
/// How long a probe waits for an answer. The kubelet has little patience, and the process is ready without the
/// server.
const PATIENCE: Duration = Duration::from_millis(300);

type Answer = Result<(), String>;

/// Asks once; an error says what a user would see.
pub(crate) type Check = Arc<dyn Fn() -> BoxFuture<'static, Answer> + Send + Sync>;

/// The answer to a check, if it comes within the limit.
async fn in_time(limit: Duration, check: impl Future<Output = Answer>) -> Answer {
    let result = tokio::time::timeout(limit, check).await;
    result.unwrap_or_else(|_| Err("timed out".to_owned()))
}

/// The answer to a check, if it comes in [`READINESS_LIMIT`]. Where the check needs the server `host` and its name is not
/// resolved, that is told too: a check fails then as if the server were away.
pub(crate) async fn in_time_of(check: impl Future<Output = Answer>, host: Option<&str>) -> Answer {
    let Some(host) = host else {
        return in_time(READINESS_LIMIT, check).await;
    };
    let mut check = std::pin::pin!(in_time(READINESS_LIMIT, check));
    let (answer, name) = match tokio::time::timeout(SUSPICIOUS, &mut check).await {
        Ok(Ok(())) => return Ok(()),
        Ok(failed) => (failed, unresolved(host).await),
        Err(_) => futures::join!(check, unresolved(host)),
    };
    match (answer, name) {
        (Err(told), Some(name)) => Err(format!("{told}; {name}")),
        (answer, _) => answer,
    }
}

/// What is known at any time, without a question.
pub(crate) type Known = Box<dyn Fn() -> Answer + Send + Sync>;

/// Asks a server when a probe asks for it: at most once in [`GOOD_FOR`] while it answers well, one question at a
/// time, and never for longer than [`PATIENCE`]; then the answer before counts. What is known without a question comes
/// first.
pub(crate) struct Dependency {
    name: &'static str,
    known: Known,
    check: Check,
    tasks: Tasks,
    last: Mutex<Option<(Instant, Answer)>>,
    turn: tokio::sync::Mutex<()>,
}

impl Dependency {
    pub(crate) fn new(name: &'static str, known: Known, check: Check, tasks: Tasks) -> Self {
        Self {
            name,
            known,
            check,
            tasks,
            last: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    pub(crate) async fn ask(self: Arc<Self>) -> Answer {
        if let Err(known) = (self.known)() {
            // The last answer is from before. What is known may be how the last use ended, and where nobody uses the
            // server only a question finds out that it is back.
            *self.last() = None;
            drop(self.tasks.spawn(self.name, Arc::clone(&self).refresh()));
            return Err(known);
        }
        if !self.is_good() {
            // It goes on when the probe no longer waits.
            let asking = self.tasks.spawn(self.name, Arc::clone(&self).refresh());
            drop(tokio::time::timeout(PATIENCE, asking).await);
        }
        let last = self.last();
        last.as_ref().map_or_else(
            || Err(NO_ANSWER_YET.to_owned()),
            |(_, answer)| answer.clone(),
        )
    }

    async fn refresh(self: Arc<Self>) {
        let Ok(_turn) = self.turn.try_lock() else {
            return;
        };
        let answer = in_time(QUESTION_LIMIT, (self.check)()).await;
        *self.last() = Some((Instant::now(), answer));
    }

    fn last(&self) -> MutexGuard<'_, Option<(Instant, Answer)>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_good(&self) -> bool {
        let last = self.last();
        last.as_ref()
            .is_some_and(|(at, answer)| answer.is_ok() && at.elapsed() < GOOD_FOR)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use futures::FutureExt;

    use super::*;

    fn server(known: Known, check: Check) -> Arc<Dependency> {
        Arc::new(Dependency::new("test", known, check, Tasks::new()))
    }

    fn asked(
        answer: impl Fn(usize) -> Answer + Send + Sync + 'static,
    ) -> (Arc<Dependency>, Arc<AtomicUsize>) {
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let check: Check = Arc::new(move || {
            let answer = answer(counted.fetch_add(1, Ordering::SeqCst));
            async move { answer }.boxed()
        });
        (server(Box::new(|| Ok(())), check), count)
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
    async fn what_is_known_counts_at_once_and_a_server_that_comes_back_is_asked() {
        let (connected, count) = (Arc::new(AtomicBool::new(true)), Arc::default());
        let (known, counted) = (Arc::clone(&connected), Arc::clone(&count));
        let known: Known = Box::new(move || {
            let is_connected = known.load(Ordering::SeqCst);
            is_connected.then_some(()).ok_or("no connection".to_owned())
        });
        let check: Check = Arc::new(move || {
            AtomicUsize::fetch_add(&counted, 1, Ordering::SeqCst);
            async { Ok(()) }.boxed()
        });
        let server = server(known, check);
        assert_eq!(Arc::clone(&server).ask().await, Ok(()));
        connected.store(false, Ordering::SeqCst);
        let lost = Arc::clone(&server).ask().await;
        assert_eq!(lost, Err("no connection".to_owned()));
        connected.store(true, Ordering::SeqCst);
        assert_eq!(Arc::clone(&server).ask().await, Ok(()));
        assert!(count.load(Ordering::SeqCst) >= 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_whose_last_use_failed_is_asked_although_nobody_uses_it() {
        let failed = Arc::new(AtomicBool::new(true));
        let (known, mended) = (Arc::clone(&failed), Arc::clone(&failed));
        let known: Known = Box::new(move || {
            let has_failed = known.load(Ordering::SeqCst);
            (!has_failed).then_some(()).ok_or("it failed".to_owned())
        });
        let check: Check = Arc::new(move || {
            mended.store(false, Ordering::SeqCst);
            std::future::ready(Ok(())).boxed()
        });
        let server = server(known, check);
        assert_eq!(Arc::clone(&server).ask().await, Err("it failed".to_owned()));
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(Arc::clone(&server).ask().await, Ok(()));
    }

    #[tokio::test]
    async fn a_check_that_fails_tells_whether_its_server_has_an_address() {
        let refused = || std::future::ready(Err("refused".to_owned()));
        let told = in_time_of(refused(), Some("nowhere.invalid")).await;
        let told = told.unwrap_err();
        assert!(
            told.starts_with("refused; the name nowhere.invalid is not resolved: "),
            "{told}"
        );
        for host in [None, Some("localhost")] {
            assert_eq!(in_time_of(refused(), host).await, Err("refused".to_owned()));
        }
        let began = Instant::now();
        let told = in_time_of(std::future::pending(), Some("nowhere.invalid")).await;
        let told = told.unwrap_err();
        assert!(told.starts_with("timed out; the name "), "{told}");
        assert!(began.elapsed() < READINESS_LIMIT + PATIENCE);
        let good = in_time_of(std::future::ready(Ok(())), Some("nowhere.invalid"));
        assert_eq!(good.await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_hangs_holds_up_no_probe_and_is_reported() {
        let check: Check = Arc::new(|| std::future::pending().boxed());
        let server = server(Box::new(|| Ok(())), check);
        let began = Instant::now();
        assert_eq!(
            Arc::clone(&server).ask().await,
            Err(NO_ANSWER_YET.to_owned())
        );
        assert_eq!(began.elapsed(), PATIENCE);
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(Arc::clone(&server).ask().await, Err("timed out".to_owned()));
    }
}
