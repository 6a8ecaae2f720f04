//! A kill at every moment of a checkout, then the sweeper: an order with its stock and its money, or nothing at all.

use axum::http::StatusCode;
use order::domain::checkout::Checkout;
use order::drive::{self, Begun, Step};

use super::peers::Fault;
use super::support::{MUG, Shop, body, shop};

#[derive(Debug, Clone, Copy)]
enum Fate {
    Placed,
    Declined,
    OutOfStock,
    Expired,
}

const FATES: [Fate; 4] = [
    Fate::Placed,
    Fate::Declined,
    Fate::OutOfStock,
    Fate::Expired,
];
/// The commands of each fate, in order.
const fn commands(fate: Fate) -> &'static [&'static str] {
    match fate {
        Fate::Placed => &["reserve", "authorise", "claim"],
        Fate::Declined => &["reserve", "authorise", "void", "release"],
        Fate::OutOfStock => &["reserve", "release"],
        Fate::Expired => &["reserve", "authorise", "claim", "void", "release"],
    }
}

async fn shop_with(fate: Fate) -> (Shop, Checkout) {
    let shop = shop(if matches!(fate, Fate::OutOfStock) {
        1
    } else {
        5
    })
    .await;
    shop.peers.world.lock().unwrap().holds_expire = matches!(fate, Fate::Expired);
    let method = if matches!(fate, Fate::Declined) {
        "manual-decline"
    } else {
        "manual"
    };
    let checkout = shop.checkout("k1", 2, method);
    let Begun::Ours(checkout) = drive::begin(&shop.app, checkout).await.unwrap() else {
        panic!("a fresh key");
    };
    (shop, *checkout)
}

/// What must be true after the sweeper, whatever happened before.
async fn check(shop: &Shop, fate: Fate) {
    shop.check_books().await;
    let orders = shop.count("orders.orders").await;
    let stock = shop.peers.world.lock().unwrap().stock[&MUG];
    let (status, method) = match fate {
        Fate::Placed => (StatusCode::CREATED, "manual"),
        Fate::Declined => (StatusCode::PAYMENT_REQUIRED, "manual-decline"),
        Fate::OutOfStock | Fate::Expired => (StatusCode::CONFLICT, "manual"),
    };
    match fate {
        Fate::Placed => assert_eq!((orders, stock), (1, 3)),
        Fate::OutOfStock => assert_eq!((orders, stock), (0, 1)),
        Fate::Declined | Fate::Expired => assert_eq!((orders, stock), (0, 5)),
    }
    // The client asks again with its key, and is told what became of it.
    let told = shop.place("k1", &body(2, method)).await.expect(status);
    assert_eq!(told.header("idempotent-replayed"), "true");
}

#[tokio::test]
async fn killed_between_any_two_commands_the_sweeper_finishes() {
    for fate in FATES {
        for lived in 0..=commands(fate).len() {
            let (shop, mut checkout) = shop_with(fate).await;
            for _ in 0..lived {
                match drive::step(&shop.app, checkout).await.unwrap().0 {
                    Step::Onward(further) => checkout = *further,
                    Step::Waiting(_) | Step::Ended => break,
                }
                // `checkout` is dropped below as a process is killed: nothing of it is written.
            }
            shop.sweep_if_open().await;
            check(&shop, fate).await;
        }
    }
}

#[tokio::test]
async fn killed_after_any_command_was_done_and_before_it_was_written_down_the_sweeper_finishes() {
    for fate in FATES {
        for (at, call) in commands(fate).iter().copied().enumerate() {
            for fault in [Fault::DoneThenSilent, Fault::Silent] {
                let (shop, mut checkout) = shop_with(fate).await;
                for _ in 0..at {
                    let Step::Onward(further) = drive::step(&shop.app, checkout).await.unwrap().0
                    else {
                        panic!("{fate:?} goes on after {at} commands");
                    };
                    checkout = *further;
                }
                shop.peers.fail(call, &[fault]);
                // The peer has it, the answer never comes, and the process dies waiting.
                tokio::select! {
                    step = drive::step(&shop.app, checkout) => panic!("{call} was answered: {step:?}"),
                    () = shop.peers.swallowed.notified() => {}
                }
                shop.sweep().await;
                check(&shop, fate).await;
            }
        }
    }
}

#[tokio::test]
async fn a_driver_that_lost_its_lease_cannot_write_any_more() {
    let (shop, checkout) = shop_with(Fate::Placed).await;
    let stalled = checkout.clone();
    shop.sweep().await;
    let late = drive::step(&shop.app, stalled).await;
    assert!(late.is_err(), "the stalled driver's write is refused");
    check(&shop, Fate::Placed).await;
}

#[tokio::test]
async fn a_stalled_driver_cannot_place_what_was_given_back() {
    let (shop, checkout) = shop_with(Fate::Declined).await;
    let Step::Onward(reserved) = drive::step(&shop.app, checkout).await.unwrap().0 else {
        panic!("reserved");
    };
    let stalled = reserved.clone();
    shop.sweep().await;
    // It wakes up after the walk back and repeats its command: refused by the peer's memory or by the version.
    assert!(drive::step(&shop.app, *stalled).await.is_err());
    check(&shop, Fate::Declined).await;
}

impl Shop {
    async fn sweep_if_open(&self) {
        if self.open().await > 0 {
            self.sweep().await;
        }
    }
}
