//! Whatever is asked and answered, in any order and twice, the books are right. The functions are the ones that run.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Act {
    Capture(Option<i64>),
    Void,
    Refund(Option<i64>),
    Cancel,
    Expire,
    /// The answer to the nth operation that was ever opened.
    Answer(prop::sample::Index, Outcome),
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        4 => Just(Outcome::Done),
        2 => Just(declined()),
        1 => Just(Outcome::Pending),
        1 => Just(requires_action()),
        1 => Just(Outcome::Unknown),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    let amount = prop::option::of(-5_i64..1_200);
    prop_oneof![
        2 => amount.clone().prop_map(Act::Capture),
        1 => Just(Act::Void),
        2 => amount.prop_map(Act::Refund),
        1 => Just(Act::Cancel),
        1 => Just(Act::Expire),
        8 => (any::<prop::sample::Index>(), outcome()).prop_map(|(at, outcome)| Act::Answer(at, outcome)),
    ]
}

fn perform(books: &mut Books, number: usize, act: &Act) {
    let attempt = books.attempt.clone();
    let id = format!("op{number}");
    match act {
        Act::Capture(minor) => books.apply(attempt.capture(&id, *minor)),
        Act::Void => books.apply(attempt.void(&id)),
        Act::Refund(minor) => books.apply(attempt.refund(&id, *minor)),
        Act::Cancel => books.apply(attempt.cancel(&id)),
        Act::Expire => {
            if let Some(step) = attempt.expire() {
                books.write(step);
            }
            true
        }
        Act::Answer(at, outcome) => {
            let id = books.operations[at.index(books.operations.len())]
                .id
                .clone();
            books.answer(&id, outcome);
            true
        }
    };
}

/// The ledger and the attempt are two accounts of the same facts.
fn check(books: &Books) {
    let (attempt, amount) = (&books.attempt, books.attempt.terms.amount.minor());
    let (customer, authorised, captured) = books.balances();
    assert_eq!(customer + authorised + captured, 0);
    let stage = &attempt.stage;
    assert_eq!(captured, stage.captured() - stage.refunded());
    assert_eq!(
        authorised,
        if *stage == Stage::Authorised {
            amount
        } else {
            0
        }
    );
    assert!(stage.captured() <= amount);
    assert!(stage.refunded() + stage.refunding() <= stage.captured());
    let of = |kind: Kind, state: &State| {
        let of = books.operations.iter();
        of.filter(|op| op.kind == kind && op.state == *state)
            .map(|op| op.minor)
            .collect::<Vec<_>>()
    };
    assert!(of(Kind::Capture, &State::Done).len() <= 1, "captured once");
    assert_eq!(
        of(Kind::Capture, &State::Done).iter().sum::<i64>(),
        stage.captured()
    );
    assert_eq!(
        of(Kind::Refund, &State::Done).iter().sum::<i64>(),
        stage.refunded()
    );
    assert_eq!(
        of(Kind::Refund, &State::Requested).iter().sum::<i64>(),
        stage.refunding()
    );
    let in_flight = match attempt.in_flight {
        None => (vec![], vec![]),
        Some(InFlight::Capture(minor)) => (vec![minor], vec![]),
        Some(InFlight::Void) => (vec![], vec![amount]),
    };
    let open = (
        of(Kind::Capture, &State::Requested),
        of(Kind::Void, &State::Requested),
    );
    assert_eq!(open, in_flight);
    let undecided = !of(Kind::Authorise, &State::Requested).is_empty();
    let waiting = matches!(
        stage,
        Stage::Requested | Stage::Pending | Stage::RequiresAction { .. }
    );
    assert_eq!(
        undecided, waiting,
        "an open authorisation is one that is not decided"
    );
    assert!(books.failures() <= 1, "the order is told once");
}

/// The provider does all that it is still asked for.
fn finish(books: &mut Books) {
    let mut rounds = 0;
    while let Some(id) = books.open().first().cloned() {
        books.answer(&id, &Outcome::Done);
        rounds += 1;
        assert!(rounds < 50, "it does not come to an end: {books:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn whatever_happens_the_books_balance(
        amount in 1_i64..1_000,
        acts in prop::collection::vec(act(), 0..30),
    ) {
        let mut books = Books::requested(amount);
        for (number, act) in acts.iter().enumerate() {
            perform(&mut books, number, act);
            check(&books);
        }
        finish(&mut books);
        check(&books);
    }

    #[test]
    fn the_same_twice_is_the_same_as_once(
        amount in 1_i64..1_000,
        acts in prop::collection::vec(act(), 0..30),
    ) {
        let (mut once, mut twice) = (Books::requested(amount), Books::requested(amount));
        for (number, act) in acts.iter().enumerate() {
            // Of the operations before the act: it may open some.
            let (again, count) = (number + 1_000, twice.operations.len());
            perform(&mut once, number, act);
            perform(&mut twice, number, act);
            let after = (twice.attempt.clone(), twice.operations.clone());
            match act {
                Act::Answer(at, outcome) => {
                    let id = twice.operations[at.index(count)].id.clone();
                    twice.answer(&id, outcome);
                }
                Act::Void | Act::Cancel | Act::Expire => perform(&mut twice, again, act),
                // Another amount is another request.
                Act::Capture(_) | Act::Refund(_) => {}
            }
            prop_assert_eq!(&after, &(twice.attempt.clone(), twice.operations.clone()));
            prop_assert_eq!(&once.attempt, &twice.attempt);
        }
        prop_assert_eq!(once.balances(), twice.balances());
    }

    #[test]
    fn a_cancelled_payment_ends_with_nothing_held_and_nothing_taken(
        amount in 1_i64..1_000,
        before in prop::collection::vec(act(), 0..15),
    ) {
        let mut books = Books::requested(amount);
        for (number, act) in before.iter().enumerate() {
            perform(&mut books, number, act);
        }
        let refused_before = books.operations.iter().any(|op| matches!(op.state, State::Refused { .. }));
        books.apply(books.attempt.clone().cancel("cancel"));
        finish(&mut books);
        // A refund that the provider refused earlier is the merchant's to solve.
        if !refused_before {
            prop_assert_eq!(books.balances(), (0, 0, 0));
        }
    }
}
