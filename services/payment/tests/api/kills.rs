//! Killed at every effect: before and after each commit and each call, in the request and in the worker. Whatever is left is
//! finished by another worker, nobody is charged twice, and our books are the provider's.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use chrono::TimeDelta;
use payment::{Worker, WorkerOptions};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::json;
use testkit::provider::Behaviour;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::consuming::{cancelled, consume, placed};
use super::double::METHOD;
use super::support::{Shop, new_id, shop};

/// Lets a future go on for so many polls, and drops it then, as a kill would. None if it was killed.
async fn killed_after<F: Future>(polls: usize, work: F) -> Option<F::Output> {
    let mut work = pin!(work);
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        work.as_mut().poll(context).map(Some)
    })
    .await
}

impl Shop {
    /// Lets workers run until nothing is open. What waits for the payer or the provider is decided.
    async fn settles(&self) {
        let _worker = self.worker();
        testkit::eventually("nothing is open", || async {
            self.clock.advance(TimeDelta::seconds(2));
            for key in self.provider.waiting() {
                self.provider.complete(&key).await;
            }
            (self.open().await == 0).then_some(())
        })
        .await;
    }

    async fn balance_of(&self, id: Uuid, account: &str) -> i64 {
        sqlx::query_scalar(
            "select coalesce(sum(minor), 0)::bigint from payment.ledger_entries
             where payment_id = $1 and account = $2",
        )
        .bind(id)
        .bind(account)
        .fetch_one(&self.db.pool)
        .await
        .unwrap()
    }

    /// Our ledger says what the provider's account says; each movement was published once; nobody was charged twice.
    async fn agrees_with_the_provider(&self, id: Uuid) {
        let account = self.provider.account(&id.to_string());
        assert!(
            account.authorisations <= 1,
            "{id} was held twice: {account:?}"
        );
        assert!(account.captures <= 1, "{id} was charged twice: {account:?}");
        assert_eq!(
            self.balance_of(id, "authorised").await,
            account.held,
            "{id}"
        );
        let kept = account.captured - account.refunded;
        assert_eq!(self.balance_of(id, "captured").await, kept, "{id}");
        assert_eq!(
            self.balance_of(id, "customer").await,
            -account.held - kept,
            "{id}"
        );
        let unequal: i64 = sqlx::query_scalar(
            "select count(*) from (
                 select kind, count(*) from payment.operations as o
                 where payment_id = $1 and exists (select from payment.ledger_entries as e
                     where e.payment_id = o.payment_id and e.operation_id = o.operation_id)
                 group by kind
             ) as moved (kind, n)
             full join (
                 select type, count(*) from payment.outbox where aggregate = $1::text and type <> 'payment.failed.v1'
                 group by type
             ) as published (type, n)
             on published.type = 'payment.' || case moved.kind
                 when 'authorise' then 'authorised' when 'capture' then 'captured'
                 when 'void' then 'voided' else 'refunded' end || '.v1'
             where moved.n is distinct from published.n",
        )
        .bind(id)
        .fetch_one(&self.db.pool)
        .await
        .unwrap();
        assert_eq!(unequal, 0, "{id}: events and ledger differ");
    }
}

#[tokio::test]
async fn a_request_that_is_killed_anywhere_is_finished_by_the_worker() {
    let shop = shop().await;
    let faults = [
        Behaviour::Answers,
        Behaviour::ActsThenFails,
        Behaviour::Fails,
        Behaviour::Pends,
    ];
    let (mut finished, mut polls) = (0, 0);
    // On and on until the request is not killed any more, with each of the faults.
    while finished < faults.len() {
        polls += 1;
        let fault = &faults[polls % faults.len()];
        let id = new_id();
        shop.provider.behave();
        shop.provider.script("authorise", [fault.clone()]);
        let whole = killed_after(polls, shop.authorise(id, 500, METHOD))
            .await
            .is_some();
        shop.settles().await;
        // The checkout asks again, as after any crash.
        let status = shop
            .authorise(id, 500, METHOD)
            .await
            .json::<serde_json::Value>();
        shop.settles().await;
        assert!(
            ["requested", "authorised", "pending"].contains(&status["status"].as_str().unwrap())
        );
        assert_eq!(shop.state(id).await, "authorised");
        shop.agrees_with_the_provider(id).await;
        finished = if whole { finished + 1 } else { 0 };
        assert!(polls < 2_000, "it does not come to an end");
    }
    assert!(polls > 8, "the request was never killed on its way");
}

#[tokio::test]
async fn operations_that_are_killed_anywhere_are_finished_by_the_worker() {
    let shop = shop().await;
    for verb in ["capture", "void", "refund"] {
        let (mut finished, mut polls) = (0, 0);
        while finished < 3 {
            polls += 1;
            let id = new_id();
            shop.authorise(id, 500, METHOD).await;
            if verb == "refund" {
                shop.operate(id, "capture", json!({"operation_id": "c"}))
                    .await;
            }
            if polls % 3 == 1 {
                shop.provider.behave();
                shop.provider.script(verb, [Behaviour::ActsThenFails]);
            }
            let body = json!({"operation_id": "x"});
            let whole = killed_after(polls, shop.operate(id, verb, body.clone()))
                .await
                .is_some();
            shop.settles().await;
            shop.agrees_with_the_provider(id).await;
            let again = shop.operate(id, verb, body).await;
            assert!(again.status.is_success(), "{verb}: {}", again.text());
            shop.settles().await;
            shop.agrees_with_the_provider(id).await;
            finished = if whole { finished + 1 } else { 0 };
            assert!(polls < 2_000, "{verb} does not come to an end");
        }
    }
}

#[tokio::test]
async fn a_worker_that_is_killed_anywhere_loses_and_doubles_nothing() {
    let shop = shop().await;
    let idle = Duration::from_millis(1);
    for polls in (1..40).chain((40..100).step_by(5)) {
        let ids = [new_id(), new_id()];
        for id in ids {
            shop.authorise(id, 500, METHOD).await;
            consume(&shop, &placed(id)).await;
        }
        consume(&shop, &cancelled(ids[1])).await;
        let worker = Worker::new(shop.app.clone(), WorkerOptions { idle });
        killed_after(polls, Box::pin(worker.run(CancellationToken::new()))).await;
        shop.settles().await;
        for id in ids {
            shop.agrees_with_the_provider(id).await;
        }
        assert_eq!(shop.state(ids[0]).await, "captured");
        assert_eq!(shop.state(ids[1]).await, "refunded");
    }
}

#[derive(Debug, Clone)]
enum Act {
    Authorise,
    Capture,
    Void,
    Refund(i64),
    Placed,
    Cancelled,
    Notify,
    Complete(bool),
    Expire,
}

fn act() -> impl Strategy<Value = (Act, usize)> {
    let act = prop_oneof![
        4 => Just(Act::Authorise),
        2 => Just(Act::Capture),
        1 => Just(Act::Void),
        2 => (1_i64..300).prop_map(Act::Refund),
        3 => Just(Act::Placed),
        1 => Just(Act::Cancelled),
        3 => Just(Act::Notify),
        2 => any::<bool>().prop_map(Act::Complete),
        1 => Just(Act::Expire),
    ];
    // Most are killed on their way.
    (act, prop_oneof![2 => 1_usize..40, 1 => Just(usize::MAX)])
}

fn behaviour() -> impl Strategy<Value = Behaviour> {
    prop_oneof![
        4 => Just(Behaviour::Answers),
        1 => Just(Behaviour::Declines("declined")),
        1 => Just(Behaviour::ActsThenFails),
        1 => Just(Behaviour::Fails),
        1 => Just(Behaviour::NotifiesFirst),
        1 => (1_u64..30).prop_map(|millis| Behaviour::Slow(Duration::from_millis(millis))),
    ]
}

fn authorising() -> impl Strategy<Value = Behaviour> {
    prop_oneof![3 => behaviour(), 1 => Just(Behaviour::Pends), 1 => Just(Behaviour::AsksPayer)]
}

async fn perform(shop: &Shop, id: Uuid, number: usize, act: Act) {
    let operation = json!({"operation_id": format!("op{number}")});
    match act {
        Act::Authorise => drop(shop.authorise(id, 500, METHOD).await),
        Act::Capture => drop(shop.operate(id, "capture", operation).await),
        Act::Void => drop(shop.operate(id, "void", operation).await),
        Act::Refund(minor) => {
            let operation = json!({"operation_id": format!("op{number}"), "minor": minor});
            drop(shop.operate(id, "refund", operation).await);
        }
        Act::Placed => consume(shop, &placed(id)).await,
        Act::Cancelled => consume(shop, &cancelled(id)).await,
        Act::Notify => {
            for operation in [
                "authorise",
                "order.placed",
                "order.cancelled",
                "authorise/void",
            ] {
                shop.provider.notify(&format!("{id}:{operation}")).await;
            }
        }
        Act::Complete(true) => drop(shop.provider.complete(&format!("{id}:authorise")).await),
        Act::Complete(false) => drop(
            shop.provider
                .decline(&format!("{id}:authorise"), "late")
                .await,
        ),
        Act::Expire => shop.clock.advance(TimeDelta::minutes(61)),
    }
}

/// Payments side by side, each with requests, events and notifications in any order, most of them killed on their way, with a
/// provider full of faults and workers that are killed again and again.
#[tokio::test]
async fn whatever_is_killed_the_books_agree_with_the_provider() {
    let shop = shop().await;
    shop.takes_notifications().await;
    let mut runner = TestRunner::deterministic();
    let mut draw = |strategy: BoxedStrategy<Vec<(Act, usize)>>| {
        strategy.new_tree(&mut runner).unwrap().current()
    };
    let plans: Vec<_> = (0..24)
        .map(|_| (new_id(), draw(prop::collection::vec(act(), 3..12).boxed())))
        .collect();
    let mut runner = TestRunner::deterministic();
    for (kind, faults) in [
        ("authorise", authorising().boxed()),
        ("capture", behaviour().boxed()),
        ("refund", behaviour().boxed()),
        (
            "void",
            prop_oneof![
                Just(Behaviour::Answers),
                Just(Behaviour::Fails),
                Just(Behaviour::ActsThenFails)
            ]
            .boxed(),
        ),
    ] {
        let faults = prop::collection::vec(faults, 60)
            .new_tree(&mut runner)
            .unwrap();
        shop.provider.script(kind, faults.current());
    }
    let shop = &shop;
    let payments = plans.iter().map(|(id, acts)| async move {
        for (number, (act, polls)) in acts.iter().cloned().enumerate() {
            killed_after(polls, perform(shop, *id, number, act)).await;
        }
    });
    let workers = async {
        for polls in (5..400).cycle().step_by(7) {
            let idle = Duration::from_millis(5);
            let worker = Worker::new(shop.app.clone(), WorkerOptions { idle });
            killed_after(polls, Box::pin(worker.run(CancellationToken::new()))).await;
            shop.clock.advance(TimeDelta::seconds(5));
        }
    };
    tokio::select! {
        _ = futures::future::join_all(payments) => {}
        () = workers => {}
    }
    shop.settles().await;
    for (id, acts) in &plans {
        eprintln!("{id}: {acts:?}");
        shop.agrees_with_the_provider(*id).await;
    }
    let incidents = [
        "done_after_refused",
        "refused_after_done",
        "done_after_voided",
        "unexpected_answer",
    ];
    for kind in incidents {
        let series = format!("shop_payment_incidents_total{{kind=\"{kind}\"}}");
        assert_eq!(shop.series(&series), 0, "{kind}");
    }
}
