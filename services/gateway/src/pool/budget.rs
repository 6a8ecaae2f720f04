//! How many requests may be retried.

use std::cell::Cell;

const PER_REQUEST: u32 = 1;
const PER_RETRY: u32 = 5;
const MAX_CREDIT: u32 = 500;

/// Retries may be one fifth of all requests, with some credit from quiet times: a broken backend must not
/// get more load than a healthy one.
#[derive(Debug)]
pub struct RetryBudget {
    credit: Cell<u32>,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self {
            credit: Cell::new(MAX_CREDIT / 2),
        }
    }
}

impl RetryBudget {
    /// A request arrived.
    pub fn earn(&self) {
        let credit = self.credit.get() + PER_REQUEST;
        self.credit.set(credit.min(MAX_CREDIT));
    }

    /// Takes what a retry costs; false where the credit does not cover it.
    pub fn spend(&self) -> bool {
        let left = self.credit.get().checked_sub(PER_RETRY);
        if let Some(left) = left {
            self.credit.set(left);
        }
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_are_at_most_a_fifth_of_the_requests() {
        let budget = RetryBudget::default();
        while budget.spend() {}
        let mut spent = 0;
        for _ in 0..1000 {
            budget.earn();
            spent += i32::from(budget.spend());
        }
        assert_eq!(spent, 200);
    }
}
