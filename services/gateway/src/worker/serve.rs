//! The life of a worker: listeners come and go with the table, connections end with the process.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::accept;
use super::{Phase, Shared, Worker};
use crate::control::Published;

/// Access lines are handed over, and ports that could not be bound are tried again.
const TICK: Duration = Duration::from_millis(250);
/// Idle backend connections are looked through every so many ticks.
const SWEEP: u32 = 20;

/// Runs worker number `index` on this thread until the process drains.
pub fn run(shared: Arc<Shared>, index: usize, seed: u64) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async move {
        let worker = Rc::new(Worker::new(shared, seed));
        Listeners {
            worker: worker.clone(),
            index,
            open: HashMap::new(),
        }
        .serve()
        .await;
        worker.log.flush();
    });
    Ok(())
}

struct Listeners {
    worker: Rc<Worker>,
    index: usize,
    open: HashMap<u16, CancellationToken>,
}

impl Listeners {
    async fn serve(mut self) {
        let shared = self.worker.shared.clone();
        let (mut published, mut phase) = (shared.published.clone(), shared.phase.clone());
        let mut tick = tokio::time::interval(TICK);
        let mut ticks = 0_u32;
        loop {
            tokio::select! {
                changed = published.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    let new = published.borrow_and_update().clone();
                    self.apply(new);
                }
                changed = phase.changed() => {
                    let now = *phase.borrow_and_update();
                    self.worker.phase.set(now);
                    if changed.is_err() || now >= Phase::Draining {
                        break;
                    }
                }
                _ = tick.tick() => {
                    ticks = ticks.wrapping_add(1);
                    self.worker.log.flush();
                    shared.beat(self.index);
                    if ticks.is_multiple_of(SWEEP) {
                        self.worker.endpoints.sweep();
                    }
                    self.bind();
                }
            }
        }
        self.open.values().for_each(CancellationToken::cancel);
        let worker = &self.worker;
        tokio::select! {
            () = emptied(worker, self.index) => {}
            _ = phase.wait_for(|phase| *phase == Phase::Cut) => {
                tracing::warn!(open = worker.live.get(), "out of time, connections are cut");
            }
        }
    }

    fn apply(&mut self, published: Arc<Published>) {
        let generation = published.generation;
        self.open.retain(|port, stop| {
            let stays = published.table.port(*port).is_some();
            if !stays {
                stop.cancel();
            }
            stays
        });
        self.worker.replace(published);
        self.bind();
        let progress = &self.worker.shared.progress[self.index];
        progress.applied.store(generation, Ordering::Relaxed);
    }

    /// Binds what is not bound yet. A port may be taken for a moment, so this is tried again.
    fn bind(&mut self) {
        let published = self.worker.published();
        let mut unbound = 0;
        for port in published.table.ports() {
            if self.open.contains_key(&port.port) {
                continue;
            }
            match accept::bind(self.worker.limits().bind_address, port.port) {
                Ok(socket) => {
                    let stop = CancellationToken::new();
                    let work = accept::accept(self.worker.clone(), socket, port.port, stop.clone());
                    crate::spawn_local(work);
                    self.open.insert(port.port, stop);
                }
                Err(error) => {
                    unbound += 1;
                    self.worker.metrics().bind_failures.inc();
                    tracing::warn!(port = port.port, %error, "port cannot be bound, trying again");
                }
            }
        }
        self.worker.shared.progress[self.index]
            .unbound
            .store(unbound, Ordering::Relaxed);
    }
}

async fn emptied(worker: &Worker, index: usize) {
    let mut flush = tokio::time::interval(TICK);
    while worker.live.get() > 0 {
        tokio::select! {
            () = worker.one_less.notified() => {}
            _ = flush.tick() => {
                worker.log.flush();
                worker.shared.beat(index);
            }
        }
    }
}
