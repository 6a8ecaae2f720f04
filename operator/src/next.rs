//! What a reconciliation asks for next.

use std::time::Duration;

/// What a reconciliation that succeeded asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Everything that matters is watched; the next reconciliation is the slow routine one.
    AwaitChange,
    /// Reconcile again after this long, because what is waited for is not watched.
    Requeue(Duration),
}

impl Next {
    /// The earlier of the two.
    #[must_use]
    pub fn sooner(self, other: Self) -> Self {
        match (self, other) {
            (Self::Requeue(one), Self::Requeue(two)) => Self::Requeue(one.min(two)),
            (Self::AwaitChange, next) | (next, Self::AwaitChange) => next,
        }
    }
}
