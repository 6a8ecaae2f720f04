//! What an earlier subscription left in flight, and what is held until all of it is delivered again.
//!
//! The server delivers again in the order in which acknowledgements become overdue, and each report of
//! progress moves that: what comes again is in no order of its own, and new messages may come in between.
//! Held until it is complete, it continues in the order of the stream.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;

/// Messages that are expected again.
pub struct Redelivery<T> {
    expected: usize,
    /// The last sequence that was ever delivered.
    last: i64,
    /// Nothing is held for longer.
    deadline: Instant,
    received: BTreeSet<i64>,
    held: BTreeMap<i64, T>,
}

impl<T> Redelivery<T> {
    /// So many messages up to the sequence `last`, expected by then.
    pub fn new(expected: usize, last: i64, deadline: Instant) -> Self {
        Self {
            expected,
            last,
            deadline,
            received: BTreeSet::new(),
            held: BTreeMap::new(),
        }
    }

    pub fn is_incomplete(&self) -> bool {
        self.received.len() < self.expected
    }

    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// A message has come; returns what may be processed now.
    pub fn received(&mut self, sequence: i64, message: T) -> Vec<T> {
        if !self.is_incomplete() {
            return vec![message];
        }
        if sequence <= self.last {
            self.received.insert(sequence);
        }
        self.held.insert(sequence, message);
        if self.is_incomplete() {
            Vec::new()
        } else {
            self.stop_waiting()
        }
    }

    /// Waits no longer: what is held, in the order of the stream.
    pub fn stop_waiting(&mut self) -> Vec<T> {
        self.expected = 0;
        std::mem::take(&mut self.held).into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expecting(count: usize) -> Redelivery<i64> {
        Redelivery::new(count, 9, Instant::now())
    }

    #[test]
    fn with_nothing_in_flight_messages_pass_at_once() {
        let mut redelivery = expecting(0);
        assert_eq!(redelivery.received(5, 5), [5]);
        assert_eq!(redelivery.received(4, 4), [4]);
    }

    #[test]
    fn redelivered_messages_pass_in_order_when_complete_and_new_ones_behind_them() {
        let mut redelivery = expecting(3);
        for sequence in [8, 10, 9] {
            assert_eq!(redelivery.received(sequence, sequence), [0; 0]);
        }
        // Delivered once more meanwhile: still one message.
        assert_eq!(redelivery.received(8, 8), [0; 0]);
        assert!(redelivery.is_incomplete());
        assert_eq!(redelivery.received(7, 7), [7, 8, 9, 10]);
        assert_eq!(redelivery.received(11, 11), [11]);
    }

    #[test]
    fn what_does_not_come_again_holds_the_others_no_longer_than_the_deadline() {
        let mut redelivery = expecting(2);
        assert_eq!(redelivery.received(9, 9), [0; 0]);
        assert_eq!(redelivery.stop_waiting(), [9]);
        assert_eq!(redelivery.received(8, 8), [8]);
    }
}
