use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use chassis::{InternalToken, Registry, Tasks, http_client};
use chrono::TimeDelta;
use order::config::PeerUrls;
use order::domain::cart::{Address, Cart, Item};
use order::domain::checkout::Checkout;
use order::{AppState, Listener, MIGRATOR, Metrics};
use serde_json::{Value, json};
use testkit::{Answer, FixedClock, TestDb, TestTokens};
use uuid::Uuid;
use vocabulary::{Clock, Currency, OrderId, ProductId, SystemClock, SystemEntropy, UserId};

use crate::peers::Peers;

pub const TOKEN: &str = "internal-token-of-the-tests";
pub const MUG: Uuid = Uuid::from_u128(0x0003_0900);
pub const ANN: Uuid = Uuid::from_u128(0x0a44);

pub struct Shop {
    pub db: TestDb,
    pub router: Router,
    pub tokens: TestTokens,
    pub clock: FixedClock,
    pub peers: Peers,
    pub app: AppState,
}

/// A shop with so many mugs.
pub async fn shop(mugs: i64) -> Shop {
    let db = testkit::db(&MIGRATOR).await;
    let peers = Peers::start().await;
    peers.stock(MUG, mugs);
    let tokens = TestTokens::default();
    let clock = FixedClock::default();
    let urls = PeerUrls {
        user_url: peers.url.clone(),
        product_url: peers.url.clone(),
        payment_url: peers.url.clone(),
    };
    let client = http_client(Duration::from_millis(400)).unwrap();
    let app = AppState {
        pool: db.pool.clone(),
        clock: Arc::new(clock.clone()),
        entropy: Arc::new(SystemEntropy),
        peers: order::Peers::new(client, &urls, InternalToken::new(TOKEN)),
        verifier: tokens.verifier(),
        metrics: Metrics::new(&Registry::new().unwrap()).unwrap(),
        tasks: Tasks::new(),
        currencies: Arc::new([Currency::new("EUR").unwrap()]),
    };
    Shop {
        router: order::router(app.clone()),
        db,
        tokens,
        clock,
        peers,
        app,
    }
}

pub fn new_id() -> Uuid {
    OrderId::mint(SystemClock.now(), &SystemEntropy).as_uuid()
}

pub fn body(quantity: u32, method: &str) -> Value {
    json!({
        "items": [{"product_id": MUG, "quantity": quantity}],
        "address": {"name": "Ann Lee", "line1": "Hauptstr. 1", "postal_code": "10115", "city": "Berlin", "country": "DE"},
        "payment_method": method,
    })
}

impl Shop {
    pub fn listener(&self) -> Listener {
        Listener::new(self.app.clone())
    }

    pub async fn place(&self, key: &str, body: &Value) -> Answer {
        testkit::post("/v1/orders")
            .bearer(&self.tokens.customer(ANN))
            .header("idempotency-key", key)
            .json(body)
            .send(&self.router)
            .await
    }

    pub async fn get(&self, path: &str, token: &str) -> Answer {
        testkit::get(path).bearer(token).send(&self.router).await
    }

    pub async fn cancel(&self, id: &str, token: &str) -> Answer {
        testkit::post(&format!("/v1/orders/{id}/cancel"))
            .bearer(token)
            .send(&self.router)
            .await
    }

    /// A checkout as a request would start it.
    pub fn checkout(&self, key: &str, quantity: u32, method: &str) -> Checkout {
        let cart = Cart {
            items: vec![Item {
                product_id: ProductId::from_uuid(MUG),
                quantity,
            }],
            currency: Currency::new("EUR").unwrap(),
            address: Address {
                name: "Ann Lee".into(),
                line1: "Hauptstr. 1".into(),
                line2: None,
                postal_code: "10115".into(),
                city: "Berlin".into(),
                country: "DE".into(),
            },
            payment_method: method.into(),
        };
        let user = UserId::from_uuid(ANN);
        Checkout::start(user, key.into(), cart, self.clock.now(), &SystemEntropy)
    }

    /// Lets leases run out and sweeps, until nothing is open.
    pub async fn sweep(&self) {
        for _ in 0..30 {
            self.clock.advance(TimeDelta::seconds(60));
            order::sweep::resume_some(&self.app).await.unwrap();
            if self.open().await == 0 {
                return;
            }
        }
        panic!("checkouts are still open");
    }

    pub async fn open(&self) -> i64 {
        self.count("orders.checkouts where stage not in ('placed', 'failed')")
            .await
    }

    pub async fn count(&self, what: &str) -> i64 {
        sqlx::query_scalar(sqlx::AssertSqlSafe(format!("select count(*) from {what}")))
            .fetch_one(&self.db.pool)
            .await
            .unwrap()
    }

    /// Types of the events said so far, oldest first.
    pub async fn said(&self) -> Vec<String> {
        sqlx::query_scalar("select type from orders.outbox order by position")
            .fetch_all(&self.db.pool)
            .await
            .unwrap()
    }

    /// What must hold whenever nothing is open: every order has its stock and its money, and nothing else is held.
    pub async fn check_books(&self) {
        assert_eq!(self.open().await, 0);
        let orders: Vec<(Uuid, Uuid, Uuid, i64)> = sqlx::query_as(
            "select order_id, reservation_id, payment_id, total_minor from orders.orders",
        )
        .fetch_all(&self.db.pool)
        .await
        .unwrap();
        let placed = self
            .count("orders.outbox where type = 'order.placed.v1'")
            .await;
        assert_eq!(placed, i64::try_from(orders.len()).unwrap());
        let answered = self
            .count("orders.idempotency_keys where status is null")
            .await;
        assert_eq!(answered, 0, "every key has its answer");
        let world = self.peers.world.lock().unwrap();
        for (order, reservation, payment, total) in &orders {
            let hold = &world.holds[reservation];
            assert_eq!((hold.state, hold.order), ("claimed", Some(*order)));
            let promise = &world.promises[payment];
            assert_eq!((promise.state, promise.order), ("authorised", Some(*order)));
            assert_eq!(promise.minor, *total);
        }
        let claimed = world
            .holds
            .values()
            .filter(|hold| hold.state == "claimed")
            .count();
        assert_eq!(claimed, orders.len());
        assert!(
            world.holds.values().all(|hold| hold.state != "held"),
            "{world:?}"
        );
        let promised = world
            .promises
            .values()
            .filter(|p| p.state == "authorised")
            .count();
        assert_eq!(promised, orders.len());
    }
}
