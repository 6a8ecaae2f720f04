//! The checkout against an honest model of product and payment, under crashes, lost and late requests, two drivers and an owner
//! who cancels: there is an order with its stock and its payment, or nothing is held.

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use vocabulary::{Currency, Money};

use super::{Answer, Effect, Persisted, Quote, Reason, Stage, Undo, Write, decide, resume};

fn at(secs: i64) -> DateTime<Utc> {
    DateTime::<Utc>::UNIX_EPOCH + TimeDelta::seconds(secs)
}

const EXPIRES: i64 = 900;

fn quote() -> Quote {
    Quote {
        email: "ann@example.com".into(),
        lines: vec![],
        total: Money::new(500, Currency::new("EUR").unwrap()),
        number: None,
        hold_expires_at: at(EXPIRES),
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Hold {
    Unknown,
    Held,
    Claimed,
    /// Released or expired.
    Gone,
    /// Released after the claim: the unit is back in stock.
    Restocked,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Payment {
    Unknown,
    Open,
    Authorised,
    Declined,
    Voided,
}

/// How the provider answers an authorisation.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Provider {
    Authorises,
    Declines,
    Waits,
}

/// Product, with one unit in stock, and payment.
#[derive(Debug)]
struct World {
    stock: i32,
    hold: Hold,
    payment: Payment,
    provider: Provider,
}

impl World {
    fn answer(&mut self, effect: Effect) -> Answer {
        match effect {
            Effect::Reserve => self.reserve(),
            Effect::Authorise => self.authorise(),
            Effect::Claim => self.claim(),
            Effect::Undo(undo) => {
                self.undo(undo);
                Answer::Undone
            }
        }
    }

    fn reserve(&mut self) -> Answer {
        match self.hold {
            Hold::Unknown if self.stock > 0 => {
                self.stock -= 1;
                self.hold = Hold::Held;
                Answer::Reserved(quote())
            }
            Hold::Unknown => Answer::Refused(Reason::OutOfStock.into()),
            Hold::Held | Hold::Claimed => Answer::Reserved(quote()),
            Hold::Gone | Hold::Restocked => Answer::Refused(Reason::ReservationExpired.into()),
        }
    }

    fn authorise(&mut self) -> Answer {
        if self.payment == Payment::Unknown {
            self.payment = match self.provider {
                Provider::Authorises => Payment::Authorised,
                Provider::Declines => Payment::Declined,
                Provider::Waits => Payment::Open,
            };
        }
        match self.payment {
            Payment::Authorised => Answer::Authorised,
            Payment::Unknown | Payment::Open => Answer::PaymentOpen(None),
            Payment::Declined | Payment::Voided => Answer::Refused(Reason::PaymentDeclined.into()),
        }
    }

    fn claim(&mut self) -> Answer {
        match self.hold {
            Hold::Held | Hold::Claimed => {
                self.hold = Hold::Claimed;
                Answer::Claimed
            }
            Hold::Unknown | Hold::Gone | Hold::Restocked => {
                Answer::Refused(Reason::ReservationExpired.into())
            }
        }
    }

    fn undo(&mut self, undo: Undo) {
        match undo {
            Undo::Void if self.payment != Payment::Declined => self.payment = Payment::Voided,
            Undo::Void => {}
            Undo::Release => match self.hold {
                Hold::Held => {
                    self.stock += 1;
                    self.hold = Hold::Gone;
                }
                Hold::Claimed => {
                    self.stock += 1;
                    self.hold = Hold::Restocked;
                }
                Hold::Unknown => self.hold = Hold::Gone,
                Hold::Gone | Hold::Restocked => {}
            },
        }
    }

    fn expire_hold(&mut self) {
        if self.hold == Hold::Held {
            self.stock += 1;
            self.hold = Hold::Gone;
        }
    }

    fn provider_decides(&mut self, authorised: bool) {
        if self.payment == Payment::Open {
            self.payment = if authorised {
                Payment::Authorised
            } else {
                Payment::Declined
            };
        }
    }
}

/// The checkout's row, and the order's.
#[derive(Debug)]
struct Row {
    persisted: Persisted,
    version: u64,
    awaiting_order: bool,
    placed: bool,
}

/// A process that drives: what it read, and the current effect.
#[derive(Debug, Clone)]
struct Driver {
    read: Persisted,
    version: u64,
    effect: Option<Effect>,
}

#[derive(Debug, Clone, Copy)]
enum Luck {
    /// The effect happens, and its answer arrives.
    Good,
    /// It happens, and the process dies before it knows.
    Killed,
    /// It happens, and the answer is lost.
    AnswerLost,
    /// It happens so many events later, and the process believes that it was lost.
    Late(usize),
    /// It never happens.
    Lost,
}

#[derive(Debug, Clone, Copy)]
enum Event {
    /// A driver takes its next step.
    Step(usize, Luck),
    /// A driver's lease ran out: another takes the checkout over, and the old one does not know.
    TakeOver(usize),
    /// The reservation expires.
    HoldExpires,
    /// The provider decides an open payment.
    ProviderDecides(bool),
    /// The owner cancels an order that awaits its payment.
    OwnerCancels,
    /// As many failed attempts as end every patience.
    Exhausted(usize),
}

fn event() -> impl Strategy<Value = Event> {
    let luck = prop_oneof![
        5 => Just(Luck::Good),
        2 => Just(Luck::Killed),
        2 => Just(Luck::AnswerLost),
        2 => (0_usize..12).prop_map(Luck::Late),
        2 => Just(Luck::Lost),
    ];
    let driver = 0_usize..2;
    prop_oneof![
        12 => (driver.clone(), luck).prop_map(|(who, luck)| Event::Step(who, luck)),
        3 => driver.clone().prop_map(Event::TakeOver),
        1 => Just(Event::HoldExpires),
        2 => any::<bool>().prop_map(Event::ProviderDecides),
        1 => Just(Event::OwnerCancels),
        1 => driver.prop_map(Event::Exhausted),
    ]
}

struct Run {
    world: World,
    row: Row,
    drivers: [Option<Driver>; 2],
    now: i64,
    /// Requests on their way, with the event at which they arrive.
    on_the_way: Vec<(usize, Effect)>,
}

impl Run {
    fn new(world: World) -> Self {
        Self {
            world,
            row: Row {
                persisted: Stage::Started.into(),
                version: 1,
                awaiting_order: false,
                placed: false,
            },
            drivers: [None, None],
            now: 0,
            on_the_way: vec![],
        }
    }

    fn happen(&mut self, index: usize, event: Event) {
        self.arrive(index);
        match event {
            Event::Step(who, luck) => self.step(index, who, luck),
            Event::TakeOver(who) => self.take_over(who),
            Event::HoldExpires => {
                self.now = EXPIRES;
                self.world.expire_hold();
            }
            Event::ProviderDecides(authorised) => self.world.provider_decides(authorised),
            Event::OwnerCancels => self.cancel(),
            Event::Exhausted(who) => self.exhaust(who),
        }
    }

    fn arrive(&mut self, index: usize) {
        let (due, later): (Vec<_>, Vec<_>) = self
            .on_the_way
            .drain(..)
            .partition(|(when, _)| *when <= index);
        self.on_the_way = later;
        for (_, effect) in due {
            self.world.answer(effect);
        }
    }

    /// What the sweeper and a client's retry do: read the row, under a new version.
    fn take_over(&mut self, who: usize) {
        self.row.version += 1;
        self.drivers[who] = Some(Driver {
            read: self.row.persisted.clone(),
            version: self.row.version,
            effect: resume(&self.row.persisted.stage),
        });
    }

    fn step(&mut self, index: usize, who: usize, luck: Luck) {
        let Some(driver) = self.drivers[who].clone() else {
            return self.take_over(who);
        };
        let Some(effect) = driver.effect else {
            self.drivers[who] = None;
            return;
        };
        match luck {
            Luck::Good => {
                let answer = self.world.answer(effect);
                self.advance(who, &driver, answer);
            }
            Luck::Killed => {
                self.world.answer(effect);
                self.drivers[who] = None;
            }
            Luck::AnswerLost => {
                self.world.answer(effect);
                self.advance(who, &driver, Answer::Unavailable(effect));
            }
            Luck::Late(events) => {
                self.on_the_way.push((index + events, effect));
                self.advance(who, &driver, Answer::Unavailable(effect));
            }
            Luck::Lost => self.advance(who, &driver, Answer::Unavailable(effect)),
        }
    }

    fn exhaust(&mut self, who: usize) {
        let Some(driver) = self.drivers[who].as_mut() else {
            return;
        };
        driver.read.attempts = 1_000;
        let driver = driver.clone();
        if let Some(effect) = driver.effect {
            self.advance(who, &driver, Answer::Unavailable(effect));
        }
    }

    fn advance(&mut self, who: usize, driver: &Driver, answer: Answer) {
        let step = decide(&driver.read, answer, at(self.now)).expect("an answer to the effect");
        if step.write == Write::Nothing {
            let effect = step.next;
            self.drivers[who] = Some(Driver {
                effect,
                ..driver.clone()
            });
            return;
        }
        // The fence: a driver that lost its lease cannot write.
        if driver.version != self.row.version {
            self.drivers[who] = None;
            return;
        }
        self.write(step.write);
        assert!(
            step.next.is_none() || step.next == resume(&self.row.persisted.stage),
            "going on is what resuming does"
        );
        self.drivers[who] = step.next.map(|effect| Driver {
            read: self.row.persisted.clone(),
            version: self.row.version,
            effect: Some(effect),
        });
    }

    fn write(&mut self, write: Write) {
        let row = &mut self.row;
        row.version += 1;
        row.persisted = match write {
            Write::Nothing => unreachable!("no write"),
            Write::Advance(stage) => stage.into(),
            Write::TurnBack(stage) => {
                row.awaiting_order = false;
                stage.into()
            }
            Write::Retry(to, _) | Write::KeepAwaiting(_, to, _) => to,
            Write::AwaitPayment(quote, _) => {
                assert!(!row.awaiting_order && !row.placed);
                row.awaiting_order = true;
                Stage::AwaitingPayment(quote).into()
            }
            Write::Place(_) => {
                assert!(!row.placed, "an order is placed once");
                row.placed = true;
                row.awaiting_order = false;
                Stage::Placed.into()
            }
        };
    }

    /// What the API does, under the row's lock.
    fn cancel(&mut self) {
        if self.row.awaiting_order {
            let step = decide(&self.row.persisted, Answer::Cancelled, at(self.now));
            self.write(step.expect("an order awaits").write);
        }
    }

    /// Everything works from here on, and time passes.
    fn recover(&mut self) {
        for _ in 0..3 {
            for index in 0..12 {
                self.happen(index, Event::Step(0, Luck::Good));
            }
            self.happen(0, Event::HoldExpires);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]

    #[test]
    fn whatever_is_killed_lost_late_or_doubled_there_is_an_order_or_nothing_is_held(
        script in prop::collection::vec(event(), 0..40),
        in_stock in prop::bool::weighted(0.8),
        provider in prop_oneof![
            3 => Just(Provider::Authorises), 1 => Just(Provider::Declines), 3 => Just(Provider::Waits),
        ],
    ) {
        let world = World {
            stock: i32::from(in_stock),
            hold: Hold::Unknown,
            payment: Payment::Unknown,
            provider,
        };
        let mut run = Run::new(world);
        for (index, event) in script.into_iter().enumerate() {
            run.happen(index, event);
        }
        run.recover();
        prop_assert_eq!(resume(&run.row.persisted.stage), None, "{:?}", run.row);
        // The last late requests arrive.
        run.arrive(usize::MAX);
        prop_assert!(!run.row.awaiting_order);
        match &run.row.persisted.stage {
            Stage::Placed => {
                prop_assert!(run.row.placed);
                prop_assert_eq!(run.world.hold, Hold::Claimed);
                prop_assert_eq!(run.world.payment, Payment::Authorised);
                prop_assert_eq!(run.world.stock, 0);
            }
            Stage::Failed(_) => {
                prop_assert!(!run.row.placed);
                prop_assert!(!matches!(run.world.hold, Hold::Held | Hold::Claimed), "{:?}", run.world);
                prop_assert!(
                    !matches!(run.world.payment, Payment::Open | Payment::Authorised),
                    "{:?}", run.world
                );
                prop_assert_eq!(run.world.stock, i32::from(in_stock), "the unit is back, once");
            }
            other => prop_assert!(false, "ended at {}", other.as_str()),
        }
    }
}
