//! Whatever is asked in whatever order: nothing is sold twice, and nothing gets lost.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use uuid::Uuid;
use vocabulary::{Currency, Money, OrderId, ProductId, ReservationId};

use super::reservation::{
    ClaimRefusal, Command, Record, Refusal, Reservation, Standing, State, Step, decide,
};
use super::stock::{LOW_STOCK, Offer, Stock, StockChange, Wanted, becomes_low};

const PRODUCTS: u128 = 3;
const ON_HAND: i64 = 8;

#[derive(Debug, Clone)]
enum Call {
    Reserve(u8, Vec<(u8, u32)>),
    Command(u8, Command),
    Wait(i64),
}

fn order(n: u8) -> OrderId {
    OrderId::from_uuid(Uuid::from_u128(0x1000 + u128::from(n)))
}

fn product(n: u128) -> ProductId {
    ProductId::from_uuid(Uuid::from_u128(0x2000 + n))
}

fn eur() -> Currency {
    Currency::new("EUR").unwrap()
}

fn call() -> impl Strategy<Value = Call> {
    let items = prop::collection::vec((0..3_u8, 1..5_u32), 1..4);
    let command = prop_oneof![
        (0..2_u8).prop_map(|n| Command::Claim(order(n))),
        Just(Command::Release),
        (0..2_u8).prop_map(|n| Command::Restock(order(n))),
        Just(Command::Expire),
    ];
    prop_oneof![
        (0..6_u8, items).prop_map(|(id, items)| Call::Reserve(id, items)),
        (0..6_u8, command).prop_map(|(id, command)| Call::Command(id, command)),
        (1..400_i64).prop_map(Call::Wait),
    ]
}

/// What the store keeps, and executes as the store does.
struct Store {
    now: DateTime<Utc>,
    stock: BTreeMap<ProductId, Stock>,
    records: BTreeMap<u8, Record>,
    sold: BTreeMap<ProductId, i64>,
    low: usize,
}

impl Store {
    fn new() -> Self {
        let stock = Stock {
            on_hand: ON_HAND,
            reserved: 0,
        };
        Self {
            now: "2026-11-24T12:00:00Z".parse().unwrap(),
            stock: (0..PRODUCTS).map(|n| (product(n), stock)).collect(),
            records: BTreeMap::new(),
            sold: BTreeMap::new(),
            low: 0,
        }
    }

    fn reserve(&mut self, id: u8, items: &[(u8, u32)]) {
        let items: Vec<_> = items
            .iter()
            .map(|(n, quantity)| (product(u128::from(*n)), *quantity))
            .collect();
        let wanted = Wanted::sum(&items).unwrap();
        let offers: Vec<Offer> = self.stock.iter().map(offer).collect();
        let expires_at = self.now + TimeDelta::seconds(600);
        let uuid = ReservationId::from_uuid(Uuid::from_u128(u128::from(id)));
        match Reservation::hold(uuid, &wanted, &offers, eur(), expires_at) {
            Ok(held) if !self.records.contains_key(&id) => {
                self.change(&held, StockChange::Hold);
                self.records.insert(id, Record::Reservation(held));
            }
            Ok(_) => {}
            Err(Refusal::OutOfStock(short)) => {
                assert!(short.iter().all(|(at, _)| {
                    wanted
                        .iter()
                        .any(|(p, q)| p == *at && i64::from(q) > self.stock[at].available())
                }));
            }
            Err(other) => panic!("{other:?}"),
        }
    }

    fn command(&mut self, id: u8, command: Command) {
        let record = self.records.get(&id).cloned();
        let Ok(step) = decide(Standing::of(record.as_ref()), command, self.now) else {
            return;
        };
        match step {
            Step::Nothing => {}
            Step::Bar => {
                self.records.insert(id, Record::Tombstone);
            }
            Step::Move(to, change) => {
                let Some(Record::Reservation(mut reservation)) = record else {
                    panic!("only a reservation moves");
                };
                self.change(&reservation, change);
                reservation.state = to;
                let again = Record::Reservation(reservation);
                // Repeated at once, it does nothing.
                assert_eq!(
                    decide(Standing::of(Some(&again)), command, self.now),
                    Ok(Step::Nothing)
                );
                self.records.insert(id, again);
            }
        }
    }

    fn change(&mut self, reservation: &Reservation, change: StockChange) {
        for line in &reservation.lines {
            let stock = self.stock.get_mut(&line.product_id).unwrap();
            let before = stock.available();
            *stock = stock.after(change, line.quantity);
            self.low += usize::from(becomes_low(before, stock.available()));
            *self.sold.entry(line.product_id).or_default() -=
                change.on_hand() * i64::from(line.quantity);
        }
    }

    /// Nothing is oversold, and every piece is in the warehouse or sold.
    fn check(&self) {
        for (product, stock) in &self.stock {
            assert!(
                0 <= stock.reserved && stock.reserved <= stock.on_hand,
                "{stock:?}"
            );
            let lines = |wanted: fn(State) -> bool| -> i64 {
                let reservations = self.records.values().filter_map(|record| match record {
                    Record::Reservation(found) if wanted(found.state) => Some(found),
                    Record::Reservation(_) | Record::Tombstone => None,
                });
                let lines = reservations.flat_map(|found| &found.lines);
                lines
                    .filter(|line| line.product_id == *product)
                    .map(|line| i64::from(line.quantity))
                    .sum()
            };
            let held = lines(|state| state == State::Held);
            let claimed = lines(|state| matches!(state, State::Claimed { .. }));
            assert_eq!(stock.reserved, held);
            assert_eq!(stock.on_hand, ON_HAND - claimed);
            assert_eq!(self.sold.get(product).copied().unwrap_or(0), claimed);
        }
    }
}

fn offer((product, stock): (&ProductId, &Stock)) -> Offer {
    Offer {
        product_id: *product,
        sku: "A-1".to_owned(),
        title: "Lamp".to_owned(),
        unit_price: Some(Money::new(1_000, eur())),
        stock: *stock,
    }
}

proptest! {
    #[test]
    fn no_order_of_calls_oversells_or_loses_a_piece(calls in prop::collection::vec(call(), 1..80)) {
        let mut store = Store::new();
        for call in calls {
            match call {
                Call::Reserve(id, items) => store.reserve(id, &items),
                Call::Command(id, command) => store.command(id, command),
                Call::Wait(secs) => store.now += TimeDelta::seconds(secs),
            }
            store.check();
        }
        // Whatever happened: releasing everything brings every piece back.
        for id in 0..6 {
            store.command(id, Command::Release);
            store.check();
        }
        prop_assert!(store.stock.values().all(|stock| stock.on_hand == ON_HAND && stock.reserved == 0));
    }

    #[test]
    fn stock_becomes_low_once_per_crossing(steps in prop::collection::vec(-4..5_i64, 1..60)) {
        let (mut available, mut low, mut was_low) = (20_i64, 0, false);
        let mut crossings = 0;
        for step in steps {
            let after = (available + step).max(0);
            low += i32::from(becomes_low(available, after));
            available = after;
            let is_low = available <= LOW_STOCK;
            crossings += i32::from(is_low && !was_low);
            was_low = is_low;
        }
        prop_assert_eq!(low, crossings);
    }
}

/// A reservation of two lamps.
fn held() -> Reservation {
    let wanted = Wanted::sum(&[(product(0), 2)]).unwrap();
    let stock = Stock {
        on_hand: 3,
        reserved: 0,
    };
    let offers = [offer((&product(0), &stock))];
    let id = ReservationId::from_uuid(Uuid::from_u128(1));
    Reservation::hold(id, &wanted, &offers, eur(), at("12:10:00")).unwrap()
}

fn at(time: &str) -> DateTime<Utc> {
    format!("2026-11-24T{time}Z").parse().unwrap()
}

fn in_state(state: State) -> Record {
    Record::Reservation(Reservation { state, ..held() })
}

#[test]
fn a_claim_sells_what_is_held_until_the_hold_expires() {
    let record = in_state(State::Held);
    let claim = |time| {
        decide(
            Standing::of(Some(&record)),
            Command::Claim(order(1)),
            at(time),
        )
    };
    let sold = State::Claimed { order_id: order(1) };
    assert_eq!(claim("12:09:59"), Ok(Step::Move(sold, StockChange::Sell)));
    // The expiry is the first instant at which it is too late, whether the sweeper has been there or not.
    assert_eq!(claim("12:10:00"), Err(ClaimRefusal::Expired));
    let expired = decide(Standing::of(Some(&record)), Command::Expire, at("12:10:00"));
    assert_eq!(
        expired,
        Ok(Step::Move(State::Expired, StockChange::Release))
    );
}

#[test]
fn a_claim_is_for_one_order() {
    let sold = in_state(State::Claimed { order_id: order(1) });
    let claim = |n| {
        decide(
            Standing::of(Some(&sold)),
            Command::Claim(order(n)),
            at("12:00:00"),
        )
    };
    assert_eq!(claim(1), Ok(Step::Nothing));
    assert_eq!(claim(2), Err(ClaimRefusal::AnotherOrder));
    let back = in_state(State::Restocked { order_id: order(1) });
    for (record, refusal) in [
        (None, ClaimRefusal::Unknown),
        (Some(Record::Tombstone), ClaimRefusal::Expired),
        (Some(in_state(State::Released)), ClaimRefusal::Expired),
        (Some(in_state(State::Expired)), ClaimRefusal::Expired),
        (Some(back), ClaimRefusal::Expired),
    ] {
        let claim = decide(
            Standing::of(record.as_ref()),
            Command::Claim(order(1)),
            at("12:00:00"),
        );
        assert_eq!(claim, Err(refusal));
    }
}

#[test]
fn a_release_after_a_claim_restocks_and_so_does_a_cancelled_order_once() {
    let sold = in_state(State::Claimed { order_id: order(1) });
    let back = State::Restocked { order_id: order(1) };
    let restocked = Ok(Step::Move(back, StockChange::Restock));
    assert_eq!(
        decide(Standing::of(Some(&sold)), Command::Release, at("12:00:00")),
        restocked
    );
    assert_eq!(
        decide(
            Standing::of(Some(&sold)),
            Command::Restock(order(1)),
            at("12:00:00")
        ),
        restocked
    );
    // Another order's cancellation changes nothing, and none does twice.
    for (record, command) in [
        (&sold, Command::Restock(order(2))),
        (&in_state(back), Command::Restock(order(1))),
        (&in_state(back), Command::Release),
    ] {
        assert_eq!(
            decide(Standing::of(Some(record)), command, at("12:00:00")),
            Ok(Step::Nothing)
        );
    }
}

#[test]
fn a_release_that_arrives_first_bars_the_id() {
    assert_eq!(
        decide(Standing::of(None), Command::Release, at("12:00:00")),
        Ok(Step::Bar)
    );
    let barred = Some(&Record::Tombstone);
    for command in [
        Command::Release,
        Command::Expire,
        Command::Restock(order(1)),
    ] {
        assert_eq!(
            decide(Standing::of(barred), command, at("12:00:00")),
            Ok(Step::Nothing)
        );
    }
}
