//! A crash at every moment of a checkout, a service that fails at every step, a driver that lost its lease: in the end there is an
//! order with its stock and its payment, or nothing is held.

use axum::http::StatusCode;
use chrono::TimeDelta;
use contracts::payments::PaymentStatus;
use order::checkout::commit::LEASE;
use order::checkout::domain::{Checkout, Effect, resume};
use order::checkout::drive::{self, Started};
use order::checkout::store::checkouts;
use vocabulary::Clock;

use super::fakes::Fault;
use super::support::{HOLD, Shop, body, shop};

/// What becomes of a checkout when nothing else goes wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    Placed,
    Declined,
    OutOfStock,
    HoldExpired,
    PaidLater,
    DeclinedLater,
    NeverPaid,
}

const FATES: [Fate; 7] = [
    Fate::Placed,
    Fate::Declined,
    Fate::OutOfStock,
    Fate::HoldExpired,
    Fate::PaidLater,
    Fate::DeclinedLater,
    Fate::NeverPaid,
];

impl Fate {
    /// The effects, in order. A payment that is open is asked for again after a wait.
    const fn effects(self) -> &'static [&'static str] {
        match self {
            Self::Placed => &["reserve", "authorise", "claim"],
            Self::Declined => &["reserve", "authorise", "void", "release"],
            Self::OutOfStock => &["reserve", "release"],
            Self::HoldExpired => &["reserve", "authorise", "claim", "void", "release"],
            Self::PaidLater => &["reserve", "authorise", "authorise", "claim"],
            Self::DeclinedLater | Self::NeverPaid => {
                &["reserve", "authorise", "authorise", "void", "release"]
            }
        }
    }

    const fn method(self) -> &'static str {
        match self {
            Self::Placed | Self::OutOfStock | Self::HoldExpired => "manual",
            Self::Declined => "bad-card",
            Self::PaidLater | Self::DeclinedLater | Self::NeverPaid => "card",
        }
    }

    const fn response(self) -> StatusCode {
        match self {
            Self::Placed | Self::PaidLater | Self::DeclinedLater | Self::NeverPaid => {
                StatusCode::CREATED
            }
            Self::Declined => StatusCode::PAYMENT_REQUIRED,
            Self::OutOfStock | Self::HoldExpired => StatusCode::CONFLICT,
        }
    }

    /// The stage of the order; none if there is no order.
    const fn order(self) -> Option<&'static str> {
        match self {
            Self::Placed | Self::PaidLater => Some("placed"),
            Self::DeclinedLater | Self::NeverPaid => Some("cancelled"),
            Self::Declined | Self::OutOfStock | Self::HoldExpired => None,
        }
    }
}

/// A checkout of two mugs, and the process that drives it.
struct Saga {
    shop: Shop,
    fate: Fate,
    checkout: Checkout,
    effect: Option<Effect>,
}

impl Saga {
    async fn start(fate: Fate) -> Self {
        let mugs = if fate == Fate::OutOfStock { 1 } else { 5 };
        let shop = shop(mugs).await;
        shop.fakes.world().product.holds_expire = fate == Fate::HoldExpired;
        let checkout = shop.checkout("k1", 2, fate.method());
        let Started::Ours(checkout) = drive::start(&shop.app, checkout).await.unwrap() else {
            panic!("a fresh key");
        };
        Self {
            effect: resume(&checkout.persisted.stage),
            checkout: *checkout,
            shop,
            fate,
        }
    }

    /// Executes so many effects.
    async fn live(&mut self, effects: usize) {
        for _ in 0..effects {
            self.wait().await;
            let effect = self.effect.expect("there is more to do");
            let stepped = drive::step(&self.shop.app, &mut self.checkout, effect).await;
            self.effect = stepped.unwrap().next;
        }
    }

    /// A checkout that waits for its payment is taken over when that is decided.
    async fn wait(&mut self) {
        if self.effect.is_some() {
            return;
        }
        self.provider_decides();
        if self.fate == Fate::NeverPaid {
            self.shop.clock.advance(HOLD);
        }
        self.shop.clock.advance(TimeDelta::seconds(60));
        let now = self.shop.clock.now();
        let mut conn = self.shop.db.pool.acquire().await.unwrap();
        let due = checkouts::take_due(&mut conn, 1, now, now + LEASE).await;
        self.checkout = due.unwrap().remove(0);
        self.effect = resume(&self.checkout.persisted.stage);
    }

    fn provider_decides(&self) {
        let payment = &mut self.shop.fakes.world().payment;
        match self.fate {
            Fate::PaidLater => payment.decide(PaymentStatus::Authorised),
            Fate::DeclinedLater => payment.decide(PaymentStatus::Declined),
            _ => {}
        }
    }

    /// The process is gone. The periodic job of another one finishes, while the provider decides.
    async fn finish(&self) {
        for _ in 0..40 {
            if self.shop.open().await == 0 {
                return;
            }
            self.shop.clock.advance(TimeDelta::seconds(60));
            let resumed = order::checkout::resume::resume_some(&self.shop.app).await;
            resumed.unwrap();
            self.provider_decides();
        }
        panic!("{:?}: the checkout is still open", self.fate);
    }

    /// What must be true in the end, whatever happened before.
    async fn check(&self) {
        let (shop, fate) = (&self.shop, self.fate);
        shop.check_books().await;
        let stages: Vec<String> = sqlx::query_scalar("select stage from orders.orders")
            .fetch_all(&shop.db.pool)
            .await
            .unwrap();
        assert_eq!(stages, Vec::from_iter(fate.order()), "{fate:?}");
        let mugs = match fate {
            Fate::Placed | Fate::PaidLater => 3,
            Fate::OutOfStock => 1,
            _ => 5,
        };
        assert_eq!(shop.mugs(), mugs, "{fate:?}");
        // The client asks again with its key, twice, and gets the same response.
        let ask = || async { shop.place("k1", &body(2, fate.method())).await };
        let first = ask().await.expect(fate.response());
        assert_eq!(first.header("idempotent-replayed"), "true");
        assert_eq!(ask().await.body, first.body);
    }
}

#[tokio::test]
async fn killed_between_any_two_effects_another_process_finishes() {
    for fate in FATES {
        for lived in 0..=fate.effects().len() {
            let mut saga = Saga::start(fate).await;
            saga.live(lived).await;
            // What it knew is gone: only what it wrote is left.
            saga.finish().await;
            saga.check().await;
        }
    }
}

#[tokio::test]
async fn killed_after_any_effect_and_before_it_was_written_another_process_finishes() {
    for fate in FATES {
        for (at, call) in fate.effects().iter().copied().enumerate() {
            for fault in [Fault::DoneThenSilent, Fault::Silent] {
                let mut saga = Saga::start(fate).await;
                saga.live(at).await;
                saga.wait().await;
                let effect = saga.effect.expect("there is more to do");
                saga.shop.fakes.fail(call, &[fault]);
                // The service has the request, the answer never comes, and the process is killed waiting.
                tokio::select! {
                    step = drive::step(&saga.shop.app, &mut saga.checkout, effect) => {
                        panic!("{call} was answered: {step:?}")
                    }
                    () = saga.shop.fakes.swallowed.notified() => {}
                }
                saga.finish().await;
                saga.check().await;
            }
        }
    }
}

#[tokio::test]
async fn a_service_that_fails_at_any_step_changes_nothing_about_the_end() {
    for fate in FATES {
        for (at, call) in fate.effects().iter().copied().enumerate() {
            for fault in [Fault::Refuse, Fault::DoneThen500, Fault::DoneThenCut] {
                let mut saga = Saga::start(fate).await;
                saga.live(at).await;
                saga.wait().await;
                saga.shop.fakes.fail(call, &[fault]);
                saga.live(1).await;
                saga.finish().await;
                saga.check().await;
            }
        }
    }
}

#[tokio::test]
async fn a_driver_that_lost_its_lease_repeats_effects_without_harm_and_writes_nothing() {
    for fate in FATES {
        for lived in 0..fate.effects().len() {
            let mut saga = Saga::start(fate).await;
            saga.live(lived).await;
            saga.wait().await;
            saga.finish().await;
            // It was only slow, and goes on where it believes to be.
            let mut effect = saga.effect;
            let fenced = loop {
                let current = effect.expect("it writes before it ends");
                match drive::step(&saga.shop.app, &mut saga.checkout, current).await {
                    Ok(stepped) => effect = stepped.next,
                    Err(error) => break error,
                }
            };
            assert!(fenced.to_string().contains("changed since it was read"));
            saga.check().await;
        }
    }
}

#[tokio::test]
async fn a_claim_that_is_placed_by_nobody_is_restocked() {
    let mut saga = Saga::start(Fate::HoldExpired).await;
    saga.shop.fakes.world().product.holds_expire = false;
    saga.live(2).await;
    // The claim happens, the process is killed, and by the time that the checkout is resumed its payment is not authorised any more.
    saga.shop.fakes.fail("claim", &[Fault::DoneThenSilent]);
    tokio::select! {
        step = drive::step(&saga.shop.app, &mut saga.checkout, Effect::Claim) => panic!("{step:?}"),
        () = saga.shop.fakes.swallowed.notified() => {}
    }
    assert_eq!(saga.shop.mugs(), 3);
    for attempt in saga.shop.fakes.world().payment.all.values_mut().flatten() {
        attempt.status = PaymentStatus::Declined;
    }
    saga.finish().await;
    saga.shop.check_books().await;
    assert_eq!(saga.shop.mugs(), 5);
    assert_eq!(saga.shop.count("orders.orders").await, 0);
}
