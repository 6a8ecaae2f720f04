//! The owner cancels an order that awaits its payment: the checkout turns back.

use sqlx::PgConnection;
use vocabulary::{OrderId, UserId};

use crate::checkout::commit::{self, DriveError, TurnedBack};
use crate::checkout::domain::{Answer, Write, decide};
use crate::checkout::store::checkouts;
use crate::state::AppState;

/// Turns the checkout of an order back, if the order awaits its payment. Its row is locked before the order's, as everywhere.
pub(crate) async fn awaiting(
    app: &AppState,
    conn: &mut PgConnection,
    id: OrderId,
    owner: Option<UserId>,
) -> Result<Option<TurnedBack>, DriveError> {
    let Some(mut checkout) = checkouts::lock_awaiting(conn, id, owner).await? else {
        return Ok(None);
    };
    let now = app.core.now();
    let step = decide(&checkout.persisted, Answer::Cancelled, now)?;
    let Write::TurnBack(stage) = step.write else {
        return Ok(None);
    };
    let turned = commit::turn_back(app, conn, &mut checkout, stage, now).await?;
    Ok(Some(turned))
}
