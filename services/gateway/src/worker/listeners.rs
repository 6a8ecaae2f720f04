//! The loop of a worker: listeners follow the published table, connections end with the process.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::accept::{self, Acceptor};
use super::shared::{Phase, Shared};
use crate::edge::WorkerState;
use crate::published::Published;

/// How often access lines are handed over and unbound ports are tried again.
const TICK: Duration = Duration::from_millis(250);
/// Idle backend connections are checked every so many ticks.
const SWEEP: u32 = 20;

/// Runs worker number `index` on this thread until the process has drained.
pub fn run(shared: Arc<Shared>, index: usize, seed: u64) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async move {
        let published = shared.published.borrow().clone();
        let log = shared.log.clone();
        let worker = WorkerState::new(shared.resources.clone(), log, published, seed);
        let worker = Rc::new(worker);
        Listeners {
            worker: worker.clone(),
            shared,
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
    worker: Rc<WorkerState>,
    shared: Arc<Shared>,
    index: usize,
    open: HashMap<u16, CancellationToken>,
}

impl Listeners {
    async fn serve(mut self) {
        let (mut published, mut phase) = (self.shared.published.clone(), self.shared.phase.clone());
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
                    if now > Phase::Serving {
                        self.worker.start_draining();
                    }
                    if changed.is_err() || now >= Phase::Draining {
                        break;
                    }
                }
                _ = tick.tick() => {
                    ticks = ticks.wrapping_add(1);
                    self.worker.log.flush();
                    self.shared.beat(self.index);
                    if ticks.is_multiple_of(SWEEP) {
                        self.worker.pool.sweep();
                    }
                    self.bind();
                }
            }
        }
        self.open.values().for_each(CancellationToken::cancel);
        let worker = &self.worker;
        tokio::select! {
            () = emptied(worker, &self.shared, self.index) => {}
            _ = phase.wait_for(|phase| *phase == Phase::Cut) => {
                tracing::warn!(open = worker.live.count(), "drain timeout exceeded; closing connections");
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
        self.worker.publish(published);
        self.bind();
        self.shared.applied(self.index, generation);
    }

    /// Binds the ports that are not bound yet. Another process may hold one for a moment, so this is repeated.
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
                    let acceptor = Acceptor::new(&self.worker, &self.shared, port.port);
                    crate::spawn_local(acceptor.accept(socket, stop.clone()));
                    self.open.insert(port.port, stop);
                }
                Err(error) => {
                    unbound += 1;
                    self.worker.metrics().bind_failures.inc();
                    tracing::warn!(port = port.port, %error, "failed to bind port; retrying");
                }
            }
        }
        self.shared.unbound(self.index, unbound);
    }
}

async fn emptied(worker: &WorkerState, shared: &Shared, index: usize) {
    let mut flush = tokio::time::interval(TICK);
    while worker.live.count() > 0 {
        tokio::select! {
            () = worker.live.one_less() => {}
            _ = flush.tick() => {
                worker.log.flush();
                shared.beat(index);
            }
        }
    }
}
