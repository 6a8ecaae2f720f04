//! One queue per aggregate, so that its events are handled one after another while other aggregates'
//! events are handled beside them.

use std::collections::{HashMap, VecDeque};

/// Items that wait for an earlier one of the same key. A queue exists while an item of its key is being
/// worked on.
#[derive(Debug)]
pub struct Queues<T> {
    waiting: HashMap<String, VecDeque<T>>,
}

impl<T> Default for Queues<T> {
    fn default() -> Self {
        Self {
            waiting: HashMap::new(),
        }
    }
}

impl<T> Queues<T> {
    /// Returns the item if none of its key is being worked on: work on it then. Queues it otherwise.
    pub fn push(&mut self, key: &str, item: T) -> Option<T> {
        if let Some(queue) = self.waiting.get_mut(key) {
            queue.push_back(item);
            return None;
        }
        self.waiting.insert(key.to_owned(), VecDeque::new());
        Some(item)
    }

    /// The work on an item of this key is done: returns the next one.
    pub fn pop(&mut self, key: &str) -> Option<T> {
        let next = self.waiting.get_mut(key).and_then(VecDeque::pop_front);
        if next.is_none() {
            self.waiting.remove(key);
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_item_in_work_at_a_time_and_keeps_their_order() {
        let mut queues = Queues::default();
        assert_eq!(queues.push("a", 1), Some(1));
        assert_eq!(queues.push("a", 2), None);
        assert_eq!(queues.push("a", 3), None);
        assert_eq!(queues.push("b", 4), Some(4));
        assert_eq!(queues.pop("a"), Some(2));
        assert_eq!(queues.pop("a"), Some(3));
        assert_eq!(queues.pop("a"), None);
        assert_eq!(queues.push("a", 5), Some(5));
    }
}
