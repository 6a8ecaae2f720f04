//! The service with a database of its own.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use axum::Router;
use chassis::{Binding, HttpLimits, HttpMetrics, Registry};
use chrono::{DateTime, Utc};
use events::{Event, EventMeta, OrderLine, OrderPaid, OrderPlaced, Payload, UserRegistered};
use notification::shop::{Locale, Shop};
use notification::triggers::consume::subscriptions;
use notification::{AppState, MIGRATOR, Metrics, Sender, SmtpSender};
use outbox::Handler;
use service::Core;
use sqlx::PgPool;
use testkit::{FixedClock, SeededEntropy, TestDb, TestTokens};
use uuid::Uuid;
use vocabulary::{EventId, Money, OrderId, PaymentId, ProductId, ReservationId, UserId};

pub struct TestApp {
    pub state: AppState,
    pub router: Router,
    pub registry: Registry,
    pub clock: FixedClock,
    pub tokens: TestTokens,
    pub pool: PgPool,
    db: TestDb,
}

pub async fn start() -> TestApp {
    in_language(Locale::En).await
}

pub async fn in_language(locale: Locale) -> TestApp {
    let db = testkit::db(&MIGRATOR).await;
    let tokens = TestTokens::default();
    let registry = Registry::new().unwrap();
    let clock = FixedClock::default();
    let shop = Shop {
        name: "Demo & Söhne".to_owned(),
        url: "http://demo.localhost:8080".to_owned(),
        locale,
    };
    let state = AppState {
        core: Core {
            pool: db.pool.clone(),
            clock: Arc::new(clock.clone()),
            entropy: Arc::new(SeededEntropy::default()),
        },
        verifier: tokens.verifier(),
        shop: Arc::new(shop),
        metrics: Metrics::new(&registry).unwrap(),
    };
    let (metrics, draining) = (
        HttpMetrics::new(&registry).unwrap(),
        Arc::new(AtomicBool::new(false)),
    );
    let router = notification::router(state.clone());
    let router = chassis::layers(router, HttpLimits::default(), metrics, draining);
    TestApp {
        router: testkit::conforming(router, &notification::openapi()),
        state,
        registry,
        clock,
        tokens,
        pool: db.pool.clone(),
        db,
    }
}

pub struct Row {
    pub id: Uuid,
    pub status: String,
    pub attempts: i32,
    pub due_at: DateTime<Utc>,
    pub last_error: Option<String>,
}

impl TestApp {
    /// Applies an event, as the consumer would.
    pub async fn consume(&self, event: &Event) {
        let mut tx = outbox::pool::begin(&self.pool).await.unwrap();
        subscriptions(self.state.clone())
            .handle(&mut tx, event)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }

    /// A sender to a port of localhost.
    pub fn sender(&self, smtp: u16) -> Sender {
        self.sender_as(smtp, &[])
    }

    /// The same, with a login.
    pub fn sender_as(&self, smtp: u16, login: &[(&'static str, &str)]) -> Sender {
        let port = smtp.to_string();
        let entries = [
            ("host", "127.0.0.1"),
            ("port", &*port),
            ("from", "shop@demo.localhost"),
        ];
        let entries = entries.iter().chain(login).copied();
        let binding = Binding::from_entries("smtp", entries);
        Sender::new(
            self.state.clone(),
            SmtpSender::new(&binding, &self.state.shop).unwrap(),
        )
    }

    /// Cuts all connections, as a restart of the database would.
    pub async fn cut_connections(&self) {
        self.db.cut_connections().await;
    }

    pub async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.pool).await.unwrap()
    }

    /// The only message in the table.
    pub async fn row(&self) -> Row {
        let sql =
            "select message_id, status, attempts, due_at, last_error from notification.messages";
        let (id, status, attempts, due_at, last_error) =
            sqlx::query_as(sql).fetch_one(&self.pool).await.unwrap();
        Row {
            id,
            status,
            attempts,
            due_at,
            last_error,
        }
    }
}

fn event<P: Payload>(n: u128, payload: &P) -> Event {
    let time = "2026-01-31T11:59:00Z".parse().unwrap();
    Event::of(
        EventMeta::new(EventId::from_uuid(Uuid::from_u128(n)), time),
        payload,
    )
    .unwrap()
}

/// Event number `n`: an account.
pub fn registered(n: u128, email: &str) -> Event {
    let payload = UserRegistered {
        user_id: UserId::from_uuid(Uuid::from_u128(7)),
        username: "ann".to_owned(),
        email: email.to_owned(),
    };
    event(n, &payload)
}

pub fn euros(minor: i64) -> Money {
    Money::new(minor, "EUR".parse().unwrap())
}

/// Event number `n`: an order for two mugs.
pub fn placed(n: u128, unit_price: Money) -> Event {
    let id = Uuid::from_u128(n);
    let payload = OrderPlaced {
        order_id: OrderId::from_uuid(id),
        number: format!("2026-{n:06}"),
        user_id: UserId::from_uuid(Uuid::from_u128(7)),
        email: "ann@example.com".to_owned(),
        items: vec![OrderLine {
            product_id: ProductId::from_uuid(id),
            sku: "MUG".to_owned(),
            title: "Blue <mug>".to_owned(),
            quantity: 2,
            unit_price,
        }],
        total: euros(2_400),
        payment_id: PaymentId::from_uuid(id),
        reservation_id: ReservationId::from_uuid(id),
    };
    event(n, &payload)
}

/// Event number `n`: an order was paid.
pub fn paid(n: u128) -> Event {
    let id = Uuid::from_u128(n);
    let payload = OrderPaid {
        order_id: OrderId::from_uuid(id),
        number: format!("2026-{n:06}"),
        user_id: UserId::from_uuid(Uuid::from_u128(7)),
        email: "ann@example.com".to_owned(),
        total: euros(2_400),
        payment_id: PaymentId::from_uuid(id),
    };
    event(n, &payload)
}
