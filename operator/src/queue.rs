//! The work queue of one controller: each object at most once, never two workers on one object,
//! user edits before routine reconciliations.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::metrics::Metrics;
use kube_cache::Key;

/// Priority of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// A routine reconciliation, or an object that came with a list.
    Low,
    /// Somebody changed something.
    High,
}

impl Priority {
    fn label(self) -> &'static str {
        // The numbers that Go's controller-runtime uses.
        match self {
            Self::Low => "-100",
            Self::High => "0",
        }
    }
}

/// After this many keys of high priority one of low priority is handed out, so that it is never starved.
const FAIRNESS: u32 = 8;

/// A queue of keys.
pub struct Queue {
    name: &'static str,
    state: Mutex<State>,
    wake: Notify,
    metrics: Metrics,
}

#[derive(Default)]
struct State {
    high: VecDeque<Key>,
    low: VecDeque<Key>,
    waiting: HashMap<Key, Wait>,
    timers: BinaryHeap<Reverse<(Instant, Key)>>,
    running: HashMap<Key, Instant>,
    /// Asked for while a worker was on it: from when on, and how urgent.
    again: HashMap<Key, (Instant, Priority)>,
    /// How many are ready, by priority: low, high.
    depth: [i64; 2],
    turns: u32,
    closed: bool,
}

/// Why an object is not being worked on yet.
#[derive(Clone, Copy)]
enum Wait {
    /// In one of the two lines.
    Ready { priority: Priority, since: Instant },
    /// Becomes ready at an instant.
    Later { at: Instant, priority: Priority },
}

impl Queue {
    /// An empty queue; `name` is its label in the metrics.
    pub fn new(name: &'static str, metrics: Metrics) -> Self {
        Self {
            name,
            state: Mutex::default(),
            wake: Notify::new(),
            metrics,
        }
    }

    /// The label in the metrics.
    pub fn name(&self) -> &'static str {
        self.name
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a key now.
    pub fn add(&self, key: Key, priority: Priority) {
        self.add_after(key, Duration::ZERO, priority);
    }

    /// Queues a key after a delay; an earlier time is kept, a later one moves forward.
    pub fn add_after(&self, key: Key, delay: Duration, priority: Priority) {
        self.metrics
            .queue_adds
            .with_label_values(&[self.name, self.name])
            .inc();
        let now = Instant::now();
        let mut state = self.lock();
        if state.running.contains_key(&key) {
            let (at, urgency) = state.again.entry(key).or_insert((now + delay, priority));
            *at = (*at).min(now + delay);
            *urgency = (*urgency).max(priority);
        } else {
            state.schedule(key, now + delay, priority);
        }
        self.publish(&state);
        drop(state);
        self.wake.notify_one();
    }

    /// The next key; [`Queue::done`] must follow. `None` after [`Queue::close`].
    pub async fn next(&self) -> Option<Key> {
        loop {
            let woken = self.wake.notified();
            let next_timer = {
                let mut state = self.lock();
                if state.closed {
                    self.wake.notify_one();
                    return None;
                }
                state.promote(Instant::now());
                if let Some((key, since)) = state.pop() {
                    state.running.insert(key.clone(), Instant::now());
                    self.publish(&state);
                    // There may be more for the other workers.
                    self.wake.notify_one();
                    let labels = [self.name, self.name];
                    let waited = since.elapsed().as_secs_f64();
                    self.metrics
                        .queue_seconds
                        .with_label_values(&labels)
                        .observe(waited);
                    return Some(key);
                }
                state.timers.peek().map(|Reverse((at, _))| *at)
            };
            match next_timer {
                Some(at) => tokio::select! { () = woken => {}, () = sleep_until(at) => {} },
                None => woken.await,
            }
        }
    }

    /// Ends the work on an object.
    pub fn done(&self, key: &Key) {
        let mut state = self.lock();
        if let Some(began) = state.running.remove(key) {
            let labels = [self.name, self.name];
            let took = began.elapsed().as_secs_f64();
            self.metrics
                .work_seconds
                .with_label_values(&labels)
                .observe(took);
        }
        if let Some((at, priority)) = state.again.remove(key) {
            state.schedule(key.clone(), at, priority);
        }
        self.publish(&state);
        drop(state);
        self.wake.notify_one();
    }

    /// Drops a key whose object is gone.
    pub fn forget(&self, key: &Key) {
        let mut state = self.lock();
        state.again.remove(key);
        state.unschedule(key);
        self.publish(&state);
    }

    /// Ends all waits; nothing more is handed out.
    pub fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_one();
    }

    /// Age of the oldest work under way.
    pub fn longest_running(&self) -> Duration {
        let state = self.lock();
        state
            .running
            .values()
            .map(Instant::elapsed)
            .max()
            .unwrap_or_default()
    }

    /// Whether nothing is ready or under way; appointments may exist.
    pub fn is_idle(&self) -> bool {
        let mut state = self.lock();
        state.promote(Instant::now());
        state.depth == [0, 0] && state.running.is_empty() && state.again.is_empty()
    }

    /// How many objects are ready or have an appointment.
    pub fn appointments(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Brings the gauges that only a scrape needs up to date.
    pub fn refresh(&self) {
        let labels = [self.name, self.name];
        let state = self.lock();
        let ages = state
            .running
            .values()
            .map(|began| began.elapsed().as_secs_f64());
        self.metrics
            .unfinished_seconds
            .with_label_values(&labels)
            .set(ages.clone().sum());
        self.metrics
            .longest_seconds
            .with_label_values(&labels)
            .set(ages.fold(0.0, f64::max));
    }

    // The depths have a place for each priority.
    fn publish(&self, state: &State) {
        for priority in [Priority::Low, Priority::High] {
            let labels = [self.name, self.name, priority.label()];
            let depth = state.depth[priority as usize];
            self.metrics
                .queue_depth
                .with_label_values(&labels)
                .set(depth);
        }
    }
}

impl State {
    fn schedule(&mut self, key: Key, at: Instant, priority: Priority) {
        let now = Instant::now();
        let keep = match self.waiting.get(&key) {
            None => false,
            Some(Wait::Ready {
                priority: before, ..
            }) => at > now || *before >= priority,
            Some(Wait::Later { at: before, .. }) => *before <= at,
        };
        if keep {
            return;
        }
        let since = match self.unschedule(&key) {
            Some(Wait::Ready { since, .. }) => since,
            Some(Wait::Later { .. }) | None => now,
        };
        if at > now {
            self.waiting
                .insert(key.clone(), Wait::Later { at, priority });
            self.timers.push(Reverse((at, key)));
            return;
        }
        self.depth[priority as usize] += 1;
        self.waiting
            .insert(key.clone(), Wait::Ready { priority, since });
        match priority {
            Priority::High => self.high.push_back(key),
            Priority::Low => self.low.push_back(key),
        }
    }

    /// Takes an object out. Its entries in the lines and timers become stale and are passed over.
    fn unschedule(&mut self, key: &Key) -> Option<Wait> {
        let wait = self.waiting.remove(key)?;
        if let Wait::Ready { priority, .. } = wait {
            self.depth[priority as usize] -= 1;
        }
        Some(wait)
    }

    /// Moves what is due into the lines. Timers that were moved forward or forgotten are passed over.
    fn promote(&mut self, now: Instant) {
        while let Some(Reverse((at, _))) = self.timers.peek() {
            if *at > now {
                return;
            }
            let Some(Reverse((at, key))) = self.timers.pop() else {
                return;
            };
            match self.waiting.get(&key) {
                Some(Wait::Later { at: due, priority }) if *due == at => {
                    let priority = *priority;
                    self.unschedule(&key);
                    self.schedule(key, at, priority);
                }
                _ => {}
            }
        }
    }

    fn pop(&mut self) -> Option<(Key, Instant)> {
        self.turns = self.turns.wrapping_add(1);
        let low_first = self.turns.is_multiple_of(FAIRNESS);
        let order = if low_first {
            [Priority::Low, Priority::High]
        } else {
            [Priority::High, Priority::Low]
        };
        for wanted in order {
            let line = match wanted {
                Priority::High => &mut self.high,
                Priority::Low => &mut self.low,
            };
            while let Some(key) = line.pop_front() {
                // An entry that changed lines since, or is forgotten, is stale here.
                match self.waiting.get(&key) {
                    Some(Wait::Ready { priority, since }) if *priority == wanted => {
                        let since = *since;
                        self.unschedule(&key);
                        return Some((key, since));
                    }
                    _ => {}
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
