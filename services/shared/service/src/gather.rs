//! Requests that arrive while others are being worked on are worked on together.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};
use tokio::time::sleep;

/// Work for several requests at once, such as one statement that writes the rows of them all.
///
/// A request that finds nobody at work begins at once, so one by itself waits for nothing. What arrives meanwhile is taken together
/// by the next turn. There is no task behind it: a request works for those that wait with it. One that is dropped in the middle
/// leaves the others without an answer, and each of them does its own work then. So the work must be safe to repeat.
#[derive(Debug)]
pub struct Gather<I, O> {
    waiting: Mutex<Waiting<I, O>>,
    turn: Semaphore,
    most: usize,
    patience: Duration,
}

#[derive(Debug)]
struct Waiting<I, O> {
    entered: u64,
    entries: VecDeque<Entry<I, O>>,
}

#[derive(Debug)]
struct Entry<I, O> {
    number: u64,
    item: I,
    answer: oneshot::Sender<Option<O>>,
}

/// Up to 32 items at once, for work of some milliseconds: what takes a quarter of a second waits for a row that somebody holds.
impl<I, O> Default for Gather<I, O> {
    fn default() -> Self {
        Self::new(32, Duration::from_millis(250))
    }
}

impl<I, O> Gather<I, O> {
    /// Takes up to `most` items at once. An item that has waited for `patience` is left to its request, so that work that hangs
    /// holds up those that it was begun with, and no others.
    pub fn new(most: usize, patience: Duration) -> Self {
        Self {
            waiting: Mutex::new(Waiting {
                entered: 0,
                entries: VecDeque::new(),
            }),
            turn: Semaphore::new(1),
            most: most.max(1),
            patience,
        }
    }

    /// Works on the item together with those that others have brought. `work` answers each item in its place, or not. None: the
    /// caller does the work for its item by itself, which may have been done.
    pub async fn run<F, Fut>(&self, item: I, work: F) -> Option<O>
    where
        F: Fn(Vec<I>) -> Fut,
        Fut: Future<Output = Vec<Option<O>>>,
    {
        let (answer, mut answered) = oneshot::channel();
        let number = self.enter(item, answer);
        let turn = tokio::select! {
            biased;
            answer = &mut answered => return answer.ok().flatten(),
            turn = self.turn.acquire() => turn.ok()?,
            () = sleep(self.patience) => {
                if self.leave(number) {
                    return None;
                }
                return answered.await.ok().flatten();
            }
        };
        // Whoever has the turn is alone at this: an item without an answer is waiting still.
        loop {
            match answered.try_recv() {
                Err(oneshot::error::TryRecvError::Empty) => {}
                answer => {
                    drop(turn);
                    return answer.ok().flatten();
                }
            }
            let (items, answers): (Vec<_>, Vec<_>) = self.take().into_iter().unzip();
            let done = work(items).await;
            for (answer, done) in answers.into_iter().zip(done) {
                // Nobody is there to hear it: the request was dropped.
                let _ = answer.send(done);
            }
        }
    }

    fn enter(&self, item: I, answer: oneshot::Sender<Option<O>>) -> u64 {
        let mut waiting = self.lock();
        waiting.entered += 1;
        let number = waiting.entered;
        waiting.entries.push_back(Entry {
            number,
            item,
            answer,
        });
        number
    }

    /// False if it was taken meanwhile.
    fn leave(&self, number: u64) -> bool {
        let mut waiting = self.lock();
        let before = waiting.entries.len();
        waiting.entries.retain(|entry| entry.number != number);
        waiting.entries.len() < before
    }

    /// The next items, oldest first; without those whose request was dropped.
    fn take(&self) -> Vec<(I, oneshot::Sender<Option<O>>)> {
        let mut waiting = self.lock();
        waiting.entries.retain(|entry| !entry.answer.is_closed());
        let most = self.most.min(waiting.entries.len());
        let taken = waiting.entries.drain(..most);
        taken.map(|entry| (entry.item, entry.answer)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<I, O>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use futures::future::join_all;
    use futures::{FutureExt, poll};
    use tokio::sync::Notify;

    use super::*;

    const PATIENCE: Duration = Duration::from_millis(100);

    /// Doubles numbers, one by one where there is room for no more, and notes what it was given at once.
    async fn double(gather: &Gather<u32, u32>, item: u32, given: &RefCell<Vec<Vec<u32>>>) -> u32 {
        let work = async |items: Vec<u32>| {
            given.borrow_mut().push(items.clone());
            tokio::task::yield_now().await;
            items.into_iter().map(|item| Some(item * 2)).collect()
        };
        gather.run(item, work).await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn what_arrives_during_the_work_is_done_together_and_each_gets_its_own_answer() {
        let (gather, given) = (Gather::new(3, PATIENCE), RefCell::new(Vec::new()));
        let doubled = join_all((0..6).map(|item| double(&gather, item, &given))).await;
        assert_eq!(doubled, [0, 2, 4, 6, 8, 10]);
        assert_eq!(
            given.into_inner(),
            [vec![0], vec![1, 2, 3], vec![4, 5]],
            "the first waits for nobody"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_item_without_an_answer_is_left_to_its_request_and_the_next_is_worked_on() {
        let gather = Gather::<u32, u32>::new(8, PATIENCE);
        let refuse = async |items: Vec<u32>| items.iter().map(|_| None).collect();
        assert_eq!(gather.run(1, refuse).await, None);
        let given = RefCell::new(Vec::new());
        assert_eq!(double(&gather, 2, &given).await, 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_is_dropped_at_work_leaves_nobody_waiting() {
        let gather = Gather::<u32, u32>::new(8, PATIENCE);
        let (entered, hang) = (Notify::new(), async |_: Vec<u32>| -> Vec<Option<u32>> {
            std::future::pending().await
        });
        let mut first = Box::pin(gather.run(1, async |items| {
            entered.notify_one();
            hang(items).await
        }));
        assert!(poll!(&mut first).is_pending());
        let given = RefCell::new(Vec::new());
        let mut second = Box::pin(double(&gather, 2, &given));
        assert!(poll!(&mut second).is_pending());
        drop(first);
        assert_eq!(second.await, 4);
        entered.notified().await;
    }

    #[tokio::test(start_paused = true)]
    async fn those_taken_by_a_request_that_is_dropped_get_no_answer_and_do_not_wait_for_one() {
        let gather = Gather::<u32, u32>::new(8, PATIENCE);
        let hang = async |items: Vec<u32>| -> Vec<Option<u32>> {
            if items.len() == 2 {
                std::future::pending::<()>().await;
            }
            tokio::task::yield_now().await;
            items.into_iter().map(Some).collect()
        };
        let mut first = Box::pin(gather.run(1, hang));
        assert!(poll!(&mut first).is_pending());
        let mut second = Box::pin(gather.run(2, hang));
        let mut third = Box::pin(gather.run(3, hang));
        assert!(poll!(&mut second).is_pending());
        assert!(poll!(&mut third).is_pending());
        assert_eq!(first.await, Some(1));
        assert!(poll!(&mut second).is_pending(), "it works for both");
        drop(second);
        assert_eq!(third.await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_hangs_holds_up_no_later_request() {
        let gather = Gather::<u32, u32>::new(8, PATIENCE);
        let hang = async |_: Vec<u32>| -> Vec<Option<u32>> { std::future::pending().await };
        let mut first = Box::pin(gather.run(1, hang));
        assert!(poll!(&mut first).is_pending());
        let started = tokio::time::Instant::now();
        assert_eq!(gather.run(2, hang).await, None);
        assert_eq!(started.elapsed(), PATIENCE);
        assert!(first.now_or_never().is_none());
    }
}
