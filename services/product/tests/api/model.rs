//! The store does what the domain decides: a random course of commands on the database, compared step by step.

use chrono::TimeDelta;
use product::domain::reservation::{Command, Record, Reservation, Standing, State, Step, decide};
use product::domain::stock::{LOW_STOCK, Stock, StockChange};
use product::store::reservations::{execute, find};
use product::sweep::ReservationSweep;
use uuid::Uuid;
use vocabulary::{OrderId, ReservationId};

use crate::support::{TestApp, start};

const STEPS: u128 = 400;
const ON_HAND: i64 = 30;

/// The ids in use change as their reservations come to their ends.
fn id(step: u128, numbers: &mut Numbers) -> Uuid {
    Uuid::from_u128(0x6000 + step / 20 * 4 + numbers.below(4))
}

/// Numbers that look random and are the same in each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u128) -> u128 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        u128::from(self.0 >> 33) % limit
    }
}

async fn record(app: &TestApp, id: Uuid) -> Option<Record> {
    let mut conn = app.db.pool.acquire().await.unwrap();
    let found = find(&mut conn, ReservationId::from_uuid(id)).await;
    found.unwrap()
}

async fn stock(app: &TestApp, product: Uuid) -> Stock {
    let (on_hand, reserved) = app.stock(product).await;
    Stock { on_hand, reserved }
}

/// What is stored after a step, and the stock of `product`.
fn after(
    record: Option<Record>,
    step: Step,
    before: Stock,
    product: Uuid,
) -> (Option<Record>, Stock) {
    match (step, record) {
        (Step::Move(state, change), Some(Record::Reservation(found))) => {
            let lines = found.lines.iter();
            let line = lines
                .clone()
                .find(|line| line.product_id.as_uuid() == product);
            let stock = line.map_or(before, |line| before.after(change, line.quantity));
            let moved = Reservation { state, ..found };
            (Some(Record::Reservation(moved)), stock)
        }
        (Step::Bar, _) => (Some(Record::Tombstone), before),
        (_, record) => (record, before),
    }
}

#[tokio::test]
async fn the_store_does_what_the_domain_decides() {
    let app = start().await;
    let products = [
        app.stocked_product("TEA", ON_HAND).await,
        app.stocked_product("CUP", ON_HAND).await,
    ];
    let mut numbers = Numbers(7);
    for step in 0..STEPS {
        let id = id(step, &mut numbers);
        let order = OrderId::from_uuid(Uuid::from_u128(0x700 + numbers.below(2)));
        let command = match numbers.below(8) {
            0..3 => {
                reserve(&app, &mut numbers, id, &products).await;
                continue;
            }
            3 => {
                app.clock.advance(TimeDelta::seconds(200));
                expire(&app, &products).await;
                continue;
            }
            4 | 5 => Command::Claim(order),
            6 => Command::Release,
            _ => Command::Restock(order),
        };
        let (before, now) = (record(&app, id).await, app.state.core.now());
        let step = decide(Standing::of(before.as_ref()), command, now).unwrap_or(Step::Nothing);
        let mut expected = Vec::new();
        for product in products {
            let is = stock(&app, product).await;
            expected.push(after(before.clone(), step, is, product));
        }
        let mut conn = app.db.pool.acquire().await.unwrap();
        let executed = execute(&mut conn, ReservationId::from_uuid(id), command, now).await;
        executed.unwrap();
        for (product, (expected_record, expected_stock)) in products.into_iter().zip(expected) {
            assert_eq!(record(&app, id).await, expected_record, "{command:?}");
            assert_eq!(stock(&app, product).await, expected_stock, "{command:?}");
        }
    }
}

/// A hold reserves all of its lines or nothing, and publishes a product that becomes low.
async fn reserve(app: &TestApp, numbers: &mut Numbers, id: Uuid, products: &[Uuid; 2]) {
    let was_there = record(app, id).await.is_some();
    let wanted = products.map(|product| {
        let quantity = u32::try_from(1 + numbers.below(5)).unwrap();
        (product, quantity)
    });
    let before = [stock(app, products[0]).await, stock(app, products[1]).await];
    let low_before = app.state.metrics.low.get();
    let held = app.reserve(id, &wanted).await.status == 200 && !was_there;
    assert_eq!(
        held,
        !was_there
            && wanted
                .iter()
                .zip(before)
                .all(|((_, quantity), stock)| stock.covers(*quantity).is_ok())
    );
    let mut low = 0;
    for ((product, quantity), before) in wanted.into_iter().zip(before) {
        let expected = if held {
            before.after(StockChange::Hold, quantity)
        } else {
            before
        };
        assert_eq!(stock(app, product).await, expected);
        low += u64::from(before.available() > LOW_STOCK && expected.available() <= LOW_STOCK);
    }
    assert_eq!(app.state.metrics.low.get() - low_before, low);
}

/// Nothing is held longer than it says, and what expires is available again.
async fn expire(app: &TestApp, products: &[Uuid; 2]) {
    ReservationSweep::new(&app.state).once().await.unwrap();
    let mut held = [0; 2];
    for n in 0..STEPS / 5 {
        let Some(Record::Reservation(found)) = record(app, Uuid::from_u128(0x6000 + n)).await
        else {
            continue;
        };
        if found.state != State::Held {
            continue;
        }
        assert!(found.expires_at > app.state.core.now());
        for (held, product) in held.iter_mut().zip(products) {
            let lines = found
                .lines
                .iter()
                .filter(|line| line.product_id.as_uuid() == *product);
            *held += lines.map(|line| i64::from(line.quantity)).sum::<i64>();
        }
    }
    for (held, product) in held.into_iter().zip(products) {
        assert_eq!(stock(app, *product).await.reserved, held);
    }
}
