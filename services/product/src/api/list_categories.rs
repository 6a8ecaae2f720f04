//! `GET /v1/categories`

use axum::extract::State;
use chassis::{Json, Problem};
use serde::Serialize;
use utoipa::ToSchema;

use crate::state::AppState;
use crate::store::catalogue;

/// A category.
#[derive(Serialize, ToSchema)]
pub(super) struct CategoryView {
    /// Its name in paths and filters.
    #[schema(example = "coffee")]
    slug: String,
    /// Its name for people.
    #[schema(example = "Coffee")]
    title: String,
    /// The category above it.
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<String>,
    /// Products directly in it.
    products: i64,
}

/// All categories.
#[derive(Serialize, ToSchema)]
pub(super) struct Categories {
    /// By slug; never more than 1000.
    items: Vec<CategoryView>,
}

/// List categories
#[utoipa::path(
    get, path = "/v1/categories", operation_id = "list_categories", tag = "products",
    responses((status = 200, description = "All categories", body = Categories))
)]
pub(super) async fn handler(State(app): State<AppState>) -> Result<Json<Categories>, Problem> {
    let mut conn = app.core.acquire().await?;
    let categories = catalogue::categories(&mut conn).await?;
    let items = categories.into_iter().map(|category| CategoryView {
        slug: category.slug,
        title: category.title,
        parent: category.parent,
        products: category.products,
    });
    Ok(Json(Categories {
        items: items.collect(),
    }))
}
