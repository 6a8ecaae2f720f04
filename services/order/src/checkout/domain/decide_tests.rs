use chrono::{DateTime, TimeDelta, Utc};
use vocabulary::{Currency, Money};

use super::{Answer, Effect, Persisted, Quote, Reason, STEPS, Stage, Step, Undo, Write};
use super::{decide, resume};
use crate::orders::domain::NextAction;

const NOW: DateTime<Utc> = DateTime::<Utc>::UNIX_EPOCH;

fn quote() -> Quote {
    Quote {
        email: "ann@example.com".into(),
        lines: vec![],
        total: Money::new(500, Currency::new("EUR").unwrap()),
        number: None,
        hold_expires_at: NOW + TimeDelta::seconds(900),
    }
}

fn step(stage: Stage, answer: Answer) -> Step {
    decide(&stage.into(), answer, NOW).expect("an answer to the current effect")
}

fn refused(reason: Reason) -> Answer {
    Answer::Refused(reason.into())
}

/// Every stage, in the order of the table.
fn stages() -> [Stage; 8] {
    let refusal = || Reason::PaymentDeclined.into();
    [
        Stage::Started,
        Stage::Reserved(quote()),
        Stage::AwaitingPayment(quote()),
        Stage::Authorised(quote()),
        Stage::Placed,
        Stage::Undoing(Undo::Void, refusal()),
        Stage::Undoing(Undo::Release, refusal()),
        Stage::Failed(refusal()),
    ]
}

#[test]
fn the_undos_are_the_table_read_backwards() {
    assert_eq!(
        STEPS.map(|(effect, _)| effect.as_str()),
        ["reserve", "authorise", "claim"]
    );
    assert_eq!(Effect::Reserve.undos(), [Undo::Release]);
    assert_eq!(Effect::Authorise.undos(), [Undo::Void, Undo::Release]);
    // The release of the first step also restocks what the last one claimed.
    assert_eq!(Effect::Claim.undos(), [Undo::Void, Undo::Release]);
    assert_eq!(Undo::Void.then(), Some(Undo::Release));
    assert_eq!(Undo::Release.then(), None);
}

#[test]
fn three_answers_of_yes_make_an_order_with_two_writes() {
    let reserved = step(Stage::Started, Answer::Reserved(quote()));
    assert_eq!(reserved.write, Write::Advance(Stage::Reserved(quote())));
    assert_eq!(reserved.next, Some(Effect::Authorise));
    let authorised = step(Stage::Reserved(quote()), Answer::Authorised);
    assert_eq!(
        (authorised.write, authorised.next),
        (Write::Nothing, Some(Effect::Claim))
    );
    let claimed = step(Stage::Reserved(quote()), Answer::Claimed);
    assert_eq!((claimed.write, claimed.next), (Write::Place(quote()), None));
}

#[test]
fn a_refusal_turns_back_at_the_step_that_was_refused() {
    let short = step(Stage::Started, refused(Reason::OutOfStock));
    let releasing = Stage::Undoing(Undo::Release, Reason::OutOfStock.into());
    assert_eq!(short.write, Write::TurnBack(releasing));
    assert_eq!(short.next, Some(Effect::Undo(Undo::Release)));
    for stage in [
        Stage::Reserved(quote()),
        Stage::AwaitingPayment(quote()),
        Stage::Authorised(quote()),
    ] {
        let declined = step(stage, refused(Reason::PaymentDeclined));
        let voiding = Stage::Undoing(Undo::Void, Reason::PaymentDeclined.into());
        assert_eq!(declined.write, Write::TurnBack(voiding));
    }
}

#[test]
fn the_walk_back_ends_with_nothing_held() {
    let declined = || Reason::PaymentDeclined.into();
    let voided = step(Stage::Undoing(Undo::Void, declined()), Answer::Undone);
    let releasing = Stage::Undoing(Undo::Release, declined());
    assert_eq!(voided.write, Write::Advance(releasing.clone()));
    let released = step(releasing, Answer::Undone);
    assert_eq!(released.write, Write::Advance(Stage::Failed(declined())));
    assert_eq!(released.next, None);
}

#[test]
fn a_late_yes_does_not_turn_a_checkout_around() {
    let late = [
        Answer::Reserved(quote()),
        Answer::Authorised,
        Answer::PaymentOpen(None),
        Answer::Claimed,
        Answer::Cancelled,
    ];
    for stage in stages().into_iter().skip(4) {
        for answer in late.clone() {
            let row = Persisted::from(stage.clone());
            assert!(decide(&row, answer, NOW).is_err(), "{}", stage.as_str());
        }
    }
    let row = Persisted::from(Stage::Placed);
    assert!(decide(&row, refused(Reason::OutOfStock), NOW).is_err());
}

#[test]
fn an_open_payment_makes_an_order_that_awaits_it() {
    let action = Some(NextAction::Redirect {
        url: "https://pay.test/1".into(),
    });
    let open = step(
        Stage::Reserved(quote()),
        Answer::PaymentOpen(action.clone()),
    );
    assert_eq!(open.write, Write::AwaitPayment(quote(), action.clone()));
    assert_eq!(open.next, None);
    // Asked for again later, it may be open still, and by then the customer may have to act.
    let row = Persisted {
        stage: Stage::AwaitingPayment(quote()),
        attempts: 2,
    };
    let still = decide(&row, Answer::PaymentOpen(action.clone()), NOW).unwrap();
    assert_eq!(still.write, Write::KeepAwaiting(action, row.attempted(), 4));
    let authorised = step(row.stage, Answer::Authorised);
    assert_eq!(authorised.next, Some(Effect::Claim));
}

#[test]
fn a_payment_that_is_open_when_the_reservation_expires_is_given_up() {
    let row = Persisted::from(Stage::AwaitingPayment(quote()));
    let expired = quote().hold_expires_at;
    for answer in [
        Answer::PaymentOpen(None),
        Answer::Unavailable(Effect::Authorise),
    ] {
        let given_up = decide(&row, answer, expired).unwrap();
        let voiding = Stage::Undoing(Undo::Void, Reason::PaymentExpired.into());
        assert_eq!(given_up.write, Write::TurnBack(voiding));
    }
    // One that is authorised by then is claimed, and the claim's answer decides.
    let late = decide(&row, Answer::Authorised, expired).unwrap();
    assert_eq!(late.next, Some(Effect::Claim));
}

#[test]
fn the_owner_cancels_only_while_the_order_awaits_its_payment() {
    for (stage, cancellable) in stages()
        .into_iter()
        .zip([false, false, true, true, false, false, false, false])
    {
        let step = decide(&stage.clone().into(), Answer::Cancelled, NOW);
        assert_eq!(step.is_ok(), cancellable, "{}", stage.as_str());
    }
}

#[test]
fn patience_ends_for_reserve_and_authorise_but_not_for_a_claim_nor_for_an_undo() {
    let attempt = |stage: Stage, attempts, effect| {
        let row = Persisted { stage, attempts };
        decide(&row, Answer::Unavailable(effect), NOW)
            .unwrap()
            .write
    };
    for (stage, effect) in [
        (Stage::Started, Effect::Reserve),
        (Stage::Reserved(quote()), Effect::Authorise),
    ] {
        for (attempts, secs) in [(0, 1), (2, 4), (7, 30)] {
            let row = Persisted {
                stage: stage.clone(),
                attempts: attempts + 1,
            };
            let again = Write::Retry(row, secs);
            assert_eq!(attempt(stage.clone(), attempts, effect), again);
        }
        assert!(matches!(
            attempt(stage, 8, effect),
            Write::TurnBack(Stage::Undoing(_, refusal)) if refusal.reason == Reason::Abandoned
        ));
    }
    let undoing = |undo| Stage::Undoing(undo, Reason::Abandoned.into());
    for (stage, effect) in [
        (Stage::Authorised(quote()), Effect::Claim),
        (undoing(Undo::Void), Effect::Undo(Undo::Void)),
        (undoing(Undo::Release), Effect::Undo(Undo::Release)),
    ] {
        let row = Persisted {
            stage: stage.clone(),
            attempts: 1_000_001,
        };
        assert_eq!(attempt(stage, 1_000_000, effect), Write::Retry(row, 30));
    }
}

#[test]
fn a_claim_without_an_answer_is_written_so_that_it_is_never_given_up() {
    for stage in [Stage::Reserved(quote()), Stage::AwaitingPayment(quote())] {
        // However often the payment had to be asked for, the claim's attempts are counted from one.
        let row = Persisted { stage, attempts: 6 };
        let step = decide(&row, Answer::Unavailable(Effect::Claim), NOW).unwrap();
        let authorised = Persisted::from(Stage::Authorised(quote())).attempted();
        assert_eq!((step.write, step.next), (Write::Retry(authorised, 1), None));
    }
}

#[test]
fn every_open_stage_has_an_effect_and_every_end_has_none() {
    let effects = stages().map(|stage| resume(&stage).map(Effect::as_str));
    assert_eq!(
        effects,
        [
            Some("reserve"),
            Some("authorise"),
            Some("authorise"),
            Some("claim"),
            None,
            Some("void"),
            Some("release"),
            None,
        ]
    );
}
