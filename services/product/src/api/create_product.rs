//! `POST /v1/products`

use axum::extract::State;
use axum::http::header::{ETAG, LOCATION};
use axum::response::{IntoResponse, Response};
use chassis::{Json, Problem, precondition};
use http::StatusCode;
use service::{ManageCatalogue, Permitted};
use vocabulary::ProductId;

use super::problems::not_written;
use super::views::{ListingBody, ProductView};
use crate::domain::listing::Product;
use crate::state::AppState;
use crate::store::catalogue;

/// Add a product
///
/// It has no stock at first: set it with `PUT /v1/products/{id}/stock`.
#[utoipa::path(
    post, path = "/v1/products", operation_id = "create_product", tag = "products",
    security(("bearer" = ["catalogue.manage"])), request_body = ListingBody,
    responses(
        (status = 201, description = "The product", body = ProductView,
         headers(("Location" = String, description = "Where it is"))),
        (status = 401, description = "No valid token", body = Problem,
         content_type = "application/problem+json"),
        (status = 403, description = "Insufficient permissions", body = Problem,
         content_type = "application/problem+json"),
        (status = 409, description = "The SKU is taken", body = Problem,
         content_type = "application/problem+json"),
        (status = 422, description = "Invalid fields", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn handler(
    State(app): State<AppState>,
    _: Permitted<ManageCatalogue>,
    Json(body): Json<ListingBody>,
) -> Result<Response, Problem> {
    let now = app.core.now();
    let product = Product {
        id: ProductId::mint(now, &*app.core.entropy),
        listing: body.listing()?,
        available: 0,
        version: 1,
    };
    let mut tx = app.core.begin().await?;
    catalogue::ensure_categories(&mut tx, &[&product.listing.category]).await?;
    catalogue::insert(&mut tx, &product, now)
        .await
        .map_err(not_written)?;
    app.core.commit(tx).await?;
    let headers = [
        (LOCATION, format!("/v1/products/{}", product.id.as_uuid())),
        (ETAG, precondition::etag(product.version)),
    ];
    Ok((
        StatusCode::CREATED,
        headers,
        Json(ProductView::from(&product)),
    )
        .into_response())
}
