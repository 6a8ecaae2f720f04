//! Operations that the provider has to be asked for.

use chrono::{DateTime, Utc};
use service::{StoreError, failed};
use sqlx::PgConnection;
use vocabulary::{Money, OrderId, PaymentId};

use crate::providers::{Key, Method, Request};

/// An operation with what it takes to execute it.
#[derive(Debug, Clone)]
pub struct Intent {
    /// What to ask for.
    pub request: Request,
    /// Whose provider to ask.
    pub method: Method,
    /// How often it was asked for, this time included.
    pub calls: u32,
    /// When the attempt was requested.
    pub created_at: DateTime<Utc>,
}

/// Takes up to `limit` operations that are due. Until `lease` nobody else takes them: they are executed, or due again then.
pub async fn claim(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    lease: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Intent>, StoreError> {
    let rows = sqlx::query!(
        r#"with due as (
             select payment_id, operation_id from payment.operations
             where state = 'requested' and due_at <= $1
             order by due_at limit $3 for update skip locked
         )
         update payment.operations as o set due_at = $2, calls = o.calls + 1
         from due join payment.payments as p on p.payment_id = due.payment_id
         where o.payment_id = due.payment_id and o.operation_id = due.operation_id
         returning o.payment_id as "payment_id: PaymentId", o.operation_id, o.kind, o.amount_minor, o.calls,
                   p.order_id as "order_id: OrderId", p.currency, p.method, p.created_at"#,
        now,
        lease,
        limit,
    )
    .fetch_all(conn)
    .await
    .map_err(failed("claim operations"))?;
    let rows = rows.into_iter().map(|row| {
        let bad = StoreError::invalid_row(format!("payment {}", row.payment_id));
        let decoded = (|| {
            let amount = Money::from_columns(row.amount_minor, &row.currency?).ok()?;
            Some(Intent {
                request: Request {
                    key: Key {
                        payment_id: row.payment_id,
                        operation_id: row.operation_id,
                    },
                    kind: row.kind.parse().ok()?,
                    amount,
                    order_id: row.order_id?,
                },
                method: row.method?.parse().ok()?,
                calls: u32::try_from(row.calls).ok()?,
                created_at: row.created_at,
            })
        })();
        decoded.ok_or(bad)
    });
    rows.collect()
}

/// Makes an undecided operation due at another time.
pub async fn postpone(
    conn: &mut PgConnection,
    key: &Key,
    due_at: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update payment.operations set due_at = $3
         where payment_id = $1 and operation_id = $2 and state = 'requested'",
        key.payment_id.as_uuid(),
        key.operation_id,
        due_at,
    )
    .execute(conn)
    .await
    .map_err(failed("postpone operation"))?;
    Ok(())
}

/// How much there is to do.
#[derive(Debug, Clone, Copy)]
pub struct Backlog {
    /// Operations that are not decided.
    pub open: i64,
    /// When the oldest one was requested that neither the payer nor the provider is known to be deciding.
    pub oldest: Option<DateTime<Utc>>,
    /// When the next one is due.
    pub next_due: Option<DateTime<Utc>>,
}

/// Counts the operations that are not decided.
pub async fn backlog(conn: &mut PgConnection) -> Result<Backlog, StoreError> {
    sqlx::query_as!(
        Backlog,
        r#"select count(*) as "open!", min(o.due_at) as next_due,
                  min(o.at) filter (
                      where o.kind <> 'authorise' or p.state not in ('pending', 'requires_action')
                  ) as oldest
           from payment.operations as o join payment.payments as p using (payment_id)
           where o.state = 'requested'"#,
    )
    .fetch_one(conn)
    .await
    .map_err(failed("count open operations"))
}
