use super::*;

fn incident(decision: &Decision) -> Option<Incident> {
    // A contradiction changes nothing; a refused void is no longer on its way.
    let changes = decision.step.is_some();
    assert!(matches!(
        (changes, decision.incident),
        (_, None | Some(Incident::VoidRefused)) | (false, _)
    ));
    decision.incident
}

#[test]
fn a_declined_authorisation_holds_nothing_and_tells_the_order() {
    let mut books = Books::requested(500);
    books.answer(AUTHORISE, &declined());
    let reason = Some("card_declined".to_owned());
    assert_eq!(books.attempt.stage, Stage::Declined { reason });
    assert_eq!((books.balances(), books.failures()), ((0, 0, 0), 1));
    assert!(!books.apply(books.attempt.clone().void("v")));
}

#[test]
fn an_authorisation_can_wait_for_the_payer_and_for_the_provider() {
    let mut books = Books::requested(500);
    books.answer(AUTHORISE, &requires_action());
    books.answer(AUTHORISE, &Outcome::Pending);
    books.answer(AUTHORISE, &Outcome::Done);
    assert_eq!(books.attempt.stage, Stage::Authorised);
    assert_eq!(books.balances(), (-500, 500, 0));
}

#[test]
fn late_and_repeated_answers_change_nothing() {
    let mut books = Books::authorised(500);
    for outcome in [
        Outcome::Done,
        Outcome::Pending,
        requires_action(),
        Outcome::Unknown,
    ] {
        assert_eq!(books.answer(AUTHORISE, &outcome), Decision::default());
    }
    let mut books = Books::captured(500);
    assert_eq!(books.answer("c", &Outcome::Done), Decision::default());
    assert_eq!(books.answer(AUTHORISE, &Outcome::Done), Decision::default());
}

#[test]
fn a_refused_capture_voids_the_authorisation_and_tells_the_order() {
    let mut books = Books::authorised(500);
    books.apply(books.attempt.clone().capture("c", None));
    books.answer("c", &declined());
    assert_eq!(
        (books.open(), books.failures()),
        (vec!["c/void".to_owned()], 1)
    );
    assert!(books.attempt.clone().capture("again", None).is_err());
    books.answer("c/void", &Outcome::Done);
    assert_eq!(books.attempt.stage, Stage::Voided);
    assert_eq!(books.balances(), (0, 0, 0));
}

#[test]
fn a_void_before_the_provider_answered_voids_what_it_answers() {
    let mut books = Books::requested(500);
    assert!(books.apply(books.attempt.clone().void("v")));
    assert_eq!(books.open(), [AUTHORISE]);
    books.answer(AUTHORISE, &Outcome::Done);
    assert_eq!(books.open(), ["authorise/void"]);
    books.answer("authorise/void", &Outcome::Done);
    assert_eq!(books.attempt.stage, Stage::Voided);
    assert_eq!(books.balances(), (0, 0, 0));
}

#[test]
fn a_void_of_what_is_pending_ends_the_authorisation() {
    for waiting in [Outcome::Pending, requires_action()] {
        let mut books = Books::requested(500);
        books.apply(books.attempt.clone().void("v"));
        books.answer(AUTHORISE, &waiting);
        assert_eq!(books.open(), [AUTHORISE, "authorise/cancel"]);
        books.answer("authorise/cancel", &Outcome::Done);
        assert_eq!(
            (books.open(), &books.attempt.stage),
            (vec![], &Stage::Voided)
        );
        // It was authorised before it was voided, and that message arrives last.
        assert_eq!(books.answer(AUTHORISE, &Outcome::Done), Decision::default());
    }
}

#[test]
fn an_authorisation_that_overtakes_its_void_is_voided() {
    let mut books = Books::requested(500);
    books.answer(AUTHORISE, &Outcome::Pending);
    books.apply(books.attempt.clone().void("v"));
    books.answer(AUTHORISE, &Outcome::Done);
    assert_eq!(books.attempt.in_flight, Some(InFlight::Void));
    books.answer("v", &Outcome::Done);
    assert_eq!((books.balances(), books.open()), ((0, 0, 0), vec![]));
}

#[test]
fn a_refused_void_of_what_is_pending_is_tried_again_when_it_is_authorised() {
    let mut books = Books::requested(500);
    books.answer(AUTHORISE, &Outcome::Pending);
    books.apply(books.attempt.clone().void("v"));
    assert_eq!(incident(&books.answer("v", &declined())), None);
    books.answer(AUTHORISE, &requires_action());
    books.answer(AUTHORISE, &Outcome::Pending);
    books.answer(AUTHORISE, &Outcome::Done);
    books.answer("authorise/void", &Outcome::Done);
    assert_eq!(books.attempt.stage, Stage::Voided);
}

#[test]
fn a_decline_that_overtakes_the_void_leaves_nothing_to_void() {
    for answer in [Outcome::Done, declined()] {
        let mut books = Books::requested(500);
        books.answer(AUTHORISE, &Outcome::Pending);
        books.apply(books.attempt.clone().void("v"));
        books.answer(AUTHORISE, &declined());
        assert_eq!(incident(&books.answer("v", &answer)), None);
        assert_eq!((books.open(), books.attempt.in_flight), (vec![], None));
        assert_eq!(books.failures(), 0, "the order cancelled it by itself");
    }
}

#[test]
fn captured_after_voided_is_an_incident() {
    let mut books = Books::authorised(500);
    books.apply(books.attempt.clone().capture("c", None));
    books.answer("c", &declined());
    books.answer("c/void", &Outcome::Done);
    let captured = books.answer("c", &Outcome::Done);
    assert_eq!(incident(&captured), Some(Incident::DoneAfterVoided));
}

#[test]
fn answers_that_contradict_each_other_are_incidents() {
    let mut authorised = Books::authorised(500);
    let refused = authorised.answer(AUTHORISE, &declined());
    assert_eq!(incident(&refused), Some(Incident::RefusedAfterDone));

    let mut refused = Books::requested(500);
    refused.answer(AUTHORISE, &declined());
    let done = refused.answer(AUTHORISE, &Outcome::Done);
    assert_eq!(incident(&done), Some(Incident::DoneAfterRefused));

    let mut captured = Books::authorised(500);
    captured.apply(captured.attempt.clone().capture("c", None));
    let action = captured.answer("c", &requires_action());
    assert_eq!(incident(&action), Some(Incident::UnexpectedAnswer));
}

#[test]
fn a_provider_that_keeps_the_money_is_an_incident() {
    let mut books = Books::authorised(500);
    books.apply(books.attempt.clone().void("v"));
    let kept = books.answer("v", &declined());
    assert_eq!(incident(&kept), Some(Incident::VoidRefused));
    assert_eq!(books.attempt.stage, Stage::Authorised);
    assert!(books.attempt.clone().capture("c", None).is_err());
    assert!(books.apply(books.attempt.clone().void("again")));
}

#[test]
fn intent_and_answer_in_one_step_are_the_same_as_in_two() {
    let mut two = Books::captured(500);
    two.apply(two.attempt.clone().refund("r", None));
    two.answer("r", &Outcome::Done);

    let mut one = Books::requested(500);
    let opened = one.steps.remove(0);
    one.operations.clear();
    let answered = decide(opened.attempt.clone(), &opened.opened[0], &Outcome::Done);
    one.write(opened.then(answered.step.unwrap()));
    for change in [
        |attempt: Attempt| attempt.capture("c", None),
        |attempt: Attempt| attempt.refund("r", None),
    ] {
        let Ok(Change::Step(step)) = change(one.attempt.clone()) else {
            panic!("it changes");
        };
        let answered = decide(step.attempt.clone(), &step.opened[0], &Outcome::Done);
        one.write(step.then(answered.step.unwrap()));
    }
    assert_eq!(one.operations, two.operations);
    assert_eq!(one.attempt, two.attempt);
    assert_eq!(one.balances(), two.balances());
}
