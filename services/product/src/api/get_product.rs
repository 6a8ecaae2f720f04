//! `GET /v1/products/{id}`

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG};
use axum::response::{IntoResponse, Response};
use chassis::{Path, Problem, precondition};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use vocabulary::ProductId;

use super::views::ProductView;
use crate::state::AppState;
use crate::store::catalogue;

/// What is cached: the response, ready to send.
#[derive(Serialize, Deserialize)]
struct Card {
    etag: String,
    body: Box<RawValue>,
}

impl Card {
    fn answer(self) -> Response {
        let headers = [
            (CONTENT_TYPE, "application/json".to_owned()),
            (CACHE_CONTROL, "public, max-age=5".to_owned()),
            (ETAG, self.etag),
        ];
        (headers, self.body.get().to_owned()).into_response()
    }
}

/// Read a product
#[utoipa::path(
    get, path = "/v1/products/{id}", operation_id = "get_product", tag = "products",
    params(("id" = ProductId, Path, description = "Id of the product")),
    responses(
        (status = 200, description = "The product", body = ProductView,
         headers(("ETag" = String, description = "For `If-Match`"))),
        (status = 404, description = "No such product", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn handler(
    State(app): State<AppState>,
    Path(id): Path<ProductId>,
) -> Result<Response, Problem> {
    let cached = app.cards.get(id).await;
    // A card that does not parse was written by another release: ignored.
    if let Some(card) = cached.and_then(|card| serde_json::from_str::<Card>(&card).ok()) {
        return Ok(card.answer());
    }
    let mut conn = app.core.acquire().await?;
    let product = catalogue::find(&mut conn, id).await?;
    let product = product.ok_or_else(Problem::not_found)?;
    drop(conn);
    let body = serde_json::value::to_raw_value(&ProductView::from(&product));
    let card = Card {
        etag: precondition::etag(product.version),
        body: body.map_err(|error| Problem::internal(&error))?,
    };
    let text = serde_json::to_string(&card).map_err(|error| Problem::internal(&error))?;
    app.cards.put(id, &text).await;
    Ok(card.answer())
}
