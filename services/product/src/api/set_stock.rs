//! `PUT /v1/products/{id}/stock`

use axum::extract::State;
use chassis::{Json, Path, Problem};
use events::StockLow;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use service::{ManageStock, Permitted, StoreError};
use utoipa::ToSchema;
use vocabulary::ProductId;

use crate::SCHEMA;
use crate::domain::stock::becomes_low;
use crate::state::AppState;
use crate::store::catalogue;

/// Most pieces of one product.
const MAX_ON_HAND: i64 = 1_000_000_000;

/// The stock of a product.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StockLevel {
    /// Pieces in the warehouse, those reserved for checkouts included.
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    on_hand: i64,
}

/// Set the stock
///
/// It cannot be set below what is reserved for checkouts in progress.
#[utoipa::path(
    put, path = "/v1/products/{id}/stock", operation_id = "set_stock", tag = "products",
    security(("bearer" = ["stock.manage"])), request_body = StockLevel,
    params(("id" = ProductId, Path, description = "Id of the product")),
    responses(
        (status = 200, description = "The stock as it is now", body = StockLevel),
        (status = 401, description = "No valid token", body = Problem,
         content_type = "application/problem+json"),
        (status = 403, description = "Insufficient permissions", body = Problem,
         content_type = "application/problem+json"),
        (status = 404, description = "No such product", body = Problem,
         content_type = "application/problem+json"),
        (status = 409, description = "More is reserved", body = Problem,
         content_type = "application/problem+json"),
        (status = 422, description = "Invalid quantity", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn handler(
    State(app): State<AppState>,
    _: Permitted<ManageStock>,
    Path(id): Path<ProductId>,
    Json(level): Json<StockLevel>,
) -> Result<Json<StockLevel>, Problem> {
    if !(0..=MAX_ON_HAND).contains(&level.on_hand) {
        return Err(Problem::invalid().field("on_hand", "0 to 1000000000"));
    }
    let mut tx = app.core.begin().await?;
    let counted = catalogue::set_on_hand(&mut tx, id, level.on_hand).await;
    let counted = counted.map_err(|error| match error.constraint() {
        Some("stock_reserved_on_hand") => {
            let title = "More than that is reserved for checkouts in progress";
            Problem::new(StatusCode::CONFLICT, "stock_promised", title).field(
                "on_hand",
                "must not be below what is reserved; reservations expire by themselves",
            )
        }
        _ => error.into(),
    })?;
    let counted = counted.ok_or_else(Problem::not_found)?;
    let (before, after) = (counted.before.available(), counted.after.available());
    let is_newly_low = becomes_low(before, after);
    if is_newly_low {
        let low = StockLow {
            product_id: id,
            sku: counted.sku,
            available: after,
        };
        outbox::append(&mut tx, SCHEMA, app.core.event_meta(app.core.now()), &low)
            .await
            .map_err(StoreError::from)?;
    }
    app.core.commit(tx).await?;
    app.metrics.low_stock(u64::from(is_newly_low));
    app.cards.drop_all(&[id]).await;
    Ok(Json(level))
}
