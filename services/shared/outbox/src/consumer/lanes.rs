//! Lanes: one per aggregate, so that its events are applied one after another while other
//! aggregates' events are applied beside them.

use std::collections::{HashMap, VecDeque};

/// Items that wait in lanes. A lane exists while one of its items is being worked on.
#[derive(Debug)]
pub struct Lanes<T> {
    waiting: HashMap<String, VecDeque<T>>,
}

impl<T> Default for Lanes<T> {
    fn default() -> Self {
        Self {
            waiting: HashMap::new(),
        }
    }
}

impl<T> Lanes<T> {
    /// Gives the item back if its lane is free, which is then taken; keeps it otherwise.
    pub fn enter(&mut self, lane: &str, item: T) -> Option<T> {
        if let Some(queue) = self.waiting.get_mut(lane) {
            queue.push_back(item);
            return None;
        }
        self.waiting.insert(lane.to_owned(), VecDeque::new());
        Some(item)
    }

    /// The work on a lane's item is over: the next item, or the lane is free.
    pub fn leave(&mut self, lane: &str) -> Option<T> {
        let next = self.waiting.get_mut(lane).and_then(VecDeque::pop_front);
        if next.is_none() {
            self.waiting.remove(lane);
        }
        next
    }

    /// Everything that waits.
    pub fn waiting(&self) -> impl Iterator<Item = &T> {
        self.waiting.values().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_lets_one_item_pass_at_a_time_and_keeps_their_order() {
        let mut lanes = Lanes::default();
        assert_eq!(lanes.enter("a", 1), Some(1));
        assert_eq!(lanes.enter("a", 2), None);
        assert_eq!(lanes.enter("a", 3), None);
        assert_eq!(lanes.enter("b", 4), Some(4));
        assert_eq!(lanes.waiting().copied().collect::<Vec<_>>(), [2, 3]);
        assert_eq!(lanes.leave("a"), Some(2));
        assert_eq!(lanes.leave("a"), Some(3));
        assert_eq!(lanes.leave("a"), None);
        assert_eq!(lanes.enter("a", 5), Some(5));
    }
}
