use axum::http::StatusCode;
use sqlx::Connection as _;

use super::support::{Shop, new_id, shop};

async fn authorised() -> (Shop, uuid::Uuid) {
    let shop = shop().await;
    let id = new_id();
    shop.authorise(id, 500, "manual")
        .await
        .expect(StatusCode::OK);
    (shop, id)
}

#[tokio::test]
async fn entries_that_do_not_sum_to_zero_cannot_be_committed() {
    let (shop, id) = authorised().await;
    let mut conn = shop.db.pool.acquire().await.unwrap();
    let mut tx = conn.begin().await.unwrap();
    sqlx::query("insert into payment.operations (payment_id, operation_id, kind, amount_minor, at) values ($1, 'bad', 'refund', 5, now())")
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
    let (shop, _) = authorised().await;
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
async fn the_table_refuses_more_than_was_authorised_or_captured() {
    let (shop, id) = authorised().await;
    for (bad, constraint) in [
        (
            "update payment.payments set state = 'captured', captured_minor = 501 where payment_id = $1",
            "payments_captured",
        ),
        (
            "update payment.payments set state = 'captured', captured_minor = 5, refunded_minor = 6 where payment_id = $1",
            "payments_refunded",
        ),
        (
            "update payment.payments set state = 'captured', captured_minor = 5, refunding_minor = 6 where payment_id = $1",
            "payments_refunding",
        ),
        (
            "update payment.payments set capturing_minor = 501 where payment_id = $1",
            "payments_capturing",
        ),
        (
            "update payment.payments set capturing_minor = 5, voiding = true where payment_id = $1",
            "payments_voiding",
        ),
        (
            "update payment.payments set next_action_url = 'https://pay.example' where payment_id = $1",
            "payments_next_action_url",
        ),
        (
            "update payment.payments set decline_reason = 'expired' where payment_id = $1",
            "payments_decline_reason",
        ),
        (
            "update payment.operations set due_at = now() where payment_id = $1",
            "operations_due_at",
        ),
        (
            "update payment.operations set reason = 'expired' where payment_id = $1",
            "operations_reason",
        ),
        (
            "update payment.operations set state = 'requested', due_at = now() where payment_id = $1",
            "operations_transition",
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

/// The table allows the transitions of the state machine, and no other.
#[tokio::test]
async fn the_table_allows_the_transitions_of_the_machine_only() {
    const STATES: [&str; 8] = [
        "requested",
        "pending",
        "requires_action",
        "authorised",
        "declined",
        "voided",
        "captured",
        "refunded",
    ];
    // What the functions of the domain can come to: see `attempts::domain::tests`, whose model checks each step against it.
    const ALLOWED: [(&str, &str); 15] = [
        ("requested", "pending"),
        ("requested", "requires_action"),
        ("requested", "authorised"),
        ("requested", "declined"),
        ("pending", "requires_action"),
        ("pending", "authorised"),
        ("pending", "declined"),
        ("pending", "voided"),
        ("requires_action", "pending"),
        ("requires_action", "authorised"),
        ("requires_action", "declined"),
        ("requires_action", "voided"),
        ("authorised", "captured"),
        ("authorised", "voided"),
        ("captured", "refunded"),
    ];
    let shop = shop().await;
    for from in STATES {
        for to in STATES.into_iter().filter(|to| *to != from) {
            let mut tx = outbox::pool::begin(&shop.db.pool).await.unwrap();
            let facts = |state: &str| {
                let captured = i64::from(matches!(state, "captured" | "refunded")) * 5;
                let refunded = i64::from(state == "refunded") * 5;
                (
                    captured,
                    refunded,
                    (state == "requires_action").then_some("https://pay.example"),
                )
            };
            let (captured, refunded, url) = facts(from);
            let id = new_id();
            sqlx::query(
                "insert into payment.payments (payment_id, state, order_id, user_id, method, currency, amount_minor,
                     captured_minor, refunded_minor, next_action_url, created_at, updated_at)
                 values ($1, $2, $1, $1, 'double', 'EUR', 5, $3, $4, $5, now(), now())",
            )
            .bind(id).bind(from).bind(captured).bind(refunded).bind(url)
            .execute(&mut *tx).await.unwrap();
            let (captured, refunded, url) = facts(to);
            let changed = sqlx::query(
                "update payment.payments set state = $2, captured_minor = $3, refunded_minor = $4, next_action_url = $5
                 where payment_id = $1",
            )
            .bind(id).bind(to).bind(captured).bind(refunded).bind(url)
            .execute(&mut *tx).await;
            match changed {
                Ok(_) => assert!(ALLOWED.contains(&(from, to)), "{from} -> {to}"),
                Err(error) => {
                    let refused = error.into_database_error().unwrap();
                    assert_eq!(
                        refused.constraint(),
                        Some("payments_transition"),
                        "{from} -> {to}"
                    );
                    assert!(!ALLOWED.contains(&(from, to)), "{from} -> {to}");
                }
            }
        }
    }
}
