//! `POST /v1/products/import`

use axum::body::Bytes;
use axum::extract::State;
use chassis::{Json, Problem};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use service::{ManageCatalogue, Permitted, invalid};
use utoipa::ToSchema;
use vocabulary::ProductId;

use crate::domain::import;
use crate::state::AppState;
use crate::store::catalogue;

/// What an import did.
#[derive(Serialize, ToSchema)]
pub(super) struct ImportView {
    /// Rows of the file.
    rows: usize,
    /// Products that are new.
    created: usize,
    /// Products whose listing changed. Their stock did not.
    updated: usize,
}

/// Import a catalogue
///
/// CSV with a header: `sku,title,description,category,on_hand` and one column `price_<CURRENCY>` in
/// minor units for each currency. All rows are checked before one is written; all are written, or
/// none. Known SKUs get the new listing and keep their stock, so the same file twice is harmless.
#[utoipa::path(
    post, path = "/v1/products/import", operation_id = "import_products", tag = "products",
    security(("bearer" = ["catalogue.manage"])),
    request_body(content = String, content_type = "text/csv"),
    responses(
        (status = 200, description = "What was done", body = ImportView),
        (status = 401, description = "No valid token", body = Problem,
         content_type = "application/problem+json"),
        (status = 403, description = "Insufficient permissions", body = Problem,
         content_type = "application/problem+json"),
        (status = 415, description = "Not CSV", body = Problem,
         content_type = "application/problem+json"),
        (status = 422, description = "Invalid lines and fields", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn handler(
    State(app): State<AppState>,
    _: Permitted<ManageCatalogue>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<ImportView>, Problem> {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    if kind.is_none_or(|kind| kind.split(';').next().unwrap_or_default().trim() != "text/csv") {
        let title = "The body must be text/csv";
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "not_csv",
            title,
        ));
    }
    let rows = import::read(&body).map_err(invalid)?;
    let now = app.core.now();
    let rows: Vec<_> = rows
        .into_iter()
        .map(|row| (ProductId::mint(now, &*app.core.entropy), row))
        .collect();
    let mut tx = app.core.begin().await?;
    let imported = catalogue::import(&mut tx, &rows, now).await?;
    app.core.commit(tx).await?;
    app.cards.drop_all(&imported.updated).await;
    let updated = imported.updated.len();
    app.metrics
        .imported
        .inc_by((imported.created + updated) as u64);
    Ok(Json(ImportView {
        rows: rows.len(),
        created: imported.created,
        updated,
    }))
}
