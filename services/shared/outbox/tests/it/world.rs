//! A small shop: one schema, a relay, two consumers (`order.placed` is consumed by payment and
//! notification), each with its own database as in production.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bus::Bus;
use chassis::{Registry, Tasks};
use events::{Event, EventType, OrderPlaced};
use outbox::{
    Consumer, ConsumerOptions, EventMeta, Handler, HandlerError, Metrics, Relay, RelayOptions,
    Schema, append,
};
use sqlx::migrate::Migrator;
use sqlx::{PgConnection, PgPool};
use testkit::{TestDb, eventually_within};
use tokio_util::sync::CancellationToken;
use vocabulary::{
    Clock, Currency, EventId, Money, OrderId, PaymentId, ReservationId, SystemClock, SystemEntropy,
    UserId,
};

use crate::broker::Broker;

pub static MIGRATOR: Migrator = sqlx::migrate!("tests/it/migrations");
pub const SCHEMA: Schema = Schema::new("orders");
const BOUND: Duration = Duration::from_secs(60);

/// How often each event's handler fails before it succeeds.
pub type Plan = Arc<Mutex<HashMap<EventId, u32>>>;

pub struct Recorder {
    pub name: &'static str,
    pub fail: Plan,
    pub poison: Plan,
}

fn take_one(plan: &Plan, id: EventId) -> bool {
    let mut plan = plan.lock().unwrap();
    plan.get_mut(&id)
        .filter(|left| **left > 0)
        .map(|left| *left -= 1)
        .is_some()
}

impl Handler for Recorder {
    fn consumer(&self) -> &'static str {
        self.name
    }

    fn event_types(&self) -> &'static [EventType] {
        &[EventType::OrderPlaced]
    }

    async fn handle(&self, conn: &mut PgConnection, event: &Event) -> Result<(), HandlerError> {
        let placed: OrderPlaced = event.payload()?;
        sqlx::query("insert into orders.effects (event_id, number) values ($1, $2)")
            .bind(event.id)
            .bind(&placed.number)
            .execute(conn)
            .await?;
        if take_one(&self.poison, event.id) {
            return Err(HandlerError::poison("the effect cannot be done"));
        }
        if take_one(&self.fail, event.id) {
            return Err(HandlerError::transient("the effect failed this time"));
        }
        Ok(())
    }

    fn batch_size(&self) -> usize {
        8
    }
}

/// One consumer's side.
pub struct Side {
    pub db: TestDb,
    pub fail: Plan,
    pub poison: Plan,
    pub registry: Registry,
}

pub struct World {
    pub broker: Broker,
    pub db: TestDb,
    pub registry: Registry,
    pub sides: HashMap<&'static str, Side>,
    pub tasks: Tasks,
}

pub fn relay_options() -> RelayOptions {
    RelayOptions {
        poll: Duration::from_millis(100),
        check: Duration::from_millis(200),
        grace: Duration::from_secs(2),
        standby: Duration::from_millis(100),
        ..RelayOptions::default()
    }
}

fn consumer_options() -> ConsumerOptions {
    ConsumerOptions {
        attempts: 4,
        backoff: Duration::from_millis(20),
        check: Duration::from_millis(300),
        standby: Duration::from_millis(100),
        ..ConsumerOptions::default()
    }
}

impl World {
    /// Servers and databases; nothing runs yet.
    pub async fn new(broker: Broker) -> Self {
        let db = testkit::db(&MIGRATOR).await;
        let registry = Registry::new().unwrap();
        Self {
            broker,
            db,
            registry,
            sides: HashMap::new(),
            tasks: Tasks::new(),
        }
    }

    /// The usual: a relay and both consumers.
    pub async fn running(broker: Broker) -> Self {
        Self::new(broker).await.run().await
    }

    /// A relay and both consumers.
    pub async fn run(mut self) -> Self {
        let world = &mut self;
        world.add_relay().await;
        world.add_consumer("payment").await;
        world.add_consumer("notification").await;
        self
    }

    pub async fn connect(&self) -> Bus {
        self.broker.connect().await
    }

    pub async fn add_relay(&self) -> CancellationToken {
        let metrics = Metrics::new(&self.registry).unwrap();
        self.add_relay_with(metrics).await
    }

    pub async fn add_relay_with(&self, metrics: Metrics) -> CancellationToken {
        let pool = outbox::pool::connect(&self.db.url, 4, "relay").unwrap();
        let relay = Relay::new(pool, self.connect().await, SCHEMA, "order", metrics);
        let stop = self.tasks.shutdown().child_token();
        self.tasks
            .spawn("relay", relay.options(relay_options()).run(stop.clone()));
        stop
    }

    pub async fn add_consumer(&mut self, name: &'static str) -> CancellationToken {
        let registry = Registry::new().unwrap();
        let side = Side {
            db: testkit::db(&MIGRATOR).await,
            fail: Plan::default(),
            poison: Plan::default(),
            registry,
        };
        self.sides.insert(name, side);
        let metrics = Metrics::new(&self.sides[name].registry).unwrap();
        self.start_consumer(name, metrics).await
    }

    pub async fn start_consumer(&self, name: &'static str, metrics: Metrics) -> CancellationToken {
        let side = &self.sides[name];
        let handler = Recorder {
            name,
            fail: side.fail.clone(),
            poison: side.poison.clone(),
        };
        let pool = outbox::pool::connect(&side.db.url, 6, "consumer").unwrap();
        let bus = self.connect().await;
        let consumer = Consumer::new(pool, bus, SCHEMA, handler, metrics);
        let stop = self.tasks.shutdown().child_token();
        self.tasks.spawn(
            "consumer",
            consumer.options(consumer_options()).run(stop.clone()),
        );
        stop
    }

    /// Places an order in a transaction of its own.
    pub async fn place(&self, order: OrderId, number: &str) -> EventId {
        let id = new_id();
        place_with(&self.db.pool, order, number, id).await;
        id
    }

    /// Waits until each side shows exactly these effects, per event once.
    pub async fn all_consume(&self, ids: &[EventId]) {
        for (name, side) in &self.sides {
            let what = format!("{name} has the effect of every event");
            eventually_within(BOUND, &what, || async {
                let applied = effects(&side.db.pool).await;
                (applied.len() >= ids.len()).then_some(())
            })
            .await;
            assert_each_once(name, &effects(&side.db.pool).await, ids);
        }
    }

    /// Waits until every row is done.
    pub async fn all_done(&self) {
        eventually_within(BOUND, "every row has all its receipts", || async {
            let open = "select count(*) from orders.outbox where done_at is null";
            let open: i64 = sqlx::query_scalar(open)
                .fetch_one(&self.db.pool)
                .await
                .ok()?;
            (open == 0).then_some(())
        })
        .await;
    }
}

/// What a series without labels shows.
pub fn metric(registry: &Registry, name: &str) -> f64 {
    let text = String::from_utf8(registry.render().unwrap()).unwrap();
    let line = text.lines().find(|line| line.starts_with(name));
    line.map_or(0.0, |line| {
        line.rsplit(' ').next().unwrap().parse().unwrap()
    })
}

pub fn assert_each_once(name: &str, applied: &[(EventId, String)], ids: &[EventId]) {
    for id in ids {
        let times = applied.iter().filter(|(applied, _)| applied == id).count();
        assert_eq!(times, 1, "{name} applied {id} {times} times");
    }
    assert_eq!(applied.len(), ids.len(), "{name} applied something else");
}

/// The effects of one side, in the order in which they were applied.
pub async fn effects(pool: &PgPool) -> Vec<(EventId, String)> {
    let sql = "select event_id, number from orders.effects order by position";
    sqlx::query_as(sql)
        .fetch_all(pool)
        .await
        .unwrap_or_default()
}

pub fn new_id() -> EventId {
    EventId::mint(SystemClock.now(), &SystemEntropy)
}

pub fn new_order() -> OrderId {
    OrderId::mint(SystemClock.now(), &SystemEntropy)
}

pub fn placed(order: OrderId, number: &str) -> OrderPlaced {
    let (now, entropy) = (SystemClock.now(), &SystemEntropy);
    OrderPlaced {
        order_id: order,
        number: number.to_owned(),
        user_id: UserId::mint(now, entropy),
        email: "ada@example.com".to_owned(),
        items: Vec::new(),
        total: Money::new(1_099, Currency::new("EUR").unwrap()),
        payment_id: PaymentId::mint(now, entropy),
        reservation_id: ReservationId::mint(now, entropy),
    }
}

/// Places orders, each another one, in one commit.
pub async fn place_together(pool: &PgPool, ids: &[EventId]) {
    let mut tx = outbox::pool::begin(pool).await.unwrap();
    for id in ids {
        let meta = EventMeta::new(*id, SystemClock.now());
        append(&mut tx, SCHEMA, meta, &placed(new_order(), "x"))
            .await
            .unwrap();
    }
    tx.commit().await.unwrap();
}

pub async fn place_with(pool: &PgPool, order: OrderId, number: &str, id: EventId) {
    let mut tx = outbox::pool::begin(pool).await.unwrap();
    let meta = EventMeta::new(id, SystemClock.now());
    append(&mut tx, SCHEMA, meta, &placed(order, number))
        .await
        .unwrap();
    tx.commit().await.unwrap();
}
