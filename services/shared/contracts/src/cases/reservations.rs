//! What order relies on in product.

use std::future::Future;

use vocabulary::{Currency, OrderId, ProductId, ReservationId};

use super::{Answer, Request, id};
use crate::reservations::{
    Claim, ClaimProblem, Item, Reservation, ReservationStatus, Reserve, ReserveProblem, claim_path,
    release_path, reservation_path,
};

/// The provider under test.
pub trait Product {
    /// Creates a product with a price in EUR and so many units in stock.
    fn product(&self, units: u32) -> impl Future<Output = ProductId>;

    /// Lets every reservation that is held expire.
    fn expire_holds(&self) -> impl Future<Output = ()>;

    /// Sends a request.
    fn call(&self, request: Request) -> impl Future<Output = Answer>;
}

/// Runs every case.
pub async fn run(product: &impl Product) {
    reserving_fixes_prices_and_is_idempotent(product).await;
    a_shortage_names_the_item_and_what_is_available(product).await;
    an_unknown_product_is_refused_by_its_item(product).await;
    a_claim_is_idempotent_and_exclusive(product).await;
    a_release_before_its_reserve_is_remembered(product).await;
    a_release_returns_held_stock_once(product).await;
    a_release_after_a_claim_restocks_once(product).await;
    an_expired_hold_cannot_be_claimed(product).await;
}

async fn reserving_fixes_prices_and_is_idempotent(product: &impl Product) {
    let mug = product.product(5).await;
    let held: Reservation = reserve(product, id(0x100), mug, 2).await.read(200);
    assert_eq!((held.id, held.status), (id(0x100), ReservationStatus::Held));
    let line = &held.lines[0];
    assert_eq!((line.product_id, line.quantity), (mug, 2));
    assert_eq!(line.unit_price.times(2), Ok(held.total));
    assert_eq!(line.line_total, held.total);
    let again: Reservation = reserve(product, id(0x100), mug, 2).await.read(200);
    assert_eq!(again, held);
    assert_eq!(
        reserve(product, id(0x100), mug, 1)
            .await
            .problem::<ReserveProblem>(),
        ReserveProblem::ReservationMismatch
    );
}

async fn a_shortage_names_the_item_and_what_is_available(product: &impl Product) {
    let mug = product.product(3).await;
    let ReserveProblem::OutOfStock { errors } = reserve(product, id(0x200), mug, 4).await.problem()
    else {
        panic!("four of three are out of stock");
    };
    assert_eq!(errors.len(), 1);
    assert_eq!(
        (errors[0].field.as_str(), errors[0].available),
        ("items[0]", 3)
    );
    // A refusal keeps nothing: the id is free, and the stock as well.
    reserve(product, id(0x200), mug, 3).await.expect(200);
}

async fn an_unknown_product_is_refused_by_its_item(product: &impl Product) {
    let unknown: ProductId = id(0x300);
    let ReserveProblem::ItemRefused { errors } =
        reserve(product, id(0x301), unknown, 1).await.problem()
    else {
        panic!("an unknown product cannot be reserved");
    };
    assert_eq!(errors[0].field, "items[0]");
}

async fn a_claim_is_idempotent_and_exclusive(product: &impl Product) {
    let mug = product.product(1).await;
    reserve(product, id(0x400), mug, 1).await.expect(200);
    for _ in 0..2 {
        claim(product, id(0x400), id(0x401)).await.expect(200);
    }
    assert_eq!(
        claim(product, id(0x400), id(0x402))
            .await
            .problem::<ClaimProblem>(),
        ClaimProblem::ReservationMismatch
    );
    let claimed: Reservation = reserve(product, id(0x400), mug, 1).await.read(200);
    assert_eq!(claimed.status, ReservationStatus::Claimed);
    assert_eq!(
        claim(product, id(0x403), id(0x401))
            .await
            .problem::<ClaimProblem>(),
        ClaimProblem::NotFound
    );
}

async fn a_release_before_its_reserve_is_remembered(product: &impl Product) {
    let mug = product.product(1).await;
    release(product, id(0x500)).await.expect(204);
    assert_eq!(
        reserve(product, id(0x500), mug, 1)
            .await
            .problem::<ReserveProblem>(),
        ReserveProblem::ReservationExpired
    );
    assert_eq!(
        claim(product, id(0x500), id(0x501))
            .await
            .problem::<ClaimProblem>(),
        ClaimProblem::ReservationExpired
    );
    reserve(product, id(0x502), mug, 1).await.expect(200);
}

async fn a_release_returns_held_stock_once(product: &impl Product) {
    let mug = product.product(2).await;
    reserve(product, id(0x600), mug, 2).await.expect(200);
    for _ in 0..2 {
        release(product, id(0x600)).await.expect(204);
    }
    assert_eq!(available(product, id(0x601), mug).await, 2);
    assert_eq!(
        reserve(product, id(0x600), mug, 2)
            .await
            .problem::<ReserveProblem>(),
        ReserveProblem::ReservationExpired
    );
}

async fn a_release_after_a_claim_restocks_once(product: &impl Product) {
    let mug = product.product(2).await;
    reserve(product, id(0x700), mug, 2).await.expect(200);
    claim(product, id(0x700), id(0x701)).await.expect(200);
    assert_eq!(available(product, id(0x702), mug).await, 0);
    for _ in 0..2 {
        release(product, id(0x700)).await.expect(204);
    }
    assert_eq!(available(product, id(0x702), mug).await, 2);
    assert_eq!(
        claim(product, id(0x700), id(0x701))
            .await
            .problem::<ClaimProblem>(),
        ClaimProblem::ReservationExpired
    );
}

async fn an_expired_hold_cannot_be_claimed(product: &impl Product) {
    let mug = product.product(1).await;
    reserve(product, id(0x800), mug, 1).await.expect(200);
    product.expire_holds().await;
    assert_eq!(
        claim(product, id(0x800), id(0x801))
            .await
            .problem::<ClaimProblem>(),
        ClaimProblem::ReservationExpired
    );
    reserve(product, id(0x802), mug, 1).await.expect(200);
}

/// Units that could be reserved, as the refusal of too many tells.
async fn available(product: &impl Product, unused: ReservationId, of: ProductId) -> i64 {
    match reserve(product, unused, of, 1_000).await.problem() {
        ReserveProblem::OutOfStock { errors } => errors[0].available,
        other => panic!("a thousand are out of stock, not {other:?}"),
    }
}

async fn reserve(
    product: &impl Product,
    id: ReservationId,
    product_id: ProductId,
    quantity: u32,
) -> Answer {
    let item = Item {
        product_id,
        quantity,
    };
    let body = Reserve {
        items: vec![item],
        currency: Currency::new("EUR").expect("a currency"),
        ttl_secs: 600,
    };
    let request = Request::new("PUT", reservation_path(id)).json(&body);
    product.call(request).await
}

async fn claim(product: &impl Product, id: ReservationId, order_id: OrderId) -> Answer {
    let request = Request::new("POST", claim_path(id)).json(&Claim { order_id });
    product.call(request).await
}

async fn release(product: &impl Product, id: ReservationId) -> Answer {
    let request = Request::new("POST", release_path(id));
    product.call(request).await
}
