use proptest::prelude::*;
use vocabulary::{Currency, Money};

use super::cart::Frozen;
use super::checkout::{
    Command, Event, Patience, Reason, Refusal, Retry, Stage, next, resume, retry,
};

fn frozen() -> Frozen {
    Frozen {
        email: "ann@example.com".into(),
        lines: vec![],
        total: Money::new(500, Currency::new("EUR").unwrap()),
    }
}

fn no(reason: Reason) -> Event {
    Event::Refused(Refusal {
        reason,
        items: vec![],
    })
}

fn walk(events: Vec<Event>) -> Stage {
    events
        .into_iter()
        .fold(Stage::Started, |stage, event| next(stage, event).unwrap().0)
}

#[test]
fn yes_at_every_step_makes_an_order() {
    let events = vec![
        Event::Reserved(frozen()),
        Event::Authorised,
        Event::Claimed,
        Event::Placed,
    ];
    assert_eq!(walk(events), Stage::Placed);
}

#[test]
fn a_declined_payment_walks_back_through_void_and_release() {
    let stage = walk(vec![Event::Reserved(frozen()), no(Reason::PaymentDeclined)]);
    assert_eq!(resume(&stage), [Command::Void]);
    let (stage, commands) = next(stage, Event::Voided).unwrap();
    assert_eq!(commands, [Command::Release]);
    let (stage, commands) = next(stage, Event::Released).unwrap();
    assert!(matches!(stage, Stage::Failed(refusal) if refusal.reason == Reason::PaymentDeclined));
    assert!(commands.is_empty());
}

#[test]
fn out_of_stock_releases_without_a_void() {
    let stage = walk(vec![no(Reason::OutOfStock)]);
    assert_eq!(resume(&stage), [Command::Release]);
}

#[test]
fn late_good_news_does_not_turn_a_checkout_around() {
    let stage = walk(vec![Event::Reserved(frozen()), no(Reason::PaymentDeclined)]);
    for late in [Event::Authorised, Event::Claimed, Event::Placed] {
        assert!(next(stage.clone(), late).is_err());
    }
    assert!(next(Stage::Placed, no(Reason::OutOfStock)).is_err());
}

#[test]
fn patience_ends_going_forward_but_neither_a_claim_nor_going_back() {
    let patience = Patience::default();
    let enough = patience.forward_attempts;
    assert_eq!(retry(&Stage::Started, enough, patience), Retry::GiveUp);
    assert_eq!(
        retry(&Stage::Reserved(frozen()), enough, patience),
        Retry::GiveUp
    );
    let pause = Retry::AfterSecs(patience.longest_pause_secs);
    let refusal = Refusal {
        reason: Reason::Abandoned,
        items: vec![],
    };
    for stage in [
        Stage::Authorised(frozen()),
        Stage::Voiding(refusal.clone()),
        Stage::Releasing(refusal),
    ] {
        assert_eq!(retry(&stage, 1_000_000, patience), pause);
    }
    assert_eq!(retry(&Stage::Started, 1, patience), Retry::AfterSecs(1));
    assert_eq!(retry(&Stage::Started, 3, patience), Retry::AfterSecs(4));
}

/// What the peers know: an honest model of product and payment, tombstones included.
#[derive(Debug, Default)]
struct World {
    hold: Hold,
    promise: Promise,
    in_stock: bool,
    solvent: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq)]
enum Hold {
    #[default]
    Nothing,
    Held,
    Claimed,
    Gone,
}

#[derive(Debug, Default, Clone, Copy, PartialEq)]
enum Promise {
    #[default]
    Nothing,
    Authorised,
    Declined,
    Gone,
}

impl World {
    fn answer(&mut self, command: &Command) -> Event {
        match command {
            Command::Reserve => match self.hold {
                Hold::Nothing if self.in_stock => {
                    self.hold = Hold::Held;
                    Event::Reserved(frozen())
                }
                Hold::Nothing => no(Reason::OutOfStock),
                Hold::Held | Hold::Claimed => Event::Reserved(frozen()),
                Hold::Gone => no(Reason::ReservationExpired),
            },
            Command::Authorise(_) => {
                if self.promise == Promise::Nothing {
                    self.promise = if self.solvent {
                        Promise::Authorised
                    } else {
                        Promise::Declined
                    };
                }
                match self.promise {
                    Promise::Authorised => Event::Authorised,
                    Promise::Nothing | Promise::Declined | Promise::Gone => {
                        no(Reason::PaymentDeclined)
                    }
                }
            }
            Command::Claim => match self.hold {
                Hold::Held | Hold::Claimed => {
                    self.hold = Hold::Claimed;
                    Event::Claimed
                }
                Hold::Nothing | Hold::Gone => no(Reason::ReservationExpired),
            },
            Command::Place(_) => Event::Placed,
            Command::Void => {
                if self.promise != Promise::Declined {
                    self.promise = Promise::Gone;
                }
                Event::Voided
            }
            Command::Release => {
                // Never called after a claim: a claimed hold stays claimed, and the property below would fail.
                if self.hold != Hold::Claimed {
                    self.hold = Hold::Gone;
                }
                Event::Released
            }
        }
    }
}

/// What happens around one command.
#[derive(Debug, Clone, Copy)]
enum Luck {
    /// It is done, and we learn of it.
    Good,
    /// It is done, and we do not learn of it: a kill, a lost answer.
    Unheard,
    /// It is under way for so many steps, while we believe it lost.
    Delayed(usize),
    /// It never arrived.
    Lost,
    /// So many failures that patience is at its end.
    Exhausted,
    /// The hold's time is up, then it is done and we learn of it.
    Expired,
}

fn luck() -> impl Strategy<Value = Luck> {
    prop_oneof![
        4 => Just(Luck::Good),
        2 => Just(Luck::Unheard),
        2 => (0_usize..12).prop_map(Luck::Delayed),
        2 => Just(Luck::Lost),
        1 => Just(Luck::Exhausted),
        1 => Just(Luck::Expired),
    ]
}

struct Run {
    world: World,
    stage: Stage,
    /// Requests still on their way, with the step at which they arrive.
    on_the_way: Vec<(usize, Command)>,
    placed: bool,
}

impl Run {
    fn step(&mut self, at: usize, luck: Luck) {
        let (due, later): (Vec<_>, Vec<_>) =
            self.on_the_way.drain(..).partition(|(when, _)| *when <= at);
        self.on_the_way = later;
        for (_, command) in due {
            self.world.answer(&command);
        }
        let Some(command) = resume(&self.stage).pop() else {
            return;
        };
        let local = matches!(command, Command::Place(_));
        let event = match luck {
            Luck::Good => Some(self.world.answer(&command)),
            // A commit of our own is done and known, or neither.
            _ if local => None,
            Luck::Unheard => {
                self.world.answer(&command);
                None
            }
            Luck::Delayed(steps) => {
                self.on_the_way.push((at + steps, command));
                None
            }
            Luck::Lost => None,
            Luck::Exhausted => match retry(&self.stage, u32::MAX, Patience::default()) {
                Retry::GiveUp => Some(Event::GaveUp),
                Retry::AfterSecs(_) => None,
            },
            Luck::Expired => {
                if self.world.hold == Hold::Held {
                    self.world.hold = Hold::Gone;
                }
                Some(self.world.answer(&command))
            }
        };
        if let Some(event) = event {
            self.advance(event);
        } else if matches!(self.stage, Stage::Claimed(_)) {
            // Killed between the claim and the commit: the row still says authorised.
            self.stage = Stage::Authorised(frozen());
        }
    }

    fn advance(&mut self, event: Event) {
        let (stage, commands) = next(self.stage.clone(), event).expect("a legal event");
        assert_eq!(
            commands,
            resume(&stage),
            "resuming does what going on would have done"
        );
        self.placed |= stage == Stage::Placed;
        self.stage = stage;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn whatever_is_killed_lost_or_late_there_is_an_order_or_a_clean_slate(
        script in prop::collection::vec(luck(), 0..25),
        in_stock in prop::bool::weighted(0.8),
        solvent in prop::bool::weighted(0.8),
    ) {
        let world = World { in_stock, solvent, ..World::default() };
        let mut run = Run { world, stage: Stage::Started, on_the_way: vec![], placed: false };
        let mut at = 0;
        for luck in script {
            run.step(at, luck);
            at += 1;
        }
        // Then luck returns: it must come to an end, quickly.
        for _ in 0..8 {
            run.step(at, Luck::Good);
            at += 1;
        }
        prop_assert!(resume(&run.stage).is_empty(), "still at {:?}", run.stage);
        // The last stragglers arrive.
        run.step(usize::MAX, Luck::Good);
        match &run.stage {
            Stage::Placed => {
                prop_assert_eq!(run.world.hold, Hold::Claimed);
                prop_assert_eq!(run.world.promise, Promise::Authorised);
            }
            Stage::Failed(_) => {
                prop_assert!(!run.placed);
                prop_assert!(!matches!(run.world.hold, Hold::Held | Hold::Claimed), "{:?}", run.world);
                prop_assert!(run.world.promise != Promise::Authorised, "{:?}", run.world);
            }
            other => prop_assert!(false, "ended at {other:?}"),
        }
    }
}
