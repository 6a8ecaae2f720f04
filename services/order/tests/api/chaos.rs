//! Many checkouts at once, with failures from a seed: whatever happens, the books add up.

use axum::http::StatusCode;
use contracts::payments::PaymentStatus;
use testkit::SeededEntropy;
use vocabulary::Entropy;

use super::fakes::Fault;
use super::support::{body, shop};

const CALLS: [&str; 6] = ["email", "reserve", "authorise", "claim", "void", "release"];
const FAULTS: [Fault; 4] = [
    Fault::Refuse,
    Fault::DoneThen500,
    Fault::DoneThenCut,
    Fault::DoneThenSilent,
];

#[tokio::test]
async fn forty_unlucky_checkouts_over_twelve_mugs_add_up() {
    let luck = SeededEntropy::new(7);
    let shop = shop(12).await;
    for _ in 0..60 {
        let dice = luck.bytes();
        let call = CALLS[usize::from(dice[0]) % CALLS.len()];
        shop.fakes
            .fail(call, &[FAULTS[usize::from(dice[1]) % FAULTS.len()]]);
    }
    let bodies = [
        body(1, "manual"),
        body(2, "manual"),
        body(1, "bad-card"),
        body(1, "card"),
    ];
    let keys: Vec<String> = (0..40).map(|n| format!("k{n}")).collect();
    let calls = keys
        .iter()
        .enumerate()
        .map(|(n, key)| shop.place(key, &bodies[n % 4]));
    futures::future::join_all(calls).await;
    // The provider authorises what is open by then.
    for _ in 0..3 {
        shop.clock.advance(chrono::TimeDelta::seconds(60));
        order::checkout::resume::resume_some(&shop.app)
            .await
            .unwrap();
    }
    shop.fakes.world().payment.decide(PaymentStatus::Authorised);
    shop.resume().await;
    shop.check_books().await;

    let sold: i64 = shop
        .count(
            "orders.orders o join orders.lines l using (order_id), generate_series(1, l.quantity)
             where o.stage = 'placed'",
        )
        .await;
    let left: i64 = shop.fakes.world().product.stock.values().sum();
    assert_eq!(sold + left, 12);
    // Every client that asks again gets what the books record.
    let mut placed = 0;
    for (n, key) in keys.iter().enumerate() {
        let answer = shop.place(key, &bodies[n % 4]).await;
        assert_eq!(
            answer.header("idempotent-replayed"),
            "true",
            "{}",
            answer.text()
        );
        placed += i64::from(answer.status == StatusCode::CREATED);
    }
    assert_eq!(placed, shop.count("orders.orders").await);
}
