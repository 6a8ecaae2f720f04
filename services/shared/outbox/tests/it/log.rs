//! A broker in memory with Kafka's semantics: partitions, an offset per consumer group and partition, redelivery from the
//! committed offset, no negative acknowledgement, nothing deleted, and no deduplication across connections.

use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use bus::{
    Bus, BusError, ConsumerSpec, Message, Offsets, Outgoing, Position, Published, StreamState,
    Subscription, Transport,
};
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use tokio::sync::{broadcast, watch};

const PARTITIONS: usize = 3;
const IN_FLIGHT: usize = 256;

#[derive(Debug, Clone)]
struct Record {
    event_type: String,
    dedupe_id: String,
    body: Bytes,
}

#[derive(Debug, Clone, Default)]
struct Group {
    /// The next offset to deliver after a crash, per partition.
    committed: [usize; PARTITIONS],
    /// Members that were replaced must not commit.
    member: u64,
}

/// What is on the broker's disk.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    topic: u64,
    partitions: [Vec<Record>; PARTITIONS],
    groups: HashMap<String, Group>,
}

#[derive(Debug)]
struct State {
    disk: Disk,
    is_up: bool,
    /// Counts restarts.
    epoch: u64,
    topics: u64,
    receipts: HashMap<String, broadcast::Sender<Bytes>>,
}

/// The broker. Clones are connections to it.
#[derive(Debug, Clone)]
pub struct Log {
    state: Arc<Mutex<State>>,
    changed: watch::Sender<()>,
}

impl Log {
    pub fn start_new() -> Self {
        let state = State {
            disk: Disk::default(),
            is_up: true,
            epoch: 0,
            topics: 0,
            receipts: HashMap::new(),
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            changed: watch::Sender::new(()),
        }
    }

    pub fn connect(&self) -> Bus {
        Arc::new(self.clone())
    }

    pub fn kill(&self) {
        let mut state = self.lock();
        state.is_up = false;
        state.epoch += 1;
        state.receipts.clear();
        self.changed.send_replace(());
    }

    pub fn start(&self) {
        self.lock().is_up = true;
    }

    pub fn wipe(&self) {
        self.kill();
        let mut state = self.lock();
        state.topics += 1;
        state.disk = Disk {
            topic: state.topics,
            ..Disk::default()
        };
    }

    pub fn backup(&self) -> Disk {
        self.kill();
        self.lock().disk.clone()
    }

    pub fn restore(&self, disk: &Disk) {
        self.kill();
        self.lock().disk = disk.clone();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The state, if the broker answers.
    fn ask(&self) -> Result<MutexGuard<'_, State>, BusError> {
        let state = self.lock();
        if state.is_up {
            Ok(state)
        } else {
            Err(BusError::Disconnected)
        }
    }
}

fn at(partition: usize, offset: usize) -> Position {
    Position {
        partition: i32::try_from(partition).unwrap(),
        offset: i64::try_from(offset).unwrap(),
    }
}

fn indices(position: Position) -> (usize, usize) {
    let partition = usize::try_from(position.partition).unwrap();
    (partition, usize::try_from(position.offset).unwrap())
}

impl Disk {
    fn state(&self) -> StreamState {
        let partitions = self.partitions.iter().enumerate();
        let last = partitions.filter_map(|(partition, records)| {
            let last = records.len().checked_sub(1)?;
            Some(at(partition, last))
        });
        StreamState {
            id: self.topic.to_string(),
            last: last.collect(),
        }
    }
}

#[async_trait]
impl Transport for Log {
    fn system(&self) -> &'static str {
        "log"
    }

    fn destination(&self, event_type: &str) -> String {
        event_type.to_owned()
    }

    fn connection(&self) -> Option<u64> {
        self.ask().ok().map(|state| state.epoch)
    }

    fn is_refused(&self) -> bool {
        false
    }

    async fn ensure_stream(&self) -> Result<StreamState, BusError> {
        Ok(self.ask()?.disk.state())
    }

    async fn ensure_consumer(&self, consumer: &ConsumerSpec) -> Result<(), BusError> {
        let mut state = self.ask()?;
        state
            .disk
            .groups
            .entry(consumer.name.to_owned())
            .or_default();
        Ok(())
    }

    async fn publish(&self, message: Outgoing<'_>) -> Result<Published, BusError> {
        let mut hasher = DefaultHasher::new();
        message.key.hash(&mut hasher);
        let partition = usize::try_from(hasher.finish() % PARTITIONS as u64).unwrap();
        let (epoch, offset) = {
            let mut state = self.ask()?;
            let records = &mut state.disk.partitions[partition];
            records.push(Record {
                event_type: message.event_type.to_owned(),
                dedupe_id: message.dedupe_id.to_owned(),
                body: message.body.to_owned().into(),
            });
            let offset = records.len() - 1;
            (state.epoch, offset)
        };
        self.changed.send_replace(());
        // A broker that is killed here has the message, and its acknowledgement is lost.
        tokio::time::sleep(Duration::from_millis(1)).await;
        if self.ask()?.epoch != epoch {
            return Err(BusError::Disconnected);
        }
        Ok(Published {
            position: at(partition, offset),
            duplicate: false,
        })
    }

    async fn try_publish(&self, _producer: &str) -> Result<(), BusError> {
        self.ask().map(drop)
    }

    async fn holds(&self, position: Position, event_id: &str) -> Result<bool, BusError> {
        let (partition, offset) = indices(position);
        let state = self.ask()?;
        let record = state.disk.partitions[partition].get(offset);
        Ok(record.is_some_and(|record| record.dedupe_id.starts_with(event_id)))
    }

    async fn acknowledged(&self, consumer: &str) -> Result<Option<Offsets>, BusError> {
        let state = self.ask()?;
        let offsets = state.disk.groups.get(consumer).map(|group| {
            let committed = group.committed.iter().enumerate();
            let done =
                committed.filter_map(|(partition, next)| Some(at(partition, next.checked_sub(1)?)));
            done.collect()
        });
        Ok(offsets)
    }

    async fn subscribe(&self, consumer: &ConsumerSpec) -> Result<Box<dyn Subscription>, BusError> {
        let mut state = self.ask()?;
        let topic = state.disk.topic;
        let group = state
            .disk
            .groups
            .entry(consumer.name.to_owned())
            .or_default();
        group.member += 1;
        let (next, member) = (group.committed, group.member);
        let subscription = LogSubscription {
            log: self.clone(),
            changed: self.changed.subscribe(),
            consumer: consumer.clone(),
            epoch: state.epoch,
            member,
            topic: topic.to_string(),
            next,
            committed: next,
            done: Default::default(),
            in_flight: 0,
        };
        Ok(Box::new(subscription))
    }

    async fn check(&self, consumer: &str, stream_id: &str) -> Result<(), BusError> {
        let state = self.ask()?;
        let group = state.disk.groups.get(consumer).ok_or(BusError::Replaced)?;
        let mut offsets = group.committed.iter().zip(&state.disk.partitions);
        if state.disk.topic.to_string() != stream_id
            || offsets.any(|(next, records)| *next > records.len())
        {
            return Err(BusError::Replaced);
        }
        Ok(())
    }

    async fn send_receipts(&self, producer: &str, body: Bytes) -> Result<(), BusError> {
        if let Some(listeners) = self.ask()?.receipts.get(producer) {
            let _ = listeners.send(body);
        }
        Ok(())
    }

    async fn receipts(&self, producer: &str) -> Result<BoxStream<'static, Bytes>, BusError> {
        let mut state = self.ask()?;
        let channel = state.receipts.entry(producer.to_owned());
        let receiver = channel
            .or_insert_with(|| broadcast::Sender::new(1_024))
            .subscribe();
        let messages = stream::unfold(receiver, |mut receiver| async {
            match receiver.recv().await {
                Ok(message) => Some((message, receiver)),
                Err(broadcast::error::RecvError::Lagged(_)) => Some((Bytes::new(), receiver)),
                Err(broadcast::error::RecvError::Closed) => None,
            }
        });
        Ok(messages.boxed())
    }
}

struct LogSubscription {
    log: Log,
    changed: watch::Receiver<()>,
    consumer: ConsumerSpec,
    epoch: u64,
    member: u64,
    topic: String,
    /// The next offsets to deliver.
    next: [usize; PARTITIONS],
    committed: [usize; PARTITIONS],
    /// Offsets above the committed one that are done.
    done: [BTreeSet<usize>; PARTITIONS],
    in_flight: usize,
}

impl LogSubscription {
    fn settle(&mut self, partition: usize, offset: usize) {
        self.done[partition].insert(offset);
        while self.done[partition].remove(&self.committed[partition]) {
            self.committed[partition] += 1;
        }
    }

    /// The next record of the group's types; others are passed over.
    fn fetch(&mut self) -> Result<Option<Message>, BusError> {
        let log = self.log.clone();
        let state = log.ask()?;
        if state.epoch != self.epoch {
            return Err(BusError::Disconnected);
        }
        for partition in 0..PARTITIONS {
            while let Some(record) = state.disk.partitions[partition].get(self.next[partition]) {
                let offset = self.next[partition];
                self.next[partition] += 1;
                if self
                    .consumer
                    .event_types
                    .contains(&record.event_type.as_str())
                {
                    self.in_flight += 1;
                    return Ok(Some(Message {
                        position: at(partition, offset),
                        body: record.body.clone(),
                    }));
                }
                self.settle(partition, offset);
            }
        }
        Ok(None)
    }
}

#[async_trait]
impl Subscription for LogSubscription {
    fn stream_id(&self) -> &str {
        &self.topic
    }

    async fn next(&mut self) -> Result<Message, BusError> {
        loop {
            self.changed.mark_unchanged();
            if self.in_flight < IN_FLIGHT
                && let Some(message) = self.fetch()?
            {
                return Ok(message);
            }
            let _ = self.changed.changed().await;
        }
    }

    async fn ack(&mut self, positions: &[Position]) {
        for position in positions {
            let (partition, offset) = indices(*position);
            self.settle(partition, offset);
            self.in_flight -= 1;
        }
        let mut state = self.log.lock();
        let is_connected = state.is_up && state.epoch == self.epoch;
        if let Some(group) = state.disk.groups.get_mut(self.consumer.name)
            && is_connected
            && group.member == self.member
        {
            group.committed = self.committed;
        }
    }

    async fn close(self: Box<Self>) {}
}
