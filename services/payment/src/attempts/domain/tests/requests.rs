use super::*;

#[test]
fn capturing_twice_is_one_capture() {
    let mut books = Books::authorised(500);
    assert!(books.apply(books.attempt.clone().capture("a", None)));
    assert!(!books.apply(books.attempt.clone().capture("b", None)));
    books.answer("a", &Outcome::Done);
    assert!(!books.apply(books.attempt.clone().capture("c", None)));
    assert!(books.attempt.clone().capture("d", Some(499)).is_err());
    assert!(books.attempt.clone().void("e").is_err());
    assert_eq!(books.balances(), (-500, 0, 500));
}

#[test]
fn a_partial_capture_releases_the_rest() {
    let mut books = Books::authorised(500);
    books.apply(books.attempt.clone().capture("a", Some(200)));
    books.answer("a", &Outcome::Done);
    assert_eq!(books.balances(), (-200, 0, 200));
}

#[test]
fn no_more_than_was_authorised_is_captured() {
    let authorised = Books::authorised(500).attempt;
    let amount = Err(Refusal::Amount { most: 500 });
    assert_eq!(authorised.clone().capture("a", Some(501)), amount);
    assert!(authorised.clone().capture("a", Some(0)).is_err());
    assert!(authorised.capture("a", Some(-1)).is_err());
}

#[test]
fn refunds_on_their_way_count_against_what_can_be_refunded() {
    let mut books = Books::captured(500);
    assert!(books.apply(books.attempt.clone().refund("r1", Some(300))));
    let most = Err(Refusal::Amount { most: 200 });
    assert_eq!(books.attempt.clone().refund("r2", Some(201)), most);
    books.answer("r1", &declined());
    assert!(books.apply(books.attempt.clone().refund("r3", None)));
    books.answer("r3", &Outcome::Done);
    assert_eq!(books.attempt.stage, Stage::Refunded { captured: 500 });
    assert_eq!(books.balances(), (0, 0, 0));
}

#[test]
fn what_is_not_authorised_cannot_be_captured() {
    for outcome in [
        Outcome::Unknown,
        Outcome::Pending,
        requires_action(),
        declined(),
    ] {
        let mut books = Books::requested(500);
        books.answer(AUTHORISE, &outcome);
        let refused = books.attempt.capture("c", None);
        assert!(matches!(
            refused,
            Err(Refusal::Stage {
                action: "captured",
                ..
            })
        ));
    }
}

#[test]
fn cancelling_undoes_whatever_there_is() {
    let mut held = Books::authorised(5);
    held.apply(held.attempt.clone().cancel("x"));
    held.answer("x", &Outcome::Done);
    assert_eq!(held.attempt.stage, Stage::Voided);

    let mut taken = Books::captured(5);
    taken.apply(taken.attempt.clone().cancel("x"));
    taken.answer("x", &Outcome::Done);
    assert_eq!(taken.attempt.stage, Stage::Refunded { captured: 5 });
    assert!(!taken.apply(taken.attempt.clone().cancel("y")));
}

#[test]
fn a_cancellation_during_the_capture_refunds_it() {
    let mut books = Books::authorised(5);
    books.apply(books.attempt.clone().capture("c", None));
    assert!(books.attempt.clone().void("v").is_err());
    assert!(books.apply(books.attempt.clone().cancel("x")));
    books.answer("c", &Outcome::Done);
    assert_eq!(books.open(), ["c/refund"]);
    books.answer("c/refund", &Outcome::Done);
    assert_eq!(books.balances(), (0, 0, 0));
}

#[test]
fn an_attempt_that_nobody_decides_expires_once() {
    for outcome in [Outcome::Unknown, Outcome::Pending, requires_action()] {
        let mut books = Books::requested(5);
        books.answer(AUTHORISE, &outcome);
        let step = books.attempt.clone().expire().expect("it expires");
        books.write(step);
        assert_eq!(books.failures(), 1);
        assert_eq!(books.attempt.clone().expire(), None);
    }
    assert_eq!(Books::authorised(5).attempt.expire(), None);
    assert_eq!(Books::captured(5).attempt.expire(), None);
}
