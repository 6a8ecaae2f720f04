use axum::http::StatusCode;
use sqlx::Connection as _;

use super::support::{Shop, new_id, shop};

async fn promised() -> (Shop, uuid::Uuid) {
    let shop = shop().await;
    let id = new_id();
    shop.authorise(id, 500, "manual")
        .await
        .expect(StatusCode::OK);
    (shop, id)
}

#[tokio::test]
async fn entries_that_do_not_sum_to_zero_cannot_be_committed() {
    let (shop, id) = promised().await;
    let mut conn = shop.db.pool.acquire().await.unwrap();
    let mut tx = conn.begin().await.unwrap();
    sqlx::query("insert into payment.operations values ($1, 'bad', 'refund', 5, now())")
        .bind(id)
        .execute(&mut *tx)
        .await
        .unwrap();
    sqlx::query(
        "insert into payment.ledger_entries values ($1, 'bad', 'customer', 5, 'EUR'), ($1, 'bad', 'captured', -4, 'EUR')",
    )
    .bind(id)
    .execute(&mut *tx)
    .await
    .unwrap();
    let refused = tx.commit().await.unwrap_err();
    let refused = refused.into_database_error().unwrap();
    assert_eq!(refused.constraint(), Some("ledger_entries_balance"));
    assert_eq!(shop.balance("customer").await, -500);
}

#[tokio::test]
async fn the_ledger_is_never_rewritten() {
    let (shop, _) = promised().await;
    for rewrite in [
        "update payment.ledger_entries set minor = minor + 1",
        "delete from payment.ledger_entries",
        "truncate payment.ledger_entries",
    ] {
        let refused = sqlx::query(rewrite)
            .execute(&shop.db.pool)
            .await
            .unwrap_err();
        let refused = refused.into_database_error().unwrap();
        assert_eq!(
            refused.constraint(),
            Some("ledger_entries_append_only"),
            "{rewrite}"
        );
    }
}

#[tokio::test]
async fn the_table_refuses_more_than_was_promised_or_taken() {
    let (shop, id) = promised().await;
    for (bad, constraint) in [
        (
            "update payment.payments set state = 'captured', captured_minor = 501 where payment_id = $1",
            "payments_captured",
        ),
        (
            "update payment.payments set state = 'captured', captured_minor = 5, refunded_minor = 6 where payment_id = $1",
            "payments_refunded",
        ),
    ] {
        let refused = sqlx::query(bad)
            .bind(id)
            .execute(&shop.db.pool)
            .await
            .unwrap_err();
        let refused = refused.into_database_error().unwrap();
        assert_eq!(refused.constraint(), Some(constraint));
    }
}
