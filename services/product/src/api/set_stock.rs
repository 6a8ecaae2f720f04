//! `PUT /v1/products/{id}/stock`

use axum::extract::State;
use chassis::{Caller, Json, Path, Problem};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vocabulary::ProductId;

use super::uncommitted;
use crate::state::AppState;
use crate::store::catalogue;

/// Most pieces of one product.
const MAX_ON_HAND: i64 = 1_000_000_000;

/// What is on the shelf.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Shelf {
    /// Pieces in the warehouse, those promised to checkouts included.
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    on_hand: i64,
}

/// Count the shelf anew
///
/// It cannot be counted below what is promised to checkouts that are under way.
#[utoipa::path(
    put, path = "/v1/products/{id}/stock", operation_id = "set_stock", tag = "products",
    security(("bearer" = [])), request_body = Shelf,
    params(("id" = ProductId, Path, description = "Id of the product")),
    responses(
        (status = 200, description = "As it was counted", body = Shelf),
        (status = 401, description = "No valid token", body = Problem,
         content_type = "application/problem+json"),
        (status = 403, description = "Not an administrator", body = Problem,
         content_type = "application/problem+json"),
        (status = 404, description = "No such product", body = Problem,
         content_type = "application/problem+json"),
        (status = 409, description = "More is promised", body = Problem,
         content_type = "application/problem+json"),
        (status = 422, description = "Not a number of pieces", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn handler(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<ProductId>,
    Json(shelf): Json<Shelf>,
) -> Result<Json<Shelf>, Problem> {
    caller.require_role("admin")?;
    if !(0..=MAX_ON_HAND).contains(&shelf.on_hand) {
        return Err(Problem::invalid().field("on_hand", "0 to 1000000000"));
    }
    let mut tx = app.begin().await?;
    let counted = catalogue::set_on_hand(&mut tx, id, shelf.on_hand).await;
    let counted = counted.map_err(|error| match error.constraint() {
        Some("stock_reserved_on_hand") => {
            let title = "More than that is promised to checkouts under way";
            Problem::new(StatusCode::CONFLICT, "stock_promised", title).field(
                "on_hand",
                "not below what is promised; holds run out by themselves",
            )
        }
        _ => error.into(),
    })?;
    if !counted {
        return Err(Problem::not_found());
    }
    tx.commit().await.map_err(|e| uncommitted(&e))?;
    app.cards.drop_all(&[id]).await;
    Ok(Json(shelf))
}
