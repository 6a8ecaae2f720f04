use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use chassis::{InternalToken, Registry, Tasks, http_client};
use chrono::TimeDelta;
use contracts::payments::PaymentStatus;
use order::cart::domain::{Address, Cart, Item};
use order::checkout::domain::Checkout;
use order::config::ServiceUrls;
use order::{AppState, Clients, HttpResponses, MIGRATOR, Metrics};
use serde_json::{Value, json};
use service::{Core, Subscriptions};
use testkit::{Answer, FixedClock, TestDb, TestTokens};
use uuid::Uuid;
use vocabulary::{
    Clock, Currency, OrderId, PaymentId, ProductId, ReservationId, SystemClock, SystemEntropy,
    UserId,
};

use crate::fakes::{Fakes, HoldState, TOKEN};

pub const MUG: Uuid = Uuid::from_u128(0x0003_0900);
pub const ANN: Uuid = Uuid::from_u128(0x0a44);

pub struct Shop {
    pub db: TestDb,
    pub router: Router,
    pub tokens: TestTokens,
    pub clock: FixedClock,
    pub fakes: Fakes,
    pub app: AppState,
}

/// Stock is reserved for this long.
pub const HOLD: TimeDelta = TimeDelta::minutes(15);

/// A shop with so many mugs.
pub async fn shop(mugs: i64) -> Shop {
    let db = testkit::db(&MIGRATOR).await;
    let fakes = Fakes::start().await;
    let tokens = TestTokens::default();
    let clock = FixedClock::default();
    {
        let product = &mut fakes.world().product;
        product.stock.insert(mug(), mugs);
        product.hold_expires_at = clock.now() + HOLD;
    }
    let urls = ServiceUrls {
        user_url: fakes.url.clone(),
        product_url: fakes.url.clone(),
        payment_url: fakes.url.clone(),
    };
    let client = http_client(Duration::from_millis(400)).unwrap();
    let app = AppState {
        core: Core {
            pool: db.pool.clone(),
            clock: Arc::new(clock.clone()),
            entropy: Arc::new(SystemEntropy),
        },
        starts: Arc::default(),
        advances: Arc::default(),
        clients: Clients::new(&client, &urls, &InternalToken::new(TOKEN)),
        renderer: Arc::new(HttpResponses),
        verifier: tokens.verifier(),
        metrics: Metrics::new(&Registry::new().unwrap()).unwrap(),
        tasks: Tasks::new(),
        currencies: Arc::new([Currency::new("EUR").unwrap()]),
    };
    Shop {
        router: testkit::conforming(order::router(app.clone()), &order::openapi()),
        db,
        tokens,
        clock,
        fakes,
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
    pub fn subscriptions(&self) -> Subscriptions<AppState> {
        order::consume::subscriptions(self.app.clone())
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

    /// Lets leases expire and runs the periodic job, until nothing is open.
    pub async fn resume(&self) {
        for _ in 0..30 {
            self.clock.advance(TimeDelta::seconds(60));
            order::checkout::resume::resume_some(&self.app)
                .await
                .unwrap();
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

    /// Types of the events published so far, oldest first.
    pub async fn published(&self) -> Vec<String> {
        sqlx::query_scalar("select type from orders.outbox order by position")
            .fetch_all(&self.db.pool)
            .await
            .unwrap()
    }

    /// What must hold whenever nothing is open: every order that was placed has its stock and its payment, and nothing else is held.
    pub async fn check_books(&self) {
        assert_eq!(self.open().await, 0);
        let awaiting = "orders.orders where stage = 'awaiting_payment'";
        assert_eq!(self.count(awaiting).await, 0);
        let orders: Vec<(OrderId, ReservationId, PaymentId, i64)> = sqlx::query_as(
            "select order_id, reservation_id, payment_id, total_minor from orders.orders o
             where exists (select from orders.history h where h.order_id = o.order_id and h.stage = 'placed')",
        )
        .fetch_all(&self.db.pool)
        .await
        .unwrap();
        let placed = self
            .count("orders.outbox where type = 'order.placed.v1'")
            .await;
        assert_eq!(placed, i64::try_from(orders.len()).unwrap());
        let unanswered = self
            .count("orders.idempotency_keys where status is null")
            .await;
        assert_eq!(unanswered, 0, "every key has its response");
        let world = self.fakes.world();
        for (order, reservation, payment, total) in &orders {
            let hold = &world.product.holds[reservation];
            assert_eq!(hold.state, HoldState::Claimed(*order));
            let attempt = world.payment.all[payment].as_ref().unwrap();
            assert_eq!(attempt.status, PaymentStatus::Authorised);
            assert_eq!(attempt.request.order_id, *order);
            assert_eq!(attempt.request.amount.minor(), *total);
        }
        let holds = || world.product.holds.values();
        let claimed = holds().filter(|hold| matches!(hold.state, HoldState::Claimed(_)));
        assert_eq!(claimed.count(), orders.len());
        assert!(
            holds().all(|hold| hold.state != HoldState::Held),
            "{world:?}"
        );
        let payments = || world.payment.all.values().flatten();
        assert!(
            payments().all(|attempt| !attempt.status.is_open()),
            "{world:?}"
        );
        let authorised = payments().filter(|attempt| attempt.status == PaymentStatus::Authorised);
        assert_eq!(authorised.count(), orders.len());
    }

    /// Units of the mug that can be reserved.
    pub fn mugs(&self) -> i64 {
        self.fakes.world().product.stock[&mug()]
    }
}

pub fn mug() -> ProductId {
    ProductId::from_uuid(MUG)
}
