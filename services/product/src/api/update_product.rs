//! `PUT /v1/products/{id}`

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::ETAG;
use axum::response::{IntoResponse, Response};
use chassis::{Json, Path, Problem, precondition};
use service::{ManageCatalogue, Permitted};
use vocabulary::ProductId;

use super::problems::not_written;
use super::views::{ListingBody, ProductView};
use crate::state::AppState;
use crate::store::catalogue;

/// Replace a product
///
/// With `If-Match`, only if it has not changed since it was read. Stock stays as it is.
#[utoipa::path(
    put, path = "/v1/products/{id}", operation_id = "update_product", tag = "products",
    security(("bearer" = ["catalogue.manage"])), request_body = ListingBody,
    params(
        ("id" = ProductId, Path, description = "Id of the product"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the version that was read"),
    ),
    responses(
        (status = 200, description = "The product as it is now", body = ProductView,
         headers(("ETag" = String, description = "For `If-Match`"))),
        (status = 401, description = "No valid token", body = Problem,
         content_type = "application/problem+json"),
        (status = 403, description = "Insufficient permissions", body = Problem,
         content_type = "application/problem+json"),
        (status = 404, description = "No such product", body = Problem,
         content_type = "application/problem+json"),
        (status = 409, description = "The SKU is taken", body = Problem,
         content_type = "application/problem+json"),
        (status = 412, description = "Changed since it was read", body = Problem,
         content_type = "application/problem+json"),
        (status = 422, description = "Invalid fields", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn handler(
    State(app): State<AppState>,
    _: Permitted<ManageCatalogue>,
    Path(id): Path<ProductId>,
    headers: HeaderMap,
    Json(body): Json<ListingBody>,
) -> Result<Response, Problem> {
    let listing = body.listing()?;
    let mut tx = app.core.begin().await?;
    let version = catalogue::lock(&mut tx, id).await?;
    let version = version.ok_or_else(Problem::not_found)?;
    precondition::check(&headers, version)?;
    catalogue::ensure_categories(&mut tx, &[&listing.category]).await?;
    catalogue::update(&mut tx, id, &listing, app.core.now())
        .await
        .map_err(not_written)?;
    let product = catalogue::find(&mut tx, id).await?;
    let product = product.ok_or_else(Problem::not_found)?;
    app.core.commit(tx).await?;
    app.cards.drop_all(&[id]).await;
    let etag = [(ETAG, precondition::etag(product.version))];
    Ok((etag, Json(ProductView::from(&product))).into_response())
}
