//! `GET /v1/products`

use axum::extract::State;
use chassis::{Json, Problem, Query};
use http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;
use vocabulary::{Limit, Page, PageRequest};

use super::views::ProductView;
use crate::state::AppState;
use crate::store::search::{self, Hit, Place, Window};

/// Longest search text, in characters.
const MAX_WORDS: usize = 200;

/// Query parameters.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    /// Words to search for; where nothing matches, similar words are searched for.
    #[serde(default)]
    q: String,
    /// Slug of a category; its subcategories are included.
    category: Option<String>,
    /// Items on the page, 1 to 100.
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 100, default = 20)]
    limit: Limit,
    /// `next_cursor` of the page before.
    #[serde(default)]
    cursor: Option<String>,
}

/// Find products
///
/// Without words: oldest first. With words: best first.
#[utoipa::path(
    get, path = "/v1/products", operation_id = "list_products", tag = "products",
    params(Filter),
    responses(
        (status = 200, description = "A page of products", body = Page<ProductView>),
        (status = 400, description = "Invalid query", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn handler(
    State(app): State<AppState>,
    Query(filter): Query<Filter>,
) -> Result<Json<Page<ProductView>>, Problem> {
    let words = filter.q.trim();
    if words.chars().count() > MAX_WORDS {
        return Err(bad_query("q", "at most 200 characters"));
    }
    let page = PageRequest {
        limit: filter.limit,
        cursor: filter.cursor,
    };
    let after = page.position::<(bool, Place)>();
    let after = after.map_err(|error| bad_query("cursor", &error.to_string()))?;
    let window = Window {
        category: filter.category.as_deref(),
        after: after.map(|(_, place)| place),
        rows: page.rows(),
    };
    let mut conn = app.core.acquire().await?;
    // A list continues with the kind of search that it began with.
    let mut by_similarity = after.is_some_and(|(by_similarity, _)| by_similarity);
    let mut hits: Vec<Hit> = match (words, by_similarity) {
        ("", _) => search::all(&mut conn, window).await?,
        (words, true) => search::by_similarity(&mut conn, words, window).await?,
        (words, false) => search::by_words(&mut conn, words, window).await?,
    };
    if hits.is_empty() && !words.is_empty() && after.is_none() {
        by_similarity = true;
        hits = search::by_similarity(&mut conn, words, window).await?;
    }
    let page = Page::of(hits, &page, |hit| (by_similarity, hit.place()));
    let page = page.map_err(|error| Problem::internal(&error))?;
    Ok(Json(page.map(|hit| ProductView::from(&hit.product))))
}

fn bad_query(field: &str, message: &str) -> Problem {
    let title = "Invalid query";
    Problem::new(StatusCode::BAD_REQUEST, "invalid_query", title).field(field, message)
}
