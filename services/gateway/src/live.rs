//! What a worker waits for before its thread ends.

use std::cell::Cell;
use std::rc::Rc;

use tokio::sync::Notify;

/// Counts the connections and listeners of one worker.
#[derive(Debug, Default)]
pub struct Live {
    count: Cell<usize>,
    one_less: Notify,
}

impl Live {
    /// Counts one more until the hold is dropped.
    pub fn hold(self: &Rc<Self>) -> Hold {
        self.count.set(self.count.get() + 1);
        Hold(self.clone())
    }

    pub fn count(&self) -> usize {
        self.count.get()
    }

    /// Until the next hold is dropped.
    pub async fn one_less(&self) {
        self.one_less.notified().await;
    }
}

#[derive(Debug)]
pub struct Hold(Rc<Live>);

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.count.set(self.0.count.get().saturating_sub(1));
        self.0.one_less.notify_waiters();
    }
}
