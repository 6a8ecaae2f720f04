//! What a predecessor had on loan, and what is held until all of it is back.
//!
//! The bus lends again in the order in which loans run out, and each sign of life moves that: what
//! comes back is in no order of its own, and what was never lent may come in between. Held until it is
//! all there, it goes on in the order of the stream.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;

/// The loans of a predecessor, on their way back.
pub struct Returns<T> {
    /// How many are still out.
    owed: usize,
    /// The last message that was ever lent.
    up_to: u64,
    /// Nothing is held for longer.
    until: Instant,
    back: BTreeSet<u64>,
    held: BTreeMap<u64, T>,
}

impl<T> Returns<T> {
    /// So many loans of messages up to this sequence, which are back by then.
    pub fn of(owed: usize, up_to: u64, until: Instant) -> Self {
        Self {
            owed,
            up_to,
            until,
            back: BTreeSet::new(),
            held: BTreeMap::new(),
        }
    }

    /// Whether something is still out.
    pub fn are_out(&self) -> bool {
        self.back.len() < self.owed
    }

    /// When to stop waiting.
    pub fn until(&self) -> Instant {
        self.until
    }

    /// A message has come, with nothing to work on if it was no event. What may be worked on now.
    pub fn come(&mut self, sequence: u64, loan: Option<T>) -> Vec<T> {
        if !self.are_out() {
            return loan.into_iter().collect();
        }
        if sequence <= self.up_to {
            self.back.insert(sequence);
        }
        self.held.extend(loan.map(|loan| (sequence, loan)));
        if self.are_out() {
            Vec::new()
        } else {
            self.end()
        }
    }

    /// Waits no longer: what is held, in the order of the stream.
    pub fn end(&mut self) -> Vec<T> {
        self.owed = 0;
        std::mem::take(&mut self.held).into_values().collect()
    }

    /// What is held.
    pub fn held(&self) -> impl Iterator<Item = &T> {
        self.held.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owed(count: usize) -> Returns<u64> {
        Returns::of(count, 9, Instant::now())
    }

    #[test]
    fn without_loans_outside_everything_goes_on_at_once() {
        let mut returns = owed(0);
        assert_eq!(returns.come(5, Some(5)), [5]);
        assert_eq!(returns.come(4, Some(4)), [4]);
        assert_eq!(returns.come(6, None), [0; 0]);
    }

    #[test]
    fn loans_go_on_in_order_when_all_are_back_and_what_is_new_behind_them() {
        let mut returns = owed(3);
        for sequence in [8, 10, 9] {
            assert_eq!(returns.come(sequence, Some(sequence)), [0; 0]);
        }
        // Lent once more meanwhile: still one loan.
        assert_eq!(returns.come(8, Some(8)), [0; 0]);
        assert!(returns.are_out());
        assert_eq!(returns.come(7, Some(7)), [7, 8, 9, 10]);
        assert_eq!(returns.come(11, Some(11)), [11]);
    }

    #[test]
    fn what_is_no_event_is_back_all_the_same() {
        let mut returns = owed(2);
        assert_eq!(returns.come(9, Some(9)), [0; 0]);
        assert_eq!(returns.come(8, None), [9]);
    }

    #[test]
    fn what_does_not_come_back_holds_nobody_for_ever() {
        let mut returns = owed(2);
        assert_eq!(returns.come(9, Some(9)), [0; 0]);
        assert_eq!(returns.held().count(), 1);
        assert_eq!(returns.end(), [9]);
        assert_eq!(returns.come(8, Some(8)), [8]);
    }
}
