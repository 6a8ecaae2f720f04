//! Smooth weighted round robin: exact shares, evenly interleaved.

use std::sync::{Mutex, PoisonError};

/// Picks indices in proportion to their weights.
#[derive(Debug)]
pub(crate) struct Turns {
    weights: Box<[i64]>,
    total: i64,
    current: Mutex<Box<[i64]>>,
}

impl Turns {
    pub fn new(weights: impl IntoIterator<Item = u32>) -> Self {
        let weights: Box<[i64]> = weights.into_iter().map(i64::from).collect();
        Self {
            total: weights.iter().sum(),
            current: Mutex::new(vec![0; weights.len()].into()),
            weights,
        }
    }

    /// The next index; `None` when all weights are zero.
    pub fn next(&self) -> Option<usize> {
        if self.total == 0 {
            return None;
        }
        if self.weights.len() == 1 {
            return Some(0);
        }
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let mut best = None;
        for (index, weight) in self
            .weights
            .iter()
            .enumerate()
            .filter(|(_, weight)| **weight > 0)
        {
            current[index] += weight;
            if best.is_none_or(|best: usize| current[index] > current[best]) {
                best = Some(index);
            }
        }
        if let Some(best) = best {
            current[best] -= self.total;
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_exact_and_interleaved() {
        let turns = Turns::new([5, 1, 1]);
        let seen: Vec<_> = (0..7).filter_map(|_| turns.next()).collect();
        assert_eq!(seen, [0, 0, 1, 0, 2, 0, 0]);
    }

    #[test]
    fn weight_zero_is_never_picked_and_all_zero_is_nothing() {
        let turns = Turns::new([0, 3]);
        assert!((0..10).all(|_| turns.next() == Some(1)));
        assert_eq!(Turns::new([0, 0]).next(), None);
        assert_eq!(Turns::new([]).next(), None);
    }
}
